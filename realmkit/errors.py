"""Every error a user can meet: one sentence, an exit code, and where possible how to mend it.

Exit codes follow the Nagios order where a command judges the world (0 fine, 1 warning, 2 critical or
refused, 3 could not tell) and sysexits where it does not (64 bad usage or bad input, 75 not yet due).
"""

from __future__ import annotations

from typing import ClassVar

OK, WARNING, CRITICAL, UNKNOWN, USAGE, WAITING = 0, 1, 2, 3, 64, 75


class RealmkitError(Exception):
    """What went wrong, in one sentence, with a hint that mends it.

    Args:
        message: what is wrong and where.
        hint: a command or an edit that mends it, if one is known.
    """

    exit_code: ClassVar[int] = CRITICAL

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class InputError(RealmkitError):
    """Something the user wrote can't be used: configuration, arguments, a plan file, a zone file."""

    exit_code = USAGE


class MissingExtraError(InputError):
    """A feature needs a package that is not installed; the hint names the `pip install`."""


class SecretError(InputError):
    """A secret is missing, unreadable, or was written into the configuration itself."""


class RefusedError(RealmkitError):
    """realmkit could do it and will not: a guard holds, or the world moved since the plan."""


class StateError(RealmkitError):
    """A file of realmkit's own state (ledger, run, plan) is damaged or can't be written."""


class LockedError(StateError):
    """Another realmkit is at it. Nothing was changed."""


class UnreadableStateError(StateError):
    """What a health check has to know before it judges (state, accepted findings, baseline) can't be had.

    Nothing could be told, which is neither fine nor broken.
    """

    exit_code = UNKNOWN


class ProviderError(RealmkitError):
    """Somebody else's service failed: a DNS provider, the platform, the host that phones fetch from.

    Unless a subclass says otherwise, nothing was changed.
    """


class AuthError(ProviderError):
    """The service refused the credentials (HTTP 401/403, TSIG BADKEY/BADSIG, REFUSED)."""


class RejectedError(ProviderError):
    """The service understood the change and refused it. Nothing was changed."""


class NoZoneError(RejectedError):
    """The service has no such zone, or shows it only to another account. Nothing was changed."""


class ConflictError(ProviderError):
    """Someone else changed what was to be changed since it was read. Nothing was changed."""


class RateLimitedError(ProviderError):
    """The service asks to slow down. Nothing was changed.

    Args:
        message: what is wrong and where.
        retry_after: seconds to wait, when the service said.
    """

    exit_code = UNKNOWN

    def __init__(self, message: str, *, retry_after: float | None = None) -> None:
        super().__init__(message, hint="wait, then run the same command again")
        self.retry_after = retry_after


class UnreachableError(ProviderError):
    """The service gave no answer before anything was sent. Nothing was changed."""

    exit_code = UNKNOWN


class OutcomeUnknownError(ProviderError):
    """A change was sent and no answer came: it may or may not be in force. Read again and decide."""

    exit_code = UNKNOWN


class InterruptedApplyError(RealmkitError):
    """An apply stopped half way. The message says exactly what is done and what is not."""
