"""The client against the sandbox's Crossbar: every method in both generations, and each way a request goes wrong."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import httpx2
import pytest

from realmkit.clock import SystemClock
from realmkit.errors import AuthError, ConflictError, InputError, RefusedError, RejectedError, UnreachableError
from realmkit.kazoo.client import Crossbar
from realmkit.kazoo.documents import Channel
from realmkit.kazoo.errors import IncompleteError, InvalidError, NotFoundError
from realmkit.sandbox.cluster import Generation
from realmkit.sandbox.crossbar import CrossbarServer, in_process
from realmkit.sandbox.faults import Fault, Harm
from tests.unit.kazooscript import check_body
from tests.unit.platforms import NEW, OLD, Platform, device

URL = "http://sandbox.example:8000/v2"


class Checked(httpx2.BaseTransport):
    """The sandbox, with every body held against Kazoo's schemas on the way."""

    def __init__(self, platform: Platform) -> None:
        self._inner = in_process(platform.cluster)

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        request.read()
        check_body(request)
        return self._inner.handle_request(request)


@pytest.fixture(params=Generation, ids=lambda generation: generation.value)
def platform(request: pytest.FixtureRequest) -> Platform:
    return Platform(request.param)


@pytest.fixture
def crossbar(platform: Platform) -> Iterator[Crossbar]:
    with login(platform) as client:
        yield client


def login(platform: Platform, account: str | None = None) -> Crossbar:
    key = platform.cluster.api_key(account or platform.reseller)
    return Crossbar(URL, key, platform.clock, transport=Checked(platform), jitter=lambda: 0.5)


def test_whose_key_it_is(platform: Platform, crossbar: Crossbar) -> None:
    assert crossbar.account_id == platform.reseller


def test_an_account_reads_the_same_in_both_generations(platform: Platform, crossbar: Crossbar) -> None:
    account = crossbar.account(platform.account)
    assert (account.id, account.name, account.realm) == (platform.account, "Acme", OLD)
    assert (account.timezone, account.enabled) == ("America/New_York", True)
    assert account.revision


def test_strangers_and_nobodies(platform: Platform, crossbar: Crossbar) -> None:
    with login(platform, platform.account) as customer, pytest.raises(AuthError):
        customer.account(platform.reseller)
    with pytest.raises(NotFoundError):
        crossbar.account("f" * 32)
    with Crossbar(URL, "0" * 64, platform.clock, transport=Checked(platform)) as nobody, pytest.raises(AuthError):
        nobody.account(platform.account)


@pytest.mark.parametrize("wanted", ["acme", "Acme", OLD.upper()])
def test_accounts_are_found(platform: Platform, crossbar: Crossbar, wanted: str) -> None:
    platform.cluster.add_account("Acme Berlin", "acme-berlin.voice.example")
    assert crossbar.find_account(wanted).id == platform.account
    assert crossbar.find_account(platform.account).id == platform.account
    assert crossbar.find_account("reseller").id == platform.reseller
    with pytest.raises(InputError):
        crossbar.find_account("acm")


def test_realms_have_owners(platform: Platform, crossbar: Crossbar) -> None:
    owner = crossbar.realm_owner(OLD.upper())
    assert owner is not None
    assert owner.id == platform.account
    assert crossbar.realm_owner(NEW) is None


def test_the_account_realm_is_set(platform: Platform, crossbar: Crossbar) -> None:
    assert crossbar.set_account_realm(platform.account, NEW).realm == NEW
    assert platform.cluster.document(platform.account)["realm"] == NEW
    other = platform.cluster.add_account("Other", OLD)
    with pytest.raises(RefusedError, match=other):
        crossbar.set_account_realm(platform.account, OLD)


def test_a_strangers_realm_never_stays(platform: Platform) -> None:
    other = platform.cluster.add_account("Other", "taken.voice.example")
    platform.cluster.switches.rejected_update_saves = True
    with login(platform, platform.account) as customer:  # who does not see the other account
        assert customer.realm_owner("taken.voice.example") is None
        with pytest.raises(RejectedError, match="already in use"):
            customer.set_account_realm(platform.account, "taken.voice.example")
    assert platform.cluster.document(platform.account)["realm"] == OLD
    assert platform.cluster.document(other)["realm"] == "taken.voice.example"


def test_devices_are_listed_whole_over_pages(platform: Platform, crossbar: Crossbar) -> None:
    made = sorted(platform.phone(f"user_{number}") for number in range(230))
    read = crossbar.devices(platform.account)
    assert [one.id for one in read] == made
    assert all(one.is_phone and one.password == "secret-1" for one in read)
    assert read[0].data["x_unknown"]["kept"] == (1, 2, 3)


