"""PowerDNS Authoritative Server, through its HTTP API: one atomic PATCH a batch, ownership in RRset comments.

What was seen on pdns_server 4.7.3 (Debian 12) on 2026-11-22, and what follows from it:

- A PATCH of a zone takes effect as a whole or not at all; DELETEs must stand before the REPLACEs that need them.
- A body over 2 MiB is answered with a bare 400, or the connection is closed midway. `max_bytes` stays below.
- There is no precondition, and the serial is none either: it does not move when `soa_edit_api` is empty, and edits
  past the API (SQL, pdnsutil) need not move it. So the token is a digest of the zone's content, and `apply` reads
  the zone and compares just before it writes. A writer that fits into those milliseconds is noticed by the batch
  that follows and by verification, not by the PATCH.
- REPLACE drops disabled records and keeps comments, DELETE drops both. What is not ours of them is sent along, so
  it stays; the zone has to be read whole for that, because a filtered read (`rrset_name`) hides disabled records.
- A PATCH of a secondary zone is taken, and the next transfer undoes it. `apply` refuses.
- Owner names may hold letters, digits and `-_/*.`; the API refuses all others.
"""

from __future__ import annotations

import re
from contextlib import suppress
from functools import cache
from hashlib import blake2b
from typing import TYPE_CHECKING, Annotated, ClassVar, Final, NamedTuple

import msgspec
from msgspec import Meta

from realmkit.dns import names, provider, rdata, records
from realmkit.dns.apiurl import check_url
from realmkit.dns.provider import Capabilities, Change, Context, Key, Receipt, Secret, Weight, Zone
from realmkit.dns.records import RRset
from realmkit.errors import ConflictError, InputError, OutcomeUnknownError, ProviderError, RejectedError, SecretError
from realmkit_providers.powerdns_api import MARK, ApiRRset, ApiZone, Comment, Edit, NewZone, Record, connect, server_url

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager

    from realmkit.dns.names import Name
    from realmkit_providers.powerdns_api import Api

_NOT_DNS: Final = {"ALIAS": "expanded by PowerDNS when it answers", "LUA": "computed by PowerDNS when it answers"}
_WITH_SVC_PARAMS: Final = (64, 65)  # SVCB and HTTPS (RFC 9460)
_SVC_VALUE: Final = re.compile(r'(?<==)"([^"\\\s]*)"')
_OWN_NAMES: Final = {"ADDR": 65400}  # PowerDNS's word for a number of the private range (RFC 6895 section 3.1)


class PowerDnsSettings(provider.Settings, frozen=True):
    """The keys beside `type` under `providers:`.

    Attributes:
        api_key: the server's `api-key`.
        url: where its web server listens.
        server_id: the API's name of the server.
        timeout: seconds to wait for each answer.
        comments: keep the owner as a comment with each RRset that is created. Say `false` where the database
            behind the server keeps none (LMDB).
        nameservers: the hosts that serve its zones: the NS set of a zone that is created here, and who is asked
            whether a copied zone is whole.
    """

    api_key: Secret
    url: str = "http://127.0.0.1:8081"
    server_id: str = "localhost"
    timeout: Annotated[float, Meta(gt=0, description="seconds to wait for each answer")] = 30.0
    comments: bool = True
    nameservers: tuple[str, ...] = ()


