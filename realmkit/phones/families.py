"""What is particular to each family: its codes, what it can't say, and how its parameters are read.

Templates lay out, this decides: a template gets finished values and no conditions about them.
"""

from __future__ import annotations

import functools
import re
from typing import TYPE_CHECKING, Any, Final, Protocol

import msgspec

from realmkit.errors import InputError
from realmkit.phones.formats import ADDRESS, MalformedError, Pair
from realmkit.phones.model import DEFAULT_PORTS, Line, Phone, Transport
from realmkit.secrets import Password

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_HOST = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(\.[A-Za-z0-9_-]{1,63})*\Z")
_URI_USER = re.compile(r"[A-Za-z0-9_.!~*'()&=+$,/-]+\Z")  # RFC 3261 section 25.1, without ; and ?

Refusal = tuple[str, str]


class Family(Protocol):
    """How models of one family are told what a `Phone` says.

    Attributes:
        format: the output format of all its files.
    """

    @property
    def format(self) -> str: ...  # noqa: D102 - see above

    def refusals(self, phone: Phone) -> Iterator[Refusal]:
        """What this family can't say of a phone that is otherwise in order: field, and why."""
        ...

    def carried(self, line: Line) -> Line:
        """The line as this family can express it: ports filled in, times in its own steps."""
        ...

    def context(self, phone: Phone) -> dict[str, Any]:
        """What its templates get beside `phone`."""
        ...

    def read(self, pairs: Sequence[Pair]) -> tuple[Line, ...]:
        """The active lines of a parsed configuration. Raises MalformedError."""
        ...


def family_at(path: str) -> Family:
    """The family whose templates lie at `path`, `yealink/t`.

    Raises:
        InputError: there is none.
    """
    if path not in FAMILIES:
        raise InputError(f"no family of phones is called {path!r}; known are {', '.join(FAMILIES)}")
    return FAMILIES[path]


def common_refusals(phone: Phone) -> Iterator[Refusal]:
    """What no phone can be told: field, and why."""
    if not 1 <= len(phone.lines) <= phone.model.accounts:
        yield "lines", f"there are {len(phone.lines)}, but a {phone.model.name} takes 1 to {phone.model.accounts}"
    if not 1 <= phone.retry <= 1800:
        yield "retry", "is not within 1 to 1800 seconds"
    if phone.ntp is not None and not _is_host(phone.ntp):
        yield "ntp", "is no host name"
    for number, line in enumerate(phone.lines, 1):
        for field, why in _line_refusals(line):
            yield f"line {number}, {field}", why


def _line_refusals(line: Line) -> Iterator[Refusal]:
    for field in ("username", "auth_id", "password"):
        if not getattr(line, field):
            yield field, "is empty"
    if not _is_host(line.realm):
        yield "realm", "is no host name"
    if line.transport not in DEFAULT_PORTS:
        yield "transport", f"is none of {', '.join(DEFAULT_PORTS)}"
    elif line.transport == "dns" and line.port:
        yield "port", "is given, which would keep NAPTR and SRV from being asked; leave it out or fix the transport"
    if not 0 <= line.port <= 65535:
        yield "port", "is not within 0 to 65535"
    if not 30 <= line.expires <= 86400:
        yield "expires", "is not within 30 to 86400 seconds"


def _is_host(text: str) -> bool:
    return len(text) <= 253 and _HOST.match(text) is not None


def _settled(line: Line) -> Line:
    """With the port that is used and the label that is shown."""
    label = line.display_name or line.username if line.label is None else line.label
    return msgspec.structs.replace(line, port=line.port_used, label=label)


def _number(text: str, name: str) -> int:
    if not re.fullmatch(r"[0-9]{1,9}", text):
        raise MalformedError(f"{name} is no number")
    return int(text)


