"""What is judged of the SIP chain and of its endpoints, and how answers of strangers are read."""

from __future__ import annotations

import re
from collections.abc import Iterable

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from realmkit.dns import records as rr
from realmkit.dns.asking.query import Server
from realmkit.dns.findings import Finding
from realmkit.dns.records import Key
from realmkit.health.check import catalog
from realmkit.health.observe.sip import Answer, Question, read, request
from realmkit.health.seen.realm import HostSeen, RealmSeen
from realmkit.health.seen.sip import AccountsSeen, EndpointSeen, SipTask
from realmkit.health.seen.task import realm_keys
from tests.unit.make import name, rrset
from tests.unit.test_health_chain import E1, E2, HOSTS, NAPTR, OWN, REALM, SERVER, SETS, SIPS, TCP, UDP, R, host, look

RECORDS = ("SIP01", "SIP02", "SIP03", "SIP04", "SIP05", "SIP08")
SILENT = [(REALM, kind) for kind in (rr.NAPTR, rr.A, rr.AAAA)] + [(name(one), rr.SRV) for one in (UDP, TCP, SIPS)]


def judge(seen: RealmSeen | EndpointSeen | AccountsSeen) -> list[Finding]:
    """All findings of the checks of this room that look at such a thing."""
    table = catalog()
    ids = [*RECORDS, "SIP06", "SIP09", "SIP10"]
    return [
        finding
        for one in ids
        if table[one].on is type(seen) and (function := table[one].judge)
        for finding in function(seen)
    ]


def brief(findings: Iterable[Finding]) -> list[str]:
    return [f"{one.id} {one.level} {one.subject}" for one in findings]


def one_of(findings: list[Finding], check: str) -> Finding:
    (found,) = [one for one in findings if one.id == check]
    return found


def test_a_whole_realm_is_quiet() -> None:
    assert judge(look(NAPTR, OWN, *SETS)) == []


# --- SIP01 -----------------------------------------------------------------------------------------------------------


def test_a_realm_without_anything_leads_nowhere() -> None:
    found = judge(look())
    assert brief(found) == [f"SIP01 critical {R}."]
    assert found[0].seen == f"{R}. has no address"
    assert found[0].mend == f"realmkit dns plan {R}"


def test_a_declined_and_an_empty_way_is_still_critical() -> None:
    assert brief(judge(look(rrset(UDP, "SRV", "0 0 0 .")))) == [f"SIP01 critical {R}."]


@pytest.mark.parametrize("key", SILENT)
def test_silence_on_one_way_makes_it_unknown(key: Key) -> None:
    found = judge(look(unknown=[key]))
    assert brief(found) == [f"SIP01 unknown {R}."]
    assert "timeout" in found[0].seen


def test_one_way_that_works_is_enough() -> None:
    found = judge(look(OWN, unknown=[(REALM, rr.NAPTR), (name(UDP), rr.SRV)]))
    assert "SIP01" not in [one.id for one in found]


def test_a_realm_that_nobody_tells_anything_of_is_not_judged() -> None:
    """RUN01 says so, once; there is no view to judge."""
    assert judge(look(unknown=realm_keys(REALM))) == []


# --- SIP02 and SIP03 -------------------------------------------------------------------------------------------------


def test_a_naptr_without_srv_is_named() -> None:
    found = one_of(judge(look(NAPTR, OWN, SETS[0], SETS[2])), "SIP02")
    assert (found.level, found.subject) == ("error", f"{R}. NAPTR {TCP}.")
    assert (found.expected, found.seen) == (f"SRV at {TCP}.", "nothing")
    assert found.message == "SIP+D2T leads to a name without SRV"  # the words of `dns lint`


def test_a_naptr_to_an_srv_set_that_nobody_told_of_is_unknown() -> None:
    found = one_of(judge(look(NAPTR, OWN, SETS[0], SETS[2], unknown=[(name(TCP), rr.SRV)])), "SIP02")
    assert (found.level, found.seen) == ("unknown", "timeout")
    foreign = rrset(R, "NAPTR", '1 1 "S" "SIP+D2U" "" _sip._udp.elsewhere.example.')
    assert one_of(judge(look(foreign, OWN, *SETS)), "SIP02").seen == "not asked"


