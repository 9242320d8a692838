"""Finding a provider class of octoDNS and building it: each slip said in one line, secrets fetched at the edge."""

from __future__ import annotations

import inspect
import logging
import threading
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final, NamedTuple, cast

from realmkit.dns.provider import Secret
from realmkit.errors import InputError, MissingExtraError, SecretError
from realmkit_providers.octodns_errors import Words

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from realmkit.dns.provider import Clock

ID: Final = "realmkit"  # octoDNS wants a name for each provider, for its logs and its `included` and `excluded`
_WANTED: Final = ("populate", "plan", "apply")
_ENV: Final = "env/"  # octoDNS's own notation for a variable of the environment; its Manager reads it, nobody else
_LOCK: Final = threading.Lock()


class Foreign(NamedTuple):
    """A provider of octoDNS, good for one reading or one batch: many keep what they have read.

    Attributes:
        provider: the instance.
        words: says its exceptions without its secrets.
    """

    provider: Any
    words: Words


def find(path: str) -> type[Any]:
    """The class at a dotted path, for example `octodns_powerdns.PowerDnsProvider`.

    Raises:
        MissingExtraError: its package, octoDNS, or something that they import is not installed, or octoDNS is too old.
        InputError: no such class, or one that can't be written to; the classes that are there are named.
    """
    module_name, _, name = path.rpartition(".")
    with _LOCK:
        _prepare(module_name, name)
        module = _imported(module_name, path)
    found = getattr(module, name, None)
    known = sorted(one for one, value in vars(module).items() if _is_provider(value))
    there = f"it has {', '.join(known)}" if known else "it has no provider at all"
    if found is None:
        raise InputError(f"octodns: {module_name} has no class {name!r}; {there}", hint=f"class: {module_name}.NAME")
    if not _is_provider(found):
        raise InputError(f"octodns: {path} is no provider that can be read and written; {there}")
    return cast("type[Any]", found)


def build(path: str, arguments: Mapping[str, Any], reveal: Callable[[Secret], str], clock: Clock) -> Foreign:
    """A new instance of the class.

    Args:
        path: of the class.
        arguments: for its constructor; strings that are references to secrets are replaced by what they refer to.
        reveal: fetches a secret.
        clock: the time, for the words of later errors.

    Raises:
        MissingExtraError, InputError: as `find`; or the constructor takes no such argument, or no such value.
        SecretError: a secret can't be fetched.
        ProviderError: the constructor asked the service, and that failed.
    """
    kind = find(path)
    check_arguments(arguments)
    secrets: list[str] = []
    known = _parameters(kind)
    given = {key: _revealed(value, reveal, secrets) for key, value in arguments.items()}
    words = Words(path, tuple(secrets), clock)
    try:
        provider = kind(ID, **given)
    except TypeError as error:
        raise InputError(_misfit(path, known, arguments, words.text(error)), hint=_signature(known)) from None
    except Exception as error:  # a constructor of others raises whatever it likes
        if isinstance(error, ValueError) or _is_of_octodns(error):
            raise InputError(f"octodns: {words.text(error)}", hint=_signature(known)) from None
        raise words.reading(error, "octodns") from None
    _hush(getattr(getattr(provider, "log", None), "name", ID))
    return Foreign(provider, words)


def check_arguments(arguments: Mapping[str, Any]) -> None:
    """Refuse what can be seen to be wrong without the class.

    Raises:
        InputError: `id`, which is not the user's to give, or octoDNS's own notation for variables.
    """
    if "id" in arguments:
        raise InputError("octodns: arguments must not hold `id`; it is given by realmkit")
    for value in _strings(arguments):
        if value.startswith(_ENV):
            raise InputError(
                "octodns: only octoDNS's own configuration reads `env/NAME`; it would be taken as the value itself",
                hint="write env:NAME",
            )


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for one in value.values() if isinstance(value, dict) else value:
            yield from _strings(one)


