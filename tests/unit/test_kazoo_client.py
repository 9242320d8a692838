"""What the client makes of a Crossbar that is slow, cut off, busy, or says one thing and does another."""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import httpx2
import pytest

from realmkit.errors import (
    AuthError,
    ConflictError,
    InputError,
    OutcomeUnknownError,
    ProviderError,
    RateLimitedError,
    RefusedError,
    RejectedError,
    SecretError,
    UnreachableError,
)
from realmkit.kazoo.client import Crossbar
from realmkit.kazoo.documents import Connectivity, Device, FaxBox, to_gregorian
from realmkit.kazoo.errors import BusyError, ChargesError, IncompleteError, InvalidError, NotFoundError, NotKeptError
from tests.unit.kazooscript import (
    ACME,
    CUT,
    KEY,
    LATE,
    ME,
    PHONE,
    REFUSED,
    SCHEMAS,
    TOKEN,
    URL,
    FakeClock,
    Script,
    Step,
    check_body,
    crossbar,
    fail,
    invalid,
    login,
    ok,
)

SECRET = "s3cret-of-the-phone"
OLD, NEW = "old.voice.example.com", "new.voice.example.com"


def account_data(realm: str = OLD, **more: Any) -> dict[str, Any]:
    return {"id": ACME, "name": "Acme", "realm": realm, "timezone": "Europe/Berlin"} | more


def account(realm: str = OLD, revision: str = "1-a", **more: Any) -> httpx2.Response:
    return ok(account_data(realm), revision=revision, **more)


def device_data(realm: str | None = None, **more: Any) -> dict[str, Any]:
    sip = {"username": "user_1", "password": SECRET} | ({"realm": realm} if realm else {})
    return {"id": PHONE, "name": "Reception", "sip": sip, "ui": {"of": ["a", "portal"]}} | more


def device(realm: str | None = None, revision: str = "1-a", **more: Any) -> httpx2.Response:
    return ok(device_data(realm, **more), revision=revision)


def pinned() -> Device:
    return Device.from_json(device_data(), "1-a").with_realm(NEW)


def search(*rows: dict[str, Any]) -> httpx2.Response:
    return ok({"realm": list(rows)})


def me() -> httpx2.Response:
    return ok({"id": ME, "name": "Reseller", "realm": "reseller.example.com"})


FREE = (search(), me())  # the search for an owner of the realm finds nobody but ourselves


# ---- what is configured


@pytest.mark.parametrize("key", ["", "abc", KEY + "0", "g" * 64, KEY[:-1] + "é"])
def test_a_key_that_can_be_none_is_refused_without_being_shown(key: str) -> None:
    with pytest.raises(SecretError, match="64 hexadecimal digits") as caught:
        Crossbar(URL, key, FakeClock())
    assert not key or key not in f"{caught.value} {caught.value.hint}"


@pytest.mark.parametrize(
    "url",
    ["", "api.example.net", "ftp://api.example.net", "https://", "https://u:p@api.example.net", "https://api.example.net/v1",
     "https://api.example.net:99999/v2", "https://api.example.net/v2?x=1", "https://[::1"],
)  # fmt: skip
def test_a_url_that_can_be_none_is_refused(url: str) -> None:
    with pytest.raises(InputError, match=r"platform\.kazoo\.url"):
        Crossbar(url, KEY, FakeClock())


@pytest.mark.parametrize("url", ["https://api.example.net:8443", "https://api.example.net:8443/v2/", URL])
def test_the_version_may_be_left_out_of_the_url(url: str) -> None:
    script = Script()
    with Crossbar(url, KEY, FakeClock(), transport=script) as client:
        assert client.account_id == ME
    assert str(script.requests[0].url) == f"{URL}/api_auth"


# ---- login and tokens


def test_one_login_serves_many_requests() -> None:
    script = Script(account(), account(), account())
    client = crossbar(script)
    for _ in range(3):
        client.account(ACME)
    assert [request.url.path for request in script.requests].count("/v2/api_auth") == 1
    assert script.body(0) == {"api_key": KEY}
    assert "X-Auth-Token" not in script.requests[0].headers
    assert {request.headers["X-Auth-Token"] for request in script.requests[1:]} == {TOKEN}


def test_a_token_is_not_used_to_its_very_end() -> None:
    clock, script = FakeClock(), Script(account(), account(), account())
    client = crossbar(script, clock)
    client.account(ACME)
    clock.pass_by(3500)
    client.account(ACME)
    clock.pass_by(60)
    client.account(ACME)
    assert [request.method for request in script.requests] == ["PUT", "GET", "GET", "PUT", "GET"]