class PowerDns:
    """PowerDNS Authoritative Server 4.7 or later, through its HTTP API.

    Where a zone's `soa_edit_api` is empty, edits leave the serial as it is, and secondaries that transfer the zone
    never follow; `pdnsutil set-meta ZONE SOA-EDIT-API DEFAULT` mends that.
    """

    Settings: ClassVar[type[provider.Settings]] = PowerDnsSettings
    # max_bytes: 2 MiB less room for what others keep with an RRset and is sent along (2026-11-22, 4.7.3)
    capabilities: ClassVar[Capabilities] = Capabilities(atomic=True, cas="zone", max_bytes=2_000_000, notes=True)

    def __init__(self, settings: PowerDnsSettings, context: Context) -> None:
        check_url(settings.url, "powerdns: url", "url: http://HOST:8081")
        self._settings = settings
        self._context = context
        self._owner = context.owner if settings.comments else None

    def snapshot(self, zone: Name) -> Zone:
        """The zone as the API shows it.

        `unread` tells of disabled records and of the types that only PowerDNS knows (ALIAS, LUA); neither is ever
        touched. `owners` comes from our comments, `serial` is the one that is served.
        """
        with self._api(zone) as api:
            return _reading(zone, api.read()).zone

    def apply(self, zone: Name, changes: Sequence[Change], token: str) -> Receipt:
        """One PATCH, after the zone was read once more and found as the token says."""
        with self._api(zone) as api:
            there = _reading(zone, api.read())
            there.compare(token)
            edits = {change.key: _edit(change, self._owner, there.extras.get(change.key)) for change in changes}
            if edits:
                api.patch(list(edits.values()))
            return Receipt(there.token_after(changes, edits), _serial_after(api))

    def mark(self, zone: Name, owners: Mapping[Key, str | None], token: str) -> Receipt:
        """Set or take away our comment; records and the comments of others stay.

        Many RRsets take several PATCHes. With `comments: false` nothing is written.

        Raises:
            OutcomeUnknownError: some were marked and then a PATCH failed; marking again is harmless.
        """
        with self._api(zone) as api:
            there = _reading(zone, api.read())
            there.compare(token)
            wanted = owners if self._settings.comments else {}
            for number, edits in enumerate(_batches([there.marked(key, owner) for key, owner in wanted.items()])):
                try:
                    api.patch(edits)
                except ProviderError as error:
                    if number == 0:
                        raise
                    raise OutcomeUnknownError(f"marked in part only: {error.message}", hint=error.hint) from error
            return Receipt(there.zone.token, _serial_after(api))

    def nameservers(self, zone: Name) -> Sequence[str]:  # noqa: ARG002 - the contract's signature
        """The hosts of the settings; the API does not know who serves its zones."""
        return self._settings.nameservers

    def create_zone(self, zone: Name) -> None:
        """Create a native zone with the NS set of the settings; the server makes its SOA (`default-soa-content`).

        Raises:
            RejectedError: it is there, or no name servers are configured.
        """
        hosts = [names.absolute(host) for host in self._settings.nameservers]
        if not hosts:
            raise RejectedError(
                f"{names.to_text(zone)} can't be created on PowerDNS without name servers",
                hint="write nameservers: [ns1.example.net, ...] beside this provider's url",
            )
        with self._api(zone) as api:
            api.create(NewZone(names.to_text(zone), [names.to_text(host) for host in hosts]))

    def settled(self, receipt: Receipt) -> bool:  # noqa: ARG002 - the contract's signature
        """True: once a PATCH is answered the database has it. What PowerDNS caches ends with its cache-ttl."""
        return True

    def weigh(self, changes: Sequence[Change]) -> Weight:
        """An element for each change, and their octets in the body of the PATCH."""
        return Weight(len(changes), sum(len(_edit(change, self._owner, None).encoded()) + 1 for change in changes))

    def _api(self, zone: Name) -> AbstractContextManager[Api]:
        settings = self._settings
        key = self._context.reveal(settings.api_key)
        if not (key.isascii() and key.isprintable()):
            raise SecretError(f"{settings.api_key.reference}: no HTTP header can carry this API key")
        base = server_url(settings.url, settings.server_id)
        return connect(base, zone, key, settings.timeout, self._context.clock)


class _Reading(NamedTuple):
    """A zone, and what PowerDNS keeps beside its records.

    Attributes:
        zone: what is served.
        copy: it is a secondary here.
        extras: RRsets with disabled records or comments, as the API shows them.
        opaque: digest of all that could not be read.
    """

    zone: Zone
    copy: bool
    extras: dict[Key, ApiRRset]
    opaque: int

    def compare(self, token: str) -> None:
        """Raise unless the zone may be written and is as the token says."""
        shown = names.to_text(self.zone.name)
        if self.copy:
            raise RejectedError(
                f"{shown} is a secondary on this PowerDNS; the next transfer would undo what is written here",
                hint="under zones:, name the provider that holds the primary",
            )
        if self.zone.token != token:
            raise ConflictError(f"{shown} was changed on PowerDNS since it was read; its serial is {self.zone.serial}")

    def marked(self, key: Key, owner: str | None) -> Edit:
        """The element of a PATCH that sets an RRset's owner. Raises RejectedError where there is no such RRset."""
        if key not in self.zone.rrsets:
            raise RejectedError(f"{' '.join(_spelled(key))}: there is no such RRset")
        extra = self.extras.get(key)
        comments = extra.foreign_comments() if extra else []
        return Edit(*_spelled(key), "REPLACE", comments=comments + ([Comment(MARK, owner)] if owner else []))

    def token_after(self, changes: Sequence[Change], edits: Mapping[Key, Edit]) -> str:
        """The token that the zone has if these changes, and no others, have been made."""
        rrsets = {**self.zone.rrsets, **{change.key: change.after for change in changes}}
        hidden = {key: extra.disabled() for key, extra in self.extras.items()}
        hidden |= {key: [one for one in edit.records or () if one.disabled] for key, edit in edits.items()}
        return _token((one for one in rrsets.values() if one), hidden, self.opaque)


