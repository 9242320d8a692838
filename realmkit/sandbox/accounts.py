"""Crossbar's logins, accounts, their tree, and the search for them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from realmkit.sandbox import saving
from realmkit.sandbox.handling import Request, Success, ancestors, page_of, passes, read_only, reseller_of
from realmkit.sandbox.rules import Errors, Refusal, forbidden, letters

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from realmkit.sandbox.store import Document, Json


# --- logins ---------------------------------------------------------------------------------------------------------


def log_in(request: Request) -> Success:
    """PUT /api_auth."""
    key = request.data.get("api_key")
    if not isinstance(key, str) or len(key) != 64 or len(request.data) != 1:
        errors = Errors()
        errors.add("api_key", "required", "Field is required but missing or malformed")
        errors.refuse()
    for account in request.cluster.store.all("account"):
        if account.private["api_key"] == key and account.private["enabled"]:
            return _logged_in(request, account)
    raise _stranger()


def log_in_as_user(request: Request) -> Success:
    """PUT /user_auth: by phone number where there were any, then the account's realm, then its name (F10)."""
    data, tree = request.data, request.cluster.store.tree
    found: list[Document] = []
    if data.get("account_realm"):
        found = tree.of_realm(str(data["account_realm"]))
    elif data.get("account_name"):
        found = tree.of_name(str(data["account_name"]))
    kept = "sha1" if data.get("method") in ("sha", "sha1") else "md5"
    if not data.get("credentials"):
        raise _stranger()
    for account in found[:1]:
        for user in request.cluster.store.all("user", account.id):
            if user.private[kept] == data.get("credentials") and user.data["enabled"]:
                return _logged_in(request, account, user.id)
    raise _stranger()


def _logged_in(request: Request, account: Document, owner: str | None = None) -> Success:
    data = {
        "account_id": account.id,
        "account_name": account.data["name"],
        "apps": [],
        "is_reseller": account.private["reseller"],
        "language": "en-US",
        "reseller_id": reseller_of(request.cluster, account).id,
    }
    if owner is not None:
        data["owner_id"] = owner
    return Success(data, 201, auth_token=request.cluster.sessions.open(account.id))


def _stranger() -> Refusal:
    return Refusal(401, "invalid_credentials", {"message": "invalid credentials"})


# --- accounts -------------------------------------------------------------------------------------------------------


def account(request: Request) -> Success:
    """GET /accounts/{A}."""
    return _shown_account(request, request.target)


def _shown_account(request: Request, account: Document, status: int = 200) -> Success:
    facts = saving.account_facts(request.cluster, account)
    if request.cluster.switches.facts_in_metadata:
        return Success(account.public(), status, revision=account.revision, metadata=facts)
    return Success({**account.public(), **facts}, status, revision=account.revision)


def save_account(request: Request) -> Success:
    """POST and PATCH /accounts/{A}."""
    saving.save_account(request.cluster, request.target, request.changed(request.target))
    return account(request)


def create_account(request: Request) -> Success:
    """PUT /accounts[/{parent}]."""
    made = saving.create_account(request.cluster, request.target.id, request.data)
    request.cluster.late(request.cluster.switches.account_creation_seconds)
    return _shown_account(request, made, 201)


def delete_account(request: Request) -> Success:
    """DELETE /accounts/{A}: not with accounts below it; 2026 does not let an account delete itself."""
    if request.target is request.login and not request.cluster.switches.own_account_deletable:
        raise forbidden()
    saving.delete_account(request.cluster, request.target)
    return _shown_account(request, request.target)


def api_key(request: Request) -> Success:
    """GET /accounts/{A}/api_key."""
    return Success({"api_key": request.target.private["api_key"]})


# --- the tree -------------------------------------------------------------------------------------------------------


def _row(request: Request) -> Callable[[Document], Json]:
    cluster = request.cluster

    def show(account: Document) -> Json:
        row = {
            "id": account.id,
            "name": account.data["name"],
            "realm": account.data["realm"],
            "descendants_count": cluster.store.tree.count_below(account.id),
            "tree": [one.id for one in ancestors(cluster, account)][::-1],
        }
        return row | read_only(request)

    return show


def _listing(request: Request, accounts: Sequence[Document]) -> Success:
    keyed = [((letters(one.data["name"]), one.id), one) for one in accounts if passes(request, one)]
    return page_of(request, sorted(keyed, key=lambda row: row[0]), _row(request))


def children(request: Request) -> Success:
    """GET /accounts/{A}/children."""
    return _listing(request, request.cluster.store.tree.children(request.target.id))


def descendants(request: Request) -> Success:
    """GET /accounts/{A}/descendants."""
    rows = request.cluster.store.tree.listed_below(request.target.id)
    if any(key.startswith("filter_") for key in request.query):
        return _listing(request, [one for _, one in rows])
    return page_of(request, rows, _row(request))


def siblings(request: Request) -> Success:
    """GET /accounts/{A}/siblings: what the parent lists as its children, so the account too."""
    parent = request.target.private["parent"]
    return _listing(request, [] if parent is None else request.cluster.store.tree.children(parent))


def parents(request: Request) -> Success:
    """GET /accounts/{A}/parents and /tree: from the login's account down to the one above the target."""
    above = []
    for one in ancestors(request.cluster, request.target):
        above.append(one)
        if one is request.login:
            break
    rows = [{"id": one.id, "name": one.data["name"]} for one in reversed(above)]
    if request.cluster.switches.parents_with_realm:
        rows = [row | {"realm": one.data["realm"], "flags": []} for row, one in zip(rows, reversed(above), strict=True)]
    return Success(rows)


# --- the search -----------------------------------------------------------------------------------------------------


def search(request: Request) -> Success:
    """Letters and digits only, from their beginning: candidates, not matches."""
    if request.query.get("t") != "account" or request.query.get("q") not in ("name", "realm", "id"):
        errors = Errors()
        errors.add("t" if request.query.get("t") != "account" else "q", "enum", "Value not found in enumerated list")
        errors.refuse()
    found = _candidates(request, request.query["q"], request.query.get("v", ""))
    bookmarked = request.cluster.switches.search_by_bookmark
    if bookmarked and "bookmark" in request.query:
        request.query["start_key"] = request.query["bookmark"]
    success = _listing(request, found)
    if bookmarked and success.page is not None:
        success.page = success.page._replace(key="bookmark")
    return success


def search_multi(request: Request) -> Success:
    """GET /search/multi?t=account&by_name=...&by_realm=..."""
    wanted = {key.removeprefix("by_"): value for key, value in request.query.items() if key.startswith("by_")}
    show = _row(request)
    limit = request.cluster.switches.page_size
    return Success(
        {
            by: [show(one) for one in _candidates(request, by, value)[:limit]]
            for by, value in wanted.items()
            if by in ("name", "realm", "id")
        }
    )


def _candidates(request: Request, by: str, value: str) -> list[Document]:
    return request.cluster.store.tree.beginning(request.target.id, by, letters(value))
