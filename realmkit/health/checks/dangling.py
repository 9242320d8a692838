"""Aliases that lead to nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from realmkit.dns import names
from realmkit.dns.findings import Finding
from realmkit.health.check import check
from realmkit.health.seen.dangling import AliasSeen

if TYPE_CHECKING:
    from collections.abc import Iterator

    from realmkit.dns.names import Name

# Hosting whose customers choose the name under which their service stands, and where a name that was given up no
# longer resolves. Source: "Prevent dangling DNS entries and avoid subdomain takeover" (Microsoft Learn) for Azure, and
# the entries marked NXDOMAIN in the community's list "Can I take over XYZ" for AWS.
_CLAIMABLE: Final = {
    names.absolute(suffix): service
    for suffix, service in {
        "azurewebsites.net": "Azure App Service", "cloudapp.net": "Azure Cloud Services",
        "cloudapp.azure.com": "Azure virtual machines", "trafficmanager.net": "Azure Traffic Manager",
        "azureedge.net": "Azure CDN", "azurefd.net": "Azure Front Door", "azure-api.net": "Azure API Management",
        "azurecontainer.io": "Azure Container Instances", "blob.core.windows.net": "Azure Storage",
        "elasticbeanstalk.com": "AWS Elastic Beanstalk",
    }.items()
}  # fmt: skip


@check(
    AliasSeen, "SCR02", "error, unknown", "a CNAME leads to a name that does not exist", source="RFC 1034 section 3.6.2"
)
def dangling_alias(seen: AliasSeen) -> Iterator[Finding]:
    """A name of ours is a CNAME to a name that does not exist, or that has no address.

    Portals and provisioning hosts of a white label are often aliases into a cloud. When the service there is given up
    and the CNAME stays, browsers and phones find nothing; and where the cloud lets customers choose names, anybody can
    take the name that was given up, serve his pages under yours, and get a certificate for it. Phones that fetch their
    configuration there hand him their passwords. The finding names the service where it is known for that.

    Mend: delete the CNAME at once, or bring the service back; next time the record goes first, then the service.

    What it can't see: services that answer for every name (Amazon S3, GitHub Pages, Heroku) while nobody owns yours;
    an A record to an address that was given back to a cloud. Targets in our own zones are asked of their own servers,
    all others are looked up from the root down, or of the configured resolvers; a failure is unknown.
    """
    subject, target = f"{names.to_text(seen.task.name)} CNAME", names.to_text(seen.task.target)
    end = "" if seen.end == seen.task.target else f" at {names.to_text(seen.end)}"
    if seen.state == "unknown":
        yield Finding("SCR02", "unknown", subject, "whether its target exists could not be told", seen=seen.detail)
    elif seen.state != "resolves":
        what = "NXDOMAIN" if seen.state == "nxdomain" else "neither A nor AAAA"
        service = claimable(seen.end) if seen.state == "nxdomain" else None
        free = f", and anybody may claim that name at {service}" if service else ""
        yield Finding(
            "SCR02", "error", subject, f"it is an alias to {target}, which leads nowhere{free}",
            expected="a target with addresses", seen=f"{what}{end}",
            mend=f"delete the CNAME {names.to_text(seen.task.name)}, or bring its target back",
        )  # fmt: skip


def claimable(name: Name) -> str | None:
    """The service at which anybody may claim that name once it does not exist; None if none is known."""
    suffix = names.closest(name, _CLAIMABLE)
    return None if suffix is None or suffix == name else _CLAIMABLE[suffix]
