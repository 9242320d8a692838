"""The records by which a domain's mail is believed: SPF (RFC 7208), DKIM (RFC 6376, RFC 8463), DMARC (RFC 7489)."""

from __future__ import annotations

import base64
import re
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from realmkit.dns import names
from realmkit.dns import records as rr
from realmkit.dns.findings import Finding
from realmkit.dns.names import Name
from realmkit.dns.records import RRset
from realmkit.errors import InputError
from realmkit.whitelabel.domains import txt, txt_value

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping
    from pathlib import Path

    from realmkit.dns.records import Key, Type
    from realmkit.whitelabel.brandfile import BrandFile, SenderEntry

MOST_LOOKUPS: Final = 10  # RFC 7208 section 4.6.4
FEWEST_BITS: Final = 1024  # RFC 8301 section 3.2: verifiers ignore shorter keys
GOOD_BITS: Final = 2048
_ASKS: Final = re.compile(r"[+?~-]?(include:|a(?=[:/\s]|$)|mx(?=[:/\s]|$)|ptr|exists:)|redirect=", re.IGNORECASE)
_TERM: Final = re.compile(
    r"([+?~-]?(all|include:\S+|a([:/]\S+)?|mx([:/]\S+)?|ptr(:\S+)?|ip4:[0-9./]+|ip6:[0-9a-f:./]+|exists:\S+))"
    r"|[a-z][a-z0-9_.-]*=\S*",
    re.IGNORECASE,
)
_DMARC: Final = re.compile(r"v=DMARC1\s*;\s*p=(none|quarantine|reject)\s*(;.*)?", re.IGNORECASE)


class KeyRecord(Struct, frozen=True):
    """A DKIM key that a sender's mail is signed with.

    Attributes:
        email: the sender.
        name: where its record stands.
        value: the record's text; None where the file names no key.
        bits: of an RSA key; 0 for others and where there is none.
    """

    email: str
    name: Name
    value: str | None
    bits: int = 0


def keys_of(file: BrandFile) -> list[KeyRecord]:
    """The DKIM keys of all senders.

    Raises:
        InputError: a key file can't be read, is no public key, or holds a private one; with the line.
    """
    found = []
    for at, sender in enumerate(file.brand.senders):
        where = ("senders", at, "public_key")
        name = dkim_name(sender)
        if sender.public_key is None:
            found.append(KeyRecord(sender.email, name, None))
            continue
        try:
            value, bits = dkim_value(file.read(sender.public_key, where))
        except ValueError as error:
            raise file.document.error(where, f"{sender.public_key}: {error}") from error
        found.append(KeyRecord(sender.email, name, value, bits))
    return found


def dkim_name(sender: SenderEntry) -> Name:
    """`selector._domainkey.` and the domain of the address (RFC 6376 section 3.6.2.1). Raises InputError."""
    domain = sender.email.rpartition("@")[2]
    return names.prepend(f"{sender.selector}._domainkey", names.absolute(domain))


def dkim_value(pem: bytes) -> tuple[str, int]:
    """The text of the record that publishes a key, and how many bits an RSA key has.

    Raises:
        ValueError: no public key in PEM, or one that DKIM has no name for.
    """
    if b"PRIVATE KEY" in pem:
        raise ValueError("holds a private key, which belongs to the platform alone: name the public one")
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
    from cryptography.hazmat.primitives.serialization import (
        Encoding,
        PublicFormat,
        load_pem_public_key,
    )

    try:
        key = load_pem_public_key(pem)
    except Exception as error:  # whatever it stumbles over in a stranger's file
        raise ValueError("is no public key in PEM") from error
    if isinstance(key, RSAPublicKey):
        der = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        return f"v=DKIM1; k=rsa; p={base64.b64encode(der).decode()}", key.key_size
    if isinstance(key, Ed25519PublicKey):
        raw = key.public_bytes(Encoding.Raw, PublicFormat.Raw)
        return f"v=DKIM1; k=ed25519; p={base64.b64encode(raw).decode()}", 0
    raise ValueError("is neither an RSA nor an Ed25519 key (RFC 6376, RFC 8463)")


