"""`account new`, the other commands as a shell meets them, and files that come back as they were."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result

from realmkit import accountfile, errors, yamlfile
from realmkit.accounts import memory, wizard, yamltext
from realmkit.accounts.checks import timezones
from realmkit.cli import account as commands
from realmkit.errors import InputError
from realmkit.kazoo.setupdocuments import AccountRow
from realmkit.sandbox.crossbar import CrossbarServer
from tests.unit.accountworld import BRAVO, CHANGED, PROJECT, World

HERE = Path("x.yml")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "realmkit.yml").write_text(PROJECT)
    return tmp_path


def _run(directory: Path, *args: str, said: str | None = None) -> Result:
    obj = {"directory": str(directory), "verbose": False}
    return CliRunner().invoke(commands.account, args, obj=obj, input=said, standalone_mode=False)


def _read(path: Path) -> accountfile.Account:
    return accountfile.read(yamlfile.load(path)).account


# ---- the wizard


def test_every_answer_is_an_option_and_all_land_in_the_file(project: Path) -> None:
    answers = {
        "name": "Acme Corp.", "realm": "acme.voice.example", "timezone": "America/Havana", "language": "en-US",
        "parent": "reseller.example", "address": "1 Main St, Miami, FL, 01234, US",
        "billing": "Ann Lee, ann@acme.example, +15551230000", "technical": "Bo Ray",
        "admins": "Ann Lee <ann@acme.example>, Bo van Ray <bo@acme.example>", "deny": "international, caribbean",
        "twoway_trunks": "4", "inbound_trunks": "0", "outbound_trunks": "1", "prepay": "no", "credit": "25.50",
        "hide": "billing,transactions", "carrier": "partner", "deny_apps": "voicemails, fax",
        "service_plans": "Standard", "contract_ends": "2027-12-31", "announcement": "no: comment # here",
    }  # fmt: skip
    assert set(answers) == {question.key for question in wizard.QUESTIONS}
    args = [part for key, value in answers.items() for part in (f"--{key.replace('_', '-')}", value)]
    result = _run(project, "new", *args)
    assert result.return_value == errors.OK, result.output
    found = _read(project / "accounts" / "acme-corp.yml")
    ann = accountfile.AdminEntry("Ann", "Lee", "ann@acme.example")
    bo = accountfile.AdminEntry("Bo", "van Ray", "bo@acme.example")
    assert found == accountfile.Account(
        name="Acme Corp.", realm="acme.voice.example", timezone="America/Havana", language="en-US",
        parent="reseller.example",
        address=accountfile.AddressEntry(street="1 Main St", city="Miami", state="FL", zip="01234", country="US"),
        contacts=accountfile.ContactsEntry(
            billing=accountfile.ContactEntry("Ann Lee", "ann@acme.example", "+15551230000"),
            technical=accountfile.ContactEntry("Bo Ray"),
        ),
        admins=(ann, bo), restrictions={"international": "deny", "caribbean": "deny"},
        limits=accountfile.LimitsEntry(4, 0, 1, allow_prepay=False), credit=25.5,
        permissions=accountfile.PermissionsEntry(service_plan="show"), carrier="partner",
        apps=accountfile.AppsEntry("all", ("voicemails", "fax")), service_plans=("Standard",),
        notes=accountfile.NotesEntry("no: comment # here", date(2027, 12, 31)),
    )  # fmt: skip


def test_what_is_not_said_is_as_the_guide_advises(project: Path) -> None:
    result = _run(project, "new", "--name", "Zoë's Café", "--timezone", "Europe/Madrid", "--yes")
    assert result.return_value == errors.OK, result.output
    found = _read(project / "accounts" / "zo-s-caf.yml")
    assert found.realm == "zo-s-caf.voice.example"
    assert found.permissions == accountfile.PermissionsEntry()
    assert (found.carrier, found.credit, found.admins, found.limits, found.apps) == ("system", None, None, None, None)


def test_a_person_is_asked_with_advice_until_the_answer_can_be_used(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commands, "_is_asked", lambda: True)
    said = [
        "n", "+++", "Acme", "8dijd6_x.voice.example", "", "Mars/Base", "America/Havana", *[""] * 5,
        "Ann", "Ann Lee <ann@acme.example>", "international,emergncy", "international", *[""] * 11,
    ]  # fmt: skip
    result = _run(project, "new", said="\n".join(said) + "\n")
    assert result.return_value == errors.OK, result.output
    for words in (
        "Is white labelling planned", "Short and recognisable", "at least one letter", "tells nobody whose it is",
        "underscore", "is no IANA time zone", "write First Last", "did you mean 'emergency'?", "see your prices",
    ):  # fmt: skip
        assert words in " ".join(result.output.split()), words
    found = _read(project / "accounts" / "acme.yml")
    assert found.realm == "acme.voice.example"
    assert found.restrictions == {"international": "deny"}
    assert [admin.email for admin in found.admins or ()] == ["ann@acme.example"]


def test_who_has_yet_to_white_label_may_stop_there(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commands, "_is_asked", lambda: True)
    result = _run(project, "new", said="y\nn\n")
    assert isinstance(result.exception, click.Abort)
    assert not (project / "accounts").exists()


def test_a_file_that_exists_is_never_overwritten(project: Path) -> None:
    args = ("new", "--name", "Acme", "--timezone", "Etc/UTC", "--yes")
    assert _run(project, *args).return_value == errors.OK
    before = (project / "accounts" / "acme.yml").read_bytes()
    result = _run(project, *args)
    assert isinstance(result.exception, InputError)
    assert (project / "accounts" / "acme.yml").read_bytes() == before


@pytest.mark.parametrize(
    ("option", "value", "words"),
    [
        ("--realm", "Acme.voice.example", "capital letters"),
        ("--realm", "acme", "one word"),
        ("--timezone", "Havana", "no IANA time zone"),
        ("--admins", "Ann <a@b>", "write First Last"),
        ("--deny", "internatoinal", "did you mean 'international'?"),
        ("--twoway-trunks", "-1", "a number"),
        ("--credit", "-5", "an amount"),
        ("--credit", "0", "an amount"),
        ("--credit", "5.001", "an amount"),
        ("--hide", "prices", "no permission"),
        ("--carrier", "mine", "one of: system"),
        ("--prepay", "maybe", "yes or no"),
        ("--contract-ends", "31.12.2027", "a day such as"),
        ("--billing", "a,b,c,d", "name, e-mail"),
        ("--address", "1,2,3,4,5,6", "street, city"),
        ("--name", "Ωμέγα", "at least one letter"),
        ("--name", "a" * 129, "128 is the most"),
    ],
)
def test_an_option_that_can_not_be_is_one_error_that_names_it(
    project: Path, option: str, value: str, words: str
) -> None:
    good = {"--name": "Acme", "--timezone": "Etc/UTC"} | {option: value}
    result = _run(project, "new", *[part for pair in good.items() for part in pair])
    assert isinstance(result.exception, InputError)
    assert result.exception.message.startswith(f"{option}: ")
    assert words in result.exception.message
    assert not (project / "accounts").exists()


@pytest.mark.parametrize("missing", ["--name", "--timezone", "--realm"])
def test_what_has_no_default_is_asked_for_by_its_option(tmp_path: Path, missing: str) -> None:
    given = {"--name": "Acme", "--timezone": "Etc/UTC", "--realm": "acme.example.com"}
    del given[missing]
    result = _run(tmp_path, "new", *[part for pair in given.items() for part in pair])
    assert isinstance(result.exception, click.UsageError)
    assert missing in result.exception.message


# ---- the commands over HTTP


@pytest.fixture
def served(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path)
    world.file(BRAVO)
    world.cluster.switches.limits_cost_money = world.cluster.switches.plans_cost_money = False
    with CrossbarServer(world.cluster) as server:
        world.write("realmkit.yml", PROJECT.replace("http://crossbar.example/v2", server.url))
        yield world


def _json(result: Result) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def test_the_commands_tell_the_whole_story(served: World) -> None:
    def run(*args: str) -> Result:
        served.platform.clock.sleep(60)  # or the platform would find that somebody logs in too often
        return _run(served.directory, *args)

    result = run("plan", "--check")
    assert result.return_value == errors.WARNING
    for words in ("+ bravo  Bravo, bravo.voice.example, new", "+ limits.twoway_trunks: 4", "1 account: 1 to make"):
        assert words in click.unstyle(result.output)
    assert isinstance(run("apply").exception, click.UsageError)  # nobody to ask
    result = run("apply", "--yes")
    assert result.return_value == errors.OK, result.output
    assert "made, with apps, limits, carrier, service_plans, credit, admins" in result.output
    result = run("plan", "--check", "--json")
    assert result.return_value == errors.OK
    (one,) = _json(result)["accounts"]
    assert (one["kind"], one["read"]) == ("nothing", False)
    result = run("plan", "--deep", "--json")
    assert _json(result)["accounts"][0]["read"]
    assert run("apply", "--yes").output == "1 account: 1 as its file says\n"
    found = _json(run("find", "BRAVO.voice.example", "--json"))["accounts"]
    assert [row["name"] for row in found] == ["Bravo"]
    assert run("find", "nobody").return_value == errors.WARNING
    shown = run("show", "bravo")
    assert "realm: bravo.voice.example" in shown.stdout
    assert _json(run("show", "bravo", "--json"))["account"]["limits"]["twoway_trunks"] == 4
    assert isinstance(run("show", "nobody").exception, InputError)
    served.file(CHANGED)
    result = run("apply", "--yes", "--json", "--accept-charges")
    assert _json(result)["accounts"][0]["whole"]


def test_finding_an_account_takes_three_requests(served: World) -> None:
    served.wire.asked.clear()
    assert served.run(lambda office: office.platform.setup.find("old.voice.example"))[0].name == "Acme"
    assert len(served.wire.asked) <= 3, served.wire.asked


# ---- what needs no reading


def _many(world: World, number: int) -> list[str]:
    return [
        world.cluster.add_account(f"Customer {one}", f"c{one}.voice.example", "America/New_York")
        for one in range(number)
    ]


def test_unchanged_files_cost_the_listing_and_nothing_else(tmp_path: Path) -> None:
    world = World(tmp_path)
    ids = _many(world, 250)
    for one in range(250):
        flow = {"numbers": ["no_match"], "flow": {"module": "offnet", "data": {}, "children": {}}}
        world.cluster.store.add("callflow", ids[one], flow)
        world.file(f"name: Customer {one}\nrealm: c{one}.voice.example\ntimezone: America/New_York\n", f"c{one}")
    assert {plan.kind for plan in world.plans()} == {"nothing"}
    world.wire.asked.clear()
    plans = world.plans()
    assert all(plan.unread for plan in plans)
    assert len(world.wire.asked) <= 2 + 3  # login, own account, three pages
    world.file("name: Customer 7\nrealm: c7.voice.example\ntimezone: America/Chicago\n", "c7")
    world.platform.clock.sleep(60)
    data = world.ask("GET", ids[8])
    world.ask("POST", ids[8], data | {"name": "Renamed by somebody"})
    plans = world.plans()
    assert {plan.name: [change.section for change in plan.changes] for plan in plans if not plan.unread} == {
        "c7": ["timezone"], "c8": ["name"],
    }  # fmt: skip
    data = world.ask("GET", ids[9])
    world.ask("POST", ids[9], data | {"timezone": "Etc/UTC"})  # no listing shows that
    assert "c9" not in {plan.name for plan in world.plans() if plan.changes}
    assert {plan.name for plan in world.plans(deep=True) if plan.changes} == {"c7", "c8", "c9"}


def test_an_account_that_is_gone_is_planned_anew_with_a_word(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.file(BRAVO)
    world.apply()
    gone = world.plan().id or ""
    world.cluster.store.remove(next(one for one in world.cluster.store.all("account") if one.id == gone))
    plan = world.plan()
    assert plan.kind == "create"
    assert any(gone in notice for notice in plan.notices)
    (outcome,) = world.apply()
    assert outcome.whole
    assert outcome.id != gone
    assert [one["amount"] for one in world.stored("ledger")] == [25.5]  # the one that is gone had its own


def test_the_memory_survives_torn_lines_and_foreign_ones(tmp_path: Path) -> None:
    held = memory.Memory(tmp_path)
    one = memory.Applied("a", "d", "i", "r", "A", "a.example", "1-x", ("opening",))
    held.put(one)
    with (tmp_path / memory.FILE).open("ab") as file:
        file.write(b'{"name": "of a later version", "x": 1}\n{"name": "torn')
    assert memory.Memory(tmp_path).get("a") == one
    assert memory.Memory(tmp_path).get("torn") is None
    held = memory.Memory(tmp_path)
    for number in range(300):
        held.put(memory.Applied("a", str(number), "i", "r", "A", "a.example"))
    assert len((tmp_path / memory.FILE).read_bytes().splitlines()) < 200
    found = memory.Memory(tmp_path).get("a")
    assert found is not None
    assert found.digest == "299"


def test_a_row_is_another_one_when_anything_in_it_is() -> None:
    rows = [
        AccountRow("1", "a", "b", ("c",)), AccountRow("1", "a", "b"), AccountRow("1", "A", "b"),
        AccountRow("1", "a", "B"), AccountRow("2", "a", "b"), AccountRow("1", "a", "b", ("c", "d")),
    ]  # fmt: skip
    assert len({memory.row_digest(row) for row in rows}) == len(rows)


# ---- YAML

NASTY = [
    "", " ", "no", "NO", "yes", "true", "null", "~", "1", "1.5", "+1555", "01234", "1e3", "0x10", "2027-12-31", "a: b",
    "a #b", "- a", "[a]", "{a}", "&a", "*a", "!a", "|", ">", "%a", "@a", "`a", "'a'", '"a"', "a\\b", "a\nb", "a\tb",
    "a\rb", "\u0085", "\u2028", "\x7f", "\x00", "😀", "Ωμέγα", "a ", " a", "a:", ":a", "?", "? a", ".inf", ".nan",
    "a,b", "-", "--", "---", "...", "\ufeff", "\ud7ff", "\ue000", "\U0010ffff", "08:30", "=", "<<", "y", "on",
]  # fmt: skip


@pytest.mark.parametrize("value", NASTY)
def test_every_text_comes_back_from_yaml_as_it_was(value: str) -> None:
    key = value.replace("<<", "<")  # merge keys are refused, however they are written
    data = {"a": value, "b": [value, {"c": value}], "d": {key: {"e": value}}, "f": [{"g": value, "h": [value]}]}
    assert yamlfile.loads(yamltext.dump(data), HERE).data == data


def test_numbers_lists_and_nothing_come_back_from_yaml_as_they_were() -> None:
    data: dict[str, Any] = {
        "a": 1,
        "b": 2.5,
        "c": True,
        "d": None,
        "e": [],
        "f": {},
        "g": [[1, 2], []],
        "h": [{"i": {"j": [1]}}, {}],
    }
    assert yamlfile.loads(yamltext.dump(data), HERE).data == data
    assert yamltext.dump({"a": 25.0, "b": date(2027, 1, 2)}) == 'a: 25\nb: "2027-01-02"\n'


def test_long_lists_and_mappings_come_back_too() -> None:
    data = {"a": ["word" * 5] * 30, "b": {f"k{one}": "v" * 30 for one in range(9)}, "c": [{"d": "e" * 120}]}
    assert yamlfile.loads(yamltext.dump(data), HERE).data == data


def test_files_of_before_are_still_read_and_the_schema_knows_every_section() -> None:
    old = (
        "name: Acme\ntimezone: America/New_York\n"
        'sites: [{name: HQ, hours: "Mo-Fr 08:00-18:00"}]\nphones: {x: {moves: never}}\n'
    )
    found = accountfile.read(yamlfile.loads(old, HERE)).account
    assert (found.sites[0].name, found.phones["x"].moves, found.admins) == ("HQ", "never", None)
    from jsonschema import Draft202012Validator

    validator = Draft202012Validator(accountfile.schema())
    for text in (old, BRAVO, CHANGED):
        assert list(validator.iter_errors(yamlfile.loads(text, HERE).data)) == []
    for bad in ("credit: -1", "carrier: x", "restrictions: {a: b}", "admins: [{email: x}]", "nosuch: 1"):
        assert not validator.is_valid(yamlfile.loads(old + bad, HERE).data), bad


def test_the_file_in_the_documentation_is_valid_and_has_every_section() -> None:
    page = (Path(__file__).parents[2] / "docs" / "accounts.md").read_text(encoding="utf-8")
    data = yamlfile.loads(page.partition("```yaml\n")[2].partition("```")[0], HERE)
    accountfile.read(data)
    assert set(data.data) == set(accountfile.Account.__struct_fields__) - {"id", "sites", "phones"}
    assert all(f"`{name}`" in page for name in accountfile.PermissionsEntry.__struct_fields__)


def test_time_zones_are_the_packages() -> None:
    assert {"America/Havana", "UTC", "Europe/Berlin"} <= timezones()
    assert "Factory" not in timezones()
