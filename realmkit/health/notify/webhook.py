"""A notice to a chat room or any other program that takes JSON by POST."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from realmkit.health.notify import SECONDS, cut
from realmkit.health.notify.post import post

if TYPE_CHECKING:
    from realmkit.health.verdict import Entry, Verdict

_MOST: int = 50


def send(url: str, verdict: Verdict, text: str, seconds: float = SECONDS) -> str | None:
    """Post the news.

    Args:
        url: where; it is a secret, and never said again.
        verdict: its news go along as fields.
        text: for people.
        seconds: how long all of it may take.

    Returns:
        What went wrong, in words; None if it was taken.
    """
    wrong = post(url, seconds, json=payload(verdict, text))
    return f"the webhook was not told: {wrong}" if wrong else None


def payload(verdict: Verdict, text: str) -> dict[str, Any]:
    """What is posted: `text`, which chat programs show, and the same as fields."""
    news = verdict.news
    return {
        "text": cut(text),
        "kind": "realmkit.health.news",
        "version": 1,
        "started": verdict.started.isoformat(),
        "exit_code": verdict.exit_code,
        "open": verdict.levels("open"),
        "news": [_fields(entry) for entry in news[:_MOST]],
        "more": max(len(news) - _MOST, 0),
    }


def _fields(entry: Entry) -> dict[str, str]:
    finding = entry.finding
    names = ("id", "level", "subject", "server", "message", "mend")
    return {"news": entry.news or ""} | {name: getattr(finding, name) for name in names}
