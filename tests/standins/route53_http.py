"""The operations that the stand-in answers itself, and corrections of what moto answers.

Elements and their order are those of the service model of botocore 1.44.8. The form of an error is that of
boto/boto#2887; status codes are the service model's.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import NamedTuple
from urllib.parse import parse_qs
from xml.etree import ElementTree as ET
from xml.sax.saxutils import escape

from tests.standins.route53_access import Key, Request
from tests.standins.route53_cloud import Change, Cloud
from tests.standins.route53_values import RefusedError, canonical, sort_key
from tests.standins.route53_zone import Edit, HostedZone, canonical_set

XMLNS = "https://route53.amazonaws.com/doc/2013-04-01/"
_NS = f"{{{XMLNS}}}"
_PLAIN = ("Name", "Type", "TTL", "ResourceRecords", "SetIdentifier")
_PAGE = 300
_ZONES = 100
_AT_ONCE = 100
ET.register_namespace("", XMLNS)


class Reply(NamedTuple):
    """What is answered."""

    status: int
    body: bytes
    headers: tuple[tuple[str, str], ...] = (("Content-Type", "text/xml"),)


class ApiError(Exception):
    """An error of the API: status, code, message."""

    def __init__(self, status: int, code: str, text: str, more: str = "") -> None:
        super().__init__(text)
        self.status, self.code, self.more = status, code, more


def error_reply(status: int, code: str, text: str, more: str = "") -> Reply:
    """An error in AWS's form."""
    kind = "Sender" if status < 500 else "Receiver"
    inner = f"<Type>{kind}</Type><Code>{code}</Code><Message>{escape(text)}</Message>{more}"
    return _reply("ErrorResponse", f"<Error>{inner}</Error><RequestId>request-of-the-stand-in</RequestId>", status)


def operation_of(request: Request) -> str:
    """The operation's name, as far as the stand-in cares."""
    for method, pattern, name in _ROUTES:
        if request.method == method and re.fullmatch(r"/2013-04-01/" + pattern, request.path):
            return name
    if request.path == "/":
        return parse_qs(request.body.decode()).get("Action", ["Unknown"])[0]
    return "Other"


def answer(cloud: Cloud, operation: str, request: Request, key: Key, ask_moto: Callable[[], Reply]) -> Reply:
    """Answer a request of somebody who may ask."""
    try:
        if operation in _BEFORE_MOTO:
            reply = _BEFORE_MOTO[operation](cloud, request, key, ask_moto)
        elif operation in _OWN:
            reply = _OWN[operation](cloud, request, key)
        else:
            reply = ask_moto()
    except ApiError as error:
        reply = error_reply(error.status, error.code, str(error), error.more)
    return reply


def _reply(root: str, inner: str, status: int = 200) -> Reply:
    return Reply(status, f'<?xml version="1.0"?>\n<{root} xmlns="{XMLNS}">{inner}</{root}>'.encode())


def _zone_of(cloud: Cloud, request: Request, key: Key) -> HostedZone:
    zone_id = request.path.split("/")[3]
    zone = cloud.zone(zone_id, key.account)
    if zone is None:
        raise ApiError(404, "NoSuchHostedZone", f"No hosted zone found with ID: {zone_id}")
    return zone


def _query(request: Request) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(request.query, keep_blank_values=True).items()}


def _body(request: Request) -> ET.Element:
    try:
        return ET.fromstring(request.body)
    except ET.ParseError as error:
        raise ApiError(400, "InvalidInput", f"Invalid XML ; {error}") from error


def _text(element: ET.Element, path: str) -> str:
    return element.findtext("/".join(_NS + part for part in path.split("/"))) or ""


# --- records ---------------------------------------------------------------------------------------------------


def _list_sets(cloud: Cloud, request: Request, key: Key) -> Reply:
    zone = _zone_of(cloud, request, key)
    query = _query(request)
    if "type" in query and "name" not in query:
        raise ApiError(400, "InvalidInput", "The input is not valid: type without name")
    name = sort_key(canonical(query["name"])) if "name" in query else ""
    most = min(int(query.get("maxitems", _PAGE)), _PAGE)
    sets, following = cloud.page(zone, (name, query.get("type", ""), query.get("identifier", "")), most)
    inner = f"<ResourceRecordSets>{''.join([one.xml() for one in sets])}</ResourceRecordSets>"
    inner += f"<IsTruncated>{str(following is not None).lower()}</IsTruncated>"
    if following is not None:
        inner += f"<NextRecordName>{escape(following.name)}</NextRecordName>"
        inner += f"<NextRecordType>{following.type}</NextRecordType>"
        if following.identifier:
            inner += f"<NextRecordIdentifier>{escape(following.identifier)}</NextRecordIdentifier>"
    return _reply("ListResourceRecordSetsResponse", f"{inner}<MaxItems>{most}</MaxItems>")


