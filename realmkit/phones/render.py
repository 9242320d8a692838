"""Configurations rendered: Jinja2 lays out, a format's encoder sees every value, and the result is read back.

Shipped templates run in a plain environment; a project's own in a sandbox, with the shipped ones to extend:
`{% extends "shipped/yealink/t/family.j2" %}`. Every `{{ }}` passes the format's encoder (`finalize`), so a forgotten
filter can't break a file, and there is no filter that lets a value past it. What comes out is parsed, compared with
the parameters that the family knows, and read back: it must say the lines that were asked for.
"""

from __future__ import annotations

import functools
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec

from realmkit.errors import InputError
from realmkit.phones.catalog import shipped
from realmkit.phones.families import Family, common_refusals, family_at
from realmkit.phones.formats import Format, MalformedError, Pair, UncarriableError, check, format_named
from realmkit.phones.model import File, Line, Phone
from realmkit.secrets import Password

if TYPE_CHECKING:
    from collections.abc import Iterator

    import jinja2

    from realmkit.phones.catalog import Catalog

MOST_OCTETS: Final = 256 * 1024
MASK: Final = Password("********")
_SHIPPED: Final = "shipped/"
_UNSAFE_FILTERS: Final = (
    "safe", "escape", "e", "forceescape", "tojson", "urlize", "xmlattr", "pprint", "random", "filesizeformat",
)  # fmt: skip


class RenderError(InputError):
    """A phone's configuration can't be made: a value that can't be said, or a template that is wrong."""


class Renderer:
    """Renders phones. Keep one: its templates are compiled once.

    Args:
        catalog: the phones that are known.
        overlay: the project's own templates; None for the shipped ones alone.
    """

    def __init__(self, catalog: Catalog, overlay: Path | None = None) -> None:
        self._catalog = catalog
        self._overlay = overlay if overlay is not None and overlay.is_dir() else None
        self._environments: dict[tuple[str, bool], jinja2.Environment] = {}
        self._known: dict[str, frozenset[str]] = {}

    def render(self, phone: Phone) -> tuple[File, ...]:
        """All files of a phone, the one with its lines first.

        Raises:
            RenderError: a value can't be said to this phone, or a template is wrong; it says device and field.
        """
        family = family_at(phone.model.path)
        output = format_named(family.format)
        _refuse(phone, family, output)
        context = {"phone": phone} | family.context(phone)
        names = zip(phone.model.files(phone.mac), self._catalog.template_names(phone.model).values(), strict=True)
        files: list[File] = []
        for name, template in names:
            content = self._text(phone, output, template, context).encode()
            pairs = self._checked(phone, output, name, content)
            if not files and not _says(family, pairs, phone):
                raise RenderError(
                    f"{phone}: {name} does not say the lines that it should",
                    hint="the project's own template leaves them out or changes them; {{ super() }} keeps a block",
                )
            files.append(File(name, content, phone.model.content_type))
        return tuple(files)

    def _checked(self, phone: Phone, output: Format, name: str, content: bytes) -> list[Pair]:
        """The parameters of a file that is well-formed and names known ones only."""
        try:
            return check(output, content, self._parameters(phone.model.path), name)
        except MalformedError as error:
            raise RenderError(f"{phone}: {error.message}", hint=error.hint) from error

    def _text(self, phone: Phone, output: Format, name: str, context: dict[str, Any]) -> str:
        import jinja2

        template = self._template(output, phone, name)
        try:
            return "".join(_limited(template.generate(context)))
        except (jinja2.TemplateError, UncarriableError, OverflowError, TypeError, ValueError) as error:
            raise RenderError(f"{phone}: template {template.name}: {_message(error)}") from error

    def _template(self, output: Format, phone: Phone, name: str) -> jinja2.Template:
        """The project's template for the model or the family, or else the shipped one."""
        import jinja2

        model = phone.model
        own = [f"{model.path}/{model.name.partition('/')[2]}.{name}", f"{model.path}/{name}"]
        try:
            for one in own if self._overlay else ():
                if (self._overlay / one).is_file():  # type: ignore[operator]  # there is one, or `own` is not walked
                    return self._environment(output, sandboxed=True).get_template(one)
            return self._environment(output, sandboxed=False).get_template(f"{_SHIPPED}{model.path}/{name}")
        except jinja2.TemplateError as error:
            raise RenderError(f"{phone}: {_message(error)}") from error

    def _environment(self, output: Format, *, sandboxed: bool) -> jinja2.Environment:
        key = (output.name, sandboxed)
        if key not in self._environments:
            self._environments[key] = _environment(output, self._overlay if sandboxed else None)
        return self._environments[key]

    def _parameters(self, path: str) -> frozenset[str]:
        if path not in self._known:
            folders = (shipped(), *((self._overlay,) if self._overlay else ()))
            self._known[path] = self._catalog.known_parameters(path, folders)
        return self._known[path]


