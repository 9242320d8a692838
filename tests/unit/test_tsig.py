from __future__ import annotations

import base64
import struct
from datetime import UTC, datetime, timedelta
from typing import Any, get_args

import dns.exception
import dns.message
import dns.name
import dns.rcode
import dns.rrset
import dns.tsig
import pytest

from realmkit.dns import names, wire
from realmkit.dns import records as rr
from realmkit.dns.primary import tsig
from realmkit.dns.primary.tsig import Key, Signing, UnverifiedError
from realmkit.errors import AuthError, InputError, SecretError, UnreachableError

SECRET = base64.b64encode(b"a secret of thirty-two octets ..").decode()
KEY = Key.from_text("Key.Example", SECRET)
QUERY = b"\0\7" + wire.query(names.absolute("acme.example"), rr.A, payload=None)


class StandingClock:
    """Stands still at `time`, or when it was made: dnspython signs by the real time, and TSIG allows 300 s."""

    def __init__(self, time: datetime | None = None) -> None:
        self.time = time or datetime.now(UTC)

    def now(self) -> datetime:
        return self.time

    def monotonic(self) -> float:
        return 0.0

    def sleep(self, _seconds: float) -> None:
        raise AssertionError


def dnspython_key(key: Key = KEY) -> dns.tsig.Key:
    algorithm = {"hmac-md5": "hmac-md5.sig-alg.reg.int"}.get(key.algorithm, key.algorithm)
    return dns.tsig.Key(names.to_text(key.name), key.secret, algorithm)


class Server:
    """Answers as dnspython signs; what Signing thinks of it is the test."""

    def __init__(
        self, key: Key = KEY, server_key: dns.tsig.Key | None = None, clock: StandingClock | None = None
    ) -> None:
        self.signing = Signing(key, clock or StandingClock())
        self.key = server_key or dnspython_key(key)
        request = dns.message.from_wire(self.signing.sign(QUERY), keyring=False)
        assert request.tsig is not None
        self.request = request
        self.request_mac = request.tsig[0].mac
        self.context: Any = None

    def message(self, *records: str, rcode: int = 0) -> dns.message.Message:
        answer = dns.message.make_response(dns.message.from_wire(QUERY))
        answer.set_rcode(dns.rcode.Rcode(rcode))
        answer.answer.extend(dns.rrset.from_text("acme.example.", 300, "IN", "A", one) for one in records)
        return answer

    def signed(self, *records: str, rcode: int = 0, multi: bool = False, **more: Any) -> bytes:
        answer = self.message(*records, rcode=rcode)
        answer.use_tsig(self.key, **more)
        answer.request_mac = self.request_mac
        octets = answer.to_wire(multi=multi, tsig_ctx=self.context)
        self.context = answer.tsig_ctx
        return octets

    def unsigned(self, *records: str, rcode: int = 0) -> bytes:
        octets = self.message(*records, rcode=rcode).to_wire()
        if self.context:
            self.context.update(octets)
        return octets

    def verify(self, octets: bytes) -> None:
        self.signing.verify(octets, wire.read_answers(octets)[1])


@pytest.mark.parametrize("algorithm", get_args(tsig.Algorithm))
def test_every_algorithm_both_ways(algorithm: str) -> None:
    key = Key.from_text("k", SECRET, algorithm)
    signing = Signing(key, StandingClock())
    request = signing.sign(QUERY)
    assert len(request) <= len(QUERY) + tsig.MAX_SIZE
    read = dns.message.from_wire(request, keyring=dnspython_key(key))  # raises unless the signature is right
    assert read.had_tsig
    assert read.question[0].name.to_text() == "acme.example."
    server = Server(key)
    server.verify(server.signed("192.0.2.1"))
    server.signing.finish()


def test_a_request_is_kept_as_it_is_before_its_signature() -> None:
    with_edns = b"\0\7" + wire.query(names.absolute("acme.example"), rr.A)
    for query, count in ((QUERY, b"\0\1"), (with_edns, b"\0\2")):
        signed = Signing(KEY, StandingClock()).sign(query)
        assert signed.startswith(query[:10] + count + query[12:])
        assert wire.parse(signed)[2:] == wire.parse(query)[2:]


