from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import jsonschema
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from realmkit import accountfile, config, yamlfile
from realmkit.dns import registry
from realmkit.errors import InputError, SecretError
from realmkit.secrets import Secret
from tests.unit.make import PROJECT, project

FILE = Path("realmkit.yml")


@pytest.mark.parametrize(
    ("old", "new", "where", "what"),
    [
        ("priority: 10", "prority: 10", ":5:", r"proxies\.0\.prority: unknown key; did you mean 'priority'\?"),
        ("realms:", "relms:", ":13:", "relms: unknown key; did you mean 'realms'"),
        ("version: 1", "version: 2", ":1:", "version: invalid enum value 2"),
        ("udp: 5060", "udp: 70000", ":7:", "transports.udp: expected int <= 65535"),
        ("udp: 5060", "udp: yes", ":7:", "transports.udp: expected int, got str"),
        ("udp: 5060", "sctp: 5060", ":7:", "transports.sctp: invalid enum value 'sctp'"),
        ("preference: 10", 'preference: "10"', ":8:", "mail.0.preference: expected int, got str"),
        ("{account: acme}", "{shape: wild}", ":14:", "acme.voice.example.com.shape: invalid enum value 'wild'"),
        ("{account: acme}", "[acme]", ":14:", "acme.voice.example.com: expected object"),
        ("version: 1\n", "", "realmkit.yml: ", "the key 'version' is missing"),
    ],
)
def test_a_slip_is_named_with_file_line_and_path(old: str, new: str, where: str, what: str) -> None:
    with pytest.raises(InputError, match=what) as caught:
        project(PROJECT.replace(old, new, 1))
    assert "realmkit.yml" in caught.value.message
    assert where in caught.value.message


def test_all_slips_are_named_at_once() -> None:
    text = PROJECT.replace("priority: 10", "prority: 10").replace("udp: 5060", "udp: 70000")
    with pytest.raises(InputError) as caught:
        project(text)
    assert caught.value.message.count("realmkit.yml:") == 2


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("a: 1\nb: 2\na: 3\n", ":3:1: the key 'a' appears twice"),
        ("a: {b: 1, b: 2}\n", "the key 'b' appears twice"),
        ("a: [1, 2\n", "no valid YAML"),
        ("a: !!python/object:os.system x\n", "tags such as"),
        ("a: 1\n---\nb: 2\n", "more than one YAML document"),
        ("a: &x {b: 1}\nc: {<<: *x}\n", "merge keys"),
        ("a: *nowhere\n", "alias"),
        ("a: &a [x]\nb: &b [*a, *a]\n", "inside an anchored value"),
        ("? [a]\n: b\n", "a key must be a plain word"),
        ("x: " + "[" * 50 + "]" * 50 + "\n", "nested deeper"),
    ],
)
def test_yaml_is_strict(text: str, what: str) -> None:
    with pytest.raises(InputError) as caught:
        yamlfile.loads(text, FILE)
    assert what in caught.value.message


def test_scalars_follow_yaml_1_2() -> None:
    document = yamlfile.loads("[NO, on, 08:30, 1.5, 0x10, -3, ~, true, '5', 1_000, 2026-11-22]", FILE)
    assert document.data == ["NO", "on", "08:30", 1.5, "0x10", -3, None, True, "5", "1_000", "2026-11-22"]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**40), 2**40) | st.text(st.characters(exclude_categories=["C"])),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text("abc", min_size=1), inner, max_size=4),
    max_leaves=20,
)


@given(JSON)
def test_plain_data_is_read_as_it_was_written(data: object) -> None:
    assert yamlfile.loads(yaml.safe_dump(data), FILE).data == data
    assert yamlfile.loads(json.dumps(data, ensure_ascii=False), FILE).data == data


def test_the_place_of_a_value() -> None:
    document = yamlfile.loads(PROJECT, FILE)
    assert document.place(("realms", "acme.voice.example.com", "account")) == (14, 28)
    assert document.place(("platform", "edge", "proxies", 1, "host")).line == 6
    assert document.place(("realms", "nobody", "account")).line == 13


