"""From changes of RRsets to one batch of operations on records, by id.

A batch runs its deletes first, then patches, puts and posts, each list in the order given, and the first error undoes
all of it (developers.cloudflare.com, "Batch record changes", 2026-11-25). So records that stay are left alone,
a TTL is patched, a record that goes and one that comes in the same RRset are one patch, which keeps the comment, and
a CNAME that becomes an A is deleted before the A is posted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec import Struct, field

from realmkit.dns import names
from realmkit.dns import records as rr
from realmkit.dns.provider import Weight
from realmkit.dns.records import key_to_text
from realmkit.errors import RejectedError
from realmkit_providers.cloudflare_records import to_json
from realmkit_providers.cloudflare_state import ADDRESSES, marked, owner_in, owners_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from realmkit.dns.plan import Change
    from realmkit.dns.records import Key, RRset
    from realmkit_providers.cloudflare_state import Held, State

Operation = dict[str, Any]


class Batch(Struct):
    """The body of one request to `dns_records/batch`. Filled in while it is made, then left as it is."""

    deletes: list[Operation] = field(default_factory=list)
    patches: list[Operation] = field(default_factory=list)
    posts: list[Operation] = field(default_factory=list)

    def __len__(self) -> int:
        """Operations, as Cloudflare counts them."""
        return len(self.deletes) + len(self.patches) + len(self.posts)

    def body(self) -> dict[str, list[Operation]]:
        """What is sent; a delegation is made before its DS and unmade after it, for Cloudflare asks for its NS."""
        deletes = sorted(self.deletes, key=lambda one: one["type"] != "DS")
        posts = sorted(self.posts, key=lambda one: (one["type"] != "NS", one["type"] == "DS"))
        lists = {"deletes": [{"id": one["id"]} for one in deletes], "patches": self.patches, "posts": posts}
        return {name: operations for name, operations in lists.items() if operations}


class Notes(Struct, frozen=True):
    """How comments are written.

    Attributes:
        owner: whose mark new RRsets get; None for no mark.
        room: characters that fit into a comment on the zone's plan.
    """

    owner: str | None
    room: int

    def mark(self, comment: str | None, owner: str | None) -> str | None:
        """The comment with this owner's mark; None where it does not fit."""
        text = marked(comment, owner)
        return text if len(text) <= self.room else None

    def heir_of(self, members: Sequence[Held]) -> str | None:
        """Whose mark the records get that an RRset is given: its owner's, or ours where it is new."""
        if self.owner is None or not members:
            return self.owner
        found = owners_of(members)
        return found.pop() if len(found) == 1 else None


def weigh(changes: Sequence[Change]) -> Weight:
    """Operations in the worst case: every record of the larger side is deleted, patched or posted."""

    def records(rrset: RRset | None) -> int:
        return len(rrset.rdata) if rrset else 0

    return Weight(sum(max(records(change.before), records(change.after)) for change in changes), 0)


def batch_of(state: State, changes: Iterable[Change], notes: Notes) -> Batch:
    """The operations that make these changes.

    Args:
        state: the zone; each change's `before` is what it holds.
        changes: what is to be made.
        notes: how they are marked.

    Raises:
        InputError: a record that Cloudflare's API can't say.
    """
    batch = Batch()
    for change in changes:
        _add(batch, state.by_key.get(change.key, ()), change, notes)
    return batch


def _add(batch: Batch, members: Sequence[Held], change: Change, notes: Notes) -> None:
    """The operations of one RRset."""
    after = change.after
    if after is None:
        batch.deletes.extend(_delete(one) for one in members)
        return
    owner = notes.heir_of(members)
    stay = [one for one in members if one.wire in after.rdata]
    # what carries the mark is made over into something new before anything else is, so that the mark stays
    go = sorted((one for one in members if one.wire not in after.rdata), key=lambda one: not _is_marked(one))
    come = sorted(after.rdata - {one.wire for one in stay})
    paired = list(zip(go, come, strict=False))
    patches = {one.record.id: {"id": one.record.id, "ttl": after.ttl} for one in stay if one.ttl != after.ttl}
    patches |= {one.record.id: {"id": one.record.id, **_record(after, wire)} for one, wire in paired}
    posts = [_record(after, wire) | _comment(notes.mark(None, owner)) for wire in come[len(paired) :]]
    batch.deletes.extend(_delete(one) for one in go[len(paired) :])
    batch.patches.extend(patches.values())
    batch.posts.extend(posts)
    lasting = [*stay, *(one for one, _ in paired)]
    if owner and lasting and not posts and not any(map(_is_marked, lasting)):
        _keep_mark(batch, lasting[0], notes.mark(lasting[0].record.comment, owner))


def _keep_mark(batch: Batch, heir: Held, comment: str | None) -> None:
    """Hand on the mark of a record that goes to one that stays, in the patch that it has, or in one of its own."""
    known = next((one for one in batch.patches if one["id"] == heir.record.id), None)
    if comment is None:
        return
    if known is None:
        known = {"id": heir.record.id}
        batch.patches.append(known)
    known["comment"] = comment


def marks(state: State, key: Key, owner: str | None, notes: Notes) -> Iterator[Operation]:
    """The patches that give an RRset this owner, or with None no owner.

    Raises:
        RejectedError: there is no such RRset, or the mark does not fit beside what people wrote.
    """
    members = state.by_key.get(key, ())
    if not members or state.rrset(key) is None:
        raise RejectedError(f"{key_to_text(key)}: there is no such RRset at Cloudflare")
    for one in members:
        comment = notes.mark(one.record.comment, owner)
        if comment is None:
            raise RejectedError(
                f"{key_to_text(key)}: its comment has no room for the mark [realmkit {owner}]; this plan allows "
                f"{notes.room} characters",
                hint="shorten the comment in Cloudflare's dashboard, or write `comments: false` beside this provider",
            )
        if comment != (one.record.comment or ""):
            yield {"id": one.record.id, "comment": comment}


def _is_marked(one: Held) -> bool:
    return owner_in(one.record.comment) is not None


def _comment(text: str | None) -> Operation:
    return {"comment": text} if text else {}


def _delete(one: Held) -> Operation:
    return {"id": one.record.id, "type": one.record.type}


def _record(rrset: RRset, wire: bytes) -> Operation:
    """A record as it is written. `proxied: false` is said aloud: SIP and mail do not pass Cloudflare's proxy."""
    name, kind = rrset.key
    said: Operation = {
        "name": names.to_text(name)[:-1],
        "type": rr.type_to_text(kind),
        "ttl": rrset.ttl,
        **to_json(kind, wire),
    }
    return said | {"proxied": False} if kind in (*ADDRESSES, rr.CNAME) else said
