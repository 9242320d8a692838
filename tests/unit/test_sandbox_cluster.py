"""The sandbox's Kazoo: one test for each thing about realms that the platform does and nobody would guess."""

from collections.abc import Callable, Mapping
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from realmkit.errors import InputError
from realmkit.sandbox.cluster import Generation, Shown
from realmkit.sandbox.events import Event, EventKind, dark_time
from realmkit.sandbox.registrar import Answer, Contact
from tests.unit.platforms import NEW, OLD, ManualClock, Platform, device

BOTH = pytest.mark.parametrize("generation", Generation)


def kinds(platform: Platform, subject: str) -> list[EventKind]:
    return [event.kind for event in platform.cluster.events() if event.subject == subject]


def flip(platform: Platform, realm: str = NEW) -> None:
    platform.data("PATCH", "", {"realm": realm})


# F1


@BOTH
def test_f1_a_realm_change_does_nothing_to_phones(generation: Generation) -> None:
    platform = Platform(generation)
    phone = platform.phone()
    platform.register("user_1", OLD)
    document = platform.cluster.document(phone)
    flip(platform)
    assert platform.sent == []
    assert [contact.realm for contact in platform.registrar.contacts()] == [OLD]
    assert platform.cluster.document(phone) == document
    [event] = [event for event in platform.cluster.events() if event.kind is EventKind.REALM_CHANGED]
    assert (event.subject, event.detail) == (platform.account, f"{OLD} -> {NEW}")


# F2


@BOTH
def test_f2_a_pinned_device_registers_at_both_realms_and_is_dialled_at_its_own(generation: Generation) -> None:
    platform = Platform(generation)
    phone = platform.phone()
    assert platform.register("user_1", NEW) is Answer.CHALLENGE
    platform.pin(phone, NEW)
    assert platform.cluster.dial(phone) == f"user_1@{NEW}"
    assert platform.cluster.credentials() == {("user_1", OLD): "secret-1", ("user_1", NEW): "secret-1"}
    assert platform.register("user_1", OLD).status == 200
    assert platform.register("user_1", NEW).status == 200


def test_f2_without_aggregates_a_pinned_device_registers_at_the_account_realm_only() -> None:
    platform = Platform()
    phone = platform.phone()
    platform.cluster.switches.allow_aggregates = False
    platform.pin(phone, NEW)
    assert platform.cluster.document(phone)["sip"]["realm"] == NEW
    assert platform.cluster.dial(phone) == f"user_1@{NEW}"
    assert set(platform.cluster.credentials()) == {("user_1", OLD)}


def test_f2_a_realm_equal_to_the_accounts_is_stripped_on_save_and_its_aggregate_removed() -> None:
    platform = Platform()
    phone = platform.phone()
    platform.pin(phone, NEW)
    flip(platform)
    assert "realm" in platform.cluster.document(phone)["sip"]
    platform.pin(phone, NEW)
    assert "realm" not in platform.cluster.document(phone)["sip"]
    assert platform.cluster.aggregates == {}
    assert platform.cluster.dial(phone) == f"user_1@{NEW}"


def test_f2_pinning_to_old_works_only_after_the_flip() -> None:
    platform = Platform()
    phone = platform.phone()
    platform.pin(phone, OLD)
    assert "realm" not in platform.cluster.document(phone)["sip"]
    flip(platform)
    assert platform.register("user_1", OLD) is Answer.CHALLENGE
    platform.pin(phone, OLD)
    assert platform.register("user_1", OLD).status == 200
    assert platform.cluster.dial(phone) == f"user_1@{OLD}"


def test_f2_an_account_realm_goes_before_an_aggregate_of_the_same_name() -> None:
    platform = Platform()
    platform.pin(platform.phone(), NEW)
    other = platform.cluster.add_account("Other", NEW)
    platform.cluster.add_device(other, device("user_2"))
    assert set(platform.cluster.credentials()) == {("user_1", OLD), ("user_2", NEW), ("user_1", NEW)}
    platform.cluster.change_device(
        platform.cluster.add_device(other, device("user_9")), {"sip": {"username": "user_1"}}
    )
    platform.register("user_1", NEW)
    [row] = platform.cluster.ecallmgr.of_realm(NEW)
    assert row.authorised.account == other


# F3


