from __future__ import annotations

import fcntl
import os
import shutil
import stat
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from realmkit.dns import names
from realmkit.dns import records as rr
from realmkit.dns.plan import Change
from realmkit.dns.provider import Provider, Receipt
from realmkit.dns.zonefiles import zonetext
from realmkit.errors import (
    ConflictError,
    InputError,
    OutcomeUnknownError,
    RefusedError,
    RejectedError,
)
from tests.unit.make import ZONE, rrset
from tests.unit.zoneplace import NAME, NOW, TEXT, Place, acme, in_child, lowered, lowering, refusal
from tests.unit.zonetexts import HEAD, by_dnspython

if TYPE_CHECKING:
    from realmkit.dns.records import Zone

CHECKZONE = shutil.which("named-checkzone", path="/usr/bin:/usr/sbin:/bin:/sbin")


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


@pytest.fixture
def included(place: Place) -> Place:
    return place.include()


# --- reading and writing ---------------------------------------------------------------------------------------------


def test_it_has_the_providers_shape(place: Place) -> None:
    provider: Provider = place.provider()
    assert provider.capabilities.atomic
    assert provider.capabilities.cas == "zone"
    assert not provider.capabilities.settles
    assert provider.settled(Receipt("x"))
    assert provider.weigh([Change(None, acme("192.0.2.1"))]) == (1, 0)


def test_what_is_read_is_what_dnspython_reads(place: Place) -> None:
    zone = place.provider().snapshot(ZONE)
    assert zone.rrsets == by_dnspython(TEXT)
    assert zone.serial == 2026112201
    assert len(zone.token) == 64


def test_a_change_keeps_everything_else_and_can_be_followed_by_another(place: Place) -> None:
    provider = place.provider()
    zone = provider.snapshot(ZONE)
    receipt = provider.apply(ZONE, lowering(zone), zone.token)
    assert place.file.read_text() == lowered(TEXT)
    assert receipt.serial == 2026112202
    assert receipt.token == provider.snapshot(ZONE).token != zone.token
    new = rrset("_sip._udp.acme.voice.example.com", "SRV", "10 50 5060 edge.example.net.")
    second = provider.apply(ZONE, [Change(None, new)], receipt.token)
    assert provider.snapshot(ZONE).rrsets[new.key] == new
    assert second.serial == 2026112203
    assert second.token == provider.snapshot(ZONE).token


def test_the_previous_version_is_kept_or_not(place: Place) -> None:
    place.lower_ttl(backup=False)
    assert set(place.files()) == {NAME}
    place.file.write_text(TEXT)
    place.lower_ttl()
    assert place.files() == {NAME: lowered(TEXT).encode(), f"{NAME}.realmkit-old": TEXT.encode()}


def test_no_changes_write_nothing(place: Place) -> None:
    provider = place.provider(check="false", reload="false")
    zone = provider.snapshot(ZONE)
    assert provider.apply(ZONE, [], zone.token) == Receipt(zone.token, 2026112201)
    assert place.files() == {NAME: TEXT.encode()}


def test_line_ends_and_odd_octets_survive(place: Place) -> None:
    data = TEXT.replace("\n", "\r\n").encode().replace(b"the end\r\n", b"caf\xe9 \xff\xc3\xa9")
    place.file.write_bytes(data)
    place.lower_ttl()
    assert place.file.read_bytes() == data.replace(b"acme  A", b"acme  60 A").replace(b"2026112201", b"2026112202")


def test_mode_and_owner_stay(place: Place) -> None:
    place.file.chmod(0o640)
    if os.geteuid() == 0:
        os.chown(place.file, 12345, 54321)
    before = place.file.stat()
    place.lower_ttl()
    after = place.file.stat()
    assert (after.st_mode, after.st_uid, after.st_gid) == (before.st_mode, before.st_uid, before.st_gid)
    assert after.st_ino != before.st_ino
    old = (place.directory / f"{NAME}.realmkit-old").stat()
    assert (old.st_mode, old.st_uid) == (before.st_mode, before.st_uid)
    assert stat.S_IMODE((place.directory / f".{NAME}.realmkit-lock").stat().st_mode) & 0o007 == 0


def test_extended_attributes_stay(place: Place) -> None:
    try:
        os.setxattr(place.file, "user.note", b"ours")
    except OSError:
        pytest.skip("no extended attributes on this file system")
    place.lower_ttl()
    assert os.getxattr(place.file, "user.note") == b"ours"