class YealinkT:
    """`account.N.` parameters; transport 3 with port 0 asks NAPTR and SRV (administrator guide, DNS chapter)."""

    format: Final = "kv"
    codes: Final[dict[Transport, int]] = {"udp": 0, "tcp": 1, "tls": 2, "dns": 3}
    _transports: Final = {str(code): transport for transport, code in codes.items()}

    def refusals(self, phone: Phone) -> Iterator[Refusal]:  # noqa: ARG002 - the protocol's
        """Nothing beside what the format refuses."""
        yield from ()

    def carried(self, line: Line) -> Line:
        """Everything but a default is said as it is."""
        return _settled(line)

    def context(self, phone: Phone) -> dict[str, Any]:
        """`lines`, each with its number and the transport's code."""
        lines = []
        for number, line in enumerate(phone.lines, 1):
            fields = msgspec.structs.asdict(_settled(line))
            lines.append(fields | {"number": number, "transport": self.codes[line.transport]})
        return {"lines": lines}

    def read(self, pairs: Sequence[Pair]) -> tuple[Line, ...]:
        """The enabled accounts, with the phone's own defaults for what is not said."""
        said = dict(pairs)
        return tuple(
            self._line(said, f"account.{number}.")
            for number in range(1, 17)
            if said.get(f"account.{number}.enable") == "1"
        )

    def _line(self, said: dict[str, str], account: str) -> Line:
        server = f"{account}sip_server.1."
        transport = self._transports.get(said.get(f"{server}transport_type", "0"))
        if transport is None:
            raise MalformedError(f"{server}transport_type is none of 0 to 3")
        return Line(
            username=said.get(f"{account}user_name", ""),
            auth_id=said.get(f"{account}auth_name", ""),
            password=Password(said.get(f"{account}password", "")),
            realm=said.get(f"{server}address", ""),
            display_name=said.get(f"{account}display_name", ""),
            expires=_number(said.get(f"{server}expires", "3600"), f"{server}expires"),
            transport=transport,
            port=_number(said.get(f"{server}port", "5060"), f"{server}port"),
            label=said.get(f"{account}label", ""),
        )


