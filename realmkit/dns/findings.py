"""Findings: what is wrong, where, how badly, and how to mend it. Keyed by id and subject, never by text."""

from __future__ import annotations

from typing import Final, Literal

from msgspec import Struct

from realmkit import errors

Level = Literal["critical", "error", "unknown", "warning", "notice"]
LEVELS: Final[tuple[Level, ...]] = ("critical", "error", "unknown", "warning", "notice")  # the worst first
_EXIT: Final = {
    "critical": errors.CRITICAL, "error": errors.CRITICAL, "unknown": errors.UNKNOWN, "warning": errors.WARNING,
}  # fmt: skip


class Finding(Struct, frozen=True, omit_defaults=True):
    """One thing that is not as it should be.

    Attributes:
        id: of the check, such as `WLD01`; `docs/checks.md` lists them.
        level: critical or error stop a plan, warning and notice are said; unknown is what could not be told, and
            says neither that something is wrong nor that it is right.
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
    def key(self) -> tuple[str, str, str]:
        """What tells it from others, whatever its text: check, subject and server."""
        return self.id, self.subject, self.server

    @property
    def stops(self) -> bool:
        """Whether a plan with it is refused unless the user allows it."""
        return self.level in ("critical", "error")


def exit_code(findings: list[Finding]) -> int:
    """The exit code of a command that only judges."""
    worst = min((LEVELS.index(finding.level) for finding in findings), default=len(LEVELS) - 1)
    return _EXIT.get(LEVELS[worst], errors.OK)
