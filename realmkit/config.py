"""What the user writes in `realmkit.yml`, as types, and the errors that a slip in it deserves.

The structs below are the one description of the file: they decode it (msgspec, in C), they make the JSON Schema
that gives editors completion, and when decoding fails they are walked once more to name every slip with its line
and the nearest key that exists.
"""

from __future__ import annotations

import difflib
import types
import typing
from pathlib import Path
from typing import Annotated, Any, Final, Literal, TypeVar, get_args, get_origin

import msgspec
from msgspec import Meta, Struct, field

from realmkit.errors import InputError, SecretError
from realmkit.secrets import PATTERN, Secret
from realmkit.yamlfile import Document, load

FILE_NAME: Final = "realmkit.yml"
STATE_DIRECTORY: Final = ".realmkit"

Port = Annotated[int, Meta(ge=1, le=65535, description="a port, 1 to 65535")]
U16 = Annotated[int, Meta(ge=0, le=65535)]
Ttl = Annotated[int, Meta(ge=0, le=2147483647, description="seconds (RFC 2181 section 8)")]
HostName = Annotated[str, Meta(min_length=1, max_length=255)]
Transport = Literal["udp", "tcp", "tls"]
T = TypeVar("T")


class Entry(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A mapping of the file: no key beside the ones that are named."""


class Proxy(Entry, frozen=True):
    """One SIP proxy of the platform. Without addresses they are looked up when planning."""

    host: HostName
    addresses: tuple[str, ...] = ()
    priority: U16 = 10
    weight: U16 = 50


class Mail(Entry, frozen=True):
    """One mail host that takes fax mail."""

    host: HostName
    preference: U16 = 10


class EdgeEntry(Entry, frozen=True):
    """Where a realm's records point: proxies, transports in order of preference, mail hosts."""

    proxies: Annotated[tuple[Proxy, ...], Meta(min_length=1)]
    transports: dict[Transport, Port] = field(default_factory=lambda: {"udp": 5060, "tcp": 5060, "tls": 5061})
    mail: tuple[Mail, ...] = ()


class Kazoo(Entry, frozen=True):
    """The platform's API (Crossbar)."""

    url: str
    api_key: Secret


class Platform(Entry, frozen=True):
    """The hosted PBX platform."""

    edge: EdgeEntry
    kazoo: Kazoo | None = None


Rate = Annotated[float, Meta(gt=0, description="queries a second to one server")]


class ZoneEntry(Entry, frozen=True):
    """A zone that realmkit may change: which provider holds it, the servers to verify on, and how fast to ask them."""

    provider: str
    nameservers: tuple[str, ...] = ()
    rate_per_server: Rate | Literal["unlimited"] | None = None


class RealmEntry(Entry, frozen=True):
    """A realm: whose it is and in which shape its records are published."""

    account: str | None = None
    shape: Literal["explicit", "shared"] = "explicit"
    ttl: Ttl | None = None


class HostEntry(Entry, frozen=True):
    """One name of a white-label domain: an alias, addresses, mail, or a proxy found through NAPTR and SRV."""

    cname: HostName | None = None
    addresses: tuple[str, ...] = ()
    mail: tuple[Mail, ...] = ()
    transports: dict[Transport, Port] = field(default_factory=dict)
    targets: tuple[Proxy, ...] = ()
    https: Annotated[tuple[Port, ...], Meta(description="ports on which browsers or programs meet a certificate")] = ()


class Guards(Entry, frozen=True):
    """How much one run may do before it wants `--allow`."""

    blast_radius: Annotated[int, Meta(ge=0, description="RRsets changed or deleted in one run")] = 100


class MailNotice(Entry, frozen=True):
    """Where a notice goes by mail."""

    to: Annotated[tuple[str, ...], Meta(min_length=1)]
    sender: str
    host: HostName = "localhost"
    port: Port = 25
    starttls: bool = False
    user: str | None = None
    password: Secret | None = None


class NotifyEntry(Entry, frozen=True):
    """Who is told what `health check --cron` finds: a webhook and mail when there is news, a ping at every run."""

    webhook: Secret | None = None
    mail: MailNotice | None = None
    ping: Secret | None = None


class HealthPolicy(Entry, frozen=True):
    """How `health check` asks and judges.

    Attributes:
        rate_per_server: manners towards servers that have no rate of their own.
        confirm: how many looks must see a finding before it is told.
        remind: after how long an open finding is told again; `0s` for never.
        sample: of a zone whose serial has not moved since it was found in order, one realm in so many is looked at.
        resolvers: public resolvers that the propagation checks ask, by address.
        issuers: the CAs that certificates come from, as CAA names them (`letsencrypt.org`).
        trust_anchors: by zone, DS records that chains are validated from; the root's own where none is given.
        trust_store: a file of CA certificates; the system's where none is given.
        notify: who is told.
    """

    rate_per_server: Rate = 50
    confirm: Annotated[int, Meta(ge=1, le=20)] = 2
    remind: str = "24h"
    sample: Annotated[int, Meta(ge=1, le=1000)] = 10
    resolvers: tuple[str, ...] = ()
    issuers: tuple[str, ...] = ()
    trust_anchors: dict[str, tuple[str, ...]] = field(default_factory=dict)
    trust_store: str | None = None
    notify: NotifyEntry = NotifyEntry()


class PublishEntry(Entry, frozen=True):
    """Where phones fetch their configurations: a directory of this machine, or one behind SSH.

    `path` is the directory that the web server serves. For `sftp`, `known_hosts` (an OpenSSH file of the project) must
    hold the server's key; without `key_file` the SSH agent is asked.
    """

    type: Literal["directory", "sftp"]
    path: str
    host: HostName | None = None
    port: Port = 22
    user: str | None = None
    key_file: str | None = None
    passphrase: Secret | None = None
    known_hosts: str = "known_hosts"


class PhonesEntry(Entry, frozen=True):
    """How phones are configured: where files go, and what every rendered file says.

    Attributes:
        publish: where rendered files go.
        transport: `dns` leaves port and transport to NAPTR and SRV; the others fix the transport.
        expires: seconds that a registration is asked for.
        url: what phones are told to fetch their configuration from; None leaves the phone's own setting alone.
        ntp: time server; None leaves the phone's own.
        templates: the project's own templates, laid over the shipped ones.
    """

    publish: PublishEntry
    transport: Literal["dns", "udp", "tcp", "tls"] = "dns"
    expires: Annotated[int, Meta(ge=30, le=86400, description="seconds")] = 300
    url: str | None = None
    ntp: HostName | None = None
    templates: str = "templates"


class Policy(Entry, frozen=True):
    """TTLs in seconds, guards, and how verification behaves.

    Attributes:
        ttl: of records, in seconds.
        migration_ttl: what TTLs are lowered to before a move.
        verify_deadline: how long to wait for every server.
        resolvers: recursive resolvers by address, which are asked what stands outside of our zones; the system's where
            none are given.
        roots: servers of the root by address, from which the way to everything outside is found without a resolver.
            `health check` does so from the Internet's root where neither these nor resolvers are given, and asks the
            system's resolvers where that can't be heard.
        allow_private_addresses: private and loopback addresses are meant.
        guards: how much may change at once.
        health: how `health check` asks and judges.
    """

    ttl: Ttl = 3600
    migration_ttl: Ttl = 300
    verify_deadline: Annotated[float, Meta(gt=0, description="seconds to wait for every server")] = 60
    resolvers: tuple[str, ...] = ()
    roots: tuple[str, ...] = ()
    allow_private_addresses: bool = False
    guards: Guards = Guards()
    health: HealthPolicy = HealthPolicy()


class Config(Entry, frozen=True):
    """The whole file."""

    version: Literal[1]
    platform: Platform
    zones: dict[str, ZoneEntry]
    providers: dict[str, dict[str, Any]] = field(default_factory=dict)
    realms: dict[str, RealmEntry | None] = field(default_factory=dict)
    whitelabel: dict[str, dict[str, HostEntry]] = field(default_factory=dict)
    phones: PhonesEntry | None = None
    owner: Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9-]{0,31}$")] = "realmkit"
    policy: Policy = Policy()