def _change_sets(cloud: Cloud, request: Request, key: Key) -> Reply:
    zone = _zone_of(cloud, request, key)
    changes = _body(request).findall(f"{_NS}ChangeBatch/{_NS}Changes/{_NS}Change")
    if not changes:
        raise ApiError(400, "InvalidInput", "Invalid XML ; the content of element 'Changes' is not complete")
    try:
        change = cloud.submit(zone, [_edit(one) for one in changes])
    except RefusedError as error:
        raise ApiError(400, "InvalidChangeBatch", str(error)) from error
    return _reply("ChangeResourceRecordSetsResponse", _change_info(change, "PENDING"))


def _edit(change: ET.Element) -> Edit:
    one = change.find(_NS + "ResourceRecordSet")
    action = _text(change, "Action")
    if one is None or action not in ("CREATE", "DELETE", "UPSERT"):
        raise ApiError(400, "InvalidInput", f"Invalid XML ; no such action: {action}")
    values = tuple(value.text or "" for value in one.iterfind(f"{_NS}ResourceRecords/{_NS}ResourceRecord/{_NS}Value"))
    rest = "".join(
        re.sub(r' xmlns(:\w+)?="[^"]*"', "", ET.tostring(part, encoding="unicode"))
        for part in one
        if part.tag.removeprefix(_NS) not in _PLAIN
    )
    ttl, identifier = _text(one, "TTL"), _text(one, "SetIdentifier")
    if identifier:
        rest = f"<SetIdentifier>{escape(identifier)}</SetIdentifier>{rest}"
    if bool(values) != bool(ttl) or bool(values) == ("<AliasTarget>" in rest):
        words = "Expected exactly one of [AliasTarget, all of [TTL, and ResourceRecords], or TrafficPolicyInstanceId]"
        raise ApiError(400, "InvalidInput", f"Invalid request: {words}")  # ansible-collections/community.aws#800
    kind = _text(one, "Type")
    return Edit(action, canonical_set(_text(one, "Name"), kind, int(ttl) if ttl else None, values, identifier, rest))


def _get_change(cloud: Cloud, request: Request, key: Key) -> Reply:
    change = cloud.changes.get(request.path.split("/")[3])
    if change is None or change.zone.account != key.account:
        raise ApiError(404, "NoSuchChange", "Could not find resource with ID")
    return _reply("GetChangeResponse", _change_info(change, cloud.poll(change)))


def _change_info(change: Change, status: str) -> str:
    when = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S.000Z}"
    inner = f"<Id>/change/{change.id}</Id><Status>{status}</Status><SubmittedAt>{when}</SubmittedAt>"
    return f"<ChangeInfo>{inner}</ChangeInfo>"


# --- hosted zones ----------------------------------------------------------------------------------------------


def _list_by_name(cloud: Cloud, request: Request, key: Key) -> Reply:
    """moto's has neither pages nor the elements that tell of them."""
    query = _query(request)
    start = (sort_key(canonical(query["dnsname"])) if "dnsname" in query else "", query.get("hostedzoneid", ""))
    most = min(int(query.get("maxitems", _ZONES)), _ZONES)
    there = [zone for zone in cloud.backend(key.account).zones.values() if zone.resource_id in cloud.zones]
    there.sort(key=lambda zone: (sort_key(canonical(zone.name)), zone.resource_id))
    there = [zone for zone in there if (sort_key(canonical(zone.name)), zone.resource_id) >= start]
    page, following = there[:most], there[most : most + 1]
    shown = "".join(
        f"<HostedZone><Id>/hostedzone/{zone.resource_id}</Id><Name>{escape(canonical(zone.name))}</Name>"
        f"<CallerReference>{escape(zone.caller_reference)}</CallerReference><Config>"
        f"<Comment>{escape(zone.comment or '')}</Comment><PrivateZone>{str(zone.private_zone).lower()}</PrivateZone>"
        f"</Config><ResourceRecordSetCount>{len(cloud.zones[zone.resource_id].sets)}</ResourceRecordSetCount></HostedZone>"
        for zone in page
    )
    inner = f"<HostedZones>{shown}</HostedZones><IsTruncated>{str(bool(following)).lower()}</IsTruncated>"
    for zone in following:
        inner += f"<NextDNSName>{escape(canonical(zone.name))}</NextDNSName>"
        inner += f"<NextHostedZoneId>{zone.resource_id}</NextHostedZoneId>"
    return _reply("ListHostedZonesByNameResponse", f"{inner}<MaxItems>{most}</MaxItems>")


