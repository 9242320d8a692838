"""Zones in zone files: BIND, Knot DNS, NSD, or anything else that reads the format of RFC 1035.

The user's comments, order, $TTL and $INCLUDE stay; only lines that must change do. A write is locked, compared with
what the plan was made on, checked by a program of the user's choice, and put in place by rename.
"""

from __future__ import annotations

import hashlib
import os
import shlex
import signal
import subprocess
import tempfile
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar

from msgspec import Meta, structs

from realmkit.dns import names, provider
from realmkit.dns import records as rr
from realmkit.dns.provider import Capabilities, Receipt, Weight
from realmkit.dns.zonefiles import zonefile, zonetext
from realmkit.dns.zonefiles.zoneentries import Source
from realmkit.errors import ConflictError, OutcomeUnknownError, ProviderError, RejectedError, UnreachableError
from realmkit_providers import swap

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from realmkit.dns.names import Name
    from realmkit.dns.plan import Change
    from realmkit.dns.provider import Context
    from realmkit.dns.records import Zone
    from realmkit.dns.zonefiles.zoneentries import ZoneText

_ZONEMD = 63
_SHOWN = 2000  # characters of a command's output that an error quotes
_AGAIN = "run the same command again"


class ZoneFileSettings(provider.Settings, frozen=True):
    """Where the files are and which programs to run.

    Attributes:
        file: the zone's file, from the project directory on; `{zone}` stands for the zone's name without final dot.
        include_dir: where relative $INCLUDE paths start, as the name server has it (BIND's `directory`); without it,
            the directory of the zone's file. Commands run there too.
        check: checks the new file before it takes the old one's place, for example
            `named-checkzone {zone} {file}`; run without a shell, `{file}` is the new file.
        reload: tells the name server afterwards, for example `rndc reload {zone}`.
        backup: keep the previous version beside each changed file as FILE.realmkit-old.
        allow_journal: write although BIND keeps a journal FILE.jnl, because the zone is edited by hand and the
            journal comes from inline-signing or ixfr-from-differences.
        command_timeout: seconds that each command may take.
    """

    file: str
    include_dir: str | None = None
    check: str | tuple[str, ...] | None = None
    reload: str | tuple[str, ...] | None = None
    backup: bool = True
    allow_journal: bool = False
    command_timeout: Annotated[float, Meta(gt=0)] = 60


