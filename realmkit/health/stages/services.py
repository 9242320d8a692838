"""The stages that talk to what realms and white-label names lead to, and to resolvers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from msgspec import structs

from realmkit.dns import names, rdata
from realmkit.dns import records as rr
from realmkit.health import chain, clients
from realmkit.health.stages.judging import judged

if TYPE_CHECKING:
    from collections.abc import Iterator

    from realmkit.dns.findings import Finding
    from realmkit.dns.names import Name
    from realmkit.health.ground import Ground
    from realmkit.health.seen.realm import RealmSeen


def endpoints(ground: Ground) -> Iterator[Finding]:
    """Ask every SIP endpoint that realms lead to for its OPTIONS."""
    if not ground.settings.wants("SIP06", "SIP10"):
        return
    from realmkit.health.observe import sip

    tasks = chain.tasks_of(_realms(ground))
    ground.endpoints += len(tasks)
    yield from judged(ground, sip.look(tasks, ground.surroundings))


def sips(ground: Ground) -> Iterator[Finding]:
    """The certificates that phones meet over TLS, for every realm."""
    if not ground.settings.wants("SIP07"):
        return
    from realmkit.health.observe import tls
    from realmkit.health.seen.tls import tls_tasks

    tasks = tls_tasks(_sips_places(ground).items())
    ground.endpoints += len({(task.host, task.port) for task in tasks})
    seen = tls.look(tasks, ground.surroundings, _trust(ground), seed=ground.state.turn)
    left_out = {("SIP07", one.task.server_name) for one in seen if one.state == "not looked at"}
    ground.unjudged |= left_out
    if left_out:
        ground.notes.append(f"certificates for {len(left_out):,} realms were left to later runs")
    yield from judged(ground, seen)


def _sips_places(ground: Ground) -> dict[Name, list[tuple[str, int]]]:
    """Where each realm's TLS clients go. Of realms that are alike one was pictured, and stands for its zone."""
    pictured: dict[Name, list[tuple[str, int]]] = {}
    of_zone: dict[Name, list[tuple[str, int]]] = {}
    for seen in _realms(ground):
        walks = [chain.walk(seen.name, view, seen.hosts, clients.TLS) for view in seen.views()]
        led = [hop for walk in walks for hop in walk.hops if hop.through != seen.name]
        pictured[seen.name] = list(dict.fromkeys((hop.address, hop.port) for hop in led))
        of_zone.setdefault(seen.zone, pictured[seen.name])
    realms = [task for task in ground.looked_at if task.kind == "realm"]
    return {task.name: pictured.get(task.name, of_zone.get(task.zone, [])) for task in realms}


def mail(ground: Ground) -> Iterator[Finding]:
    """Have every mail host greet us; read what realms say of mail in their name."""
    from realmkit.health.observe import smtp

    if ground.settings.wants("MX03"):
        tasks = smtp.smtp_tasks(_realms(ground))
        ground.endpoints += len(tasks)
        yield from judged(ground, smtp.look(tasks, ground.surroundings))
    if ground.settings.wants("MX05"):
        yield from judged(ground, smtp.policies(_realms(ground), ground.surroundings))


def portals(ground: Ground) -> Iterator[Finding]:
    """The certificates of portal and API names of white-label domains."""
    wanted = _https(ground) if ground.settings.wants("SCR07") else {}
    if not wanted:
        return
    from realmkit.health.observe import hosts, tls
    from realmkit.health.seen.tls import TlsTask

    found = hosts.look(list(wanted), ground.servers, ground.surroundings)
    tasks = []
    for name, ports in wanted.items():
        texts = [rdata.to_text(kind, octets) for kind, octets in found[name].addresses]
        tasks += [TlsTask(text, port, name, (name,), "portal") for text in texts for port in ports]
    ground.endpoints += len(tasks)
    yield from judged(ground, tls.look(tasks, ground.surroundings, _trust(ground)))


def _https(ground: Ground) -> dict[Name, tuple[int, ...]]:
    """Names of white-label domains that browsers and programs come to, with the ports."""
    looked_at = {task.name for task in ground.looked_at}
    return {name: ports for name, ports in ground.desk.https_names().items() if name in looked_at}


def _trust(ground: Ground) -> Path | None:
    text = ground.desk.project.config.policy.health.trust_store
    return None if text is None else ground.desk.project.directory / text


def caa(ground: Ground) -> Iterator[Finding]:
    """Whether the CAs that certificates come from may issue them."""
    issuers = ground.desk.project.config.policy.health.issuers
    if not issuers or not ground.settings.wants("SEC04"):
        return
    from realmkit.health.observe import caa as observe
    from realmkit.health.seen.caa import CaaTask

    tls = "tls" in ground.desk.project.config.platform.edge.transports
    about: list[tuple[Name, Literal["portal", "sips"]]] = [(name, "portal") for name in _https(ground)]
    about += [(seen.name, "sips") for seen in _realms(ground) if tls and seen.wanted]
    tasks = []
    for name, purpose in about:
        zone = names.closest(name, ground.servers)
        servers = () if zone is None else tuple(ground.servers[zone])
        tasks.append(CaaTask(name, issuers, purpose=purpose, zone=zone, servers=servers))
    yield from judged(ground, observe.look(tasks, ground.surroundings))


def propagation(ground: Ground) -> Iterator[Finding]:
    """What resolvers remember of sets that all authoritative servers serve."""
    if not ground.settings.wants("PRO"):
        return
    from realmkit.health.observe import resolvers
    from realmkit.health.seen.resolvers import resolver_tasks

    public = ground.desk.project.config.policy.health.resolvers
    asked = structs.replace(ground.surroundings, resolvers=public or ground.surroundings.resolvers)
    yield from judged(ground, resolvers.look(resolver_tasks(_realms(ground)), asked))


def aliases(ground: Ground) -> Iterator[Finding]:
    """Where aliases of ours end."""
    if not ground.settings.wants("SCR02"):
        return
    from realmkit.health.observe import dangling
    from realmkit.health.seen.dangling import alias_tasks

    wanted = [rrset for task in ground.looked_at for rrset in task.wanted.values() if rrset.type == rr.CNAME]
    served = [one.rrset for seen in ground.passed.kept for one in seen.sights.values() if one.state == "alias"]
    tasks = alias_tasks([*wanted, *(rrset for rrset in served if rrset is not None)])
    # A target in a zone of ours whose servers are not known is asked of nobody.
    servers = {zone: ground.servers.get(zone, ()) for zone in ground.desk.zones}
    yield from judged(ground, dangling.look(tasks, servers, ground.surroundings))


def lookalikes(ground: Ground) -> Iterator[Finding]:
    """Which names that look like white-label domains are somebody's."""
    if not ground.settings.wants("SCR06"):
        return
    from realmkit.health.observe import dangling

    domains = [names.absolute(text) for text in ground.desk.project.config.whitelabel]
    chosen = [one for one in domains if names.closest(one, ground.scope.zones) is not None]
    yield from judged(ground, dangling.lookalikes(chosen, tuple(ground.desk.zones), ground.surroundings))


def _realms(ground: Ground) -> list[RealmSeen]:
    """The realms whose pictures were kept: every one that looks unlike the others, and all where they are few."""
    return [seen for seen in ground.passed.kept if names.closest(seen.name, ground.servers) is not None]