def test_no_octet_of_an_answer_can_be_changed() -> None:
    """Except the id, which the receiver compares itself."""
    server = Server()
    octets = server.signed("192.0.2.1", "192.0.2.2")
    offset = wire.read_answers(octets)[1]
    undetected = []
    for place in range(len(octets)):
        server.signing = Signing(KEY, StandingClock())
        server.signing.sign(QUERY)
        try:
            server.signing.verify(octets[:place] + bytes((octets[place] ^ 1,)) + octets[place + 1 :], offset)
        except (AuthError, wire.BadMessageError):
            continue
        undetected.append(place)
    assert undetected == [0, 1]


def test_transfers_of_many_messages() -> None:
    server = Server()
    server.verify(server.signed("192.0.2.1", multi=True))
    for count in (1, 0, 99, 5):
        for number in range(count):
            server.verify(server.unsigned(f"192.0.2.{number}"))
        server.verify(server.signed("192.0.2.2", multi=True))
    server.signing.finish()


def test_a_forged_message_between_signed_ones_is_found() -> None:
    server = Server()
    server.verify(server.signed(multi=True))
    server.verify(server.unsigned("192.0.2.1").replace(bytes((192, 0, 2, 1)), bytes((192, 0, 2, 9))))
    with pytest.raises(UnverifiedError, match="not by the TSIG key"):
        server.verify(server.signed(multi=True))


def test_too_many_unsigned_messages() -> None:
    server = Server()
    server.verify(server.signed(multi=True))
    for _ in range(99):
        server.verify(server.unsigned())
    with pytest.raises(UnverifiedError, match="more than 99"):
        server.verify(server.unsigned())


def test_the_end_must_be_signed() -> None:
    server = Server()
    server.verify(server.signed(multi=True))
    server.verify(server.unsigned())
    with pytest.raises(UnverifiedError, match="the end of the answer is not signed"):
        server.signing.finish()


def test_an_unsigned_answer_is_not_believed() -> None:
    server = Server()
    with pytest.raises(UnverifiedError, match=r"not signed with the key key\.example\."):
        server.verify(server.unsigned("192.0.2.1"))


@pytest.mark.parametrize(("rcode", "word"), [(5, "REFUSED"), (9, "NOTAUTH"), (1, "FORMERR")])
def test_an_unsigned_refusal_says_so(rcode: int, word: str) -> None:
    server = Server()
    with pytest.raises(AuthError, match=f"answered {word} and did not sign it") as caught:
        server.verify(server.unsigned(rcode=rcode))
    assert not isinstance(caught.value, UnverifiedError)
    assert "key.example." in (caught.value.hint or "")


def test_signed_by_others() -> None:
    for key, text in (
        (Key.from_text("key.example", base64.b64encode(b"other").decode()), "not by the TSIG key"),
        (Key.from_text("other.example", SECRET), "another key"),
        (Key.from_text("key.example", SECRET, "hmac-sha512"), "another algorithm"),
    ):
        server = Server(server_key=dnspython_key(key))
        with pytest.raises(UnverifiedError, match=text):
            server.verify(server.signed("192.0.2.1"))


@pytest.mark.parametrize(
    ("error", "text", "hint"),
    [(17, "BADKEY", "algorithm"), (16, "BADSIG", "secret"), (22, "refuses our signature", None)],
)
def test_what_the_server_says_about_our_signature(error: int, text: str, hint: str | None) -> None:
    server = Server()
    with pytest.raises(AuthError, match=text) as caught:
        server.verify(server.signed(rcode=9, tsig_error=error))
    assert not isinstance(caught.value, UnverifiedError)
    assert hint is None or hint in (caught.value.hint or "")