@BOTH
def test_f3_before_the_flip_phones_on_new_are_listed_by_their_account_realm(generation: Generation) -> None:
    platform = Platform(generation)
    phone = platform.phone()
    platform.pin(phone, NEW)
    platform.register("user_1", NEW)
    [row] = platform.data("GET", "/registrations")
    assert (row["realm"], row["account_realm"], row["authorizing_id"]) == (NEW, OLD, phone)


@BOTH
def test_f3_after_the_flip_crossbar_is_blind_to_old_registrations(generation: Generation) -> None:
    platform = Platform(generation)
    phone = platform.phone()
    platform.register("user_1", OLD)
    assert platform.realms_listed() == [OLD]
    flip(platform)
    assert platform.realms_listed() == []
    assert platform.data("GET", "/registrations/count") == {"count": 0}
    platform.data("DELETE", "/registrations")
    platform.data("DELETE", "/registrations/user_1")
    assert [contact.realm for contact in platform.registrar.contacts()] == [OLD]
    status, _ = platform.ask(
        "PUT", f"/accounts/{platform.account}/devices/{phone}", {"action": "notify", "data": {"event": "check-sync"}}
    )
    assert status == 202
    assert platform.sent == []


def test_f3_after_the_flip_an_old_phone_is_dark_though_it_is_registered() -> None:
    platform = Platform()
    phone = platform.phone()
    platform.register("user_1", OLD)
    assert platform.cluster.rings(phone)
    flip(platform)
    platform.clock.sleep(200)
    assert platform.register("user_1", OLD, password=None).status == 200
    assert not platform.cluster.rings(phone)


# F4


def test_f4_flushed_and_not_aggregated_old_phones_are_challenged_for_ever() -> None:
    platform = Platform()
    platform.phone()
    platform.register("user_1", OLD)
    platform.data("DELETE", "/registrations")
    flip(platform)
    assert platform.register("user_1", OLD) is Answer.CHALLENGE


def test_f4_a_cached_re_register_republishes_the_account_realm_of_its_authorisation() -> None:
    platform = Platform()
    phone = platform.phone()
    platform.pin(phone, NEW)
    platform.register("user_1", NEW)
    flip(platform)
    for _ in range(20):
        platform.clock.sleep(250)
        platform.register("user_1", NEW)
        [row] = platform.data("GET", "/registrations")
        assert row["account_realm"] == OLD  # 5000 s after the flip
    platform.clock.sleep(301)
    platform.register("user_1", NEW)
    [row] = platform.data("GET", "/registrations")
    assert row["account_realm"] == NEW


# F5, F6


def test_f5_older_every_save_sends_a_check_sync_to_the_account_realm_and_sync_sends_nothing() -> None:
    platform = Platform(Generation.OLDER)
    phone = platform.phone()
    platform.register("user_1", OLD)
    assert platform.data("POST", f"/devices/{phone}/sync") == "sync request sent"
    assert platform.sent == []
    platform.pin(phone, NEW)
    assert platform.sent == [(f"user_1@{OLD}", "check-sync")]


def test_f5_newer_a_save_sends_nothing_and_sync_works() -> None:
    platform = Platform(Generation.NEWER)
    phone = platform.phone()
    platform.register("user_1", OLD)
    platform.pin(phone, NEW)
    assert platform.sent == []
    platform.data("POST", f"/devices/{phone}/sync", {}, "reboot=false")
    platform.data("POST", f"/devices/{phone}/sync", {"reboot": True})
    platform.data("POST", f"/devices/{phone}/sync")
    assert [event for _, event in platform.sent] == [
        "check-sync;reboot=false",
        "check-sync;reboot=true",
        "check-sync",
    ]


def test_f5_newer_the_device_words_its_own_check_sync() -> None:
    platform = Platform(Generation.NEWER)
    words = {"check_sync_event": "resync", "check_sync_reload": "soft"}
    phone = platform.cluster.add_device(platform.account, device() | {"provision": words})
    platform.register("user_1", OLD)
    platform.data("POST", f"/devices/{phone}/sync", {}, "reboot=false")
    assert platform.sent == [(f"user_1@{OLD}", "resync;soft")]


def test_f5_newer_a_changed_password_does_send_a_check_sync() -> None:
    platform = Platform(Generation.NEWER)
    phone = platform.phone()
    platform.register("user_1", OLD)
    platform.data("PATCH", f"/devices/{phone}", {"sip": {"password": "secret-2"}})
    assert platform.sent == [(f"user_1@{OLD}", "check-sync")]
    assert platform.registrar.contacts() == []


