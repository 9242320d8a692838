"""The PowerDNS provider where a server misbehaves: answers that a real PowerDNS gives rarely or never."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from realmkit.dns import names
from realmkit.dns import records as rr
from realmkit.dns.plan import Change
from realmkit.dns.provider import Context, Notes, Provider, Receipt, Secret
from realmkit.dns.records import RRset
from realmkit.errors import (
    AuthError,
    ConflictError,
    InputError,
    NoZoneError,
    OutcomeUnknownError,
    ProviderError,
    RateLimitedError,
    RejectedError,
    SecretError,
    UnreachableError,
)
from realmkit_providers.powerdns import PowerDns, PowerDnsSettings
from realmkit_providers.powerdns_api import MARK

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

KEY = "a-very-secret-key"
APEX = names.absolute("z.example")
SOA = {"name": "z.example.", "type": "SOA", "ttl": 300, "comments": [],
       "records": [{"content": "ns.example. host.example. 7 60 5 3600 5", "disabled": False}]}  # fmt: skip
A = {"name": "a.z.example.", "type": "A", "ttl": 300, "comments": [],
     "records": [{"content": "192.0.2.1", "disabled": False}]}  # fmt: skip
NEW = RRset(names.absolute("new.z.example"), rr.A, 60, frozenset({bytes([192, 0, 2, 9])}))

Answer = tuple[int, bytes | str, dict[str, str]]


class Noon:
    """A clock that stands."""

    def now(self) -> datetime:
        return datetime(2026, 11, 22, 12, 0, tzinfo=UTC)

    def monotonic(self) -> float:
        return 0.0

    def sleep(self, seconds: float) -> None:
        raise AssertionError(f"a provider does not sleep, not even {seconds} s")


class Fake:
    """An HTTP server that answers as it is told and notes what it was asked.

    Attributes:
        answers: by method; a zone for GET and 204 for PATCH unless set.
        seen: method, path, headers and body of each request.
    """

    def __init__(self) -> None:
        self.answers: dict[str, Answer] = {"GET": zone_answer(), "PATCH": (204, b"", {})}
        self.seen: list[tuple[str, str, dict[str, str], bytes]] = []
        self.server = HTTPServer(("127.0.0.1", 0), self._handler())
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        fake = self

        class Handler(BaseHTTPRequestHandler):
            def answer(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                fake.seen.append((self.command, self.path, dict(self.headers), body))
                status, text, headers = fake.answers[self.command]
                content = text.encode() if isinstance(text, str) else text
                self.send_response(status)
                for name, value in {"Content-Length": str(len(content)), **headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(content)

            do_GET = do_PATCH = answer  # noqa: N815 - names that http.server looks for

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        return Handler

    def methods(self) -> list[str]:
        return [method for method, *_ in self.seen]


def zone_answer(*rrsets: dict[str, Any], **more: Any) -> Answer:
    answer = {"name": "z.example.", "kind": "Native", "serial": 7, "edited_serial": 7, "rrsets": [SOA, *rrsets]}
    return 200, json.dumps(answer | more), {"Content-Type": "application/json"}


@pytest.fixture
def fake() -> Iterator[Fake]:
    there = Fake()
    thread = threading.Thread(target=there.server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield there
    there.server.shutdown()
    thread.join()
    there.server.server_close()


def provider(url: str, key: str = KEY, **settings: Any) -> PowerDns:
    context = Context(Path(), "acme", lambda _: key, Noon())
    return PowerDns(PowerDnsSettings(Secret("env:PDNS_KEY"), url, **{"timeout": 2.0, **settings}), context)


def snapshot(fake: Fake) -> None:
    provider(fake.url).snapshot(APEX)


def apply(fake: Fake) -> Receipt:
    """Apply one change whose reading goes well."""
    there = provider(fake.url)
    good = fake.answers["GET"]
    fake.answers["GET"] = zone_answer()
    token = there.snapshot(APEX).token
    fake.answers["GET"] = good
    return there.apply(APEX, [Change(None, NEW)], token)


def failure(call: Callable[[Fake], object], fake: Fake) -> ProviderError:
    with pytest.raises(ProviderError) as caught:
        call(fake)
    said = f"{caught.value} {caught.value.hint} {caught.value!r} {caught.value.__cause__!r}"
    assert KEY not in said
    assert "\n" not in caught.value.message
    return caught.value


def test_it_is_a_provider_that_keeps_notes() -> None:
    there: Provider = provider("http://127.0.0.1:8081")
    assert isinstance(there, Notes)
    assert KEY not in repr(there)


# --- statuses -------------------------------------------------------------------------------------------------

READ = {400: RejectedError, 401: AuthError, 403: AuthError, 404: NoZoneError, 422: RejectedError,
        429: RateLimitedError, 500: UnreachableError, 502: UnreachableError, 503: UnreachableError,
        204: ProviderError, 301: ProviderError}  # fmt: skip
WRITE = READ | {500: OutcomeUnknownError, 502: OutcomeUnknownError, 503: OutcomeUnknownError}
WRITE.pop(204)


@pytest.mark.parametrize(("status", "error"), READ.items())
def test_what_a_status_means_when_reading(fake: Fake, status: int, error: type[ProviderError]) -> None:
    fake.answers["GET"] = (status, b"" if status == 204 else b"why", {})
    assert type(failure(snapshot, fake)) is error


@pytest.mark.parametrize(("status", "error"), WRITE.items())
def test_what_a_status_means_when_writing(fake: Fake, status: int, error: type[ProviderError]) -> None:
    fake.answers["PATCH"] = (status, b"why", {})
    assert type(failure(apply, fake)) is error
    assert fake.methods()[-1] == "PATCH"


def test_the_servers_reason_is_told_and_tamed(fake: Fake) -> None:
    reason = f"Record\x1b[31m\nbad {KEY} " + "x" * 2000
    fake.answers["PATCH"] = (422, json.dumps({"error": reason}), {})
    error = failure(apply, fake)
    assert "422 Record [31m bad (the key) xxx" in error.message
    assert len(error.message) < 800


def test_a_database_without_comments_is_told_with_its_mend(fake: Fake) -> None:
    """The words are those of pdns_server 4.7.3 with the LMDB backend."""
    fake.answers["PATCH"] = (422, '{"error": "Hosting backend does not support editing comments."}', {})
    assert "comments: false" in (failure(apply, fake).hint or "")


@pytest.mark.parametrize(
    ("header", "seconds"),
    [("17", 17.0), ("0", 0.0), ("Sun, 22 Nov 2026 12:01:30 GMT", 90.0), ("Sun, 22 Nov 2026 11:00:00 GMT", 0.0),
     ("soon", None), ("-5", None), ("\u00b2", None), ("Sun, 22 Nov 2026 12:01:30 -0000", None)],
)  # fmt: skip
def test_how_long_to_wait(fake: Fake, header: str, seconds: float | None) -> None:
    fake.answers["GET"] = (429, b"", {"Retry-After": header})
    error = failure(snapshot, fake)
    assert isinstance(error, RateLimitedError)
    assert error.retry_after == seconds


def test_a_serial_that_can_not_be_read_afterwards_is_no_failure(fake: Fake) -> None:
    there = provider(fake.url)
    token = there.snapshot(APEX).token
    fake.answers["PATCH"] = (204, b"", {})
    answer = fake.answers["GET"]

    class Once(dict[str, Answer]):
        def __getitem__(self, method: str) -> Answer:
            return (500, b"", {}) if fake.methods()[-2:] == ["PATCH", "GET"] else super().__getitem__(method)

    fake.answers = Once(fake.answers)
    receipt = there.apply(APEX, [Change(None, NEW)], token)
    assert receipt.serial is None
    fake.answers = {"GET": zone_answer(_as_json(NEW)), "PATCH": answer}
    assert there.snapshot(APEX).token == receipt.token


def _as_json(rrset: RRset) -> dict[str, Any]:
    records = [{"content": ".".join(map(str, wire)), "disabled": False} for wire in rrset.rdata]
    return {"name": names.to_text(rrset.name), "type": "A", "ttl": rrset.ttl, "records": records, "comments": []}


# --- answers that are none ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [b"", b"<html>It works!</html>", b"[]", b"null", b'{"kind": "Native"}', b'{"kind": "Native", "serial": "seven"}',
     b"\xff\xfe", zone_answer()[1][:-30], b'{"kind": "Native", "serial": 1, "rrsets": {}}', b"[" * 5000,
     b'{"kind": "Native", "serial": 1, "rrsets": [{"name": "a.z.example.", "type": "A", "ttl": 1, "records": [{}]}]}'],
)  # fmt: skip
def test_an_answer_of_something_else_is_no_zone(fake: Fake, text: bytes) -> None:
    fake.answers["GET"] = (200, text, {})
    error = failure(snapshot, fake)
    assert type(error) is ProviderError
    assert "8081" in (error.hint or "")


def test_a_zone_cut_short_is_no_zone(fake: Fake) -> None:
    status, text, _ = zone_answer(A)
    fake.answers["GET"] = (status, text, {"Content-Length": str(len(text) + 10)})
    assert type(failure(snapshot, fake)) is UnreachableError


def test_what_can_not_be_read_is_told_and_counts(fake: Fake) -> None:
    odd = [
        {"name": "b.z.example.", "type": "NOVEL", "ttl": 1, "records": [{"content": "?"}]},
        {"name": "c.z.example.", "type": "MX", "ttl": 1, "records": [{"content": "ten mail."}]},
        {"name": "d..z.example.", "type": "A", "ttl": 1, "records": [{"content": "192.0.2.1"}]},
        {"name": "e.other.example.", "type": "A", "ttl": 1, "records": [{"content": "192.0.2.1"}]},
        {"name": "f.z.example.", "type": "A", "ttl": 2**31, "records": [{"content": "192.0.2.1"}]},
    ]
    fake.answers["GET"] = zone_answer(A, *odd)
    there = provider(fake.url)
    seen = there.snapshot(APEX)
    assert set(seen.rrsets) == {(APEX, rr.SOA), (names.absolute("a.z.example"), rr.A)}
    assert [text.partition(": ")[0] for text in seen.unread] == [f"{one['name']} {one['type']}" for one in odd]
    odd[0]["ttl"] = 2
    fake.answers["GET"] = zone_answer(A, *odd)
    with pytest.raises(ConflictError):
        there.apply(APEX, [Change(None, NEW)], seen.token)
    assert "PATCH" not in fake.methods()


@pytest.mark.parametrize("kind", ["Slave", "SECONDARY", "Secondary", "Consumer"])
def test_every_word_for_a_copy_is_known(fake: Fake, kind: str) -> None:
    fake.answers["GET"] = zone_answer(kind=kind)
    with pytest.raises(RejectedError, match="secondary"):
        provider(fake.url).apply(APEX, [Change(None, NEW)], provider(fake.url).snapshot(APEX).token)
    assert "PATCH" not in fake.methods()


def test_the_serial_is_the_one_that_is_served(fake: Fake) -> None:
    there = provider(fake.url)
    fake.answers["GET"] = zone_answer(edited_serial=2026112201)
    assert there.snapshot(APEX).serial == 2026112201
    fake.answers["GET"] = zone_answer(edited_serial=None)
    assert there.snapshot(APEX).serial == 7


@given(st.permutations([SOA, A, _as_json(NEW)]), st.integers(0, 2**32 - 1))
def test_a_token_knows_neither_order_nor_serial_nor_comments(order: list[dict[str, Any]], serial: int) -> None:
    import msgspec

    from realmkit_providers.powerdns import _reading
    from realmkit_providers.powerdns_api import ApiZone

    soa = SOA | {"records": [{"content": f"ns.example. host.example. {serial} 60 5 3600 5", "disabled": False}]}
    rrsets = [soa if one is SOA else one | {"comments": [{"content": "x", "account": ""}]} for one in order]
    zone = msgspec.convert({"kind": "Native", "serial": serial, "rrsets": rrsets}, ApiZone)
    usual = msgspec.convert({"kind": "Native", "serial": 7, "rrsets": [SOA, A, _as_json(NEW)]}, ApiZone)
    less = msgspec.convert({"kind": "Native", "serial": 7, "rrsets": [SOA, A]}, ApiZone)
    assert _reading(APEX, zone).zone.token == _reading(APEX, usual).zone.token != _reading(APEX, less).zone.token


# --- what is sent ---------------------------------------------------------------------------------------------


def test_the_body_is_what_was_weighed(fake: Fake) -> None:
    there = provider(fake.url)
    fake.answers["GET"] = zone_answer(A)
    seen = there.snapshot(APEX)
    a = seen.rrsets[names.absolute("a.z.example"), rr.A]
    changes = [Change(None, NEW), Change(a, None)]
    there.apply(APEX, changes, seen.token)
    body = next(body for method, _, _, body in fake.seen if method == "PATCH")
    assert json.loads(body)["rrsets"] == [
        {"name": "a.z.example.", "type": "A", "changetype": "DELETE"},
        {"name": "new.z.example.", "type": "A", "changetype": "REPLACE", "ttl": 60,
         "records": [{"content": "192.0.2.9"}], "comments": [{"content": MARK, "account": "acme"}]},
    ]  # fmt: skip
    assert there.weigh(changes).size + len('{"rrsets":[]}') - 1 == len(body)


def test_no_change_sends_nothing(fake: Fake) -> None:
    there = provider(fake.url)
    seen = there.snapshot(APEX)
    assert there.apply(APEX, [], seen.token).token == seen.token
    assert "PATCH" not in fake.methods()


def test_many_marks_take_several_patches_and_a_failure_among_them_is_said(fake: Fake) -> None:
    many = [A | {"name": f"{'x' * 60}.{number}.z.example."} for number in range(12_000)]
    fake.answers["GET"] = zone_answer(*many)
    there = provider(fake.url)
    seen = there.snapshot(APEX)
    keys = [key for key in seen.rrsets if key[1] == rr.A]
    there.mark(APEX, dict.fromkeys(keys, "acme"), seen.token)
    bodies = [json.loads(body)["rrsets"] for method, _, _, body in fake.seen if method == "PATCH"]
    assert len(bodies) == 2
    marked = {(one["name"], one["comments"][0]["account"]) for body in bodies for one in body}
    assert marked == {(names.to_text(name), "acme") for name, _ in keys}

    class Then(dict[str, Answer]):
        def __getitem__(self, method: str) -> Answer:
            failed = fake.methods()[-2:] == ["PATCH", "PATCH"]
            return (422, b"", {}) if failed else super().__getitem__(method)

    fake.answers = Then(fake.answers)
    with pytest.raises(OutcomeUnknownError, match="in part"):
        there.mark(APEX, dict.fromkeys(keys, "other"), seen.token)


def test_marking_what_is_not_there_is_refused(fake: Fake) -> None:
    there = provider(fake.url)
    token = there.snapshot(APEX).token
    with pytest.raises(RejectedError, match=r"new\.z\.example\. A: there is no such RRset"):
        there.mark(APEX, {NEW.key: "acme"}, token)


# --- the key --------------------------------------------------------------------------------------------------


def test_the_key_follows_no_redirect(fake: Fake) -> None:
    elsewhere = Fake()
    thread = threading.Thread(target=elsewhere.server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    fake.answers["GET"] = (302, b"", {"Location": f"{elsewhere.url}/api"})
    fake.answers["PATCH"] = (307, b"", {"Location": f"{elsewhere.url}/api"})
    try:
        assert type(failure(snapshot, fake)) is ProviderError
        fake.answers["GET"] = zone_answer()
        assert type(failure(apply, fake)) is ProviderError
    finally:
        elsewhere.server.shutdown()
        thread.join()
        elsewhere.server.server_close()
    assert elsewhere.seen == []


def test_the_key_goes_through_no_proxy_of_the_environment(fake: Fake, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, fake.url)
    with pytest.raises(UnreachableError):
        provider("http://127.0.0.1:1").snapshot(APEX)
    assert fake.seen == []


def test_the_key_is_sent_where_it_belongs(fake: Fake) -> None:
    there = provider(fake.url + "/behind/", server_id="a/b")
    there.snapshot(names.absolute("0/25.2.0.192.in-addr.arpa"))
    (_, path, headers, _) = fake.seen[0]
    assert path == "/behind/api/v1/servers/a%2Fb/zones/0=2F25.2.0.192.in-addr.arpa.?rrsets=true"
    assert {name.lower(): value for name, value in headers.items()}["x-api-key"] == KEY


@pytest.mark.parametrize("key", ["two\nlines", "schl\u00fcssel", "tab\there", "nul\0"])
def test_a_key_that_no_header_carries(fake: Fake, key: str) -> None:
    with pytest.raises(SecretError) as caught:
        provider(fake.url, key=key).snapshot(APEX)
    assert key not in str(caught.value)
    assert "env:PDNS_KEY" in str(caught.value)
    assert fake.seen == []


# --- settings -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "url",
    ["", "127.0.0.1:8081", "ftp://127.0.0.1", "http://", "http:///zones", "http://[::1", "http://h:70000", "http://h:x",
     "http://h:0", "http://h/?x=1", "http://h/#x", "http://h\n"],
)  # fmt: skip
def test_a_url_that_is_none(url: str) -> None:
    with pytest.raises(InputError, match="no address of an API"):
        provider(url)


def test_a_url_with_a_password(fake: Fake) -> None:
    with pytest.raises(InputError) as caught:
        provider("http://user:hunter2@127.0.0.1:8081")
    assert "hunter2" not in str(caught.value)


def test_importing_it_is_cheap() -> None:
    code = "import sys, realmkit_providers.powerdns; print([m for m in ('httpx2', 'ssl', 'dns') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
