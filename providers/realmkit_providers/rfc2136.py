"""Any name server that takes dynamic updates (RFC 2136): BIND, Knot, PowerDNS, Windows and others.

The zone is read by transfer and written by one UPDATE message a batch, which the server carries out as a whole or
not at all. The message asks that the SOA be exactly the one that was read, so two writers can't overrun each other.
"NOERROR" is not taken for done: servers answer it and leave out what they don't like, so what really changed is
read back before a batch counts.
"""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, Annotated, ClassVar, Final

from msgspec import Meta, Struct

from realmkit.dns import names, provider, rdata, wire
from realmkit.dns import records as rr
from realmkit.dns.asking.exchange import server_from_text
from realmkit.dns.plan import apply_to, group_of
from realmkit.dns.primary import transfer, update
from realmkit.dns.primary.tsig import Algorithm, Key
from realmkit.dns.provider import Capabilities, Receipt, Secret, Weight, Zone
from realmkit.errors import AuthError, ConflictError, NoZoneError, OutcomeUnknownError, ProviderError, RejectedError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from realmkit.dns.names import Name
    from realmkit.dns.plan import Change
    from realmkit.dns.primary.transfer import Source
    from realmkit.dns.provider import Context
    from realmkit.dns.records import Key as RRsetKey
    from realmkit.dns.records import RRset

_ZONEMD, _BIND_SIGNING = 63, 65534
_KEPT_BY_SERVER: Final = rr.SIGNING | {rr.SOA, _ZONEMD, _BIND_SIGNING}  # changes by itself when anything does


