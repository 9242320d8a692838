"""The demo: a realm's records, and a customer of twenty phones moved to it, on this machine alone.

Every command is run as a user would run it, in a process of its own, in a temporary project, against a whole platform
on loopback: name server, Crossbar, SIP edge, web server, and phones that speak DNS, HTTP and SIP.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

from realmkit import errors
from realmkit.clock import SystemClock
from realmkit.dns import names
from realmkit.errors import RealmkitError
from realmkit.sandbox.cluster import Generation
from realmkit.sandbox.platform import EXPIRES, OLD_ZONE, Customer, Platform
from realmkit.schedule.zones import zone as time_zone

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

ZONE: Final = "voice.example.com"
ACME: Final = f"vru8a3q.{OLD_ZONE}"
GLOBEX: Final = f"8dijd6.{OLD_ZONE}"
_PATIENCE: Final = 120.0
_SETTLING: Final = 20.0  # seconds in which a phone that is just registering again shows
# Somewhere it is night: time zones without daylight saving, each with a country for its holidays.
_PLACES: Final = (
    ("Pacific/Honolulu", "US-HI"), ("America/Bogota", "CO"), ("Africa/Abidjan", "CI"), ("Asia/Dubai", "AE"),
    ("Asia/Tokyo", "JP"),
)  # fmt: skip
_NIGHT: Final = (20, 3)  # from that hour until before this one, well inside the closed hours

CONFIG: Final = """\
version: 1
platform:
  kazoo: {{url: "{api}", api_key: "file:api.key"}}
  edge:
    proxies: [{{host: us-east.example.net, addresses: [127.0.0.1]}}]
    transports: {{udp: {port}}}
    mail: [{{host: mx1.example.net, preference: 10}}]
providers:
  files: {{type: zonefile, file: "zones/{{zone}}.zone"}}
zones:
  voice.example.com: {{provider: files, nameservers: ["{server}"]}}
realms:
  acme.voice.example.com: {{account: acme, shape: {shape}}}
  globex.voice.example.com: {{account: globex}}
phones:
  publish: {{type: directory, path: platform/published}}
  expires: {expires}
policy: {{ttl: 4, migration_ttl: 1, allow_private_addresses: true}}
"""

ACCOUNT: Final = """\
name: {name}
timezone: {timezone}
sites: [{{name: HQ, country: {country}, hours: "Mo-Su 08:00-18:00; PH off"}}]
"""

ZONEFILE: Final = """\
; voice.example.com - kept by hand since 2014, and every comment matters to somebody
$TTL 3600
@       IN SOA ns1 hostmaster (
            2026112200 ; serial, by date
            7200       ; refresh
            900        ; retry
            1209600    ; expire
            2 )        ; how long an absence is remembered
        IN NS  ns1
ns1     IN A   127.0.0.1