def test_a_token_that_runs_out_early_is_renewed_once() -> None:
    script = Script(account(), fail(401, "invalid_credentials"), account())
    client = crossbar(script)
    client.account(ACME)
    assert client.account(ACME).realm == OLD
    assert [request.method for request in script.requests] == ["PUT", "GET", "GET", "PUT", "GET"]


def test_a_new_token_that_is_refused_at_once_is_the_end() -> None:
    script = Script(account(), fail(401, "invalid_credentials"), fail(401, "invalid_credentials"))
    client = crossbar(script)
    client.account(ACME)
    with pytest.raises(AuthError, match="had just granted"):
        client.account(ACME)
    assert len(script.requests) == 5


def test_a_refused_key_is_not_tried_twice() -> None:
    script = Script(logins=[fail(401, "invalid_credentials")])
    with pytest.raises(AuthError, match="refused the API key") as caught:
        crossbar(script).account(ACME)
    assert len(script.requests) == 1
    assert KEY not in f"{caught.value} {caught.value.hint}"


def test_a_login_that_is_lost_is_repeated() -> None:
    script = Script(account(), logins=[CUT, fail(503, "datastore_unreachable"), REFUSED, login()])
    assert crossbar(script).account(ACME).realm == OLD


def test_a_login_without_a_token_is_not_crossbars() -> None:
    script = Script(logins=[ok({"account_id": ME}, 201)])
    with pytest.raises(ProviderError, match="not Crossbar's"):
        crossbar(script).account(ACME)


def test_a_token_that_ran_out_under_a_write_does_not_lose_it() -> None:
    script = Script(
        account(), *FREE, fail(401, "invalid_credentials"), account(), account(NEW, "2-b"), account(NEW, "2-b")
    )
    assert crossbar(script).set_account_realm(ACME, NEW).realm == NEW
    assert script.seen.count(f"PATCH accounts/{ACME}") == 2


def test_a_login_that_runs_out_while_reading_is_renewed_before_the_write() -> None:
    clock = FakeClock()

    def much_later(_: httpx2.Request) -> httpx2.Response:
        clock.pass_by(3600)
        return me()

    script = Script(account(), search(), much_later, account(NEW, "2-b"), account(NEW, "2-b"))
    crossbar(script, clock).set_account_realm(ACME, NEW)
    assert [request.method for request in script.requests] == ["PUT", "GET", "GET", "GET", "PUT", "PATCH", "GET"]


# ---- pace


def test_a_bucket_that_runs_low_is_waited_for() -> None:
    clock = FakeClock()
    script = Script(*[account(tokens={"consumed": 1, "remaining": left}) for left in (4, 50, 50)])
    client = crossbar(script, clock)
    client.account(ACME)
    assert clock.sleeps == []
    client.account(ACME)
    assert clock.sleeps == pytest.approx([0.7])  # eleven tokens wanted, four there, ten a second
    client.account(ACME)
    assert len(clock.sleeps) == 1


def test_a_thousand_reads_never_empty_the_bucket() -> None:
    clock = FakeClock()
    bucket = {"left": 100.0, "at": clock.monotonic()}
    lowest = [100.0]

    def answer(request: httpx2.Request) -> httpx2.Response:
        bucket["left"] = min(100.0, bucket["left"] + (clock.monotonic() - bucket["at"]) * 10)
        bucket["at"] = clock.monotonic()
        cost = 35 if request.url.path.endswith("api_auth") else 1
        assert bucket["left"] >= cost
        bucket["left"] -= cost
        lowest[0] = min(lowest[0], bucket["left"])
        tokens = {"consumed": cost, "remaining": int(bucket["left"])}
        return ok({"account_id": ME}, 201, auth_token=TOKEN, tokens=tokens) if cost == 35 else account(tokens=tokens)

    script = Script(*[answer] * 1000, logins=[answer])
    began = clock.monotonic()
    client = crossbar(script, clock)
    for _ in range(1000):
        client.account(ACME)
    assert lowest[0] > 5
    assert clock.monotonic() - began < 100


@pytest.mark.parametrize(
    ("headers", "waits"),
    [({"Retry-After": "7"}, 7.5), ({"Retry-After": "Fri, 20 Nov 2026 02:00:09 GMT"}, 9.5), ({}, 1.0)],
)
def test_too_many_requests_are_waited_out(headers: dict[str, str], waits: float) -> None:
    clock = FakeClock()
    script = Script(fail(429, "too_many_requests", headers=headers), account())
    assert crossbar(script, clock, jitter=lambda: 0.0).account(ACME).realm == OLD
    assert clock.sleeps[0] == pytest.approx(waits, abs=0.51)


def test_jitter_spreads_the_repeats() -> None:
    slept = []
    for jitter in (0.0, 1.0):
        clock = FakeClock()
        crossbar(Script(fail(503), account()), clock, jitter=lambda jitter=jitter: jitter).account(ACME)  # type: ignore[misc] # bound early
        slept.append(clock.sleeps[0])
    assert slept == [0.5, 1.0]


