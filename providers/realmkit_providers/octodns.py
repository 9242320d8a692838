"""Any provider class of octoDNS, for backends that realmkit has no provider of its own for.

octoDNS's classes were made to bring a whole zone to a wanted state. Here each is given the live zone with nothing but
our changes laid over it, and its plan is read before it is carried out: what would do more, less or something else
than was asked is refused. What that does not give, and no caller should take from it:

- It is not atomic. Many classes send one request for each record, some send batches that fail midway.
- It is no compare-and-swap. The zone is read just before writing and compared; a writer in between is noticed by the
  plan, by the reading afterwards or by verification, or not at all.
- It waits for nothing. A class that has written says nothing of when servers follow: verification by DNS counts.
- Some classes try a request again by themselves. Where an argument of theirs switches that off, use it.

Everything was seen with octoDNS 1.22.0, octodns-powerdns 1.2.0 and octodns-bind 1.1.0 on 2026-11-25.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from msgspec import Meta, field, structs

from realmkit.dns import names, provider
from realmkit.dns.provider import Capabilities, Change, Context, Receipt, Weight, Zone
from realmkit.dns.records import key_to_text, listing
from realmkit.errors import (
    ConflictError,
    InputError,
    NoZoneError,
    OutcomeUnknownError,
    ProviderError,
    RealmkitError,
    RejectedError,
)
from realmkit_providers.octodns_load import Foreign, build, check_arguments, find
from realmkit_providers.octodns_records import (
    Reading,
    differing,
    key_of,
    reading_of,
    record_of,
    rrset_of,
    said,
    types_of,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from realmkit.dns.names import Name
    from realmkit.dns.provider import Key

_CLASS = r"^[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)+$"


class OctoDnsSettings(provider.Settings, frozen=True):
    """The keys beside `type` under `providers:`.

    Attributes:
        class_: `class` in the file: the dotted path of the provider class, as octoDNS's own configuration has it.
        arguments: what its constructor takes, less `id`. A string that begins with `env:`, `file:` or `keyring:`, at
            any depth, is a reference to a secret and is replaced by the secret; there is no way to escape one.
        max_changes: RRsets in one batch. The default keeps octodns-route53 within the 32,000 characters of a change
            batch and octodns-bind within the 65,535 octets of a message; neither counts them itself.
        min_ttl: the lowest TTL that the service takes, in seconds; octoDNS does not say.
    """

    class_: Annotated[str, Meta(pattern=_CLASS, description="for example octodns_powerdns.PowerDnsProvider")] = field(
        name="class"
    )
    arguments: dict[str, Any] = field(default_factory=dict)
    max_changes: Annotated[int, Meta(ge=1, description="RRsets in one batch")] = 250
    min_ttl: Annotated[int, Meta(ge=0, description="seconds")] = 0


class OctoDns:
    """Any provider class of octoDNS 1.22 or later: neither atomic nor compare-and-swap, and it waits for nothing."""

    Settings: ClassVar[type[provider.Settings]] = OctoDnsSettings
    capabilities: ClassVar[Capabilities] = Capabilities(atomic=False, cas="none", max_changes=250, serials=False)

    def __init__(self, settings: OctoDnsSettings, context: Context) -> None:
        check_arguments(settings.arguments)
        self._settings = settings
        self._context = context

    def snapshot(self, zone: Name) -> Zone:
        """The zone as a new instance of the class shows it, types that the class does not know left out.

        `opaque` and `unread` tell of records that octoDNS knows and DNS does not (ALIAS, dynamic, a proxied address),
        and of text whose octets octoDNS does not tell for certain. `blind` says which types are shown at all.

        Raises:
            MissingExtraError, InputError, SecretError: the class, or what it is given, can't be used.
        """
        return self._live(self._foreign(), zone).zone

    def apply(self, zone: Name, changes: Sequence[Change], token: str) -> Receipt:
        """Read again, let the class plan, see that its plan is ours, carry it out, and read again.

        An error that says that nothing was changed is raised only where reading again has shown so. All else is
        `OutcomeUnknownError`, with what was seen.
        """
        foreign = self._foreign()
        live = self._live(foreign, zone)
        _compare(live.zone, changes, token)
        if not changes:
            return Receipt(token, live.zone.serial)
        plan = self._plan(foreign, live, changes)
        return self._carried_out(foreign, plan, live.zone, changes)

    def settled(self, receipt: Receipt) -> bool:  # noqa: ARG002 - the contract's signature
        """True: octoDNS has no such notion. Verification by DNS says when servers follow."""
        return True

    def weigh(self, changes: Sequence[Change]) -> Weight:
        """An element for each RRset; octoDNS knows no sizes."""
        return Weight(len(changes), 0)

    def limits(self, zone: Name) -> Capabilities:  # noqa: ARG002 - the same for every zone
        """The types that the class supports, and the limits of the settings. No request is made."""
        return structs.replace(
            self.capabilities,
            max_changes=self._settings.max_changes,
            min_ttl=self._settings.min_ttl,
            types=frozenset(types_of(self._supports())),
        )

    def _foreign(self) -> Foreign:
        settings = self._settings
        return build(settings.class_, settings.arguments, self._context.reveal, self._context.clock)

    def _supports(self) -> Collection[str]:
        """The class's own list of types; an instance is asked only where the class makes it up by instance."""
        supports = getattr(find(self._settings.class_), "SUPPORTS", None)
        found: Collection[str] = (
            supports if isinstance(supports, set | frozenset) else self._foreign().provider.SUPPORTS
        )
        return found

    def _live(self, foreign: Foreign, zone: Name) -> Reading:
        """What an instance shows of a zone."""
        from octodns.zone import Zone as OctoZone

        shown = names.to_text(zone)
        try:
            octo = OctoZone(shown, [])
            there = foreign.provider.populate(octo, target=True, lenient=True)
        except Exception as error:  # a class of others raises whatever it likes
            raise foreign.words.reading(error, shown) from None
        if not (there or (there is None and octo.records)):
            raise NoZoneError(
                f"{self._settings.class_} has no zone {shown}",
                hint="create it there; a class that writes whole files shows none (realmkit has `type: zonefile`)",
            )
        return reading_of(octo, zone, foreign.words, self._blind(foreign))

    def _blind(self, foreign: Foreign) -> str:
        types = ", ".join(types_of(foreign.provider.SUPPORTS).values())
        return (
            f"{self._settings.class_} shows {types} only: records of all other types are invisible here and stay as "
            "they are; the strings of a TXT record are shown joined"
        )

    def _plan(self, foreign: Foreign, live: Reading, changes: Sequence[Change]) -> Any:
        """The class's plan, which is exactly `changes`.

        Raises:
            RejectedError: octoDNS or the class can't do it, or would do something else.
            ConflictError: the zone moved while it was being planned.
        """
        desired = _desired(foreign, live, changes)
        own = foreign.provider
        own.strict_supports = True  # raises instead of leaving out or altering with a warning
        shown = names.to_text(live.zone.name)
        if getattr(own, "apply_disabled", False):
            raise RejectedError(f"{shown}: `apply_disabled` is set among the arguments, so nothing would be written")
        try:
            plan = own.plan(desired)
        except Exception as error:  # a class of others raises whatever it likes
            raise foreign.words.reading(error, shown) from None
        _check_plan(plan, live.zone, {change.key: change for change in changes}, self._settings.class_)
        return plan

    def _carried_out(self, foreign: Foreign, plan: Any, before: Zone, changes: Sequence[Change]) -> Receipt:
        """Write, then read with another instance, and tell by what is seen."""
        shown = names.to_text(before.name)
        failure: ProviderError | None = None
        try:
            foreign.provider.apply(plan)
        except Exception as error:  # a class of others raises whatever it likes
            failure = foreign.words.writing(error, shown)
        try:
            after = self.snapshot(before.name)
        except RealmkitError as error:
            said_so = failure.message if failure else f"{shown}: {self._settings.class_} reported success"
            text = f"{said_so}; and it can't be read again: {error.message}"
            raise OutcomeUnknownError(text, hint=error.hint) from None
        return _receipt(before, after, changes, failure, self._settings.class_)