def test_two_naptrs_to_one_missing_set_are_one_finding() -> None:
    some = rrset(R, "NAPTR", f'1 1 "S" "SIP+D2T" "" {TCP}.', f'2 1 "S" "SIP+D2T" "" {TCP}.')
    assert [one.id for one in judge(look(some, OWN, SETS[0]))].count("SIP02") == 1


def test_an_srv_target_without_address_is_named() -> None:
    found = judge(look(NAPTR, OWN, *SETS, hosts=HOSTS | {E2: host(E2, detail="NXDOMAIN")}))
    assert [one.subject for one in found if one.id == "SIP03"] == [
        f"{one}. SRV e2.example.net." for one in (TCP, UDP, SIPS)
    ]
    assert {(one.level, one.message, one.seen) for one in found if one.id == "SIP03"} == {
        ("error", "its target has no address", "NXDOMAIN")
    }


def test_a_target_that_could_not_be_asked_is_unknown() -> None:
    some = HOSTS | {E2: host(E2, state="unknown", detail="the resolver kept silent")}
    assert {one.level for one in judge(look(NAPTR, OWN, *SETS, hosts=some)) if one.id == "SIP03"} == {"unknown"}
    assert {one.seen for one in judge(look(OWN, SETS[0], hosts={})) if one.id == "SIP03"} == {"not asked"}


def test_aliases_and_declined_services_are_others_business() -> None:
    some = {E1: HostSeen(E1, "alias", (), "x.example."), E2: HOSTS[E2]}
    found = judge(look(OWN, SETS[0], rrset(SIPS, "SRV", "0 0 0 ."), hosts=some))
    assert [one for one in found if one.id == "SIP03"] == []


# --- SIP04 -----------------------------------------------------------------------------------------------------------


def test_profiles_that_land_apart_are_shown() -> None:
    found = one_of(judge(look(NAPTR, rrset(R, "A", "203.0.113.9"), *SETS)), "SIP04")
    assert (found.level, found.subject) == ("warning", f"{R}.")
    assert found.seen == "full, srv, tls, first-naptr: 198.51.100.1, 198.51.100.2; a: 203.0.113.9"


def test_a_realm_without_a_strands_those_who_know_only_a() -> None:
    assert one_of(judge(look(NAPTR, *SETS)), "SIP04").seen.endswith("; a: nowhere")


def test_a_naptr_of_its_own_edge_is_invisible_to_srv_clients() -> None:
    elsewhere = rrset("_sip._udp.x.example", "SRV", "1 1 5060 e2.example.net.")
    some = rrset(R, "NAPTR", '1 1 "S" "SIP+D2U" "" _sip._udp.x.example.')
    found = one_of(judge(look(some, rrset(R, "A", "198.51.100.1"), elsewhere)), "SIP04")
    assert found.seen == "full, first-naptr: 198.51.100.2; srv, a, tls: 198.51.100.1"


def test_declined_tls_is_left_out() -> None:
    found = judge(look(OWN, *SETS[:2], rrset(SIPS, "SRV", "0 0 0 .")))
    assert [one for one in found if one.id == "SIP04"] == []


def test_what_agrees_as_far_as_it_was_told_is_unknown() -> None:
    found = one_of(judge(look(OWN, *SETS, unknown=[(REALM, rr.NAPTR)])), "SIP04")
    assert (found.level, found.seen) == ("unknown", f"{R}. NAPTR: timeout")
    partly = HOSTS | {E2: host(E2, state="unknown", detail="silence")}
    found = one_of(judge(look(NAPTR, OWN, *SETS, hosts=partly)), "SIP04")  # half a set is no other set
    assert (found.level, found.seen) == ("unknown", "e2.example.net.: silence")
    apart = judge(look(rrset(R, "A", "203.0.113.9"), *SETS, unknown=[(REALM, rr.NAPTR)]))
    assert one_of(apart, "SIP04").level == "warning"  # srv and a were walked to their ends


def test_each_view_is_judged_on_its_own() -> None:
    other = Server("192.0.2.54")
    good, bad = look(NAPTR, OWN, *SETS), look(NAPTR, *SETS)
    sights = {**good.sights, **{(other, *key[1:]): one for key, one in bad.sights.items()}}
    both = RealmSeen(REALM, good.zone, good.keys, (SERVER, other), sights, {}, HOSTS)
    assert [(one.id, one.server) for one in judge(both)] == [("SIP04", "192.0.2.54")]


# --- SIP05 and SIP08 -------------------------------------------------------------------------------------------------