def _revealed(value: Any, reveal: Callable[[Secret], str], secrets: list[str]) -> Any:
    """The value with each reference in it, at any depth, replaced by the secret, which is also noted in `secrets`."""
    if isinstance(value, dict):
        return {key: _revealed(one, reveal, secrets) for key, one in value.items()}
    if isinstance(value, list):
        return [_revealed(one, reveal, secrets) for one in value]
    if not isinstance(value, str):
        return value
    try:
        reference = Secret(value)
    except SecretError:  # it is a plain string
        return value
    secrets.append(reveal(reference))
    return secrets[-1]


def _prepare(module_name: str, name: str) -> None:
    """Import octoDNS, quietly, with the validators that it would enable by itself at the first record.

    It would do so in the middle of whatever several threads are reading, and with a warning.
    """
    _hush("octodns", "Record", "Zone", "Plan", module_name.partition(".")[0], f"{name}[{ID}]")
    try:
        from octodns.record import Record
        from octodns.record.rr import Rrset  # noqa: F401 - new in 1.22, and what all else here rests upon
    except ImportError as error:
        raise MissingExtraError(
            f"the provider 'octodns' needs octoDNS 1.22 or later: {error}", hint="pip install -U 'realmkit[octodns]'"
        ) from error
    if not Record.validators.configured:
        Record.enable_validators({"legacy"})


def _imported(module_name: str, path: str) -> Any:
    try:
        return import_module(module_name)
    except ModuleNotFoundError as error:
        missing = error.name or module_name
        package = missing.partition(".")[0]
        if package == missing or not missing.startswith(module_name):
            raise MissingExtraError(
                f"octodns: {path} needs the module {missing}, which is not installed",
                hint=f"pip install {package.replace('_', '-')}",
            ) from error
        raise InputError(f"octodns: the package {package} has no module {missing}") from error
    except Exception as error:  # importing runs code of others
        raise InputError(f"octodns: {module_name} can't be imported: {type(error).__name__}: {error}") from error


def _hush(*names: str) -> None:
    """Keep loggers without a handler from falling back to stderr; with `-v` they still reach the root's."""
    for name in names:
        log = logging.getLogger(name)
        if not any(isinstance(one, logging.NullHandler) for one in log.handlers):
            log.addHandler(logging.NullHandler())


def _is_provider(value: object) -> bool:
    """Whether it is a class with octoDNS's three methods, and not octoDNS's own base class."""
    own_base = getattr(value, "__module__", "") == "octodns.provider.base"
    return inspect.isclass(value) and not own_base and all(callable(getattr(value, one, None)) for one in _WANTED)


def _is_of_octodns(error: Exception) -> bool:
    from octodns.provider import ProviderException

    return isinstance(error, ProviderException)


def _parameters(kind: type[Any]) -> dict[str, inspect.Parameter]:
    """What the constructor takes by name, up through the classes that hand `**kwargs` on."""
    found: dict[str, inspect.Parameter] = {}
    for one in kind.__mro__:
        make = vars(one).get("__init__")
        if make is None:
            continue
        own = list(inspect.signature(make).parameters.values())[1:]
        by_name = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
        for parameter in own:
            if parameter.kind in by_name:
                found.setdefault(parameter.name, parameter)
        if not any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in own):
            break
    found.pop("id", None)
    return found


def _misfit(path: str, known: Mapping[str, inspect.Parameter], given: Mapping[str, Any], said: str) -> str:
    """What is wrong with the arguments: those that are missing, those that are unknown, else the class's own words."""
    needed = [name for name, one in known.items() if one.default is inspect.Parameter.empty]
    missing = [name for name in needed if name not in given]
    unknown = [name for name in given if name not in known]
    parts = [f"{word} {', '.join(some)}" for word, some in (("lacks", missing), ("has no", unknown)) if some]
    return f"octodns: {path} {' and '.join(parts)}" if parts else f"octodns: {said}"


def _signature(known: Mapping[str, inspect.Parameter]) -> str:
    words = [f"{name}{'' if one.default is inspect.Parameter.empty else '='}" for name, one in known.items()]
    return f"arguments: it takes {', '.join(words) or 'none'} (those with = may be left out)"
