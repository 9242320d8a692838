"""`realmkit schedule`: hours."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

import click

from realmkit import errors
from realmkit.cli.app import App, common

if TYPE_CHECKING:
    from collections.abc import Callable

    from realmkit.schedule.hours import Site
    from realmkit.schedule.outlook import Outlook, Settings

_UNITS: Final = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def _length(least: timedelta, most: timedelta) -> Callable[[click.Context, click.Parameter, str], timedelta]:
    """What reads an option that is a length of time from `least` to `most`: `90m`, `3h`, `14d`, `2w`."""

    def read(_ctx: click.Context, _param: click.Parameter, value: str) -> timedelta:
        match = re.fullmatch(r"([0-9]{1,6})([mhdw])", value)
        if match is None:
            raise click.BadParameter(f"{value!r} is no length of time: write 90m, 3h, 14d or 2w")
        found = timedelta(**{_UNITS[match.group(2)]: int(match.group(1))})
        if not least <= found <= most:
            raise click.BadParameter(f"{value} is not between {least} and {most}")
        return found

    return read


_MARGIN: Final = _length(timedelta(), timedelta(days=1))
_SHORTEST: Final = _length(timedelta(minutes=1), timedelta(days=7))
_AHEAD: Final = _length(timedelta(hours=1), timedelta(days=400))


@click.group()
def schedule() -> None:
    """Find the time in which nobody works: opening hours, public holidays, quiet windows."""


@schedule.command(
    epilog="""\b
Examples:
  realmkit schedule hours "Mo-Fr 08:00-18:00; PH off" --tz America/Chicago --country US-TX
  realmkit schedule hours "Mo-Sa 22:00-06:00" --tz Europe/Berlin --from 2027-03-26 --next 4d
  realmkit schedule hours --account acme     (all sites of accounts/acme.yml)
  realmkit schedule hours --account acme --shortest 2h --json | jq '.windows[0].start'
"""
)
@click.argument("hours", required=False)
@click.option("--tz", metavar="ZONE", help="IANA time zone of HOURS, such as Europe/Berlin.")
@click.option("--country", metavar="CODE", help="ISO 3166 country or subdivision, which PH needs: CU, DE-BY, US-TX.")
@click.option("--account", metavar="NAME", help="Take the sites of accounts/NAME.yml.")
@click.option("--from", "first", type=click.DateTime(["%Y-%m-%d"]), metavar="DATE", help="Begin then. [default: now]")
@click.option(
    "--next", "ahead", callback=_AHEAD, metavar="TIME", default="14d", show_default=True, help="How far to look."
)
@click.option(
    "--shortest", callback=_SHORTEST, metavar="TIME", default="1h", show_default=True, help="Leave shorter windows out."
)
@click.option(
    "--pad", callback=_MARGIN, metavar="TIME", default="30m", show_default=True, help="Keep this far from open hours."
)
@click.option(
    "--avoid-dst",
    callback=_MARGIN,
    metavar="TIME",
    default="3h",
    show_default=True,
    help="Keep this far from clock changes.",
)
@common
def hours(
    app: App, hours: str | None, *, tz: str | None, country: str | None, account: str | None, first: datetime | None,
    ahead: timedelta, shortest: timedelta, pad: timedelta, avoid_dst: timedelta,
) -> int:  # fmt: skip
    """Show when sites are open, and the quiet windows between.

    HOURS is opening-hours syntax, which docs/hours.md explains. Exits 0 when it can be read, 64 when not.
    """
    from realmkit.cli import show_schedule
    from realmkit.schedule.outlook import Settings

    sites = _sites(app, hours, tz, country, account)
    seen = _look(sites, first, ahead, Settings(pad, shortest, avoid_dst))
    app.emit("hours", lambda: show_schedule.outlook_json(seen), lambda: show_schedule.outlook_text(seen))
    return errors.OK


def _sites(app: App, hours: str | None, tz: str | None, country: str | None, account: str | None) -> list[Site]:
    """The sites of the account, or the one that the arguments describe."""
    from realmkit.schedule.hours import make_site

    if account is None:
        if hours is None:
            raise click.UsageError("say either HOURS with --tz, or --account NAME")
        if tz is None:
            raise click.UsageError("HOURS need --tz: the time zone in which they hold, such as Europe/Berlin")
        return [make_site("HOURS", hours, tz, country=country)]
    if hours is not None or tz is not None or country is not None:
        raise click.UsageError("--account NAME brings its own hours, zones and countries: leave the others out")
    return _account_sites(app, account)


def _account_sites(app: App, name: str) -> list[Site]:
    from realmkit.accountfile import open_account
    from realmkit.schedule.hours import site

    file = open_account(app.directory, name)
    found = []
    for number, entry in enumerate(file.account.sites):
        try:
            found.append(site(entry, file.account.timezone))
        except errors.InputError as error:
            raise file.document.error(("sites", number), error.message, error.hint) from error
    if not found:
        raise file.document.error((), "no sites, hence no opening hours", "list them under `sites:`")
    return found


def _look(sites: list[Site], first: datetime | None, ahead: timedelta, settings: Settings) -> Outlook:
    """Look ahead from now (to the minute), or from the local midnight of a date; whole days then end at midnight."""
    from realmkit.clock import SystemClock
    from realmkit.schedule import outlook, zones

    zone = sites[0].zone
    if first is None:
        since = SystemClock().now().replace(second=0, microsecond=0)
        return outlook.look(sites, since, since + ahead, settings)
    since = zones.day_start(zone, first.date())
    until = since + ahead if ahead % timedelta(days=1) else zones.day_start(zone, first.date() + ahead)
    return outlook.look(sites, since, until, settings)
