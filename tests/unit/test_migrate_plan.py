"""Planning: what is asked for is judged before anything is touched, and every slip has its words."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from realmkit import cli
from realmkit.errors import InputError, RealmkitError, RefusedError, StateError
from realmkit.migrate import carry, operations
from realmkit.migrate.journal import Journal
from realmkit.migrate.operations import Request
from realmkit.migrate.plan import Plan
from tests.unit.moves import ACCOUNT, ACME, NEW, NIGHT, OLD, START, Extension, Move, a_move, yealink


@pytest.fixture
def move(tmp_path: Path) -> Iterator[Move]:
    """The newer generation, with good phones."""
    with a_move(tmp_path / "project") as one:
        yield one


def planned(move: Move, **more: Any) -> Plan:
    with move.crossbar() as crossbar:
        return operations.make_plan(move.desk(), Request(**{"name": "acme"} | more), crossbar)


def refusal(move: Move, kind: type[RealmkitError] = InputError, **more: Any) -> RealmkitError:
    """The error of a plan that can't be; and nothing has changed, here or there."""
    before, state = move.world(), tree(move.directory)
    seen = len(move.cluster.events())
    with pytest.raises(kind) as caught:
        planned(move, **more)
    assert move.world() == before
    assert tree(move.directory) == state
    assert len(move.cluster.events()) == seen
    return caught.value


def tree(directory: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in directory.rglob("*") if path.is_file()}


def test_a_plan_says_who_moves_how_and_when(move: Move) -> None:
    plan = planned(move)
    assert (plan.account_name, plan.old, plan.new, plan.playbook) == ("Acme", OLD, NEW, "realm-migration")
    assert (plan.made, plan.deadline) == (move.clock.now(), move.clock.now() + timedelta(days=60))
    known = {
        phone.name: (phone.model, phone.moves, phone.event, phone.registered, phone.realm) for phone in plan.phones
    }
    assert known == {
        "Desk 1": ("yealink/t54w", "resync", "check-sync;reboot=false", OLD, None),
        "Desk 2": ("yealink/t54w", "resync", "check-sync;reboot=false", OLD, None),
        "Desk 3": ("grandstream/grp2614", "resync", "resync", OLD, None),
        "Softphone": (None, "never", None, OLD, None),
    }
    assert [plan.timetable[f"move-{number}"].start for number in (1, 2, 3)] == [
        NIGHT, NIGHT + timedelta(days=1), NIGHT + timedelta(days=2),
    ]  # fmt: skip
    assert plan.notes == (
        "Softphone: stays at the old realm, as the account file says",
        f"trunks that register by password must be given {NEW} by hand: Trunk",
    )
    assert planned(move).digest == plan.digest  # nothing in it is left to chance


def test_planning_changes_nothing(move: Move) -> None:
    before, state, seen = move.world(), tree(move.directory), len(move.cluster.events())
    planned(move)
    assert (move.world(), tree(move.directory), len(move.cluster.events())) == (before, state, seen)


# --- realms -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("acme..example.com", "empty label"),
        ("bad_realm!.voice.example.com", "bad_realm!"),
        ("-.voice.example.com", "hyphen"),
        ("x" * 64 + ".voice.example.com", "63"),
        (".".join(["a" * 60] * 5), "255|253"),
        ("", "expected a domain name"),
        ("beta.voice.example.com", "is no realm of realmkit.yml"),
        ("acme.elsewhere.example", "is no realm of realmkit.yml"),
    ],
)
def test_a_realm_that_can_t_be(text: str, words: str, move: Move) -> None:
    error = refusal(move, new=text)
    assert re.search(words, f"{error.message} {error.hint}"), error.message


def test_a_realm_outside_of_any_zone(move: Move) -> None:
    move.write_config(lambda text: text.replace("  acme.voice", "  acme.elsewhere.example: {account: x}\n  acme.voice"))
    assert "lies in no zone" in refusal(move, new="acme.elsewhere.example").message


