"""SPF, DKIM and DMARC of a white-label domain: made from the brand's file, judged before they are written."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_der_public_key,
)

from realmkit.dns import names
from realmkit.dns import records as rr
from realmkit.dns.findings import Finding
from realmkit.dns.records import Key, RRset
from realmkit.errors import InputError
from realmkit.whitelabel.brandfile import BrandFile, open_brand
from realmkit.whitelabel.domains import txt, txt_value
from realmkit.whitelabel.senders import add_records, checked_code, judge, keys_of, private_keys
from tests.unit.brands import DOMAIN, label

APEX = names.absolute(DOMAIN)
BASE = f"domain: {DOMAIN}\naccount: Acme\n"
SENDER = f"senders: [{{email: info@{DOMAIN}, selector: s1, public_key: key.pem}}]\n"
KEYLESS = f"senders: [{{email: info@{DOMAIN}, selector: s1}}]\n"


def brand(tmp_path: Path, more: str = "", key: bytes = b"") -> BrandFile:
    directory = tmp_path / "whitelabel"
    directory.mkdir(exist_ok=True)
    (directory / f"{DOMAIN}.yml").write_text(BASE + more)
    (directory / "key.pem").write_bytes(key)
    return open_brand(tmp_path, DOMAIN)


def public(key: rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey) -> bytes:
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


@pytest.fixture(scope="module")
def rsa_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, 2048)


def wanted(file: BrandFile, there: dict[Key, RRset] | None = None) -> dict[str, list[str]]:
    rrsets = dict(there or {})
    add_records(rrsets, file, keys_of(file), 300)
    return {
        names.to_text(name).removesuffix(f".{DOMAIN}."): sorted(map(txt_value, one.rdata))
        for (name, _), one in rrsets.items()
    }


def found(file: BrandFile, live: dict[Key, RRset] | None = None, zones: tuple[bytes, ...] = (APEX,)) -> list[Finding]:
    rrsets: dict[Key, RRset] = {}
    keys = keys_of(file)
    add_records(rrsets, file, keys, 300)
    return judge(file, rrsets, live or {}, keys, zones)


def records(name: bytes, *texts: str) -> dict[Key, RRset]:
    return {(name, rr.TXT): RRset(name, rr.TXT, 300, frozenset(map(txt, texts)))}


def test_an_rsa_key_is_published_as_it_is(tmp_path: Path, rsa_key: rsa.RSAPrivateKey) -> None:
    (value,) = wanted(brand(tmp_path, SENDER, public(rsa_key)))["s1._domainkey"]
    head, _, body = value.rpartition("p=")
    assert head == "v=DKIM1; k=rsa; "
    again = load_der_public_key(base64.b64decode(body))
    assert isinstance(again, rsa.RSAPublicKey)
    assert again.public_numbers() == rsa_key.public_key().public_numbers()


def test_an_ed25519_key_is_published_bare(tmp_path: Path) -> None:
    key = ed25519.Ed25519PrivateKey.generate()
    (value,) = wanted(brand(tmp_path, SENDER, public(key)))["s1._domainkey"]
    raw = key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    assert value == f"v=DKIM1; k=ed25519; p={base64.b64encode(raw).decode()}"


def test_a_private_key_is_refused_and_not_repeated(tmp_path: Path, rsa_key: rsa.RSAPrivateKey) -> None:
    pem = rsa_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    with pytest.raises(
        InputError, match=r"yml:3:[0-9]+: senders\.0\.public_key: key\.pem: holds a private key"
    ) as caught:
        keys_of(brand(tmp_path, SENDER, pem))
    assert pem.decode().splitlines()[1] not in caught.value.message


@pytest.mark.parametrize("pem", [b"", b"hello", b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"])
def test_a_file_that_is_no_key_is_one_clear_error(tmp_path: Path, pem: bytes) -> None:
    with pytest.raises(InputError, match="is no public key in PEM"):
        keys_of(brand(tmp_path, SENDER, pem))


def test_a_key_that_dkim_has_no_name_for_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="neither an RSA nor an Ed25519 key"):
        keys_of(brand(tmp_path, SENDER, public(ec.generate_private_key(ec.SECP256R1()))))


def test_spf_joins_the_other_texts_of_the_name_and_takes_an_old_ones_place(tmp_path: Path) -> None:
    there = records(APEX, "site-verification=1", "v=spf1 include:old.example -all")
    file = brand(tmp_path, "spf: v=spf1 include:mail.host.example.net -all\ndmarc: v=DMARC1; p=none\n")
    assert wanted(file, there) == {
        f"{DOMAIN}.": ["site-verification=1", "v=spf1 include:mail.host.example.net -all"],
        "_dmarc": ["v=DMARC1; p=none"],
    }


def test_a_sender_whose_key_nobody_can_look_up_is_said(tmp_path: Path) -> None:
    (missing,) = [one for one in found(brand(tmp_path, KEYLESS)) if one.id == "WL07"]
    assert (missing.level, missing.subject) == ("error", f"s1._domainkey.{DOMAIN}. TXT")


def test_a_key_that_is_published_already_is_enough(tmp_path: Path) -> None:
    live = records(label("s1._domainkey"), "v=DKIM1; p=MIIB")
    assert {one.id for one in found(brand(tmp_path, KEYLESS), live)} == {"WL08", "WL09"}


@pytest.mark.parametrize("text", ["v=DKIM1; p=", "v=DKIM1; k=rsa", "something else"])
def test_a_withdrawn_or_empty_key_is_said(tmp_path: Path, text: str) -> None:
    live = records(label("s1._domainkey"), text)
    (one,) = [one for one in found(brand(tmp_path, KEYLESS), live) if one.id in ("WL07", "WL10")]
    assert (one.id, one.level) == ("WL10", "error")


def test_a_key_in_a_zone_of_others_is_unknown_and_not_missing(tmp_path: Path) -> None:
    assert {one.level for one in found(brand(tmp_path, KEYLESS), zones=(names.absolute("else.example"),))} == {
        "unknown"
    }


@pytest.mark.parametrize(("bits", "level"), [(1024, "warning"), (2048, None)])
def test_a_short_key_is_said(tmp_path: Path, bits: int, level: str | None) -> None:
    key = rsa.generate_private_key(65537, bits)
    levels = [one.level for one in found(brand(tmp_path, SENDER, public(key))) if one.id == "WL10"]
    assert levels == ([] if level is None else [level])


@pytest.mark.parametrize(
    ("spf", "levels"),
    [
        ("v=spf1 include:mail.host.example.net a:x.example ip4:198.51.100.0/24 -all", []),
        ("v=spf1 redirect=_spf.host.example.net", []),
        ("v=spf1 a mx ip6:2001:db8::/32 ?all", []),
        ("v=spf1 include:mail.host.example.net", ["warning"]),
        ("v=spf1 includes:mail.host.example.net -all", ["error"]),
        ("v=spf1 +all", ["error"]),
        ("v=spf1 " + " ".join(f"include:m{i}.example" for i in range(11)) + " -all", ["error"]),
        ("v=spf1 " + " ".join(f"include:m{i}.example" for i in range(10)) + " -all", []),
    ],
)
def test_spf_is_judged(tmp_path: Path, spf: str, levels: list[str]) -> None:
    assert [one.level for one in found(brand(tmp_path, f"spf: '{spf}'\n")) if one.id == "WL08"] == levels


def test_two_spf_records_are_none(tmp_path: Path) -> None:
    live = records(APEX, "v=spf1 -all", "v=spf1 ~all")
    assert [one.level for one in found(brand(tmp_path, KEYLESS), live) if one.id == "WL08"] == ["error"]


@pytest.mark.parametrize(
    ("dmarc", "levels"),
    [
        ("v=DMARC1; p=none", []),
        ("v=DMARC1; p=reject; rua=mailto:a@b.example", []),
        ("v=DMARC1; p=never", ["error"]),
        ("v=DMARC1", ["error"]),
    ],
)
def test_dmarc_is_judged(tmp_path: Path, dmarc: str, levels: list[str]) -> None:
    assert [one.level for one in found(brand(tmp_path, f"dmarc: '{dmarc}'\n")) if one.id == "WL09"] == levels


def test_a_domain_that_sends_and_says_nothing_is_told(tmp_path: Path) -> None:
    live = records(label("s1._domainkey"), "v=DKIM1; p=MIIB")
    told = {(one.id, one.level) for one in found(brand(tmp_path, KEYLESS), live)}
    assert told == {("WL08", "warning"), ("WL09", "notice")}


def test_a_code_comes_with_its_address() -> None:
    assert checked_code("a=b@voice.example=1234") == ("a=b@voice.example", "1234")


@pytest.mark.parametrize("text", ["1234", "info@voice.example", "info@voice.example=12x4", "info=1234", "a@b="])
def test_a_code_in_another_form_is_one_clear_error(text: str) -> None:
    with pytest.raises(InputError, match="expected ADDRESS=CODE"):
        checked_code(text)


# --- the private half -----------------------------------------------------------------------------------------------


def secret_half(key: rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def test_the_private_half_of_the_published_key_is_taken(tmp_path: Path, rsa_key: rsa.RSAPrivateKey) -> None:
    (tmp_path / "secret.pem").write_bytes(secret_half(rsa_key))
    file = brand(tmp_path, SENDER.replace("key.pem", 'key.pem, private_key: "file:secret.pem"'), public(rsa_key))
    assert private_keys(file, tmp_path) == {f"info@{DOMAIN}": secret_half(rsa_key)}


@pytest.mark.parametrize("other", ["another", "public", "words"])
def test_another_private_key_is_refused_and_not_repeated(
    tmp_path: Path, rsa_key: rsa.RSAPrivateKey, other: str
) -> None:
    pem = {
        "another": secret_half(ed25519.Ed25519PrivateKey.generate()), "public": public(rsa_key), "words": b"hello",
    }[other]  # fmt: skip
    (tmp_path / "secret.pem").write_bytes(pem)
    file = brand(tmp_path, SENDER.replace("key.pem", 'key.pem, private_key: "file:secret.pem"'), public(rsa_key))
    with pytest.raises(InputError, match=r"yml:3:[0-9]+: senders\.0\.private_key: (is no|does not belong)") as caught:
        private_keys(file, tmp_path)
    assert not any(line in caught.value.message for line in pem.decode().splitlines())


def test_a_private_key_written_into_the_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError):
        brand(tmp_path, SENDER.replace("key.pem", 'key.pem, private_key: "MIIEvQIBADANBg"'))