def _create_zone(cloud: Cloud, request: Request, key: Key, ask_moto: Callable[[], Reply]) -> Reply:
    """moto takes a CallerReference twice, and its name servers are not the ones that serve here."""
    reference = (key.account, _text(_body(request), "CallerReference"))
    with cloud.lock:
        if reference in cloud.references:
            text = "A hosted zone has already been created with the specified caller reference."  # from memory
            raise ApiError(409, "HostedZoneAlreadyExists", text)
        before = set(cloud.backend(key.account).zones)
        reply = ask_moto()
        if reply.status != 201:
            return reply
        cloud.references.add(reference)
        (made,) = (zone for name, zone in cloud.backend(key.account).zones.items() if name not in before)
        cloud.adopt(key.account, made)
    servers = "".join(f"<NameServer>{server}</NameServer>" for server in made.delegation_set.name_servers)
    pattern = rb"<NameServers>.*?</NameServers>"
    body = re.sub(pattern, f"<NameServers>{servers}</NameServers>".encode(), reply.body, flags=re.DOTALL)
    return reply._replace(body=body)


def _delete_zone(cloud: Cloud, request: Request, key: Key, ask_moto: Callable[[], Reply]) -> Reply:
    zone = _zone_of(cloud, request, key)
    if any(one.name != zone.name or one.type not in ("SOA", "NS") for one in zone.sets.values()):
        text = "The specified hosted zone contains non-required resource record sets and so cannot be deleted."
        raise ApiError(400, "HostedZoneNotEmpty", text)
    if zone.protections:  # CreateResourceRecordSetProtections says so; the code is ours
        raise ApiError(400, "InvalidInput", "The hosted zone has resource record set protections")
    reply = ask_moto()
    cloud.zones.pop(zone.id, None)
    return reply


def _list_health_checks(cloud: Cloud, request: Request, key: Key, ask_moto: Callable[[], Reply]) -> Reply:
    """moto leaves out IsTruncated and MaxItems, which the model requires."""
    reply = ask_moto()
    if b"<IsTruncated>" in reply.body:
        return reply
    end = b"</ListHealthChecksResponse>"
    return reply._replace(
        body=reply.body.replace(end, b"<IsTruncated>false</IsTruncated><MaxItems>100</MaxItems>" + end)
    )


def _assume_role(cloud: Cloud, request: Request, key: Key, ask_moto: Callable[[], Reply]) -> Reply:
    """moto gives keys to everybody; here a role may want an external id, and its keys get in."""
    form = {name: values[0] for name, values in parse_qs(request.body.decode()).items()}
    role = form.get("RoleArn", "")
    if cloud.external_ids.get(role, form.get("ExternalId")) != form.get("ExternalId"):
        text = f"User: {key.arn} is not authorized to perform: sts:AssumeRole on resource: {role}"
        raise ApiError(403, "AccessDenied", text)
    reply = ask_moto()
    found = {
        name: re.search(f"<{name}>([^<]*)</{name}>", reply.body.decode())
        for name in ("AccessKeyId", "SecretAccessKey", "SessionToken", "Arn")
    }
    given = {name: match[1] for name, match in found.items() if match}
    cloud.access.add(
        Key(given["AccessKeyId"], given["SecretAccessKey"], role.split(":")[4], given["Arn"], given["SessionToken"])
    )
    return reply


def _get_caller_identity(_cloud: Cloud, _request: Request, key: Key) -> Reply:
    inner = f"<Arn>{key.arn}</Arn><UserId>{key.id}</UserId><Account>{key.account}</Account>"
    body = (
        f'<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><GetCallerIdentityResult>{inner}'
    )
    body += "</GetCallerIdentityResult><ResponseMetadata><RequestId>r</RequestId></ResponseMetadata>"
    return Reply(200, f"{body}</GetCallerIdentityResponse>".encode())


# --- protections -----------------------------------------------------------------------------------------------


