"""One POST that ends in time and says nothing of its URL, which may be the secret itself."""

from __future__ import annotations

from typing import Any

from realmkit.health.notify import why
from realmkit.health.notify.within import within


def post(url: str, seconds: float, **what: Any) -> str | None:
    """Post something.

    Args:
        url: where.
        seconds: how long all of it may take.
        what: `json` or `content`.

    Returns:
        What went wrong, in words that go on after "it was not told: "; None if it was taken.
    """
    import httpx2

    def send() -> int:
        # a redirect would take it to where nobody said
        return httpx2.post(url, timeout=seconds, follow_redirects=False, **what).status_code

    try:
        status = within(seconds, send)
    except (httpx2.InvalidURL, httpx2.UnsupportedProtocol, ValueError):
        return "its URL is none that can be posted to"
    except (httpx2.HTTPError, OSError) as error:
        return why(error)
    return None if 200 <= status < 300 else f"it answered {status}"
