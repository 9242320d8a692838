"""Runs one command and writes what the clock and the kernel counted for it to a descriptor.

A process of its own, and a small one: what a child is forked from counts into its peak memory.
"""

import os
import sys
import time


def main() -> None:
    """`child.py DESCRIPTOR COMMAND...`: exit status, CPU seconds, wall seconds, peak memory in KiB."""
    descriptor, command = int(sys.argv[1]), sys.argv[2:]
    os.set_inheritable(descriptor, False)
    began = time.perf_counter()
    pid = os.posix_spawnp(command[0], command, os.environ)
    _, status, usage = os.wait4(pid, 0)
    wall = time.perf_counter() - began
    cpu = usage.ru_utime + usage.ru_stime
    os.write(descriptor, f"{os.waitstatus_to_exitcode(status)} {cpu} {wall} {usage.ru_maxrss}".encode())


main()