; all generated realms live on these two
*       IN A   127.0.0.1
*       IN MX  10 mx1.example.net.
"""

HALF: Final = """
; somebody's quick fix of last week
_sip._udp.acme IN SRV 10 50 5060 us-east.example.net.
"""


class Teller(Protocol):
    """Who tells the story."""

    def scene(self, title: str, text: str) -> None:
        """Begin a scene."""

    def note(self, text: str) -> None:
        """Say something."""

    def command(self, args: Sequence[str], output: str, code: int) -> None:
        """Show a command and what it printed."""

    def end(self, text: str) -> None:
        """The last words."""


class DemoError(RealmkitError):
    """The demo did not go as it should: a defect, or a machine without loopback."""


def play(teller: Teller, keep: Path | None, generation: str) -> int:
    """Tell the whole story.

    Args:
        teller: shows it.
        keep: build the project here and leave it; None for a temporary directory.
        generation: of the platform, `2024` or `2026`.

    Raises:
        DemoError: a command ended otherwise than the story needs.
    """
    with _place(keep) as directory:
        zone_file = directory / "zones" / f"{ZONE}.zone"
        zone_file.parent.mkdir(parents=True, exist_ok=True)
        zone_file.write_text(ZONEFILE + HALF, encoding="utf-8")
        with Platform(
            directory / "platform", names.absolute(ZONE), zone_file, SystemClock(), Generation(generation),
            (ACME, GLOBEX),
        ) as platform:  # fmt: skip
            _Demo(teller, directory, zone_file, platform).play()
    teller.end("That was the demo.")
    return errors.OK


class _Demo:
    def __init__(self, teller: Teller, directory: Path, zone_file: Path, platform: Platform) -> None:
        self._teller = teller
        self._directory = directory
        self._zone_file = zone_file
        self._platform = platform

    def play(self) -> None:
        self._trap()
        self._set_up()
        self._plan()
        self._move()
        self._turn_back()

    def _trap(self) -> None:
        self._teller.scene(
            "The trap", "A reseller's zone serves all realms by a wildcard. Somebody gave one realm an SRV record of "
            "its own. Nobody has noticed yet that this ended the wildcard for it: no address, no fax mail (RFC 4592).",
        )  # fmt: skip
        self._run(["init"], errors.OK)
        self._teller.note("The demo's own realmkit.yml takes the place of that one; its realm is `shape: shared`.")
        self._configure("shared")
        self._run(["dns", "lint", f"acme.{ZONE}"], errors.CRITICAL)
        self._teller.note(
            "So the realm gets a complete set of its own: `shape: explicit`. The SRV record was not made by realmkit, "
            "so it won't touch it until it is told to:"
        )
        self._configure("explicit")
        self._run(["dns", "plan", f"acme.{ZONE}", "--check"], errors.CRITICAL)
        self._run(["dns", "adopt", f"acme.{ZONE}", "--yes"], errors.OK)

    def _set_up(self) -> None:
        self._acme = self._platform.add_customer("Acme", ACME, 20, deaf=1)
        self._globex = self._platform.add_customer("Globex", GLOBEX, 6)
        timezone, country = night_somewhere(SystemClock().now())
        accounts = self._directory / "accounts"
        accounts.mkdir(exist_ok=True)
        for customer in (self._acme, self._globex):
            text = ACCOUNT.format(name=customer.name, timezone=timezone, country=country)
            (accounts / f"{customer.name.lower()}.yml").write_text(text, encoding="utf-8")
        self._timezone = timezone

    def _plan(self) -> None:
        self._teller.scene(
            "Plan and rehearse", f"Acme has twenty phones at the generated realm {ACME}; they are to carry the "
            f"customer's name. Acme works in {self._timezone}, where it is night now. The plan says which phones go "
            "when. Nothing is changed, and the whole of it can be played through first, on a made-up platform in "
            "made-up time, here with a phone that ignores every check-sync.",
        )  # fmt: skip
        generation = self._platform.cluster.generation.value
        self._run(["migrate", "plan", "acme", "--set", "share=90%"], errors.OK)
        self._run(["migrate", "rehearse", "acme", "--deaf", "1", "--generation", generation], errors.OK)

    def _move(self) -> None:
        self._teller.scene(
            "Move", "Phone by phone: its new configuration is published, the platform is told that it may register at "
            "the new realm, a check-sync makes it fetch, and it is seen there before its old registration is dropped. "
            "The account's realm comes last: afterwards the platform could not reach a phone at the old one.",
        )  # fmt: skip
        self._teller.note("The demo can't wait for four nights, so the same move is planned again in a hurry.")
        began = SystemClock().now()
        self._run(["migrate", "plan", "acme", *_HASTE], errors.OK, quiet=True)
        self._run(["migrate", "run", "acme"], errors.WAITING)
        self._run(["migrate", "approve", "acme", "--as", "Jane Doe"], errors.OK)
        self._run(["migrate", "run", "acme"], errors.OK)
        self._run(["migrate", "status", "acme"], errors.OK)
        self._run(["dns", "verify", f"acme.{ZONE}", "--quiet"], errors.OK)
        self._await_phones({f"acme.{ZONE}": 19, ACME: 1})
        self._teller.note(
            "Nineteen phones are at the new realm. The deaf one was pinned to the old realm, where it goes on ringing "
            f"until somebody looks after it. {self._darkness(self._acme, began)}"
        )

    def _turn_back(self) -> None:
        self._teller.scene(
            "A fault, and back", "Globex is next. In its second wave the platform refuses a phone's document, by a "
            "check that is newer than the document. That phone stays as it is, the wave's gate holds, and somebody "
            "decides to turn back: phones, documents, configurations, realm and DNS become what they were.",
        )  # fmt: skip
        before = self._everything(self._globex)
        self._platform.cluster.switches.refused_devices.add(self._globex.devices[2])
        self._run(["migrate", "plan", "globex", *_HASTE, "--set", "waves=1,50%,100%", "--json"], errors.OK, quiet=True)
        self._run(["migrate", "approve", "globex", "--as", "Jane Doe"], errors.OK)
        self._run(["migrate", "run", "globex"], errors.CRITICAL)
        self._platform.cluster.switches.refused_devices.clear()
        self._run(["migrate", "rollback", "globex", "--yes", "--why", "refused document"], errors.OK)
        after = self._everything(self._globex)
        differing = [name for name, content in before.items() if after[name] != content]
        if differing:
            raise DemoError(f"after the rollback these differ from before: {differing}")
        self._await_phones({GLOBEX: len(self._globex.devices)})
        self._teller.note(
            "Compared byte for byte: device documents, configuration files, the account, and the zone file but for "
            "its serial. All six phones are registered where they were."
        )

    def _await_phones(self, wanted: dict[str, int]) -> None:
        """See so many phones at each realm. One may be about to register again just now, so this waits a little.

        Raises:
            DemoError: they are not there in time.
        """
        clock = SystemClock()
        deadline = clock.monotonic() + _SETTLING
        while (seen := {realm: self._platform.registered_at(realm) for realm in wanted}) != wanted:
            if clock.monotonic() >= deadline:
                raise DemoError(f"registered are {seen}, and should be {wanted}")
            clock.sleep(0.2)

    def _configure(self, shape: str) -> None:
        platform = self._platform
        text = CONFIG.format(
            api=platform.api_url, port=platform.sip_port, server=platform.name_server, shape=shape, expires=EXPIRES
        )
        (self._directory / "realmkit.yml").write_text(text, encoding="utf-8")
        (self._directory / "api.key").write_text(platform.cluster.api_key(platform.reseller), encoding="utf-8")

    def _everything(self, customer: Customer) -> dict[str, object]:
        """What a rollback has to bring back."""
        cluster = self._platform.cluster
        found: dict[str, object] = {device: cluster.document(device) for device in customer.devices}
        found |= {file: (self._platform.published / file).read_bytes() for file in customer.files}
        found["account"] = cluster.document(customer.account)
        lines = self._zone_file.read_text(encoding="utf-8").splitlines()
        found["zone"] = [line for line in lines if "serial" not in line]
        return found

    def _darkness(self, customer: Customer, since: datetime) -> str:
        now = SystemClock().now()
        cluster = self._platform.cluster
        times = sorted(cluster.dark_time(device, since, now) / timedelta(seconds=1) for device in customer.devices)
        return (
            f"For how long a call to a phone would have failed: {times[len(times) // 2]:.1f} s (median), "
            f"{times[int(len(times) * 0.9)]:.1f} s (90 %), {times[-1]:.1f} s (the deaf one)."
        )

    def _run(self, args: Sequence[str], expected: int, *, quiet: bool = False) -> None:
        result = subprocess.run(  # noqa: S603 - our own command line, with our own arguments
            [sys.executable, "-m", "realmkit", *args],
            cwd=self._directory, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True, check=False, timeout=_PATIENCE,
        )  # fmt: skip
        if not quiet or result.returncode != expected:
            self._teller.command(args, result.stdout, result.returncode)
        if result.returncode != expected:
            raise DemoError(f"`realmkit {' '.join(args)}` ended with {result.returncode}, not {expected}")


_HASTE: Final = (
    "--set", "bake=0s", "--set", "watch=1s", "--set", "arrive=8s", "--set", "again=2s", "--set", "idle=5s",
    "--set", "refresh=45s", "--set", "share=90%",
)  # fmt: skip


def night_somewhere(now: datetime) -> tuple[str, str]:
    """A time zone where it is the middle of the night now, and its country."""
    for timezone, country in _PLACES:
        hour = now.astimezone(time_zone(timezone)).hour
        if hour >= _NIGHT[0] or hour < _NIGHT[1]:
            return timezone, country
    raise DemoError("it is night nowhere")


@contextmanager
def _place(keep: Path | None) -> Iterator[Path]:
    if keep is not None:
        keep.mkdir(parents=True, exist_ok=True)
        yield keep
        return
    with tempfile.TemporaryDirectory(prefix="realmkit-demo.") as directory:
        yield Path(directory)
