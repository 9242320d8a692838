"""Mail: what MX sets, greetings and policies come to, in all their states."""

from __future__ import annotations

import pytest

from realmkit.dns import names, rdata
from realmkit.dns import records as rr
from realmkit.dns.asking.query import Server
from realmkit.dns.realm import Edge
from realmkit.dns.records import RRset
from realmkit.health.checks import mail
from realmkit.health.observe.smtp import smtp_tasks
from realmkit.health.seen.mail import MailHostSeen, MailPolicySeen
from realmkit.health.seen.realm import Expected, HostSeen, RealmSeen, Sight

REALM, ZONE = names.absolute("acme.voice.example"), names.absolute("voice.example")
MX1, MX2, GONE = (names.absolute(f"{one}.host.example") for one in ("mx1", "mx2", "gone"))
NS1, NS2 = Server("192.0.2.1", 53, "ns1.example"), Server("192.0.2.2", 53, "ns2.example")
ABSENT, SILENT = Sight("absent", rcode=3), Sight("unknown", detail="no answer")
V4 = (rr.A, bytes((198, 51, 100, 7)))
KEY = (REALM, rr.MX)
SMTP = Server("198.51.100.7", 25)


def mx(*texts: str) -> RRset:
    return RRset(REALM, rr.MX, 300, frozenset(rdata.from_text(rr.MX, text) for text in texts))


def present(*texts: str) -> Sight:
    return Sight("present", mx(*texts))


def realm(
    *sights: Sight, hosts: dict[bytes, HostSeen] | None = None, wanted: bool = True, edge: tuple[bytes, ...] = ()
) -> RealmSeen:
    """A realm of which ns1 says the first and ns2 the second (else the same)."""
    pair = sights if len(sights) == 2 else sights * 2
    there = {MX1: HostSeen(MX1, "present", (V4,)), MX2: HostSeen(MX2, "present", (V4,))}
    expected = Expected(Edge((), (), tuple((10, host) for host in edge))) if edge else Expected()
    want = {KEY: mx("10 mx1.host.example.")} if wanted else {}
    told = {(server, *KEY): sight for server, sight in zip((NS1, NS2), pair, strict=True)}
    return RealmSeen(REALM, ZONE, (KEY,), (NS1, NS2), told, want, there if hosts is None else hosts, expected)


def test_a_right_mx_set_is_quiet() -> None:
    seen = realm(present("10 mx1.host.example."), edge=(MX1,))
    for check in (mail.mx_leads_nowhere, mail.null_mx, mail.other_mail_hosts):
        assert list(check(seen)) == []


def test_a_missing_mx_matters_only_where_mail_is_wanted() -> None:
    (found,) = mail.mx_leads_nowhere(realm(ABSENT))
    assert (found.id, found.level, found.subject, found.seen) == ("MX01", "error", "acme.voice.example. MX", "no MX")
    assert found.expected == "10 mx1.host.example."
    assert found.mend == "realmkit dns plan acme.voice.example && realmkit dns apply acme.voice.example"
    assert list(mail.mx_leads_nowhere(realm(ABSENT, wanted=False))) == []
    (by_edge,) = mail.mx_leads_nowhere(realm(ABSENT, wanted=False, edge=(MX2,)))
    assert by_edge.expected == "10 mx2.host.example."


def test_an_alias_in_place_of_the_mx_set_is_told_as_one() -> None:
    alias = Sight("alias", RRset(REALM, rr.CNAME, 60, frozenset({MX2})))
    (found,) = mail.mx_leads_nowhere(realm(alias))
    assert found.seen == "CNAME mx2.host.example."


def test_silence_is_never_a_missing_mx() -> None:
    assert list(mail.mx_leads_nowhere(realm(SILENT))) == []
    assert list(mail.mx_leads_nowhere(realm(present("10 mx1.host.example."), SILENT))) == []


