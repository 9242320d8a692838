"""The operations behind `realmkit migrate`: plan, approve, carry on, turn back. Each takes tools and returns data."""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

import msgspec
from msgspec import Struct

from realmkit.accountfile import AccountFile, open_account
from realmkit.dns import findings
from realmkit.dns.work import workflow
from realmkit.errors import InputError, RefusedError
from realmkit.migrate import events as ev
from realmkit.migrate import expand, inventory, playbook, playbooklint, timetable
from realmkit.migrate.configs import Configs
from realmkit.migrate.kit import Kit
from realmkit.migrate.plan import Plan
from realmkit.migrate.state import State, replay
from realmkit.schedule import hours, windows

if TYPE_CHECKING:
    from collections.abc import Iterator

    from realmkit.dns.work.desk import Desk
    from realmkit.kazoo.client import Crossbar
    from realmkit.migrate.inventory import Inventory
    from realmkit.migrate.journal import Journal
    from realmkit.migrate.plan import Phone
    from realmkit.migrate.playbook import PlaybookFile
    from realmkit.schedule.hours import Site

SHORTEST: Final = timedelta(minutes=10)
DEFAULT_DEADLINE: Final = "60d"
DEFAULT_APPROVAL: Final = 14 * 86400.0  # where the playbook does not wait for one
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,47}\Z")  # it goes into names of files


class Request(Struct, frozen=True):
    """What the user asks for.

    Attributes:
        name: of the account file, and of the migration.
        new: the realm; None takes the one of `realmkit.yml` that names the account and is not its present one.
        playbook: name or path.
        inputs: of the playbook, as text.
        deadline: a duration from now, or a date.
        allow: checks of the playbook to lift.
    """

    name: str
    new: str | None = None
    playbook: str = "realm-migration"
    inputs: Mapping[str, str] = {}
    deadline: str = DEFAULT_DEADLINE
    allow: tuple[str, ...] = ()


@contextmanager
def open_kit(desk: Desk, timezone: str) -> Iterator[Kit]:
    """The tools of a project, for one command.

    Raises:
        InputError: the platform is not configured.
    """
    from realmkit.kazoo.client import Crossbar
    from realmkit.phones.publish import open_publisher

    project = desk.project
    kazoo = project.config.platform.kazoo
    if kazoo is None:
        raise project.document.error(("platform",), "the platform's API is not configured", "add kazoo: {url, api_key}")
    publisher = open_publisher(project) if project.config.phones else None
    try:
        with Crossbar(kazoo.url, kazoo.api_key.reveal(project.directory), desk.clock) as crossbar:
            yield Kit(desk, crossbar, publisher, Configs(project, timezone), desk.clock)
    finally:
        if publisher is not None:
            publisher.close()


def make_plan(desk: Desk, request: Request, crossbar: Crossbar | None = None) -> Plan:
    """Work out a migration. Changes nothing.

    Args:
        desk: the project.
        request: what is asked for.
        crossbar: the platform; None opens the configured one.

    Raises:
        InputError: something the user wrote can't be, an account or a phone that can't move, no window.
        RefusedError: the new realm's DNS would not be whole.
    """
    if not _NAME.match(request.name):
        raise InputError(f"{request.name!r} can't name a move: up to 48 letters, digits, dots, dashes")
    account_file = open_account(desk.project.directory, request.name)
    book = playbook.find(request.playbook, desk.project.directory)
    playbooklint.check(book, request.allow)
    inputs = playbook.inputs(book.playbook, dict(request.inputs))
    if crossbar is not None:
        return _planned(desk, request, account_file, book, inputs, crossbar)
    with open_kit(desk, account_file.account.timezone) as kit:
        return _planned(desk, request, account_file, book, inputs, kit.crossbar)


