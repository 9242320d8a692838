"""What a project says about Route 53: whose account, how it is asked, and which of its hosted zones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from msgspec import Meta, field

from realmkit.dns import names, provider
from realmkit.dns.apiurl import check_url
from realmkit.dns.provider import Secret
from realmkit.errors import InputError

if TYPE_CHECKING:
    from realmkit.dns.names import Name


class Route53Settings(provider.Settings, frozen=True):
    """The keys beside `type` under `providers:`. Without any, the SDK's own chain finds credentials.

    Attributes:
        profile: a profile of ~/.aws/config.
        access_key_id, secret_access_key: keys of an IAM user, or temporary ones with `session_token`.
        session_token: belongs to temporary keys.
        role_arn: a role that is taken with these credentials, and taken anew before it ends.
        external_id: what the role's trust policy asks for.
        endpoint_url: another address of the API.
        sts_endpoint_url: another address of the token service; `endpoint_url` where that alone is given.
        zone_ids: hosted zone ids by zone name, where the name alone does not tell.
        private: work on private hosted zones instead of public ones.
        delegation_set: id of a reusable delegation set, which gives new zones their name servers.
        retries: how the SDK asks again when a reading fails.
        attempts: how often it asks at most, the first time included.
        timeout: seconds to wait for a connection, and for each answer.
        requests_per_second: AWS takes five from an account, whoever in it asks.
    """

    profile: str | None = None
    access_key_id: Secret | None = None
    secret_access_key: Secret | None = None
    session_token: Secret | None = None
    role_arn: str | None = None
    external_id: str | None = None
    endpoint_url: str | None = None
    sts_endpoint_url: str | None = None
    zone_ids: dict[str, str] = field(default_factory=dict)
    private: bool = False
    delegation_set: str | None = None
    retries: Literal["standard", "adaptive"] = "standard"
    attempts: Annotated[int, Meta(ge=1, le=10, description="requests for one reading, the first included")] = 3
    timeout: Annotated[float, Meta(gt=0, description="seconds to wait for each answer")] = 30.0
    requests_per_second: Annotated[float, Meta(gt=0, description="of an account, over all threads")] = 4.0

    @property
    def keys(self) -> dict[str, Secret]:
        """The keys as boto3 names them; empty for the SDK's own chain."""
        named = {
            "aws_access_key_id": self.access_key_id,
            "aws_secret_access_key": self.secret_access_key,
            "aws_session_token": self.session_token,
        }
        return {name: secret for name, secret in named.items() if secret is not None}

    @property
    def source(self) -> str:
        """Where the credentials come from, for people."""
        if self.access_key_id is not None:
            origin = f"access_key_id ({self.access_key_id.reference})"
        elif self.profile is not None:
            origin = f"profile {self.profile!r}"
        else:
            origin = "the SDK's own chain (environment, ~/.aws, instance role)"
        return f"role {self.role_arn}, taken with {origin}" if self.role_arn else origin

    def ids(self) -> dict[Name, str]:
        """`zone_ids` by name in wire form. Raises InputError for what is no name."""
        return {names.absolute(zone): bare_id(one) for zone, one in self.zone_ids.items()}

    def check(self) -> None:
        """See that the settings go together.

        Raises:
            InputError: they don't.
        """
        if (self.access_key_id is None) != (self.secret_access_key is None):
            raise InputError("route53: access_key_id and secret_access_key go together, and one of them is missing")
        if self.session_token is not None and self.access_key_id is None:
            raise InputError("route53: session_token belongs to access_key_id and secret_access_key")
        if self.access_key_id is not None and self.profile is not None:
            raise InputError(
                "route53: a profile or keys, not both", hint="with a profile the SDK finds the keys itself"
            )
        if self.external_id is not None and self.role_arn is None:
            raise InputError("route53: external_id belongs to role_arn")
        for setting, url in (("endpoint_url", self.endpoint_url), ("sts_endpoint_url", self.sts_endpoint_url)):
            if url is not None:
                check_url(url, f"route53: {setting}", f"{setting}: https://HOST")
        self.ids()


def bare_id(text: str) -> str:
    """`Z0123` of `/hostedzone/Z0123`, as answers write it."""
    return text.rpartition("/")[2]
