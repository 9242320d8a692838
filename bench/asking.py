"""A process that asks a name server what stands in a file, and prints what that cost it, without its start-up.

python bench/asking.py realmkit|dnspython ADDRESS FILE
"""

import json
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

Questions = Iterator[tuple[str, str]]


def realmkit(address: str, questions: Questions) -> Callable[[], int]:
    """Ask by `realmkit.dns.asking.query`, every answer read whole; how many came with records."""
    from realmkit.dns import names
    from realmkit.dns.asking.query import Options, Outcome, Server, ask
    from realmkit.dns.records import type_from_text

    server = Server(address)
    prepared = [(server, names.absolute(name), type_from_text(kind)) for name, kind in questions]

    def run() -> int:
        replies = ask(prepared, Options(rate=None))
        return sum(
            reply.outcome is Outcome.ANSWER and reply.message is not None and len(reply.message.answer) > 0
            for reply in replies
        )

    return run


def dnspython(address: str, questions: Questions) -> Callable[[], int]:
    """Ask by dnspython's resolver, one after the other, as its users do."""
    import dns.resolver

    resolver = dns.resolver.Resolver(configure=False)
    resolver.nameservers = [address]
    prepared = list(questions)
    return lambda: sum(len(resolver.resolve(name, kind).rrset or ()) > 0 for name, kind in prepared)


def _read(path: str) -> Iterator[tuple[str, str]]:
    with Path(path).open(encoding="ascii") as lines:
        for line in lines:
            name, kind = line.split()
            yield name, kind


def _peak() -> float:
    """Peak memory of this program in MiB; what getrusage tells begins with that of the process it was forked from."""
    (line,) = (one for one in Path("/proc/self/status").read_text(encoding="ascii").splitlines() if "VmHWM" in one)
    return int(line.split()[1]) / 1024


def main() -> None:
    """Print answered questions, seconds, CPU seconds, and peak memory in MiB."""
    who, address, path = sys.argv[1:]
    run = {"realmkit": realmkit, "dnspython": dnspython}[who](address, _read(path))
    began, cpu = time.perf_counter(), time.process_time()
    answered = run()
    seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
    memory = _peak()
    print(json.dumps({"answered": answered, "seconds": seconds, "cpu": cpu, "memory": memory}))


if __name__ == "__main__":
    main()