def carried(phone: Phone) -> tuple[Line, ...]:
    """The phone's lines as its configuration can express them: what `readback.read` must find."""
    family = family_at(phone.model.path)
    return tuple(family.carried(line) for line in phone.lines)


def masked(phone: Phone) -> Phone:
    """The same phone with a mask for every password, to render for people's eyes."""
    lines = tuple(msgspec.structs.replace(line, password=MASK) for line in phone.lines)
    return msgspec.structs.replace(phone, lines=lines)


def _says(family: Family, pairs: list[Pair], phone: Phone) -> bool:
    """Whether a rendered file registers the lines that were asked for."""
    try:
        return family.read(pairs) == carried(phone)
    except MalformedError:
        return False


def _refuse(phone: Phone, family: Family, output: Format) -> None:
    """Refuse what can't be said, before any template sees it, so that the error can name the field."""
    for field, why in (*common_refusals(phone), *_unencodable(phone, output), *family.refusals(phone)):
        raise RenderError(
            f"{phone}: {field}: {why}", hint="change it on the platform, or in the project's configuration"
        )


def _unencodable(phone: Phone, output: Format) -> Iterator[tuple[str, str]]:
    fields = [("url", phone.url), ("ntp", phone.ntp)]
    for number, line in enumerate(phone.lines, 1):
        own = ("username", "auth_id", "password", "realm", "display_name", "label")
        fields += [(f"line {number}, {name}", getattr(line, name)) for name in own]
    for name, value in fields:
        try:
            output.encode(value or "")
        except UncarriableError as error:
            yield name, str(error)


def _environment(output: Format, overlay: Path | None) -> jinja2.Environment:
    import jinja2
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    kind = jinja2.Environment if overlay is None else ImmutableSandboxedEnvironment
    made = kind(
        # Encoded text is marked as such, so that {{ super() }} and macros are not encoded a second time.
        autoescape=True,
        finalize=_finalizer(output),
        undefined=jinja2.StrictUndefined,
        loader=jinja2.FunctionLoader(functools.partial(_source, overlay)),
        auto_reload=False,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    for name in _UNSAFE_FILTERS:
        del made.filters[name]
    return made


def _finalizer(output: Format) -> Any:
    """A function that puts any value into the format; what is encoded already passes."""
    import jinja2
    from markupsafe import Markup

    encode = output.encode

    # Asking for the context keeps Jinja from escaping a constant as HTML before this sees it.
    @jinja2.pass_eval_context
    def finalize(_: object, value: object) -> Markup:
        kind = type(value)
        if kind is int:
            return Markup(value)  # noqa: S704 - digits
        if kind is Markup:
            return value  # type: ignore[return-value]  # seen one line above
        return Markup(encode(str(value)))  # noqa: S704 - encoded for this very format

    return finalize


def _source(overlay: Path | None, name: str) -> str | None:
    """The text of a template; None for none. A project's names never leave its folder."""
    if name.startswith(_SHIPPED):
        file = shipped().joinpath(name.removeprefix(_SHIPPED))
    elif overlay is not None and not (set(Path(name).parts) & {"..", "/"}):
        file = overlay / name
    else:
        return None
    return file.read_text(encoding="utf-8") if file.is_file() else None


def _limited(parts: Iterator[str]) -> Iterator[str]:
    """The parts of an output, as long as there are not too many: a template must not fill the memory."""
    size = 0
    for part in parts:
        size += len(part)
        if size > MOST_OCTETS:
            raise OverflowError(f"makes more than {MOST_OCTETS} characters")
        yield part


def _message(error: Exception) -> str:
    """What a template did wrong, with the line where there is one, and without any value."""
    line = getattr(error, "lineno", None)
    where = f"line {line}: " if line else ""
    if isinstance(error, UncarriableError):
        return f"a value {error}"
    return f"{where}{getattr(error, 'message', None) or str(error) or type(error).__name__}"