def test_a_long_retry_after_is_passed_on() -> None:
    clock = FakeClock()
    with pytest.raises(RateLimitedError) as caught:
        crossbar(Script(fail(429, headers={"Retry-After": "900"})), clock).account(ACME)
    assert caught.value.retry_after == 900
    assert clock.sleeps == []


def test_repeats_are_bounded() -> None:
    clock, script = FakeClock(), Script(*[fail(429, "too_many_requests")] * 50)
    with pytest.raises(RateLimitedError):
        crossbar(script, clock).account(ACME)
    assert len(script.seen) == 5
    assert sum(clock.sleeps) < 60


# ---- reading


@pytest.mark.parametrize(
    "fault", [CUT, LATE, REFUSED, fail(503, "datastore_unreachable"), fail(500), httpx2.Response(502, text="<html>")]
)
def test_a_read_is_repeated_when_the_fault_may_pass(fault: Step) -> None:
    assert crossbar(Script(fault, account())).account(ACME).realm == OLD


def test_both_generations_of_an_account() -> None:
    older = ok(account_data(enabled=False, is_reseller=False), revision="1-a")
    newer = ok(account_data(), revision="1-a", metadata={"enabled": False, "is_reseller": False})
    read = [crossbar(Script(answer)).account(ACME) for answer in (older, newer)]
    assert [(one.enabled, one.realm, one.timezone, one.revision) for one in read] == [
        (False, OLD, "Europe/Berlin", "1-a")
    ] * 2


def test_what_is_not_there_is_said_at_once() -> None:
    script = Script(fail(404, "bad_identifier", {"cause": PHONE}))
    with pytest.raises(NotFoundError, match=f"GET /accounts/{ACME}/devices/{PHONE}.*bad_identifier"):
        crossbar(script).device(ACME, PHONE)


def test_what_is_forbidden_is_said_at_once() -> None:
    with pytest.raises(AuthError, match="403 forbidden"):
        crossbar(Script(fail(403, "forbidden"))).account(ACME)


@pytest.mark.parametrize("answer", [httpx2.Response(200, text="<html>It works!</html>"), httpx2.Response(302)])
def test_another_server_is_recognised(answer: httpx2.Response) -> None:
    with pytest.raises(ProviderError) as caught:
        crossbar(Script(answer)).account(ACME)
    assert "platform.kazoo.url" in (caught.value.hint or "")


@pytest.mark.parametrize("data", [None, [], "text"])
def test_an_answer_of_another_shape_is_no_document(data: Any) -> None:
    with pytest.raises(ProviderError, match="not Crossbar's"):
        crossbar(Script(ok(data))).account(ACME)


@pytest.mark.parametrize("part", ["", ".", ".."])
def test_an_empty_id_is_no_path(part: str) -> None:
    with pytest.raises(InputError, match="empty name"):
        crossbar(Script()).device(ACME, part)


def test_odd_ids_are_quoted() -> None:
    script = Script(fail(404))
    with pytest.raises(NotFoundError):
        crossbar(script).device(ACME, "a/../b?c=#d")
    assert script.requests[-1].url.raw_path.decode().endswith("/devices/a%2F..%2Fb%3Fc%3D%23d")


# ---- listings


def registration(number: int) -> dict[str, Any]:
    return {"username": f"user_{number}", "realm": OLD, "account_realm": OLD, "event_timestamp": 63_961_898_400}


def test_a_listing_is_read_page_by_page() -> None:
    script = Script(
        ok([{"id": "2"}, {"id": "1"}], next_start_key="g2wAAAAB/+=="),
        ok([{"id": "3"}], next_start_key=["name", 7]),
        ok([{"id": "1"}]),
        *[ok({"id": number, "name": "n"}) for number in "123"],
    )
    assert [one.id for one in crossbar(script).devices(ACME)] == ["1", "2", "3"]
    pages = [request.url.params.get("start_key") for request in script.requests[1:4]]
    assert pages == [None, "g2wAAAAB/+==", '["name", 7]']


def test_a_device_deleted_while_listing_is_left_out() -> None:
    script = Script(ok([{"id": "1"}, {"id": "2"}]), fail(404), ok({"id": "2"}))
    assert [one.id for one in crossbar(script).devices(ACME)] == ["2"]