def test_a_naptr_to_another_transports_set_is_named() -> None:
    some = rrset(R, "NAPTR", f'1 1 "S" "SIP+D2U" "" {UDP}.', f'2 1 "S" "SIP+D2T" "" {UDP}.')
    found = one_of(judge(look(some, OWN, *SETS)), "SIP05")
    assert (found.level, found.subject) == ("error", f"{R}. NAPTR {UDP}.")
    assert (found.expected, found.seen) == ("_sip._tcp", f"{UDP}.")


@pytest.mark.parametrize(("owner", "port", "usual"), [(UDP, 5061, 5060), (TCP, 5061, 5060), (SIPS, 5060, 5061)])
def test_the_port_of_another_transport_is_named(owner: str, port: int, usual: int) -> None:
    some = rrset(owner, "SRV", f"1 1 {port} e1.example.net.", f"2 1 {usual} e2.example.net.")
    found = one_of(judge(look(OWN, some)), "SIP05")
    assert (found.level, found.subject, found.expected) == ("warning", f"{owner}. SRV", str(usual))
    assert found.seen == f"port {port} at e1.example.net."


def test_odd_ports_of_ones_own_are_fine() -> None:
    assert judge(look(OWN, rrset(UDP, "SRV", "1 1 7000 e1.example.net.", "1 1 7000 e2.example.net."))) == []


def test_one_address_is_no_failover() -> None:
    one = {E1: HOSTS[E1], E2: host(E2, "198.51.100.1")}
    some = rrset(R, "A", "198.51.100.1")
    found = one_of(judge(look(NAPTR, some, *SETS, hosts=one)), "SIP08")
    assert (found.level, found.message) == ("warning", "all its targets are at one address")
    found = one_of(judge(look(some)), "SIP08")
    assert (found.level, found.message) == ("warning", "one address only, so there is no failover")
    found = one_of(judge(look(some, rrset(R, "AAAA", "2001:db8::1"))), "SIP08")
    assert (found.level, found.seen) == ("warning", "198.51.100.1, 2001:db8::1")  # a phone has one family or the other


def test_one_target_with_two_addresses_is_a_notice() -> None:
    some = {E1: host(E1, "198.51.100.1", "198.51.100.2")}
    found = one_of(judge(look(OWN, rrset(UDP, "SRV", "1 1 5060 e1.example.net."), hosts=some)), "SIP08")
    assert (found.level, found.seen) == ("notice", "e1.example.net.: 198.51.100.1, 198.51.100.2")


def test_an_unknown_second_target_is_not_called_missing() -> None:
    some = {E1: HOSTS[E1], E2: host(E2, state="unknown", detail="silence")}
    found = one_of(judge(look(NAPTR, OWN, *SETS, hosts=some)), "SIP08")
    assert (found.level, found.seen) == ("unknown", "e2.example.net.: silence")


# --- keys ------------------------------------------------------------------------------------------------------------


def test_no_key_comes_twice_and_none_depends_on_the_order() -> None:
    naptr = rrset(
        R, "NAPTR", f'1 1 "S" "SIP+D2T" "" {UDP}.', f'2 1 "S" "SIPS+D2T" "" {UDP}.', '3 1 "S" "SIP+D2U" "" x.example.'
    )
    some = rrset(UDP, "SRV", "1 1 5061 e1.example.net.", "2 1 5061 e1.example.net.", "3 1 5061 e2.example.net.")
    found = judge(look(naptr, some, hosts={}))
    assert len({one.key for one in found}) == len(found)
    assert {one.id for one in found} >= {"SIP02", "SIP03", "SIP05"}


# --- endpoints -------------------------------------------------------------------------------------------------------


def task(transport: str = "udp", address: str = "198.51.100.1") -> SipTask:
    return SipTask(transport, address, 5061 if transport == "tls" else 5060, REALM, E1)  # type: ignore[arg-type]


def seen(transport: str, state: str, **more: object) -> list[str]:
    found = judge(EndpointSeen(task(transport), state, **more))  # type: ignore[arg-type]
    return [f"{one.id} {one.level}" for one in found]


def test_who_answers_is_alive() -> None:
    for transport in ("udp", "tcp", "tls"):
        assert seen(transport, "answered", status=403, tls=transport == "tls") == []