def _compare(live: Zone, changes: Sequence[Change], token: str) -> None:
    """See that the zone is what the token and each change say.

    Raises:
        ConflictError: it is not. RejectedError: something stands there that can't be said as records.
    """
    shown = names.to_text(live.name)
    if live.token != token:
        raise ConflictError(f"{shown} was changed since it was read", hint="make a new plan and review it")
    hidden = [change.key for change in changes if change.key in live.opaque]
    if hidden:
        raise RejectedError(f"{shown}: {listing(hidden)}: there is {live.opaque[hidden[0]]}")
    moved = [change.key for change in changes if live.rrsets.get(change.key) != change.before]
    if moved:
        raise ConflictError(f"{shown}: {listing(moved)} was changed since the plan was made")


def _desired(foreign: Foreign, live: Reading, changes: Sequence[Change]) -> Any:
    """The live zone with our changes laid over it, and nothing else touched.

    Raises:
        RejectedError: octoDNS can't carry a record, or a CNAME would stand beside other data (RFC 2181 section 10.1):
            BIND answers such an update with NOERROR and leaves it out.
    """
    desired = live.octo.copy()
    for change in changes:
        if change.key in live.records:
            desired.remove_record(live.records[change.key])
    new = [record_of(change.after, desired, foreign.provider, foreign.words) for change in changes if change.after]
    for record in new:
        desired.add_record(record, lenient=True)
    for record in new:
        types = {one._type for one in desired.get(record.name)}
        if "CNAME" in types and len(types) > 1:
            others = ", ".join(sorted(types - {"CNAME"}))
            raise RejectedError(f"{record.fqdn} can't have a CNAME beside other data ({others})")
    if desired.root_ns and not foreign.provider.SUPPORTS_ROOT_NS:
        desired.remove_record(desired.root_ns)  # such a class refuses a zone that has one; it leaves the live one be
    return desired


