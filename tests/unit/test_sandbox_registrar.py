"""The sandbox's SIP edge: Kamailio's habits, without sockets."""

import threading
from typing import Any

import pytest

from realmkit.sandbox.registrar import Answer, Contact, EmbeddedRegistrar, Register
from tests.unit.platforms import ManualClock


class Edge:
    def __init__(self) -> None:
        self.clock = ManualClock()
        self.sent: list[tuple[Contact, str]] = []
        self.registrar = EmbeddedRegistrar(self.clock, lambda contact, event: self.sent.append((contact, event)))
        self.registrar.use({("u1", "old.example"): "secret"})

    def register(self, realm: str = "old.example", password: str | None = "secret", **more: Any) -> Answer:
        asked = {"username": "u1", "uri": "sip:u1@10.0.0.5:5060", "source": "10.0.0.5:5060", "expires": 300, **more}
        proof = None if password is None else lambda wanted: wanted == password
        return self.registrar.register(Register(realm=realm, **asked), proof)


@pytest.fixture
def edge() -> Edge:
    return Edge()


def test_without_credentials_a_register_is_challenged(edge: Edge) -> None:
    assert edge.register(password=None) is Answer.CHALLENGE
    assert edge.registrar.contacts() == []


def test_a_right_digest_registers(edge: Edge) -> None:
    assert edge.register(call_id="c1", user_agent="Yealink") == Answer.OK(300)
    [contact] = edge.registrar.contacts()
    assert (contact.username, contact.realm, contact.uri, contact.source) == (
        "u1",
        "old.example",
        "sip:u1@10.0.0.5:5060",
        "10.0.0.5:5060",
    )
    assert (contact.expires_at - contact.registered_at).total_seconds() == 300
    assert (contact.call_id, contact.user_agent) == ("c1", "Yealink")


def test_wrong_password_and_unknown_user_are_challenged_for_ever(edge: Edge) -> None:
    for _ in range(3):
        assert edge.register(password="wrong").status == 401
        assert edge.register(username="u2").status == 401
        assert edge.register(realm="new.example").status == 401


def test_realms_compare_case_blind_and_users_do_not(edge: Edge) -> None:
    assert edge.register(realm="OLD.example").status == 200
    assert edge.register(username="U1").status == 401
    assert edge.registrar.notify("u1", "Old.Example", "check-sync")


def test_rows_end_on_the_clock(edge: Edge) -> None:
    edge.register()
    edge.clock.sleep(299)
    assert edge.registrar.contacts()
    edge.clock.sleep(1)
    assert edge.registrar.contacts() == []
    assert not edge.registrar.notify("u1", "old.example", "check-sync")


def test_interval_too_brief_is_refused_and_too_long_is_cut(edge: Edge) -> None:
    assert edge.register(expires=60) == Answer.too_brief(300)
    assert edge.register(expires=86400) == Answer.OK(3600)
    assert edge.register(source="10.0.0.6:5060", uri="sip:u1@10.0.0.6", expires=None) == Answer.OK(600)


def test_expires_zero_takes_the_row_away(edge: Edge) -> None:
    edge.register()
    assert edge.register(expires=0) == Answer.OK(0)
    assert edge.registrar.contacts() == []


def test_star_takes_all_rows_of_the_address_away(edge: Edge) -> None:
    edge.register(call_id="a")
    edge.register(call_id="b", uri="sip:u1@10.0.0.6:5060", source="10.0.0.6:5060")
    assert len(edge.registrar.contacts()) == 2
    edge.register(call_id="b", uri="*", source="10.0.0.6:5060", expires=0)
    assert edge.registrar.contacts() == []


def test_f4_a_cached_phone_is_never_asked_again_from_the_same_source(edge: Edge) -> None:
    edge.register()
    edge.registrar.use({})
    for _ in range(100):
        edge.clock.sleep(250)
        assert edge.register(password=None) == Answer.OK(300)
    assert [contact.registered_at for contact in edge.registrar.contacts()] == [edge.clock.now()]


