"""A zone on the stand-in and the provider beside it, for tests that need no name server."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from realmkit.dns import names
from realmkit.dns.plan import Change
from realmkit.dns.provider import Context, Secret
from realmkit.dns.records import RRset
from realmkit_providers.cloudflare import Cloudflare, CloudflareSettings
from realmkit_providers.cloudflare_records import ApiRecord
from realmkit_providers.cloudflare_state import State, state_of
from tests.contract.oracle import bind
from tests.lab.front import Front
from tests.standins.cloudflare import CloudflareStandIn
from tests.standins.published import Served

OWNER = "acme"
APEX = names.absolute("z.example")


def key(name: str, kind: int) -> tuple[bytes, int]:
    """A name of the zone, and a type."""
    return names.from_text(name, APEX), kind


def bodies(front: Front) -> list[dict[str, Any]]:
    """What was written."""
    return [json.loads(one.partition(b"\n\n")[2]) for one in front.requests if one.startswith(b"POST ")]


class HandClock:
    """Time that stands until it is moved; sleeping moves it."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.slept: list[float] = []

    def now(self) -> datetime:
        return datetime(2026, 11, 25, 12, 0, tzinfo=UTC)

    def monotonic(self) -> float:
        return self.seconds

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.seconds += seconds


class Play:
    """The zone `z.example` of an account of its own, and the provider with a clock of its own."""

    def __init__(self, there: CloudflareStandIn, plan: str = "free") -> None:
        self.there = there
        self.account = there.new_account("acme")
        self.token = there.new_token(self.account)
        self.zone = there.new_zone("z.example", self.account, plan)
        self.clock = HandClock()
        self.provider = self.make()

    def make(self, url: str = "", token: str = "", owner: str = OWNER, **settings: Any) -> Cloudflare:
        context = Context(Path(), owner, lambda _: token or self.token, self.clock)
        chosen = {"base_url": url or self.there.url, "timeout": 5.0, **settings}
        return Cloudflare(CloudflareSettings(Secret("env:CF_TOKEN"), **chosen), context)

    def has(self, name: str, kind: str, ttl: int, *texts: str) -> RRset:
        """Records that are there already, made by nobody of ours; names relative to the zone."""
        rrset = self.rrset(name, kind, ttl, *texts)
        self.there.load(self.zone, [Served(name_of(name), ttl, kind, texts)])
        return rrset

    def post(self, **fields: Any) -> dict[str, Any]:
        """One record by another tool, in the API's own words."""
        return self.zone.records.batch({"posts": [{"ttl": 300, **fields}]})["posts"][0]

    def patch(self, id_: str, **fields: Any) -> None:
        self.zone.records.batch({"patches": [{"id": id_, **fields}]})

    def drop(self, name: str) -> None:
        """All records of this name, deleted by another tool."""
        gone = [{"id": one["id"]} for one in self.records() if one["name"] == name_of(name)[:-1]]
        self.zone.records.batch({"deletes": gone})

    def records(self) -> list[dict[str, Any]]:
        return self.zone.records.records()

    def comments(self) -> dict[str, str | None]:
        return {one["content"]: one["comment"] for one in self.records()}

    def state(self) -> State:
        return state_of(APEX, msgspec.convert(self.records(), list[ApiRecord]))

    @staticmethod
    def rrset(name: str, kind: str, ttl: int, *texts: str) -> RRset:
        return bind((name, kind, ttl, texts), APEX)

    def apply(self, *changes: Change) -> str:
        """Read, apply, and the token after it."""
        return self.provider.apply(APEX, changes, self.provider.snapshot(APEX).token).token


def name_of(relative: str) -> str:
    return "z.example." if relative == "@" else f"{relative}.z.example."
