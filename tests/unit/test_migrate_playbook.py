"""Playbooks: what is shipped is right, and every slip in one's own is found with its file, line and path."""

from __future__ import annotations

from pathlib import Path

import jsonschema
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from realmkit import yamlfile
from realmkit.errors import InputError
from realmkit.migrate import playbook, playbooklint
from realmkit.migrate.playbook import PlaybookFile
from realmkit.migrate.steps import EFFECTS, STEPS, step

SHIPPED = ("realm-cutover", "realm-migration")

# Every construct once, and nothing wrong with it. The slips below are edits of this text.
TEXT = """\
version: 1
name: ours
title: Our way
inputs:
  share: {type: percent, default: 95%, help: share of a wave}
  bake: {type: duration, default: 1h, help: pause}
  shape: {type: waves, default: [1, 25%, 100%], help: waves}
steps:
  - {id: yes, wait: {approval: {expires: 21d}}}
  - {id: publish-new, uses: dns.publish, with: {realm: new}}
  - {id: caches, wait: {ttl_of: [publish-new]}}
  - id: move
    each: phones
    waves: $shape
    within: quiet
    gate: $share
    bake: $bake
    steps:
      - {id: idle, uses: guard.no_call, timeout: 15m}
      - {id: config, uses: phone.publish, with: {realm: new}}
      - {id: pin, uses: device.pin, with: {realm: new}}
      - {id: sync, uses: phone.resync, with: {realm: new}}
      - {id: arrive, uses: phone.await, with: {realm: new, again: 1m}, timeout: 4m}
    else:
      - {id: keep-pin, undo: pin}
      - {undo: config}
  - {id: account-realm, uses: account.set_realm, with: {realm: new}, if: moved}
  - {id: registered, uses: account.registered, with: {share: $share}}
rollback:
  - {id: return-realm, uses: account.set_realm, with: {realm: old}, if: moved}
  - id: return
    each: touched
    if: touched
    steps:
      - {undo: config}
      - {id: unpin, uses: device.unpin}
  - {undo: publish-new}
"""