def test_a_link_stays_a_link(place: Place) -> None:
    real = place.directory / "real" / "zone.db"
    real.parent.mkdir()
    place.file.rename(real)
    place.file.symlink_to("real/zone.db")
    place.lower_ttl()
    assert place.file.is_symlink()
    assert real.read_text() == lowered(TEXT)
    assert (real.parent / "zone.db.realmkit-old").read_text() == TEXT


def test_where_the_file_is(place: Place) -> None:
    (place.directory / "zones").mkdir()
    shutil.copy(place.file, place.directory / "zones/v.db")
    assert place.provider(file="zones/v.db").snapshot(ZONE).serial == 2026112201
    assert place.provider(file=str(place.file)).snapshot(ZONE).serial == 2026112201


# --- $INCLUDE --------------------------------------------------------------------------------------------------------


def test_only_the_files_that_change_are_written(included: Place) -> None:
    before = {path: path.stat().st_ino for path in included.directory.iterdir()}
    receipt = included.lower_ttl()
    changed = {path.name for path, inode in before.items() if path.stat().st_ino != inode}
    assert changed == {NAME, "more.inc"}
    assert (included.directory / "more.inc").read_text() == "acme 60 A 192.0.2.1\n"
    assert (included.directory / "more.inc.realmkit-old").read_text() == "acme A 192.0.2.1\n"
    assert receipt.token == included.provider().snapshot(ZONE).token
    assert not [name for name in included.files() if name.startswith(".")]


def test_includes_start_where_the_server_has_them_start(included: Place) -> None:
    zones = included.directory / "zones"
    zones.mkdir()
    included.file.rename(zones / NAME)
    with pytest.raises(InputError, match=rf"{NAME}:7: \$INCLUDE customers.inc: No such file or directory"):
        included.lower_ttl(file="zones/{zone}.zone")
    included.lower_ttl(file="zones/{zone}.zone", include_dir=".")
    assert (included.directory / "more.inc").read_text() == "acme 60 A 192.0.2.1\n"


def test_an_included_file_counts_for_the_token(included: Place) -> None:
    provider = included.provider()
    zone = provider.snapshot(ZONE)
    (included.directory / "other file").write_text("gamma A 192.0.2.4\n")
    before = included.files()
    with pytest.raises(ConflictError, match="was changed since it was read"):
        provider.apply(ZONE, lowering(zone), zone.token)
    assert included.files() == before


# --- check and reload ------------------------------------------------------------------------------------------------

PRINT = [sys.executable, "-c", "import sys, pathlib; pathlib.Path('seen').write_text(repr(sys.argv[1:]))"]


def test_commands_get_zone_and_file_and_no_shell(place: Place) -> None:
    command = (*PRINT, "{zone}", "a;b $HOME", "{file}")
    place.lower_ttl(reload=command)
    assert (place.directory / "seen").read_text() == repr(["voice.example.com", "a;b $HOME", str(place.file)])
    place.file.write_text(TEXT)
    place.lower_ttl(check=f"{PRINT[0]} -c \"{PRINT[2]}\" 'x {{zone}}' {{file}}")
    new = str(place.directory / f".{NAME}.realmkit-new")
    assert (place.directory / "seen").read_text() == repr(["x voice.example.com", new])


def test_a_check_that_fails_changes_nothing_and_is_quoted(place: Place) -> None:
    command = (sys.executable, "-c", "import sys; print('line 7: bad owner'); sys.exit(3)")
    with pytest.raises(RejectedError, match=r"(?s)nothing was changed: `.*` ended with 3: line 7: bad owner"):
        place.lower_ttl(check=command)
    assert place.files() == {NAME: TEXT.encode()}


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("no-such-program-anywhere {file}", "can't be run: .*No such file or directory: 'no-such-program-anywhere'"),
        ("", "can't be run"),
        ("unclosed 'quote", "can't be split into words: No closing quotation"),
        ("sleep 30", "did not end within 0.2 seconds"),
        ("sh -c 'sleep 30 & wait'", "did not end within 0.2 seconds"),
    ],
)
def test_a_check_that_can_not_be_run_changes_nothing(command: str, message: str, place: Place) -> None:
    start = time.monotonic()
    with pytest.raises(RejectedError, match=message):
        place.lower_ttl(check=command, command_timeout=0.2)
    assert place.files() == {NAME: TEXT.encode()}
    assert time.monotonic() - start < 10


def test_a_reload_that_fails_says_that_the_records_are_written(place: Place) -> None:
    with pytest.raises(OutcomeUnknownError) as caught:
        place.lower_ttl(reload="sh -c 'echo rndc: connect failed; exit 1'")
    assert "1 RRsets are written, but the name server may not serve them yet" in caught.value.message
    assert "rndc: connect failed" in caught.value.message
    assert place.file.read_text() == lowered(TEXT)