def test_a_realm_that_the_account_has_already(move: Move) -> None:
    assert refusal(move, new=OLD).message == f"Acme has the realm {OLD} already"
    assert refusal(move, new=OLD.upper() + ".").message == f"Acme has the realm {OLD} already"


def test_a_realm_that_another_account_has(move: Move) -> None:
    move.cluster.add_account("Beta", NEW.upper())
    assert refusal(move).message == f"the realm {NEW} belongs to the account Beta"


def test_a_realm_that_the_configuration_gives_to_another_account(move: Move) -> None:
    move.write_config(lambda text: text.replace("account: acme", "account: beta"))
    error = refusal(move, new=NEW)
    assert "realmkit.yml:16:" in error.message
    assert "it is the realm of beta, not of acme" in error.message


def test_no_realm_or_several_in_the_configuration(move: Move) -> None:
    move.write_config(lambda text: text.replace("account: acme", "shape: explicit"))
    assert "which realm acme gets is not clear: realmkit.yml has none for it" in refusal(move).message
    move.write_config(lambda text: text.replace(
        "  acme.voice", "  two.voice.example.com: {account: acme}\n  acme.voice"))  # fmt: skip
    error = refusal(move)
    assert f"realmkit.yml has two.voice.example.com, {NEW} for it" in error.message
    assert error.hint == "say --to REALM"


def test_the_present_realm_may_be_in_the_configuration_too(move: Move) -> None:
    """Found here: with both realms of an account under `realms:`, every plan wanted `--to`."""
    move.write_config(lambda text: text.replace(f"{OLD}: {{}}", f"{OLD}: {{account: acme}}"))
    assert planned(move).new == NEW


# --- the account and its phones ---------------------------------------------------------------------------------------


def account(move: Move, text: str) -> None:
    (move.directory / "accounts" / "acme.yml").write_text(text)


def test_no_such_account_file(move: Move) -> None:
    assert "accounts/beta.yml: no such file" in refusal(move, name="beta").message


@pytest.mark.parametrize("name", ["../acme", "a/b", "", "acme corp", "x" * 49, ".hidden", "acme\n"])
def test_a_name_that_can_t_be_one_of_a_file(name: str, move: Move) -> None:
    """Found here: it went into the name of a lock and of a release, and failed in the first wave."""
    assert "can't name a move" in refusal(move, name=name).message


def test_no_such_account(move: Move) -> None:
    account(move, ACCOUNT.replace("name: Acme", "name: Nobody"))
    assert "Nobody" in refusal(move).message


def test_no_sites(move: Move) -> None:
    account(move, "name: Acme\ntimezone: Etc/UTC\n")
    error = refusal(move)
    assert "no `sites:`, so nobody knows when it is quiet" in error.message
    assert "acme.yml" in error.message


def test_hours_with_a_slip(move: Move) -> None:
    account(move, ACCOUNT.replace("Mo-Fr 08:00", "Mo-Fr 8 am"))
    assert "acme.yml:3:" in refusal(move).message


def test_a_site_that_never_closes(move: Move) -> None:
    account(move, ACCOUNT.replace("Mo-Fr 08:00-18:00", "24/7"))
    assert "there is no quiet window between" in refusal(move).message


@pytest.mark.parametrize(
    ("text", "words"),
    [("1h", "no quiet window between"), ("2026-11-23", "nothing may begin after 2026-11-24 00:00 UTC"),
     ("2026-11-22", "is over already"), ("2020-01-01", "is over already"), ("0s", "is over already"),
     ("soon", "neither a duration such as 14d nor a date"), ("2026-13-01", "neither a duration"),
     ("99999999d", "neither a duration"), ("2026-11-30T12:00", "neither a duration"), ("", "neither a duration")],
)  # fmt: skip
def test_a_deadline_that_can_t_be(text: str, words: str, move: Move) -> None:
    assert re.search(words, refusal(move, deadline=text).message)


