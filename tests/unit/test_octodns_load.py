"""Finding and building octoDNS's classes: slips said in one line, secrets revealed and never shown, logs kept quiet."""

from __future__ import annotations

import logging
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from realmkit.clock import SystemClock
from realmkit.config import open_project
from realmkit.dns import names, registry
from realmkit.dns.about import about
from realmkit.dns.provider import Context, limits_of
from realmkit.errors import InputError, MissingExtraError, RealmkitError, SecretError, UnreachableError
from realmkit_providers.octodns import OctoDns, OctoDnsSettings
from tests.unit.octodns_memory import STORES, Store

APEX = names.absolute("z.example")
HERE = "tests.unit.octodns_memory"
SECRET = 'hunter2 \\ "it\'s"'


def provider(path: str, arguments: dict[str, Any] | None = None) -> OctoDns:
    context = Context(Path(), "acme", lambda _: SECRET, SystemClock())
    return OctoDns(OctoDnsSettings(path, arguments or {}), context)


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Store:
    there = Store({("z.example.", "NS"): (300, ("ns1.example.",)), ("a.z.example.", "A"): (300, ("192.0.2.1",))})
    monkeypatch.setitem(STORES, "it", there)
    return there


def failure(path: str, arguments: dict[str, Any] | None = None) -> RealmkitError:
    with pytest.raises(RealmkitError) as caught:
        provider(path, arguments).snapshot(APEX)
    error = caught.value
    said = f"{error} {error.hint} {error!r} {error.__cause__!r}"
    assert "hunter2" not in said
    assert "\n" not in error.message
    return error


# --- the class ------------------------------------------------------------------------------------------------


def test_a_package_that_is_not_installed() -> None:
    error = failure("octodns_nosuchservice.NoSuchProvider")
    assert isinstance(error, MissingExtraError)
    assert error.hint == "pip install octodns-nosuchservice"


def test_a_package_that_a_package_needs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "octodns_halfthere.py").write_text("import nosuchsdk_of_anyone\n")
    (tmp_path / "octodns_broken.py").write_text("raise RuntimeError('at import')\n")
    monkeypatch.syspath_prepend(tmp_path)
    error = failure("octodns_halfthere.Provider")
    assert isinstance(error, MissingExtraError)
    assert error.hint == "pip install nosuchsdk-of-anyone"
    assert "RuntimeError: at import" in failure("octodns_broken.Provider").message
    assert "no module octodns_powerdns.nosuch" in failure("octodns_powerdns.nosuch.Provider").message


def test_octodns_itself_is_missing_or_too_old(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "octodns.record.rr", None)
    error = failure(f"{HERE}.Memory")
    assert isinstance(error, MissingExtraError)
    assert "1.22" in error.message


def test_a_class_that_is_not_there_is_told_with_those_that_are() -> None:
    error = failure("octodns_powerdns.Provider")
    assert isinstance(error, InputError)
    assert "it has PowerDnsBaseProvider, PowerDnsProvider" in error.message
    assert "it has no provider at all" in failure("octodns.zone.Provider").message


@pytest.mark.parametrize("name", ["OnlyASource", "STORES", "BaseProvider"])
def test_what_is_no_provider(name: str) -> None:
    error = failure(f"{HERE}.{name}")
    assert isinstance(error, InputError)
    assert "no provider that can be read and written" in error.message


@pytest.mark.parametrize("path", ["PowerDnsProvider", "", "octodns_powerdns.", "a b.C", "a-b.C", ".C", "a..C"])
def test_what_is_no_path_of_a_class(path: str) -> None:
    import msgspec

    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"class": path}, OctoDnsSettings)


# --- the arguments --------------------------------------------------------------------------------------------


def test_an_argument_that_is_missing_or_unknown() -> None:
    error = failure("octodns_powerdns.PowerDnsProvider", {"hosts": "192.0.2.53", "api_key": "env:KEY"})
    assert error.message == "octodns: octodns_powerdns.PowerDnsProvider lacks host and has no hosts"
    hint = error.hint or ""
    for word in ("host, api_key, port=", "server_id=", "strict_supports="):
        assert word in hint
    assert " id" not in hint


@pytest.mark.parametrize("mood", ["type", "value", "octodns"])
def test_a_value_that_the_class_refuses(store: Store, mood: str) -> None:
    error = failure(f"{HERE}.Grumpy", {"store": "it", "mood": mood, "password": "env:PASSWORD"})
    assert isinstance(error, InputError)
    assert "mood" in error.message
    assert "(secret)" in error.message


def test_a_class_that_asks_when_it_is_made(store: Store) -> None:
    error = failure(f"{HERE}.Grumpy", {"store": "it", "mood": "network", "password": "env:PASSWORD"})
    assert isinstance(error, UnreachableError)
    assert "(secret)" in error.message


def test_what_can_be_seen_without_the_class() -> None:
    with pytest.raises(InputError, match="`id`"):
        provider("octodns_nosuch.P", {"id": "mine"})
    with pytest.raises(InputError) as caught:
        provider("octodns_nosuch.P", {"deep": [{"token": "env/TOKEN"}]})
    assert caught.value.hint == "write env:NAME"