class Project(Struct, frozen=True):
    """A project directory with its configuration; `document` finds places for later errors."""

    directory: Path
    config: Config
    document: Document

    @property
    def state_dir(self) -> Path:
        """Where ledgers and runs live."""
        return self.directory / STATE_DIRECTORY


def open_project(directory: Path) -> Project:
    """Read `realmkit.yml` in `directory`.

    Raises:
        InputError: the file is missing, is no YAML, or says something that can't be.
    """
    document = load(directory / FILE_NAME)
    return Project(directory, decode(document, document.data, Config, ()), document)


def decode(document: Document, data: Any, kind: type[T], path: tuple[str | int, ...]) -> T:
    """Convert `data`, found at `path` of `document`, to `kind`.

    Raises:
        InputError: with one line for each slip: file, line, path, what was expected, nearest known key.
    """
    try:
        return msgspec.convert(data, kind, dec_hook=_decode_special)
    except (msgspec.ValidationError, SecretError):
        slips = list(_slips(data, kind, path))
    if not slips:
        raise AssertionError(f"{kind} refused data in which no slip was found")
    slips.sort(key=lambda slip: document.place(slip[0]))
    lines = [document.error(where, what).message for where, what in slips[:20]]
    if len(slips) > len(lines):
        lines.append(f"... and {len(slips) - len(lines)} more")
    raise InputError("\n".join(lines), hint="`realmkit schema config` prints what is known, for editors too")


