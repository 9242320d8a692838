"""Route 53's API through boto3: who asks, at what pace, and what may be asked twice.

Two clients are kept. One reads, and lets the SDK try again; one writes, and never tries again by itself, for the core
reads the zone and decides. The SDK is imported when it is first used.
"""

from __future__ import annotations

import threading
from contextlib import suppress
from datetime import timedelta
from functools import cache
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from realmkit.dns.pacing import Paces
from realmkit.errors import MissingExtraError, RealmkitError
from realmkit_providers.route53_errors import Asked, senseless, translate
from realmkit_providers.route53_rows import EVENT, take_plain_sets

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from realmkit.dns.provider import Context, Secret
    from realmkit_providers.route53_settings import Route53Settings

SIGNED_FOR: Final = "us-east-1"  # the region in which Route 53 is signed for, where a profile names no other
_EARLY: Final = timedelta(minutes=5)  # before a role's credentials end, new ones are taken
_BURST: Final = 1.0  # with four a second after it, no second ever sees more than AWS's five
_SILENT: Final = frozenset({"create_resource_record_set_protections", "delete_resource_record_set_protections"})


@cache
def _paces(rate: float) -> Paces:
    """The buckets of all accounts that are asked at this rate."""
    return Paces(rate, _BURST)


class _Clients(NamedTuple):
    """Clients of one set of credentials.

    Attributes:
        reads, writes: of Route 53.
        sts: of the token service.
        until: when the credentials end; None where the SDK renews them.
    """

    reads: Any
    writes: Any
    sts: Any
    until: datetime | None


class Api:
    """Asks Route 53, from any number of threads.

    Args:
        settings: whose account, and how.
        context: secrets and the clock.
    """

    def __init__(self, settings: Route53Settings, context: Context) -> None:
        self._settings = settings
        self._context = context
        self._lock = threading.Lock()
        self._made: _Clients | None = None
        self._hidden: set[str] = set()

    def read(self, operation: str, about: str, /, **parameters: Any) -> dict[str, Any]:
        """Ask for something; the SDK may ask several times.

        Args:
            operation: as boto3 names it: `list_resource_record_sets`.
            about: what it is about, for errors.
            parameters: of the operation.

        Raises:
            UnreachableError, AuthError, RateLimitedError, RejectedError, ProviderError: as Route 53 answered.
        """
        return self._call(operation, about, parameters, write=False)

    def write(self, operation: str, about: str, /, **parameters: Any) -> dict[str, Any]:
        """Change something, asking once.

        Raises:
            OutcomeUnknownError: it was sent, and what became of it was not said.
            UnreachableError, AuthError, RateLimitedError, RejectedError: nothing was changed.
        """
        return self._call(operation, about, parameters, write=True)

    def asked(self, operation: str, about: str, *, write: bool = False) -> Asked:
        """A request, for errors about it."""
        title = "".join(word.capitalize() for word in operation.split("_"))
        return Asked(title, about, write, self._settings.source, self._hide, self._context.clock.now)

    def can(self, operation: str) -> bool:
        """Whether this version of the SDK knows an operation."""
        return hasattr(self._clients(operation).reads, operation)

    def whoami(self) -> str:
        """`account 123456789012 (arn:...)` where that can be learnt, else where the credentials come from."""
        with suppress(Exception):  # only ever part of another error's text
            answer = self._clients("get_caller_identity").sts.get_caller_identity()
            return f"account {answer['Account']} ({answer['Arn']})"
        return f"the account of {self._settings.source}"

    def _call(self, operation: str, about: str, parameters: Mapping[str, Any], *, write: bool) -> dict[str, Any]:
        clients = self._clients(about)
        method = getattr(clients.writes if write else clients.reads, operation)
        _paces(self._settings.requests_per_second).of(self._account(), self._context.clock).take()
        try:
            answer: dict[str, Any] = method(**parameters)
        except Exception as error:  # botocore's parsers stumble over odd XML with whatever comes
            raise translate(error, self.asked(operation, about, write=write)) from None
        if answer.keys() <= {"ResponseMetadata"} and operation not in _SILENT:
            raise senseless(self.asked(operation, about, write=write), "nothing at all")
        return answer

    def _account(self) -> str:
        """What the pace is kept by. Two names of one account have a pace each: the API does not tell beforehand."""
        settings = self._settings
        if settings.role_arn or settings.profile or settings.access_key_id is None:
            return settings.role_arn or settings.profile or "the SDK's chain"
        return self._reveal(settings.access_key_id)

    def _clients(self, about: str) -> _Clients:
        """Clients whose credentials still hold. Made under a lock, for boto3's sessions are not thread-safe."""
        with self._lock:
            made = self._made
            if made is None or (made.until is not None and self._context.clock.now() >= made.until - _EARLY):
                try:
                    made = self._made = self._connect(about)
                except RealmkitError:
                    raise
                except ImportError as error:
                    raise MissingExtraError(
                        "the provider 'route53' needs boto3, which is not installed",
                        hint="pip install 'realmkit[route53]'",
                    ) from error
                except Exception as error:  # profiles, plugins and processes that the SDK calls fail in many ways
                    raise translate(error, self.asked("connect", about)) from None
            return made

    def _connect(self, about: str) -> _Clients:
        import boto3

        settings = self._settings
        keys = {name: self._reveal(secret) for name, secret in settings.keys.items()}
        session = boto3.session.Session(profile_name=settings.profile, **keys)
        region, until = session.region_name or SIGNED_FOR, None
        sts = self._token_service(session, region)
        if settings.role_arn:
            keys, until = self._take_role(sts, settings.role_arn, about)
            session = boto3.session.Session(**keys)
            sts = self._token_service(session, region)
        reads, writes = (
            session.client("route53", region_name=region, endpoint_url=settings.endpoint_url, config=config)
            for config in (self._config(settings.attempts, settings.retries), self._config(1, "standard"))
        )
        reads.meta.events.register(EVENT, take_plain_sets)
        return _Clients(reads, writes, sts, until)

    def _token_service(self, session: Any, region: str) -> Any:
        url = self._settings.sts_endpoint_url or self._settings.endpoint_url
        return session.client("sts", region_name=region, endpoint_url=url, config=self._config(1, "standard"))

    def _config(self, attempts: int, mode: str) -> Any:
        from botocore.config import Config

        timeout, retries = self._settings.timeout, {"total_max_attempts": attempts, "mode": mode}
        return Config(connect_timeout=timeout, read_timeout=timeout, retries=retries)

    def _take_role(self, sts: Any, role_arn: str, about: str) -> tuple[dict[str, str], datetime]:
        """Keys of the role for an hour, and when they end."""
        external_id = self._settings.external_id
        more = {"ExternalId": external_id} if external_id else {}
        try:
            given = sts.assume_role(RoleArn=role_arn, RoleSessionName="realmkit", **more)["Credentials"]
            keys = {
                "aws_access_key_id": given["AccessKeyId"],
                "aws_secret_access_key": given["SecretAccessKey"],
                "aws_session_token": given["SessionToken"],
            }
            until: datetime = given["Expiration"]
        except Exception as error:  # as in _call
            raise translate(error, self.asked("assume_role", about)) from None
        self._hidden |= {keys["aws_secret_access_key"], keys["aws_session_token"]}
        return keys, until

    def _reveal(self, secret: Secret) -> str:
        value = self._context.reveal(secret)
        if secret != self._settings.access_key_id:  # an id is no secret, and errors may need it
            self._hidden.add(value)
        return value

    def _hide(self, text: str) -> str:
        for secret in tuple(self._hidden):
            text = text.replace(secret, "(secret)")
        return text
