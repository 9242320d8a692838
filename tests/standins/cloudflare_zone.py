"""One zone of the stand-in: its records, what may stand beside what, and batches that are all or nothing."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

import dns.rdata

from tests.standins import cloudflare_values as values
from tests.standins import cloudflare_words as words
from tests.standins.cloudflare_values import Value
from tests.standins.published import Served

# plan -> operations in a batch, lowest TTL, characters of a comment, tags (docs, "Batch record changes", "TTL",
# "Record attributes", 2026-11-25)
PLANS = {"free": (200, 60, 100, 0), "pro": (3500, 60, 500, 20), "business": (3500, 60, 500, 20),
         "enterprise": (3500, 30, 500, 20)}  # fmt: skip
WRITABLE = ("name", "type", "ttl", "content", "data", "priority", "proxied", "comment", "tags", "settings")
Row = tuple[dict[str, Any], dns.rdata.Rdata]
EPOCH = datetime(2026, 1, 1, tzinfo=UTC)


class ZoneRecords:
    """The records of a zone, and its limits.

    Attributes:
        plan: a key of `PLANS`.
        quota: how many records it may hold; None for no end.
        batch_limit: operations in one batch, where it is not what the plan says.
    """

    def __init__(self, name: str, plan: str = "free", quota: int | None = None) -> None:
        self.id = uuid.uuid4().hex
        self.name = name
        self.plan = plan
        self.quota = quota
        self.batch_limit: int | None = None
        self._rows: dict[str, Row] = {}
        self._ids: dict[str, tuple[str, ...]] = {}
        self._moment = 0

    def records(self) -> list[dict[str, Any]]:
        return [record for record, _ in self._rows.values()]

    def record(self, id_: str) -> dict[str, Any]:
        if id_ not in self._rows:
            raise words.no_such_record()
        return self._rows[id_][0]

    def served(self) -> list[Served]:
        return values.served(list(self._rows.values()), self.name)

    def load(self, rrsets: Iterable[Served]) -> None:
        """Records past the API, unchecked."""
        for rrset in rrsets:
            for text in rrset.texts:
                value = values.from_text(rrset.kind, text)
                self._put(self._complete({"ttl": rrset.ttl}, rrset.owner.removesuffix("."), rrset.kind, value), value)

    # --- the four operations; each raises Refusal and may leave the zone half changed, so they run within `batch` ---

    def batch(self, body: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
        """Deletes, patches, puts, posts: all or nothing, and the first error is what is said."""
        lists = {name: body.get(name) or [] for name in ("deletes", "patches", "puts", "posts")}
        most = self.batch_limit or PLANS[self.plan][0]
        if sum(map(len, lists.values())) > most:
            raise words.batch_too_long(most)
        before = dict(self._rows), dict(self._ids)
        todo: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
            "deletes": self._delete, "patches": self._patch, "puts": self._overwrite, "posts": self._create,
        }  # fmt: skip
        try:
            return {name: [todo[name](one) for one in lists[name]] for name in lists}
        except BaseException:
            self._rows, self._ids = before
            raise

    def _delete(self, body: dict[str, Any]) -> dict[str, Any]:
        record = self.record(body.get("id", ""))
        self._take(record)
        return record

    def _patch(self, body: dict[str, Any]) -> dict[str, Any]:
        """What the body does not say stays (docs, "Batch record changes")."""
        old = self.record(body.get("id", ""))
        kept = {key: old[key] for key in WRITABLE if key in old}
        if "content" in body and "data" not in body:
            kept.pop("data", None)
        self._take(old)
        return self._write({**kept, **{key: body[key] for key in WRITABLE if key in body}}, old)

    def _overwrite(self, body: dict[str, Any]) -> dict[str, Any]:
        """What the body does not say gets its default (docs, "Batch record changes")."""
        old = self.record(body.get("id", ""))
        _by_type(body)
        self._take(old)
        return self._write(body, old)

    def _create(self, body: dict[str, Any]) -> dict[str, Any]:
        _by_type(body)
        if self.quota is not None and len(self._rows) >= self.quota:
            raise words.quota()
        return self._write(body, None)

    def _write(self, body: dict[str, Any], old: dict[str, Any] | None) -> dict[str, Any]:
        kind = str(body.get("type", ""))
        name = values.owner(body.get("name"), self.name)
        value = values.value_of(kind, body)
        self._check_fields(body, kind)
        self._check_beside(name, kind, value)
        record = self._complete(body, name, kind, value, old)
        self._put(record, value)
        return record

    def _check_fields(self, body: dict[str, Any], kind: str) -> None:
        _, lowest, comment, tags = PLANS[self.plan]
        ttl = body.get("ttl", 1)
        if isinstance(ttl, bool) or (ttl != 1 and not lowest <= ttl <= 86400) or ttl != int(ttl):
            raise words.bad_ttl(lowest)
        if body.get("proxied") and kind not in values.PROXIABLE:
            raise words.not_proxiable()
        said = body.get("comment") or ""
        if len(said) > comment or "\n" in said or "\r" in said:  # docs, "Record attributes": no line breaks
            raise words.long_comment(comment)
        if len(body.get("tags") or ()) > tags:
            raise words.no_tags(len(body["tags"]))

    def _check_beside(self, name: str, kind: str, value: Value) -> None:
        there = [self._rows[id_] for id_ in self._ids.get(name, ())]
        kinds = {record["type"] for record, _ in there}
        same = [record for record, rdata in there if record["type"] == kind]
        if any(record["type"] == kind and rdata == value.rdata for record, rdata in there):
            raise words.identical()
        if (kind == "CNAME" and kinds & {"A", "AAAA", "CNAME"}) or (kind in ("A", "AAAA") and "CNAME" in kinds):
            raise words.address_there()
        if kind in values.PROXIABLE and "NS" in kinds and name != self.name:
            raise words.delegated()
        if kind == "DS" and "NS" not in kinds:  # octodns-cloudflare 1.2.0 says so; the words are made up
            raise words.invalid(9999, "DS records need NS records with that host.")
        if sum(len(record["content"]) for record in same) + len(value.fields["content"]) > 8192:
            raise words.too_much()

    def _complete(
        self, body: dict[str, Any], name: str, kind: str, value: Value, old: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        """The record as it is shown, in the form of the docs' examples."""
        now = self._now()
        proxied = bool(body.get("proxied"))
        return {
            "id": old["id"] if old else uuid.uuid4().hex,
            "name": name, "type": kind, **value.fields,
            "proxiable": kind in values.PROXIABLE, "proxied": proxied, "ttl": 1 if proxied else body.get("ttl", 1),
            "settings": body.get("settings") or {}, "meta": {}, "comment": body.get("comment") or None,
            "tags": body.get("tags") or [], "created_on": old["created_on"] if old else now, "modified_on": now,
        }  # fmt: skip

    def _put(self, record: dict[str, Any], value: Value) -> None:
        self._rows[record["id"]] = record, value.rdata
        self._ids[record["name"]] = (*self._ids.get(record["name"], ()), record["id"])

    def _take(self, record: dict[str, Any]) -> None:
        del self._rows[record["id"]]
        self._ids[record["name"]] = tuple(id_ for id_ in self._ids[record["name"]] if id_ != record["id"])

    def _now(self) -> str:
        """A moment after every one before."""
        self._moment += 1
        return (EPOCH + timedelta(milliseconds=self._moment)).isoformat().replace("+00:00", "Z")


def _by_type(body: dict[str, Any]) -> None:
    """A second look, by the SDK's own request types."""
    import pydantic

    try:
        _adapter().validate_python(body)
    except pydantic.ValidationError as error:
        raise words.not_by_type(str(error)[:300]) from None


@cache
def _adapter() -> Any:
    import pydantic
    from cloudflare.types.dns.record_batch_params import Post

    return pydantic.TypeAdapter(Post)