def schema(providers: list[dict[str, Any]]) -> dict[str, Any]:
    """The JSON Schema of `realmkit.yml` (draft 2020-12).

    Args:
        providers: the schema of an entry under `providers:` for each installed provider.
    """
    whole = msgspec.json.schema(Config, schema_hook=schema_of_special)
    for one in providers:
        whole["$defs"].update(one.pop("$defs", {}))
    whole["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    whole["$defs"]["Config"]["properties"]["providers"]["additionalProperties"] = {"anyOf": providers}
    return whole


def schema_of_special(kind: type) -> dict[str, Any]:
    """The JSON Schema of the types that msgspec does not know."""
    if kind is Secret:
        return {"type": "string", "pattern": PATTERN, "description": "a reference to a secret"}
    raise NotImplementedError(kind)


def _decode_special(kind: type, value: Any) -> Any:
    if kind is Secret:
        if not isinstance(value, str):
            raise SecretError("expected a reference such as env:NAME or file:PATH")
        return Secret(value)
    raise NotImplementedError(kind)


_Slip = tuple[tuple["str | int", ...], str]


def _slips(data: Any, kind: Any, path: tuple[str | int, ...]) -> typing.Iterator[_Slip]:
    """Every slip in `data` against the type `kind`, deepest first."""
    bare = get_args(kind)[0] if get_origin(kind) is Annotated else kind
    origin = get_origin(bare)
    if origin in (typing.Union, types.UnionType):
        others = [arm for arm in get_args(bare) if arm is not type(None)]
        if data is not None and len(others) == 1:
            yield from _slips(data, others[0], path)
            return
    elif isinstance(bare, type) and issubclass(bare, Struct) and isinstance(data, dict):
        yield from _slips_in_struct(data, bare, path)
        return
    elif origin is dict and isinstance(data, dict):
        yield from _slips_in_dict(data, bare, path)
        return
    elif origin is tuple and isinstance(data, list):
        before = [slip for i, item in enumerate(data) for slip in _slips(item, get_args(bare)[0], (*path, i))]
        yield from before
        if before:
            return
    yield from _slip_of_whole(data, kind, path)


def _slips_in_struct(data: dict[str, Any], kind: type[Struct], path: tuple[str | int, ...]) -> typing.Iterator[_Slip]:
    hints = typing.get_type_hints(kind, include_extras=True)
    known = {entry.encode_name: entry for entry in msgspec.structs.fields(kind)}
    for key, value in data.items():
        if key in known:
            yield from _slips(value, hints[known[key].name], (*path, key))
        else:
            near = difflib.get_close_matches(key, known, n=1, cutoff=0.5)
            mend = f"did you mean {near[0]!r}?" if near else "known are: " + ", ".join(known)
            yield (*path, key), f"unknown key; {mend}"
    for name, entry in known.items():
        if entry.required and name not in data:
            yield path, f"the key {name!r} is missing"


def _slips_in_dict(data: dict[str, Any], kind: Any, path: tuple[str | int, ...]) -> typing.Iterator[_Slip]:
    key_type, value_type = get_args(kind)
    for key, value in data.items():
        yield from _slip_of_whole(key, key_type, (*path, key))
        yield from _slips(value, value_type, (*path, key))


def _slip_of_whole(data: Any, kind: Any, path: tuple[str | int, ...]) -> typing.Iterator[_Slip]:
    try:
        msgspec.convert(data, kind, dec_hook=_decode_special)
    except (msgspec.ValidationError, SecretError) as error:
        text = str(error).partition(" - at `")[0]
        yield path, text[:1].lower() + text[1:].replace("`", "")
