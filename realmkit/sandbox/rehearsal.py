"""A planned move played through in made-up time: the real runner, playbook, client and DNS code on a made-up platform.

Made up from the plan are the platform (a `Cluster` with the account's phones), the phones themselves, and a name
server with copies of the zones. Days pass in seconds, and nothing outside this process and its temporary directory is
touched; the zones are read once, from their providers.
"""

from __future__ import annotations

import re
import shutil
import tempfile
from contextlib import ExitStack
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec
from msgspec import Struct, structs

from realmkit.config import STATE_DIRECTORY, Config, PhonesEntry, PublishEntry, ZoneEntry
from realmkit.dns import names, rdata
from realmkit.dns.answer import lookup
from realmkit.dns.records import type_from_text
from realmkit.dns.work.desk import Desk
from realmkit.dns.zonefiles.zoneentries import Source
from realmkit.dns.zonefiles.zonefile import read as read_zone
from realmkit.dns.zonefiles.zonelisting import zone_text
from realmkit.kazoo.client import Crossbar
from realmkit.migrate import events as ev
from realmkit.migrate import operations
from realmkit.migrate.configs import Configs
from realmkit.migrate.journal import Journal
from realmkit.migrate.kit import Kit
from realmkit.migrate.plan import Plan
from realmkit.migrate.runner import Report, Runner
from realmkit.migrate.timetable import minutes
from realmkit.phones import readback
from realmkit.phones.model import Line as SipLine
from realmkit.phones.publish import KeepingPublisher
from realmkit.sandbox.cluster import Cluster, Generation
from realmkit.sandbox.crossbar import in_process
from realmkit.sandbox.nameserver import NameServer, ZoneFile
from realmkit.sandbox.phone import Behaviour, Sync
from realmkit.sandbox.shelf import Shelf
from realmkit.sandbox.virtual import VirtualClock, VirtualFleet
from realmkit.secrets import Password

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from realmkit.config import Project
    from realmkit.dns.names import Name
    from realmkit.dns.records import Zone
    from realmkit.migrate.machine import Decision
    from realmkit.migrate.plan import Phone
    from realmkit.migrate.state import State

_PASSWORD: Final = Password("rehearsal-only")
_EDGE: Final = "192.0.2.1"
_BUSY: Final = timedelta(hours=1)
_BY_HAND: Final = timedelta(minutes=5)


class Cast(Struct, frozen=True):
    """Who plays.

    Attributes:
        generation: of the platform: `2024` or `2026`.
        deaf: so many phones ignore every check-sync.
        busy: so many are in a call when their window opens, for an hour.
    """

    generation: str = "2026"
    deaf: int = 0
    busy: int = 0


class Line(Struct, frozen=True):
    """A line of the play."""

    at: datetime
    text: str


class Played(Struct, frozen=True):
    """How it went.

    Attributes:
        finished: whether it came to its end.
        ending: in one sentence.
        lines: what happened when.
        figures: what is worth knowing, a sentence each.
        moved: how many phones moved; stayed: how many did not.
        dark: seconds for which calls to a phone would have failed, by phone name.
        seconds: how long the move took, in made-up time.
    """

    finished: bool
    ending: str
    lines: list[Line]
    figures: list[str]
    moved: int
    stayed: int
    dark: dict[str, float]
    seconds: float


class _EnoughError(Exception):
    """Half of the phones have moved: time to turn back."""


def play(desk: Desk, state: State, cast: Cast, *, back: bool = False) -> Played:
    """Play a planned move.

    Args:
        desk: the project.
        state: its migration, planned.
        cast: who plays.
        back: turn back when half of the phones have moved.

    Raises:
        InputError, ProviderError: the zones could not be read.
    """
    assert state.plan is not None  # noqa: S101 - `operations.stand` refuses that
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="realmkit-rehearsal.")))
        return _Stage(desk, state.plan, cast, directory, stack).play(back=back)