# what is edited, into what; then line, path and words of the slip
SLIPS: dict[str, tuple[str, str, int, str, str]] = {
    "typo in a key": ("    waves: $shape", "    wavs: $shape", 14, "steps.3.wavs",
        "unknown key; did you mean 'waves'?"),
    "typo in uses": ("phone.resync", "phone.resink", 22, "steps.3.steps.3.uses", "did you mean 'phone.resync'?"),
    "nothing like it": ("phone.resync", "x", 22, "steps.3.steps.3.uses", "known are: account.unchanged"),
    "typo in an argument": ("{realm: new, again: 1m}", "{realm: new, agian: 1m}", 23, "with.agian",
        "takes realm, again"),
    "value of an argument": ("phone.resync, with: {realm: new}", "phone.resync, with: {realm: mew}", 22, "with.realm",
        "'mew' is no old or new"),
    "argument left out": ("device.pin, with: {realm: new}", "device.pin", 21, "steps.3.steps.2", "wants `with: {realm"),
    "argument of the wrong kind": ("again: 1m", "again: 1min", 23, "with.again", "'1min' is no duration"),
    "argument that is a list": ("again: 1m", "again: [1]", 23, "with.again", "[1] is no duration"),
    "input of the wrong kind": ("with: {share: $share}", "with: {share: $bake}", 28, "with.share",
        "'$bake' is no percent"),
    "input that is not there": ("gate: $share", "gate: $shares", 16, "steps.3.gate",
        "$shares is no input of type percent"),
    "gate that is no share": ("gate: $share", "gate: 95", 16, "steps.3.gate", "expected"),
    "gate over 100": ("gate: $share", "gate: 195%", 16, "steps.3.gate", "'195%' is no share"),
    "default of an input": ("default: 95%", "default: 95", 5, "inputs.share.default", "95 is no share"),
    "default that is a number": ("default: 1h", "default: 3600", 6, "inputs.bake.default", "3600 is no duration"),
    "duration beyond any date": ("timeout: 15m", "timeout: 9999w", 19, "timeout", "longer than ten years"),
    "duration in words": ("expires: 21d", "expires: three weeks", 9, "steps.0.wait.approval.expires", "is no duration"),
    "last wave": ("[1, 25%, 100%]", "[1, 25%]", 7, "inputs.shape.default", "the last wave must be 100%"),
    "waves that are none": ("[1, 25%, 100%]", "[some, 100%]", 7, "inputs.shape.default", "'some' is no share"),
    "id twice": ("id: caches", "id: publish-new", 11, "steps.2.id", "the id 'publish-new' appears twice"),
    "id twice across blocks": ("id: unpin", "id: sync", 36, "id", "the id 'sync' appears twice"),
    "undo twice in a block": ("{id: keep-pin, undo: pin}", "{undo: config}", 26, "id", "'undo-config' appears twice"),
    "id of a wave": ("id: caches", "id: move-2", 11, "steps.2.id", "'move-2' is the name of a wave of 'move'"),
    "id that can't be": ("id: caches", "id: Caches!", 11, "steps.2.id", "expected"),
    "no id": ("{id: idle, uses", "{uses", 19, "steps.3.steps.0", "the key 'id' is missing"),
    "no way back": ("  - {undo: publish-new}", "", 10, "steps.1", "`rollback` does not `undo: publish-new`"),
    "no way back for the account": ("account.set_realm, with: {realm: old}, if: moved",
        "dns.verify, with: {realm: old}", 27, "steps.4", "`rollback` does not `undo: account-realm`"),
    "undo of nothing": ("{undo: publish-new}", "{undo: publish-mew}", 37, "rollback.2.undo",
        "is no step with an effect"),
    "undo of what has no effect": ("{undo: publish-new}", "{undo: caches}", 37, "rollback.2.undo",
        "no step with an effect"),
    "undo of a phone's step outside of a block": ("  - {undo: publish-new}", "  - {undo: publish-new}\n  - {undo: pin}",
        38, "rollback.3.undo", "is about one phone, and this is not"),
    "undo of the account's step in a block": ("{id: unpin, uses: device.unpin}", "{undo: publish-new}", 36,
        "rollback.1.steps.1.undo", "is about the account, and this is not"),
    "undo on the way there": ("  - {id: registered,", "  - {id: back, undo: publish-new}\n  - {id: registered,", 28,
        "steps.5.undo", "goes with `else` and `rollback` only"),
    "rescue of another block": ("{id: keep-pin, undo: pin}", "{id: keep-pin, undo: publish-new}", 25,
        "steps.3.else.0.undo", "is no step of this block"),
    "two kinds": ("{undo: publish-new}", "{undo: publish-new, uses: dns.verify}", 37, "rollback.2",
        "says uses and undo; wants exactly one of"),
    "no kind": ("{id: caches, wait: {ttl_of: [publish-new]}}", "{id: caches}", 11, "steps.2", "says nothing"),
    "block without steps": ("    each: touched\n    if: touched\n    steps:", "    each: touched\n    else:", 31,
        "rollback.1", "a block wants `steps`"),
    "wait in a block": ("{id: idle, uses: guard.no_call, timeout: 15m}", "{id: idle, wait: {for: 1m}}", 19,
        "steps.3.steps.0", "inside a block only"),
    "block in a block": ("{id: idle, uses: guard.no_call, timeout: 15m}", "{id: idle, each: phones, steps: []}", 19,
        "steps.3.steps.0", "inside a block only"),
    "wait for two things": ("{ttl_of: [publish-new]}", "{ttl_of: [publish-new], for: 1h}", 11, "steps.2.wait",
        "exactly one of approval, for and ttl_of"),
    "TTLs of no DNS step": ("[publish-new]", "[account-realm]", 11, "steps.2.wait.ttl_of", "no earlier step"),
    "TTLs on the way back": ("  - {undo: publish-new}",
        "  - {undo: publish-new}\n  - {id: c2, wait: {ttl_of: [publish-new]}}", 38, "rollback.3.wait.ttl_of",
        "goes on the way there only"),
    "phone's step outside": ("uses: account.set_realm, with: {realm: new}, if: moved", "uses: device.unpin", 27,
        "steps.4.uses", "is about one phone"),
    "account's step inside": ("uses: guard.no_call, timeout: 15m", "uses: account.unchanged", 19,
        "steps.3.steps.0.uses", "is about the account"),
    "gate on a step": ("{id: registered,", "{id: registered, gate: 95%,", 28, "steps.5.gate", "goes with `each` only"),
    "else on a step": ("{id: registered,", "{id: registered, else: [{undo: pin}],", 28, "else",
        "goes with `each` only"),
    "with on a wait": ("{id: caches,", "{id: caches, with: {realm: new},", 11, "steps.2.with", "goes with `uses` only"),
    "timeout on a block": ("    gate: $share", "    timeout: 5m", 16, "steps.3.timeout",
        "goes with `uses` and `undo` only"),
    "bake without waves": ("    waves: $shape\n", "", 16, "steps.3.bake", "goes with `waves` only"),
    "if on a block": ("    gate: $share", "    if: moved", 16, "steps.3.if", "`each` says whom"),
    "if in a block": ("{id: unpin,", "{id: unpin, if: moved,", 36, "rollback.1.steps.1.if", "`each` says whom"),
    "within in a block": ("{id: idle,", "{id: idle, within: quiet,", 19, "within", "goes with the block"),
    "waves on the way back": ("    if: touched", "    waves: 100%", 33, "rollback.1.waves",
        "goes on the way there only"),
    "else on the way back": ("      - {id: unpin,", "    else:\n      - {id: unpin,", 36, "rollback.1.else",
        "goes on the way there only"),
    "resync after the realm": ("  - {id: registered,",
        "  - {id: again, each: moved, steps: [{id: s2, uses: phone.resync, with: {realm: new}}]}\n  - {id: registered,",
        28, "steps.5.steps.0", "sends a check-sync after"),
}  # fmt: skip


