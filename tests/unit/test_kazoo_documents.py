"""Documents keep what they don't know, and show no password."""

from __future__ import annotations

import copy
import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from realmkit.kazoo.brand import merged
from realmkit.kazoo.documents import (
    Account,
    Cdr,
    Channel,
    Connectivity,
    Device,
    FaxBox,
    Password,
    Registration,
    from_gregorian,
    to_gregorian,
)
from realmkit.kazoo.saving import differences
from realmkit.kazoo.setupdocuments import AccountRow, Callflow, Limits, Sender, User, WhiteLabel

SECRET = "s3cret-of-the-phone"
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=12,
)
OBJECT = st.dictionaries(st.text(max_size=8), JSON, max_size=5)
REALM = st.from_regex(r"[a-z]{2,8}\.[a-z]{2,8}", fullmatch=True)
DEVICE = st.builds(
    lambda rest, sip, has_sip: rest | ({"sip": sip} if has_sip else {}),
    OBJECT,
    st.builds(
        lambda sip, own: sip | own,
        OBJECT,
        st.fixed_dictionaries({}, optional={"realm": REALM, "password": st.text(min_size=5, max_size=9)}),
    ),
    st.booleans(),
)


def phone(**more: Any) -> Device:
    data = {
        "id": "d" * 32,
        "name": "Reception",
        "mac_address": "00:15:65:AB-cd.EF",
        "sip": {"username": "user_1", "password": SECRET, "expire_seconds": 120, "method": "password"},
        "provision": {"endpoint_brand": "yealink", "endpoint_family": "t4x", "endpoint_model": "t46s", "id": "x"},
        "owner_id": "e" * 32,
    }
    return Device.from_json(data | more, "3-abc")


@given(OBJECT)
def test_a_document_gives_back_all_that_it_was_made_of(data: dict[str, Any]) -> None:
    assert Device.from_json(data).to_json() == data
    assert json.loads(json.dumps(Device.from_json(data).to_json())) == data


@given(DEVICE, REALM)
def test_a_realm_of_its_own_changes_nothing_else(data: dict[str, Any], realm: str) -> None:
    device = Device.from_json(data, "1-a")
    pinned = device.with_realm(realm)
    assert pinned.realm == realm
    assert pinned.revision == "1-a"
    assert set(differences(device.to_json(), pinned.to_json())) <= {("sip", "realm")}
    bare = pinned.with_realm(None)
    assert bare.realm is None
    assert set(differences(device.to_json(), bare.to_json())) <= {("sip", "realm")}
    if device.realm is None and "sip" in data:
        assert bare == device


@given(DEVICE, REALM, st.randoms())
def test_the_digest_ignores_what_a_move_changes(data: dict[str, Any], realm: str, random: Any) -> None:
    device = Device.from_json(data)
    digest = device.digest()
    keys = list(data)
    random.shuffle(keys)
    assert Device.from_json({key: data[key] for key in keys}, "9-z").digest() == digest
    assert device.with_realm(realm).digest() == digest
    assert device.with_realm(None).digest() == digest
    volatile = {"_read_only": {"x": 1}, "revision": "4-d", "metadata": {"y": 2}, "_rev": "1", "pvt_created": 5}
    assert Device.from_json({key: value for key, value in data.items() if key not in volatile} | volatile).digest() == (
        Device.from_json({key: value for key, value in data.items() if key not in volatile}).digest()
    )


@given(DEVICE, st.text(min_size=5, max_size=9))
def test_the_digest_does_not_depend_on_the_password(data: dict[str, Any], password: str) -> None:
    other = data | {"sip": data.get("sip", {}) | {"password": password}}
    assert Device.from_json(other).digest() == Device.from_json(data).digest()


def test_the_digest_sees_any_other_change() -> None:
    was = phone().digest()
    assert phone(name="Lobby").digest() != was
    assert phone(enabled=False).digest() != was
    data = phone().to_json()
    data["sip"]["username"] = "user_2"
    assert Device.from_json(data).digest() != was


def test_what_is_asked_of_a_device() -> None:
    device = phone()
    assert device.username == "user_1"
    assert device.password == SECRET
    assert (device.brand, device.family, device.model) == ("yealink", "t4x", "t46s")
    assert device.mac == "001565abcdef"
    assert device.expires == 120
    assert device.realm is None
    assert device.enabled
    assert device.owner_id == "e" * 32
    assert device.device_type is None
    assert device.is_phone