def test_a_device_is_pinned_and_taken_off_again(platform: Platform, crossbar: Crossbar) -> None:
    phone = crossbar.device(platform.account, platform.phone())
    before = platform.cluster.document(phone.id)
    pinned = crossbar.save_device(platform.account, phone.with_realm(NEW))
    assert (pinned.realm, pinned.digest()) == (NEW, phone.digest())
    assert platform.cluster.dial(phone.id) == f"user_1@{NEW}"
    with pytest.raises(ConflictError):
        crossbar.save_device(platform.account, phone.with_realm(None))
    bare = crossbar.save_device(platform.account, pinned.with_realm(None))
    assert bare.realm is None
    assert platform.cluster.document(phone.id) == before


def test_a_device_at_the_account_realm_loses_its_own(platform: Platform, crossbar: Crossbar) -> None:
    pinned = crossbar.save_device(platform.account, crossbar.device(platform.account, platform.phone()).with_realm(NEW))
    crossbar.set_account_realm(platform.account, NEW)
    assert crossbar.save_device(platform.account, pinned.with_realm(NEW)).realm is None


def test_an_old_document_is_saved_though_defaults_are_filled_in(platform: Platform, crossbar: Crossbar) -> None:
    phone = platform.cluster.add_device(platform.account, device("user_7"), defaults=False)
    pinned = crossbar.save_device(platform.account, crossbar.device(platform.account, phone).with_realm(NEW))
    assert pinned.realm == NEW
    platform.cluster.switches.refused_devices.add(phone)
    with pytest.raises(InvalidError, match="read again: not in force"):
        crossbar.save_device(platform.account, pinned.with_realm(None))


def test_a_resync_reaches_the_phone(platform: Platform, crossbar: Crossbar) -> None:
    phone = platform.phone()
    platform.register("user_1", OLD)
    crossbar.notify(platform.account, phone, "check-sync")
    assert platform.sent == [(f"user_1@{OLD}", "check-sync")]
    crossbar.sync(platform.account, phone, reboot=False)
    newer = platform.cluster.generation is Generation.NEWER
    assert platform.sent[1:] == ([(f"user_1@{OLD}", "check-sync;reboot=false")] if newer else [])


def test_registrations_are_listed_and_flushed(platform: Platform, crossbar: Crossbar) -> None:
    phone = platform.phone()
    platform.phone("user_2")
    platform.register("user_1", OLD, user_agent="Yealink SIP-T54W 96.86.0.23", call_id="c-1")
    platform.register("user_2", OLD, uri="sip:user_2@10.0.0.6:5060", source="10.0.0.6:5060")
    row = next(one for one in crossbar.registrations(platform.account) if one.username == "user_1")
    assert (row.realm, row.account_realm, row.device_id) == (OLD, OLD, phone)
    assert (row.user_agent, row.call_id, row.source) == ("Yealink SIP-T54W 96.86.0.23", "c-1", "10.0.0.5:5060")
    assert (row.expires, row.seen) == (300, platform.clock.now().replace(microsecond=0))
    crossbar.flush_registration(platform.account, "user_1")
    assert [one.username for one in crossbar.registrations(platform.account)] == ["user_2"]
    crossbar.flush_registrations(platform.account)
    assert crossbar.registrations(platform.account) == []
    with pytest.raises(NotFoundError):
        crossbar.flush_registration(platform.account, "nobody")


def test_a_phone_on_its_way_shows_both_realms(platform: Platform, crossbar: Crossbar) -> None:
    phone = platform.phone()
    platform.register("user_1", OLD)
    crossbar.save_device(platform.account, crossbar.device(platform.account, phone).with_realm(NEW))
    platform.register("user_1", NEW, uri="sip:user_1@10.0.0.5:5062", source="10.0.0.5:5062")
    assert sorted(one.realm for one in crossbar.registrations(platform.account)) == [NEW, OLD]
    crossbar.flush_registration(platform.account, "user_1")
    assert [one.realm for one in crossbar.registrations(platform.account)] == [NEW]


def test_calls_that_are_up(platform: Platform, crossbar: Crossbar) -> None:
    phone = platform.phone()
    uuid = platform.cluster.put_channel(phone, destination="2600")
    assert crossbar.channels(platform.account) == [Channel(uuid, phone, True, "inbound", "2600")]
    platform.cluster.end_channel(uuid)
    assert crossbar.channels(platform.account) == []


def test_calls_that_are_over(platform: Platform, crossbar: Crossbar) -> None:
    phone, start = platform.phone(), datetime(2026, 8, 1, tzinfo=UTC)
    for hours in range(0, 24 * 80, 16):
        platform.cluster.add_cdr(platform.account, start + timedelta(hours=hours), 90, device=phone)
    read = list(crossbar.cdrs(platform.account, start, start + timedelta(days=80)))
    assert len(read) == len({one.start for one in read}) == 120
    assert min(one.start for one in read) == start
    assert {(one.seconds, one.device_id) for one in read} == {(90, phone)}


