"""What `account new` asks, as data: each question with the advice that goes with it and the option that answers it.

The advice is that of people who set up many such accounts: what is easily chosen well now is a lot of work later.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date
from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct

from realmkit.accounts import checks, wanted
from realmkit.accounts.realmname import remarks
from realmkit.accounts.yamltext import dump
from realmkit.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

CLASSIFIERS: Final = ("tollfree_us", "toll_us", "emergency", "caribbean", "did_us", "international", "unknown")
"""What the platform's own configuration tells numbers apart by; `account plan` asks the platform itself."""

_HIDDEN: Final = "billing, service_plan, transactions"
_ADMIN: Final = re.compile(r"(\S+)\s+(\S.*?)\s*<([^@\s<>]+@[^@\s<>]+)>")
_HEAD: Final = """# {name}: a customer's account. See what applying it would do:  realmkit account plan {file}
"""


class Ground(Struct, frozen=True):
    """What the questions are asked on.

    Attributes:
        zones: the zones of the project, without final dot.
        branded: whether the project has a white-label domain.
    """

    zones: tuple[str, ...] = ()
    branded: bool = False


Answers = dict[str, Any]


class Question(Struct, frozen=True):
    """One question.

    Attributes:
        key: what the answer is called, which is the option's name with underscores.
        ask: the question.
        advice: what to know before answering.
        read: makes the answer of the text, or raises InputError with what is wrong.
        default: the text that is taken for no answer, made from the answers so far; None where there must be one.
        example: for the option's help.
    """

    key: str
    ask: str
    advice: str
    read: Callable[[str, Ground], Any]
    default: Callable[[Answers, Ground], str] | None
    example: str = "TEXT"

    @property
    def option(self) -> str:
        """The option on the command line."""
        return "--" + self.key.replace("_", "-")


def _words(text: str, _: Ground) -> list[str] | None:
    return [word.strip() for word in text.split(",") if word.strip()] or None


def _line(text: str, _: Ground) -> str | None:
    return text.strip() or None


def _name(text: str, _: Ground) -> str:
    name = text.strip()
    if not wanted.plain(name):
        raise InputError("at least one letter a to z or digit: the platform tells names apart by those alone")
    if len(name) > 128:
        raise InputError(f"{len(name)} characters; 128 is the most")
    return name


def _realm(text: str, ground: Ground) -> str:
    realm = text.strip()
    for remark in remarks(realm, ground.zones):
        if remark.level == "error":
            raise InputError(f"{realm} {remark.text}: {remark.hint}")
    return realm


def _timezone(text: str, _: Ground) -> str:
    zone = text.strip()
    wrong = checks.timezone_fault(zone)
    if wrong is not None:
        raise InputError(wrong)
    return zone


def _number(text: str, _: Ground) -> int | None:
    if not text.strip():
        return None
    if not re.fullmatch("[0-9]{1,5}", text.strip()):
        raise InputError("a number from 0 to 99999")
    return int(text)


def _amount(text: str, _: Ground) -> float | None:
    if not text.strip():
        return None
    if not re.fullmatch(r"[0-9]{1,7}(\.[0-9]{1,2})?", text.strip()) or float(text) == 0.0:
        raise InputError("an amount such as 25 or 25.50")
    return float(text)


def _choice(*choices: str) -> Callable[[str, Ground], str]:
    def read(text: str, _: Ground) -> str:
        if text.strip() not in choices:
            raise InputError("one of: " + ", ".join(choices))
        return text.strip()

    return read


def _yes_no(text: str, _: Ground) -> bool | None:
    said = {"": None, "yes": True, "no": False, "y": True, "n": False}
    if text.strip().lower() not in said:
        raise InputError("yes or no")
    return said[text.strip().lower()]


def _some_of(choices: Collection[str], what: str) -> Callable[[str, Ground], list[str] | None]:
    def read(text: str, ground: Ground) -> list[str] | None:
        words = [] if text.strip() == "none" else _words(text, ground) or []
        for word in words:
            if word not in choices:
                raise InputError(f"there is no {what} {word!r}; {checks.nearest(word, choices)}")
        return words

    return read