def _planned(
    desk: Desk, request: Request, account_file: AccountFile, book: PlaybookFile, inputs: dict[str, object],
    crossbar: Crossbar,
) -> Plan:  # fmt: skip
    if request.new is not None:
        _checked_new(desk, request.name, request.new)
    now = desk.clock.now()
    deadline = read_deadline(request.deadline, now)
    quiet = windows.quiet_windows(sites_of(account_file), now, deadline, shortest=SHORTEST)
    account = inventory.account_of(crossbar, account_file)
    new = _checked_new(desk, request.name, request.new or _realm_of(desk, request.name, account.realm))
    configs = Configs(desk.project, account_file.account.timezone)
    found = inventory.read(crossbar, account, new)
    phones, notes = inventory.judge(found, account_file, configs, new)
    uses = {step.uses for _, step, _ in playbook.walk(book.playbook.steps, ())}
    if "phone.publish" in uses:
        _check_rendering(desk, found, configs, phones, new)
    if "device.pin" not in uses and (stay := [phone.name for phone in phones if phone.moves == "never"]):
        notes.append(f"this playbook keeps nobody at {account.realm}: calls will not reach {', '.join(stay)}")
    _check_dns(desk, new)
    stages = expand.stages(book.playbook.steps, inputs, phones)
    return Plan(
        name=request.name, account=found.account.id, account_name=found.account.name, old=found.account.realm.lower(),
        new=new, playbook=book.playbook.name, inputs=inputs, made=now, deadline=deadline, phones=phones, stages=stages,
        rollback=tuple(msgspec.to_builtins(book.playbook.rollback)), windows=tuple(quiet),
        timetable=timetable.assign(stages, now, quiet, deadline), notes=tuple(notes),
    )  # fmt: skip


def keep_plan(journal: Journal, plan: Plan) -> None:
    """Write a plan down; from then on it can be approved.

    Raises:
        RefusedError: an earlier plan of that name is under way. StateError: somebody is at work on it at this moment.
    """
    with journal.only_runner(plan.name):
        state = replay(journal.events(plan.name))
        if state.plan is not None and state.begun and state.current() is not None:
            raise RefusedError(
                f"the move of {plan.name} to {state.plan.new} is under way",
                hint=f"finish it (realmkit migrate run {plan.name}) or turn back "
                f"(realmkit migrate rollback {plan.name})",
            )
        journal.append(plan.name, plan.made, ev.Planned(plan))


def approve(journal: Journal, name: str, who: str, lasting: str | None, now: datetime) -> ev.Approved:
    """Say yes to the latest plan.

    Args:
        journal: the project's.
        name: of the migration.
        who: says so.
        lasting: how long the yes holds; None as the playbook says.
        now: the time.

    Raises:
        InputError: there is no such plan, or `lasting` is no duration.
    """
    state = stand(journal, name)
    assert state.plan is not None  # noqa: S101 - `stand` refuses that
    tasks = [task for stage in state.plan.stages for chain in stage.chains for task in chain.tasks]
    default = max((task.seconds for task in tasks if task.kind == "approval"), default=DEFAULT_APPROVAL)
    try:
        length = default if lasting is None else playbook.seconds(lasting)
    except ValueError as error:
        raise InputError(f"--for: {error}") from error
    given = ev.Approved(who, state.digest, now + timedelta(seconds=length))
    journal.append(name, now, given)
    return given


def stand(journal: Journal, name: str) -> State:
    """Where a migration stands. Raises InputError when none of that name was planned."""
    state = replay(journal.events(name))
    if state.plan is None:
        known = ", ".join(journal.migrations()) or "none"
        raise InputError(f"no migration is called {name!r}; planned are: {known}", hint="realmkit migrate plan ACCOUNT")
    return state


def under_way(journal: Journal) -> list[tuple[str, str]]:
    """Old and new realm of each migration that has been planned and is not over."""
    states = [replay(journal.events(name)) for name in journal.migrations()]
    return [(one.plan.old, one.plan.new) for one in states if one.plan is not None and one.current() is not None]


def check_turn(state: State) -> None:
    """Whether a migration can turn back now.

    Raises:
        RefusedError: it is on its way back already, or nothing was changed.
    """
    assert state.plan is not None  # noqa: S101 - `stand` refuses that
    if state.halted is not None:
        raise RefusedError("it is on its way back already", hint=f"realmkit migrate run {state.plan.name}")
    if not state.begun:
        raise RefusedError("nothing was changed, so there is nothing to take back")