@BOTH
def test_f5_notify_carries_any_event_to_the_account_realm_and_says_202_to_nobody(generation: Generation) -> None:
    platform = Platform(generation)
    phone = platform.phone()
    body = {"action": "notify", "data": {"event": "resync"}}
    path = f"/accounts/{platform.account}/devices/{phone}"
    status, envelope = platform.ask("PUT", path, body)
    assert (status, envelope["data"]) == (202, "NOTIFY sent")
    platform.pin(phone, NEW)
    platform.register("user_1", NEW)
    assert platform.ask("PUT", path, body)[0] == 202
    assert platform.sent == []  # the phone is at NEW already, the NOTIFY goes to OLD
    platform.register("user_1", OLD)
    assert platform.ask("PUT", path, body)[0] == 202
    assert platform.sent == [(f"user_1@{OLD}", "resync")]
    assert kinds(platform, phone).count(EventKind.NOTIFY_SENT) == 1


def test_f6_patch_of_a_device_sends_no_check_sync() -> None:
    platform = Platform(Generation.OLDER)
    phone = platform.phone()
    platform.register("user_1", OLD)
    platform.data("PATCH", f"/devices/{phone}", {"sip": {"realm": NEW}})
    assert platform.sent == []
    assert platform.cluster.dial(phone) == f"user_1@{NEW}"


# F7


def test_f7_older_a_rejected_account_update_is_saved_all_the_same() -> None:
    platform = Platform(Generation.OLDER)
    platform.cluster.add_account("Other", NEW)
    status, envelope = platform.ask("PATCH", f"/accounts/{platform.account}", {"realm": NEW.upper()})
    assert status == 400
    assert envelope["data"]["realm"]["unique"]["message"] == "Account realm already in use"
    assert platform.cluster.document(platform.account)["realm"] == NEW.upper()


def test_f7_of_two_owners_of_a_realm_the_first_is_asked() -> None:
    platform = Platform(Generation.OLDER)
    other = platform.cluster.add_account("Other", NEW)
    platform.cluster.add_device(other, device("user_2"))
    platform.phone()
    platform.ask("PATCH", f"/accounts/{other}", {"realm": OLD})
    assert set(platform.cluster.credentials()) == {("user_1", OLD)}


@pytest.mark.parametrize("patch", [{"realm": "Reseller.voice.example"}, {"name": "re seller!"}])
def test_f7_switched_off_a_rejected_update_changes_nothing(patch: dict[str, str]) -> None:
    platform = Platform(Generation.NEWER)
    before = platform.cluster.document(platform.account)
    status, envelope = platform.ask("PATCH", f"/accounts/{platform.account}", patch)
    assert (status, envelope["error"], envelope["message"]) == (400, "400", "validation error")
    assert platform.cluster.document(platform.account) == before


@BOTH
def test_f7_a_malformed_realm_is_never_saved(generation: Generation) -> None:
    platform = Platform(generation)
    status, envelope = platform.ask("PATCH", f"/accounts/{platform.account}", {"realm": "new/voice"})
    assert status == 400
    assert "pattern" in envelope["data"]["realm"]
    assert platform.cluster.document(platform.account)["realm"] == OLD


# F8, F9


TRUNK = {
    "name": "PBX",
    "servers": [{"auth": {"auth_method": "password", "auth_user": "pbx_1", "auth_password": "trunk-secret"}}],
}


def test_f8_connectivity_takes_the_account_realm_at_each_save_and_is_stale_after_the_flip() -> None:
    platform = Platform()
    trunk = platform.cluster.add_connectivity(platform.account, TRUNK | {"account": {"auth_realm": "x.example"}})
    assert platform.cluster.document(trunk)["account"]["auth_realm"] == OLD
    assert ("pbx_1", OLD) in platform.cluster.credentials()
    flip(platform)
    assert platform.cluster.document(trunk)["account"]["auth_realm"] == OLD
    assert platform.cluster.credentials() == {}
    platform.data("POST", f"/connectivity/{trunk}", platform.data("GET", f"/connectivity/{trunk}"))
    assert ("pbx_1", NEW) in platform.cluster.credentials()