def test_a_bare_device_has_defaults() -> None:
    device = Device.from_json({"name": "x", "sip": "nonsense", "mac_address": "00:15"})
    assert (device.id, device.username, device.expires, device.mac, device.brand) == ("", "", 300, None, None)
    assert not device.is_phone


@pytest.mark.parametrize(
    "more",
    [{"device_type": "cellphone"}, {"device_type": "sip_uri"}, {"sip": {"username": "u", "method": "ip"}}],
)
def test_what_does_not_register_is_no_phone(more: dict[str, Any]) -> None:
    assert not phone(**more).is_phone


def test_types_of_older_documents_are_understood() -> None:
    device = Device.from_json({"enabled": "false", "sip": {"username": 2001, "expire_seconds": "360"}})
    assert (device.username, device.expires, device.enabled) == ("2001", 360, False)


def test_no_password_in_any_repr() -> None:
    import rich.pretty

    device = phone()
    trunk = Connectivity.from_json({"id": "1", "servers": [{"auth": {"auth_password": SECRET}}]})
    for shown in (repr(device), str(device), repr(device.password), rich.pretty.pretty_repr([device, trunk])):
        assert SECRET not in shown
    assert f"{device.password}" == SECRET
    assert repr(Password("x")) == "Password('***')"


def test_documents_cannot_be_changed() -> None:
    source = {"id": "1", "sip": {"realm": "old.example"}, "list": [1]}
    device = Device.from_json(source)
    source["sip"]["realm"] = "new.example"  # type: ignore[index] # the test's own dict
    assert device.realm == "old.example"
    with pytest.raises(TypeError):
        device.data["sip"]["realm"] = "x"
    with pytest.raises(AttributeError):
        device.revision = "x"  # type: ignore[misc] # that is the point
    device.to_json()["sip"]["realm"] = "x"
    assert device.realm == "old.example"
    assert copy.deepcopy(device) == device


def test_equality_is_by_content() -> None:
    assert phone() == Device.from_json(phone().to_json(), "99-other")
    assert hash(phone()) == hash(Device.from_json(phone().to_json(), "99-other"))
    assert phone() != phone(name="Lobby")
    assert phone() != Account.from_json(phone().to_json())
    assert Device.from_json({"enabled": True}) != Device.from_json({"enabled": 1})


def test_an_account_is_enabled_by_metadata_or_document() -> None:
    assert Account.from_json({"realm": "a.example"}).enabled
    assert not Account.from_json({"enabled": False}).enabled
    assert not Account({"enabled": True}, "1", {"enabled": False}).enabled


def test_what_only_the_platform_writes_is_not_sent_back() -> None:
    box = FaxBox.from_json(
        {"id": "1", "name": "f", "smtp_email_address": "x@y", "_read_only": {}, "pvt_type": "faxbox"}
    )
    assert box.to_body() == {"id": "1", "name": "f"}
    assert Account.from_json({"name": "a", "is_reseller": True, "billing_mode": "x"}).to_body() == {"name": "a"}


def test_a_fax_box_gets_an_address_and_loses_it() -> None:
    box = FaxBox.from_json({"id": "1", "name": "f"}, "1-a")
    assert box.custom_address is None
    bridged = box.with_custom_address("old.example")
    assert bridged.custom_address == "old.example"
    assert bridged.with_custom_address(None) == box


def test_connectivity_knows_the_realm_it_was_saved_under() -> None:
    assert Connectivity.from_json({"account": {"auth_realm": "old.example"}}).realm == "old.example"
    assert Connectivity.from_json({}).realm is None


def test_a_registration_row() -> None:
    row = {
        "username": "user_1",
        "realm": "new.example",
        "account_realm": "old.example",
        "authorizing_id": "d" * 32,
        "contact": "sip:user_1@192.0.2.7:5066",
        "contact_ip": "10.0.0.7",
        "contact_port": 5066,
        "network_ip": "192.0.2.7",
        "network_port": "35001",
        "user_agent": "Yealink SIP-T46S",
        "expires": 300,
        "event_timestamp": 63_961_898_400,
        "call_id": "c@1",
    }
    read = Registration.from_json(row)
    assert read.source == "192.0.2.7:35001"
    assert read.seen == from_gregorian(63_961_898_400)
    assert read.device_id == "d" * 32
    assert read.expires == 300
    assert Registration.from_json({**row, "network_ip": "2001:db8::7"}).source == "[2001:db8::7]:35001"
    bare = Registration.from_json({"username": "user_1", "contact_ip": "10.0.0.7", "contact_port": 5066})
    assert (bare.source, bare.device_id, bare.expires) == ("10.0.0.7:5066", None, 0)
    assert bare.seen == datetime(1970, 1, 1, tzinfo=UTC)