def test_a_reload_that_leaves_a_daemon_behind_is_not_waited_for(place: Place) -> None:
    start = time.monotonic()
    place.lower_ttl(reload="sh -c 'sleep 3 & exit 0'")
    assert time.monotonic() - start < 2.5


def without_address(zone: Zone) -> Change:
    """Name a server for the zone that has no address: nothing that realmkit looks at, and no server would load it."""
    return Change(zone.rrsets[ZONE, rr.NS], rrset("voice.example.com", "NS", "nowhere.voice.example.com."))


@pytest.mark.skipif(CHECKZONE is None, reason="named-checkzone is not installed")
def test_named_checkzone_decides(place: Place) -> None:
    check = f"{CHECKZONE} {{zone}} {{file}}"
    place.lower_ttl(check=check)
    assert place.file.read_text() == lowered(TEXT)
    provider = place.provider(check=check)
    zone = provider.snapshot(ZONE)
    with pytest.raises(RejectedError, match=r"(?s)NS 'nowhere\.voice\.example\.com' has no address records"):
        provider.apply(ZONE, [without_address(zone)], zone.token)
    assert place.file.read_text() == lowered(TEXT)
    assert set(place.files()) == {NAME, f"{NAME}.realmkit-old"}


@pytest.mark.skipif(CHECKZONE is None, reason="named-checkzone is not installed")
def test_named_checkzone_sees_included_files_that_are_not_in_place_yet(included: Place) -> None:
    check = f"{CHECKZONE} {{zone}} {{file}}"  # the zone's own server is `acme`, whose address is in an included file
    included.file.write_text(included.file.read_text().replace("@ NS ns1", "@ NS acme"))
    provider = included.provider(check=check)
    zone = provider.snapshot(ZONE)
    before = included.files()
    with pytest.raises(RejectedError, match=r"(?s)NS 'acme\.voice\.example\.com' has no address records"):
        provider.apply(ZONE, [Change(zone.rrsets[acme("192.0.2.1").key], None)], zone.token)
    assert included.files() == before
    included.lower_ttl(check=check)
    assert (included.directory / "more.inc").read_text() == "acme 60 A 192.0.2.1\n"
    assert not [name for name in included.files() if name.startswith(".")]


# --- what is refused -------------------------------------------------------------------------------------------------


def journal(serial: int) -> bytes:
    """The header of a journal, as BIND 9.18 wrote it."""
    return b";BIND LOG V9.2\n\0" + b"".join(n.to_bytes(4, "big") for n in (1, 512, serial, 679)) + bytes(480)


def test_a_journal_means_that_the_file_is_binds(place: Place) -> None:
    (place.directory / f"{NAME}.jnl").write_bytes(journal(2026112201))
    assert place.provider().snapshot(ZONE).serial == 2026112201
    error = refusal(place)
    assert "BIND keeps a journal, so the zone is dynamic" in error.message
    assert "rfc2136" in str(error.hint)
    place.lower_ttl(allow_journal=True)


@pytest.mark.parametrize("content", [journal(2026112202), b"", b"who knows"])
def test_a_journal_that_is_ahead_makes_the_file_useless(content: bytes, place: Place) -> None:
    (place.directory / f"{NAME}.jnl").write_bytes(content)
    with pytest.raises(RejectedError, match=rf"is behind its journal {NAME}\.jnl: the file has serial 2026112201"):
        place.provider().snapshot(ZONE)
    assert "behind its journal" in refusal(place, allow_journal=True).message


def test_a_binary_file_is_refused(place: Place) -> None:
    place.file.write_bytes(bytes([0, 0, 0, 2, 0, 0, 0, 1]) + TEXT.encode())
    error = refusal(place)
    assert "masterfile-format raw" in error.message
    assert "named-compilezone" in str(error.hint)


def test_a_signed_file_is_refused(place: Place) -> None:
    place.file.write_text(TEXT + "@ RRSIG SOA 8 3 300 20300101000000 20200101000000 1 @ aaaa\n")
    assert "holds RRSIG records" in refusal(place).message


def test_a_missing_file_is_refused(place: Place) -> None:
    error = refusal(place, file="zones/{zone}.db")
    assert error.message == f"{place.directory}/zones/voice.example.com.db: no such zone file"
    assert "{zone}" in str(error.hint)


def test_a_file_that_can_not_be_read_is_refused(place: Place) -> None:
    place.file.unlink()
    place.file.mkdir()
    with pytest.raises(RejectedError, match="can't be read: Is a directory"):
        place.provider().snapshot(ZONE)