def read_deadline(text: str, now: datetime) -> datetime:
    """`60d` from now, or the end of a date, in UTC. Raises InputError."""
    try:
        if re.match(r"[0-9]{4}-[0-9]{2}-[0-9]{2}\Z", text):
            found = datetime.fromisoformat(text).replace(tzinfo=UTC) + timedelta(days=1)
        else:
            found = now + timedelta(seconds=playbook.seconds(text))
    except (ValueError, OverflowError) as error:
        raise InputError(f"--deadline {text}: neither a duration such as 14d nor a date such as 2027-01-31") from error
    if found <= now:
        raise InputError(f"--deadline {text} is over already")
    return found


def sites_of(account_file: AccountFile) -> list[Site]:
    """The sites of an account, with their hours read.

    Raises:
        InputError: there is none, or its hours can't be read; with file and line.
    """
    entries, document = account_file.account.sites, account_file.document
    if not entries:
        raise document.error(
            (), "no `sites:`, so nobody knows when it is quiet", 'sites: [{name: HQ, hours: "Mo-Fr 08:00-18:00"}]'
        )
    sites = []
    for position, entry in enumerate(entries):
        try:
            sites.append(hours.site(entry, account_file.account.timezone))
        except InputError as error:
            raise document.error(("sites", position), error.message, error.hint) from error
    return sites


def _checked_new(desk: Desk, name: str, text: str) -> str:
    """The new realm, as it is used everywhere, if it may be this account's."""
    new = inventory.checked_realm(text, desk.wanted()[0].realms)
    for realm, entry in desk.project.config.realms.items():
        if entry and entry.account not in (None, name) and inventory.same_realm(realm, new):
            raise desk.project.document.error(("realms", realm), f"it is the realm of {entry.account}, not of {name}")
    return new


def _realm_of(desk: Desk, name: str, present: str) -> str:
    """The one realm of the configuration that names an account, beside the one that it has."""
    realms = desk.project.config.realms.items()
    theirs = [realm for realm, entry in realms if entry and entry.account == name]
    if len(theirs) > 1:
        theirs = [realm for realm in theirs if not inventory.same_realm(realm, present)]
    if len(theirs) != 1:
        seen = ", ".join(theirs) or "none"
        raise InputError(f"which realm {name} gets is not clear: realmkit.yml has {seen} for it", hint="say --to REALM")
    return theirs[0]


def _check_rendering(desk: Desk, found: Inventory, configs: Configs, phones: tuple[Phone, ...], new: str) -> None:
    """Render every phone that moves, so that what can't be rendered shows now and not at night.

    Raises:
        InputError: there is nowhere to publish to, or with a line for each phone that can't be rendered.
    """
    if desk.project.config.phones is None:
        raise desk.project.document.error(
            ("phones",), "where phones fetch their files is not said", "phones: {publish: {type: directory, path: ...}}"
        )
    devices = {device.id: device for device in found.devices}
    faults = []
    for phone in phones:
        if phone.moves != "never":
            try:
                configs(phone, devices[phone.device], new)
            except InputError as error:
                faults.append(f"{phone.name}: {error.message}" + (f" ({error.hint})" if error.hint else ""))
    if faults:
        raise InputError("\n".join(faults), hint="nothing was changed; mend these and plan again")


def _check_dns(desk: Desk, new: str) -> None:
    """The new realm, laid over its zone as it is, must be whole.

    Raises:
        RefusedError: with what lint found, or the guard that holds its plan back.
    """
    only = desk.select([new])
    linted = workflow.run_lint(desk, offline=False, only=only)
    bad = [one for one in linted.findings if findings.exit_code([one]) > 1]
    holds = [] if bad else workflow.make_plan(desk, only=only, ttl=desk.project.config.policy.migration_ttl).holds
    texts = [f"[{one.id}] {one.subject}: {one.message}" for one in bad]
    texts += [f"[{hold.guard}] {hold.subject}: {hold.message}" for hold in holds]
    if texts:
        raise RefusedError(
            f"the DNS of {new} would not be whole: " + "; ".join(texts[:5]), hint=f"realmkit dns lint {new} says more"
        )