def test_f8_saving_connectivity_again_flushes_nothing_but_creating_does() -> None:
    platform = Platform()
    platform.phone()
    trunk = platform.cluster.add_connectivity(platform.account, TRUNK)
    platform.register("user_1", OLD)
    platform.data("POST", f"/connectivity/{trunk}", platform.data("GET", f"/connectivity/{trunk}"))
    assert platform.realms_listed() == [OLD]
    platform.data("PUT", "/connectivity", {"name": "second"})
    assert platform.realms_listed() == []


def test_f9_mail_to_the_old_domain_is_lost_at_the_flip_unless_a_fax_box_takes_it() -> None:
    platform = Platform()
    box = platform.cluster.add_fax_box(platform.account, {"name": "Fax"})
    assert platform.cluster.fax_domain_accepted(OLD.upper()) == platform.account
    flip(platform)
    assert platform.cluster.fax_domain_accepted(OLD) is None
    assert platform.cluster.fax_domain_accepted(NEW) == platform.account
    platform.data("PATCH", f"/faxboxes/{box}", {"custom_smtp_email_address": OLD})
    assert platform.cluster.fax_domain_accepted(OLD) == box


def test_f9_a_custom_address_belongs_to_one_fax_box_of_the_cluster() -> None:
    platform = Platform()
    elsewhere = platform.cluster.add_account("Other", "other.voice.example")
    platform.cluster.add_fax_box(elsewhere, {"name": "Fax", "custom_smtp_email_address": OLD})
    box = platform.cluster.add_fax_box(platform.account, {"name": "Fax"})
    status, envelope = platform.ask(
        "PATCH", f"/accounts/{platform.account}/faxboxes/{box}", {"custom_smtp_email_address": OLD.title()}
    )
    assert status == 400
    assert "unique" in envelope["data"]["custom_smtp_email_address"]


# 13.0


def two_rows(generation: Generation = Generation.OLDER, uri: str = "sip:user_1@10.0.0.5:5060") -> tuple[Platform, str]:
    platform = Platform(generation)
    phone = platform.phone()
    platform.register("user_1", OLD)
    platform.pin(phone, NEW)
    platform.clock.sleep(10)
    platform.register("user_1", NEW, uri=uri, call_id="second")
    return platform, phone


def test_two_rows_of_one_device_break_its_inbound_calls_where_they_go_by_endpoint() -> None:
    platform, phone = two_rows()
    assert not platform.cluster.rings(phone)
    platform.cluster.switches.dial_by_endpoint = False
    assert platform.cluster.rings(phone)
    platform.cluster.switches.dial_by_endpoint = True
    platform.data("DELETE", "/registrations/user_1")
    assert platform.cluster.rings(phone)


def test_two_rows_heal_when_the_old_one_lapses_a_quarter_later_than_at_the_edge() -> None:
    platform, phone = two_rows()
    platform.clock.sleep(290)  # OLD's 300 s at the edge are over
    platform.register("user_1", NEW, call_id="second")
    assert [contact.realm for contact in platform.registrar.contacts()] == [NEW]
    assert not platform.cluster.rings(phone)
    platform.clock.sleep(74)
    assert not platform.cluster.rings(phone)
    platform.clock.sleep(1)  # 375 s
    assert platform.cluster.rings(phone)


def test_the_listing_merges_rows_by_username_and_contact_without_realm() -> None:
    platform, _ = two_rows()
    assert platform.realms_listed() == [NEW]
    platform.cluster.switches.merged_listing_shows = Shown.OLDEST
    assert platform.realms_listed() == [OLD]
    assert platform.data("GET", "/registrations/count") == {"count": 2}


def test_with_another_contact_both_rows_are_listed() -> None:
    platform, _ = two_rows(uri="sip:user_1@10.0.0.5:5062")
    assert platform.realms_listed() == [NEW, OLD]


def test_deleting_one_registration_syncs_and_flushes_exactly_the_account_realm() -> None:
    platform, _ = two_rows()
    platform.sent.clear()
    platform.data("DELETE", "/registrations/user_1")
    assert platform.sent == [(f"user_1@{OLD}", "check-sync")]
    assert [contact.realm for contact in platform.registrar.contacts()] == [NEW]
    assert platform.realms_listed() == [NEW]


