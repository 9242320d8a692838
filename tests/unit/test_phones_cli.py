"""`realmkit phones`: what it prints, what it writes, what it never shows."""

from __future__ import annotations

import json
import re
import stat
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result

from realmkit.cli.phones import phones
from realmkit.errors import RealmkitError

DEVICE: dict[str, Any] = {
    "name": "Anna & Co", "mac_address": "80:5E:C0:12:34:56", "device_type": "sip_device",
    "sip": {"username": "user_a1", "password": "s3cret-a1", "realm": "acme.voice.example.com", "method": "password"},
    "provision": {"endpoint_brand": "yealink", "endpoint_family": "t5x", "endpoint_model": "t54w"},
}  # fmt: skip
PROJECT = """version: 1
platform: {edge: {proxies: [{host: us-east.example.net}]}}
zones: {}
phones:
  publish: {type: directory, path: www}
  transport: tls
  expires: 600
  ntp: ntp.example.net
"""


@pytest.fixture
def device(tmp_path: Path) -> Path:
    path = tmp_path / "anna.json"
    path.write_text(json.dumps({"data": DEVICE, "status": "success"}))
    return path


def run(folder: Path, *args: object) -> Result:
    return CliRunner().invoke(
        phones, [str(one) for one in args], obj={"directory": str(folder), "verbose": False}, standalone_mode=False
    )


def test_what_is_printed_has_a_mask_for_the_password(tmp_path: Path, device: Path) -> None:
    shown = run(tmp_path, "render", "--device", device).output
    assert "--- 805ec0123456.cfg" in shown
    assert "account.1.password = ********" in shown
    assert "s3cret" not in shown
    assert "s3cret" not in run(tmp_path, "render", "--device", device, "--json").output
    assert "account.1.password = s3cret-a1" in run(tmp_path, "render", "--device", device, "--show-secrets").output


def test_json_and_yaml_are_the_same(tmp_path: Path, device: Path) -> None:
    other = tmp_path / "anna.yml"
    other.write_text(yaml.safe_dump(DEVICE))
    shown = [run(tmp_path, "render", "--device", path, "--json").output for path in (device, other)]
    assert shown[0] == shown[1]
    body = json.loads(shown[0])
    assert (body["kind"], body["model"], body["event"]) == (
        "realmkit.phone-files", "yealink/t54w", "check-sync;reboot=false")  # fmt: skip


def test_files_are_written_for_the_group_only(tmp_path: Path, device: Path) -> None:
    (tmp_path / "www").mkdir()
    shown = run(tmp_path, "render", "--device", device, "--model", "grp2614", "--out", tmp_path / "www").output
    file = tmp_path / "www/cfg805ec0123456.xml"
    assert shown == f"wrote {file}\n"
    assert stat.S_IMODE(file.stat().st_mode) == 0o640
    assert b"s3cret-a1" in file.read_bytes()
    assert [one.name for one in file.parent.iterdir()] == [file.name]


def test_the_projects_word_counts_and_options_count_more(tmp_path: Path, device: Path) -> None:
    (tmp_path / "realmkit.yml").write_text(PROJECT)
    shown = run(tmp_path, "render", "--device", device).output
    for line in ("sip_server.1.port = 5061", "sip_server.1.expires = 600", "local_time.ntp_server1 = ntp.example.net"):
        assert line in shown
    options = ("--transport", "dns", "--realm", "other.example.org")
    shown = run(tmp_path, "render", "--device", device, *options).output
    assert "sip_server.1.port = 0" in shown
    assert "sip_server.1.address = other.example.org" in shown


@pytest.mark.parametrize(("change", "says"), [
    ({"sip": {"username": "u", "password": "p"}}, "has no sip.realm"),
    ({"mac_address": None}, "no device document: .*mac_address"),
    ({"mac_address": "x"}, "'x' is no MAC address"),
    ({"provision": {}}, "the model of the phone is not known"),
    ({"sip": {"username": "u", "realm": "r.example"}}, "password: is empty"),
    ({"sip": DEVICE["sip"] | {"password": "a\nb"}}, "password: holds a line break"),
    ({"name": "a\nb"}, "display_name: holds a line break"),
])  # fmt: skip
def test_a_device_that_says_too_little(tmp_path: Path, change: dict[str, Any], says: str) -> None:
    path = tmp_path / "device.json"
    path.write_text(json.dumps(DEVICE | change))
    error = run(tmp_path, "render", "--device", path).exception
    assert isinstance(error, RealmkitError)
    assert re.search(says, error.message)


def test_models(tmp_path: Path) -> None:
    body = json.loads(run(tmp_path, "models", "--json").output)
    assert {"yealink/t54w", "grandstream/grp2614", "baresip/baresip"} <= {one["name"] for one in body["models"]}
    shown = run(tmp_path, "models", "t54").output.splitlines()
    assert shown[0].startswith("yealink/t54w")
    assert shown[-1] == "1 model known by that name"
    assert run(tmp_path, "models", "zzz").output == "0 models known by that name\n"
