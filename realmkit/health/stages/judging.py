"""Laying checks on whatever was seen."""

from __future__ import annotations

from typing import TYPE_CHECKING

from realmkit.health.check import catalog

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from realmkit.dns.findings import Finding
    from realmkit.health.ground import Ground


def judged(ground: Ground, seen: Iterable[object]) -> Iterator[Finding]:
    """What the checks that are wanted find in things that were seen, whatever they are."""
    by_type: dict[type, list[Callable[[object], Iterator[Finding]]]] = {}
    for check in catalog().values():
        if check.on is not None and check.judge is not None and check.id in ground.settings.checks:
            by_type.setdefault(check.on, []).append(check.judge)
    for one in seen:
        for judge in by_type.get(type(one), ()):
            yield from judge(one)