class ZoneFile:
    """Zone files on this machine, edited in place: comments, order, $TTL and $INCLUDE stay."""

    Settings: ClassVar[type[provider.Settings]] = ZoneFileSettings
    capabilities: ClassVar[Capabilities] = Capabilities(atomic=True, cas="zone", local=True)

    def __init__(self, settings: ZoneFileSettings, context: Context) -> None:
        self._settings = settings
        self._context = context

    def snapshot(self, zone: Name) -> Zone:
        """Read the zone's file and all that it includes.

        Raises:
            RejectedError: no such file, no text, or BIND's journal is ahead of it. InputError: a syntax error, with
            file and line. UnreachableError: another run is just writing it.
        """
        files = self._files(zone)
        with _reading():
            if swap.hidden(files.main, "apply").exists():
                with self._locked(files, UnreachableError):
                    self._finish(files)
            found = zonefile.read(files.source(), zone, files.include)
            self._check_journals(files, found.serial or 0, writing=False)
        return structs.replace(found, token=files.token())

    def apply(self, zone: Name, changes: Sequence[Change], token: str) -> Receipt:
        """Edit the zone's files, check them, put them in place, and tell the name server.

        Raises:
            ConflictError: the files changed since the token, or another run is writing them.
            RejectedError: the checker says no; a journal of BIND; a signed file; a file of another owner.
            RefusedError: a change touches $GENERATE or a file included twice. Nothing was changed.
            ProviderError: the disk is full or fails. Nothing was changed.
            OutcomeUnknownError: the files are written, but the reload command failed.
        """
        files = self._files(zone)
        with self._locked(files, ConflictError):
            self._finish(files)
            with _reading():
                text = zonefile.read_entries(files.source(), zone, files.include)
                before = zonefile.zone_of(text)
                self._check_journals(files, before.serial or 0, writing=True)
            if files.token() != token:
                raise _moved(files)
            _check_unsigned(files, before)
            if not changes:
                return Receipt(token, before.serial)
            serial = zonetext.next_serial(before.serial or 0, self._context.clock.now())
            after = zonetext.edit(text, changes, serial)
            new = {path: one.encode("latin-1") for path, one in zonetext.changed_files(text, after).items()}
            self._write(zone, files, after, new)
            self._reload(zone, files, len(changes))
        return Receipt(files.token(new), serial)

    def settled(self, receipt: Receipt) -> bool:  # noqa: ARG002 - the contract's signature
        """A file is in force once it is written and loaded."""
        return True

    def weigh(self, changes: Sequence[Change]) -> Weight:
        """Files have no limits; a change counts one."""
        return Weight(len(changes), 0)

    # --- where things are --------------------------------------------------------------------------------------------

    def _files(self, zone: Name) -> _Files:
        text = _zone_text(zone)
        if "{zone}" in self._settings.file and "/" in text:
            raise RejectedError(
                f"the zone {text} has a slash in its name, which can't be part of a file name",
                hint="give this zone a provider of its own whose file: is written out without {zone}",
            )
        here = self._context.directory
        main = here / Path(self._settings.file.replace("{zone}", text)).expanduser()
        start = here / Path(self._settings.include_dir).expanduser() if self._settings.include_dir else None
        if not os.path.lexists(main):
            raise RejectedError(
                f"{main}: no such zone file",
                hint="file: of the provider says where it is; {zone} in it stands for the zone's name",
            )
        return _Files(main, start)

    @contextmanager
    def _locked(self, files: _Files, when_held: type[ProviderError]) -> Iterator[None]:
        with ExitStack() as stack:
            try:
                stack.enter_context(swap.locked(files.main))
            except BlockingIOError:
                raise when_held(f"{files.main}: another run of realmkit is just writing it", hint=_AGAIN) from None
            except OSError as error:
                raise _disk(files.main, "can't be locked", error) from error
            yield

    # --- guards ------------------------------------------------------------------------------------------------------

    def _check_journals(self, files: _Files, serial: int, *, writing: bool) -> None:
        """Refuse where BIND keeps changes of a zone that its file does not have, or may not expect us to edit it."""
        for journal in files.journals():
            last = _journal_serial(journal)
            if last is None or rr.serial_newer(last, serial):
                raise RejectedError(
                    f"{files.main} is behind its journal {journal.name}: the file has serial {serial}, the zone "
                    f"{'an unknown one' if last is None else last}",
                    hint="a dynamic zone is changed through the rfc2136 provider; to edit the file: rndc freeze ZONE",
                )
            if writing and not self._settings.allow_journal:
                raise RejectedError(
                    f"{journal} exists: BIND keeps a journal, so the zone is dynamic and its file is BIND's to write",
                    hint="use the rfc2136 provider; if the zone is edited by hand and the journal comes from "
                    "inline-signing or ixfr-from-differences, set allow_journal: true",
                )

    def _finish(self, files: _Files) -> None:
        """Finish what a killed run left half done."""
        log = swap.hidden(files.main, "apply")
        try:
            swap.finish(log)
        except swap.UnfinishedError as error:
            raise RejectedError(
                f"{files.main}: an earlier run was cut short between two files, and {error.target} was changed since",
                hint=f"compare the files, raise the serial, then remove {log}",
            ) from error
        except (OSError, ValueError) as error:
            raise ProviderError(f"{log}: what an earlier run left half done can't be finished: {error}") from error

    # --- writing -----------------------------------------------------------------------------------------------------

    def _write(self, zone: Name, files: _Files, after: ZoneText, new: Mapping[str, bytes]) -> None:
        targets = {Path(path): data for path, data in new.items()}
        try:
            _clear(Path(path) for path in files.data)  # what a killed run left behind
            steps = [
                swap.Step(swap.write_beside(path, "new", data), path, files.digest(path), swap.digest(data))
                for path, data in targets.items()
            ]
            self._check(zone, files, after, new)
            if self._settings.backup:
                backups = [(swap.write_beside(path, "backup", files.data[str(path)]), path) for path in targets]
            files.check_unmoved()
            if self._settings.backup:
                for backup, path in backups:
                    backup.replace(path.with_name(f"{path.name}.realmkit-old"))
        except OSError as error:
            _clear(targets)
            raise _disk(files.main, "can't be written", error) from error
        except BaseException:
            _clear(targets)
            raise
        _put_in_place(steps, swap.hidden(files.main, "apply"))

    def _check(self, zone: Name, files: _Files, after: ZoneText, new: Mapping[str, bytes]) -> None:
        """Run the checker on the new files, which includes must lead to, though they are not in place yet."""
        if self._settings.check is None:
            return
        subject = swap.hidden(files.main, "new")
        copies: dict[str, Path] = {}
        try:
            if new.keys() - {after.main.path}:
                copies = {path: swap.hidden(Path(path), "check") for path in zonetext.includers(after, new)}
                moved = {path: os.fsencode(copy).decode("latin-1") for path, copy in copies.items()}
                for path, text in zonetext.redirected(after, moved).items():
                    swap.write_beside(Path(path), "check", text.encode("latin-1"))
                subject = copies[after.main.path]
            fault = self._run(self._settings.check, zone, files, subject)
        finally:
            _remove(copies.values())
        if fault is not None:
            raise RejectedError(f"{files.main}: the check of the new file failed, nothing was changed: {fault}")

    def _reload(self, zone: Name, files: _Files, count: int) -> None:
        if self._settings.reload is None:
            return
        fault = self._run(self._settings.reload, zone, files, files.main)
        if fault is not None:
            raise OutcomeUnknownError(
                f"{files.main}: {count} RRsets are written, but the name server may not serve them yet: {fault}",
                hint="mend the reload command or the server and reload by hand; the file needs no further change",
            )

    def _run(self, command: str | Sequence[str], zone: Name, files: _Files, file: Path) -> str | None:
        """Run a command of the settings. Returns what went wrong, with its output, or None."""
        try:
            words = shlex.split(command) if isinstance(command, str) else list(command)
        except ValueError as error:
            return f"`{command}` can't be split into words: {error}"
        words = [word.replace("{zone}", _zone_text(zone)).replace("{file}", str(file)) for word in words]
        fault = _fault_of(words, files.start, self._settings.command_timeout)
        return None if fault is None else f"`{shlex.join(words)}` {fault}"