def private_keys(file: BrandFile, project: Path) -> dict[str, bytes]:
    """The private keys in PEM, by address of the sender; each seen to be the half of the published one.

    Raises:
        SecretError: one can't be had. InputError: it is no private key, or another than the published one's.
    """
    published = {key.email: key.value for key in keys_of(file)}
    found = {}
    for at, sender in enumerate(file.brand.senders):
        if sender.private_key is None:
            continue
        pem = sender.private_key.reveal(project).encode()
        value = _public_half(pem)
        if value is None or published[sender.email] not in (None, value):
            words = "is no private key in PEM" if value is None else "does not belong to public_key"
            raise file.document.error(("senders", at, "private_key"), words, "make the pair anew, and plan once more")
        found[sender.email] = pem + b"\n" * (not pem.endswith(b"\n"))
    return found


def _public_half(pem: bytes) -> str | None:
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

    try:
        key = load_pem_private_key(pem, None).public_key()
        return dkim_value(key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))[0]
    except Exception:  # whatever it stumbles over; words of its own might repeat the key
        return None


def add_records(rrsets: dict[Key, RRset], file: BrandFile, keys: Iterable[KeyRecord], ttl: int) -> None:
    """Add the records of the file's senders to those that are wanted.

    An SPF record joins the other TXT records of its name, in place of an SPF record that stands there.
    """
    brand, domain = file.brand, file.domain
    if brand.spf is not None:
        there = rrsets.get((domain, rr.TXT))
        others = [] if there is None else [one for one in there.rdata if not _is_spf(txt_value(one))]
        _put(rrsets, domain, [*others, txt(brand.spf)], ttl)
    if brand.dmarc is not None:
        _put(rrsets, names.prepend("_dmarc", domain), [txt(brand.dmarc)], ttl)
    for key in keys:
        if key.value is not None:
            _put(rrsets, key.name, [txt(key.value)], ttl)


def _put(rrsets: dict[Key, RRset], name: Name, records: list[bytes], ttl: int) -> None:
    rrsets[name, rr.TXT] = RRset(name, rr.TXT, ttl, frozenset(records))


def judge(
    file: BrandFile,
    wanted: Mapping[Key, RRset],
    live: Mapping[Key, RRset],
    keys: Iterable[KeyRecord],
    zones: Collection[Name],
) -> list[Finding]:
    """What is wrong with the domain's mail records, before they are written.

    Args:
        file: the brand.
        wanted: the records that will stand.
        live: the records that stand now.
        keys: of the senders.
        zones: what the project can publish in.
    """
    found = [finding for key in keys for finding in _key(key, wanted, live, zones)]
    mail = {file.domain, *(names.absolute(one.email.rpartition("@")[2]) for one in file.brand.senders)}
    for name in sorted(mail):
        if names.closest(name, zones) is not None:
            texts = _texts(name, rr.TXT, wanted, live)
            found += _spf(name, [text for text in texts if _is_spf(text)], is_sender=bool(file.brand.senders))
            dmarc = _texts(names.prepend("_dmarc", name), rr.TXT, wanted, live)
            found += _dmarc(name, dmarc, is_sender=bool(file.brand.senders))
    return found


def _texts(name: Name, kind: Type, *sources: Mapping[Key, RRset]) -> list[str]:
    """The TXT values that will stand at a name: as wanted, else as they are."""
    rrset = next((source[name, kind] for source in sources if (name, kind) in source), None)
    return [] if rrset is None else sorted(map(txt_value, rrset.rdata))


def _is_spf(text: str) -> bool:
    return text.lower() == "v=spf1" or text.lower().startswith("v=spf1 ")