def _reading(zone: Name, answer: ApiZone) -> _Reading:
    """The API's zone as ours. What can't be read is told in `unread`; nothing is lost."""
    wire = cache(rdata.from_text)  # a platform's zone says the same few things of thousands of realms
    rrsets: dict[Key, RRset] = {}
    owners: dict[Key, str] = {}
    extras: dict[Key, ApiRRset] = {}
    unread: list[str] = []
    hidden: dict[Key, str] = {}
    opaque = 0
    for item in answer.rrsets:
        try:
            key = _key(item, zone)
            live = frozenset([wire(key[1], one.content) for one in item.records if not one.disabled])
        except InputError as error:
            unread.append(f"{item.name} {item.type}: {_NOT_DNS.get(item.type, error.message)}")
            hidden.update(_computed(item))
            opaque += _digest(msgspec.json.encode((item.name, item.type, item.ttl, item.records)))
            continue
        if live:
            rrsets[key] = RRset(*key, item.ttl, live)
        if len(live) == len(item.records) and not item.comments:
            continue
        extras[key] = item
        owners.update((key, comment.account) for comment in item.comments if comment.ours and live)
        if disabled := item.disabled():
            unread.append(f"{item.name} {item.type}: {len(disabled)} disabled, so not served")
    token = _token(rrsets.values(), {key: extra.disabled() for key, extra in extras.items()}, opaque)
    read = Zone(zone, rrsets, token, answer.served_serial, owners, unread=tuple(unread), opaque=hidden)
    return _Reading(read, answer.is_copy, extras, opaque)


def _computed(item: ApiRRset) -> Iterator[tuple[Key, str]]:
    """The RRsets that PowerDNS makes up from an ALIAS or a LUA record (its manual, "ALIAS records", "Lua Records")."""
    if item.type not in _NOT_DNS:
        return
    kinds = ["A", "AAAA"] if item.type == "ALIAS" else [one.content.split(" ", 1)[0] for one in item.records]
    for kind in kinds:
        with suppress(InputError):
            yield (names.from_text(item.name), records.type_from_text(kind)), f"{item.type}, {_NOT_DNS[item.type]}"


def _key(item: ApiRRset, zone: Name) -> Key:
    """Name and type. Raises InputError where the RRset can't be one of ours."""
    name = names.from_text(item.name)
    kind = _OWN_NAMES.get(item.type) or records.type_from_text(item.type)
    if not names.is_under(name, zone):
        raise InputError("it lies outside the zone")
    if not 0 <= item.ttl < 2**31:
        raise InputError(f"{item.ttl} is no TTL (RFC 2181 section 8)")
    return name, kind


def _edit(change: Change, owner: str | None, extra: ApiRRset | None) -> Edit:
    """The element of a PATCH that makes this change and keeps what `extra` holds of others."""
    name, kind = _spelled(change.key)
    hidden = extra.disabled() if extra else []
    foreign = extra.foreign_comments() if extra else []
    after = change.after
    if after is not None:
        live = [Record(_content(after.type, wire)) for wire in sorted(after.rdata)]
        hidden = [one for one in hidden if rdata.from_text(after.type, one.content) not in after.rdata]
        comments = [*foreign, Comment(MARK, owner)] if change.before is None and owner else None
        return Edit(name, kind, "REPLACE", after.ttl, live + hidden, comments)
    if extra is not None and (hidden or foreign):
        return Edit(name, kind, "REPLACE", extra.ttl, hidden, foreign if owner else None)
    return Edit(name, kind, "DELETE")


def _content(kind: int, wire: bytes) -> str:
    """Rdata in the spelling that the API wants: it compares with its own, and refuses all others.

    It writes SvcParams without quotes (`alpn=h2,h3`), where dnspython has them (4.7.3, 2026-11-25).
    """
    text = rdata.to_text(kind, wire)
    return _SVC_VALUE.sub(r"\1", text) if kind in _WITH_SVC_PARAMS else text


def _spelled(key: Key) -> tuple[str, str]:
    return names.to_text(key[0]), records.type_to_text(key[1])


def _batches(edits: Iterable[Edit]) -> Iterator[list[Edit]]:
    """Runs of edits that stay within `max_bytes`."""
    batch: list[Edit] = []
    size = 0
    for edit in edits:
        weight = len(edit.encoded()) + 1
        if batch and size + weight > (PowerDns.capabilities.max_bytes or 0):
            yield batch
            batch, size = [], 0
        batch.append(edit)
        size += weight
    if batch:
        yield batch


def _serial_after(api: Api) -> int | None:
    """The serial that is served now; None where that can't be learnt, for the batch itself is in force."""
    try:
        return api.read(rrsets=False).served_serial
    except ProviderError:
        return None


def _token(rrsets: Iterable[RRset], hidden: Mapping[Key, list[Record]], opaque: int) -> str:
    """A digest of a zone's content in any order: the sum of one digest for each RRset.

    The SOA's serial is left out, for PowerDNS moves it by itself; comments are no content.
    """
    total = opaque
    for rrset in rrsets:
        wires = sorted(rrset.rdata)
        if (
            rrset.type == records.SOA
        ):  # the serial is the first of the five numbers at its end (RFC 1035 section 3.3.13)
            wires = [wire[:-20] + wire[-16:] for wire in wires]
        head = b"%b%d %d %d " % (rrset.name, rrset.type, rrset.ttl, len(wires))
        total += _digest(head + b"".join([b"%d:%b" % (len(wire), wire) for wire in wires]))
    for key, off in hidden.items():
        if off:
            total += _digest(msgspec.json.encode((_spelled(key), sorted(one.content for one in off))))
    return f"{total % 2**128:032x}"


def _digest(octets: bytes) -> int:
    return int.from_bytes(blake2b(octets, digest_size=16).digest(), "big")
