"""Whatever Crossbar or the way to it answers, and at whichever request: one clear error, and never a thing done twice.

First each answer alone, scripted; then every change of an account's set-up on the sandbox, with each harm done to each
of its requests.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from decimal import Decimal
from itertools import count
from typing import Any, Final

import httpx2
import pytest
from msgspec import Struct

from realmkit.errors import (
    AuthError,
    ConflictError,
    OutcomeUnknownError,
    ProviderError,
    RateLimitedError,
    RealmkitError,
    RejectedError,
    UnreachableError,
)
from realmkit.kazoo.brand import Branding
from realmkit.kazoo.client import Crossbar
from realmkit.kazoo.documents import Account
from realmkit.kazoo.errors import BusyError, ChargesError, IncompleteError, InvalidError, NotFoundError
from realmkit.kazoo.setup import AccountSetup
from realmkit.kazoo.setupdocuments import Limits, Sender, User
from realmkit.sandbox.cluster import Generation
from realmkit.sandbox.crossbar import in_process
from tests.unit.kazooscript import (
    ACME,
    CUT,
    KEY,
    LATE,
    REFUSED,
    TOKEN,
    FakeClock,
    Script,
    Step,
    check_body,
    crossbar,
    fail,
    invalid,
    ok,
)
from tests.unit.platforms import Platform

HTML = "<html><head><title>Welcome to nginx!</title></head></html>"
ROWS = [{"id": letter * 32, "name": letter, "realm": f"{letter}.example"} for letter in "bcd"]
WHOLE = json.dumps({"data": ROWS, "status": "success", "request_id": "1"}).encode()


# ---- one answer to a reading

PASSES: Final[list[tuple[Step, type[ProviderError]]]] = [
    (fail(429, "too_many_requests"), RateLimitedError),
    (fail(500, "unspecified_fault"), BusyError),
    (fail(503, "datastore_unreachable"), BusyError),
    (fail(409, "datastore_conflict"), ConflictError),
    (httpx2.Response(502, text=HTML), IncompleteError),
    (httpx2.Response(503, text=HTML), BusyError),
    (httpx2.Response(504, text=HTML), IncompleteError),
    (REFUSED, UnreachableError),
    (CUT, IncompleteError),
    (LATE, IncompleteError),
    (httpx2.Response(200, content=WHOLE[: len(WHOLE) // 2]), IncompleteError),
    (httpx2.Response(200, content=json.dumps({"data": ROWS}).encode()), IncompleteError),
    (httpx2.Response(200, content=b""), IncompleteError),
]
STAYS: Final[list[tuple[Step, type[ProviderError], str]]] = [
    (fail(401, "invalid_credentials"), AuthError, "login that it had just granted"),
    (fail(402, "accept charges"), ChargesError, "costs money"),
    (fail(403, "forbidden"), AuthError, "403 forbidden"),
    (fail(404, "bad_identifier", {"cause": "x"}), NotFoundError, "bad_identifier: x"),
    (fail(405, "invalid_method"), RejectedError, "405 invalid_method"),
    (fail(416, "range_not_satisfiable"), RejectedError, "416"),
    (invalid("q", "enum", "not one of them"), InvalidError, r"q: not one of them \(enum\)"),
    (httpx2.Response(200, text=HTML), ProviderError, "not Crossbar's"),
    (httpx2.Response(404, text=HTML), ProviderError, "not Crossbar's"),
    (httpx2.Response(301, headers={"Location": "https://x.example"}), ProviderError, "sends us elsewhere"),
    (ok({"an": "object"}), ProviderError, "not Crossbar's"),
]


@pytest.mark.parametrize(("step", "error"), PASSES)
def test_a_reading_is_repeated_and_then_given_up(step: Step, error: type[ProviderError]) -> None:
    script = Script(step, httpx2.Response(200, content=WHOLE))
    assert [row.name for row in AccountSetup(crossbar(script)).rows(ACME)] == ["b", "c", "d"]
    script = Script(*[step] * 9)
    with pytest.raises(ProviderError) as caught:
        AccountSetup(crossbar(script)).rows(ACME)
    assert type(caught.value) is error
    assert len(script.seen) == 5


@pytest.mark.parametrize(("step", "error", "said"), STAYS)
def test_a_reading_that_is_refused_is_not_repeated(step: Step, error: type[ProviderError], said: str) -> None:
    script = Script(step)
    with pytest.raises(ProviderError, match=said) as caught:
        AccountSetup(crossbar(script)).rows(ACME)
    assert type(caught.value) is error
    assert f"GET /accounts/{ACME}/descendants" in str(caught.value) or error is ProviderError


def test_another_servers_404_is_not_taken_for_nothing_there() -> None:
    nginx = httpx2.Response(404, text=HTML)
    brand = Branding(crossbar(Script(*[nginx] * 4)))
    for ask in (brand.document, brand.public):
        with pytest.raises(ProviderError, match="not Crossbar's"):
            ask(ACME)
    for path in (("accounts", ACME, "whitelabel", "logo"), ("whitelabel", "acme.example", "logo")):
        with pytest.raises(ProviderError, match="not Crossbar's"):
            brand._to.octets(*path, public=len(path) == 3)


def test_a_page_in_the_middle_that_is_cut_in_its_stream_is_asked_for_again() -> None:
    class Broken(httpx2.SyncByteStream):
        def __iter__(self) -> Any:
            yield WHOLE[:60]
            raise httpx2.RemoteProtocolError("peer closed connection without sending complete message body")

    def page(*rows: dict[str, str], after: str | None = None) -> httpx2.Response:
        return ok(list(rows), next_start_key=after)

    cut: Callable[[httpx2.Request], httpx2.Response] = lambda _: httpx2.Response(200, stream=Broken())  # noqa: E731
    script = Script(page(ROWS[0], after="k1"), cut, page(ROWS[1], after="k2"), page(ROWS[2]))
    assert [row.name for row in AccountSetup(crossbar(script)).rows(ACME)] == ["b", "c", "d"]
    assert [request.url.params.get("start_key") for request in script.requests[1:]] == [None, "k1", "k1", "k2"]
    with pytest.raises(IncompleteError):
        AccountSetup(crossbar(Script(page(ROWS[0], after="k1"), *[cut] * 5))).rows(ACME)


@pytest.mark.parametrize("row", [{"id": ACME}, {"id": ACME, "name": "x"}, {"name": "x", "realm": "y"}, "x", None])
def test_a_row_without_id_name_and_realm_is_no_account(row: Any) -> None:
    with pytest.raises(ProviderError, match="not Crossbar's"):
        AccountSetup(crossbar(Script(ok([row])))).rows(ACME)


# ---- what only the platform says

FACTS: Final = {"enabled": False, "is_reseller": True, "reseller_id": "e" * 32, "created": 63_900_000_000}


def test_facts_in_data_and_in_metadata_are_the_same_facts() -> None:
    document = {"id": ACME, "name": "Acme", "realm": "acme.example", "x": 1}
    older, newer = ok(document | FACTS, revision="1-a"), ok(document, revision="1-a", metadata=FACTS)
    for answer in (older, newer):
        account = crossbar(Script(answer)).account(ACME)
        assert (account.enabled, account.is_reseller, account.reseller_id) == (False, True, "e" * 32)
        assert account.created is not None
        assert account.created.year == 2024
        assert set(account.to_body()) - {"enabled"} == {"id", "name", "realm", "x"}
    silent = crossbar(Script(ok(document))).account(ACME)
    assert (silent.enabled, silent.is_reseller, silent.reseller_id, silent.created) == (True, False, None, None)


def test_postpay_is_read_and_never_sent_back() -> None:
    shown = {"id": "limits", "twoway_trunks": 1, "allow_postpay": True, "max_postpay_amount": 5.0}
    saved = ok(shown | {"twoway_trunks": 2}, revision="2-b")
    script = Script(ok(shown, revision="1-a"), saved, saved)
    limits = Limits.from_json({**shown, "twoway_trunks": 2, "_read_only": {"x": 1}}, "1-a")
    assert AccountSetup(crossbar(script)).save_limits(ACME, limits).trunks("twoway") == 2
    assert script.body(-2) == {"id": "limits", "twoway_trunks": 2}


def test_a_sender_is_verified_whether_the_document_says_so_or_the_metadata() -> None:
    sender = {"id": "s1", "email": "hello@acme.example", "dkim_selector": "k1"}
    for answer in (ok(sender | {"verified": True}), ok(sender, metadata={"verified": True})):
        read = Branding(crossbar(Script(answer))).email(ACME, "s1")
        assert (read.verified, set(read.to_body())) == (True, set(sender))
    assert not Sender.from_json(sender).verified


# ---- one answer to a change

SAVES: Final[list[tuple[Step, type[ProviderError]]]] = [
    (fail(401, "invalid_credentials"), AuthError),
    (fail(402, "accept charges"), ChargesError),
    (fail(403, "forbidden"), AuthError),
    (fail(404, "bad_identifier"), NotFoundError),
    (fail(412, "precondition_failed"), ConflictError),
    (invalid("twoway_trunks", "minimum", "too small"), InvalidError),
    (fail(409, "datastore_conflict"), ConflictError),
    (fail(429, "too_many_requests"), RateLimitedError),
    (fail(500, "unspecified_fault"), BusyError),
    (fail(503, "datastore_fault"), BusyError),
    (httpx2.Response(502, text=HTML), UnreachableError),
    (httpx2.Response(504, text=HTML), UnreachableError),
    (httpx2.Response(200, text=HTML), ProviderError),
    (REFUSED, UnreachableError),
    (CUT, UnreachableError),
    (LATE, UnreachableError),
    (httpx2.Response(200, content=b'{"data": {"twoway_'), UnreachableError),
]


class Server(Script):
    """Limits that are kept, whose every POST has one fate."""

    def __init__(self, fate: Step, *, saves: bool) -> None:
        super().__init__()
        self.fate, self.saves = fate, saves
        self.data, self.revision = {"id": "limits", "twoway_trunks": 1}, 1

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        request.read()
        if request.url.path.endswith("api_auth"):
            return super().handle_request(request)
        self.seen.append(request.method)
        if request.method == "GET":
            return ok(self.data, revision=f"{self.revision}-x")
        if self.saves:
            self.data, self.revision = json.loads(request.content)["data"], self.revision + 1
        if isinstance(self.fate, Exception):
            raise self.fate
        assert isinstance(self.fate, httpx2.Response)
        return self.fate


@pytest.mark.parametrize(("fate", "error"), SAVES)
def test_a_change_that_was_not_made_is_an_error_that_says_so(fate: Step, error: type[ProviderError]) -> None:
    server = Server(fate, saves=False)
    setup = AccountSetup(crossbar(server))
    setup.limits(ACME)
    with pytest.raises(ProviderError) as caught:
        setup.save_limits(ACME, Limits.from_json({**server.data, "twoway_trunks": 2}, "1-x"))
    assert type(caught.value) is error
    assert fate is REFUSED or "not in force" in str(caught.value)
    assert server.data["twoway_trunks"] == 1


def test_a_login_that_is_refused_for_one_thing_is_renewed_once() -> None:
    server = Server(fail(401, "invalid_credentials"), saves=False)
    with pytest.raises(AuthError, match="had just granted") as caught:
        AccountSetup(crossbar(server)).save_limits(ACME, Limits.from_json({"twoway_trunks": 2}))
    assert "may this API key do that" in (caught.value.hint or "")
    assert server.seen.count("POST") == 2
    assert len(server.requests) == 3  # logins: at first, after the refusal, and for reading again after the second


@pytest.mark.parametrize("fate", [fate for fate, _ in SAVES if fate is not REFUSED])
def test_a_change_that_was_made_is_done_whatever_was_answered(fate: Step) -> None:
    server = Server(fate, saves=True)
    setup = AccountSetup(crossbar(server))
    saved = setup.save_limits(ACME, Limits.from_json({**server.data, "twoway_trunks": 2}, "1-x"))
    assert saved.trunks("twoway") == 2
    assert server.seen.count("POST") == 1


def test_what_costs_money_says_so_only_to_a_login_that_may_pay() -> None:
    for may in (False, True):
        script = Script(ok({"twoway_trunks": 1}), ok({"twoway_trunks": 2}), ok({"twoway_trunks": 2}))
        setup = AccountSetup(crossbar(script, accept_charges=may))
        setup.save_limits(ACME, Limits.from_json({"twoway_trunks": 2}))
        assert json.loads(script.requests[-2].content).get("accept_charges", False) is may


def test_no_error_and_no_repr_shows_a_password() -> None:
    secret = "hush-hush-1"
    echo = fail(400, "validation error", {"password": {"pattern": {"message": f"{secret} is weak", "value": secret}}})
    script = Script(ok([]), echo, ok([]))
    setup = AccountSetup(crossbar(script))
    data = {"first_name": "Ann", "last_name": "Lee", "username": "ann", "password": secret}
    with pytest.raises(InvalidError) as caught:
        setup.create_user(ACME, data)
    assert "password: (secret) is weak (pattern)" in str(caught.value)
    shown = [repr(caught.value), str(caught.value.hint), repr(setup), repr(vars(setup)), repr(User.from_json(data))]
    assert all(word not in text for word in (secret, KEY, TOKEN) for text in shown)


# ---- every harm to every request of every change


class StoppedError(BaseException):
    """The process is killed."""


HARMS: Final = ("refused", "cut before", "cut after", "late", "torn", "html", "429", "409", "500 before", "500 after",
                "503 before", "502 after", "403", "402", "killed before", "killed after")  # fmt: skip
UNDONE: Final[dict[str, Callable[[], httpx2.Response]]] = {
    "html": lambda: httpx2.Response(200, text=HTML),
    "429": lambda: fail(429, "too_many_requests"),
    "409": lambda: fail(409, "datastore_conflict"),
    "500 before": lambda: fail(500, "unspecified_fault"),
    "503 before": lambda: fail(503, "datastore_unreachable"),
    "403": lambda: fail(403, "forbidden"),
    "402": lambda: fail(402, "accept charges"),
}
RAISED: Final[dict[str, BaseException]] = {
    "refused": REFUSED,
    "cut before": CUT,
    "cut after": CUT,
    "late": LATE,
    "killed before": StoppedError(),
    "killed after": StoppedError(),
}
BEFORE: Final = frozenset({"refused", "cut before", "killed before", *UNDONE})


class Harmed(httpx2.BaseTransport):
    """The sandbox, where one request, counted from 0 and without logins, comes to harm."""

    def __init__(self, platform: Platform, at: int, harm: str) -> None:
        self._inner = in_process(platform.cluster)
        self._at, self._harm, self.asked = at, harm, 0

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        request.read()
        check_body(request)
        if request.url.path.endswith("api_auth"):
            return self._inner.handle_request(request)
        self.asked += 1
        if self.asked - 1 != self._at:
            return self._inner.handle_request(request)
        if self._harm in UNDONE:
            return UNDONE[self._harm]()
        answer = None if self._harm in BEFORE else self._inner.handle_request(request)
        if self._harm in RAISED:
            raise RAISED[self._harm]
        assert answer is not None
        if self._harm == "torn":
            content = answer.read()
            return httpx2.Response(answer.status_code, content=content[: len(content) // 2])
        return fail(int(self._harm[:3]), "unspecified_fault")


class Change(Struct, frozen=True):
    """A change of the set-up.

    Attributes:
        name: for the test's id.
        act: makes it.
        state: what the platform holds of it, as one comparable value.
        wanted: that, when it is made.
        prepare: what must be there before.
        both: whether the generations of clusters differ in it.
    """

    name: str
    act: Callable[[Crossbar, Platform], object]
    state: Callable[[Platform], Any]
    wanted: Any
    prepare: Callable[[Crossbar, Platform], object] = lambda _crossbar, _platform: None
    both: bool = False


def stored(kind: str, *keys: str) -> Callable[[Platform], list[Any]]:
    """Those keys of all documents of a kind that the account has."""

    def state(platform: Platform) -> list[Any]:
        held = platform.cluster.store.all(kind, platform.account)
        return [tuple(one.data.get(key) for key in keys) for one in held]

    return state


def named_new(platform: Platform) -> list[str]:
    return [one.data["realm"] for one in platform.cluster.store.all("account") if one.data["name"] == "New"]


def change_account(crossbar: Crossbar, platform: Platform) -> Account:
    account = crossbar.account(platform.account)
    return AccountSetup(crossbar).save(account.with_data({**account.data, "timezone": "Asia/Tokyo"}))


def change_limits(crossbar: Crossbar, platform: Platform) -> Limits:
    before = AccountSetup(crossbar).limits(platform.account)
    wanted = Limits.from_json({**before.data, "twoway_trunks": 7}, before.revision)
    return AccountSetup(crossbar).save_limits(platform.account, wanted)


def change_user(crossbar: Crossbar, platform: Platform) -> User:
    setup = AccountSetup(crossbar)
    (row,) = setup.users(platform.account)
    before = setup.user(platform.account, row.id)
    return setup.save_user(platform.account, User.from_json({**before.data, "last_name": "Ray"}, before.revision))


def verify(crossbar: Crossbar, platform: Platform) -> Sender:
    brand = Branding(crossbar)
    (sender,) = brand.emails(platform.account)
    return brand.verify_email(platform.account, sender.id, platform.cluster.catalogue.codes.get(sender.id, "0000"))


def verified(platform: Platform) -> list[bool]:
    return [one.private["verified"] for one in platform.cluster.store.all("sender", platform.account)]


def logos(platform: Platform) -> list[bytes]:
    brands = platform.cluster.store.all("whitelabel", platform.account)
    return [one.private["files"]["logo"].octets for one in brands if "logo" in one.private["files"]]


ANN: Final = {"first_name": "Ann", "last_name": "Lee", "username": "ann", "password": "hush-hush-1"}
OFFNET: Final = {"module": "offnet", "data": {}, "children": {}}
OWN: Final = {"module": "resources", "data": {}, "children": {}}
PNG: Final = b"\x89PNG\r\n\x1a\n" * 9
MAIL: Final = "hello@acme.example"


def add_ann(crossbar: Crossbar, platform: Platform) -> object:
    return AccountSetup(crossbar).create_user(platform.account, ANN)


def add_brand(crossbar: Crossbar, platform: Platform) -> object:
    return Branding(crossbar).save(platform.account, {"domain": "acme.example", "realm_suffix": "s.acme.example"})


def add_sender(crossbar: Crossbar, platform: Platform) -> object:
    return Branding(crossbar).add_email(platform.account, MAIL, "k1")


def give_credit(crossbar: Crossbar, platform: Platform) -> object:
    return AccountSetup(crossbar).credit(platform.account, Decimal(10), key="first", description="welcome")


def carry(flow: dict[str, Any]) -> Callable[[Crossbar, Platform], object]:
    return lambda crossbar, platform: AccountSetup(crossbar).save_no_match(platform.account, flow)


def plan(platform: Platform) -> str:
    return next(iter(platform.cluster.catalogue.plans))


def app(platform: Platform) -> str:
    return next(iter(platform.cluster.catalogue.apps))


CHANGES: Final = [
    Change(
        "create",
        lambda crossbar, platform: AccountSetup(crossbar).create(
            platform.reseller, {"name": "New", "realm": "new.voice.example"}
        ),
        named_new,
        ["new.voice.example"],
        both=True,
    ),
    Change(
        "account",
        change_account,
        lambda platform: platform.cluster.document(platform.account)["timezone"],
        "Asia/Tokyo",
        both=True,
    ),
    Change("user", add_ann, stored("user", "username", "last_name"), [("ann", "Lee")]),
    Change("other user", change_user, stored("user", "username", "last_name"), [("ann", "Ray")], add_ann),
    Change("limits", change_limits, stored("limits", "twoway_trunks"), [(7,)]),
    Change("credit", give_credit, stored("ledger", "amount"), [(10,)]),
    Change(
        "services",
        lambda crossbar, platform: AccountSetup(crossbar).change_services(platform.account, [plan(platform)], []),
        lambda platform: [len(plans) for (plans,) in stored("services", "plans")(platform)],
        [1],
    ),
    Change(
        "apps",
        lambda crossbar, platform: AccountSetup(crossbar).save_blacklist(platform.account, [app(platform)]),
        lambda platform: [len(ids) for (ids,) in stored("apps", "blacklist")(platform)],
        [1],
    ),
    Change("carrier", carry(OFFNET), stored("callflow", "flow"), [(OFFNET,)]),
    Change("other carrier", carry(OWN), stored("callflow", "flow"), [(OWN,)], carry(OFFNET)),
    Change("brand", add_brand, stored("whitelabel", "domain", "realm_suffix"), [("acme.example", "s.acme.example")]),
    Change(
        "other brand",
        lambda crossbar, platform: Branding(crossbar).save(platform.account, {"company_name": "Acme"}),
        stored("whitelabel", "domain", "company_name"),
        [("acme.example", "Acme")],
        add_brand,
    ),
    Change(
        "logo",
        lambda crossbar, platform: Branding(crossbar).upload(platform.account, "logo", "image/png", PNG),
        logos,
        [PNG],
        add_brand,
    ),
    Change("sender", add_sender, stored("sender", "email", "dkim_selector"), [(MAIL, "k1")]),
    Change("verified sender", verify, verified, [True], add_sender),
]


def login(platform: Platform, wire: httpx2.BaseTransport) -> Crossbar:
    key = platform.cluster.api_key(platform.reseller)
    return Crossbar("http://sandbox.example/v2", key, platform.clock, transport=wire, jitter=lambda: 0.5)


def cases() -> Iterator[Any]:
    """All changes on a cluster of 2026; on one of 2024 those that it takes in another way."""
    for change in CHANGES:
        for generation in Generation if change.both else [Generation.NEWER]:
            yield pytest.param(change, generation, id=f"{change.name}-{generation.value}")


@pytest.mark.parametrize("harm", HARMS)
@pytest.mark.parametrize(("change", "generation"), list(cases()))
def test_a_change_is_made_once_whichever_request_comes_to_harm(
    change: Change, harm: str, generation: Generation
) -> None:
    for at in count():
        platform = Platform(generation)
        with login(platform, in_process(platform.cluster)) as client:
            change.prepare(client, platform)
        before = change.state(platform)
        wire = Harmed(platform, at, harm)
        with login(platform, wire) as client:
            error = attempted(change, client, platform)
        if wire.asked <= at:
            break
        judge(change, platform, before, error)
        with login(platform, in_process(platform.cluster)) as client:
            change.act(client, platform)
        assert change.state(platform) == change.wanted, (at, harm)
    assert at >= 2


def attempted(change: Change, client: Crossbar, platform: Platform) -> BaseException | None:
    try:
        change.act(client, platform)
    except (RealmkitError, StoppedError) as error:
        return error
    return None


def judge(change: Change, platform: Platform, before: Any, error: BaseException | None) -> None:
    """What was said of the change is true of it."""
    now = change.state(platform)
    if error is None:
        assert now == change.wanted
    elif isinstance(error, OutcomeUnknownError | StoppedError):
        assert now in (before, change.wanted)
    else:
        assert now == before, error


def test_a_wait_for_a_lost_creation_is_half_a_minute_and_then_it_is_said() -> None:
    clock = FakeClock()
    own = ok({"id": "a" * 32, "name": "Reseller", "realm": "reseller.example"})
    nobody = ok({"name": []})
    script = Script(own, nobody, LATE, *[nobody] * 5)
    with pytest.raises(OutcomeUnknownError, match="not there yet"):
        AccountSetup(crossbar(script, clock)).create("a" * 32, {"name": "New"})
    assert clock.sleeps == [2.0, 4.0, 8.0, 16.0]
    assert script.unused == []