def _fault_of(words: Sequence[str], directory: Path, timeout: float) -> str | None:
    """Run a program to its end. Returns how it failed, or None."""
    try:
        with tempfile.TemporaryFile() as output:  # no pipe: a daemon that the command starts may keep it open
            with subprocess.Popen(  # noqa: S603 - the user's own command, split without a shell
                words, cwd=directory, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
                start_new_session=True,
            ) as process:  # fmt: skip
                try:
                    process.wait(timeout)
                except subprocess.TimeoutExpired:
                    return f"did not end within {timeout:g} seconds"
                finally:
                    if process.returncode is None:  # late, or we were interrupted: what it started goes too
                        os.killpg(process.pid, signal.SIGKILL)
            output.seek(max(0, output.seek(0, os.SEEK_END) - _SHOWN))
            said = output.read().decode(errors="replace").strip() or "no output"
    except (OSError, IndexError) as error:
        return f"can't be run: {error}"
    return None if process.returncode == 0 else f"ended with {process.returncode}: {said}"


class _Files:
    """A zone's files as one run reads them; each file is read once."""

    def __init__(self, main: Path, start: Path | None) -> None:
        self._written = main
        self.main = Path(os.path.realpath(main))
        self.start = start or main.parent
        self.data: dict[str, bytes] = {}

    def source(self) -> Source:
        """The main file."""
        return self._read(self.main)

    def include(self, written: str, _source: Source) -> Source:
        """A file that $INCLUDE names."""
        return self._read(Path(os.path.realpath(self.start / os.fsdecode(written.encode("latin-1")))))

    def token(self, new: Mapping[str, bytes] | None = None) -> str:
        """SHA-256 over all files, of which `new` have another content."""
        return _token({**self.data, **(new or {})})

    def digest(self, path: Path) -> str:
        """SHA-256 of one file."""
        return swap.digest(self.data[str(path)])

    def check_unmoved(self) -> None:
        """Compare what was read with what is on disk at this moment.

        Raises:
            ConflictError: they differ.
        """
        if self.data != {path: Path(path).read_bytes() for path in self.data}:
            raise _moved(self)

    def journals(self) -> Iterable[Path]:
        """The journals that BIND keeps for the main file, under its own name and that of a link to it."""
        paths = {path.with_name(f"{path.name}.jnl") for path in (self._written, self.main)}
        return sorted(path for path in paths if path.exists())

    def _read(self, path: Path) -> Source:
        data = path.read_bytes()
        if b"\0" in data:
            raise RejectedError(
                f"{path} is no text; it looks like BIND's binary form (masterfile-format raw)",
                hint=f"named-compilezone -f raw -F text -o {path.name}.text ZONE {path.name}",
            )
        self.data[str(path)] = data
        return Source(str(path), data.decode("latin-1"))


