"""A verdict as JUnit XML, which CI servers read: a suite for each group of checks, a case for each finding."""

from __future__ import annotations

from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

from realmkit.dns.findings import LEVELS
from realmkit.health.check import GROUPS
from realmkit.health.outputs import printable

if TYPE_CHECKING:
    from collections.abc import Collection

    from realmkit.dns.findings import Finding, Level
    from realmkit.health.outputs import Table
    from realmkit.health.verdict import Entry, Verdict

_COUNTED = ("failure", "error", "skipped")
_OTHER = "RUN"  # what belongs to no check: a run that ended early


def render(verdict: Verdict, table: Table, judged: Collection[str], fail_on: Level = "warning") -> bytes:
    """The whole file.

    An open finding is a failure, an unknown one an error; what is not certain yet, accepted or in the baseline is
    skipped, and a finding milder than `fail_on` passes with its text. A check that was judged and found nothing is
    one passed case.

    Args:
        verdict: what to show.
        table: `realmkit.health.check.catalog()`.
        judged: ids of the checks that were judged.
        fail_on: the mildest level that is a failure; unknown is an error whatever it is.
    """
    root = ET.Element("testsuites", name="realmkit health", time=f"{verdict.seconds:.3f}")
    by_check: dict[str, list[Entry]] = {}
    for entry in verdict.entries:
        if entry.phase != "recovered":
            by_check.setdefault(entry.finding.id, []).append(entry)
    ids = sorted(by_check.keys() | (set(judged) & table.keys()))
    order = [*GROUPS, _OTHER]
    for group in sorted({_group(one) for one in ids}, key=lambda one: (order.index(one) if one in order else -1, one)):
        suite = ET.SubElement(
            root, "testsuite", name=f"{group} {GROUPS.get(group, 'The run')}",
            timestamp=verdict.started.isoformat(timespec="seconds"), time="0",
        )  # fmt: skip
        for one in ids:
            if _group(one) == group:
                _cases(suite, one, table[one].title if one in table else "", by_check.get(one, []), fail_on)
        _count(suite)
    _count(root, "errors", "failures", "tests")
    ET.indent(root)
    written: bytes = ET.tostring(root, encoding="utf-8", xml_declaration=True)
    return written + b"\n"


def _group(check: str) -> str:
    return check.rstrip("0123456789")


def _cases(suite: ET.Element, check: str, title: str, entries: list[Entry], fail_on: Level) -> None:
    where = f"realmkit.{_group(check)}.{check}"
    if not entries:
        ET.SubElement(suite, "testcase", classname=where, name=title, time="0")
    for entry in entries:
        finding = entry.finding
        name = printable(finding.subject + (f" at {finding.server}" if finding.server else ""))
        case = ET.SubElement(suite, "testcase", classname=where, name=name, time="0")
        _outcome(case, entry, title, fail_on)


def _outcome(case: ET.Element, entry: Entry, title: str, fail_on: Level) -> None:
    finding, message = entry.finding, printable(entry.finding.message)
    if entry.phase != "open":
        why = f"accepted until {entry.until}: {printable(entry.reason)}" if entry.phase == "accepted" else entry.phase
        ET.SubElement(case, "skipped", message=f"{why}: {message}")
    elif finding.level == "unknown":
        ET.SubElement(case, "error", message=message, type=finding.level).text = _text(finding, title)
    elif LEVELS.index(finding.level) <= LEVELS.index(fail_on):
        ET.SubElement(case, "failure", message=message, type=finding.level).text = _text(finding, title)
    else:
        ET.SubElement(case, "system-out").text = _text(finding, title)


def _text(finding: Finding, title: str) -> str:
    rows = (("check", title), ("is", finding.message), ("expected", finding.expected), ("seen", finding.seen))
    return "\n".join(f"{word}: {printable(text)}" for word, text in (*rows, ("mend", finding.mend)) if text)


def _count(element: ET.Element, *only: str) -> None:
    """Write how many cases there are, and how many of each outcome, as attributes."""
    numbers = {"tests": len(list(element.iter("testcase")))}
    for outcome in _COUNTED:
        numbers[outcome if outcome == "skipped" else outcome + "s"] = len(list(element.iter(outcome)))
    for name, number in numbers.items():
        if not only or name in only:
            element.set(name, str(number))
