"""What the tasks of a playbook do: each a step with probe, do, verify and undo.

The table below is what lint, planning and `playbook show` know about each; the classes are imported when they run.
"""

from __future__ import annotations

import importlib
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, NamedTuple, cast

if TYPE_CHECKING:
    from collections.abc import Mapping

    from realmkit.migrate.kit import Step

_REALM: Final = {"realm": ("old", "new")}


class Known(NamedTuple):
    """What is known about a step without importing it.

    Attributes:
        place: module and class.
        help: what it does, for `playbook show`.
        per_phone: it is about one phone.
        anywhere: it may stand inside and outside of blocks.
        arguments: names, and the values that each may have; `duration` stands for any duration.
        optional: arguments that may be left out.
        effect: it changes the world, and has an undo.
        caches: resolvers may go on with what was there before; its result says for how long.
        seconds: what one is expected to take, for estimates; on top of what the phone takes.
        way_back: steps that take its effect back, beside `undo`.
    """

    place: str
    help: str
    per_phone: bool = False
    anywhere: bool = False
    arguments: Mapping[str, tuple[str, ...]] = MappingProxyType({})
    optional: tuple[str, ...] = ()
    effect: bool = False
    caches: bool = False
    seconds: float = 2.0
    way_back: tuple[str, ...] = ()


STEPS: Final = {
    "account.unchanged": Known(
        "account:Unchanged", "stop if the account or one of its devices is no longer what was planned for"
    ),
    "account.set_realm": Known(
        "account:SetRealm", "set the account's realm and read it back", arguments=_REALM, effect=True,
        way_back=("account.set_realm",),
    ),
    "account.registered": Known(
        "account:Registered", "wait until the moved phones are seen registered",
        arguments={"share": ("percent",)},
    ),
    "account.flush": Known(
        "account:Flush", "drop every registration of the account, and the proxy's memory of them: before a cutover, "
        "for phones at another realm than the account's miss calls from then on",
    ),
    "connectivity.resave": Known(
        "account:ResaveConnectivity", "save every trunk document again, so that it carries the account's realm",
        effect=True,
    ),
    "fax.bridge": Known(
        "account:BridgeFax", "let the fax box take mail to the old realm too, where there is one box", effect=True
    ),
    "dns.publish": Known(
        "zone:Publish", "publish the realm's complete set with the migration TTL, and see it on every server",
        arguments=_REALM, effect=True, caches=True, seconds=10.0,
    ),
    "dns.set_ttl": Known(
        "zone:SetTtl", "give the realm's records the migration's or the normal TTL",
        arguments=_REALM | {"ttl": ("migration", "normal")}, effect=True, caches=True, seconds=10.0,
    ),
    "dns.verify": Known(
        "zone:Verify", "see the realm whole on every authoritative server", arguments=_REALM, seconds=5.0
    ),
    "dns.lock": Known(
        "lock:Lock", "have the DNS provider refuse every change of the realm's records, where it can (Route 53)",
        arguments=_REALM, effect=True, seconds=3.0, way_back=("dns.unlock",),
    ),
    "dns.unlock": Known(
        "lock:Unlock", "let the realm's records be changed again that `dns.lock` locked", arguments=_REALM, seconds=3.0
    ),
    "guard.no_call": Known(
        "calls:NoCall", "wait until the phone (outside of a block: the account) has no call", anywhere=True, seconds=0.0
    ),
    "phone.publish": Known(
        "phone:Publish", "render the phone's configuration for the realm and publish it", per_phone=True,
        arguments=_REALM, effect=True, seconds=1.0,
    ),
    "phone.resync": Known(
        "phone:Resync", "tell the phone to fetch its configuration", per_phone=True, arguments=_REALM, seconds=0.5
    ),
    "phone.await": Known(
        "phone:Await", "wait until the phone is registered at the realm; ask it again meanwhile", per_phone=True,
        arguments=_REALM | {"again": ("duration",)}, optional=("again",), seconds=1.0,
    ),
    "device.pin": Known(
        "device:Pin", "give the device a realm of its own", per_phone=True, arguments=_REALM, effect=True, seconds=1.0,
        way_back=("device.unpin",),
    ),
    "device.unpin": Known(
        "device:Unpin", "let the device follow the account's realm again", per_phone=True, effect=False, seconds=1.0
    ),
    "registration.drop": Known(
        "phone:DropRegistration", "drop what the phone left behind at the realm, so that calls find one contact",
        per_phone=True, arguments=_REALM, seconds=1.0,
    ),
    "registration.flush": Known(
        "phone:FlushRegistration", "drop the phone's registration and the proxy's memory of it", per_phone=True,
        seconds=1.0,
    ),
}  # fmt: skip

EFFECTS: Final = frozenset(name for name, known in STEPS.items() if known.effect)


def step(name: str) -> Step:
    """The step of that name, ready to work."""
    module, _, attribute = STEPS[name].place.partition(":")
    return cast("Step", getattr(importlib.import_module(f"realmkit.migrate.steps.{module}"), attribute)())
