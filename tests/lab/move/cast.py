"""Who plays in the lab's moves: kinds of phones, how each behaves, and what the platform knows about it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from realmkit.sandbox.cluster import Generation
from realmkit.sandbox.phone import Behaviour, Busy, Sync

REFRESH = {"refresh": 0.5, "retry": 1.0}


@dataclass(frozen=True)
class Kind:
    """A kind of phone.

    Attributes:
        name: for people.
        model: as the catalogue calls it; the device document has brand and model from it.
        behaviour: None for a real baresip.
        obeys: a NOTIFY moves it.
        moves: what the account file says about it; "" says nothing.
    """

    name: str
    model: str
    behaviour: Behaviour | None
    obeys: bool = True
    moves: str = ""

    def told(self, generation: Generation) -> str:
        """The first NOTIFY that it gets in a move: in 2024 the platform's own, when the device is saved."""
        if generation is Generation.OLDER and self.behaviour is not None and "check-sync" in self.behaviour.events:
            return "check-sync"
        return "resync" if self.model.startswith("grandstream") else "check-sync;reboot=false"


@dataclass(frozen=True)
class Member:
    """A phone of the account.

    Attributes:
        number: from 1; everything else about it follows from this and its kind.
        kind: what it is.
    """

    number: int
    kind: Kind

    @property
    def name(self) -> str:
        return f"Desk {self.number}"

    @property
    def username(self) -> str:
        return f"user_{self.number}"

    @property
    def password(self) -> str:
        return f"pass of {self.number}"

    @property
    def mac(self) -> str:
        prefix = {"yealink": "805ec0", "grandstream": "c074ad", "baresip": "020000"}
        return f"{prefix[self.kind.model.partition('/')[0]]}{self.number:06x}"

    @property
    def real(self) -> bool:
        """Whether it is a program that is not ours."""
        return self.kind.behaviour is None

    def document(self) -> dict[str, Any]:
        """The device document, as somebody made it long ago in the platform's own pages."""
        brand, _, model = self.kind.model.partition("/")
        return {
            "name": self.name, "device_type": "sip_device", "mac_address": self.mac,
            "sip": {"username": self.username, "password": self.password, "expire_seconds": 300},
            "provision": {"endpoint_brand": brand, "endpoint_family": brand[:2], "endpoint_model": model,
                          "combo_keys": {"1": {"type": "presence", "value": "2600"}}},
            "x_made_by": {"hand": ["of", "somebody", self.number]},
        }  # fmt: skip


def _yealink(model: str, **more: Any) -> Behaviour:
    return Behaviour(**REFRESH | {"user_agent": f"Yealink SIP-{model.upper()} 96.86.0.23", "lookup": "naptr"} | more)


def _grandstream(**more: Any) -> Behaviour:
    given = {"user_agent": "Grandstream GRP2614 1.0.5.15", "lookup": "srv", "events": ("check-sync", "resync")}
    return Behaviour(**REFRESH | given | more)


TAME = b"sip.notify_reboot_enable = 0\n"
QUICK = Kind("Yealink, reloads in 0.3 s", "yealink/t54w", _yealink("t54w", boot=1.5, reload=0.3))
STEADY = Kind("Grandstream, reloads in 0.6 s", "grandstream/grp2614", _grandstream(boot=1.5, reload=0.6))
SLOW = Kind("Yealink, reloads in 1.2 s", "yealink/t46s", _yealink("t46s", boot=2.0, reload=1.2))
SLOWEST = Kind("Grandstream, reloads in 2 s", "grandstream/grp2614", _grandstream(boot=2.0, reload=2.0))
TAMED = Kind(
    "Yealink, restarts in 1.8 s on a plain check-sync until its configuration says otherwise", "yealink/t42s",
    _yealink("t42s", boot=1.8, reload=0.4, sync=Sync.REBOOT, tamed_by=TAME),
)  # fmt: skip
WILD = Kind(
    "Grandstream, restarts in 2 s on whatever it is sent, even in a call", "grandstream/grp2614",
    _grandstream(boot=2.0, sync=Sync.REBOOT, obeys_parameter=False, busy=Busy.CUT),
)  # fmt: skip
_SILENT = _yealink("t54w", boot=1.5, sync=Sync.NOTHING, refresh=0.2)
DEAF = Kind("Yealink, deaf", "yealink/t54w", _SILENT, obeys=False)
STAYS = Kind("Yealink, stays as the account file says", "yealink/t54w", _SILENT, obeys=False, moves="never")
REAL = Kind("baresip, by hand", "baresip/baresip", None, moves="by-hand")


def company(*kinds: tuple[Kind, int]) -> tuple[Member, ...]:
    """So many of each kind, dealt out evenly, so that every wave has some of each."""
    places = sorted(
        (
            ((position + 0.5) / number, order, kind)
            for order, (kind, number) in enumerate(kinds)
            for position in range(number)
        ),
        key=lambda place: place[:2],
    )
    return tuple(Member(number, kind) for number, (_, _, kind) in enumerate(places, start=1))


FORTY = company((QUICK, 11), (STEADY, 11), (SLOW, 6), (SLOWEST, 4), (TAMED, 6), (WILD, 2), (REAL, 2))
TWELVE = company((QUICK, 4), (STEADY, 3), (SLOW, 2), (TAMED, 2), (REAL, 1))