def test_secrets_are_revealed_at_any_depth_and_nothing_else_is(store: Store) -> None:
    deep: dict[str, Any] = {
        "tokens": ["file:token", "plain", 7, None, True],
        "more": {"k": "keyring:a/b", "url": "https://x/env:y"},
    }
    there = provider(f"{HERE}.Memory", {"store": "it", "password": "env:PASSWORD", "deep": deep})
    foreign = there._foreign().provider
    assert foreign.password == SECRET
    assert foreign.deep == {"tokens": [SECRET, "plain", 7, None, True], "more": {"k": SECRET, "url": "https://x/env:y"}}
    assert deep["tokens"][0] == "file:token", "the settings keep the reference"
    assert "hunter2" not in repr(there)


def test_a_secret_is_not_shown_by_whatever_fails(store: Store) -> None:
    texts = (SECRET, repr(SECRET), f"https://u:{SECRET}@api/?x", "x" * 2000)

    def fail(_: int) -> None:
        raise RuntimeError("\n".join(texts))

    store.before_read = fail
    error = failure(f"{HERE}.Memory", {"store": "it", "password": "env:PASSWORD"})
    assert error.message.count("(secret)") == 3
    assert len(error.message) < 700


def test_a_secret_that_is_not_there(store: Store) -> None:
    settings = OctoDnsSettings(f"{HERE}.Memory", {"store": "it", "password": "env:REALMKIT_TEST_NO_SUCH"})
    there = OctoDns(settings, Context(Path(), "acme", lambda secret: secret.reveal(Path()), SystemClock()))
    with pytest.raises(SecretError, match="REALMKIT_TEST_NO_SUCH is not set"):
        there.snapshot(APEX)


# --- as the user writes it ------------------------------------------------------------------------------------

CONFIG = """
version: 1
platform: {edge: {proxies: [{host: us.example.net, addresses: [198.51.100.10]}], transports: {udp: 5060}}}
providers:
  it:
    type: octodns
    class: tests.unit.octodns_memory.Memory
    arguments: {store: it, password: "file:secret"}
    max_changes: 5
zones: {z.example: {provider: it}}
"""


def test_it_is_built_from_a_project(tmp_path: Path, store: Store) -> None:
    (tmp_path / "realmkit.yml").write_text(CONFIG)
    (tmp_path / "secret").write_text("the secret\n")
    there = registry.build(open_project(tmp_path), "it", SystemClock())
    assert len(there.snapshot(APEX).rrsets) == 2
    assert limits_of(there, APEX).max_changes == 5


@pytest.mark.parametrize("line", ["class_: a.B", "class: PowerDns", "max_changes: 0", "arguments: [1]"])
def test_a_slip_in_the_file_has_its_line(tmp_path: Path, line: str) -> None:
    key = line.partition(":")[0]
    kept = [one for one in CONFIG.splitlines() if one.strip().partition(":")[0] != key]
    kept.insert(kept.index("    type: octodns") + 1, f"    {line}")
    (tmp_path / "realmkit.yml").write_text("\n".join(kept))
    with pytest.raises(InputError, match=r"realmkit\.yml:\d+"):
        registry.build(open_project(tmp_path), "it", SystemClock())


def test_what_it_says_of_itself_is_true() -> None:
    said = about(registry.available()["octodns"])
    assert said is not None
    assert "octodns_powerdns.PowerDnsProvider" in said.example
    assert "**not atomic**" in said.text
    names_of_packages = said.text[said.text.index("octoblox") : said.text.index(": 44")].split(",")
    assert len(names_of_packages) == 44


# --- quiet, cheap, from several threads -----------------------------------------------------------------------


def test_importing_it_is_cheap() -> None:
    code = (
        "import sys, realmkit_providers.octodns;print([m for m in ('octodns', 'dns', 'requests') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


PROGRAM = """
import logging, sys
from pathlib import Path
from realmkit.clock import SystemClock
from realmkit.dns import names
from realmkit.dns.provider import Context
from realmkit_providers.octodns import OctoDns, OctoDnsSettings
from tests.unit.octodns_memory import STORES, Store
if sys.argv[1:] == ["-v"]:
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(name)s %(message)s")
STORES["it"] = Store({("z.example.", "NS"): (300, ("ns1.example.",)), ("a.z.example.", "SRV"): (300, ("1 1 1 x.",))})
settings = OctoDnsSettings("tests.unit.octodns_memory.Memory", {"store": "it"})
print(OctoDns(settings, Context(Path(), "o", str, SystemClock())).snapshot(names.absolute("z.example")).rrsets)
"""


def test_its_loggers_say_nothing_unless_they_are_asked() -> None:
    quiet = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    assert quiet.stderr == ""
    assert r"\x01a\x01z" in quiet.stdout
    loud = subprocess.run([sys.executable, "-c", PROGRAM, "-v"], capture_output=True, text=True, check=True)
    assert "Memory[realmkit] made with a warning" in loud.stderr
    assert "invalid name for SRV record" in loud.stderr
    assert "validators" not in loud.stderr, "they are enabled before octoDNS would do so by itself, and say so"


def test_building_it_often_adds_no_handlers(store: Store) -> None:
    there = provider(f"{HERE}.Memory", {"store": "it"})
    for _ in range(3):
        there.snapshot(APEX)
    for name in ("Record", "Zone", "Memory[realmkit]"):
        assert len(logging.getLogger(name).handlers) == 1


def test_several_threads_read_at_once(store: Store) -> None:
    there = provider(f"{HERE}.Memory", {"store": "it"})
    with ThreadPoolExecutor(8) as pool:
        seen = list(pool.map(lambda _: there.snapshot(APEX), range(40)))
    assert all(one == seen[0] for one in seen)
    assert store.made == 40