def test_deadlines() -> None:
    assert operations.read_deadline("14d", START) == START + timedelta(days=14)
    assert operations.read_deadline("2026-12-24", START) == datetime(2026, 12, 25, tzinfo=UTC)


STRANGE = Extension("Strange", "Unheard-of 1.0", None, None, "020000000001")
NO_MAC = Extension("No MAC", "Yealink SIP-T54W 96.86.0.23", "yealink", "t54w", None)


def test_phones_that_nothing_is_known_about_are_all_named_at_once(tmp_path: Path) -> None:
    with a_move(tmp_path / "project", cast=ACME) as move:
        for one in (STRANGE, NO_MAC):
            move.cluster.add_device(move.account, one.document())
            registered(move, one)
        lines = refusal(move).message.splitlines()
        assert [line.partition(":")[0] for line in lines] == ["No MAC", "Strange"]
        assert lines[0] == "No MAC: has no MAC address, which names its configuration file (or `moves: never`)"
        assert "the model of the phone is not known" in lines[1]
        assert "'020000000001': {model: " in lines[1]
        account(move, ACCOUNT + "  Strange: {model: yealink/t54w}\n  No MAC: {moves: never}\n")
        assert {phone.name: phone.model for phone in planned(move).phones}["Strange"] == "yealink/t54w"


def registered(move: Move, one: Extension) -> None:
    from realmkit.sandbox.registrar import Register

    request = Register(
        one.username, OLD, f"sip:{one.username}@10.9.9.9:5060", "10.9.9.9:5060", one.user_agent, "c", 300
    )
    assert move.fleet.registrar.register(request, lambda password: password == one.password).status == 200


def test_phones_that_stay_and_why(move: Move) -> None:
    changes: tuple[dict[str, Any], ...] = ({"enabled": False}, {"sip": {"realm": "own.example.net"}}, {})
    for number, change in enumerate(changes, start=7):
        device = move.cluster.add_device(move.account, yealink(number).document())
        move.cluster.change_device(device, change)
    plan = planned(move)
    stay = {phone.name for phone in plan.phones if phone.moves == "never"}
    assert stay == {"Desk 7", "Desk 8", "Desk 9", "Softphone"}
    notes = "\n".join(plan.notes)
    assert "Desk 7: is disabled; it stays at the old realm" in notes
    assert "Desk 8: has a realm of its own, own.example.net, and keeps it" in notes
    assert "Desk 9: is not registered, so nothing reaches it" in notes


def test_a_phone_of_the_account_file_that_is_not_there(move: Move) -> None:
    account(move, ACCOUNT + "  Desk 12: {moves: by-hand}\n")
    assert refusal(move).message == "accounts file: phones: no device is called 'Desk 12'"


def test_an_account_without_phones(tmp_path: Path) -> None:
    with a_move(tmp_path / "project", cast=()) as move:
        account(move, ACCOUNT.partition("phones:")[0])
        assert "has no phones: set its realm with the account, no move is needed" in refusal(move).message


def test_nowhere_to_publish(move: Move) -> None:
    """Found here: that was noticed in the first wave, at night."""
    move.write_config(lambda text: text.partition("phones:")[0])
    error = refusal(move)
    assert "where phones fetch their files is not said" in error.message


def test_a_phone_that_can_t_be_rendered(move: Move) -> None:
    """Found here: that, too, was noticed at night."""
    folder = move.directory / "templates" / "grandstream" / "grp"
    folder.mkdir(parents=True)
    (folder / "family.j2").write_text("{{ phone.nothing.like.it }}\n")
    message = refusal(move).message
    assert message.startswith("Desk 3: ")
    assert "Desk 1" not in message


def test_in_a_cutover_phones_that_stay_are_cut_off_and_the_plan_says_so(move: Move) -> None:
    notes = planned(move, playbook="realm-cutover").notes
    assert f"this playbook keeps nobody at {OLD}: calls will not reach Softphone" in notes


# --- DNS, playbooks ---------------------------------------------------------------------------------------------------


