"""`realmkit playbook`: list, show, lint."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from realmkit import errors
from realmkit.cli.app import App, common

if TYPE_CHECKING:
    from realmkit.health.checkset import CheckSet
    from realmkit.migrate.playbook import Playbook, Step


@click.group()
def playbook() -> None:
    """See and check the order in which things are done."""


@playbook.command(name="list", epilog="\b\nExample:\n  realmkit playbook list\n")
@common
def list_(app: App) -> int:
    """List the playbooks that come with realmkit, and the project's own."""
    from realmkit.health import checkset
    from realmkit.migrate import playbook as books

    own = sorted(path.stem for path in (app.directory / "playbooks").glob("*.yml"))
    found = {name: _titled(name, app.directory) for name in dict.fromkeys((*own, *books.names(), *checkset.names()))}
    rows = [{"name": name, "title": title, "own": name in own} for name, title in found.items()]
    app.emit(
        "playbooks",
        lambda: {"playbooks": rows},
        lambda: "\n".join(f"{row['name']:24} {row['title']}{' (your own)' if row['own'] else ''}" for row in rows),
    )
    return errors.OK


@playbook.command(
    epilog="""\b
Examples:
  realmkit playbook show realm-migration
  realmkit playbook show realm-migration --yaml > playbooks/ours.yml     (to start your own from)
"""
)
@click.argument("name")
@click.option("--yaml", "as_yaml", is_flag=True, help="Print the file itself.")
@common
def show(app: App, name: str, *, as_yaml: bool) -> int:
    """Show what a playbook does, step by step, and its inputs."""
    import msgspec

    from realmkit.health import checkset
    from realmkit.migrate import playbook as books

    checks = checkset.named(name, app.directory)
    if checks is not None:
        text = checks.document.text.rstrip() if as_yaml else _checks_text(checks.checkset)
        app.emit("playbook", lambda: msgspec.to_builtins(checks.checkset), lambda: text)
        return errors.OK
    file = books.find(name, app.directory)
    text = file.document.text.rstrip() if as_yaml else _text(file.playbook)
    app.emit("playbook", lambda: msgspec.to_builtins(file.playbook), lambda: text)
    return errors.OK


@playbook.command(
    epilog="""\b
Examples:
  realmkit playbook lint playbooks/ours.yml
  realmkit playbook lint realm-cutover
"""
)
@click.argument("name")
@click.option("--allow", multiple=True, metavar="CHECK", help="Lift one check by its name.")
@common
def lint(app: App, name: str, *, allow: tuple[str, ...]) -> int:
    """Check a playbook: names, arguments, a way back for every effect, an order that can work."""
    from realmkit.health import checkset
    from realmkit.migrate import playbook as books
    from realmkit.migrate import playbooklint

    path = Path(name)
    place = str(path.resolve()) if path.is_file() else name
    checks = checkset.named(place, app.directory)
    if checks is not None:
        ids = _ids(checks.checkset)
        app.emit("playbook-lint", lambda: {"checks": ids}, lambda: f"nothing found: it makes {len(ids)} checks")
        return errors.OK
    file = books.find(place, app.directory)
    playbooklint.check(file, allow)
    steps = len(books.walk(file.playbook.steps, ())) + len(books.walk(file.playbook.rollback, ()))
    app.emit("playbook-lint", lambda: {"steps": steps}, lambda: f"nothing found: {steps} steps judged")
    return errors.OK


def _titled(name: str, directory: Path) -> str:
    from realmkit.health import checkset
    from realmkit.migrate import playbook as books

    checks = checkset.named(name, directory)
    if checks is not None:
        return checks.checkset.title
    return books.find(name, directory).playbook.title


def _ids(book: CheckSet) -> list[str]:
    """The checks that a health playbook makes. Raises InputError when it names one that there is not."""
    from realmkit.health import checkset
    from realmkit.health.check import catalog

    table = catalog()
    chosen = checkset.chosen(table, book.checks, book.without)
    return [one for one in table if one in chosen]


def _checks_text(book: CheckSet) -> str:
    from realmkit.health.check import catalog

    table = catalog()
    lines = [click.style(f"{book.name}: {book.title}", bold=True), ""]
    return "\n".join([*lines, *(f"  {one}  {table[one].title}" for one in _ids(book))])


def _text(book: Playbook) -> str:
    lines = [click.style(f"{book.name}: {book.title}", bold=True), "", "inputs (--set NAME=VALUE):"]
    lines += [f"  {name:10} {_value(one.default):20} {one.help}" for name, one in book.inputs.items()]
    for title, steps in (("the way there:", book.steps), ("the way back:", book.rollback)):
        lines += ["", title]
        for step in steps:
            lines += _step_lines(step, 1)
    return "\n".join(lines)


def _step_lines(step: Step, depth: int) -> list[str]:
    what = step.uses or (
        f"undo {step.undo}" if step.undo else "wait" if step.wait else f"each of the {step.each} phones"
    )
    marks = [mark for mark in (step.within and "in a quiet window", step.if_ and f"if any is {step.if_}") if mark]
    note = f"  ({', '.join(marks)})" if marks else ""
    lines = [f"{'  ' * depth}{step.title or step.name:{52 - 2 * depth}} {what}{note}"]
    for one in step.steps:
        lines += _step_lines(one, depth + 1)
    if step.else_:
        lines.append(f"{'  ' * (depth + 1)}for a phone that does not come over:")
        for one in step.else_:
            lines += _step_lines(one, depth + 2)
    return lines


def _value(default: object) -> str:
    return ", ".join(map(str, default)) if isinstance(default, list) else str(default)