def _token(data: Mapping[str, bytes]) -> str:
    hasher = hashlib.sha256(b"realmkit zone file 1\0")
    for path in sorted(data):
        hasher.update(b"%s\0%d\0" % (os.fsencode(path), len(data[path])) + data[path])
    return hasher.hexdigest()


def _zone_text(zone: Name) -> str:
    return names.to_text(zone)[:-1]


def _journal_serial(journal: Path) -> int | None:
    """The last serial in a journal of BIND 9: its header is 16 octets of format, then first and last serial."""
    with suppress(OSError), journal.open("rb") as file:
        head = file.read(32)
        if head.startswith(b";BIND LOG V9") and len(head) == 32:
            return int.from_bytes(head[24:28], "big")
    return None


def _check_unsigned(files: _Files, zone: Zone) -> None:
    kind = next((kind for _, kind in zone.rrsets if kind in (rr.RRSIG, _ZONEMD)), None)
    if kind is not None:
        raise RejectedError(
            f"{files.main} holds {rr.type_to_text(kind)} records: an edit would break what they vouch for",
            hint="give the provider the unsigned file, and sign it in the check or reload command",
        )


def _put_in_place(steps: Sequence[swap.Step], log: Path) -> None:
    try:
        swap.replace(steps, log)
    except OSError as error:
        if any(not step.temporary.exists() for step in steps):
            raise OutcomeUnknownError(
                f"{steps[-1].target}: writing failed half way ({error.strerror}); some files may be new and some old",
                hint=f"mend the disk, then {_AGAIN}: it finishes what is half done",
            ) from error
        log.unlink(missing_ok=True)
        _clear(step.target for step in steps)
        raise _disk(steps[-1].target, "can't be replaced", error) from error


def _clear(targets: Iterable[Path]) -> None:
    """Remove what an apply wrote beside its targets."""
    _remove(swap.hidden(target, word) for target in targets for word in ("new", "backup", "check"))


def _remove(paths: Iterable[Path]) -> None:
    for path in paths:
        path.unlink(missing_ok=True)


@contextmanager
def _reading() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise RejectedError(f"{error.filename}: can't be read: {error.strerror}") from error


def _moved(files: _Files) -> ConflictError:
    return ConflictError(f"{files.main} or a file that it includes was changed since it was read", hint="plan again")


def _disk(file: Path, what: str, error: OSError) -> ProviderError:
    if isinstance(error, PermissionError):
        return RejectedError(
            f"{file} {what}: {error.strerror}; nothing was changed",
            hint="run as the file's owner or as root; the directory must be writable too",
        )
    return ProviderError(f"{file} {what}: {error.strerror}; nothing was changed", hint=f"mend the disk, then {_AGAIN}")
