r"""What Route 53 takes as a name and as a Value, checked by dnspython, and its words as a zone file's and back.

Nothing here is the provider's code. Octets go through one after the other, octal on the one side and decimal on the
other (Developer Guide, "DNS domain name format" and "Supported DNS record types").
"""

from __future__ import annotations

import re

import dns.exception
import dns.name
import dns.rdata
import dns.rdatatype

# RRType in the service model of botocore 1.44.8
TYPES = frozenset({
    "SOA", "A", "TXT", "NS", "CNAME", "MX", "NAPTR", "PTR", "SRV", "SPF", "AAAA", "CAA", "DS", "TLSA", "SSHFP",
    "SVCB", "HTTPS",
})  # fmt: skip
UNESCAPED = frozenset(b"abcdefghijklmnopqrstuvwxyz0123456789-_")
OCTAL = frozenset("01234567")
LONGEST_VALUE = 4000
# flags, service and regexp stand in quotes: "Supported DNS record types", under NAPTR
QUOTED_NAPTR = re.compile(r'\d+ +\d+( +"(?:[^"\\]|\\.)*"){3} +\S+')


class RefusedError(Exception):
    """AWS would not take it; with its words."""


def labels_of(text: str) -> list[bytes]:
    """The labels of a name in a request, lower case.

    Raises:
        RefusedError: it is no name.
    """
    labels = [bytearray()]
    at = 0
    body = text.removesuffix(".")
    while at < len(body):
        char = body[at]
        digits = body[at + 1 : at + 4]
        if char == "\\":
            if len(digits) != 3 or not set(digits) <= OCTAL or int(digits, 8) > 255:
                raise RefusedError(f"The domain name {text} has an escape that is not three octal digits")  # our words
            labels[-1].append(int(digits, 8))
            at += 4
            continue
        if char == ".":
            labels.append(bytearray())
        elif 32 < ord(char) < 127:
            labels[-1].append(ord(char))
        else:
            raise RefusedError(f"The domain name {text} contains characters that must be escaped")  # our words
        at += 1
    if any(not 0 < len(label) <= 63 for label in labels) or sum(map(len, labels)) + len(labels) > 254:
        raise RefusedError(f"FATAL problem: DomainLabelTooLong or empty label encountered with '{text}'")  # from memory
    return [bytes(label).lower() for label in labels]


def canonical(text: str) -> str:
    """A name as answers show it: `\\052.acme.example.`. Raises RefusedError."""
    return written(labels_of(text))


def written(labels: list[bytes]) -> str:
    """Labels as answers show them."""
    return "".join(
        "".join(chr(octet) if octet in UNESCAPED else f"\\{octet:03o}" for octet in label) + "." for label in labels
    )


def sort_key(name: str) -> str:
    """By labels, the last one first, with a final dot (ListResourceRecordSets, "Sort order")."""
    return ".".join(reversed(name[:-1].split("."))) + "."


def zone_file_text(value: str) -> str:
    """A Value with the escapes of a zone file. Raises RefusedError."""
    out = []
    at = 0
    while at < len(value):
        char = value[at]
        if char != "\\":
            if not 32 <= ord(char) < 127:
                raise RefusedError(
                    f"Invalid Resource Record: FATAL problem: UnprintableChar encountered with '{value}'"
                )
            out.append(char)
            at += 1
            continue
        digits = value[at + 1 : at + 4]
        if len(digits) == 3 and set(digits) <= OCTAL and int(digits, 8) < 256:
            out.append(f"\\{int(digits, 8):03d}")
            at += 4
        elif digits[:1] and not digits[0].isdigit():
            out.append(value[at : at + 2])
            at += 2
        else:
            raise RefusedError(f"Invalid Resource Record: FATAL problem: BadEscape encountered with '{value}'")
    return "".join(out)


def route53_text(text: str) -> str:
    """A zone file's rdata, as dnspython writes it, in Route 53's words."""
    out = []
    quoted = False
    at = 0
    while at < len(text):
        char = text[at]
        if char == "\\":
            digits = text[at + 1 : at + 4]
            number = int(digits) if digits.isdigit() and len(digits) == 3 else None
            step = 2 if number is None else 4
            if number is None and quoted:
                out.append(text[at : at + 2])
            else:
                out.append(f"\\{ord(text[at + 1]) if number is None else number:03o}")
            at += step
            continue
        quoted ^= char == '"'
        out.append(char)
        at += 1
    return "".join(out)


def check(kind: str, value: str) -> None:
    """See that AWS would take a Value.

    Raises:
        RefusedError: with words of AWS where they are known: InvalidCharacterString from octodns/octodns#1196,
            CharacterStringTooLong from boto/boto3#1462; the others are ours.
    """
    problem = f"encountered with '{value}'"
    if len(value) > LONGEST_VALUE:  # shape RData of the service model
        raise RefusedError(f"Invalid Resource Record: FATAL problem: ValueTooLong {problem}")
    if kind in ("TXT", "SPF") and not (value.startswith('"') and value.endswith('"')):
        words = "InvalidCharacterString (Value should be enclosed in quotation marks)"
        raise RefusedError(f"Invalid Resource Record: FATAL problem: {words} {problem}")
    text = zone_file_text(value)
    if text.startswith("\\#"):
        raise RefusedError(f"Invalid Resource Record: FATAL problem: GenericForm {problem}")
    try:
        dns.rdata.from_text("IN", kind, text, dns.name.root, relativize=False)
    except (dns.exception.DNSException, ValueError) as error:
        word = "CharacterStringTooLong (Value is too long)" if "too long" in str(error) else f"Invalid{kind}RDATA"
        raise RefusedError(f"Invalid Resource Record: FATAL problem: {word} {problem}") from error
    if kind == "NAPTR" and not QUOTED_NAPTR.fullmatch(value):
        raise RefusedError(f"Invalid Resource Record: FATAL problem: NAPTRRDATANotQuoted {problem}")