def test_one_server_without_the_mx_is_named() -> None:
    (found,) = mail.mx_leads_nowhere(realm(present("10 mx1.host.example."), ABSENT))
    assert found.server == "ns2.example (192.0.2.2)"


@pytest.mark.parametrize(
    ("host", "level", "words"),
    [
        (HostSeen(GONE, "absent", detail="NXDOMAIN"), "error", "has no address"),
        (HostSeen(GONE, "alias", (V4,), "mx1.host.example."), "error", "leads to a CNAME"),
        (HostSeen(GONE, "unknown", detail="SERVFAIL"), "unknown", "could not be told"),
        (None, "unknown", "could not be told"),
    ],
)
def test_a_target_is_judged_by_what_is_known_of_it(host: HostSeen | None, level: str, words: str) -> None:
    hosts = {MX1: HostSeen(MX1, "present", (V4,))} | ({GONE: host} if host else {})
    (found,) = mail.mx_leads_nowhere(realm(present("10 mx1.host.example.", "20 gone.host.example."), hosts=hosts))
    assert (found.level, found.subject) == (level, "acme.voice.example. MX gone.host.example.")
    assert words in found.message


def test_an_address_in_place_of_a_host_is_recognised() -> None:
    (found,) = mail.mx_leads_nowhere(realm(present("10 198.51.100.7."), hosts={}))
    assert (found.level, found.seen) == ("error", "198.51.100.7")
    assert "address instead of a host name" in found.message


def test_a_null_mx_is_right_only_alone_and_without_fax_mail() -> None:
    assert list(mail.null_mx(realm(present("0 ."), wanted=False))) == []
    (refusing,) = mail.null_mx(realm(present("0 .")))
    assert "refuses the fax mail" in refusing.message
    (beside,) = mail.null_mx(realm(present("0 .", "10 mx1.host.example."), wanted=False))
    assert "beside other MX records" in beside.message
    assert list(mail.mx_leads_nowhere(realm(present("0 .")))) == []


def test_foreign_mail_hosts_are_compared_by_name_and_not_by_preference() -> None:
    (found,) = mail.other_mail_hosts(realm(present("10 mx1.host.example.", "20 mx2.host.example."), edge=(MX1,)))
    assert (found.level, found.expected) == ("warning", "mx1.host.example.")
    assert found.seen == "mx1.host.example., mx2.host.example."
    for quiet in (realm(present("99 mx1.host.example."), edge=(MX1,)), realm(present("0 ."), edge=(MX1,))):
        assert list(mail.other_mail_hosts(quiet)) == []
    assert list(mail.other_mail_hosts(realm(present("10 mx2.host.example.")))) == []


@pytest.mark.parametrize(
    ("seen", "level", "words"),
    [
        (MailHostSeen(MX1, SMTP, "unknown", detail="no connection"), "unknown", "could not be told"),
        (MailHostSeen(MX1, SMTP, "refused"), "warning", "refuses connections"),
        (MailHostSeen(MX1, SMTP, "silent"), "warning", "says nothing"),
        (MailHostSeen(MX1, SMTP, "closed"), "warning", "hangs up"),
        (MailHostSeen(MX1, SMTP, "greeted", 554, "no mail here"), "warning", "does not greet"),
        (MailHostSeen(MX1, SMTP, "greeted", 421, "busy"), "warning", "does not greet"),
        (MailHostSeen(MX1, SMTP, "greeted", 0, "SSH-2.0-x"), "warning", "does not greet"),
        (MailHostSeen(MX1, SMTP, "greeted", 220, "mx1", "absent"), "warning", "no STARTTLS"),
        (MailHostSeen(MX1, SMTP, "greeted", 220, "mx1", "failed"), "warning", "fails at it"),
        (MailHostSeen(MX1, SMTP, "greeted", 220, "mx1", "unknown"), "unknown", "whether it encrypts"),
    ],
)
def test_every_way_of_greeting_has_its_finding(seen: MailHostSeen, level: str, words: str) -> None:
    (found,) = mail.mail_host_greets(seen)
    assert (found.id, found.level, found.subject) == ("MX03", level, "mx1.host.example.")
    assert words in found.message
    assert found.server == "198.51.100.7:25"


