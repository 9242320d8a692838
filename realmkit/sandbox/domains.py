"""Crossbar's whitelabel/domains: which records a domain needs on this platform, and its test of whether they are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from realmkit.sandbox.handling import Request, Success
from realmkit.sandbox.rules import Errors, forbidden

if TYPE_CHECKING:
    from realmkit.sandbox.store import Json

_PLACE: Final = "{{domain}}"


def required(request: Request) -> Success:
    """GET /accounts/{A}/whitelabel/domains[?domain=]."""
    return Success(_substituted(request, _domain(request)))


def required_of_anybody(request: Request) -> Success:
    """GET /whitelabel/domains: the template itself, or with `?domain=` that domain's."""
    domain = request.query.get("domain", "")
    return Success(_substituted(request, domain or _PLACE))


def save_template(request: Request) -> Success:
    """POST /whitelabel/domains: for the operator, who does not come by this way here."""
    del request
    raise forbidden()


def test(request: Request) -> Success:
    """POST /accounts/{A}/whitelabel/domains[?domain=]: no verdict, only what is expected and what is there."""
    wanted = _substituted(request, _domain(request))
    tested: Json = {}
    for kind, hosts in wanted.items():
        tested[kind] = {
            host: {
                "expected": entry["mapping"],
                "actual": _actual(request, host, kind),
                "name": entry["name"],
            }
            for host, entry in hosts.items()
        }
    return Success(tested)


def _domain(request: Request) -> str:
    """From the query, or else the account's own brand. Raises the 400 where neither says."""
    found = request.cluster.store.get("whitelabel", "whitelabel", request.target.id)
    own = "" if found is None else str(found.data.get("domain", ""))
    domain = request.query.get("domain", "") or own
    if not domain:
        errors = Errors()
        errors.add("domain", "required", "Field is required but missing")
        errors.refuse()
    return domain


def _substituted(request: Request, domain: str) -> Json:
    times = -1 if request.cluster.switches.substitutes_all else 1

    def put(text: str) -> str:
        return text.replace(_PLACE, domain, times)

    return {
        kind: {put(host): {**entry, "mapping": [put(one) for one in entry["mapping"]]} for host, entry in hosts.items()}
        for kind, hosts in request.cluster.catalogue.template.items()
    }


def _actual(request: Request, host: str, kind: str) -> list[str]:
    lookup = request.cluster.catalogue.lookup
    found = [] if lookup is None else lookup("".join(host.split()), "CNAME" if kind == "CNAM" else kind)
    return [_as_shown(kind, one) for one in found]


def _as_shown(kind: str, rdata: str) -> str:
    """Rdata as the test words it: final dots gone, of MX the priority too, NAPTR's quoted words in upper case."""
    if kind == "TXT":
        return rdata.replace('" "', "").strip('"')
    words = rdata.split()
    if kind == "MX":
        words = words[1:]
    if kind == "NAPTR":
        words[2:4] = [word.upper() for word in words[2:4]]
    return " ".join(words).removesuffix(".") if kind != "A" else rdata