def read(text: str) -> PlaybookFile:
    return playbook.read(yamlfile.loads(text, Path("ours.yml")))


def check(text: str, *allow: str) -> None:
    playbooklint.check(read(text), allow)


def edited(*changes: str) -> str:
    """The text with this replaced by that, and this by that."""
    text = TEXT
    for old, new in zip(changes[::2], changes[1::2], strict=True):
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    return text


def test_the_text_that_the_slips_are_made_from_is_right() -> None:
    check(TEXT)


@pytest.mark.parametrize("name", SLIPS)
def test_slip_is_found_where_it_is(name: str) -> None:
    old, new, line, path, words = SLIPS[name]
    with pytest.raises(InputError) as caught:
        check(edited(old, new))
    told = caught.value.message.splitlines()
    assert any(one.startswith(f"ours.yml:{line}:") and path in one and words in one for one in told), told


def test_ttls_of_a_later_step() -> None:
    lines = TEXT.splitlines(keepends=True)
    assert "caches" in lines[10]
    with pytest.raises(InputError, match=r"ours.yml:9:.* steps.0.wait.ttl_of: 'publish-new' is no earlier step"):
        check("".join([*lines[:8], lines[10], *lines[8:10], *lines[11:]]))


def test_all_slips_are_told_at_once_in_the_order_of_the_file() -> None:
    text = edited("gate: $share", "gate: $mist", "phone.resync", "phone.resink", "{undo: publish-new}", "{undo: x}")
    with pytest.raises(InputError) as caught:
        check(text)
    lines = [int(one.split(":")[1]) for one in caught.value.message.splitlines()]
    assert lines == sorted(lines)
    assert {10, 16, 22, 37} == set(lines)


def test_a_resync_after_the_realm_may_be_allowed_by_name() -> None:
    old, new = SLIPS["resync after the realm"][:2]
    text = edited(old, new)
    with pytest.raises(InputError) as caught:
        check(text)
    assert caught.value.hint == "if you know better: --allow resync-after-realm"
    check(text, "resync-after-realm")


def test_allow_lifts_nothing_else() -> None:
    with pytest.raises(InputError, match=r"did you mean 'phone\.resync'"):
        check(edited("phone.resync", "phone.resink"), "resync-after-realm", "phone.resink")


