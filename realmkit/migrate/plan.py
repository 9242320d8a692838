"""A migration's plan: what exactly will be done, to whom, in which order and when. Data, frozen at approval.

A plan is a row of *stages*. A stage holds *chains*, one for each phone that it is about (or a single one for the
account); a chain's tasks run one after the other, the chains of a stage side by side. Everything that is decided while
it runs is decided from the plan, the events so far and the time (machine.py).
"""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta
from typing import Any, Literal

import msgspec
from msgspec import Struct, field

from realmkit.schedule.windows import Window

# phones, by what has become of them: all; seen at the new realm; the others; sent there and not put back; the others
Class = Literal["phones", "moved", "stragglers", "touched", "untouched"]


class Phone(Struct, frozen=True):
    """A phone as it was when the plan was made.

    Attributes:
        device: its document's id.
        name: as people call it.
        username: of its SIP line.
        mac: lower case without separators, or None.
        model: `yealink/t54w`; None where it is not known and the phone stays.
        moves: as the account file says.
        event: what its NOTIFY says; None where no NOTIFY works.
        settle: seconds within which it is back after that.
        reboots: whether it restarts on a check-sync.
        digest: of its document, without passwords and realm.
        realm: its document's own realm at that time.
        registered: where it was seen registered at that time.
    """

    device: str
    name: str
    username: str
    mac: str | None
    model: str | None
    moves: Literal["resync", "by-hand", "never"]
    event: str | None
    settle: float
    reboots: bool
    digest: str
    realm: str | None
    registered: str | None


class Task(Struct, frozen=True):
    """One thing to do, undo or wait for.

    Attributes:
        id: of the playbook's step.
        title: what people read.
        kind: `do` and `undo` change or check the world; the others wait.
        uses: the step that does it; for `undo` the step that did it.
        arguments: of the step.
        timeout: seconds that its effect may take to show.
        of: for `undo`, the key of the task whose effect is put back.
        after: for `ttl`, the keys of the tasks whose results say how long.
        seconds: for `delay` how long; for `approval` how long a yes holds.
    """

    id: str
    title: str
    kind: Literal["do", "undo", "approval", "delay", "ttl"]
    uses: str = ""
    arguments: dict[str, str] = field(default_factory=dict)
    timeout: float = 300.0
    of: str = ""
    after: tuple[str, ...] = ()
    seconds: float = 0.0


class Chain(Struct, frozen=True):
    """Tasks that run one after the other.

    Attributes:
        subject: the phone's device id; None for the account.
        tasks: in order.
        rescue: what is done instead of the rest when one of them failed.
    """

    subject: str | None
    tasks: tuple[Task, ...]
    rescue: tuple[Task, ...] = ()


class Stage(Struct, frozen=True):
    """Chains that run side by side; the next stage begins when all have ended.

    Attributes:
        id: unique in its leg.
        title: what people read.
        chains: what is done.
        only: phones that it is about, decided when it begins; None for all of its chains.
        quiet: its chains begin only inside the window that it has been given.
        gate: the share of its chains that must succeed.
        estimate: seconds that it is expected to take, the following stages of the same window included.
    """

    id: str
    title: str
    chains: tuple[Chain, ...]
    only: Class | None = None
    quiet: bool = False
    gate: float = 1.0
    estimate: float = 0.0


class Plan(Struct, frozen=True):
    """The whole migration.

    Attributes:
        name: of the migration, which is that of the account file.
        account: the account's id; `account_name` is what people call it.
        old: the realm it has; `new`: the realm it gets.
        playbook: the playbook's name; `rollback` is its way back, as JSON of its steps.
        inputs: of the playbook.
        made: when; `deadline`: after this nothing begins.
        phones: all of the account's.
        stages: the way there.
        windows: all quiet windows between the two dates.
        timetable: window by stage.
        notes: what its reader should know.
    """

    name: str
    account: str
    account_name: str
    old: str
    new: str
    playbook: str
    inputs: dict[str, Any]
    made: datetime
    deadline: datetime
    phones: tuple[Phone, ...]
    stages: tuple[Stage, ...]
    rollback: tuple[dict[str, Any], ...]
    windows: tuple[Window, ...]
    timetable: dict[str, Window]
    notes: tuple[str, ...] = ()

    @property
    def digest(self) -> str:
        """SHA-256 over all of it; an approval is for one digest."""
        return hashlib.sha256(msgspec.json.encode(self, order="sorted")).hexdigest()


def key_of(stage: Stage, chain: Chain, task: Task) -> str:
    """How events name a task: `waves-2/DEVICE/pin`, `publish-new`."""
    return f"{stage.id}/{chain.subject}/{task.id}" if chain.subject else f"{stage.id}/{task.id}"


def latest_start(window: Window, estimate: float) -> datetime:
    """The last moment at which something of that length may begin in a window."""
    return window.end - timedelta(seconds=estimate)