def _admins(text: str, ground: Ground) -> list[dict[str, str]] | None:
    found = []
    for one in _words(text, ground) or []:
        match = _ADMIN.fullmatch(one)
        if match is None:
            raise InputError(f"{one!r}: write First Last <name@example.com>")
        found.append({"first_name": match[1], "last_name": match[2], "email": match[3]})
    return found or None


def _day(text: str, _: Ground) -> date | None:
    if not text.strip():
        return None
    try:
        return date.fromisoformat(text.strip())
    except ValueError:
        raise InputError("a day such as 2027-12-31") from None


def _person(text: str, _: Ground) -> dict[str, str] | None:
    parts = [part.strip() for part in text.split(",")]
    if len(parts) > 3:
        raise InputError("name, e-mail address, telephone number")
    found = dict(zip(("name", "email", "phone"), parts, strict=False))
    return {key: value for key, value in found.items() if value} or None


def _address(text: str, _: Ground) -> dict[str, str] | None:
    parts = [part.strip() for part in text.split(",")]
    if len(parts) > 5:
        raise InputError("street, city, state, postal code, country")
    found = dict(zip(("street", "city", "state", "zip", "country"), parts, strict=False))
    return {key: value for key, value in found.items() if value} or None


def _empty(_: Answers, __: Ground) -> str:
    return ""


def suggested_realm(name: str, ground: Ground) -> str:
    """A realm that says whose it is: the name's letters and digits in the project's first zone."""
    label = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:32].strip("-")
    return f"{label}.{ground.zones[0]}" if label and ground.zones else ""


WHITE_LABEL: Final = "Is white labelling planned and not done yet?"
"""Asked before everything else, where the project has no white-label domain."""

WHITE_LABEL_ADVICE: Final = (
    "Phones register at the realm and fax mail is sent to it. A realm below the hosting company's domain is seen by "
    "the customer, and has to be moved, phones and all, once you have a domain of your own. So do that first, or "
    "choose a realm below the domain that is to be yours."
)