def test_dns_that_would_not_be_whole(move: Move) -> None:
    zone = move.directory / "voice.example.com.zone"
    zone.write_text(zone.read_text() + "acme IN MX 5 mail.elsewhere.example.\n")
    error = refusal(move, RefusedError)
    assert error.message.startswith(f"the DNS of {NEW} would not be whole: ")
    assert f"realmkit dns lint {NEW}" in str(error.hint)


def test_a_zone_that_can_t_be_read(move: Move) -> None:
    (move.directory / "voice.example.com.zone").write_text("nonsense\n")
    with pytest.raises(RealmkitError, match=r"voice\.example\.com\.zone"):
        planned(move)


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"playbook": "realm-migratoin"}, "did you mean 'realm-migration'"),
        ({"playbook": "ours"}, r"ours\.yml:14:\d+: .*unknown key"),
        ({"inputs": {"wavs": "1"}}, "did you mean 'waves'"),
        ({"inputs": {"waves": "1,5%"}}, "the last wave must be 100%"),
        ({"inputs": {"bake": "a day"}}, "--set bake=a day: .*no duration"),
    ],
)
def test_playbooks_and_inputs_with_a_slip(more: dict[str, Any], words: str, move: Move) -> None:
    from tests.unit.test_migrate_playbook import edited

    (move.directory / "playbooks").mkdir()
    (move.directory / "playbooks" / "ours.yml").write_text(edited("    waves: $shape", "    wavs: $shape"))
    assert re.search(words, refusal(move, **more).message)


def test_no_platform_is_configured(move: Move) -> None:
    move.write_config(lambda text: re.sub("  kazoo: .*\n", "", text))
    with pytest.raises(InputError, match=r"the platform's API is not configured"):
        operations.make_plan(move.desk(), Request("acme"))


# --- plans on disk, approvals -----------------------------------------------------------------------------------------


@pytest.fixture
def journal(move: Move) -> Iterator[Journal]:
    """One on disk, which can be locked."""
    with Journal.of(move.project.state_dir) as one:
        move.journal = one
        yield one


def test_a_plan_replaces_another_until_something_was_begun(move: Move, journal: Journal) -> None:
    first = planned(move)
    operations.keep_plan(journal, first)
    operations.approve(journal, "acme", "Jane", None, move.clock.now())
    second = planned(move, inputs={"bake": "2h"})
    operations.keep_plan(journal, second)
    assert (move.state.digest, move.state.approval) == (second.digest, None)
    assert move.run().why.startswith("nobody has approved this plan")
    operations.approve(journal, "acme", "Jane", None, move.clock.now())
    assert move.run(horizon=20).kind == "wait"
    with pytest.raises(RefusedError, match=rf"the move of acme to {NEW} is under way"):
        operations.keep_plan(journal, planned(move))


def test_a_plan_is_not_exchanged_under_a_runner_s_feet(move: Move, journal: Journal) -> None:
    """Found here: a plan could be replaced while another process carried it out."""
    plan = planned(move)
    with (
        Journal.of(move.project.state_dir) as other,
        other.only_runner("acme"),
        pytest.raises(StateError, match="another realmkit is at work on acme"),
    ):
        operations.keep_plan(journal, plan)
    assert journal.events("acme") == []


def test_a_move_that_is_over_can_be_followed_by_another(move: Move, journal: Journal) -> None:
    move.plan()
    assert move.run().why == "moved"
    move.write_config(lambda text: text.replace(f"{OLD}: {{}}", f"{OLD}: {{account: acme}}"))
    operations.keep_plan(journal, back := planned(move))  # the one realm of the two that it has not
    assert (back.old, back.new) == (NEW, OLD)
    assert move.state.moved == set()


