"""How the demo is told: a heading for each scene, the command as a user would type it, and what it printed."""

from __future__ import annotations

import textwrap
import time
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Sequence


class Story:
    """Prints a demo scene by scene.

    Args:
        quiet: print nothing but the last line, as JSON.
    """

    def __init__(self, *, quiet: bool) -> None:
        self.quiet = quiet
        self._began = time.perf_counter()
        self._scenes = 0

    def scene(self, title: str, text: str) -> None:
        """Begin a scene: its title and why it matters."""
        self._scenes += 1
        if not self.quiet:
            click.echo(click.style(f"\n{self._scenes}. {title}", bold=True))
            click.echo(textwrap.fill(text, 96, initial_indent="   ", subsequent_indent="   "))

    def note(self, text: str) -> None:
        """Say something between commands."""
        if not self.quiet:
            click.echo(textwrap.fill(text, 96, initial_indent="   ", subsequent_indent="   "))

    def command(self, args: Sequence[str], output: str, code: int) -> None:
        """Show a command and what it printed."""
        if not self.quiet:
            click.echo(click.style(f"\n   $ realmkit {' '.join(args)}", fg="cyan"))
            click.echo(textwrap.indent(output.rstrip(), "   | ", lambda _line: True))
            click.echo(click.style(f"   exit code {code}", dim=True))

    def end(self, text: str) -> None:
        """The last words, and how long it took."""
        took = time.perf_counter() - self._began
        if self.quiet:
            import json

            click.echo(json.dumps({"kind": "realmkit.demo", "version": 1, "scenes": self._scenes, "seconds": took}))
        else:
            click.echo(click.style(f"\n{text} ({self._scenes} scenes, {took:.1f} s)", fg="green", bold=True))
