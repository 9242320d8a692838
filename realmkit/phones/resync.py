"""How a phone is made to fetch its configuration. Pure: the sending is Crossbar's (`PUT .../devices/{id}`, notify)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from msgspec import Struct

if TYPE_CHECKING:
    from realmkit.phones.model import Model

Way = Literal["notify", "by-hand", "never"]


class Resync(Struct, frozen=True):
    """What to do with one phone once its configuration is published.

    Attributes:
        way: `notify` send it the event; `by-hand` somebody restarts or reconfigures it; `never` leave it where it is.
        event: the Event header of the NOTIFY (RFC 6665), for `notify` only.
        settle: seconds within which it should be registered again.
        why: one sentence for plans and reports.
    """

    way: Way
    event: str | None
    settle: int
    why: str


def resync(model: Model, moves: Literal["resync", "by-hand", "never"] = "resync") -> Resync:
    """How a phone of this model is moved.

    Args:
        model: what it is.
        moves: what the account's file says of it.
    """
    if moves == "never":
        return Resync("never", None, 0, "the account's file says that it stays at the old realm")
    if moves == "by-hand":
        return Resync("by-hand", None, model.settle, "the account's file says that somebody reconfigures it")
    if model.event is None:
        return Resync("by-hand", None, model.settle, f"no event makes a {model.name} fetch its configuration")
    return Resync("notify", model.event, model.settle, f"a {model.name} fetches its configuration on {model.event}")