def test_a_host_that_encrypts_is_quiet() -> None:
    assert list(mail.mail_host_greets(MailHostSeen(MX1, SMTP, "greeted", 220, "mx1", "works"))) == []


def test_each_host_address_is_knocked_at_once() -> None:
    seen = [
        realm(present("10 mx1.host.example.", "20 mx2.host.example.", "0 .")),
        realm(present("5 mx1.host.example.")),
    ]
    assert [(task.host, task.server) for task in smtp_tasks(seen)] == [(MX1, SMTP), (MX2, SMTP)]


def txt(*texts: str) -> Sight:
    """TXT records; a text is cut into strings at `|`."""
    octets = [b"".join(rdata.character_string(one.encode()) for one in text.split("|")) for text in texts]
    return Sight("present", RRset(REALM, rr.TXT, 300, frozenset(octets)))


DMARC = txt("v=DMARC1; p=reject")


@pytest.mark.parametrize(
    ("texts", "words"),
    [
        (txt("v=spf1 mx -all"), ""),
        (txt("v=spf1 mx -all", "something else"), ""),
        (txt("v=sp|f1 m|x +al|l"), "lets everybody send"),
        (txt("V=SPF1 mx -all"), ""),
        (txt("v=spf10 mx"), "no SPF record"),
        (ABSENT, "no SPF record"),
        (txt("v=spf1 -all", "v=spf1 mx -all"), "2 SPF records"),
        (txt("v=spf1 mx +all"), "lets everybody send"),
        (txt("v=spf1 all"), "lets everybody send"),
        (txt("v=spf1 " + " ".join(f"include:{n}.example" for n in range(11))), "more than 10 look-ups"),
        (txt("v=spf1 a mx/24 exists:%{i}.example " + "ip4:192.0.2.1 " * 12 + "redirect=x.example"), ""),
    ],
)
def test_spf_is_read_as_receivers_read_it(texts: Sight, words: str) -> None:
    found = list(mail.mail_policy(MailPolicySeen(REALM, texts, {REALM: DMARC})))
    assert [one.subject for one in found] == (["acme.voice.example. SPF"] if words else [])
    assert all(one.level == "notice" and words in one.message for one in found)
    assert all("ends a wildcard" in one.mend for one in found)


def test_a_dmarc_record_above_the_realm_counts() -> None:
    spf = txt("v=spf1 -all")
    assert list(mail.mail_policy(MailPolicySeen(REALM, spf, {b"a": ABSENT, b"b": DMARC}))) == []
    service = Sight("alias", RRset(REALM, rr.CNAME, 60, frozenset({MX1})))
    assert list(mail.mail_policy(MailPolicySeen(REALM, spf, {b"a": service, b"b": ABSENT}))) == []
    (missing,) = mail.mail_policy(MailPolicySeen(REALM, spf, {b"a": ABSENT, b"b": ABSENT}))
    assert (missing.subject, missing.level) == ("acme.voice.example. DMARC", "notice")
    several = {b"a": txt("v=DMARC1; p=none", "v = DMARC1; p=reject"), b"b": DMARC}
    (void,) = mail.mail_policy(MailPolicySeen(REALM, spf, several))
    assert "none of them counts" in void.message


def test_policies_that_were_not_told_are_unknown() -> None:
    found = list(mail.mail_policy(MailPolicySeen(REALM, SILENT, {b"a": SILENT, b"b": DMARC})))
    assert [(one.subject, one.level) for one in found] == [
        ("acme.voice.example. SPF", "unknown"),
        ("acme.voice.example. DMARC", "unknown"),
    ]