def _list_protections(cloud: Cloud, request: Request, key: Key) -> Reply:
    zone = _zone_of(cloud, request, key)
    query = _query(request)
    most, start = min(int(query.get("maxresults", _PAGE)), _PAGE), int(query.get("nexttoken") or 0)
    there = sorted(zone.protections.items(), key=lambda item: (sort_key(item[0][0]), item[0][1]))
    inner = "".join(
        f"<ResourceRecordSetProtection><RecordName>{escape(name)}</RecordName><RecordType>{kind}</RecordType>"
        + (f"<Comment>{escape(comment)}</Comment>" if comment else "")
        + "</ResourceRecordSetProtection>"
        for (name, kind), comment in there[start : start + most]
    )
    token = f"<NextToken>{start + most}</NextToken>" if len(there) > start + most else ""
    body = f"<ResourceRecordSetProtections>{inner}</ResourceRecordSetProtections>{token}"
    return _reply("ListResourceRecordSetProtectionsResponse", body)


def _create_protections(cloud: Cloud, request: Request, key: Key) -> Reply:
    zone = _zone_of(cloud, request, key)
    wanted = _protections(request, "ResourceRecordSetProtectionConfig")
    there = [one for one in wanted if one in zone.protections]
    if there:
        status, code = (409, "ProtectionAlreadyExists") if len(there) == len(wanted) else (400, _BAD_PROTECTIONS)
        raise ApiError(
            status, code, "A protection already exists", _protection_errors(there, "ProtectionAlreadyExists")
        )
    with cloud.lock:
        zone.protections |= wanted
    return _reply("CreateResourceRecordSetProtectionsResponse", "")


def _delete_protections(cloud: Cloud, request: Request, key: Key) -> Reply:
    zone = _zone_of(cloud, request, key)
    wanted = _protections(request, "ResourceRecordSetProtectionKey")
    absent = [one for one in wanted if one not in zone.protections]
    if absent:
        raise ApiError(400, _BAD_PROTECTIONS, "No such protection", _protection_errors(absent, "ProtectionNotFound"))
    with cloud.lock:
        for one in wanted:
            del zone.protections[one]
    return _reply("DeleteResourceRecordSetProtectionsResponse", "")


_BAD_PROTECTIONS = "InvalidResourceRecordSetProtectionBatch"


def _protections(request: Request, element: str) -> dict[tuple[str, str], str]:
    found = _body(request).findall(f"{_NS}Protections/{_NS}{element}")
    wanted = {(canonical(_text(one, "RecordName")), _text(one, "RecordType")): _text(one, "Comment") for one in found}
    if not 0 < len(found) <= _AT_ONCE or len(wanted) < len(found):
        raise ApiError(400, "InvalidInput", f"{len(found)} protections in a request")
    return wanted


def _protection_errors(keys: list[tuple[str, str]], code: str) -> str:
    inner = "".join(
        f"<ProtectionError><RecordName>{escape(name)}</RecordName><RecordType>{kind}</RecordType>"
        f"<Code>{code}</Code><Message>{code}</Message></ProtectionError>"
        for name, kind in keys
    )
    return f"<Errors>{inner}</Errors>"


_ROUTES = (
    ("POST", r"hostedzone/[^/]+/rrset/?", "ChangeResourceRecordSets"),
    ("GET", r"hostedzone/[^/]+/rrset", "ListResourceRecordSets"),
    ("GET", r"change/[^/]+", "GetChange"),
    ("GET", r"hostedzonesbyname", "ListHostedZonesByName"),
    ("POST", r"hostedzone", "CreateHostedZone"),
    ("GET", r"hostedzone", "ListHostedZones"),
    ("GET", r"hostedzone/[^/]+", "GetHostedZone"),
    ("DELETE", r"hostedzone/[^/]+", "DeleteHostedZone"),
    ("GET", r"healthcheck", "ListHealthChecks"),
    ("GET", r"hostedzone/[^/]+/rrsetprotection", "ListResourceRecordSetProtections"),
    ("POST", r"hostedzone/[^/]+/rrsetprotection", "CreateResourceRecordSetProtections"),
    ("POST", r"hostedzone/[^/]+/rrsetprotection/delete", "DeleteResourceRecordSetProtections"),
)
_OWN = {
    "ChangeResourceRecordSets": _change_sets,
    "ListResourceRecordSets": _list_sets,
    "GetChange": _get_change,
    "ListHostedZonesByName": _list_by_name,
    "ListResourceRecordSetProtections": _list_protections,
    "CreateResourceRecordSetProtections": _create_protections,
    "DeleteResourceRecordSetProtections": _delete_protections,
    "GetCallerIdentity": _get_caller_identity,
}
_BEFORE_MOTO = {
    "CreateHostedZone": _create_zone,
    "DeleteHostedZone": _delete_zone,
    "ListHealthChecks": _list_health_checks,
    "AssumeRole": _assume_role,
}
