"""What Crossbar answers when it does not do what it was asked, as errors.

Crossbar's words: `applications/crossbar/doc/basics.md` and `402.md` of Kazoo; an error's envelope is
`{"status": "error", "error": "400", "message": "...", "data": {...}}`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct

from realmkit.errors import (
    UNKNOWN,
    AuthError,
    ConflictError,
    OutcomeUnknownError,
    ProviderError,
    RateLimitedError,
    RejectedError,
    UnreachableError,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class NotFoundError(RejectedError):
    """There is no such account, device or other object, or not where this login can see it."""


class ChargesError(RejectedError):
    """What was asked for costs money, and nobody has agreed to pay. Nothing was changed."""


class Slip(Struct, frozen=True):
    """One thing that Crossbar's validation refused.

    Attributes:
        path: dotted path in the document that was sent, `sip.username`.
        rule: the rule that it breaks: `required`, `pattern`, `unique` ...
        message: Crossbar's words.
    """

    path: str
    rule: str
    message: str

    def __str__(self) -> str:
        return f"{self.path}: {self.message} ({self.rule})"


class InvalidError(RejectedError):
    """Crossbar's validation refused the document.

    Args:
        message: one sentence for people.
        slips: what exactly was refused.
    """

    def __init__(self, message: str, slips: tuple[Slip, ...] = (), *, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.slips = slips


class NotKeptError(RejectedError):
    """Crossbar answered that the change is saved, and what it holds is something else."""


class StaleTokenError(AuthError):
    """The login has run out before its time; a new one has not been tried yet."""


class IncompleteError(UnreachableError):
    """An answer did not come whole, so what was asked is unknown; it is neither empty nor short."""


class BusyError(ProviderError):
    """Crossbar itself failed. What became of a change must be read again.

    Args:
        message: one sentence for people.
        code: the HTTP status, 500 or more.
    """

    exit_code = UNKNOWN

    def __init__(self, message: str, code: int = 500) -> None:
        super().__init__(message, hint="run the same command again; if it stays, ask who runs the cluster")
        self.code = code


PASSING: Final = (RateLimitedError, UnreachableError, OutcomeUnknownError, BusyError, ConflictError, StaleTokenError)
"""Errors after which the same request may well succeed a little later."""


def noted(error: ProviderError, note: str) -> ProviderError:
    """The same error with a further word on what it means for the change that was asked for."""
    error.message = f"{error.message}; {note}"
    error.args = (error.message,)
    return error


def refusal(
    code: int, body: Mapping[str, Any], what: str, retry_after: float | None, clean: Callable[[str], str]
) -> ProviderError:
    """The error that an answer stands for.

    Args:
        code: the HTTP status, or the envelope's own code where the status says 200.
        body: the envelope, or an empty mapping where none came.
        what: the request, as `PATCH /accounts/...`.
        retry_after: seconds of a Retry-After header.
        clean: takes secrets and control characters out of a text.
    """
    slips = tuple(Slip(clean(path), clean(rule), clean(words)) for path, rule, words in _slips(body.get("data")))
    said = clean(_words(body))
    head = f"{what}: Crossbar answered {code} {said}".rstrip()
    if code == 429:
        return RateLimitedError(head, retry_after=retry_after)
    if code == 402:
        return ChargesError(
            f"{head}: the change costs money",
            hint="look at it in the portal; allow charges for this run if it is meant",
        )
    if code in (401, 403):
        return AuthError(head, hint="may this API key's account manage that account?")
    if slips and code not in (404, 409, 412):
        return InvalidError(f"{what}: refused ({code} {said}): " + "; ".join(map(str, slips)), slips)
    if code >= 500:
        return BusyError(head, code)
    return {404: NotFoundError, 409: ConflictError, 412: ConflictError}.get(code, RejectedError)(head)


def _words(body: Mapping[str, Any]) -> str:
    message, data = body.get("message"), body.get("data")
    words = [message] if isinstance(message, str) else []
    if isinstance(data, Mapping):
        words += [data[key] for key in ("message", "cause") if isinstance(data.get(key), str)]
    elif isinstance(data, str):
        words.append(data)
    return ": ".join(dict.fromkeys(words))


def _slips(data: Any) -> Iterator[tuple[str, str, str]]:
    """`{"sip.username": {"unique": {"message": ...}}}`, and the older `{"unique": "words"}`, as path, rule and words.

    The `cause` and `value` beside a message are left out: they may repeat a password.
    """
    if not isinstance(data, Mapping):
        return
    for path, rules in data.items():
        if not isinstance(rules, Mapping):
            continue
        for rule, said in rules.items():
            words = said.get("message") if isinstance(said, Mapping) else said
            yield path.replace("%2E", "."), str(rule), words if isinstance(words, str) else "refused"