def test_trunks_take_the_new_realm_when_saved(platform: Platform, crossbar: Crossbar) -> None:
    trunk = {"name": "PBX", "servers": [{"auth": {"auth_method": "password", "auth_user": "p", "auth_password": "q"}}]}
    platform.cluster.add_connectivity(platform.account, trunk)
    crossbar.set_account_realm(platform.account, NEW)
    (before,) = crossbar.connectivity(platform.account)
    assert before.realm == OLD
    assert crossbar.save_connectivity(platform.account, before).realm == NEW


def test_fax_boxes_are_bridged(platform: Platform, crossbar: Crossbar) -> None:
    platform.cluster.add_fax_box(platform.account, {"name": "Fax"})
    platform.cluster.add_fax_box(platform.account, {"name": "Fax 2"})
    first, second = crossbar.fax_boxes(platform.account)
    bridged = crossbar.save_fax_box(platform.account, first.with_custom_address(OLD))
    assert bridged.custom_address == OLD
    with pytest.raises(RejectedError):
        crossbar.save_fax_box(platform.account, second.with_custom_address(OLD))
    assert crossbar.save_fax_box(platform.account, bridged.with_custom_address(None)) == first


WRONG = [
    *[(harm, status) for harm in (Harm.STATUS_BEFORE, Harm.STATUS_AFTER) for status in (409, 429, 500, 503)],
    *[(harm, 0) for harm in (Harm.CUT_BEFORE, Harm.CUT_AFTER, Harm.CUT_MIDWAY, Harm.TRUNCATE)],
]


@pytest.mark.parametrize(("harm", "status"), WRONG)
def test_whatever_goes_wrong_once_the_realm_and_the_pin_are_right(
    platform: Platform, crossbar: Crossbar, harm: Harm, status: int
) -> None:
    phone = crossbar.device(platform.account, platform.phone())

    def strike(method: str, path: str) -> None:
        platform.cluster.faults.add(Fault(harm, method, path, times=1, status=status))

    strike("POST", "*/devices/*")
    strike("GET", "*/devices/*")
    pinned = crossbar.save_device(platform.account, phone.with_realm(NEW))
    assert pinned.realm == NEW
    assert crossbar.save_device(platform.account, pinned.with_realm(None)) == phone
    strike("PATCH", "*")
    assert crossbar.set_account_realm(platform.account, NEW).realm == NEW


@pytest.mark.parametrize("harm", [Harm.TRUNCATE, Harm.CUT_MIDWAY])
def test_a_listing_that_stays_cut_is_unknown(platform: Platform, crossbar: Crossbar, harm: Harm) -> None:
    for number in range(150):
        platform.phone(f"user_{number}")
    platform.cluster.faults.add(Fault(harm, "GET", "*/devices", times=None, skip=1))
    with pytest.raises(IncompleteError):
        crossbar.devices(platform.account)


def test_an_answer_that_is_late_is_looked_for(platform: Platform, crossbar: Crossbar) -> None:
    platform.cluster.faults.add(Fault(Harm.SLOW, "PATCH", "*", seconds=75))
    assert crossbar.set_account_realm(platform.account, NEW).realm == NEW
    (change,) = [event for event in platform.cluster.events() if event.kind.name == "REALM_CHANGED"]
    assert change.subject == platform.account


def test_the_bucket_is_never_emptied(platform: Platform) -> None:
    answers: list[int] = []

    class Counting(Checked):
        def handle_request(self, request: httpx2.Request) -> httpx2.Response:
            answers.append((answer := super().handle_request(request)).status_code)
            return answer

    phone, began = platform.phone(), platform.clock.monotonic()
    key = platform.cluster.api_key(platform.reseller)
    with Crossbar(URL, key, platform.clock, transport=Counting(platform)) as client:
        for _ in range(400):
            client.device(platform.account, phone)
    assert set(answers) == {200, 201}
    assert 30 <= platform.clock.monotonic() - began <= 40


def test_a_session_outlives_its_token(platform: Platform, crossbar: Crossbar) -> None:
    for _ in range(5):
        platform.clock.sleep(3599)
        assert crossbar.account(platform.account).realm == OLD


def test_over_a_socket(platform: Platform) -> None:
    phone = platform.phone()
    with (
        CrossbarServer(platform.cluster) as server,
        Crossbar(server.url, platform.cluster.api_key(platform.reseller), SystemClock()) as client,
    ):
        assert client.find_account("Acme").id == platform.account
        platform.cluster.faults.add(Fault(Harm.CUT_AFTER, "POST", "*/devices/*"))
        assert client.save_device(platform.account, client.device(platform.account, phone).with_realm(NEW)).realm == NEW
        platform.cluster.faults.add(Fault(Harm.CUT_MIDWAY, "GET", "*/devices"))
        assert [one.id for one in client.devices(platform.account)] == [phone]
    with (
        Crossbar(server.url, platform.cluster.api_key(platform.reseller), platform.clock) as client,
        pytest.raises(UnreachableError, match="no connection"),
    ):
        client.account(platform.account)
