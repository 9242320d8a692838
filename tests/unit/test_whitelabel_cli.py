"""`realmkit whitelabel` as somebody types it, against a sandbox platform over HTTP."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from realmkit import errors
from realmkit.cli import show_whitelabel
from realmkit.cli.whitelabel import whitelabel
from realmkit.dns import names
from realmkit.dns.findings import Finding
from realmkit.dns.work import planfile
from realmkit.dns.work.verify import Report
from realmkit.errors import InputError, RefusedError
from realmkit.sandbox.crossbar import CrossbarServer
from realmkit.whitelabel import brandfile
from realmkit.whitelabel.verify import Verdict
from tests.unit.brands import DOMAIN, Place, png

DOCS = Path(__file__).parents[2] / "docs" / "whitelabel.md"


class Typed(Place):
    """A place whose platform listens on loopback."""

    def connect(self, url: str) -> None:
        config = self.directory / "realmkit.yml"
        entry = f'platform:\n  kazoo: {{url: "{url}", api_key: "file:kazoo.key"}}'
        config.write_text(config.read_text().replace("platform:", entry, 1))
        (self.directory / "kazoo.key").write_text(self.sandbox.cluster.api_key(self.sandbox.reseller) + "\n")

    def run(self, *args: str) -> Result:
        setting = {"directory": str(self.directory), "verbose": False}
        return CliRunner().invoke(whitelabel, list(args), obj=setting, standalone_mode=False)


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Typed]:
    there = Typed(tmp_path)
    there.sandbox.cluster.switches.buckets = False
    with CrossbarServer(there.sandbox.cluster) as server:
        there.connect(server.url)
        yield there


def test_a_plan_says_the_faults_first_and_then_records_and_brand(place: Typed) -> None:
    shown = place.run("plan", DOMAIN)
    assert shown.return_value == errors.OK
    order = ["7 faults in the platform's answer", "mended here", "SIP02", f"zone {DOMAIN}.", "brand of account Acme"]
    found = [shown.output.index(text) for text in order]
    assert found == sorted(found)


def test_check_tells_pending_held_and_done_apart(place: Typed) -> None:
    assert place.run("plan", DOMAIN, "--check").return_value == errors.WARNING
    assert place.run("apply", DOMAIN, "--yes", "--deadline", "0").return_value == errors.OK
    assert place.run("plan", DOMAIN, "--check").return_value == errors.OK
    place.write(base="domain: {domain}\naccount: Acme\n")
    assert place.run("plan", DOMAIN, "--check").return_value == errors.CRITICAL


def test_without_a_terminal_nothing_is_done_unasked(place: Typed) -> None:
    before = place.zone()
    shown = place.run("apply", DOMAIN)
    assert shown.exception is not None
    assert "--yes" in str(shown.exception)
    assert place.zone() == before


def test_a_plan_that_is_held_back_is_refused_with_what_lifts_it(place: Typed) -> None:
    place.write(base="domain: {domain}\naccount: Acme\n")
    shown = place.run("apply", DOMAIN, "--yes")
    assert isinstance(shown.exception, RefusedError)
    assert "WL03" in shown.exception.message
    assert "--allow WL03" in shown.output


def test_the_records_alone_leave_the_brand_alone(place: Typed) -> None:
    plan = json.loads(place.run("plan", DOMAIN, "--dns-only", "--json").output)
    assert (plan["account"], plan["document"]) == ("", [])
    assert place.run("apply", DOMAIN, "--yes", "--dns-only", "--deadline", "0").return_value == errors.OK
    assert "us-west" in place.zone()
    assert list(place.sandbox.cluster.store.all("whitelabel")) == []


def test_a_saved_template_needs_no_platform(tmp_path: Path) -> None:
    place = Typed(tmp_path)
    place.put("saved.json", json.dumps(place.template).encode())
    place.write("template: saved.json\n")
    assert place.run("plan", DOMAIN, "--dns-only", "--check").return_value == errors.WARNING
    missing = place.run("plan", DOMAIN)
    assert isinstance(missing.exception, InputError)
    assert "platform.kazoo is missing" in missing.exception.message


def test_the_plan_of_the_records_can_be_kept(place: Typed) -> None:
    path = place.directory / "records.json"
    place.run("plan", DOMAIN, "--out", str(path))
    assert planfile.read(path).plan.size > 10


def test_a_verdict_is_told_whole(place: Typed) -> None:
    place.run("apply", DOMAIN, "--yes", "--deadline", "0")
    shown = json.loads(place.run("verify", DOMAIN, "--json").output)
    assert shown["exit_code"] == errors.UNKNOWN  # nobody answers at the zone's name server
    assert {one["state"] for one in shown["verification"]["records"]} == {"unknown"}
    assert shown["opinions"]
    assert "the platform's own test agrees on" in place.run("verify", DOMAIN).output


def test_what_could_not_be_told_can_be_shown() -> None:
    told = Finding("SCR07", "unknown", "portal.example.com. port 443", "could not be looked at", mend="look")
    verdict = Verdict(Report((), (), ()), None, [told], [])
    assert "unknown  SCR07" in show_whitelabel.verdict_text(verdict, right=False)
    assert verdict.exit_code == errors.UNKNOWN


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (("plan", "nowhere.example.com"), "no such file"),
        (("plan", "a/b.example.com"), "can't be a domain"),
        (("plan", "a..b"), "empty label"),
        (("plan", DOMAIN, "--allow", "everything"), "no guard"),
        (("apply", DOMAIN, "--code", "1234"), "ADDRESS=CODE"),
        (("apply", DOMAIN, "--code", "x@y.example=1234"), "is no sender"),
    ],
)
def test_bad_usage_is_one_clear_error(place: Typed, args: tuple[str, ...], words: str) -> None:
    error = place.run(*args).exception
    assert isinstance(error, InputError)
    assert words in error.message


def test_a_key_goes_to_the_platform_with_its_sender(place: Typed) -> None:
    key = ed25519.Ed25519PrivateKey.generate()
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    place.put("key.pem", key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    (place.directory / "dkim.pem").write_bytes(pem)
    sender = f'{{email: info@{DOMAIN}, selector: s1, public_key: key.pem, private_key: "file:dkim.pem"}}'
    place.write(f"senders: [{sender}]\nspf: v=spf1 -all\n")
    shown = place.run("apply", DOMAIN, "--yes", "--deadline", "0")
    assert shown.return_value == errors.WARNING
    (stored,) = place.sandbox.cluster.store.all("sender")
    assert stored.private["key"] == pem
    (code,) = place.sandbox.cluster.catalogue.codes.values()
    assert place.run("apply", DOMAIN, "--yes", "--code", f"info@{DOMAIN}={code}").return_value == errors.OK
    stored.private["key"] = b""
    place.run("apply", DOMAIN, "--yes")
    assert stored.private["key"] == b""
    place.run("apply", DOMAIN, "--yes", "--send-keys")
    assert stored.private["key"] == pem


def test_the_schema_of_the_file_takes_the_file(place: Typed) -> None:
    from jsonschema import Draft202012Validator

    place.put("logo.png", png())
    schema = brandfile.schema()
    Draft202012Validator.check_schema(schema)
    Draft202012Validator(schema).validate(place.file.document.data)


def test_the_file_in_the_documentation_is_valid(tmp_path: Path) -> None:
    text = DOCS.read_text(encoding="utf-8")
    example = text.partition("```yaml\n")[2].partition("```")[0]
    (domain,) = re.findall(r"^domain: (\S+)$", example, re.MULTILINE)
    path = brandfile.path_of(tmp_path, domain)
    path.parent.mkdir()
    path.write_text(example)
    assert brandfile.open_brand(tmp_path, domain).domain == names.absolute(domain)


def test_every_check_of_this_room_is_documented() -> None:
    room = Path(brandfile.__file__).parent
    source = "".join(path.read_text() for path in room.glob("*.py"))
    text = DOCS.read_text(encoding="utf-8")
    ids = set(re.findall(r'"(WL\d\d)"', source))
    assert ids == set(re.findall(r"^\| `(WL\d\d)`", text, re.MULTILINE))
