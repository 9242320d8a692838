"""Telling somebody: a webhook and mail when there is news, a ping at every run.

Every way waits a bounded time, tells at most a bounded amount, and never changes what the run ends with: what went
wrong comes back as words for standard error.
"""

from __future__ import annotations

from typing import Final

SECONDS: Final = 10.0
MOST_BYTES: Final = 10_000


def cut(text: str, most: int = MOST_BYTES) -> str:
    """The text, or as much of it as fits into `most` bytes with a line that says that more was there."""
    if len(text.encode()) <= most:
        return text
    ending = "\n... (cut)"
    return text.encode()[: most - len(ending)].decode(errors="ignore") + ending


def why(error: Exception) -> str:
    """What an error is and says, in one line."""
    text = " ".join(str(error).split())
    return f"{type(error).__name__}{f': {text}' if text else ''}"
