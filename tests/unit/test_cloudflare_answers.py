"""The Cloudflare provider where the API refuses, fails, or answers something else."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Literal
from urllib.parse import urlsplit

import pytest

from realmkit.dns.plan import Change
from realmkit.errors import (
    AuthError,
    ConflictError,
    NoZoneError,
    OutcomeUnknownError,
    ProviderError,
    RateLimitedError,
    RejectedError,
    UnreachableError,
)
from realmkit_providers.cloudflare_answers import CutError
from tests.lab.front import Answer, Front, Strike
from tests.lab.proxy import Fault, Proxy
from tests.standins.cloudflare_play import APEX, Play


def envelope(*errors: dict[str, Any], **more: Any) -> bytes:
    body = {"success": False, "errors": list(errors), "messages": [], "result": None}
    return json.dumps(body | more).encode()


def said(code: int, message: str = "why", *chain: int) -> dict[str, Any]:
    causes = {"error_chain": [{"code": one, "message": "because"} for one in chain]} if chain else {}
    return {"code": code, "message": message, **causes}


def is_write(request: bytes) -> bool:
    return request.startswith(b"POST ")


def new(play: Play) -> Change:
    return Change(None, play.rrset("new", "A", 300, "192.0.2.9"))


def read(play: Play) -> None:
    play.provider.snapshot(APEX)


def write(play: Play) -> None:
    play.apply(new(play))


def failure(call: Callable[[Play], None], play: Play) -> ProviderError:
    with pytest.raises(ProviderError) as caught:
        call(play)
    error = caught.value
    assert error.hint
    assert play.token not in f"{error} {error.hint} {error!r} {error.__cause__!r} {error.__context__!r}"
    assert "\n" not in error.message
    return error


# --- what an answer means ---------------------------------------------------------------------------------------

# status, body, what it is when reading, what it is when writing
ANSWERS: dict[str, tuple[int, bytes, type[ProviderError], type[ProviderError]]] = {
    "400-6003": (400, envelope(said(6003, "Invalid request headers", 6111)), AuthError, AuthError),
    "400-9106": (400, envelope(said(9106)), AuthError, AuthError),
    "401-10000": (401, envelope(said(10000)), AuthError, AuthError),
    "403-9109": (403, envelope(said(9109)), AuthError, AuthError),
    "403-10000": (403, envelope(said(10000)), AuthError, AuthError),
    "403-html": (403, b"<html>Access denied</html>", AuthError, AuthError),
    "404-7003": (404, envelope(said(7003, "Could not route", 7000)), NoZoneError, NoZoneError),
    "404-html": (404, b"<html>", NoZoneError, NoZoneError),
    "404-81044": (404, envelope(said(81044, "Record does not exist.")), RejectedError, RejectedError),
    "400-81057": (400, envelope(said(81057)), RejectedError, RejectedError),
    "400-81058": (400, envelope(said(81058)), RejectedError, RejectedError),
    "400-81053": (400, envelope(said(81053)), RejectedError, RejectedError),
    "400-1004-9021": (400, envelope(said(1004, "DNS Validation Error", 9021)), RejectedError, RejectedError),
    "400-9005": (400, envelope(said(9005)), RejectedError, RejectedError),
    "400-9007": (400, envelope(said(9007)), RejectedError, RejectedError),
    "400-0": (400, envelope(), RejectedError, RejectedError),
    "409": (409, envelope(said(1)), RejectedError, RejectedError),
    "422": (422, envelope(said(1)), RejectedError, RejectedError),
    "429": (429, envelope(said(10429)), RateLimitedError, RateLimitedError),
    "400-971": (400, envelope(said(971)), RateLimitedError, RateLimitedError),
    "429-html": (429, b"<html>", RateLimitedError, RateLimitedError),
    "408": (408, b"", UnreachableError, OutcomeUnknownError),
    "500": (500, envelope(said(10000)), UnreachableError, OutcomeUnknownError),
    "502": (502, b"<html>", UnreachableError, OutcomeUnknownError),
    "503": (503, b"", UnreachableError, OutcomeUnknownError),
    "522": (522, b"", UnreachableError, OutcomeUnknownError),
    "302": (302, b"", ProviderError, ProviderError),
    "200-no-success": (200, envelope(said(9005)), RejectedError, RejectedError),
    "200-no-success-auth": (200, envelope(said(10000)), AuthError, AuthError),
    "200-html": (200, b"<html>Hello</html>", ProviderError, OutcomeUnknownError),
    "200-empty": (200, b"", ProviderError, OutcomeUnknownError),
    "200-null": (200, b"null", ProviderError, OutcomeUnknownError),
    "200-list": (200, b"[]", ProviderError, OutcomeUnknownError),
    "200-octets": (200, b"\xff\xfe{", ProviderError, OutcomeUnknownError),
    "200-deep": (200, b"[" * 5000, ProviderError, OutcomeUnknownError),
    "200-odd-result": (200, envelope(success=True, result="fine"), ProviderError, OutcomeUnknownError),
    "200-odd-record": (200, envelope(success=True, result={"posts": [{"id": 7}]}), ProviderError, OutcomeUnknownError),
}


@pytest.mark.parametrize("name", ANSWERS)
def test_what_an_answer_means_when_reading(play: Play, front: Front, name: str) -> None:
    status, body, kind, _ = ANSWERS[name]
    front.strike = Strike(Answer(status, body, {"Location": "http://127.0.0.1:1/"} if status == 302 else {}))
    assert type(failure(read, play)) in ({kind} if kind is not UnreachableError else {kind, CutError})


@pytest.mark.parametrize("name", ANSWERS)
def test_what_an_answer_means_when_writing(play: Play, front: Front, name: str) -> None:
    status, body, _, kind = ANSWERS[name]
    front.strike = Strike(Answer(status, body, {"Location": "http://127.0.0.1:1/"} if status == 302 else {}), is_write)
    assert type(failure(write, play)) is kind
    assert front.hits == 1, "a write is never sent again"
    assert play.records() == []


def test_the_words_and_codes_of_cloudflare_are_told(play: Play, front: Front) -> None:
    front.strike = Strike(Answer(400, envelope(said(1004, "DNS Validation Error", 9021))), is_write)
    error = failure(write, play)
    assert "400 DNS Validation Error (1004): because (9021)" in error.message
    assert "86400" in (error.hint or "")


def test_what_is_said_is_tamed(play: Play, front: Front) -> None:
    words = f"bad\x1b[31m\n{play.token} " + "x" * 3000
    front.strike = Strike(Answer(400, envelope(said(9999, words))), is_write)
    error = failure(write, play)
    assert "(the token)" in error.message
    assert "\x1b" not in error.message
    assert len(error.message) < 900


@pytest.mark.parametrize(
    ("header", "seconds"),
    [("17", 17.0), ("120", 120.0), ("Wed, 25 Nov 2026 12:01:30 GMT", 90.0), ("soon", None), (None, None)],
)
@pytest.mark.parametrize("call", [read, write])
def test_how_long_to_wait(
    play: Play, front: Front, header: str | None, seconds: float | None, call: Callable[[Play], None]
) -> None:
    """The SDK by itself would follow at most 60 s, and the refusals last 300."""
    headers = {"Retry-After": header} if header else {}
    front.strike = Strike(Answer(429, b"", headers), is_write if call is write else lambda _: True)
    error = failure(call, play)
    assert isinstance(error, RateLimitedError)
    assert error.retry_after == seconds
    assert "five minutes" in error.message
    assert front.hits == 1
    assert play.clock.slept == []


def test_a_reading_that_was_cut_is_asked_for_once_more(play: Play, front: Front) -> None:
    front.strike = Strike(Answer(502, b""), times=1)
    read(play)
    assert front.hits == 1
    front.strike = Strike(Answer(502, b""))
    front.hits = 0
    failure(read, play)
    assert front.hits == 2


def test_the_token_follows_no_redirect(play: Play, front: Front) -> None:
    with Front(play.there.url) as elsewhere:
        front.strike = Strike(Answer(307, b"", {"Location": elsewhere.url + "/client/v4/zones"}))
        failure(read, play)
        assert elsewhere.requests == []


@pytest.mark.parametrize("kind", ["drop", "reset", "lose"])
def test_a_connection_that_dies(play: Play, kind: Literal["drop", "reset", "lose"]) -> None:
    parts = urlsplit(play.there.url)
    with Proxy((parts.hostname or "", parts.port or 0)) as proxy:
        play.provider = play.make(f"http://{proxy.address}:{proxy.port}{parts.path}", timeout=0.3)
        token = play.provider.snapshot(APEX).token
        proxy.fault = Fault(kind)
        assert isinstance(failure(read, play), UnreachableError)
        assert proxy.hits == (1 if kind == "drop" else 2)  # what ran into the timeout is not asked again
        proxy.fault, proxy.hits = Fault(kind, is_write), 0
        with pytest.raises(OutcomeUnknownError):
            play.provider.apply(APEX, [new(play)], token)
        assert proxy.hits == 1
        assert len(play.records()) == (kind == "lose")


def test_a_port_where_nothing_listens(play: Play) -> None:
    play.provider = play.make("http://127.0.0.1:1/client/v4")
    assert type(failure(read, play)) is UnreachableError
    change = new(play)
    with pytest.raises(UnreachableError):
        play.provider.apply(APEX, [change], "x")


# --- refusals, and why -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", [81044, 81053, 81057, 81058, 9005, 1004])
def test_a_refusal_over_what_someone_else_did_is_a_conflict(play: Play, front: Front, code: int) -> None:
    """Between the list and the batch someone changes the very RRset."""
    before = play.has("a", "A", 300, "192.0.2.1")
    front.strike = Strike(Answer(400, envelope(said(code))), is_write, first=lambda: play.drop("a"))
    with pytest.raises(ConflictError, match=f"\\({code}\\)"):
        play.apply(Change(before, play.rrset("a", "A", 300, "192.0.2.2")))


def test_a_refusal_while_someone_is_at_another_rrset_is_one(play: Play, front: Front) -> None:
    before = play.has("a", "A", 300, "192.0.2.1")
    play.has("b", "A", 300, "192.0.2.1")
    front.strike = Strike(Answer(400, envelope(said(9005))), is_write, first=lambda: play.drop("b"))
    with pytest.raises(RejectedError, match="9005"):
        play.apply(Change(before, None))


def test_a_refusal_that_can_not_be_looked_into_is_one(play: Play, front: Front) -> None:
    provider, token = play.provider, play.provider.snapshot(APEX).token
    lists = iter([False, True, True])
    front.strike = Strike(Answer(400, envelope(said(9005))), lambda request: is_write(request) or next(lists))
    with pytest.raises(RejectedError, match="9005"):
        provider.apply(APEX, [new(play)], token)


def test_records_that_went_meanwhile_are_a_conflict_by_the_api_itself(play: Play, front: Front) -> None:
    before = play.has("a", "A", 300, "192.0.2.1", "192.0.2.2")
    front.strike = Strike(None, is_write, first=lambda: play.drop("a"))
    with pytest.raises(ConflictError, match="81044"):
        play.apply(Change(before, None))


# --- answers to a batch that do not show what was asked for -------------------------------------------------------


def test_an_answer_of_nothing_is_an_unknown_outcome(play: Play, front: Front) -> None:
    front.strike = Strike(Answer(200, envelope(success=True, result=None)), is_write, forward=True)
    assert type(failure(write, play)) is OutcomeUnknownError
    assert len(play.records()) == 1


@pytest.mark.parametrize("field", [{"content": "192.0.2.8"}, {"ttl": 1200}, {"proxied": True}, {"name": "b.z.example"}])
def test_an_answer_of_something_else_is_an_unknown_outcome(play: Play, front: Front, field: dict[str, Any]) -> None:
    record = {"id": "1" * 32, "name": "new.z.example", "type": "A", "ttl": 300, "content": "192.0.2.9"}
    body = envelope(success=True, result={"posts": [record | field]})
    front.strike = Strike(Answer(200, body), is_write)
    assert type(failure(write, play)) is OutcomeUnknownError
    good = envelope(success=True, result={"posts": [record]})
    front.strike = Strike(Answer(200, good), is_write)
    write(play)


def test_a_mark_that_is_not_shown_is_an_unknown_outcome(play: Play, front: Front) -> None:
    rrset = play.has("a", "A", 300, "192.0.2.1")
    front.strike = Strike(Answer(200, envelope(success=True, result={"patches": []})), is_write)
    with pytest.raises(OutcomeUnknownError):
        play.provider.mark(APEX, {rrset.key: "acme"}, play.provider.snapshot(APEX).token)