@pytest.mark.parametrize("name", SHIPPED)
def test_what_is_shipped_is_right(name: str, tmp_path: Path) -> None:
    file = playbook.find(name, tmp_path)
    assert playbooklint.lint(file.playbook) == []
    playbook.inputs(file.playbook, {})
    assert file.playbook.name == name


def test_exchanging_check_sync_and_the_account_s_realm_in_the_cutover_is_found(tmp_path: Path) -> None:
    text = playbook.find("realm-cutover", tmp_path).document.text
    blocks = text.split("\n  - id: ")
    tell, flip = (next(one for one in blocks if one.startswith(name)) for name in ("tell", "account-realm"))
    text = text.replace(tell, "@@").replace(flip, tell).replace("@@", flip)
    with pytest.raises(InputError, match="sends a check-sync after the account's realm has changed"):
        check(text)
    check(text, "resync-after-realm")


def test_find_prefers_paths_then_the_project_then_what_is_shipped(tmp_path: Path) -> None:
    assert playbook.names() == sorted(SHIPPED)
    (tmp_path / "playbooks").mkdir()
    (tmp_path / "playbooks" / "realm-cutover.yml").write_text(TEXT)
    (tmp_path / "elsewhere.yml").write_text(TEXT)
    assert playbook.find("realm-cutover", tmp_path).playbook.name == "ours"
    assert playbook.find("elsewhere.yml", tmp_path).playbook.name == "ours"
    assert playbook.find("realm-migration", tmp_path).playbook.name == "realm-migration"


@pytest.mark.parametrize("name", ["realm-migratoin", "../realm-migration", "/etc/passwd.yml", ""])
def test_a_playbook_that_is_not_there(name: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no playbook"):
        playbook.find(name, tmp_path)


def test_inputs_are_typed_and_checked() -> None:
    book = read(TEXT).playbook
    assert playbook.inputs(book, {}) == {"share": "95%", "bake": "1h", "shape": [1, "25%", "100%"]}
    assert playbook.inputs(book, {"bake": "2d", "shape": "2,100%"})["shape"] == "2,100%"
    for name, value, words in [
        ("bake", "2 days", "no duration"), ("bake", "", "no duration"), ("bake", "-1h", "no duration"),
        ("bake", "999999999999w", "no duration"), ("bake", "4000d", "ten years"), ("share", "95", "no share"),
        ("share", "101%", "no share"), ("share", "\u0663%", "no share"), ("shape", "", "no share"),
        ("shape", "1,50%", "the last wave must be 100%"), ("shape", "\u00b2,100%", "no share"),
    ]:  # fmt: skip
        with pytest.raises(InputError, match=rf"--set {name}=.*: .*{words}"):
            playbook.inputs(book, {name: value})
    with pytest.raises(InputError, match="no input 'baking'; did you mean 'bake'"):
        playbook.inputs(book, {"baking": "1h"})
    with pytest.raises(InputError, match="no input 'zz'; known are: share, bake, shape"):
        playbook.inputs(book, {"zz": "1h"})


@given(st.text())
def test_readers_raise_nothing_but_value_error(text: str) -> None:
    for reader in playbook.READERS.values():
        try:
            reader(text)
        except ValueError:
            continue


@pytest.mark.parametrize("name", SHIPPED)
def test_schema_accepts_what_is_shipped_and_refuses_a_typo(name: str, tmp_path: Path) -> None:
    schema = playbook.schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    data = yaml.safe_load(playbook.find(name, tmp_path).document.text)
    jsonschema.validate(data, schema)
    data["steps"][0]["wiat"] = data["steps"][0].pop("wait")
    with pytest.raises(jsonschema.ValidationError, match="wiat"):
        jsonschema.validate(data, schema)


@pytest.mark.parametrize("name", STEPS)
def test_every_step_of_the_table_can_be_loaded_and_is_what_the_table_says(name: str) -> None:
    from realmkit.migrate.kit import Step

    loaded = step(name)
    assert isinstance(loaded, Step)
    assert (type(loaded).undo is not Step.undo) == (name in EFFECTS)
    assert (type(loaded).undone is not Step.undone) == (name in EFFECTS)
