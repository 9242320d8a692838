"""Verdicts for the tests of what shows them: an ordinary bad night, a good one, and one full of hostile text."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Final

from msgspec import structs

from realmkit.dns.findings import Finding
from realmkit.health.check import Check
from realmkit.health.verdict import Counts, Entry, Verdict, exit_code, rank

NOW: Final = datetime(2026, 11, 26, 3, 0, tzinfo=UTC)
TABLE: Final = {
    one.id: one
    for one in (
        Check("DEL02", "error", "a server is lame", "RFC 1912 section 2.8", "The page."),
        Check("CON01", "warning", "serials differ", "RFC 1912 section 2.2", "The page."),
        Check("SIP01", "critical", "no transport leads to an address", "RFC 3263 section 4", "The page."),
        Check("SIP06", "warning", "an endpoint does not answer", "RFC 3261 section 11", "The page."),
        Check("SIP08", "notice", "no failover", "RFC 3263 section 4.3", "The page."),
        Check("WLD01", "error", "a name below the realm hides the wildcard", "RFC 4592 section 2.2.2", "The page."),
        Check("MX01", "error", "fax mail can't be delivered", "RFC 5321 section 5.1", "The page."),
    )
}
HOSTILE: Final = "<script>alert(1)</script> ]]> \x1b]0;title\x07|x\x00 \u202e \"'&{{ 7*7 }} \\ line\nbreak"


def bad(many: int = 0) -> Verdict:
    """New, worse, unknown, soft, accepted, known and recovered findings; and `many` of one check."""
    entries = [
        Entry(
            Finding("SIP01", "critical", "acme.voice.example.com.", "no transport leads to an address", "an SRV set",
                    "NXDOMAIN", "realmkit dns apply"),
            "open", NOW - timedelta(minutes=10), 2, "new",
        ),
        Entry(Finding("CON01", "warning", "voice.example.com.", "an older serial than the others", server="192.0.2.54"),
              "open", NOW - timedelta(hours=3), 9, "worse"),
        Entry(Finding("SIP06", "unknown", "edge.example.net. UDP", "no answer within 4 s"), "open",
              NOW - timedelta(days=2), 4, seen=False),
        Entry(Finding("MX01", "error", "beta.voice.example.com.", "the target is an alias"), "soft", NOW, 1),
        Entry(Finding("SIP08", "notice", "beta.voice.example.com.", "one proxy only"), "accepted",
              NOW - timedelta(days=40), 80, reason="ticket 4711", until=date(2026, 12, 31)),
        Entry(Finding("SIP08", "notice", "gamma.voice.example.com.", "one proxy only"), "known",
              NOW - timedelta(days=40), 80),
        Entry(Finding("DEL02", "error", "example.net.", "answers without authority", server="192.0.2.99"), "recovered",
              NOW - timedelta(hours=9), 3, "recovered", seen=False),
    ]  # fmt: skip
    entries += [
        Entry(Finding("WLD01", "error", f"r{number:05}.s.example.net.", "TXT below it"), "open", NOW, 2, "new")
        for number in range(many)
    ]
    return _verdict(entries)


def good() -> Verdict:
    """Nothing found."""
    return _verdict([])


def hostile() -> Verdict:
    """All text that comes from elsewhere means harm."""
    finding = Finding("SIP01", "error", HOSTILE, HOSTILE, HOSTILE, HOSTILE, HOSTILE, HOSTILE)
    entry = Entry(finding, "open", NOW, 2, "expired", reason=HOSTILE, until=date(2026, 11, 25))
    entries = [entry, structs.replace(entry, finding=structs.replace(finding, id="RUN01"), phase="accepted", news=None)]
    return structs.replace(_verdict(entries), serials=((HOSTILE, HOSTILE, 1),), slowed=(HOSTILE,), notes=(HOSTILE,))


def _verdict(entries: list[Entry]) -> Verdict:
    return Verdict(
        NOW, tuple(sorted(entries, key=rank)), exit_code(entries, "warning", count_soft=False), 3.25,
        Counts(2, 20_000, 4, 6, 100_123, 18_000),
        (("voice.example.com.", "192.0.2.53", 2026112601), ("voice.example.com.", "192.0.2.54", None)),
        ("192.0.2.54",), ("18,000 realms were left out",),
    )  # fmt: skip