class GrandstreamGrp:
    """Numbered P values; DNS mode 2 asks NAPTR and SRV, and a port beside the server would prevent it."""

    format: Final = "xml"
    codes: Final[dict[Transport, int]] = {"udp": 0, "tcp": 1, "tls": 2}
    dns_modes: Final[dict[bool, int]] = {False: 0, True: 2}
    _transports: Final = {str(code): transport for transport, code in codes.items()}
    _first: Final = {
        "active": 271, "label": 270, "server": 47, "proxy": 48, "second_server": 2312, "second_proxy": 2333,
        "username": 35, "auth_id": 36, "password": 34, "display_name": 3, "expires": 32, "transport": 130, "dns": 103,
        "retry": 138,
    }  # fmt: skip
    _others: Final = {
        "active": 1, "label": 17, "server": 2, "proxy": 3, "second_server": 2012, "second_proxy": 2033,
        "username": 4, "auth_id": 5, "password": 6, "display_name": 7, "expires": 12, "transport": 48, "dns": 8,
        "retry": 71,
    }  # fmt: skip
    _protocols: Final = {"tftp": 0, "http": 1, "https": 2, "ftp": 3, "ftps": 4}

    def numbers(self, account: int) -> dict[str, int]:
        """The P values of an account, 1 to 6: the first has its own, the others a hundred each, from 400."""
        if account == 1:
            return self._first
        return {name: number + 100 * (account + 2) for name, number in self._others.items()}

    @functools.cached_property
    def _names(self) -> list[dict[str, str]]:
        """The elements of every account: `{"active": "P271", ...}`."""
        return [{name: f"P{number}" for name, number in self.numbers(account).items()} for account in range(1, 7)]

    def refusals(self, phone: Phone) -> Iterator[Refusal]:
        """A configuration server that it has no protocol for."""
        if phone.url is not None and phone.url.partition("://")[0].lower() not in self._protocols:
            yield "url", f"begins with none of {', '.join(f'{scheme}://' for scheme in self._protocols)}"

    def carried(self, line: Line) -> Line:
        """Registrations are asked for in whole minutes: rounded down, and one at the least."""
        return msgspec.structs.replace(_settled(line), expires=max(1, line.expires // 60) * 60)

    def context(self, phone: Phone) -> dict[str, Any]:
        """`lines`, each with its P values as `p`, and `server`, where to fetch from."""
        lines = []
        for number, given in enumerate(phone.lines, 1):
            line = self.carried(given)
            by_dns = line.transport == "dns"
            own = {
                "number": number,
                "p": self.numbers(number),
                "server": line.realm if by_dns else f"{line.realm}:{line.port}",
                "dns": self.dns_modes[by_dns],
                "transport": self.codes["udp" if by_dns else line.transport],
                "minutes": line.expires // 60,
            }
            lines.append(msgspec.structs.asdict(line) | own)
        return {"lines": lines, "server": self._server(phone.url)}

    def _server(self, url: str | None) -> dict[str, Any] | None:
        if url is None:
            return None
        scheme, _, path = url.partition("://")
        return {"protocol": self._protocols[scheme.lower()], "path": path}

    def read(self, pairs: Sequence[Pair]) -> tuple[Line, ...]:
        """The active accounts, with the phone's own defaults for what is not said."""
        said = dict(pairs)
        return tuple(self._line(said, p) for p in self._names if said.get(p["active"]) == "1")

    def _line(self, said: dict[str, str], p: dict[str, str]) -> Line:
        transport = self._transports.get(said.get(p["transport"], "0"))
        if transport is None:
            raise MalformedError(f"{p['transport']} is no transport")
        by_dns = said.get(p["dns"], "0") in ("1", "2")
        host, _, port = said.get(p["server"], "").partition(":")
        return Line(
            username=said.get(p["username"], ""),
            auth_id=said.get(p["auth_id"], ""),
            password=Password(said.get(p["password"], "")),
            realm=host,
            display_name=said.get(p["display_name"], ""),
            expires=_number(said.get(p["expires"], "60"), p["expires"]) * 60,
            transport="dns" if by_dns and not port else transport,
            port=_number(port, p["server"]) if port else 0 if by_dns else DEFAULT_PORTS[transport],
            label=said.get(p["label"], ""),
        )


class Baresip:
    """One line an account. No port and no transport in the address is how it asks NAPTR and SRV (tried: lab)."""

    format: Final = "baresip"

    def refusals(self, phone: Phone) -> Iterator[Refusal]:
        """What can't stand in an address, and what its search for parameters would stumble over."""
        for number, line in enumerate(phone.lines, 1):
            if not _URI_USER.match(line.username):
                yield f"line {number}, username", "holds a character that an address can't without an escape"
            for field in ("auth_id", "password"):
                if ";" in getattr(line, field):
                    yield f"line {number}, {field}", "holds ; after which baresip would look for a parameter"

    def carried(self, line: Line) -> Line:
        """It has no labels."""
        return msgspec.structs.replace(_settled(line), label=None)

    def context(self, phone: Phone) -> dict[str, Any]:
        """`lines`, each with its `host`, with a port where one is fixed, and the address's own parameters."""
        lines = []
        for line in phone.lines:
            by_dns = line.transport == "dns"
            own = {
                "host": line.realm if by_dns else f"{line.realm}:{line.port_used}",
                "uri_parameters": "" if by_dns else f";transport={line.transport}",
            }
            lines.append(msgspec.structs.asdict(line) | own)
        return {"lines": lines}

    def read(self, pairs: Sequence[Pair]) -> tuple[Line, ...]:
        """Every account."""
        accounts: list[tuple[str, dict[str, str]]] = []
        for name, value in pairs:
            if name == ADDRESS:
                accounts.append((value, {}))
            elif accounts:
                accounts[-1][1].setdefault(name, value)  # as baresip: the first counts
        return tuple(self._line(address, said) for address, said in accounts)

    def _line(self, address: str, said: dict[str, str]) -> Line:
        display_name, _, uri = address.partition("\0")
        found = re.fullmatch(r"sip:([^@;]+)@([^:;]+)(?::([0-9]{1,5}))?(?:;transport=(udp|tcp|tls))?", uri)
        if found is None:
            raise MalformedError("an account's address is not sip:user@host:port;transport=...")
        transport: Transport = found[4] or ("udp" if found[3] else "dns")  # type: ignore[assignment]  # matched above
        return Line(
            username=found[1],
            auth_id=said.get("auth_user", found[1]),
            password=Password(said.get("auth_pass", "")),
            realm=found[2],
            display_name=display_name,
            expires=_number(said.get("regint", "3600"), "regint"),
            transport=transport,
            port=int(found[3]) if found[3] else DEFAULT_PORTS[transport],
        )


FAMILIES: Final[dict[str, Family]] = {
    "yealink/t": YealinkT(),
    "grandstream/grp": GrandstreamGrp(),
    "baresip/baresip": Baresip(),
}