class _Stage:
    """The made-up platform of one rehearsal."""

    def __init__(self, desk: Desk, plan: Plan, cast: Cast, directory: Path, stack: ExitStack) -> None:
        self._cast = cast
        self._lines: list[Line] = []
        self._told: set[str] = set()
        self._clock = VirtualClock(plan.made)
        self._shelf = Shelf()
        self._answers: tuple[datetime, dict[tuple[str, str], Sequence[str]]] = (plan.made, {})
        self._server = stack.enter_context(_name_server(desk, directory))
        project = _project(desk.project, directory, self._server.address)
        self._desk = Desk(project, self._clock)
        self._fleet = VirtualFleet(
            self._clock, dns=self._dns, configurations=lambda name: self._shelf.read(name) or b"-", minimum=60
        )
        self._cluster = Cluster(self._clock, self._fleet.registrar, Generation(cast.generation))
        self._plan, self._devices = self._platform(plan)
        self._crossbar = stack.enter_context(
            Crossbar(
                "http://sandbox.invalid:8000/v2", self._cluster.api_key(self._reseller), self._clock,
                transport=in_process(self._cluster), jitter=lambda: 0.5,
            )
        )  # fmt: skip
        self._configs = Configs(project, "Etc/UTC")
        self._publisher = KeepingPublisher(self._shelf)
        self._journal = stack.enter_context(Journal(None))

    def play(self, *, back: bool) -> Played:
        """The whole piece."""
        self._people_phones()
        plan = self._with_digests(self._plan)
        began = self._clock.now()
        self._journal.append(plan.name, began, ev.Planned(plan))
        operations.approve(self._journal, plan.name, "rehearsal", None, began)
        kit = Kit(self._desk, self._crossbar, self._publisher, self._configs, self._clock)
        self._make_busy(plan)
        half = sum(phone.moves != "never" for phone in plan.phones) // 2
        runner = Runner(kit, self._journal, plan.name, partial(self._tell, half if back else None))
        try:
            decision = runner.run(float("inf"))
        except _EnoughError:
            self._say(f"half of the phones have moved: turning back to {plan.old}")
            runner = Runner(kit, self._journal, plan.name, partial(self._tell, None))
            runner.write(ev.Halted("rehearsal", "as asked"))
            decision = runner.run(float("inf"))
        return self._played(runner.state, decision, began)

    def _platform(self, plan: Plan) -> tuple[Plan, dict[str, str]]:
        """An account with the plan's phones, and the plan about it: ids are the made-up platform's own."""
        self._reseller = self._cluster.add_account("reseller", "reseller.rehearsal.invalid")
        account = self._cluster.add_account(plan.account_name, plan.old)
        made = {plan.account: account}
        devices = {}
        for phone in plan.phones:
            document = {"name": phone.name, "sip": {"username": phone.username, "password": str(_PASSWORD)}}
            document |= {"mac_address": phone.mac} if phone.mac else {}
            made[phone.device] = self._cluster.add_device(account, document)
            devices[made[phone.device]] = phone.name
        text = re.sub("|".join(made), lambda found: made[found[0]], msgspec.json.encode(plan).decode())
        return msgspec.json.decode(text, type=Plan), devices

    def _with_digests(self, plan: Plan) -> Plan:
        documents = {device.id: device.digest() for device in self._crossbar.devices(plan.account)}
        return structs.replace(
            plan, phones=tuple(structs.replace(one, digest=documents[one.device]) for one in plan.phones)
        )

    def _people_phones(self) -> None:
        """Phones that register at the old realm, as they did when the plan was made."""
        movable = [phone for phone in self._plan.phones if phone.moves != "never"]
        deaf = {phone.device for phone in movable[-self._cast.deaf :]} if self._cast.deaf else set()
        for phone in self._plan.phones:
            read = partial(_fixed, phone, self._plan.old)
            if phone in movable and phone.model:
                self._publish_old(phone)
                read = partial(readback.read, self._configs.catalog.models[phone.model].path)
            model = self._configs.catalog.models.get(phone.model or "")
            self._fleet.add(model.files(phone.mac or "")[0] if model else phone.device, _behaviour(phone, deaf), read)
        self._fleet.power_on()
        self._clock.sleep(60)
        if any(phone.event is None for phone in movable):
            self._clock.at(self._clock.now() + _BY_HAND, self._hands)

    def _publish_old(self, phone: Phone) -> None:
        device = self._crossbar.device(self._plan.account, phone.device)
        files = self._configs(phone, device, self._plan.old)
        self._publisher.publish({file.name: file.content for file in files}, "before-rehearsal")

    def _hands(self) -> None:
        """Somebody restarts a phone that no NOTIFY reaches, when its file says something new."""
        for phone in self._plan.phones:
            if phone.event is None and phone.moves != "never" and phone.model and phone.mac:
                name = self._configs.catalog.models[phone.model].files(phone.mac)[0]
                content = self._fleet.configuration(name)
                with self._fleet.acting(name) as one:
                    if one.line is not None and content and one.line.realm.encode() not in content:
                        one.power_off()
                        one.power_on()
        self._clock.at(self._clock.now() + _BY_HAND, self._hands)

    def _make_busy(self, plan: Plan) -> None:
        """Calls that are up when a phone's window opens."""
        left = self._cast.busy
        for stage in plan.stages:
            window = plan.timetable.get(stage.id)
            for chain in stage.chains[:left] if window and stage.chains[0].subject else ():
                assert window is not None  # noqa: S101 - just asked
                begin = max(window.start - timedelta(minutes=1), self._clock.now())
                self._clock.at(begin, partial(self._call, chain.subject or "", begin + _BUSY))
                left -= 1

    def _call(self, device: str, end: datetime) -> None:
        uuid = self._cluster.put_channel(device)
        self._clock.at(end, partial(self._cluster.end_channel, uuid))

    def _dns(self, name: str, kind: str) -> Sequence[str]:
        """What a resolver at the phones says; within one instant of made-up time it says the same."""
        now = self._clock.now()
        if self._answers[0] != now:
            self._answers = now, {}
        known = self._answers[1]
        if (name, kind) not in known:
            known[name, kind] = self._answer(name, kind)
        return known[name, kind]

    def _answer(self, name: str, kind: str) -> Sequence[str]:
        """What the zones say; the old realm, where it is not ours, just has an address."""
        asked, number = names.absolute(name), type_from_text(kind)
        zones = self._server.zones()
        apex = names.closest(asked, zones)
        if apex is None:
            return (_EDGE,) if kind == "A" else ()
        answer = lookup(zones[apex], asked, number)
        if answer.rrset is None or answer.rrset.type != number:
            return ()
        return tuple(rdata.to_text(number, octets) for octets in answer.rrset.rdata)

    def _tell(self, half: int | None, report: Report) -> None:
        if report.place is None:
            if report.kind == "missed":
                self._say(report.detail)
            return
        stage, chain, task = report.place
        if report.kind == "began" and stage.id not in self._told:
            self._told.add(stage.id)
            self._say(stage.title)
        elif report.kind == "failed":
            who = f"{self._devices.get(chain.subject, '')}: " if chain.subject else ""
            self._say(f"{who}{task.title}: {report.detail}")
        if half is not None and report.kind == "done" and task.uses == "registration.drop":
            self._told.add(f"moved {chain.subject}")
            if sum(one.startswith("moved ") for one in self._told) >= max(1, half):
                raise _EnoughError

    def _say(self, text: str) -> None:
        self._lines.append(Line(self._clock.now(), text))

    def _played(self, state: State, decision: Decision, began: datetime) -> Played:
        now = self._clock.now()
        names_of = {phone.device: phone.name for phone in state.plan.phones} if state.plan else {}
        registered = {phone.device for phone in state.plan.phones if phone.registered} if state.plan else set()
        dark = {
            names_of[device]: self._cluster.dark_time(device, began, now).total_seconds()
            for device in sorted(registered)
        }
        moved, stayed = len(state.members("moved")), len(state.members("stragglers"))
        return Played(
            decision.kind == "finished", decision.why, self._lines, _figures(dark, moved, stayed, now - began), moved,
            stayed, dark, (now - began).total_seconds(),
        )  # fmt: skip


