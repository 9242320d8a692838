"""What a migration's journal holds: events, from which its state is a replay."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from msgspec import Struct, field

from realmkit.migrate.plan import Plan, Stage
from realmkit.schedule.windows import Window


class Planned(Struct, frozen=True, tag="planned"):
    """A plan was made; it replaces an earlier one of which nothing has begun."""

    plan: Plan


class Approved(Struct, frozen=True, tag="approved"):
    """Somebody said yes to a plan, by its digest, until then."""

    by: str
    digest: str
    until: datetime


class Began(Struct, frozen=True, tag="began"):
    """A task is about to act: the intent, with what its undo needs. Never a secret."""

    task: str
    before: dict[str, Any] = field(default_factory=dict)


class Ended(Struct, frozen=True, tag="ended"):
    """A task is over.

    Attributes:
        task: its key.
        outcome: `done`, as was seen in the world, or `failed`.
        detail: what was seen.
        result: facts for later tasks.
    """

    task: str
    outcome: Literal["done", "failed"]
    detail: str = ""
    result: dict[str, Any] = field(default_factory=dict)


class Rescheduled(Struct, frozen=True, tag="rescheduled"):
    """A window was missed; stages got later ones."""

    timetable: dict[str, Window]
    why: str


class Accepted(Struct, frozen=True, tag="accepted"):
    """Somebody lets a stage pass although its gate did not."""

    stage: str
    by: str


class Retried(Struct, frozen=True, tag="retried"):
    """Failed tasks are tried again."""

    tasks: tuple[str, ...]
    by: str


class Halted(Struct, frozen=True, tag="halted"):
    """Somebody wants to turn back: what is under way is brought to one side or the other, nothing new begins."""

    by: str
    why: str


class TurnedBack(Struct, frozen=True, tag="turned-back"):
    """The way back begins; these are its stages."""

    stages: tuple[Stage, ...]


What = Planned | Approved | Began | Ended | Rescheduled | Accepted | Retried | Halted | TurnedBack


class Event(Struct, frozen=True):
    """One entry of the journal.

    Attributes:
        seq: its place.
        at: when, in UTC.
        what: the event.
    """

    seq: int
    at: datetime
    what: What