def test_f4_another_source_is_asked(edge: Edge) -> None:
    edge.register()
    edge.registrar.use({})
    assert edge.register(source="10.0.0.5:5062") is Answer.CHALLENGE


def test_f4_the_cache_alone_is_not_enough_without_a_row(edge: Edge) -> None:
    edge.register()
    edge.registrar.use({})
    edge.clock.sleep(301)  # the row is over, the cached authorisation is not
    assert edge.register() is Answer.CHALLENGE


def test_f4_the_cache_ends_7200_seconds_after_the_last_register() -> None:
    edge = Edge()
    edge.registrar = EmbeddedRegistrar(edge.clock, lambda _contact, _event: None, maximum=10_000)
    edge.registrar.use({("u1", "old.example"): "secret"})
    edge.register(expires=9000)
    edge.registrar.use({})
    edge.clock.sleep(7199)
    assert edge.register(expires=9000).status == 200
    edge.clock.sleep(7200)
    assert edge.registrar.contacts()
    assert edge.register(expires=9000) is Answer.CHALLENGE


def test_f4_flush_takes_rows_and_cache_of_exactly_that_realm(edge: Edge) -> None:
    edge.registrar.use({("u1", realm): "secret" for realm in ("old.example", "new.example", "x.old.example")})
    for realm in ("old.example", "new.example", "x.old.example"):
        edge.register(realm=realm)
    edge.registrar.use({})
    edge.registrar.flush("OLD.example")
    assert sorted(contact.realm for contact in edge.registrar.contacts()) == ["new.example", "x.old.example"]
    assert edge.register() is Answer.CHALLENGE
    assert edge.register(realm="new.example").status == 200


def test_flush_of_one_user_leaves_the_others(edge: Edge) -> None:
    edge.registrar.use({("u1", "old.example"): "secret", ("u2", "old.example"): "secret"})
    edge.register()
    edge.register(username="u2", uri="sip:u2@10.0.0.7")
    edge.registrar.flush("old.example", "u1")
    assert [contact.username for contact in edge.registrar.contacts()] == ["u2"]


def test_notify_reaches_every_row_of_the_address_and_no_other(edge: Edge) -> None:
    edge.registrar.use({("u1", "old.example"): "secret", ("u1", "new.example"): "secret"})
    edge.register()
    edge.register(realm="new.example")
    assert edge.registrar.notify("u1", "old.example", "check-sync;reboot=false")
    assert [(contact.realm, event) for contact, event in edge.sent] == [("old.example", "check-sync;reboot=false")]


def test_a_phone_is_known_again_by_its_call_id_when_its_nat_moves_it(edge: Edge) -> None:
    edge.register(call_id="c1")
    edge.register(call_id="c1", uri="sip:u1@10.0.0.5:40000", source="10.0.0.5:40000")
    assert [contact.uri for contact in edge.registrar.contacts()] == ["sip:u1@10.0.0.5:40000"]


def test_a_refused_user_gets_403(edge: Edge) -> None:
    edge.registrar.refused.add(("u1", "old.example"))
    assert edge.register() is Answer.FORBIDDEN


def test_delivery_may_register_again_without_a_deadlock() -> None:
    edge = Edge()

    def answer(contact: Contact, event: str) -> None:
        thread = threading.Thread(target=edge.register)  # another thread, as the phone's would be
        thread.start()
        thread.join(5)
        assert not thread.is_alive()

    edge.registrar = EmbeddedRegistrar(edge.clock, answer)
    edge.registrar.use({("u1", "old.example"): "secret"})
    edge.register()
    assert edge.registrar.notify("u1", "old.example", "check-sync")


def test_many_threads_at_once_lose_nothing(edge: Edge) -> None:
    edge.registrar.use({(f"u{number}", "old.example"): "secret" for number in range(200)})

    def some(first: int) -> None:
        for number in range(first, 200, 4):
            edge.register(username=f"u{number}", uri=f"sip:u{number}@10.0.0.5")
            edge.registrar.contacts()

    threads = [threading.Thread(target=some, args=(first,)) for first in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(edge.registrar.contacts()) == 200