class TsigSettings(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """The key that signs requests (RFC 8945)."""

    name: Annotated[str, Meta(min_length=1, max_length=255)]
    secret: Secret
    algorithm: Algorithm = "hmac-sha256"


class Rfc2136Settings(provider.Settings, frozen=True):
    """The keys beside `type` under `providers:`.

    Attributes:
        server: the primary: address or host name, perhaps with `:port`.
        tsig: the key that signs requests: name, secret, algorithm; without one, requests are not signed.
        timeout: seconds that one request may take.
    """

    server: Annotated[str, Meta(min_length=1, max_length=300, description="address or host name, perhaps with :port")]
    tsig: TsigSettings | None = None
    timeout: Annotated[float, Meta(gt=0)] = transfer.TIMEOUT


class Rfc2136:
    """Dynamic update (RFC 2136) with TSIG; reads by zone transfer."""

    Settings: ClassVar[type[provider.Settings]] = Rfc2136Settings
    capabilities: ClassVar[Capabilities] = Capabilities(atomic=True, cas="zone", max_bytes=update.ROOM)

    def __init__(self, settings: Rfc2136Settings, context: Context) -> None:
        self._settings = settings
        self._context = context
        self._server = server_from_text(settings.server)
        self._read: dict[Name, Zone] = {}  # the last reading of each zone, from which the next one goes on

    def snapshot(self, zone: Name) -> Zone:
        """Everything in the zone; its token is the SOA, which `apply` asks the server to have still."""
        last = self._read.get(zone)
        source = self._source()
        self._read[zone] = transfer.ixfr(last, source) if last else transfer.axfr(zone, source)
        return self._read[zone]

    def apply(self, zone: Name, changes: Sequence[Change], token: str) -> Receipt:
        """Send one UPDATE message and read back what it did."""
        source = self._source()
        base = self._base(zone, token, source)
        _check(base, changes)
        rcode = self._send(zone, update.message(zone, changes, transfer.soa_from_token(token)), source)
        if rcode != wire.NOERROR:
            raise self._failure(rcode, base, source)
        state = _state_with(base, changes, source)
        self._read[zone] = state
        return Receipt(state.token, state.serial)

    def settled(self, receipt: Receipt) -> bool:  # noqa: ARG002 - the contract's signature
        """True: an update is in force on its server when it is answered."""
        return True

    def weigh(self, changes: Sequence[Change]) -> Weight:
        """Records of the update section, and the most octets that they take there.

        The names of a group are compressed against one another. How short they become depends on the zone too:
        before it was read, weights are too high.
        """
        steps = size = 0
        for base, members in groupby(changes, key=lambda change: group_of(change.key[0])):
            apexes = [apex for apex in self._read if names.is_under(base, apex)]
            load = update.Load(base, min(apexes, key=len, default=names.ROOT))
            for change in members:
                more_steps, more_octets = load.add(change)
                steps, size = steps + more_steps, size + more_octets
        return Weight(steps, size)

    @staticmethod
    def _send(zone: Name, message: bytes, source: Source) -> int:
        try:
            rcode = update.send(message, source)
        except AuthError as error:
            if transfer.serves(zone, source):
                raise
            raise _gone(zone, source) from error
        if rcode == wire.NOTAUTH and not transfer.serves(zone, source):
            raise _gone(zone, source)
        return rcode

    def _source(self) -> Source:
        tsig = self._settings.tsig
        key = Key.from_text(tsig.name, self._context.reveal(tsig.secret), tsig.algorithm) if tsig else None
        return transfer.Source(self._server, key, self._settings.timeout, self._context.clock)

    def _base(self, zone: Name, token: str, source: Source) -> Zone:
        """The zone as the token says, to compare with afterwards."""
        base = self._read.get(zone)
        if base is None or base.token != token:
            base = self._read[zone] = transfer.axfr(zone, source)
        if base.token != token:
            raise _moved(base, source)
        return base

    def _failure(self, rcode: int, base: Zone, source: Source) -> ProviderError:
        """What an rcode means. Nothing was changed, whichever it is (RFC 2136 section 3.7)."""
        zone = names.to_text(base.name)
        said = f"{source.server} answered {wire.rcode_to_text(rcode)} to the update of {zone}"
        if rcode == wire.NXRRSET:
            return self._another_soa(base, source)
        if rcode == wire.REFUSED and _may_update(base, source):
            return RejectedError(
                f"{said}, though the key may update the zone: it refuses what was to be written",
                hint="an MX target without address (BIND), an A beside a CNAME (PowerDNS), a name that the "
                "update-policy keeps from this key? The server's log says which",
            )
        if rcode in (wire.REFUSED, wire.NOTAUTH):
            who = f"the key {source.key.text}" if source.key else "this address, or give a TSIG key"
            return AuthError(said, hint=f"allow updates to {who} (BIND: update-policy; Knot: acl with update)")
        hint = "does this server take dynamic updates, and is it the primary?" if rcode == wire.NOTIMP else None
        return RejectedError(said, hint=hint)

    def _another_soa(self, base: Zone, source: Source) -> ProviderError:
        """The SOA is not the one that was asked for. If it is still the one served, asking again is of no use."""
        now = self._read[base.name] = transfer.ixfr(base, source)
        if now.token != base.token:
            return _moved(now, source)
        return RejectedError(
            f"{source.server} serves {names.to_text(base.name)} with serial {now.serial}, and yet refuses an update of "
            "that serial",
            hint="with `inline-signing yes`, BIND applies updates to an unsigned copy that has a serial of its own; "
            "with `inline-signing no` its dnssec-policy signs the zone in place",
        )


def _check(base: Zone, changes: Sequence[Change]) -> None:
    """Refuse what servers would leave out without a word, so that a batch is in force as a whole or not at all.

    Raises:
        RejectedError: a CNAME beside other data, no name server at the apex (RFC 2136 sections 3.4.2.2 and 3.4.2.3), or
            rdata that is not of its type.
    """
    types: dict[Name, set[int]] = {change.key[0]: set() for change in changes if change.after is not None}
    for name, kind in apply_to(base, changes).rrsets:
        if name in types and kind not in _KEPT_BY_SERVER:
            types[name].add(kind)
    for name, kinds in types.items():
        if rr.CNAME in kinds and len(kinds) > 1:
            others = ", ".join(rr.type_to_text(kind) for kind in sorted(kinds - {rr.CNAME}))
            raise RejectedError(f"{names.to_text(name)} can't have a CNAME beside other data ({others})")
    for change in changes:
        name, kind = change.key
        if change.after is None and change.key == (base.name, rr.NS):
            raise RejectedError(f"{names.to_text(name)} can't be without name servers")
        if change.after and not all(rdata.well_formed(kind, one) for one in change.after.rdata):
            raise RejectedError(f"{names.to_text(name)}: a record is no {rr.type_to_text(kind)}")


def _gone(zone: Name, source: Source) -> NoZoneError:
    return NoZoneError(
        f"{source.server} does not serve {names.to_text(zone)} any more", hint="was it taken away, or renamed?"
    )


def _moved(now: Zone, source: Source) -> ConflictError:
    return ConflictError(
        f"{names.to_text(now.name)} has changed on {source.server} since it was read; its serial is {now.serial} now"
    )


def _may_update(base: Zone, source: Source) -> bool:
    """Whether the key may update the zone at all: an update that asks for nothing tells."""
    try:
        rcode = update.send(update.message(base.name, (), transfer.soa_from_token(base.token)), source)
    except ProviderError:
        return False
    return rcode in (wire.NOERROR, wire.NXRRSET)


# --- what an update really did -------------------------------------------------------------------------------


def _state_with(base: Zone, changes: Sequence[Change], source: Source) -> Zone:
    """Read back until the zone is `base` with exactly these changes.

    Raises:
        OutcomeUnknownError: it never was, or can't be read. The text says which RRsets differ.
    """
    expected = apply_to(base, changes).rrsets
    ours = frozenset(change.key for change in changes)
    state = base
    odd: frozenset[RRsetKey] = frozenset()
    try:
        for state in _states_since(base, source):
            odd = _differences(expected, state, ours) | (state.mixed & ours)
            if not odd:
                return state
    except ProviderError as error:
        text = f"{source.server} answered NOERROR, but what it did can't be read back: {error.message}"
        raise OutcomeUnknownError(text, hint=error.hint) from error
    raise _not_as_asked(base, state, odd & ours, odd - ours, source)


def _states_since(base: Zone, source: Source) -> Iterator[Zone]:
    """The zone after each step since `base`: ours is the first, others' may follow. `base` itself if there is none."""
    found = transfer.changes_since(base, source)
    if isinstance(found, Zone):
        yield found
        return
    state = base
    try:
        for delta in found:
            state = transfer.replay(state, [delta])
            yield state
    except transfer.OutOfStepError:
        yield transfer.axfr(base.name, source)
    if not found:
        yield base


def _differences(expected: Mapping[RRsetKey, RRset], state: Zone, ours: frozenset[RRsetKey]) -> frozenset[RRsetKey]:
    """RRsets that are not as expected, apart from others' that the server keeps up by itself."""
    there = state.rrsets
    odd = {key for key, rrset in there.items() if expected.get(key) is not rrset and expected.get(key) != rrset}
    odd |= expected.keys() - there.keys()
    return frozenset(key for key in odd if key in ours or key[1] not in _KEPT_BY_SERVER)


def _not_as_asked(
    base: Zone, state: Zone, missing: frozenset[RRsetKey], foreign: frozenset[RRsetKey], source: Source
) -> OutcomeUnknownError:
    said = f"{source.server} answered NOERROR to the update of {names.to_text(base.name)}"
    if state.token == base.token:
        return OutcomeUnknownError(
            f"{said} and changed nothing: not {rr.listing(sorted(missing))}",
            hint="if it is a secondary that passes updates on, give the primary as server",
        )
    if missing:
        text = f"{said}, but did not take {rr.listing(sorted(missing))}; the rest of the batch is in force"
    else:
        text = f"{said}, and the batch is in force"
    if foreign:
        text += f"; someone else changed {rr.listing(sorted(foreign))} at the same time"
    return OutcomeUnknownError(text)