def test_a_realm_wide_flush_also_hides_phones_on_new_until_their_next_register() -> None:
    platform, phone = two_rows()
    platform.data("DELETE", "/registrations")
    assert [contact.realm for contact in platform.registrar.contacts()] == [NEW]
    assert platform.realms_listed() == []
    assert not platform.cluster.rings(phone)
    platform.clock.sleep(200)
    assert platform.realms_listed() == []
    platform.register("user_1", NEW, call_id="second")
    assert platform.realms_listed() == [NEW]
    assert platform.cluster.rings(phone)


def test_device_status_older_shows_those_registered_and_newer_misleads() -> None:
    for generation in Generation:
        platform = Platform(generation)
        phone, idle = platform.phone(), platform.phone("user_2")
        platform.pin(phone, NEW)
        platform.register("user_1", NEW)
        status = platform.data("GET", "/devices/status")
        if generation is Generation.OLDER:
            assert status == [{"device_id": phone, "registered": True}]
        else:
            assert [(row["device_id"], row["registered"]) for row in status] == [(phone, False), (idle, False)]
            flip(platform)
            assert platform.data("GET", "/devices/status")[0]["registered"]


# saving devices


def test_the_last_writer_wins_whatever_revision_it_had_read() -> None:
    platform = Platform()
    phone = platform.phone()
    _, mine = platform.ask("GET", f"/accounts/{platform.account}/devices/{phone}")
    platform.cluster.change_device(phone, {"name": "Renamed", "sip": {"realm": "x.example"}})
    _, now = platform.ask("GET", f"/accounts/{platform.account}/devices/{phone}")
    assert now["revision"] != mine["revision"]
    status, saved = platform.ask("POST", f"/accounts/{platform.account}/devices/{phone}", mine["data"])
    assert (status, saved["data"]["name"]) == (200, "Phone user_1")
    assert saved["revision"].startswith("3-")


def test_unknown_keys_and_provision_are_kept() -> None:
    platform = Platform()
    phone = platform.phone()
    platform.pin(phone, NEW)
    platform.pin(phone, None)
    document = platform.cluster.document(phone)
    assert document["x_unknown"] == {"kept": [1, 2, 3]}
    assert document["provision"]["endpoint_model"] == "t54w"


def test_a_very_old_document_gets_the_schema_defaults_at_its_first_save() -> None:
    platform = Platform()
    phone = platform.cluster.add_device(platform.account, device(), defaults=False)
    before = platform.data("GET", f"/devices/{phone}")
    assert "mwi_unsolicited_updates" not in before
    after = platform.data("POST", f"/devices/{phone}", before)
    assert after["mwi_unsolicited_updates"] is True
    assert after["sip"] == before["sip"] | {"expire_seconds": 300, "invite_format": "contact", "method": "password"}


def test_sip_credentials_are_unique_in_the_account_and_against_aggregates() -> None:
    platform = Platform()
    platform.pin(platform.phone(), NEW)
    other = platform.cluster.add_account("Other", "other.voice.example")
    taken = {"sip.username": {"unique": {"message": "SIP credentials already in use", "cause": "user_1"}}}
    assert platform.ask("PUT", f"/accounts/{platform.account}/devices", device())[1]["data"] == taken
    status, envelope = platform.ask("PUT", f"/accounts/{other}/devices", device("user_1", realm=NEW))
    assert (status, envelope["data"]) == (400, taken)
    assert platform.ask("PUT", f"/accounts/{other}/devices", device("user_1"))[0] == 201


def test_mac_addresses_are_cleaned_and_unique_in_the_account() -> None:
    platform = Platform()
    phone = platform.data("PUT", "/devices", device() | {"mac_address": "00:15:65:AA-BB-CC"})
    assert phone["mac_address"] == "001565aabbcc"
    _, envelope = platform.ask(
        "PUT", f"/accounts/{platform.account}/devices", device("user_2") | {"mac_address": "001565aabbcc"}
    )
    assert "unique" in envelope["data"]["mac_address"]


def test_a_refused_device_is_not_saved() -> None:
    platform = Platform()
    phone = platform.phone()
    platform.cluster.switches.refused_devices.add(phone)
    status, envelope = platform.ask("POST", f"/accounts/{platform.account}/devices/{phone}", device(realm=NEW))
    assert (status, "call_forward.number" in envelope["data"]) == (400, True)
    assert platform.cluster.dial(phone) == f"user_1@{OLD}"


