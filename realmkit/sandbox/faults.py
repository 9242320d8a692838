"""What can be made to go wrong between a client and the sandbox's Crossbar, set while it runs."""

from __future__ import annotations

from enum import Enum
from fnmatch import fnmatchcase

import msgspec


class Harm(Enum):
    """How a request goes wrong.

    Attributes:
        STATUS_BEFORE: it is answered with an error and nothing is done.
        STATUS_AFTER: it is done, then answered with an error.
        CUT_BEFORE: the connection ends without an answer and nothing is done.
        CUT_AFTER: it is done, then the connection ends without an answer.
        CUT_MIDWAY: the connection ends in the middle of the answer's body.
        TRUNCATE: the body is complete as HTTP but ends in the middle of the JSON, as a chunked listing does whose
            database fails on the way.
        SLOW: it is done, late.
    """

    STATUS_BEFORE = "status before"
    STATUS_AFTER = "status after"
    CUT_BEFORE = "cut before"
    CUT_AFTER = "cut after"
    CUT_MIDWAY = "cut midway"
    TRUNCATE = "truncate"
    SLOW = "slow"


class Fault(msgspec.Struct):
    """A fault that waits for its request.

    Attributes:
        harm: what goes wrong.
        method: GET, PUT ...; "*" is any.
        path: a glob over the path without `/v2`, such as `/accounts/*/devices/*`; `*` matches slashes too.
        times: how often it strikes; None until it is cleared.
        skip: how many matching requests it lets pass first.
        status: the HTTP status of `STATUS_BEFORE` and `STATUS_AFTER`.
        seconds: how late, for `SLOW`.
    """

    harm: Harm
    method: str = "*"
    path: str = "*"
    times: int | None = 1
    skip: int = 0
    status: int = 503
    seconds: float = 0.0


class ConnectionCutError(Exception):
    """The connection ends here.

    Args:
        answer: status and headers when they were sent before the cut, else None.
        partial: the part of the body that was sent.
    """

    def __init__(self, answer: tuple[int, dict[str, str]] | None = None, partial: bytes = b"") -> None:
        super().__init__("connection cut by the sandbox")
        self.answer = answer
        self.partial = partial


class Faults:
    """The faults that are set. Earlier ones strike first, one for each request."""

    def __init__(self) -> None:
        self._set: list[Fault] = []

    def add(self, fault: Fault) -> None:
        """Set one more."""
        self._set.append(fault)

    def clear(self) -> None:
        """From now on nothing goes wrong."""
        self._set.clear()

    def strike(self, method: str, path: str) -> Fault | None:
        """The fault that hits this request, if any; it is used up by it.

        Args:
            method: of the request.
            path: without `/v2`.
        """
        for fault in self._set:
            if fault.method not in ("*", method) or not fnmatchcase(path, fault.path) or fault.times == 0:
                continue
            if fault.skip:
                fault.skip -= 1
                continue
            if fault.times is not None:
                fault.times -= 1
            return fault
        return None
