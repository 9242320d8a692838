"""What `realmkit doctor` finds: one line for each thing that was looked at, how it stands, and what mends it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal

import msgspec
from msgspec import Struct

from realmkit import errors

if TYPE_CHECKING:
    from collections.abc import Iterable

    from realmkit.errors import RealmkitError

State = Literal["ok", "warning", "failed", "unknown"]
_EXIT: Final = {"ok": errors.OK, "warning": errors.WARNING, "failed": errors.CRITICAL, "unknown": errors.UNKNOWN}


class Check(Struct, frozen=True):
    """One thing that was looked at.

    Attributes:
        name: what it is.
        state: how it stands; what could not be found out is `unknown`, never `ok`.
        detail: what was seen.
        mend: what to do about it.
        place: the line of the configuration where, `realmkit.yml:14 providers.aws.profile`; empty if there is none.
    """

    name: str
    state: State
    detail: str
    mend: str = ""
    place: str = ""

    def to_json(self) -> dict[str, Any]:
        """As plain data."""
        data: dict[str, Any] = msgspec.to_builtins(self)
        return data


def failure(name: str, error: RealmkitError, place: str = "") -> Check:
    """A check that ended with an error: unknown where the error says that it could not be told."""
    state: State = "unknown" if error.exit_code == errors.UNKNOWN else "failed"
    return Check(name, state, error.message, error.hint or "", place)


def exit_code(checks: Iterable[Check]) -> int:
    """2 when something failed, else 3 when something is unknown, else 1 for a warning."""
    states = {check.state for check in checks}
    order: tuple[State, ...] = ("failed", "unknown", "warning", "ok")
    return next((_EXIT[state] for state in order if state in states), errors.OK)