@pytest.mark.parametrize("patch", [{"enabled": False}, {"owner_id": "0" * 32}, {"sip": {"password": "secret-2"}}])
def test_changed_credentials_owner_or_state_flush_that_registration(patch: dict[str, object]) -> None:
    platform = Platform()
    phone = platform.phone()
    platform.register("user_1", OLD)
    platform.data("PATCH", f"/devices/{phone}", patch)
    assert platform.registrar.contacts() == []
    assert EventKind.FLUSHED in kinds(platform, phone)


def test_a_deleted_device_is_flushed_and_may_not_register() -> None:
    platform = Platform()
    phone = platform.phone()
    platform.pin(phone, NEW)
    platform.register("user_1", OLD)
    platform.data("DELETE", f"/devices/{phone}")
    assert platform.registrar.contacts() == []
    assert platform.cluster.credentials() == {}


@BOTH
def test_a_disabled_account_lets_nobody_register(generation: Generation) -> None:
    platform = Platform(generation)
    platform.pin(platform.phone(), NEW)
    platform.data("PATCH", "", {"enabled": False})
    assert platform.cluster.credentials() == {}
    _, envelope = platform.ask("GET", f"/accounts/{platform.account}")
    assert (envelope["data"] | envelope.get("metadata", {}))["enabled"] is False


# any registrar, events, dark time


class Listed:
    """A registrar that only lists what it is given, as one behind an RPC would."""

    def __init__(self) -> None:
        self.held: list[Contact] = []
        self.used: list[dict[tuple[str, str], str]] = []

    def contacts(self) -> list[Contact]:
        return self.held

    def use(self, passwords: Mapping[tuple[str, str], str]) -> None:
        self.used.append(dict(passwords))

    def flush(self, realm: str, username: str | None = None) -> None:
        self.held = [one for one in self.held if one.realm != realm or username not in (None, one.username)]

    def notify(self, username: str, realm: str, event: str) -> bool:
        return any((one.username, one.realm) == (username, realm) for one in self.held)


def test_a_new_register_is_noticed_by_its_time_alone() -> None:
    platform = Platform()
    edge = Listed()
    platform.cluster.registrar = edge
    phone = platform.phone()
    assert edge.used == [{("user_1", OLD): "secret-1"}]
    now = platform.clock.now()
    edge.held = [Contact("user_1", OLD, "sip:a", "1.2.3.4:5", "ua", "c", now + timedelta(seconds=300), now)]
    assert platform.cluster.rings(phone)
    platform.cluster.flush(platform.cluster.store.get(platform.account, "account"))  # type: ignore[arg-type] # it is there
    edge.held = [Contact("user_1", OLD, "sip:a", "1.2.3.4:5", "ua", "c", now + timedelta(seconds=300), now)]
    assert platform.cluster.rings(phone)
    later = now + timedelta(seconds=100)
    edge.held = [Contact("user_1", OLD, "sip:a", "1.2.3.4:5", "ua", "c", now + timedelta(seconds=301), now)]
    platform.cluster.observe()
    [row] = platform.cluster.ecallmgr.rows()
    assert row.contact.registered_at == now
    edge.held = [Contact("user_1", OLD, "sip:a", "1.2.3.4:5", "ua", "c", later + timedelta(seconds=300), later)]
    platform.cluster.observe()
    [row] = platform.cluster.ecallmgr.rows()
    assert row.contact.registered_at == later


def test_credentials_are_pushed_only_when_they_change() -> None:
    platform = Platform()
    edge = Listed()
    platform.cluster.registrar = edge
    phone = platform.phone()
    platform.cluster.change_device(phone, {"name": "Renamed"})
    assert len(edge.used) == 1
    platform.pin(phone, NEW)
    assert len(edge.used) == 2


def test_events_of_a_move_in_order_and_dark_time() -> None:
    platform = Platform(Generation.NEWER)
    phone = platform.phone()
    start = platform.clock.now()
    platform.register("user_1", OLD)
    platform.clock.sleep(60)
    platform.pin(phone, NEW)  # dark from here: calls go to NEW
    platform.clock.sleep(5)
    platform.register("user_1", OLD, expires=0)
    platform.clock.sleep(7)
    platform.register("user_1", NEW)
    platform.clock.sleep(28)
    assert platform.cluster.rings(phone)
    assert kinds(platform, phone) == [
        EventKind.DEVICE_SAVED,
        EventKind.REGISTERED,
        EventKind.RINGS,
        EventKind.DEVICE_SAVED,
        EventKind.DARK,
        EventKind.UNREGISTERED,
        EventKind.REGISTERED,
        EventKind.RINGS,
    ]
    assert platform.cluster.dark_time(phone, start, platform.clock.now()) == timedelta(seconds=12)


