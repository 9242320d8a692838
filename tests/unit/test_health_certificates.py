"""Which names a certificate carries, what is said of it, and which CAs a CAA set allows.

tests/lab/test_health_certificates.py shakes hands with real servers.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from realmkit.dns import names, rdata
from realmkit.dns import records as rr
from realmkit.health.checks.caa import caa
from realmkit.health.checks.certificates import portal, sips
from realmkit.health.identities import as_host, as_sip
from realmkit.health.observe.tls import read
from realmkit.health.seen.caa import CaaSeen, CaaTask
from realmkit.health.seen.tls import Certificate, TlsSeen, TlsTask, tls_tasks
from tests.lab.tls import Authority

if TYPE_CHECKING:
    from pathlib import Path

REALM = names.absolute("acme.s.example.net")
NOW = 1_800_000_000
DAY = 86400


def certificate(*sans: str, common: str = "", begin: int = -60, end: int = 60) -> Certificate:
    hosts, uris = (tuple(one for one in sans if (":" in one) == is_uri) for is_uri in (False, True))
    return Certificate(hosts, uris, common, bool(sans), NOW + begin * DAY, NOW + end * DAY, "CN=Lab CA", "00")


@pytest.mark.parametrize(
    ("sans", "common", "match"),
    [
        (("acme.s.example.net",), "", "exact"),
        (("ACME.s.Example.NET",), "", "exact"),
        (("sip:acme.s.example.net",), "", "exact"),
        (("SIP:Acme.s.example.net:5061;transport=tls",), "", "exact"),
        (("sip:other.example.net", "sip:acme.s.example.net"), "", "exact"),
        (("acme.s.example.net", "sip:other.example.net"), "", "overruled"),
        (("acme.s.example.net", "sips:other.example.net", "https://other.example.net"), "", "exact"),
        (("sip:bob@acme.s.example.net",), "acme.s.example.net", "no"),
        (("sips:acme.s.example.net",), "", "no"),
        (("*.s.example.net",), "", "wildcard"),
        (("*.example.net",), "", "no"),
        (("a*.s.example.net", "*", "*.acme.s.example.net"), "", "no"),
        ((), "acme.s.example.net", "common name"),
        (("edge.example.net",), "acme.s.example.net", "no"),
        (("s.example.net", "me.s.example.net", "xacme.s.example.net"), "", "no"),
        ((), "", "no"),
    ],
)
def test_a_sip_domain_is_carried_as_rfc_5922_says(sans: tuple[str, ...], common: str, match: str) -> None:
    assert as_sip(certificate(*sans, common=common), REALM) == match


@pytest.mark.parametrize(
    ("sans", "match"),
    [
        (("acme.s.example.net",), "exact"),
        (("*.s.example.net",), "wildcard"),
        (("*.S.example.net.",), "wildcard"),
        (("*.example.net", "a*.s.example.net", "*"), "no"),
        (("https://acme.s.example.net",), "no"),
        ((), "no"),
    ],
)
def test_a_host_name_is_carried_as_rfc_9525_says(sans: tuple[str, ...], match: str) -> None:
    assert as_host(certificate(*sans, common="acme.s.example.net"), REALM) == match


def test_octets_that_are_no_certificate_are_a_value_error_and_nothing_else(tmp_path: Path) -> None:
    whole = Authority(tmp_path).issue("acme.s.example.net", "sip:acme.s.example.net", "192.0.2.1", common="acme")
    octets = x509.load_pem_x509_certificate(whole.path.read_bytes()).public_bytes(Encoding.DER)
    there = read(octets)
    assert (there.dns_names, there.uris, there.common_name) == (
        ("acme.s.example.net",), ("sip:acme.s.example.net",), "acme",
    )  # fmt: skip
    dice, refused = random.Random(5922), 0
    for _ in range(2000):
        spoiled = bytearray(octets)
        for _ in range(dice.randint(1, 3)):
            spoiled[dice.randrange(len(spoiled))] = dice.randrange(256)
        try:
            read(bytes(spoiled[: dice.choice((len(spoiled), dice.randrange(len(spoiled))))]))
        except ValueError:
            refused += 1
    assert 1000 < refused < 2000


def found(shown: Certificate | None, purpose: str = "sips", **more: Any) -> set[tuple[str, str, str]]:
    task = TlsTask("192.0.2.1", 5061, REALM, (REALM,), purpose)  # type: ignore[arg-type]
    made: dict[str, Any] = {"state": "seen", "at": NOW, "trusted": True, "version": "TLSv1.3"}
    seen = TlsSeen(task, certificate=shown, **(made | more))
    told = [*sips(seen), *portal(seen)]
    assert {one.server for one in told} <= {"192.0.2.1:5061"}
    return {(one.id, one.level, one.subject) for one in told}


@pytest.mark.parametrize(
    ("begin", "end", "level"),
    [(-60, 22, None), (-69, 20, "warning"), (-80, -1, "error"), (-30, 12, None), (-33, 9, "warning"), (-3, 3, None)],
)
def test_how_soon_is_soon_depends_on_the_life_of_a_certificate(begin: int, end: int, level: str | None) -> None:
    """Certificates that live for six weeks, or for six days, are renewed later than others."""
    shown = certificate("acme.s.example.net", begin=begin, end=end)
    assert found(shown) == ({("SIP07", level, "acme.s.example.net. certificate end")} if level else set())


def test_trust_version_and_what_is_told_once() -> None:
    fine, gone = certificate("acme.s.example.net"), certificate("acme.s.example.net", end=-1)
    chain = ("SIP07", "error", "acme.s.example.net. certificate chain")
    end = ("SIP07", "error", "acme.s.example.net. certificate end")
    assert found(fine, trusted=False, chain="self-signed certificate") == {chain}
    assert found(gone, trusted=False, chain="certificate has expired") == {end}
    assert found(gone, trusted=False, chain="self-signed certificate") == {chain, end}
    assert found(fine, trusted=False, chain="certificate has expired") == {chain}, "another one of the chain"
    assert found(fine, version="TLSv1.1") == {("SIP07", "warning", "acme.s.example.net. TLS version")}
    assert found(gone, trusted=False, chain="certificate has expired", reused=True) == set()
    assert found(certificate("x.example"), reused=True) == {("SIP07", "error", "acme.s.example.net.")}


@pytest.mark.parametrize(
    ("state", "of_sips", "of_portal"),
    [("unknown", "unknown", "unknown"), ("no tls", "unknown", "error"), ("rejected", "error", "error")],
)
def test_no_certificate_is_unknown_unless_the_server_says_no(state: str, of_sips: str, of_portal: str) -> None:
    assert found(None, state=state) == {("SIP07", of_sips, "acme.s.example.net.")}
    assert found(None, "portal", state=state) == {("SCR07", of_portal, "acme.s.example.net.")}


def test_what_was_not_looked_at_is_not_judged() -> None:
    assert found(None, state="not looked at") == set()


def test_portals_may_have_wildcards_and_realms_had_better_not() -> None:
    assert found(certificate("*.s.example.net"), "portal") == set()
    assert found(certificate("*.s.example.net")) == {("SIP07", "warning", "*.s.example.net.")}


def test_a_task_for_each_realm_at_each_of_its_endpoints() -> None:
    beta, one, two = names.absolute("beta.example"), ("192.0.2.1", 5061), ("2001:db8::1", 5062)
    tasks = tls_tasks([(beta, [one, two, one]), (REALM, [one]), (names.absolute("plain.example"), [])])
    assert [(task.host, task.port, task.server_name, task.names) for task in tasks] == [
        (*one, REALM, (REALM,)), (*one, beta, (beta,)), (*two, beta, (beta,)),
    ]  # fmt: skip
    assert str(tasks[2].server) == "[2001:db8::1]:5062"


@pytest.mark.parametrize(
    ("records", "issuers", "wildcard", "refused"),
    [
        (('0 issue "letsencrypt.org"',), "letsencrypt.org", False, False),
        (('0 ISSUE "LetsEncrypt.org ; accounturi=x"',), "letsencrypt.org.", False, False),
        (('0 issue "letsencrypt.org"',), "digicert.com", False, True),
        (('0 issue "letsencrypt.org"', '0 issue "digicert.com"'), "digicert.com letsencrypt.org", False, False),
        (('0 issue ";"',), "letsencrypt.org", False, True),
        (('0 issue ";"', '0 issue "letsencrypt.org"'), "letsencrypt.org", False, False),
        (('0 issuewild "digicert.com"',), "letsencrypt.org", False, False),
        (('0 issuewild "digicert.com"',), "letsencrypt.org", True, True),
        (('0 issuewild ";"', '0 issue "letsencrypt.org"'), "letsencrypt.org", True, True),
        (('0 issuewild ";"', '0 issue "letsencrypt.org"'), "letsencrypt.org", False, False),
        (('0 issue "letsencrypt.org"',), "letsencrypt.org", True, False),
        (('0 iodef "mailto:x@example.net"',), "letsencrypt.org", True, False),
        (('0 tbs "x"',), "letsencrypt.org", False, False),
        (('128 tbs "x"',), "letsencrypt.org", False, True),
        (('128 issue "letsencrypt.org"',), "letsencrypt.org", False, False),
        (('0 issue "letsencrypt.org"',), "", False, False),
    ],
)
def test_which_cas_a_caa_set_allows(records: tuple[str, ...], issuers: str, wildcard: bool, refused: bool) -> None:
    rrset = rr.RRset(REALM, rr.CAA, 300, frozenset(rdata.from_text(rr.CAA, text) for text in records))
    seen = CaaSeen(CaaTask(REALM, tuple(issuers.split()), wildcard), "present", REALM, rrset)
    subject = ("*." if wildcard else "") + "acme.s.example.net."
    assert [(one.level, one.subject) for one in caa(seen)] == ([("warning", subject)] if refused else [])


def test_no_caa_lets_everybody_issue_and_a_name_that_can_not_be_told_is_unknown() -> None:
    task = CaaTask(REALM, ("letsencrypt.org",))
    assert list(caa(CaaSeen(task, "absent", names.ROOT))) == []
    (one,) = caa(CaaSeen(task, "unknown", names.parent(REALM), detail="no answer"))
    assert (one.level, one.subject) == ("unknown", "acme.s.example.net.")
    assert "CAA of s.example.net.: no answer" in one.message