def _key(
    key: KeyRecord, wanted: Mapping[Key, RRset], live: Mapping[Key, RRset], zones: Collection[Name]
) -> Iterator[Finding]:
    subject = f"{names.to_text(key.name)} TXT"
    if names.closest(key.name, zones) is None:
        yield Finding(
            "WL07", "unknown", subject, f"the key of {key.email} lies in no zone under zones:",
            mend="publish it where that domain's DNS is kept, and look at it there",
        )  # fmt: skip
    elif not (texts := _texts(key.name, rr.TXT, wanted, live)):
        yield Finding(
            "WL07", "error", subject, f"mail from {key.email} will be signed with a key that nobody can look up",
            expected="v=DKIM1; p=...", seen="no record", mend="name the key's file as public_key: of the sender",
        )  # fmt: skip
    elif not any(re.search(r"(^|;)\s*p=\s*[A-Za-z0-9+/]", text) for text in texts):
        yield Finding(
            "WL10", "error", subject,
            f"no key for mail from {key.email}: `p=` is missing or empty, so it is withdrawn (RFC 6376 section 3.6.1)",
            seen=texts[0][:80], mend="publish the key that the platform signs with",
        )  # fmt: skip
    if 0 < key.bits < GOOD_BITS:
        yield Finding(
            "WL10", "error" if key.bits < FEWEST_BITS else "warning", subject,
            f"the key of {key.email} is short (RFC 8301 section 3.2)",
            expected=f"at least {GOOD_BITS} bits", seen=str(key.bits),
            mend="make a longer key and give it to the platform",
        )  # fmt: skip


def _spf(name: Name, spf: list[str], *, is_sender: bool) -> Iterator[Finding]:
    subject = f"{names.to_text(name)} TXT"
    if not spf:
        if is_sender:
            yield Finding(
                "WL08", "warning", subject, "says nothing about who may send its mail (RFC 7208)",
                seen="no v=spf1", mend="say spf: in the brand's file",
            )  # fmt: skip
        return
    if len(spf) > 1:
        yield Finding(
            "WL08", "error", subject, "two SPF records, which receivers take for none (RFC 7208 section 4.5)",
            seen="; ".join(spf)[:200], mend="make one of them",
        )  # fmt: skip
    terms = spf[0].split()[1:]
    bad = [term for term in terms if not _TERM.fullmatch(term)]
    if bad:
        yield Finding(
            "WL08", "error", subject, "an SPF record with a term that there is not (RFC 7208 section 4.6)",
            seen=bad[0][:80], mend="mend spf: in the brand's file",
        )  # fmt: skip
    if not any(term.lower().lstrip("+?~-") == "all" or term.lower().startswith("redirect=") for term in terms):
        yield Finding(
            "WL08", "warning", subject, "an SPF record without `all` says nothing of other senders (RFC 7208 5.1)",
            seen=spf[0][:200], mend="end it with -all or ~all",
        )  # fmt: skip
    if any(term.lower() in ("all", "+all") for term in terms):
        yield Finding(
            "WL08",
            "error",
            subject,
            "an SPF record that lets everybody send",
            seen=spf[0][:200],
            mend="end it with -all",
        )
    if sum(bool(_ASKS.match(term)) for term in terms) > MOST_LOOKUPS:
        yield Finding(
            "WL08", "error", subject, f"an SPF record of more than {MOST_LOOKUPS} look-ups fails (RFC 7208 4.6.4)",
            mend="name networks (ip4:) in place of some includes",
        )  # fmt: skip


def _dmarc(name: Name, texts: list[str], *, is_sender: bool) -> Iterator[Finding]:
    where = f"{names.to_text(names.prepend('_dmarc', name))} TXT"
    dmarc = [text for text in texts if text.upper().startswith("V=DMARC1")]
    if not dmarc:
        if is_sender:
            yield Finding(
                "WL09", "notice", where, "no DMARC record: receivers do as they like with forged mail",
                seen="; ".join(texts)[:80] or "no record",
                mend="say dmarc: in the brand's file, to begin with v=DMARC1; p=none",
            )  # fmt: skip
    elif len(dmarc) > 1 or not _DMARC.fullmatch(dmarc[0]):
        yield Finding(
            "WL09", "error", where, "no valid DMARC record: one, with p=none, quarantine or reject (RFC 7489 6.3)",
            seen="; ".join(dmarc)[:200], mend="mend dmarc: in the brand's file",
        )  # fmt: skip


def checked_code(text: str) -> tuple[str, str]:
    """E-mail address and code from `info@example.com=1234`.

    Raises:
        InputError: it has another form.
    """
    email, _, code = text.rpartition("=")
    if "@" not in email or not re.fullmatch(r"[0-9]{4,8}", code):
        raise InputError(f"--code {text!r}: expected ADDRESS=CODE, as info@example.com=1234")
    return email, code