@pytest.mark.parametrize(
    ("transport", "state", "more", "expected"),
    [
        ("udp", "refused", {}, ["SIP06 warning"]),
        ("udp", "refused", {"elsewhere": True}, ["SIP06 warning"]),
        ("udp", "silent", {}, ["SIP06 warning"]),
        ("udp", "silent", {"elsewhere": True}, ["SIP06 notice"]),
        ("udp", "garbled", {}, ["SIP06 warning"]),
        ("udp", "unknown", {}, ["SIP06 unknown"]),
        ("tcp", "refused", {"connected": False}, ["SIP06 warning"]),
        ("tcp", "silent", {"connected": False, "elsewhere": True}, ["SIP06 warning", "SIP10 unknown"]),
        ("tcp", "silent", {"connected": True, "elsewhere": True, "plain": False}, ["SIP06 notice", "SIP10 unknown"]),
        ("tcp", "closed", {"connected": True, "tls": True, "plain": False}, ["SIP10 error"]),
        ("tcp", "garbled", {"connected": True, "tls": False, "plain": False}, ["SIP06 warning"]),
        ("tls", "closed", {"connected": True, "tls": False, "plain": True}, ["SIP10 error"]),
        ("tls", "closed", {"connected": True, "plain": True}, ["SIP10 error"]),
        ("tls", "closed", {"connected": True, "tls": False, "plain": False}, ["SIP06 warning", "SIP10 error"]),
        ("tls", "closed", {"connected": True, "plain": False}, ["SIP06 warning", "SIP10 unknown"]),
        ("tls", "silent", {"connected": True, "tls": True}, ["SIP06 warning"]),
        ("tls", "unknown", {}, ["SIP06 unknown", "SIP10 unknown"]),
    ],
)
def test_what_does_not_answer(transport: str, state: str, more: dict[str, object], expected: list[str]) -> None:
    assert seen(transport, state, **more) == expected


def test_an_endpoints_subject_is_its_host_and_place() -> None:
    (found,) = judge(EndpointSeen(task("udp", "2001:db8::1"), "silent"))
    assert found.subject == "e1.example.net. udp/[2001:db8::1]:5060"


# --- accounts --------------------------------------------------------------------------------------------------------


def test_realms_of_one_side_only() -> None:
    ours, theirs = frozenset({REALM, name("b.example")}), frozenset({REALM, name("c.example")})
    found = judge(AccountsSeen(theirs, ours))
    assert brief(found) == ["SIP09 warning b.example.", "SIP09 warning c.example."]
    assert found[0].message != found[1].message
    assert judge(AccountsSeen(ours, ours)) == []


def test_a_platform_that_kept_silent_condemns_no_realm() -> None:
    assert brief(judge(AccountsSeen(frozenset(), frozenset({REALM}), "HTTP 503"))) == ["SIP09 unknown . accounts"]


# --- pages -----------------------------------------------------------------------------------------------------------


def test_every_check_has_a_page_of_its_own() -> None:
    for check in (*RECORDS, "SIP06", "SIP09", "SIP10"):
        entry = catalog()[check]
        assert re.match(r"[A-Z`].*\.(\n\n|\Z)", entry.page), f"{check}: the first line is no sentence"
        assert "Mend:" in entry.page
        assert 4 <= len([line for line in entry.page.splitlines() if line]) <= 16


# --- the message -----------------------------------------------------------------------------------------------------

QUESTION = request(task(), "UDP", ("192.0.2.7", 40000))


def reply(question: Question = QUESTION, **changes: str | None) -> bytes:
    lines = {
        "first": "SIP/2.0 200 OK", "Via": f"SIP/2.0/UDP 192.0.2.7:40000;branch={question.branch};rport=40000",
        "From": "<sip:anonymous@anonymous.invalid>;tag=1", "To": "<sip:acme>;tag=2", "Call-ID": question.call_id,
        "CSeq": "1 OPTIONS", "Server": "edge/1.0", "Content-Length": "0",
    } | {key.replace("_", "-"): value for key, value in changes.items()}  # fmt: skip
    text = [value if key == "first" else f"{key}: {value}" for key, value in lines.items() if value is not None]
    return "\r\n".join([*(one for one in text if one), "", ""]).encode()