def test_clocks_that_differ() -> None:
    now = datetime.now(UTC)
    server = Server(clock=StandingClock(now))
    theirs = int((now - timedelta(hours=1)).timestamp()).to_bytes(6, "big")
    with pytest.raises(AuthError) as caught:
        server.verify(server.signed(rcode=9, tsig_error=18, other_data=theirs))
    shown = [
        time.isoformat(" ", "seconds")
        for time in (now.replace(microsecond=0), (now - timedelta(hours=1)).replace(microsecond=0))
    ]
    assert all(time in caught.value.message for time in shown)
    assert "clock" in (caught.value.hint or "")
    late = Server(clock=StandingClock(now + timedelta(seconds=400)))
    with pytest.raises(UnverifiedError, match="clocks differ"):
        late.verify(late.signed("192.0.2.1"))
    close = Server(clock=StandingClock(now + timedelta(seconds=200)))
    close.verify(close.signed("192.0.2.1"))


def test_the_signature_must_be_the_last_record() -> None:
    octets = Server().signed("192.0.2.1")
    offset = wire.read_answers(octets)[1]
    assert tsig.find(octets, offset) == offset
    assert tsig.find(QUERY, len(QUERY)) is None
    assert octets[10:12] == b"\0\1"
    more = octets[:10] + b"\0\2" + octets[12:] + b"\0" + struct.pack("!HHIH", rr.A, 1, 0, 4) + bytes(4)
    for damaged in (more, octets[:-1], octets + b"\0", octets[:10] + b"\0\2" + octets[12:]):
        with pytest.raises(wire.BadMessageError):
            tsig.find(damaged, offset)


def test_a_damaged_signature_is_a_bad_message() -> None:
    octets = Server().signed("192.0.2.1")
    algorithm = octets.index(b"\x0bhmac-sha256")
    times = algorithm + len(b"\x0bhmac-sha256\0")
    class_ = algorithm - 8
    for damaged in (
        octets[:algorithm] + b"\x41" + octets[algorithm + 1 :],  # no length of a label
        octets[:algorithm] + b"\xff" + octets[algorithm + 1 :],  # a pointer that leads forward
        octets[: times + 8] + b"\xff\xff" + octets[times + 10 :],  # a MAC that runs over the end
        octets[:class_] + b"\0\1" + octets[class_ + 2 :],
        octets[:-2] + b"\0\1",  # other data that is not there
    ):
        server = Server()
        with pytest.raises(wire.BadMessageError, match=r"label|pointer|TSIG"):
            server.verify(damaged)


# --- keys as people write them -------------------------------------------------------------------------------


def test_a_key_never_shows_its_secret() -> None:
    assert repr(KEY) == "Key('key.example.', 'hmac-sha256')"
    assert not hasattr(KEY, "__dict__")


def test_the_file_of_tsig_keygen_will_do() -> None:
    text = f'key "key.example" {{\n\talgorithm hmac-sha256;\n\tsecret "{SECRET}";\n}};\n'
    assert Key.from_text("key.example", text).secret == KEY.secret
    assert Key.from_text("key.example", f"  {SECRET[:20]}\n{SECRET[20:]}\n").secret == KEY.secret


@pytest.mark.parametrize("secret", ["not base64!", "abc", "=", f'secret "{SECRET}"; secret "{SECRET}";'])
def test_no_secret(secret: str) -> None:
    with pytest.raises(SecretError, match="no base64") as caught:
        Key.from_text("k", secret)
    assert secret not in f"{caught.value.message} {caught.value.hint}"


def test_an_algorithm_that_the_machine_forbids(monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(*_: object) -> bytes:
        raise ValueError("disabled for FIPS")

    monkeypatch.setattr("hmac.digest", forbidden)
    with pytest.raises(InputError, match="forbids"):
        Key.from_text("k", SECRET, "hmac-md5")


def test_no_algorithm_and_no_name() -> None:
    with pytest.raises(InputError, match="hmac-sha256, "):
        Key.from_text("k", SECRET, "sha256")
    with pytest.raises(InputError):
        Key.from_text("a..b", SECRET)
    assert not issubclass(UnverifiedError, UnreachableError)
