"""Pages of the checks that are made offline, in a zone's records; `realmkit.dns.lint` makes them.

The same checks judge what is served, where that is not what the zone at hand holds: see `realmkit.health.liverecords`.
"""

from __future__ import annotations

from realmkit.health.check import page

page(
    "SEM01", "error", "a CNAME beside other records", source="RFC 2181 section 10.1, RFC 1034 section 3.6.2",
    text="""
    A name has a CNAME and something else as well, or a CNAME stands at a zone's apex.

    Servers answer as they please: BIND refuses the zone or ignores the newer record, others give the alias for every
    type. A phone that asks for NAPTR gets the alias's NAPTR, a fax mail server the alias's MX.

    Mend: keep one or the other. At an apex use addresses, or what the DNS provider calls ALIAS or flattening.
    """,
)  # fmt: skip
page(
    "SEM02", "error", "an SRV target that is an alias, or no host name", source="RFC 2782",
    text="""
    The target of an SRV record must be a host with addresses of its own.

    Many phones follow an alias there, some do not (and some time out): the fault shows on one model only. An address
    in place of a name never works.

    Mend: name the host that the alias leads to.
    """,
)  # fmt: skip
page(
    "SEM03", "error", "an SRV target `.` that does not stand alone", source="RFC 2782",
    text="""
    A target of `.` says: this service is decidedly not offered here. Beside other targets it contradicts them, and
    clients differ in which of the two they believe.

    Mend: remove the record with `.`, or all others.
    """,
)  # fmt: skip
page(
    "SEM04", "warning, notice", "SRV port 0; weight 0 beside others", source="RFC 2782",
    text="""
    Port 0 is no port that a phone could register at. Weight 0 beside targets that have weight gets next to no calls:
    it is no way to say "spare", which is what a higher priority number is for.

    Mend: give the port, or give the spare proxy a higher priority number.
    """,
)  # fmt: skip
page(
    "SEM05", "error", "NAPTR flags, or both or neither of regexp and replacement",
    source="RFC 3403 section 4.1, RFC 3404 section 4.3",
    text="""
    A NAPTR record for SIP has the flag `S`, no regexp, and a replacement that names an SRV set (`A` would name a host).

    Name servers and most libraries take any nonsense here without a word: nobody but the phone notices.

    Mend: `10 100 "S" "SIP+D2U" "" _sip._udp.acme.example.`
    """,
)  # fmt: skip
page(
    "SEM06", "error", "a SIP service field that is none", source="RFC 3263 section 4.1, RFC 4168, RFC 7118",
    text="""
    SIP's NAPTR services are `SIP+D2U`, `SIP+D2T`, `SIPS+D2T`, `SIP+D2S`, `SIPS+D2S`, `SIP+D2W` and `SIPS+D2W`. A phone
    passes over a service that it does not know, so a slip of the pen silently removes a transport.

    Mend: correct the service field.
    """,
)  # fmt: skip
page(
    "SEM07", "warning", "NAPTRs of several transports with one order and preference",
    source="RFC 3403 section 4.1, RFC 3263 section 4.1",
    text="""
    With equal order and preference each client picks a transport of its own liking, and every second registration
    may come over another one. Which transport is preferred is your decision; say it by the order.

    Mend: number the transports 10, 20, 30 in the order you want them tried.
    """,
)  # fmt: skip
page(
    "SEM08", "error", "a target that ends with the zone twice", source="RFC 1035 section 5.1",
    text="""
    `proxy.example.net.voice.example.com.`: in a zone file, or in a provider's form, the final dot was left out, and the
    zone was appended.

    Mend: end the target with a dot.
    """,
)  # fmt: skip
page(
    "SEM09", "error, warning", "an address that does not belong in public DNS",
    source="RFC 6890, RFC 1918, RFC 6598, RFC 4193",
    text="""
    A private, shared, link-local, loopback, multicast or reserved address. Phones outside your network can't reach it,
    and phones inside it may reach something else.

    Mend: publish the public address; where private addresses are meant (a realm inside a VPN), set
    `policy.allow_private_addresses: true`.
    """,
)  # fmt: skip
page(
    "SEM10", "warning", "an SRV set whose name has no service label", source="RFC 2782",
    text="""
    Clients ask for SRV at names such as `_sip._udp.acme.example`; a set elsewhere is found only through a NAPTR that
    leads there, and by no SRV-only client.

    Mend: move the set to `_sip._udp`, `_sip._tcp` or `_sips._tcp` below the realm.
    """,
)  # fmt: skip
page(
    "SEM11", "notice", "an answer above 1232 octets, which needs TCP", source="RFC 6891 section 6.2.5, RFC 7766",
    text="""
    What does not fit a datagram of 1232 octets is cut off and asked for again over TCP. Phones' resolvers do that
    badly, firewalls forget port 53/tcp, and every look-up takes longer.

    Mend: fewer records in the set, or shorter names.
    """,
)  # fmt: skip
page(
    "SEM13", "error", "records of one RRset with differing TTLs", source="RFC 2181 section 5.2",
    text="""
    The records of one set must have one TTL. Resolvers take the lowest, or only a part of the set.

    Mend: give all of them the same TTL.
    """,
)  # fmt: skip
page(
    "WLD01", "error", "a name below a realm ends the wildcard that served it", source="RFC 4592 sections 2.2 and 3.3.1",
    text="""
    Something exists below the realm (`_sip._udp.acme`, `_acme-challenge.acme`), so the realm itself exists as an empty
    name, and `*` no longer speaks for it: its addresses, its MX, its NAPTR are gone. Servers answer NOERROR without
    data. One SRV record, added to help, turns off a hundred phones and their fax mail.

    It is found in the zone's copy, before the change is made (`dns plan` refuses it), and in what is served.

    Mend: publish the whole set at the realm in the same change (address, MX, NAPTR, three SRV sets), or remove
    what lies below it.
    """,
)  # fmt: skip
page(
    "WLD02", "error, warning, notice", "a name with some records of its own lacks others that the wildcard gave it",
    source="RFC 4592 section 2.2.1",
    text="""
    An explicit name gets nothing from a wildcard, not even the types that it lacks. A realm with an A record of its own
    below `*` with A and MX has no MX. A notice for hosts that are no realms: a proxy needs no fax mail.

    Mend: publish the missing types at that name.
    """,
)  # fmt: skip
page(
    "WLD03", "warning", "a wildcard SRV answers for every service and transport",
    source="RFC 4592 section 2.1.3, RFC 2782",
    text="""
    `*.s.example. SRV ... 5060` answers for `_sips._tcp.acme.s` and for `_imap._tcp.acme.s` alike: a TLS client is sent
    to a port that speaks no TLS. A wildcard can't tell services apart.

    Mend: let a wildcard NAPTR lead to SRV sets at the wildcard's parent (`shape: shared` does that).
    """,
)  # fmt: skip
page(
    "WLD04", "error", "an asterisk that is not the whole leftmost label", source="RFC 4592 section 2.1.1",
    text="""
    `voice-*.example` and `_sips._tcp.*.example` are names like any other: nobody asks for them, and they match nothing.

    Mend: put the asterisk alone at the left, or remove the record.
    """,
)  # fmt: skip
page(
    "MIG03", "notice", "absences are remembered for more than 300 s", source="RFC 2308 section 5",
    text="""
    A resolver that asks for a new realm before it exists remembers that it does not, for the lower of the SOA's TTL
    and its last number (MINIMUM). Before a migration that time should be short; and nobody should ask early.

    Mend: lower the SOA's MINIMUM to 300, a day before.
    """,
)  # fmt: skip
page(
    "RLM01", "warning", "a realm above 32 characters", source="monster-ui-accounts, views/edit.html",
    text="""
    The host's account page has an edit box of 32 characters: a longer realm can only be set through the API, and who
    opens the page and saves it may cut it off.

    Mend: a shorter first label.
    """,
)  # fmt: skip
page(
    "PRV01", "warning, notice, unknown", "something in the zone that its provider can't show", source="the provider",
    text="""
    The DNS provider holds something that can't be said as records, or shows a part of the zone only: checks on the
    zone's copy are blind there. Unknown where the zone could not be read at all; then only what is served is judged.

    Mend: compare with what the name servers answer; for an unreadable zone run `realmkit doctor`.
    """,
)  # fmt: skip
page(
    "PRV02", "error", "an alias, a proxied or a weighted record where a record of ours is wanted",
    source="the provider",
    text="""
    Something that the provider makes up when it answers stands at a name that should hold plain records; nothing is
    ever written over it.

    Mend: remove it by hand where it was made, or choose another name.
    """,
)  # fmt: skip
page(
    "PRV03", "error", "an SRV or MX target behind a web proxy", source="the provider",
    text="""
    The target's addresses are those of the provider's web proxy. Browsers get through it, SIP and mail do not.

    Mend: turn the proxy off for that name ("DNS only").
    """,
)  # fmt: skip
page(
    "RUN01", "unknown", "what could not be asked", source="RFC 2308 section 7",
    text="""
    A server gave no answer to some or all questions, or the run's `--deadline` came first. Nothing is known about what
    was not answered: it is neither fine nor missing, the exit code is 3 unless something worse is certain, and what an
    earlier run found there stays as it was.

    Mend: look why the server is silent (`dig @SERVER NAME SOA`); give the run more time, or a higher
    `policy.health.rate_per_server` for servers of your own.
    """,
)  # fmt: skip
page(
    "RUN02", "notice", "a server that asked to be asked more slowly", source="the server's response rate limiting",
    text="""
    The server answered with empty, truncated answers, or fell silent under many questions, while it answered others.
    That is response rate limiting; questions went on at half the rate, and over TCP. The server is not broken.

    Mend: lower `policy.health.rate_per_server`, or have this machine's address exempted. With servers of your own set
    `rate_per_server` of the zone and exempt this machine.
    """,
)  # fmt: skip