def _figures(dark: Mapping[str, float], moved: int, stayed: int, took: timedelta) -> list[str]:
    times = sorted(dark.values())
    worst = max(dark, key=lambda name: dark[name], default="")
    figures = [
        f"{moved} phones moved, {stayed} stay at the old realm; {minutes(took.total_seconds())} from begin to end"
    ]
    if times:
        middle, late = times[len(times) // 2], times[min(len(times) - 1, int(len(times) * 0.95))]
        figures.append(
            f"calls to a phone would have failed for {middle:.1f} s (median), {late:.1f} s (95 %), "
            f"{times[-1]:.1f} s ({worst})"
        )
    return figures


def _name_server(desk: Desk, directory: Path) -> NameServer:
    """A server of copies of the project's zones, in files that the made-up provider writes."""
    (directory / "zones").mkdir()
    held = []
    for apex, zone in desk.snapshots(list(desk.zones)).items():
        path = directory / "zones" / f"{names.to_text(apex).rstrip('.')}.zone"
        path.write_text(zone_text(zone) + "\n", encoding="latin-1")
        held.append(ZoneFile(path, partial(_load, path, apex)))
    ledger = desk.project.state_dir / "ledger"
    if ledger.is_dir():
        shutil.copytree(ledger, directory / STATE_DIRECTORY / "ledger")
    return NameServer(held)


def _load(path: Path, apex: Name) -> Zone:
    return read_zone(Source(str(path), path.read_text("latin-1")), apex)


def _project(real: Project, directory: Path, server: str) -> Project:
    """The project, with its zones and its phones' files in the temporary directory."""
    given = real.config.phones
    phones = PhonesEntry(publish=PublishEntry(type="directory", path="published"))
    if given is not None:
        templates = str(real.directory / given.templates)
        phones = structs.replace(given, publish=phones.publish, templates=templates)
    config: Config = structs.replace(
        real.config, phones=phones, providers={"rehearsal": {"type": "zonefile", "file": "zones/{zone}.zone"}},
        zones={zone: ZoneEntry("rehearsal", (server,)) for zone in real.config.zones},
    )  # fmt: skip
    return structs.replace(real, directory=directory, config=config)


def _fixed(phone: Phone, realm: str, _content: bytes) -> tuple[SipLine, ...]:
    """The line of a phone that nobody configures."""
    return (SipLine(phone.username, phone.username, _PASSWORD, realm),)


def _behaviour(phone: Phone, deaf: set[str]) -> Behaviour:
    """As its model says, in a tenth of the time that it may take at most; a deaf one ignores what it is told."""
    events = (phone.event.partition(";")[0],) if phone.event else ()
    reload = phone.settle / 10
    sync = Sync.NOTHING if phone.device in deaf or not phone.event else Sync.REBOOT if phone.reboots else Sync.RELOAD
    return Behaviour(boot=max(1.0, phone.settle / 2), reload=reload, sync=sync, events=events or ("check-sync",))
