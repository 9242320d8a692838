"""The catalogue: how a phone is recognised, what it is called, and how it is made to fetch its configuration."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from realmkit.errors import InputError
from realmkit.phones import catalog
from realmkit.phones.catalog import NoModelError
from realmkit.phones.formats import known_names
from realmkit.phones.model import mac_of
from realmkit.phones.resync import resync
from tests.unit.deskphones import MAC, known, write_tree

YEALINK_AGENT = "Yealink SIP-T54W 96.86.0.23 80:5e:c0:12:34:56"


@pytest.mark.parametrize(("evidence", "name"), [
    ({"explicit": "yealink/t54w"}, "yealink/t54w"),
    ({"explicit": "T54W"}, "yealink/t54w"),
    ({"explicit": "yealink/SIP-T46G"}, "yealink/t46s"),
    ({"explicit": "grp2614", "brand": "yealink", "model": "t54w"}, "grandstream/grp2614"),
    ({"brand": "yealink", "family": "t5x", "model": "t54w"}, "yealink/t54w"),
    ({"brand": "Yealink", "family": "t4x", "model": "t46"}, "yealink/t46s"),
    ({"brand": "yealink", "model": "t54w", "user_agent": "Yealink SIP-T31P 124.85.0.10"}, "yealink/t54w"),
    ({"brand": "yealink", "model": "t999", "user_agent": YEALINK_AGENT}, "yealink/t54w"),
    ({"brand": "grandstream", "family": "grp2614"}, "grandstream/grp2614"),
    ({"user_agent": YEALINK_AGENT}, "yealink/t54w"),
    ({"user_agent": "Yealink SIP-T46U 108.86.0.20"}, "yealink/t46s"),
    ({"user_agent": "Grandstream Model HW GRP2614 SW 1.0.5.15 DevId c074ad123456"}, "grandstream/grp2614"),
    ({"user_agent": "Grandstream GRP2612W 1.0.11.6"}, "grandstream/grp2612"),
    ({"user_agent": "baresip v1.0.0 (x86_64/linux)"}, "baresip/baresip"),
])  # fmt: skip
def test_the_best_evidence_decides(evidence: dict[str, str], name: str) -> None:
    assert known().identify(**evidence).name == name


@pytest.mark.parametrize(("evidence", "says", "hint"), [
    ({"mac": MAC}, "its MAC address says yealink and no more. It may be yealink/t27g", f"'{MAC}': {{model: yealink/"),
    ({"mac": MAC, "user_agent": "Yealink SIP-T99X 1"}, "user agent 'Yealink SIP-T99X 1'", "accounts/NAME.yml"),
    ({"brand": "polycom", "model": "vvx400"}, r"polycom vvx400 in the device document; no user agent", "NAME"),
    ({"user_agent": "something Yealink SIP-T54W"}, "is not known", "phones:"),
    ({}, "no brand", "accounts/NAME.yml, under phones"),
])  # fmt: skip
def test_what_is_not_known_is_told_with_candidates(evidence: dict[str, str], says: str, hint: str) -> None:
    with pytest.raises(NoModelError, match=says) as caught:
        known().identify(**evidence)
    assert hint in str(caught.value.hint)


def test_the_hint_is_yaml_that_works() -> None:
    with pytest.raises(NoModelError) as caught:
        known().identify(mac=MAC)
    found = re.search(r"'(\w+)': \{model: ([a-z0-9/]+)\}", str(caught.value.hint))
    assert found is not None
    assert found[1] == MAC
    assert known().identify(explicit=found[2]).vendor == "yealink"


@pytest.mark.parametrize(("text", "hint"), [("yealink/t54x", "yealink/t54w"), ("nothing-like-it", "phones models")])
def test_a_misspelt_model_is_refused_with_what_is_near(text: str, hint: str) -> None:
    with pytest.raises(NoModelError, match=f"no model is called '{text}'") as caught:
        known().identify(explicit=text, user_agent=YEALINK_AGENT)
    assert hint in str(caught.value.hint)


def test_files_are_named_by_the_mac() -> None:
    models = known().models
    assert models["yealink/t54w"].files(MAC) == (f"{MAC}.cfg",)
    assert models["grandstream/grp2614"].files(MAC) == (f"cfg{MAC}.xml",)
    assert models["baresip/baresip"].files(MAC) == (f"{MAC}.accounts", f"{MAC}.config")


@pytest.mark.parametrize(("text", "mac"), [("80:5E:C0:12:34:56", MAC), ("805e.c012.3456", MAC), ("80-5e-c0-12-34-56",
    MAC), (MAC, MAC)])  # fmt: skip
def test_a_mac_in_any_spelling(text: str, mac: str) -> None:
    assert mac_of(text) == mac


@pytest.mark.parametrize("text", ["", "805ec012345", "80:5e:c0:12:34:5g", "../../../../x"])
def test_what_is_no_mac(text: str) -> None:
    with pytest.raises(InputError, match="is no MAC address"):
        mac_of(text)


@pytest.mark.parametrize(("model", "moves", "way", "event"), [
    ("yealink/t54w", "resync", "notify", "check-sync;reboot=false"), ("grandstream/grp2614", "resync", "notify",
    "resync"), ("baresip/baresip", "resync", "by-hand", None), ("yealink/t54w", "by-hand", "by-hand", None),
    ("yealink/t54w", "never", "never", None),
])  # fmt: skip
def test_how_a_phone_is_made_to_fetch(model: str, moves: str, way: str, event: str | None) -> None:
    found = resync(known().models[model], moves)  # type: ignore[arg-type]  # the three that there are
    assert (found.way, found.event) == (way, event)
    assert found.why


def test_every_name_leads_to_one_model_and_every_model_to_a_template() -> None:
    models = known()
    for name, model in models.models.items():
        assert models.identify(explicit=name) is model
        assert all(models.identify(explicit=alias) is model for alias in models.aliases(model))
        assert model.accounts >= 1
        for template in models.template_names(model).values():
            assert catalog.shipped().joinpath(f"{model.path}/{template}").is_file()


def test_ranges_of_parameters() -> None:
    assert known_names(["a.{1-3}.b  # comment", "", "# none", "P{4-5}{8-9}"]) == {
        "a.1.b", "a.2.b", "a.3.b", "P48", "P49", "P58", "P59"}  # fmt: skip


def test_an_alias_of_two_models_is_refused(tmp_path: Path) -> None:
    write_tree(
        tmp_path, {"yealink/t/models.toml": '[models]\na = {accounts = 1, aliases = ["b"]}\nb = {accounts = 1}\n'}
    )
    with pytest.raises(InputError, match="yealink/b is both yealink/a and yealink/b"):
        catalog.load(tmp_path)
