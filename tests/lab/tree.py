"""A root with one zone below it, so that a resolver, and delegations, lead somewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from tests.lab.servers import Knot, Named, Unbound

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.lab.topology import Lab


class Tree(NamedTuple):
    """The servers of the root and of `example.`, and a resolver that starts at that root."""

    root: Named
    parent: Knot
    resolver: Unbound


def plant(lab: Lab, lines: Iterable[str]) -> Tree:
    """Serve a root and `example.`, which holds these lines beside its own SOA, NS and addresses."""
    root, parent = lab.start(Named), lab.start(Knot)
    root.add_zone(".", _zone(
        "SOA ns.example. h.example.", "@ NS ns.root.example.", f"ns.root.example. A {root.address}",
        "example. NS ns.example.", f"ns.example. A {parent.address}",
    ))  # fmt: skip
    parent.add_zone("example.", _zone(
        "SOA ns h", "@ NS ns", f"ns A {parent.address}", f"ns.root A {root.address}", *lines
    ))  # fmt: skip
    return Tree(root, parent, lab.start(Unbound, root=root))


def _zone(soa: str, *lines: str) -> str:
    return "\n".join(["$TTL 3600", f"@ {soa} 1 60 5 3600 60", *lines, ""])
