"""An account of the platform as the file that would make it. Applying that file to the account changes nothing."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final, get_args

from realmkit.accountfile import MAIL_PATTERN, Carrier
from realmkit.accounts import plan, wanted
from realmkit.accounts.yamltext import dump
from realmkit.kazoo.values import mapping, text, whole

if TYPE_CHECKING:
    from collections.abc import Mapping

    from realmkit.accounts.plan import Lists, Seen
    from realmkit.accounts.platform import Platform
    from realmkit.kazoo.setupdocuments import AccountRow

_HEAD: Final = """# {name}: account {id}, as it was on the platform when this was written.
# Not here: passwords, which the platform does not show, and credit, of which it keeps payments (balance: {balance}).
"""


def as_file(platform: Platform, row: AccountRow) -> str:
    """The YAML of an account.

    Args:
        platform: where it is.
        row: which.
    """
    seen = platform.look(row.id)
    balance = platform.setup.balance(row.id)
    lists = plan.Lists(platform.crossbar.account_id, {}, platform.apps, platform.plans(row.id))
    return _HEAD.format(name=_one_line(seen.account.name), id=row.id, balance=balance) + dump(
        describe(seen, lists, row)
    )


def describe(seen: Seen, lists: Lists, row: AccountRow) -> dict[str, Any]:
    """What the file of an account says, without what is not set.

    Args:
        seen: the account, all of it.
        lists: apps and service plans by id.
        row: the account in the listing, which knows what it is below.
    """
    data = seen.account.data
    timezone = seen.account.timezone or "inherit"
    found: dict[str, Any] = {
        "name": seen.account.name,
        "id": seen.account.id,
        "realm": seen.account.realm,
        "timezone": timezone,
        "language": text(data.get("language")),
        "parent": row.tree[-1] if row.tree and row.tree[-1] != lists.own else None,
        "address": _some(plan.at(data, ("contact", "billing")), wanted.ADDRESS),
        "contacts": _contacts(data, lists),
        "admins": _admins(seen),
        "restrictions": _restrictions(data),
        "limits": _limits(seen),
        "topup": _topup(data),
        "permissions": _permissions(data),
        "features": _features(data),
        "carrier": _carrier(seen),
        "apps": _apps(seen, lists),
        "service_plans": [_called(one, lists.plans) for one in sorted(seen.plans)] if seen.plans else None,
        "notes": _notes(data, timezone),
    }
    return {key: value for key, value in found.items() if value is not None}


def _topup(data: Mapping[str, Any]) -> float | None:
    threshold = plan.at(data, ("topup", "threshold"))
    fits = isinstance(threshold, int | float) and not isinstance(threshold, bool) and threshold >= 0
    return threshold if fits else None


def _contacts(data: Mapping[str, Any], lists: Lists) -> dict[str, Any] | None:
    sales = mapping(plan.at(data, ("contract", "representative")))
    of_whom = {
        "name": text(sales.get("name")), "user_id": text(sales.get("user_id")),
        "account_id": text(sales.get("account_id")) or "",
    }  # fmt: skip
    if of_whom["account_id"] == lists.own:
        del of_whom["account_id"]
    found = {
        "billing": _some(plan.at(data, ("contact", "billing")), wanted.CONTACT),
        "technical": _some(plan.at(data, ("contact", "technical")), wanted.CONTACT),
        "sales": {key: value for key, value in of_whom.items() if value is not None} if of_whom["name"] else None,
    }
    return {key: value for key, value in found.items() if value} or None


def _some(value: Any, keys: Mapping[str, str]) -> dict[str, str] | None:
    """What an object says under the platform's keys, under ours."""
    said = mapping(value)
    found = {name: text(said.get(key)) for name, key in keys.items()}
    return {name: one for name, one in found.items() if one} or None


def _admins(seen: Seen) -> list[dict[str, Any]] | None:
    found = []
    for user in sorted(seen.users or (), key=lambda one: one.username.casefold()):
        data = {key: text(user.data.get(key)) for key in ("first_name", "last_name", "email")}
        if not user.is_admin or not all(data.values()) or not re.search(MAIL_PATTERN, data["email"] or ""):
            continue  # a file could not say it
        if user.username.casefold() != (data["email"] or "").casefold():
            data["username"] = user.username
        found.append(data)
    return found or None


def _restrictions(data: Mapping[str, Any]) -> dict[str, str]:
    said = mapping(data.get("call_restriction"))
    return {name: "deny" for name, rule in sorted(said.items()) if mapping(rule).get("action") == "deny"}


def _limits(seen: Seen) -> dict[str, Any] | None:
    if seen.limits is None:
        return None
    found = {key: whole(seen.limits.data.get(key)) for key in wanted.LIMITS if key != "allow_prepay"}
    return {key: value for key, value in found.items() if value is not None and value >= 0} | {
        "allow_prepay": seen.limits.allow_prepay
    }


def _permissions(data: Mapping[str, Any]) -> dict[str, str]:
    mine = mapping(plan.at(data, ("ui_restrictions", "myaccount")))
    return {
        name: "hide" if plan.at(mine, place) is False else "show" for name, place in wanted.PERMISSIONS.items()
    }  # fmt: skip


def _features(data: Mapping[str, Any]) -> dict[str, bool] | None:
    if "numbers_features" not in data:
        return None
    said = mapping(data["numbers_features"])
    return {name: said.get(key) is True for name, key in wanted.FEATURES.items()}


def _carrier(seen: Seen) -> str | None:
    if not seen.no_match:
        return None
    carrier = plan.carrier_of(seen.no_match[0], seen.account)
    return carrier if carrier in get_args(Carrier) else None


def _apps(seen: Seen, lists: Lists) -> dict[str, Any] | None:
    if seen.denied is None:
        return None
    denied = sorted(_called(one, lists.apps) for one in seen.denied if one in lists.apps)
    return {"allow": "all", "deny": denied} if denied else {"allow": "all"}


def _called(identity: str, names: Mapping[str, str]) -> str:
    """The name of what has this id, if it is the only one of that name; else the id."""
    name = names.get(identity)
    alone = name is not None and sum(wanted.plain(one) == wanted.plain(name) for one in names.values()) == 1
    return name if name is not None and alone and wanted.plain(name) and name not in names else identity


def _notes(data: Mapping[str, Any], timezone: str) -> dict[str, Any] | None:
    ends = whole(plan.at(data, wanted.END_DATE))
    found = {
        "announcement": text(data.get("announcement")) or None,
        "contract_ends": wanted.day_of(ends, timezone) if ends is not None and ends > 0 else None,
    }
    return {key: value for key, value in found.items() if value is not None} or None


def _one_line(name: str) -> str:
    return " ".join(name.split())