def _check_plan(plan: Any, live: Zone, wanted: Mapping[Key, Change], path: str) -> None:
    """See that a plan does what was asked: all of it, nothing beside, nothing else.

    Outside its Manager octoDNS guards nothing: a plan is carried out whatever it holds.

    Raises:
        ConflictError: its reading of the zone was another one already.
        RejectedError: it would do something else; the text says what.
    """
    shown = names.to_text(live.name)
    if plan is not None and plan.exists is False:
        raise NoZoneError(f"{shown} was deleted while it was being planned; octoDNS would create it anew")
    surprises = [f"change the zone's own settings: {plan.meta}"] if plan is not None and plan.meta else []
    missing = dict(wanted)
    moved: list[Key] = []
    for step in plan.changes if plan is not None else ():
        verb = type(step).__name__.lower()
        try:
            key = key_of(step.record)
            before, after = (rrset_of(one, live.name) if one else None for one in (step.existing, step.new))
        except InputError:
            surprises.append(f"{verb} {step.record.fqdn} {step.record._type}")
            continue
        change = missing.pop(key, None)
        if live.rrsets.get(key) != before:
            moved.append(key)
        elif change is None:
            surprises.append(f"{verb} {key_to_text(key)}")
        elif after != change.after:
            surprises.append(f"write {said(after)} instead of {said(change.after)} at {key_to_text(key)}")
    if moved:
        raise ConflictError(f"{shown}: {listing(moved)} was changed while the batch was being planned")
    if missing:
        surprises.append(f"leave out {listing(list(missing))}")
    if surprises:
        more = f" and {len(surprises) - 8} more" if len(surprises) > 8 else ""
        raise RejectedError(
            f"{shown}: {path} would not do what was asked; it would {'; '.join(surprises[:8])}{more}",
            hint="nothing was written; an argument of that class may change its mind, or use another provider",
        )


def _receipt(before: Zone, after: Zone, changes: Sequence[Change], failure: ProviderError | None, path: str) -> Receipt:
    """What two readings and the class's word amount to.

    Raises:
        ProviderError: `failure`, where nothing of the batch is there and it said so.
        OutcomeUnknownError: otherwise, unless everything is as it should be.
    """
    shown = names.to_text(before.name)
    ours = {change.key for change in changes}
    done = [change.key for change in changes if after.rrsets.get(change.key) == change.after]
    left = [change.key for change in changes if after.rrsets.get(change.key) != change.after]
    untouched = all(after.rrsets.get(change.key) == change.before for change in changes)
    beside = sorted(differing(before.rrsets, after.rrsets) - ours)
    if failure is not None and untouched and not isinstance(failure, OutcomeUnknownError):
        raise failure
    if failure is None and not left and not beside:
        return Receipt(after.token, after.serial)
    text = failure.message if failure else f"{shown}: {path} reported success"
    if done:
        text += f"; in force is {listing(done)}"
    if left:
        text += f"; not to be seen is {listing(left)}"
    if beside:
        text += f"; somebody, perhaps {path} itself, changed also {listing(beside)}"
    raise OutcomeUnknownError(text, hint=failure.hint if failure else None)
