"""What the sandbox's operator has put on his platform: service plans, applications, classifiers, required DNS."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    from realmkit.sandbox.store import Json

    Lookup = Callable[[str, str], list[str]]

_CLASSIFIERS: Final = {
    "tollfree_us": ("US TollFree", r"^\+1((?:800|88\d|877|866|855|844|833)\d{7})$"),
    "toll_us": ("US Toll", r"^\+1(900\d{7})$"),
    "emergency": ("Emergency Dispatcher", "^(911)$"),
    "caribbean": ("Caribbean", r"^\+?1((?:242|246|264|268|284|340|345|441|473|649|664|767|787|809|868)\d{7})$"),
    "did_us": ("US DID", r"^\+?1?([2-9]\d{2}[2-9]\d{6})$"),
    "international": ("International", r"^(011\d*)$|^(00\d*)$"),
    "unknown": ("Unknown", "^(.*)$"),
}
_APPS: Final = ("accounts", "branding", "callflows", "numbers", "pbxs", "port", "voip", "webhooks")
_PLANS: Final = ("Standard", "Premium")


def _id(kind: str, number: int) -> str:
    return f"{kind.encode().hex()[:12]:0<12}{number:020d}"


def required_records() -> Json:
    """The domains template as a platform ships it, with its faults.

    Addresses that are placeholders, and pointers of two proxies out of three that lead to no SRV.
    """
    zones = {"us-east": "Primary Proxy", "us-central": "Secondary Proxy", "us-west": "Tertiary Proxy"}
    sides = [zone.removeprefix("us-") for zone in zones]
    targets = zip((10, 15, 20), zones, strict=True)
    pointer = '10 100 "S" "SIP+D2U" "" _sip._udp.proxy-{}.{{{{domain}}}}'
    return {
        "A": {
            f"{zone}.{{{{domain}}}}": {"mapping": ["127.0.0.1"], "name": name, "zone": zone}
            for zone, name in zones.items()
        },
        "CNAME": {
            "api.{{domain}}": {"mapping": ["api.yourcompany.net"], "name": "API"},
            "portal.{{domain}}": {"mapping": ["ui.yourcompany.net"], "name": "Web GUI"},
        },
        "MX": {},
        "NAPTR": {
            f"proxy-{side}.{{{{domain}}}}": {"mapping": [pointer.format(side)], "name": f"{side.title()} NAPTR"}
            for side in sides
        },
        "SRV": {
            "_sip._udp.proxy-east.{{domain}}": {
                "mapping": [f"{order} {order} 7000 {zone}.{{{{domain}}}}" for order, zone in targets],
                "name": "East SRV",
            }
        },
        "TXT": {},
    }


@dataclass
class Catalogue:
    """All of it; may be changed at any time.

    Attributes:
        plans: service plans: id to name.
        apps: applications: id to name.
        classifiers: name to friendly name and regular expression.
        template: the system's `whitelabel/domains`.
        lookup: asks the name servers of a domain for a name and type and gives the rdata as text, names with their
            final dot, MX with its priority. None: no name server answers.
        codes: of sender addresses whose code is on its way by mail: the document's id to the code.
    """

    plans: dict[str, str] = field(default_factory=lambda: {_id("plan", i): name for i, name in enumerate(_PLANS)})
    apps: dict[str, str] = field(default_factory=lambda: {_id("app", i): name for i, name in enumerate(_APPS)})
    classifiers: dict[str, tuple[str, str]] = field(default_factory=lambda: dict(_CLASSIFIERS))
    template: Json = field(default_factory=required_records)
    lookup: Lookup | None = None
    codes: dict[str, str] = field(default_factory=dict)
