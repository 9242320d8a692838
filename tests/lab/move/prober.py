"""Would a call reach this phone now? Asked of every phone, again and again, as an outside caller would find out."""

from __future__ import annotations

import os
import select
import socket
import threading
import time
from collections.abc import Mapping
from typing import NamedTuple, Self

from realmkit.sandbox.cluster import Cluster
from realmkit.sandbox.events import EventKind

PATIENCE = 0.45  # seconds; less than the edge waits before it repeats a request, so that no repeat hides a dead phone


class Probe(NamedTuple):
    """One question: when it was asked, and why no call would have come through; "" when one would have."""

    at: float
    why: str


class Spell(NamedTuple):
    """A time for which a phone was dark: from the last good probe before it to the first good one after it."""

    begin: float
    seconds: float
    why: str

    def __str__(self) -> str:
        return f"at {self.begin:.2f} s for {self.seconds:.2f} s: {self.why}"


class Prober:
    """Asks while the `with` block runs, in one thread.

    A probe is good when, at its moment, the platform would send a call to the phone (it finds exactly one row of it, at
    the address that it dials), and an OPTIONS to that address through the edge is answered with 200 by the phone. A
    dark spell is counted from the last good probe to the next good one: never less than the truth, and more by two
    probes' distance at most.

    Args:
        cluster: the platform: whom it dials where, and whether it would.
        edge: address and port of the proxy.
        phones: device id to name.
        pause: seconds between two probes of a phone.
    """

    def __init__(self, cluster: Cluster, edge: tuple[str, int], phones: Mapping[str, str], pause: float = 0.15) -> None:
        self._cluster = cluster
        self._edge = edge
        self._phones = dict(phones)
        self._pause = pause
        self._probes: dict[str, list[Probe]] = {device: [] for device in phones}
        self._rings: dict[str, bool] = {}
        self._read = 0
        self._open: dict[str, tuple[str, float]] = {}
        self._over = threading.Event()
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind((edge[0], 0))
        self._mine = "{}:{}".format(*self._socket.getsockname())
        self._began = time.monotonic()
        self._ended = self._began
        self._thread = threading.Thread(target=self._run, name="prober", daemon=True)

    def __enter__(self) -> Self:
        self._began = time.monotonic()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        self._ended = time.monotonic()
        self._socket.close()

    @property
    def probes(self) -> int:
        """How many were sent and judged."""
        return sum(len(probes) for probes in self._probes.values())

    def believes(self) -> dict[str, bool]:
        """Whether the platform would call each device, as the prober last understood."""
        return {device: self._rings.get(device, False) for device in self._phones}

    def spells(self) -> dict[str, list[Spell]]:
        """Each phone's dark spells, by its name; ask when the block is over."""
        return {self._phones[device]: self._dark(probes) for device, probes in self._probes.items()}

    def _dark(self, probes: list[Probe]) -> list[Spell]:
        found = []
        good, why = self._began, ""
        for probe in sorted(probes):
            if probe.why:
                why = why or probe.why
                continue
            if why:
                found.append(Spell(good - self._began, probe.at - good, why))
            good, why = probe.at, ""
        if why:  # to the very end
            found.append(Spell(good - self._began, self._ended - good, why))
        return found

    # --- its thread -------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        due = time.monotonic()
        while not self._over.is_set():
            self._round()
            due = max(due + self._pause, time.monotonic())
            self._listen(due)
        self._listen(time.monotonic() + PATIENCE)

    def _round(self) -> None:
        """One probe of every phone."""
        self._platform()
        for device, probes in self._probes.items():
            now = time.monotonic()
            if not self._rings.get(device, False):
                probes.append(Probe(now, "the platform finds no row of it, or several"))
                continue
            branch = f"z9hG4bK{os.urandom(8).hex()}"
            self._open[branch] = device, now
            self._socket.sendto(self._options(self._cluster.dial(device), branch), self._edge)

    def _platform(self) -> None:
        """Whom the platform would call: it writes down every change, as soon as it looks at the edge."""
        events = self._cluster.events()
        for event in events[self._read :]:
            if event.kind in (EventKind.RINGS, EventKind.DARK):
                self._rings[event.subject] = event.kind is EventKind.RINGS
        self._read = len(events)

    def _listen(self, until: float) -> None:
        """Take answers in until then; those that come too late count as none."""
        while True:
            left = until - time.monotonic()
            if left <= 0 or not select.select([self._socket], [], [], left)[0]:
                break
            self._answered(self._socket.recv(65535).decode(errors="replace"))
        now = time.monotonic()
        for branch in [branch for branch, (_, sent) in self._open.items() if now - sent >= PATIENCE]:
            device, sent = self._open.pop(branch)
            self._probes[device].append(Probe(sent, "the phone does not answer"))

    def _answered(self, text: str) -> None:
        status = int(text[8:11])
        branch = text.partition("branch=")[2].partition(";")[0].partition("\r\n")[0]
        if status >= 200 and branch in self._open:
            device, sent = self._open.pop(branch)
            self._probes[device].append(Probe(sent, "" if status == 200 else f"the answer is {status}"))

    def _options(self, address: str, branch: str) -> bytes:
        lines = [
            f"OPTIONS sip:{address} SIP/2.0", f"Via: SIP/2.0/UDP {self._mine};branch={branch};rport",
            "Max-Forwards: 20", f"From: <sip:caller@{self._edge[0]}>;tag={branch[-8:]}", f"To: <sip:{address}>",
            f"Call-ID: {branch}", "CSeq: 1 OPTIONS", f"Contact: <sip:caller@{self._mine}>", "Content-Length: 0",
        ]  # fmt: skip
        return "\r\n".join([*lines, "", ""]).encode()
