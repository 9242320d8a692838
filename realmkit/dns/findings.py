"""Findings: what is wrong, where, how badly, and how to mend it. Keyed by id and subject, never by text."""

from __future__ import annotations

from typing import Final, Literal

from msgspec import Struct

from realmkit import errors

Level = Literal["critical", "error", "warning", "notice"]
LEVELS: Final[tuple[Level, ...]] = ("critical", "error", "warning", "notice")
_EXIT: Final = {"critical": errors.CRITICAL, "error": errors.CRITICAL, "warning": errors.WARNING}


class Finding(Struct, frozen=True, omit_defaults=True):
    """One thing that is not as it should be.

    Attributes:
        id: of the check, such as `WLD01`; `docs/checks.md` lists them.
        level: critical or error stop a plan, warning and notice are said.
        subject: name and type, or zone, as text.
        message: one sentence.
        expected: what should be there.
        seen: what is there.
        mend: a command or an edit.
        server: which server showed it, if one did.
    """

    id: str
    level: Level
    subject: str
    message: str
    expected: str = ""
    seen: str = ""
    mend: str = ""
    server: str = ""

    @property
    def stops(self) -> bool:
        """Whether a plan with it is refused unless the user allows it."""
        return self.level in ("critical", "error")


def exit_code(findings: list[Finding]) -> int:
    """The exit code of a command that only judges."""
    return max((_EXIT.get(finding.level, errors.OK) for finding in findings), default=errors.OK)