def test_a_request_is_whole() -> None:
    head = QUESTION.data.decode()
    assert head.startswith(f"OPTIONS sip:{R} SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.7:40000;branch=z9hG4bK")
    assert head.endswith("\r\nContent-Length: 0\r\n\r\n")
    for line in ("Max-Forwards: 70", "CSeq: 1 OPTIONS", f"To: <sip:{R}>"):
        assert f"\r\n{line}\r\n" in head
    assert ";rport\r\n" in head
    v6 = request(task(), "TCP", ("fe80::1%eth0", 40000, 0, 2))
    assert b"Via: SIP/2.0/TCP [fe80::1]:40000;branch=" in v6.data


def test_no_two_requests_are_alike() -> None:
    some = [request(task(), "UDP", ("192.0.2.7", 40000)) for _ in range(50)]
    assert len({one.branch for one in some}) == len({one.call_id for one in some}) == 50


def test_the_answer_is_read() -> None:
    assert read(reply(), QUESTION) == Answer(200, "edge/1.0")
    assert read(reply(first="SIP/2.0 403 "), QUESTION) == Answer(403, "edge/1.0")
    assert read(reply(first="SIP/2.0 100 Trying", Server=None), QUESTION) == Answer(100, "")
    assert read(reply(Server=None, User_Agent="phone"), QUESTION) == Answer(200, "phone")
    assert read(b"\r\n\r\n" + reply(), QUESTION) == Answer(200, "edge/1.0")
    compact = reply(Call_ID=None, i=QUESTION.call_id, Via=None, v=f"SIP/2.0/UDP x ; branch = {QUESTION.branch}")
    assert read(compact, QUESTION) == Answer(200, "edge/1.0")
    assert read(reply(Via=f"SIP/2.0/UDP x\r\n ;branch={QUESTION.branch}"), QUESTION) == Answer(
        200, "edge/1.0"
    )  # folded


@pytest.mark.parametrize(
    "changes",
    [
        {"first": "SIP/2.0 200"}, {"first": "SIP/2.0 700 x"}, {"first": "SIP/3.0 200 OK"}, {"first": "HTTP/1.1 200 OK"},
        {"first": "OPTIONS sip:x SIP/2.0"}, {"first": "SIP/2.0 0200 OK"}, {"Call_ID": "other"}, {"Call_ID": None},
        {"CSeq": "2 OPTIONS"}, {"CSeq": "1 INVITE"}, {"CSeq": "1"}, {"From": None}, {"To": None}, {"Via": None},
        {"Via": "SIP/2.0/UDP 192.0.2.7:40000"}, {"Via": "SIP/2.0/UDP 192.0.2.7;branch=z9hG4bKother"},
        {"Via": f"SIP/2.0/UDP x;branch=z9hG4bKx, SIP/2.0/UDP y;branch={QUESTION.branch}"},
        {"Via": f"SIP/2.0/UDP x, SIP/2.0/UDP y;branch={QUESTION.branch}"},
        {"Server": "a\r\nno header"}, {"Server": "a\nb"}, {"Server": "a\0b"},
    ],
)  # fmt: skip
def test_what_is_not_the_answer_counts_for_nothing(changes: dict[str, str | None]) -> None:
    assert read(reply(QUESTION, **changes), QUESTION) is None


def test_an_answer_is_bounded() -> None:
    assert read(reply(Server="x" * 20000), QUESTION) is None
    many = reply()[:-2] + b"".join(b"X-%d: y\r\n" % number for number in range(200)) + b"\r\n"
    assert read(many, QUESTION) is None
    hostile = read(reply(Server="\x1b[31mred\x07 \u202e" + "x" * 200), QUESTION)
    assert hostile is not None
    assert re.fullmatch(r"\[31mred x+", hostile.software)
    assert len(hostile.software) <= 64


@given(st.binary(max_size=400))
@example(b"\r\n" * 50)
@example(b"SIP/2.0 200 OK\r\n\r\n")
def test_junk_is_no_answer(data: bytes) -> None:
    assert read(data, QUESTION) is None


@given(st.data())
def test_a_damaged_answer_never_raises_and_never_changes_what_it_says(data: st.DataObject) -> None:
    whole = bytearray(reply(Server=None))
    at = data.draw(st.integers(0, len(whole) - 1))
    whole[at] = data.draw(st.integers(0, 255))
    cut = bytes(whole[: data.draw(st.integers(0, len(whole)))])
    answer = read(cut, QUESTION)
    assert answer is None or at in range(8, 14) or answer == Answer(200, "")
