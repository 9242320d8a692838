"""Mail of a realm: does fax mail find its way, and to us?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from realmkit.dns import names, rdata
from realmkit.dns import records as rr
from realmkit.dns.fields import targets
from realmkit.dns.findings import Finding
from realmkit.health.check import check
from realmkit.health.seen.mail import MailHostSeen, MailPolicySeen
from realmkit.health.seen.realm import RealmSeen, Sight

if TYPE_CHECKING:
    from collections.abc import Iterator

    from realmkit.dns.names import Name
    from realmkit.dns.records import RRset
    from realmkit.health.seen.realm import View

_SPF_LOOKUPS: Final = 10  # RFC 7208 section 4.6.4
_ASKING: Final = ("include", "a", "mx", "ptr", "exists")  # SPF terms that cost a look-up, besides redirect
_APPLY: Final = "realmkit dns plan {name} && realmkit dns apply {name}"


@check(RealmSeen, "MX01", "error, unknown", "an MX record that leads nowhere, or none where fax mail is wanted",
       source="RFC 5321 section 5.1, RFC 2181 section 10.3")  # fmt: skip
def mx_leads_nowhere(seen: RealmSeen) -> Iterator[Finding]:
    """Fax mail to the realm has no MX record, or one whose target can't be used.

    `fax@realm` reaches the platform by the realm's MX set. Where there is none, senders take the realm's A record for
    a mail host (the *implicit MX*), and fax mail is then refused by a SIP proxy. A target must be a host name with an
    address: a CNAME is forbidden there, and some senders bounce on it; an address in place of a name
    (`MX 10 198.51.100.7.`) is a name that does not exist.

    Mend: publish the MX set that the configuration wants (`realmkit dns plan`), or mend the target's own A record; for
    a CNAME name its target instead. Targets are looked up once, not per sender; whether they accept mail says MX03. A
    server that told nothing of the realm is reported as RUN01.
    """
    for view in seen.views():
        sight = view.sights.get((seen.name, rr.MX))
        exchanges = view.rrset(seen.name, rr.MX)
        if exchanges is not None:
            for target in sorted(targets(exchanges)):
                yield from _target(seen, view, target)
        elif sight is not None and _mail_is_wanted(seen) and sight.state in ("absent", "alias"):
            alias = f"CNAME {names.to_text(min(sight.rrset.rdata))}" if sight.rrset is not None else "no MX"
            yield Finding(
                "MX01", "error", _subject(seen), "fax mail is wanted, but there is no MX record",
                expected=_wanted_text(seen), seen=alias, mend=_apply(seen), server=view.server,
            )  # fmt: skip


def _target(seen: RealmSeen, view: View, target: Name) -> Iterator[Finding]:
    subject = f"{_subject(seen)} {names.to_text(target)}"
    if labels := _literal(target):
        yield Finding(
            "MX01", "error", subject, "an MX record leads to an address instead of a host name",
            expected="a host name", seen=labels, mend="name the host, and give it that address", server=view.server,
        )  # fmt: skip
        return
    host = seen.hosts.get(target)
    state, detail = ("unknown", "it was not looked up") if host is None else (host.state, host.detail)
    if state == "alias":
        yield Finding(
            "MX01", "error", subject, "an MX record leads to a CNAME", expected="a host with addresses",
            seen=f"CNAME {detail}", mend="let the MX record name the CNAME's target", server=view.server,
        )  # fmt: skip
    elif state == "absent":
        yield Finding(
            "MX01", "error", subject, "an MX record leads to a host that has no address",
            expected="A or AAAA records", seen=detail, mend=f"publish the address of {names.to_text(target)}",
            server=view.server,
        )  # fmt: skip
    elif state == "unknown":
        yield Finding(
            "MX01", "unknown", subject, "whether its mail host has an address could not be told", seen=detail,
            server=view.server,
        )  # fmt: skip


@check(RealmSeen, "MX02", "error", "a null MX beside others, or where fax mail is wanted", source="RFC 7505 section 3")
def null_mx(seen: RealmSeen) -> Iterator[Finding]:
    """A null MX (`MX 0 .`) stands beside other MX records, or on a realm that should take fax mail.

    `MX 0 .` says: this name takes no mail, do not try. Senders that know it bounce at once, so a fax that a customer
    mails to `number@realm` comes back as undeliverable within a second. Beside other records it contradicts them, and
    which of the two wins depends on the sender.

    It is right, alone, on a realm without fax mail: it keeps senders off the A record, that is off the SIP proxies.

    Mend: take the null MX away, or, if the realm shall take no mail, everything beside it.
    """
    for view in seen.views():
        exchanges = view.rrset(seen.name, rr.MX)
        if exchanges is None or all(one[2:] != names.ROOT for one in exchanges.rdata):
            continue
        if len(exchanges.rdata) > 1:
            message = "a null MX stands beside other MX records"
        elif _mail_is_wanted(seen):
            message = "a null MX refuses the fax mail that is wanted"
        else:
            continue
        yield Finding(
            "MX02", "error", _subject(seen), message, expected=_wanted_text(seen) or "the null MX alone",
            seen=_text(exchanges), mend=_apply(seen), server=view.server,
        )  # fmt: skip


@check(RealmSeen, "MX04", "warning", "MX records lead to other hosts than the edge's", source="RFC 5321 section 5.1")
def other_mail_hosts(seen: RealmSeen) -> Iterator[Finding]:
    """The realm's MX set names other hosts than `platform.edge.mail` of the configuration.

    Fax mail then goes to somebody else: to the old platform after a move, or to the customer's office mail, which
    does not know the fax numbers. One foreign host among right ones takes a share of the mail, and all of it while
    the others are down.

    Mend: `realmkit dns plan`; if the hosts are meant, name them in the configuration. Hosts are compared, not
    preferences: those are part of the wanted set. A realm that the configuration does not publish, and a null MX
    (MX02), are not judged here.
    """
    edge = seen.expected.edge
    if edge is None or not edge.mail:
        return
    ours = {host for _, host in edge.mail}
    for view in seen.views():
        exchanges = view.rrset(seen.name, rr.MX)
        hosts = set(targets(exchanges)) if exchanges is not None else set()
        if exchanges is None or not hosts or hosts == ours:
            continue
        yield Finding(
            "MX04", "warning", _subject(seen), "its mail hosts are not those of the platform's edge",
            expected=_listed(ours), seen=_listed(hosts), mend=_apply(seen), server=view.server,
        )  # fmt: skip


@check(MailHostSeen, "MX03", "warning, unknown", "a mail host does not greet, or offers no encryption",
       source="RFC 5321 section 3.1, RFC 3207 section 4")  # fmt: skip
def mail_host_greets(seen: MailHostSeen) -> Iterator[Finding]:
    """A host that MX records lead to does not take mail connections as it should.

    Each address is greeted once: connect to port 25, wait for `220`, `EHLO`, `STARTTLS`, `QUIT`. No sender, recipient
    or message is ever named. Reported are a closed port, silence, any greeting but 220 (`554` wants no mail, `421` is
    overloaded), no STARTTLS, and a TLS handshake (1.2 or later) that fails: faxes then travel in clear, and senders
    that insist on encryption keep them back.

    Mend: open the port, start the mail server, give it a certificate and let it offer STARTTLS; if the host is not
    yours, tell the platform's operator.

    What it can't see: whether a fax is accepted in the end; the certificate, for hardly any sender verifies it. Many
    networks block port 25 outbound, so *no connection* is unknown, not broken: run the check where mail may go out. A
    host that lets clients wait on purpose (postscreen) may need a longer timeout; senders wait up to five minutes.
    """
    subject, server = names.to_text(seen.host), str(seen.server)
    if (trouble := _unknown_smtp(seen)) is not None:
        yield Finding("MX03", "unknown", subject, trouble, expected="220 and STARTTLS", seen=seen.detail, server=server)
    elif (trouble := _bad_greeting(seen)) is not None:
        yield Finding(
            "MX03", "warning", subject, trouble, expected="220", seen=_said(seen),
            mend="look at the mail server there, and at the firewall before it", server=server,
        )  # fmt: skip
    elif seen.starttls != "works":
        message = "it offers no STARTTLS" if seen.starttls == "absent" else "it offers STARTTLS, and then fails at it"
        yield Finding(
            "MX03", "warning", subject, message, expected="STARTTLS", seen=seen.detail or "EHLO without STARTTLS",
            mend="give the mail server a certificate and switch STARTTLS on", server=server,
        )  # fmt: skip


def _unknown_smtp(seen: MailHostSeen) -> str | None:
    if seen.state == "unknown":
        return "whether it takes mail could not be told"
    if seen.state == "greeted" and seen.code == 220 and seen.starttls == "unknown":
        return "it greets, but whether it encrypts could not be told"
    return None


def _bad_greeting(seen: MailHostSeen) -> str | None:
    if seen.state == "refused":
        return "it refuses connections to its mail port"
    if seen.state in ("silent", "closed"):
        return "it takes the connection, but says nothing" if seen.state == "silent" else "it hangs up without a word"
    return None if seen.code == 220 else "it does not greet as a host that takes mail"


def _said(seen: MailHostSeen) -> str:
    if seen.state != "greeted":
        return seen.detail or seen.state
    return f"{seen.code} {seen.text}" if seen.code else seen.text


@check(MailPolicySeen, "MX05", "notice, unknown", "SPF or DMARC is missing or worthless",
       source="RFC 7208 sections 4.5 and 4.6.4, RFC 7489 section 6.6.3")  # fmt: skip
def mail_policy(seen: MailPolicySeen) -> Iterator[Finding]:
    """Nothing says who may send mail in the realm's name, or what it says is void.

    Looked at are TXT at the realm (`v=spf1`: missing, several, `+all`, more than ten look-ups in the record itself)
    and at `_dmarc` below it or below a name above it in the same zone. It is a notice: a realm that only *receives*
    fax mail needs neither. They matter when the platform sends voicemail or faxes as `something@realm`.

    **Beware:** a TXT record at or below a realm that is served by a wildcard ends the wildcard for that realm: A, MX
    and NAPTR vanish, and its phones with them. Publish the realm's complete set in the same change, or put the record
    at the wildcard's parent.

    Mend: one `v=spf1` record that names who sends, or `v=spf1 -all` where nobody does; a `v=DMARC1` record at the
    domain.

    What it can't see: records in the zones above (DMARC of the organisation's domain), look-ups in included records; a
    CNAME at `_dmarc`, as DMARC services want it, passes for a policy.
    """
    subject = names.to_text(seen.realm)
    mend = (
        f"a TXT record below {subject} ends a wildcard for it: publish its complete set (A, MX, NAPTR, SRV) in the "
        "same change"
    )
    for what, (level, message, shown) in (("SPF", _spf(seen.texts)), ("DMARC", _dmarc(list(seen.policies.values())))):
        if level == "notice":
            yield Finding("MX05", "notice", f"{subject} {what}", message, seen=shown, mend=mend)
        elif level == "unknown":
            yield Finding("MX05", "unknown", f"{subject} {what}", message, seen=shown)


def _spf(sight: Sight) -> tuple[str, str, str]:
    """Level (empty if all is well), message and what was seen."""
    if sight.state not in ("present", "absent"):
        return "unknown", "whether there is an SPF record could not be told", sight.detail or sight.state
    found = [text for text in _texts(sight) if text.lower() == "v=spf1" or text.lower().startswith("v=spf1 ")]
    if len(found) != 1:
        count = f"{len(found)} SPF records, which is an error to receivers" if found else "no SPF record"
        return "notice", f"there is {count}" if not found else f"there are {count}", " | ".join(found)
    terms = found[0].lower().split()[1:]
    if "+all" in terms or "all" in terms:
        return "notice", "its SPF record lets everybody send", found[0]
    asking = sum(_asks(term) for term in terms)
    if asking > _SPF_LOOKUPS:
        return "notice", f"its SPF record needs more than {_SPF_LOOKUPS} look-ups, which is an error", f"{asking} terms"
    return "", "", ""


def _asks(term: str) -> bool:
    word = term.lstrip("+-~?")
    return word.startswith("redirect=") or word.partition(":")[0].partition("/")[0] in _ASKING


def _dmarc(sights: list[Sight]) -> tuple[str, str, str]:
    """As `_spf`. The first name that has a policy, or an alias to one, counts; several records count as none."""
    for sight in sights:
        if sight.state == "alias":
            return "", "", ""
        if sight.state not in ("present", "absent"):
            return "unknown", "whether there is a DMARC record could not be told", sight.detail or sight.state
        found = [text for text in _texts(sight) if text.partition(";")[0].replace(" ", "") == "v=DMARC1"]
        if len(found) > 1:
            return "notice", "there are several DMARC records, so none of them counts", " | ".join(found)
        if found:
            return "", "", ""
    return "notice", "there is no DMARC record at it or above it in its zone", ""


def _texts(sight: Sight) -> list[str]:
    """The text of each TXT record, its strings joined (RFC 7208 section 3.3)."""
    found = []
    for octets in sorted(sight.rrset.rdata) if sight.rrset is not None and sight.state == "present" else ():
        text, offset = b"", 0
        while offset < len(octets):
            text += octets[offset + 1 : offset + 1 + octets[offset]]
            offset += 1 + octets[offset]
        found.append(text.decode("ascii", "replace"))
    return found


def _mail_is_wanted(seen: RealmSeen) -> bool:
    edge = seen.expected.edge
    return (seen.name, rr.MX) in seen.wanted or bool(edge is not None and edge.mail)


def _subject(seen: RealmSeen) -> str:
    return f"{names.to_text(seen.name)} MX"


def _apply(seen: RealmSeen) -> str:
    return _APPLY.format(name=names.to_text(seen.name)[:-1])


def _wanted_text(seen: RealmSeen) -> str:
    wanted = seen.wanted.get((seen.name, rr.MX))
    if wanted is not None:
        return _text(wanted)
    edge = seen.expected.edge
    return " | ".join(f"{preference} {names.to_text(host)}" for preference, host in edge.mail) if edge else ""


def _text(rrset: RRset) -> str:
    return " | ".join(sorted(rdata.to_text(rrset.type, one) for one in rrset.rdata))


def _listed(hosts: set[Name]) -> str:
    return ", ".join(sorted(map(names.to_text, hosts)))


def _literal(target: Name) -> str:
    """The address that stands where a name should; empty if it is a name."""
    labels = names.labels_of(target)
    if len(labels) == 4 and all(label.isdigit() for label in labels):
        return b".".join(labels).decode("ascii")
    inner = b".".join(labels)
    return inner.decode("ascii", "replace") if b":" in inner or inner.startswith(b"[") else ""