def test_a_zone_with_a_slash_needs_a_file_of_its_own(place: Place) -> None:
    zone = names.from_text("0/25.2.0.192.in-addr.arpa.")
    with pytest.raises(RejectedError, match="has a slash in its name"):
        place.provider().snapshot(zone)
    place.file.write_text(HEAD)
    assert place.provider(file=NAME).snapshot(zone).serial == 2026112201


def test_a_syntax_error_names_file_and_line(place: Place) -> None:
    provider = place.provider()
    zone = provider.snapshot(ZONE)
    place.file.write_text(TEXT + "broken\n")
    for attempt in (lambda: provider.snapshot(ZONE), lambda: provider.apply(ZONE, lowering(zone), zone.token)):
        with pytest.raises(InputError, match=rf"{NAME}:10: no record type in this line"):
            attempt()


def test_generated_records_are_refused(place: Place) -> None:
    place.file.write_text(HEAD + "$GENERATE 1-1 acme A 192.0.2.$\n")
    assert "comes from $GENERATE" in refusal(place, RefusedError).message


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to become someone else")
def test_someone_elses_file_is_refused(place: Place, tmp_path: Path) -> None:
    for path in (tmp_path, *tmp_path.parents[:3]):
        path.chmod(path.stat().st_mode | 0o777 if path == tmp_path else path.stat().st_mode | 0o055)
    place.file.chmod(0o644)

    def attempt() -> None:
        os.setgid(54321)
        os.setuid(12345)
        with pytest.raises(RejectedError, match="can't be written: Operation not permitted; nothing was changed"):
            place.lower_ttl()

    assert in_child(attempt) == 0
    assert place.files() == {NAME: TEXT.encode()}


# --- others at work --------------------------------------------------------------------------------------------------


def test_an_editor_between_plan_and_apply_is_a_conflict(place: Place) -> None:
    provider = place.provider()
    zone = provider.snapshot(ZONE)
    place.file.write_text(TEXT + "; a thought\n")
    with pytest.raises(ConflictError, match="was changed since it was read"):
        provider.apply(ZONE, lowering(zone), zone.token)
    assert place.files() == {NAME: (TEXT + "; a thought\n").encode()}


def test_an_editor_at_work_during_the_apply_is_a_conflict(included: Place) -> None:
    before = included.files()
    edit = f"import pathlib; p = pathlib.Path('{included.directory}/other file'); p.write_text(p.read_text() + ';')"
    with pytest.raises(ConflictError, match="was changed since it was read"):
        included.lower_ttl(check=(sys.executable, "-c", edit))
    assert included.files() == {**before, "other file": b"gamma A 192.0.2.3\n;"}


def test_a_plan_that_does_not_fit_is_a_conflict(place: Place) -> None:
    provider = place.provider()
    zone = provider.snapshot(ZONE)
    with pytest.raises(ConflictError, match=r"acme\.voice\.example\.com\. A is no longer what it was"):
        provider.apply(ZONE, [Change(None, acme("192.0.2.1"))], zone.token)
    assert place.files() == {NAME: TEXT.encode()}


def test_of_two_at_once_one_is_told_to_wait(place: Place) -> None:
    slow = place.provider(check="sleep 0.5")
    zone = slow.snapshot(ZONE)
    outcomes: list[str] = []

    def attempt() -> None:
        try:
            slow.apply(ZONE, lowering(zone), zone.token)
            outcomes.append("written")
        except ConflictError as error:
            outcomes.append(error.message)

    threads = [threading.Thread(target=attempt) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == [f"{place.file}: another run of realmkit is just writing it", "written"]
    assert place.file.read_text() == lowered(TEXT)


def test_of_two_one_after_the_other_the_second_is_told_of_the_first(place: Place) -> None:
    one, two = place.provider(), place.provider()
    zone = one.snapshot(ZONE)
    one.apply(ZONE, lowering(zone), zone.token)
    with pytest.raises(ConflictError, match="was changed since it was read"):
        two.apply(ZONE, lowering(zone), zone.token)


# --- the lock --------------------------------------------------------------------------------------------------------


def test_the_lock_is_let_go_whatever_happens(place: Place) -> None:
    refusal(place, check="false")
    lock = place.directory / f".{NAME}.realmkit-lock"
    with lock.open() as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_a_serial_follows_the_projects_clock(place: Place) -> None:
    place.file.write_text(TEXT.replace("2026112201", "2025010199"))
    assert place.lower_ttl().serial == zonetext.next_serial(2025010199, NOW) == 2026112201
    assert place.provider().snapshot(ZONE).rrsets[ZONE, rr.SOA].rdata
