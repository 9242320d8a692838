"""The zone file provider on a disk that fails, and killed at every step."""

from __future__ import annotations

import errno
import os
import resource
import signal
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from realmkit.errors import OutcomeUnknownError, ProviderError, RealmkitError, RejectedError, UnreachableError
from realmkit_providers import swap
from tests.unit.make import ZONE
from tests.unit.zoneplace import NAME, Place, acme, in_child, lowered, lowering, refusal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


@pytest.fixture
def included(place: Place) -> Place:
    return place.include()


# --- a disk that fails -----------------------------------------------------------------------------------------------


@contextmanager
def small_files() -> Iterator[None]:
    """No file may grow beyond 100 bytes: the kernel itself cuts the write short, as on a full disk.

    Only around the one call: pytest's own output may go to a file as well.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, before)


def test_a_write_that_is_cut_short_changes_nothing(place: Place) -> None:
    with small_files():
        error = refusal(place, ProviderError)
    assert error.message == f"{place.file} can't be written: File too large; nothing was changed"


FAILING = ["write", "fsync", "fchmod", "replace"]


@pytest.mark.parametrize("call", FAILING)
@pytest.mark.parametrize("nth", range(6))
def test_whichever_call_fails_the_zone_is_whole(
    call: str, nth: int, included: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    provider = included.provider()
    zone = provider.snapshot(ZONE)
    old = included.files()
    real, calls = getattr(os, call), iter(range(1000))

    def failing(*arguments: object, **keywords: object) -> object:
        if next(calls) == nth:
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(*arguments, **keywords)

    with monkeypatch.context() as patch:
        patch.setattr(os, call, failing)
        outcome = outcome_of(lambda: provider.apply(ZONE, lowering(zone), zone.token))
    if outcome is ProviderError:
        assert included.files() == old | {name: data for name, data in included.files().items() if "-old" in name}
        assert provider.snapshot(ZONE).token == zone.token
    else:  # it went through, or says that it may be half done: the next run finishes it
        assert outcome in (None, OutcomeUnknownError)
        assert provider.snapshot(ZONE).rrsets[acme("192.0.2.1").key].ttl == 60
    assert not [name for name in included.files() if name.startswith(".") and outcome is not OutcomeUnknownError]


def outcome_of(attempt: Callable[[], object]) -> type[RealmkitError] | None:
    try:
        attempt()
    except RealmkitError as error:
        return type(error)
    return None


# --- kill -9 ---------------------------------------------------------------------------------------------------------

TRACED = ["open", "write", "fsync", "fchmod", "fchown", "unlink", "replace"]


def killed_at(nth: int, work: Callable[[], object]) -> Callable[[], None]:
    """The work, in a process that is killed at its n-th system call that touches files; a write is torn in two."""

    def run() -> None:
        calls = iter(range(10000))
        for name in TRACED:
            real = getattr(os, name)

            def traced(*arguments: Any, _real: Any = real, _name: str = name, **keywords: Any) -> object:
                if next(calls) == nth:
                    if _name == "write":
                        descriptor, data = arguments
                        _real(descriptor, data[: len(data) // 2])
                    os.kill(os.getpid(), signal.SIGKILL)
                return _real(*arguments, **keywords)

            setattr(os, name, traced)
        work()

    return run


@pytest.mark.parametrize("kind", ["one file", "several files"])
def test_killed_at_any_moment_it_leaves_the_old_or_the_new(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    place: Place = request.getfixturevalue("place" if kind == "one file" else "included")
    old = place.files()
    seen = set()
    for nth in range(200):
        code = in_child(killed_at(nth, place.lower_ttl))
        assert code in (0, -signal.SIGKILL)
        for name, data in old.items():
            assert place.files()[name] in (data, lowered(data.decode()).encode())
        after = place.provider().snapshot(ZONE)
        done = after.rrsets[acme("192.0.2.1").key].ttl == 60
        assert after.serial == (2026112202 if done else 2026112201)
        seen.add((code, done))
        if not done:
            place.lower_ttl()
        assert not [name for name in place.files() if name.startswith(".")]
        for name, data in old.items():
            (place.directory / name).write_bytes(data)
        if code == 0:
            break
    assert seen == {(-signal.SIGKILL, False), (-signal.SIGKILL, True), (0, True)}


def test_a_run_cut_short_between_two_files_is_finished_by_the_next(included: Place) -> None:
    half_done(included)
    assert (included.directory / "more.inc").read_text() == "acme 60 A 192.0.2.1\n"
    assert "2026112201" in included.file.read_text()
    zone = included.provider().snapshot(ZONE)
    assert zone.serial == 2026112202
    assert not [name for name in included.files() if name.startswith(".")]


def test_a_run_cut_short_is_not_finished_over_someone_elses_edit(included: Place) -> None:
    half_done(included)
    included.file.write_text(included.file.read_text() + "; a thought\n")
    before = included.files()
    for attempt in (included.provider().snapshot, lambda zone: included.provider().apply(zone, [], "")):
        with pytest.raises(
            RejectedError, match=rf"cut short between two files, and .*{NAME} was changed since"
        ) as caught:
            attempt(ZONE)
        assert "remove" in str(caught.value.hint)
    assert included.files() == before


def test_a_zone_that_is_being_written_is_not_read_half(included: Place) -> None:
    half_done(included)
    with (
        swap.locked(included.file),
        pytest.raises(UnreachableError, match="another run of realmkit is just writing it"),
    ):
        included.provider().snapshot(ZONE)


def half_done(place: Place) -> None:
    """Kill an apply after the first of its two renames that put files in place."""
    provider = place.provider(backup=False)
    zone = provider.snapshot(ZONE)
    real = os.replace

    def replace(source: Path, target: Path) -> None:
        if Path(target).name == NAME:
            os.kill(os.getpid(), signal.SIGKILL)
        real(source, target)

    def run() -> None:
        os.replace = replace  # type: ignore[assignment]  # only in the child
        provider.apply(ZONE, lowering(zone), zone.token)

    assert in_child(run) == -signal.SIGKILL
