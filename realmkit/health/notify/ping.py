"""A dead man's switch: a service that is pinged at every run, and raises the alarm when the pings stop.

The URLs are those of healthchecks.io and what is made like it: `URL/start`, then `URL/EXITCODE` with a text.
"""

from __future__ import annotations

from urllib.parse import urlsplit, urlunsplit

from realmkit.health.notify import SECONDS, cut
from realmkit.health.notify.post import post


def start(url: str, seconds: float = SECONDS) -> str | None:
    """Say that a run begins. Returns what went wrong, in words; None if it was taken."""
    return _ping(url, "start", "", seconds)


def end(url: str, code: int, text: str, seconds: float = SECONDS) -> str | None:
    """Say how a run ended.

    Args:
        url: the check's own URL; it is a secret, and never said again.
        code: the exit code; 0 is good, all others are not.
        text: what goes along for people; cut to 10 kB.
        seconds: how long it may take.

    Returns:
        What went wrong, in words; None if it was taken.
    """
    return _ping(url, str(code), text, seconds)


def fail(url: str, text: str, seconds: float = SECONDS) -> str | None:
    """Say that a run could not be made at all. Arguments and result as for `end`."""
    return _ping(url, "fail", text, seconds)


def address(url: str, word: str) -> str:
    """The check's URL with a word after its path, before its query."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(path=f"{parts.path.rstrip('/')}/{word}"))


def _ping(url: str, word: str, text: str, seconds: float) -> str | None:
    try:
        where = address(url, word)
    except ValueError:  # urlsplit's, for a broken IPv6 address
        where = ""
    wrong = post(where, seconds, content=cut(text).encode())
    return f"the ping was not taken: {wrong}" if wrong else None