def test_a_channel_row() -> None:
    read = Channel.from_json({"uuid": "u", "answered": True, "authorizing_id": "d", "destination": "2600"})
    assert read == Channel("u", "d", True, "", "2600")


def test_a_call_record_began_before_it_was_written() -> None:
    end = datetime(2026, 11, 2, 10, 5, tzinfo=UTC)
    row = {"timestamp": str(to_gregorian(end)), "duration_seconds": "300", "from": "a@x", "to": "b@y"}
    record = Cdr.from_json(row)
    assert (record.start, record.seconds) == (end - timedelta(minutes=5), 300)
    assert (record.from_, record.to, record.device_id) == ("a@x", "b@y", None)
    created = {**row, "channel_created_time": int(end.timestamp() * 1_000_000) - 301_500_000}
    assert Cdr.from_json(created).start == end - timedelta(seconds=301.5)
    assert Cdr.from_json({**row, "custom_channel_vars": {"authorizing_id": "d"}}).device_id == "d"
    with pytest.raises(ValueError, match="timestamp"):
        Cdr.from_json({"duration_seconds": 3})


def test_gregorian_seconds_begin_in_year_zero() -> None:
    assert to_gregorian(datetime(1970, 1, 1, tzinfo=UTC)) == 62_167_219_200
    assert to_gregorian(datetime(2013, 2, 1, tzinfo=UTC)) == 63_526_896_000  # of Kazoo's documentation of MODBs
    assert to_gregorian(datetime(1969, 12, 31, 23, 59, 59, 500_000, tzinfo=UTC)) == 62_167_219_199


@given(st.datetimes(datetime(1900, 1, 1), datetime(9000, 1, 1)).map(lambda naive: naive.replace(tzinfo=UTC)))  # noqa: DTZ001 - the strategy wants naive bounds
def test_gregorian_seconds_and_back(instant: datetime) -> None:
    assert from_gregorian(to_gregorian(instant)) == instant.replace(microsecond=0)


def test_documents_need_no_http() -> None:
    program = "import sys, realmkit.kazoo.documents, realmkit.kazoo.client; sys.exit('httpx2' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


# ---- what setting up is about


@given(OBJECT, OBJECT)
def test_what_was_merged_once_is_merged(old: dict[str, Any], new: dict[str, Any]) -> None:
    once = merged(old, new)
    assert merged(once, new) == once
    assert merged(once, {}) == once
    assert all(once[key] == old[key] for key in old.keys() - new.keys())


@given(OBJECT)
def test_setup_documents_keep_every_key(data: dict[str, Any]) -> None:
    for kind in (User, Limits, Callflow, WhiteLabel, Sender):
        document = kind.from_json(data)
        assert document.to_json() == data
        assert document == kind.from_json(document.to_json())
        assert isinstance(document.name, str)
    assert Callflow.from_json(data).numbers in ((), Callflow.from_json(data).data.get("numbers"))
    assert Limits.from_json(data).trunks("twoway") == 0 or "twoway_trunks" in data


def test_older_documents_types_are_read_with_tolerance() -> None:
    assert Limits.from_json({"twoway_trunks": "4", "allow_prepay": "false"}).trunks("twoway") == 4
    assert not Limits.from_json({"allow_prepay": "false"}).allow_prepay
    assert Callflow.from_json({"numbers": ["no_match", 100, None], "flow": "x"}).numbers == ("no_match", "100")
    assert Callflow.from_json({"flow": "x"}).module == ""
    assert User.from_json({"first_name": "Ann"}).name == "Ann"


def test_a_row_tells_what_is_above_where_it_says() -> None:
    row = {"id": "a", "name": "", "realm": "r.example"}
    assert AccountRow.from_json(row).tree == ()
    assert AccountRow.from_json(row | {"tree": ["m", "r"]}).tree == ("m", "r")
    for key in row:
        with pytest.raises(ValueError, match="without id, name or realm"):
            AccountRow.from_json({other: value for other, value in row.items() if other != key})


def test_an_account_with_other_data_keeps_its_revision_and_facts() -> None:
    account = Account.from_json({"id": "a", "name": "Acme"}, "1-a")
    changed = account.with_data({"id": "a", "name": "Other", "l": [1]})
    assert (changed.name, changed.revision, changed.data["l"]) == ("Other", "1-a", (1,))