WHOLE = json.dumps({"data": [registration(1), registration(2)], "status": "success"}).encode()
HALVES: list[Step] = [
    httpx2.Response(200, content=WHOLE[: len(WHOLE) // 2]),
    httpx2.Response(200, json={"data": [registration(1)]}),
    httpx2.Response(200, content=b""),
    httpx2.RemoteProtocolError("peer closed connection without sending complete message body"),
]


@pytest.mark.parametrize("half", HALVES)
def test_half_a_page_is_unknown_and_not_short(half: Step) -> None:
    with pytest.raises(IncompleteError) as caught:
        crossbar(Script(*[half] * 5)).registrations(ACME)
    assert caught.value.exit_code == 3


@pytest.mark.parametrize("half", HALVES)
def test_half_a_page_is_asked_for_again(half: Step) -> None:
    script = Script(half, ok([registration(1), registration(2)]))
    assert [one.username for one in crossbar(script).registrations(ACME)] == ["user_1", "user_2"]


def test_a_later_page_that_stays_cut_spoils_the_listing() -> None:
    script = Script(ok([registration(1)], next_start_key="x"), *[HALVES[0]] * 5)
    with pytest.raises(IncompleteError):
        crossbar(script).registrations(ACME)


def test_a_listing_that_fails_behind_a_200_is_no_listing() -> None:
    failed = httpx2.Response(200, json={"data": [], "status": "error", "error": "503", "message": "datastore_timeout"})
    with pytest.raises(BusyError, match="503 datastore_timeout"):
        crossbar(Script(*[failed] * 5)).registrations(ACME)


def test_a_listing_without_end_is_left() -> None:
    with pytest.raises(IncompleteError, match="no end"):
        crossbar(Script(*[ok([], next_start_key="x")] * 3)).channels(ACME)


def test_a_row_of_another_shape_is_an_error() -> None:
    with pytest.raises(ProviderError, match="not Crossbar's"):
        crossbar(Script(ok(["x"]))).channels(ACME)
    with pytest.raises(ProviderError, match="not Crossbar's"):
        crossbar(Script(ok([{"name": "no id"}]))).devices(ACME)


def test_connectivity_is_listed_by_bare_ids() -> None:
    script = Script(ok(["t1"]), ok({"id": "t1", "account": {"auth_realm": OLD}}, revision="1-a"))
    (trunk,) = crossbar(script).connectivity(ACME)
    assert (trunk.id, trunk.realm, trunk.revision) == ("t1", OLD, "1-a")


def test_call_records_are_asked_for_month_by_month() -> None:
    since = datetime(2026, 9, 1, tzinfo=UTC)
    until = since + timedelta(days=70)
    asked = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        start, end = (int(request.url.params[key]) for key in ("created_from", "created_to"))
        asked.append((start, end))
        return ok([{"timestamp": str(start), "duration_seconds": "0", "authorizing_id": PHONE}])

    records = list(crossbar(Script(answer, answer, answer)).cdrs(ACME, since, until))
    assert len(records) == 3
    assert records[0].start == since
    assert asked[0][0] == to_gregorian(since)
    assert asked[-1][1] == to_gregorian(until) - 1
    assert all(end - start < 31 * 86_400 for start, end in asked)
    assert all(before[1] + 1 == after[0] for before, after in pairwise(asked))


# ---- finding accounts


def row(identity: str, name: str, realm: str) -> dict[str, Any]:
    return {"id": identity, "name": name, "realm": realm, "descendants_count": 0}


@pytest.mark.parametrize("wanted", ["acme", "ACME!", OLD.upper(), ACME, ACME.upper()])
def test_an_account_is_found_by_name_realm_or_id(wanted: str) -> None:
    others = [row("c" * 32, "Acme Berlin", "acme-berlin.example.com")]
    found = ok({"id": [], "realm": others, "name": [row(ACME, "Acme", OLD)]})
    if wanted.lower() == ACME:
        found = ok({"id": [row(ACME, "Acme", OLD)]})
    assert crossbar(Script(found, me(), account())).find_account(wanted).id == ACME


def test_our_own_account_is_found_too() -> None:
    assert crossbar(Script(ok({}), me())).find_account("reseller").id == ME


def test_beginnings_are_not_enough() -> None:
    script = Script(ok({"name": [row(ACME, "Acme", OLD)]}), me())
    with pytest.raises(InputError, match="no account 'acm'"):
        crossbar(script).find_account("acm")


def test_two_accounts_of_one_name_need_an_id() -> None:
    other = "c" * 32
    script = Script(
        ok({"name": [row(ACME, "Acme", OLD), row(other, "ACME", "x.example")]}),
        me(),
        account(),
        ok({"id": other, "name": "ACME", "realm": "x.example"}),
    )
    with pytest.raises(InputError, match=f"2 accounts.*{other}"):
        crossbar(script).find_account("a.c.m.e")


def test_a_name_without_letters_never_searches_for_everybody() -> None:
    script = Script(me())
    with pytest.raises(InputError):
        crossbar(script).find_account("日本")
    assert script.seen == [f"GET accounts/{ME}"]
    with pytest.raises(InputError):
        crossbar(Script()).find_account(" ")


def test_the_owner_of_a_realm_is_found_in_any_case() -> None:
    found = search(row(ACME, "Acme", OLD), row("c" * 32, "Other", f"{OLD}.example"))
    owner = crossbar(Script(found, me(), account())).realm_owner(OLD.upper())
    assert owner is not None
    assert owner.id == ACME
    assert crossbar(Script(*FREE)).realm_owner(NEW) is None


# ---- the account's realm


def test_a_realm_is_set_and_read_back() -> None:
    script = Script(account(), *FREE, account(NEW, "2-b"), account(NEW, "2-b"))
    after = crossbar(script).set_account_realm(ACME, NEW)
    assert (after.realm, after.revision) == (NEW, "2-b")
    assert script.body(-2) == {"realm": NEW}
    assert script.seen[-2:] == [f"PATCH accounts/{ACME}", f"GET accounts/{ACME}"]


def test_a_realm_that_is_there_is_not_set_again() -> None:
    script = Script(account(NEW))
    assert crossbar(script).set_account_realm(ACME, NEW).realm == NEW
    assert script.seen == [f"GET accounts/{ACME}"]


def test_a_realm_of_somebody_else_is_refused_before_anything_is_sent() -> None:
    other = "c" * 32
    script = Script(account(), search(row(other, "Other", NEW)), me(), ok({"id": other, "name": "Other", "realm": NEW}))
    with pytest.raises(RefusedError, match=f"{NEW} is the one of account {other}"):
        crossbar(script).set_account_realm(ACME, NEW)
    assert not any(request.startswith("PATCH") for request in script.seen)


@pytest.mark.parametrize("realm", ["", "abc", "a b.example", "x" * 254, "a/b.example"])
def test_what_can_be_no_realm_is_not_sent(realm: str) -> None:
    script = Script()
    with pytest.raises(InputError):
        crossbar(script).set_account_realm(ACME, realm)
    assert script.requests == []


def test_a_400_that_saved_is_done() -> None:
    refused = invalid("contact.billing.email", "format", "not an email")
    script = Script(account(), *FREE, refused, account(NEW, "2-b"))
    assert crossbar(script).set_account_realm(ACME, NEW).realm == NEW


def test_a_400_that_did_not_save_says_what_was_wrong() -> None:
    refused = invalid("contact.billing.email", "format", "not an email", value="x")
    script = Script(account(), *FREE, refused, account())
    with pytest.raises(InvalidError) as caught:
        crossbar(script).set_account_realm(ACME, NEW)
    assert "contact.billing.email: not an email (format)" in str(caught.value)
    assert "read again: not in force" in str(caught.value)
    assert script.seen.count(f"PATCH accounts/{ACME}") == 1


TAKEN = ("realm", "unique", "Account realm already in use")


def test_a_strangers_realm_that_was_saved_all_the_same_is_put_back() -> None:
    script = Script(account(), *FREE, invalid(*TAKEN), account(NEW, "2-b"), account(OLD, "3-c"), account(OLD, "3-c"))
    with pytest.raises(RejectedError, match=f"already in use.*{OLD} was put back"):
        crossbar(script).set_account_realm(ACME, NEW)
    assert script.body(-2) == {"realm": OLD}
    assert script.unused == []


def test_a_strangers_realm_that_was_not_saved_needs_no_putting_back() -> None:
    script = Script(account(), *FREE, invalid(*TAKEN), account())
    with pytest.raises(InvalidError, match="already in use"):
        crossbar(script).set_account_realm(ACME, NEW)
    assert script.seen.count(f"PATCH accounts/{ACME}") == 1


def test_a_strangers_realm_that_cannot_be_put_back_is_an_alarm() -> None:
    script = Script(account(), *FREE, invalid(*TAKEN), account(NEW, "2-b"), fail(403, "forbidden"), account(NEW, "2-b"))
    with pytest.raises(OutcomeUnknownError, match="could not be put back") as caught:
        crossbar(script).set_account_realm(ACME, NEW)
    assert OLD in (caught.value.hint or "")


@pytest.mark.parametrize("lost", [CUT, LATE, httpx2.Response(200, content=b'{"data"'), httpx2.Response(504)])
def test_a_lost_answer_to_a_change_that_was_saved_is_done(lost: Step) -> None:
    script = Script(account(), *FREE, lost, account(NEW, "2-b"))
    assert crossbar(script).set_account_realm(ACME, NEW).realm == NEW
    assert script.seen.count(f"PATCH accounts/{ACME}") == 1


def test_a_change_that_is_slow_to_appear_is_waited_for() -> None:
    clock, script = FakeClock(), Script(account(), *FREE, LATE, account(), account(NEW, "2-b"))
    assert crossbar(script, clock).set_account_realm(ACME, NEW).realm == NEW
    assert script.seen.count(f"PATCH accounts/{ACME}") == 1
    assert clock.sleeps == [2.0]


@pytest.mark.parametrize("lost", [CUT, LATE, fail(503), fail(409, "datastore_conflict"), fail(429), REFUSED])
def test_a_change_seen_not_to_be_saved_is_repeated(lost: Step) -> None:
    reads = {409: 1, 429: 1}.get(lost.status_code, 2) if isinstance(lost, httpx2.Response) else 2
    before = [account()] * (0 if lost is REFUSED else reads)
    script = Script(account(), *FREE, lost, *before, account(NEW, "2-b"), account(NEW, "2-b"))
    assert crossbar(script).set_account_realm(ACME, NEW).realm == NEW
    assert script.seen.count(f"PATCH accounts/{ACME}") == 2
    assert script.unused == []


def test_a_change_that_is_never_saved_is_not_done() -> None:
    lost: list[Step] = [CUT, account(), account()]
    script = Script(account(), *FREE, *lost * 5)
    with pytest.raises(UnreachableError, match="read again: not in force"):
        crossbar(script).set_account_realm(ACME, NEW)
    assert script.seen.count(f"PATCH accounts/{ACME}") == 5


@pytest.mark.parametrize("answer", [CUT, fail(500), account(NEW, "2-b")])
def test_a_change_that_cannot_be_read_again_is_unknown(answer: Step) -> None:
    script = Script(account(), *FREE, answer, *[CUT] * 5)
    with pytest.raises(OutcomeUnknownError, match="could not be read again") as caught:
        crossbar(script).set_account_realm(ACME, NEW)
    assert caught.value.exit_code == 3
    assert script.seen.count(f"PATCH accounts/{ACME}") == 1


def test_an_ok_that_saved_nothing_is_not_believed() -> None:
    script = Script(account(), *FREE, account(NEW, "2-b"), account(), account())
    with pytest.raises(NotKeptError, match="reading it again shows otherwise"):
        crossbar(script).set_account_realm(ACME, NEW)


def test_what_costs_money_is_not_done_unasked() -> None:
    script = Script(account(), *FREE, fail(402, "accept charges"), account())
    with pytest.raises(ChargesError, match="costs money"):
        crossbar(script).set_account_realm(ACME, NEW)
    assert "accept_charges" not in json.loads(script.requests[-2].content)


def test_what_costs_money_is_done_when_asked() -> None:
    script = Script(account(), *FREE, account(NEW, "2-b"), account(NEW, "2-b"))
    crossbar(script, accept_charges=True).set_account_realm(ACME, NEW)
    assert json.loads(script.requests[-2].content)["accept_charges"] is True


# ---- devices


def test_a_device_is_saved_whole_and_read_back() -> None:
    script = Script(device(_read_only={"x": 1}), device(NEW, "2-b"), device(NEW, "2-b"))
    saved = crossbar(script).save_device(ACME, pinned())
    assert (saved.realm, saved.revision) == (NEW, "2-b")
    assert script.seen == [f"{method} accounts/{ACME}/devices/{PHONE}" for method in ("GET", "POST", "GET")]
    assert script.body(-2) == device_data(NEW)


def test_read_only_keys_are_not_sent() -> None:
    wanted = Device.from_json(device_data(_read_only={"x": 1}, _rev="1", pvt_type="device"), "1-a").with_realm(NEW)
    script = Script(device(), device(NEW, "2-b"), device(NEW, "2-b"))
    crossbar(script).save_device(ACME, wanted)
    assert script.body(-2) == device_data(NEW)


def test_a_device_that_somebody_changed_is_not_overwritten() -> None:
    script = Script(device(revision="2-b", name="Lobby"))
    with pytest.raises(ConflictError, match="no longer at 1-a"):
        crossbar(script).save_device(ACME, pinned())
    assert len(script.seen) == 1


def test_a_device_changed_under_the_save_is_a_conflict() -> None:
    script = Script(device(), fail(409, "datastore_conflict"), device(revision="2-b", name="Lobby"), account())
    with pytest.raises(ConflictError, match="at the same time"):
        crossbar(script).save_device(ACME, pinned())


def test_a_device_conflict_without_a_change_is_repeated() -> None:
    script = Script(device(), fail(409, "datastore_conflict"), device(), device(NEW, "2-b"), device(NEW, "2-b"))
    assert crossbar(script).save_device(ACME, pinned()).revision == "2-b"


def test_a_save_whose_answer_was_lost_is_found_done() -> None:
    script = Script(device(), CUT, device(NEW, "2-b"))
    assert crossbar(script).save_device(ACME, pinned()).realm == NEW
    assert script.seen.count(f"POST accounts/{ACME}/devices/{PHONE}") == 1


def test_the_account_realm_may_be_dropped_from_a_device() -> None:
    script = Script(device(OLD), device(revision="2-b"), device(revision="2-b"), account(NEW.upper()))
    wanted = Device.from_json(device_data(OLD), "1-a").with_realm(NEW)
    assert crossbar(script).save_device(ACME, wanted).realm is None


def test_another_realm_may_not_be_dropped() -> None:
    dropped = [device(revision="2-b"), account()]
    script = Script(device(), device(revision="2-b"), *dropped * 3)
    with pytest.raises(NotKeptError, match=r"sip\.realm"):
        crossbar(script).save_device(ACME, pinned())


def test_a_pin_is_taken_off() -> None:
    script = Script(device(NEW), device(revision="2-b"), device(revision="2-b"))
    wanted = Device.from_json(device_data(NEW), "1-a").with_realm(None)
    assert crossbar(script).save_device(ACME, wanted).realm is None
    assert "realm" not in script.body(-2)["sip"]


def test_defaults_that_the_platform_fills_in_are_welcome() -> None:
    filled = device(NEW, "2-b", enabled=True, suppress_unregister_notifications=False)
    assert crossbar(Script(device(), filled, filled)).save_device(ACME, pinned()).enabled


def test_saving_unchanged_is_a_save() -> None:
    wanted = Device.from_json(device_data(), "1-a")
    script = Script(device(), CUT, device(), device(), device(revision="2-b"), device(revision="2-b"))
    assert crossbar(script).save_device(ACME, wanted).revision == "2-b"
    assert script.seen.count(f"POST accounts/{ACME}/devices/{PHONE}") == 2


def test_a_refused_device_never_shows_its_password() -> None:
    refused = fail(
        400,
        "validation error",
        {"sip.password": {"minLength": {"message": f"{SECRET} is too short", "value": SECRET, "cause": SECRET}}},
    )
    with pytest.raises(InvalidError) as caught:
        crossbar(Script(device(), refused, device())).save_device(ACME, pinned())
    assert "sip.password: (secret) is too short (minLength)" in str(caught.value)
    assert SECRET not in str(caught.value)
    assert [slip.path for slip in caught.value.slips] == ["sip.password"]


def test_every_slip_is_named_with_its_path() -> None:
    slips = {
        "call_forward.number": {"required": {"message": "Field is required"}},
        "flags%2Eown.0": {"type": "not a string"},
    }
    with pytest.raises(InvalidError) as caught:
        crossbar(Script(device(), fail(400, "validation error", slips), device())).save_device(ACME, pinned())
    assert "call_forward.number: Field is required (required); flags.own.0: not a string (type)" in str(caught.value)


# ---- trunks and fax


def test_a_trunk_document_is_saved_to_take_the_new_realm() -> None:
    trunk = {"id": "t1", "name": "PBX", "account": {"auth_realm": OLD}, "servers": []}
    renewed = ok(trunk | {"account": {"auth_realm": NEW}}, revision="2-b")
    script = Script(ok(trunk, revision="1-a"), renewed, renewed)
    saved = crossbar(script).save_connectivity(ACME, Connectivity.from_json(trunk, "1-a"))
    assert saved.realm == NEW


def test_a_fax_box_gets_the_old_realm_as_its_address() -> None:
    box = {"id": "f1", "name": "Fax", "smtp_email_address": "x.fax.example.net"}
    bridged = ok(box | {"custom_smtp_email_address": OLD}, revision="2-b")
    script = Script(ok(box, revision="1-a"), bridged, bridged)
    saved = crossbar(script).save_fax_box(ACME, FaxBox.from_json(box, "1-a").with_custom_address(OLD))
    assert saved.custom_address == OLD
    assert script.body(-2) == {"id": "f1", "name": "Fax", "custom_smtp_email_address": OLD}


def test_an_address_in_use_is_refused() -> None:
    box = {"id": "f1", "name": "Fax"}
    refused = invalid("custom_smtp_email_address", "unique", "email address must be unique", cause=OLD)
    script = Script(ok(box, revision="1-a"), refused, ok(box, revision="1-a"))
    with pytest.raises(InvalidError, match="must be unique"):
        crossbar(script).save_fax_box(ACME, FaxBox.from_json(box, "1-a").with_custom_address(OLD))


# ---- what can't be read back


def test_a_notify_says_which_event() -> None:
    script = Script(ok("NOTIFY sent", 202))
    crossbar(script).notify(ACME, PHONE, "check-sync;reboot=false")
    assert script.seen == [f"PUT accounts/{ACME}/devices/{PHONE}"]
    assert script.body() == {"action": "notify", "data": {"event": "check-sync;reboot=false"}}


def test_a_sync_may_ask_for_a_reload() -> None:
    script = Script(ok("sync request sent", 202), ok("sync request sent", 202))
    crossbar(script).sync(ACME, PHONE, reboot=False)
    crossbar(script).sync(ACME, PHONE)
    assert [request.url.query.decode() for request in script.requests if "sync" in request.url.path] == [
        "reboot=false",
        "",
    ]


@pytest.mark.parametrize("lost", [CUT, LATE, httpx2.Response(504)])
def test_a_lost_notify_is_unknown_and_not_repeated(lost: Step) -> None:
    script = Script(lost)
    with pytest.raises(OutcomeUnknownError):
        crossbar(script).notify(ACME, PHONE, "check-sync")
    assert len(script.seen) == 1


@pytest.mark.parametrize("refused", [fail(429), fail(503), REFUSED, fail(401)])
def test_a_notify_that_was_not_taken_is_repeated(refused: Step) -> None:
    script = Script(account(), refused, ok("NOTIFY sent", 202))
    client = crossbar(script)
    client.account(ACME)
    client.notify(ACME, PHONE, "check-sync")
    assert len(script.seen) == 3


def test_a_notify_that_broke_the_server_is_not_repeated() -> None:
    script = Script(fail(500))
    with pytest.raises(BusyError):
        crossbar(script).notify(ACME, PHONE, "check-sync")


def test_a_flush_is_one_request() -> None:
    script = Script(ok("ok"), ok("ok"))
    client = crossbar(script)
    client.flush_registration(ACME, "user_1")
    client.flush_registrations(ACME)
    assert script.seen == [f"DELETE accounts/{ACME}/registrations/user_1", f"DELETE accounts/{ACME}/registrations"]


def test_a_lost_flush_is_looked_after() -> None:
    gone = Script(CUT, account(), ok([registration(2)]))
    crossbar(gone).flush_registration(ACME, "user_1")
    assert gone.unused == []
    there = Script(CUT, *[account(), ok([registration(1)])] * 2, ok("ok"))
    crossbar(there).flush_registration(ACME, "user_1")
    assert there.seen.count(f"DELETE accounts/{ACME}/registrations/user_1") == 2


def test_a_row_at_the_new_realm_is_no_reason_to_flush_again() -> None:
    moved = registration(1) | {"realm": NEW}
    script = Script(CUT, account(), ok([moved]))
    crossbar(script).flush_registration(ACME, "user_1")
    assert len(script.seen) == 3


def test_flushing_nobody_is_an_error() -> None:
    script = Script(fail(404, "bad_identifier"), account(), ok([]))
    with pytest.raises(NotFoundError):
        crossbar(script).flush_registration(ACME, "nobody")


# ---- secrets, and the schemas


def test_neither_key_nor_token_is_ever_shown(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    shown: list[str] = []
    echo = fail(400, f"key {KEY} and token {TOKEN} of {SECRET}", {"message": TOKEN, "cause": KEY})
    script = Script(device(), echo, device(), CUT, fail(418, TOKEN))
    client = crossbar(script)
    for attempt in (lambda: client.save_device(ACME, pinned()), lambda: client.notify(ACME, PHONE, "x")):
        with pytest.raises(ProviderError) as caught:
            attempt()
        shown += [str(caught.value), repr(caught.value), repr(caught.value.__cause__), str(caught.value.hint)]
    with pytest.raises(RejectedError) as last:
        client.account(ACME)
    shown += [str(last.value), repr(client), repr(vars(client)), caplog.text]
    for secret in (KEY, TOKEN, SECRET):
        assert all(secret not in text for text in shown)


@pytest.mark.skipif(not SCHEMAS.is_dir(), reason="Kazoo's JSON schemas are not here")
def test_bodies_are_checked_against_kazoos_schemas() -> None:
    def put(method: str, path: str, data: dict[str, Any]) -> httpx2.Request:
        return httpx2.Request(method, f"{URL}/{path}", json={"data": data})

    assert check_body(put("PUT", "api_auth", {"api_key": KEY})) == "api_auth"
    assert check_body(put("POST", f"accounts/{ACME}/devices/{PHONE}", device_data(NEW))) == "devices"
    for request in (
        put("PUT", "api_auth", {"api_key": KEY, "more": 1}),
        put("POST", f"accounts/{ACME}/devices/{PHONE}", device_data("x y")),
        put("PUT", f"accounts/{ACME}/devices/{PHONE}", {"action": "notify", "data": {}}),
        put("PATCH", f"accounts/{ACME}", {"realm": "x/y"}),
        put("POST", f"accounts/{ACME}/connectivity/t", {"servers": [{"auth": {}}]}),
        put("POST", f"accounts/{ACME}/faxboxes/f", {"custom_smtp_email_address": OLD}),
    ):
        with pytest.raises(AssertionError):
            check_body(request)