def test_a_secret_in_the_configuration_is_refused_and_not_repeated() -> None:
    text = PROJECT.replace("platform:\n", "platform:\n  kazoo: {url: 'https://x', api_key: 'hunter2hunter2'}\n")
    with pytest.raises(InputError, match="may be the secret itself") as caught:
        project(text)
    assert "hunter2" not in caught.value.message
    assert "platform.kazoo.api_key" in caught.value.message


def test_secrets_are_fetched_at_the_edge(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "tsig.key").write_text("s3cret\n")
    assert Secret("file:tsig.key").reveal(tmp_path) == "s3cret"
    monkeypatch.setenv("REALMKIT_TEST_KEY", "from-env")
    assert Secret("env:REALMKIT_TEST_KEY").reveal(tmp_path) == "from-env"
    assert "s3cret" not in repr(Secret("file:tsig.key"))
    for reference in ("env:REALMKIT_NOT_SET", "file:nowhere.key", "file:."):
        with pytest.raises(SecretError):
            Secret(reference).reveal(tmp_path)


def test_secrets_in_a_keyring(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import keyring
    from keyring.backend import KeyringBackend

    class Memory(KeyringBackend):
        priority = 1.0

        def get_password(self, service: str, username: str) -> str | None:
            return "kept" if (service, username) == ("realmkit", "pdns") else None

        def set_password(self, service: str, username: str, password: str) -> None:
            raise NotImplementedError

    before = keyring.get_keyring()
    make: Callable[[], KeyringBackend] = Memory
    keyring.set_keyring(make())
    try:
        assert Secret("keyring:realmkit/pdns").reveal(tmp_path) == "kept"
        with pytest.raises(SecretError):
            Secret("keyring:realmkit/other").reveal(tmp_path)
    finally:
        keyring.set_keyring(before)


def test_the_schema_takes_what_the_loader_takes() -> None:
    schema = config.schema(registry.settings_schemas())
    assert schema["$ref"] == "#/$defs/Config"
    proxy = schema["$defs"]["Proxy"]
    assert proxy["additionalProperties"] is False
    assert proxy["required"] == ["host"]
    key = schema["$defs"]["Kazoo"]["properties"]["api_key"]
    assert key["pattern"].startswith("^(env|file|keyring)")
    validator = jsonschema.Draft202012Validator(schema)
    jsonschema.Draft202012Validator.check_schema(schema)
    good = yamlfile.loads(PROJECT, FILE).data
    assert list(validator.iter_errors(good)) == []
    tsig = {"name": "k", "secret": "file:tsig.key"}
    for entry, fine in (
        ({"type": "rfc2136", "server": "192.0.2.53", "tsig": tsig}, True),
        ({"type": "rfc2136", "server": "192.0.2.53", "tsig": tsig | {"secret": "inline"}}, False),
        ({"type": "rfc2136"}, False),
        ({"type": "powerdns", "api_key": "env:KEY"}, True),
        ({"type": "zonefile", "file": "x", "flie": "y"}, False),
        ({"type": "nosuch"}, False),
    ):
        assert validator.is_valid(good | {"providers": {"files": entry}}) is fine, entry
    for old, new in (("priority: 10", "prority: 10"), ("udp: 5060", "udp: 70000"), ("version: 1", "version: 2")):
        assert not validator.is_valid(yamlfile.loads(PROJECT.replace(old, new, 1), FILE).data)


def test_the_project_that_init_writes_is_valid(tmp_path: Path) -> None:
    from realmkit.dns import wanted
    from realmkit.start import write_project

    written = write_project(tmp_path / "new")
    assert {str(path.relative_to(tmp_path / "new")) for path in written} == {
        "realmkit.yml", ".gitignore", "accounts/acme.yml",
    }  # fmt: skip
    assert accountfile.open_account(tmp_path / "new", "acme").account.sites[0].country == "US-NY"
    found = config.open_project(tmp_path / "new")
    assert len(wanted.wanted(found, {}).realms) == 1
    with pytest.raises(InputError, match="exists already"):
        write_project(tmp_path / "new")


def test_a_missing_project_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file") as caught:
        config.open_project(tmp_path)
    assert "realmkit init" in (caught.value.hint or "")