QUESTIONS: Final = (
    Question(
        "name", "Account name",
        "Short and recognisable: the company's name, a shorter form or its initials. Users log in with it and reports "
        "name it; a telephone number tells nobody whose account it is.",
        _name, None, "Acme",
    ),
    Question(
        "realm", "SIP realm",
        "What the portal makes up (8dijd6.s.example.com) tells nobody whose it is. Phones carry it, and people send "
        "faxes to it: begin it with something that stands for the customer. To change it later is a move of all "
        "phones.",
        _realm, lambda answers, ground: suggested_realm(answers["name"], ground), "acme.voice.example.com",
    ),
    Question(
        "timezone", "Time zone",
        "Of the customer: call routing, voicemail and reports follow it.", _timezone, None, "America/Havana",
    ),
    Question("language", "Language", "Of the portal and of prompts, such as en-US.", _line, _empty, "en-US"),
    Question(
        "parent", "Account above", "By name, realm or id. Left empty: the account of your API key.", _line, _empty,
        "NAME",
    ),
    Question(
        "address", "Address: street, city, state, postal code, country", "", _address, _empty, "'1 Main St, Miami, FL'",
    ),
    Question(
        "billing", "Billing contact: name, e-mail, telephone", "", _person, _empty, "'Ann Lee, ann@acme.example'",
    ),
    Question(
        "technical", "Technical contact: name, e-mail, telephone", "", _person, _empty, "'Bo Ray, bo@acme.example'",
    ),
    Question(
        "admins", "Administrators at the customer's: First Last <e-mail>, ...",
        "An administrator manages the account from inside and sees everything in it, faxes and voicemail too if those "
        "apps are allowed. That spares you work, and lets somebody break what you then have to find.",
        _admins, _empty, "'Ann Lee <ann@acme.example>'",
    ),
    Question(
        "deny", "Calls to deny: " + ", ".join(CLASSIFIERS),
        "What is denied is blocked whatever trunks and credit there are. Calls abroad that nobody makes are what fraud "
        "lives on. Leave emergency calls alone.",
        _some_of(CLASSIFIERS, "classifier"), _empty, "international,caribbean",
    ),
    Question(
        "twoway_trunks", "Two-way trunks",
        "A trunk is one call at a time to or from numbers in the US and Canada. With no global trunk limits of your "
        "own there is nothing to do here.",
        _number, _empty, "4",
    ),
    Question("inbound_trunks", "Inbound trunks", "Calls that come from outside.", _number, _empty, "0"),
    Question("outbound_trunks", "Outbound trunks", "Calls that go outside.", _number, _empty, "0"),
    Question(
        "prepay", "May calls beyond the trunks be paid by the minute? (yes/no)",
        "They are taken from the account's credit.", _yes_no, _empty, "yes",
    ),
    Question(
        "credit", "Opening credit",
        "Paid once from your account. It is tied to no card of the customer's: what it costs him you settle yourself. "
        "Little of it limits what fraud can take.",
        _amount, _empty, "25.00",
    ),
    Question(
        "hide", "Hide from the customer: " + ", ".join(wanted.PERMISSIONS),
        "Credit card (billing), service plan and transactions are between you and the platform: the customer would see "
        "your prices. `none` hides nothing.",
        _some_of(wanted.PERMISSIONS, "permission"), lambda _, __: _HIDDEN, _HIDDEN.replace(" ", ""),
    ),
    Question(
        "carrier", "Carriers: system, partner, own",
        "The system's unless you bring carriers of your own: then `partner`, which are those of your reseller account. "
        "`own` are the customer's.",
        _choice("system", "partner", "own"), lambda _, __: "system", "system",
    ),
    Question(
        "deny_apps", "Apps to deny",
        "Denied apps are gone from the customer's portal, for his administrators too; you keep them. Those for faxes "
        "and voicemail show everybody's.",
        _words, _empty, "voicemails,fax",
    ),
    Question(
        "service_plans", "Service plans",
        "They apply to resellers, not to their customers: usually none.", _words, _empty, "NAME",
    ),
    Question("contract_ends", "Contract ends", "", _day, _empty, "2027-12-31"),
    Question("announcement", "Note", "Shown in the account manager.", _line, _empty, "TEXT"),
)  # fmt: skip


def entry(answers: Mapping[str, Any]) -> dict[str, Any]:
    """The account file that the answers make, without what was not answered."""
    got = answers.get
    limits = {
        "twoway_trunks": got("twoway_trunks"), "inbound_trunks": got("inbound_trunks"),
        "outbound_trunks": got("outbound_trunks"), "allow_prepay": got("prepay"),
    }  # fmt: skip
    hidden = got("hide")
    found: dict[str, Any] = {
        "name": got("name"), "realm": got("realm"), "timezone": got("timezone"), "language": got("language"),
        "parent": got("parent"), "address": got("address"),
        "contacts": _set({"billing": got("billing"), "technical": got("technical")}), "admins": got("admins"),
        "restrictions": dict.fromkeys(got("deny") or (), "deny"), "limits": _set(limits), "credit": got("credit"),
        "permissions": {
            name: "hide" if name in hidden else "show" for name in wanted.PERMISSIONS
        } if hidden is not None else None,
        "carrier": got("carrier"),
        "apps": {"allow": "all", "deny": got("deny_apps")} if got("deny_apps") else None,
        "service_plans": got("service_plans"),
        "notes": _set({"announcement": got("announcement"), "contract_ends": got("contract_ends")}),
    }  # fmt: skip
    return {key: value for key, value in found.items() if value is not None}


def text(answers: Mapping[str, Any], file: str) -> str:
    """The answers as the text of an account file of that name."""
    return _HEAD.format(name=" ".join(answers["name"].split()), file=file) + dump(entry(answers))


def file_name(name: str) -> str:
    """What to call the file of an account."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") or "account"


def _set(values: dict[str, Any]) -> dict[str, Any] | None:
    return {key: value for key, value in values.items() if value is not None} or None