def test_approvals(move: Move, journal: Journal) -> None:
    now = move.clock.now()
    with pytest.raises(InputError, match=r"no migration is called 'acme'; planned are: none"):
        operations.approve(journal, "acme", "Jane", None, now)
    operations.keep_plan(journal, planned(move))
    assert operations.approve(journal, "acme", "Jane", None, now).until == now + timedelta(days=21)
    assert operations.approve(journal, "acme", "Jane", "7d", now).until == now + timedelta(days=7)
    for text in ("a week", "99999999w", "-1d"):
        with pytest.raises(InputError, match=r"--for: .*no duration|--for: .*ten years"):
            operations.approve(journal, "acme", "Jane", text, now)
    assert len(journal.events("acme")) == 3


def test_a_playbook_that_waits_for_no_approval_wants_one_for_its_waves_all_the_same(
    move: Move, journal: Journal
) -> None:
    """Found here: an approval without a length of its own had expired when it was given."""
    text = (Path(operations.__file__).parents[2] / "playbooks" / "realm-migration.yml").read_text()
    text = re.sub(r"  - id: approval\n.*?(?=  - id: as-planned)", "", text, flags=re.DOTALL)
    (move.directory / "playbooks").mkdir()
    (move.directory / "playbooks" / "ours.yml").write_text(text)
    operations.keep_plan(journal, planned(move, playbook="ours", inputs={"bake": "1h", "watch": "5m"}))
    assert move.run().why.startswith("nobody has approved this plan")
    operations.approve(journal, "acme", "Jane", None, move.clock.now())
    assert move.run().why == "moved"


def test_without_an_approval_or_with_an_old_one_nothing_is_done(move: Move) -> None:
    before = move.world()
    move.plan(approved=False)
    assert move.run().why == "nobody has approved this plan: realmkit migrate approve acme --as YOU"
    operations.approve(move.journal, "acme", "Jane", "1h", move.clock.now())
    move.clock.sleep(3600)
    assert "the approval by Jane expired on" in move.run().why
    assert move.world() == before
    assert not move.state.begun


def test_turning_back_what_was_never_begun_or_is_on_its_way_back_already(move: Move) -> None:
    move.plan(approved=False)
    with pytest.raises(RefusedError, match=r"nothing was changed, so there is nothing to take back"):
        move.turn_back()
    operations.approve(move.journal, "acme", "Jane", None, move.clock.now())
    move.run(horizon=20)
    assert move.turn_back().why == "turned back"
    with pytest.raises(RefusedError, match=r"on its way back already"):
        operations.check_turn(move.state)


# --- the commands' own way --------------------------------------------------------------------------------------------


def test_carry_tells_what_waits_without_opening_any_tool(
    move: Move, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For cron, every few minutes, for days: no login, no request."""

    def no_tools(*_: object) -> None:
        raise AssertionError("a tool was opened")

    monkeypatch.setattr(operations, "open_kit", no_tools)
    operations.keep_plan(journal, planned(move))
    state, decision = carry.carry(move.desk(), "acme", carry.Order("tick"))
    assert (decision.kind, decision.until, state.begun) == ("wait", None, False)


def test_carry_refuses_what_it_does_not_know_and_what_somebody_else_carries(move: Move, journal: Journal) -> None:
    operations.keep_plan(journal, planned(move))
    with pytest.raises(InputError, match=r"no migration is called 'beta'; planned are: acme"):
        carry.carry(move.desk(), "beta", carry.Order("Jane"))
    with journal.only_runner("acme"), pytest.raises(StateError, match="another realmkit is at work on acme"):
        carry.carry(move.desk(), "acme", carry.Order("Jane"))


def test_tick_keeps_quiet_about_a_move_that_somebody_runs(move: Move) -> None:
    """Cron comes every few minutes, also while `migrate run` is at it."""
    plan = planned(move)
    directory = move.desk().project.state_dir
    with Journal.of(directory) as journal:
        operations.keep_plan(journal, plan)
        operations.approve(journal, "acme", "Jane", None, plan.made)
        with journal.only_runner("acme"):
            told = CliRunner().invoke(cli.root, ["-C", str(move.directory), "migrate", "tick"], standalone_mode=False)
    assert (told.output, told.return_value) == ("", 75)