def test_an_expiry_between_two_looks_is_recorded_at_its_time() -> None:
    platform = Platform()
    phone = platform.phone()
    start = platform.clock.now()
    platform.register("user_1", OLD)
    assert platform.cluster.rings(phone)
    platform.clock.sleep(400)
    platform.register("user_1", OLD)
    platform.clock.sleep(10)
    assert platform.cluster.dark_time(phone, start, platform.clock.now()) == timedelta(seconds=100)
    [expired] = [event for event in platform.cluster.events() if event.kind is EventKind.EXPIRED]
    assert expired.at == start + timedelta(seconds=300)


def test_no_event_holds_a_password() -> None:
    platform = Platform()
    platform.pin(platform.phone(), NEW)
    platform.register("user_1", NEW)
    assert "secret" not in repr(platform.cluster.events())


@given(st.lists(st.tuples(st.integers(0, 50), st.booleans()), max_size=12), st.integers(0, 50), st.integers(0, 50))
def test_dark_and_ringing_time_make_up_the_whole_span(changes: list[tuple[int, bool]], one: int, two: int) -> None:
    zero = ManualClock().now()
    since, until = (zero + timedelta(seconds=second) for second in sorted((one, two)))
    states, state = [], None
    for second, rings in sorted(changes, key=lambda change: change[0]):
        if rings is not state:
            states.append((second, rings))
            state = rings
    events = [
        Event(zero + timedelta(seconds=second), EventKind.RINGS if rings else EventKind.DARK, "a", "d")
        for second, rings in states
    ]
    seconds = range(int((since - zero).total_seconds()), int((until - zero).total_seconds()))
    dark = sum(1 for second in seconds if not ([rings for at, rings in states if at <= second] or [False])[-1])
    assert dark_time(events, "d", since, until) == timedelta(seconds=dark)


STEPS = st.lists(
    st.sampled_from(
        ["old", "new", "leave old", "pin", "unpin", "flip", "back", "flush", "flush one", "wait", "wait long"]
    ),
    max_size=12,
)


@settings(max_examples=60, deadline=None)
@given(STEPS, st.sampled_from(Generation), st.booleans())
def test_whatever_happens_a_ringing_phone_has_its_one_row_and_a_contact_where_it_is_dialled(
    steps: list[str], generation: Generation, by_endpoint: bool
) -> None:
    platform = Platform(generation)
    phone = platform.phone()
    platform.cluster.switches.dial_by_endpoint = by_endpoint
    acts: dict[str, Callable[[], object]] = {
        "old": lambda: platform.register("user_1", OLD),
        "new": lambda: platform.register("user_1", NEW),
        "leave old": lambda: platform.register("user_1", OLD, expires=0),
        "pin": lambda: platform.pin(phone, NEW),
        "unpin": lambda: platform.pin(phone, None),
        "flip": lambda: flip(platform, NEW),
        "back": lambda: flip(platform, OLD),
        "flush": lambda: platform.data("DELETE", "/registrations"),
        "flush one": lambda: platform.data("DELETE", "/registrations/user_1"),
        "wait": lambda: platform.clock.sleep(100),
        "wait long": lambda: platform.clock.sleep(390),
    }
    for step in steps:
        acts[step]()
        rings = platform.cluster.rings(phone)
        held = {f"{one.username}@{one.realm}" for one in platform.registrar.contacts()}
        assert not rings or platform.cluster.dial(phone) in held
        assert not (rings and by_endpoint) or len(platform.cluster.ecallmgr.rows()) == 1
        last = [event.kind for event in platform.cluster.events() if event.kind in (EventKind.DARK, EventKind.RINGS)]
        assert rings == (last[-1:] == [EventKind.RINGS])


def test_builders_refuse_what_crossbar_would() -> None:
    platform = Platform()
    with pytest.raises(InputError, match="Account realm already in use"):
        platform.cluster.add_account("Third", OLD.upper())
    with pytest.raises(InputError, match=r"sip\.password"):
        platform.cluster.add_device(platform.account, device(password="abc"))
    with pytest.raises(InputError, match="no device"):
        platform.cluster.rings("nobody")
