"""Rendering: what phones get, what is refused, and that what was rendered says what was asked for."""

from __future__ import annotations

import os
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from realmkit.errors import InputError
from realmkit.phones import catalog, readback
from realmkit.phones.formats import FORMATS, MalformedError, UncarriableError
from realmkit.phones.model import File, Line, Phone, Transport
from realmkit.phones.render import Renderer, RenderError, carried, masked
from realmkit.secrets import Password
from tests.unit.deskphones import MAC, MODELS, known, make_line, make_phone, renderer, sample, write_tree

GOLDEN = Path(__file__).parents[1] / "golden" / "phones"
TRANSPORTS: tuple[Transport, ...] = ("udp", "tls", "dns")


def rendered(phone: Phone) -> bytes:
    return renderer().render(phone)[0].content


def parsed(content: bytes) -> dict[str, str]:
    """The parameters of a Yealink or Grandstream file; XML read by the standard library's own reader, not ours."""
    if content.startswith(b"<?xml"):
        return {one.tag: one.text or "" for one in ET.fromstring(content).iterfind("config/*")}
    lines = [line for line in content.decode().split("\n") if line and not line.startswith("#")]
    return dict(line.split(" = ", 1) for line in lines)


# --- golden files ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("lines", [1, 2])
@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("model", MODELS)
def test_what_is_rendered_is_what_was_agreed(model: str, transport: Transport, lines: int) -> None:
    """REALMKIT_GOLDEN=write writes the files anew; look at the difference before you commit it."""
    for file in renderer().render(sample(model, transport, lines)):
        golden = GOLDEN / f"{model.replace('/', '-')}.{transport}.{lines}" / file.name
        if os.environ.get("REALMKIT_GOLDEN") == "write":
            golden.parent.mkdir(parents=True, exist_ok=True)
            golden.write_bytes(file.content)
        assert file.content == golden.read_bytes()


def test_every_golden_file_is_compared() -> None:
    wanted = {
        f"{model.replace('/', '-')}.{transport}.{lines}/{name}"
        for model in MODELS
        for transport in TRANSPORTS
        for lines in (1, 2)
        for name in known().models[model].files(MAC)
    }
    assert {str(file.relative_to(GOLDEN)) for file in GOLDEN.rglob("*") if file.is_file()} == wanted


# --- what matters most -----------------------------------------------------------------------------------------------


def test_dns_names_no_port_so_that_naptr_and_srv_are_asked() -> None:
    yealink = parsed(rendered(make_phone("yealink/t54w")))
    assert yealink["account.1.sip_server.1.port"] == "0"
    assert yealink["account.1.sip_server.1.transport_type"] == "3"
    grandstream = parsed(rendered(make_phone("grandstream/grp2614", make_line(), make_line())))
    assert (grandstream["P47"], grandstream["P103"]) == ("acme.voice.example.com", "2")
    assert (grandstream["P402"], grandstream["P408"]) == ("acme.voice.example.com", "2")
    assert b"<sip:user_u1@acme.voice.example.com>" in rendered(make_phone("baresip/baresip"))


@pytest.mark.parametrize(("transport", "port"), [("udp", "5060"), ("tcp", "5060"), ("tls", "5061")])
def test_a_fixed_transport_names_its_port(transport: Transport, port: str) -> None:
    line = make_line(transport=transport)
    assert parsed(rendered(make_phone("yealink/t54w", line)))["account.1.sip_server.1.port"] == port
    grandstream = parsed(rendered(make_phone("grandstream/grp2614", line)))
    assert (grandstream["P47"], grandstream["P103"]) == (f"acme.voice.example.com:{port}", "0")
    wanted = f"<sip:user_u1@acme.voice.example.com:{port};transport={transport}>"
    assert wanted.encode() in rendered(make_phone("baresip/baresip", line))


def test_a_check_sync_is_a_fetch_and_no_reboot() -> None:
    assert parsed(rendered(make_phone("yealink/t54w")))["sip.notify_reboot_enable"] == "0"
    assert parsed(rendered(make_phone("grandstream/grp2614")))["P4428"] == "1"


@pytest.mark.parametrize(("model", "names"), [("yealink/t54w", ["static.auto_provision.server.url",
    "local_time.ntp_server1"]), ("grandstream/grp2614", ["P237", "P212", "P30"])])  # fmt: skip
def test_what_is_not_configured_is_left_to_the_phone(model: str, names: list[str]) -> None:
    assert not set(names) & set(parsed(rendered(make_phone(model))))
    with_both = make_phone(model, url="https://phones.example.net/a", ntp="ntp.example.net")
    assert set(names) <= set(parsed(rendered(with_both)))


@pytest.mark.parametrize("model", MODELS)
def test_nothing_of_the_old_realm_is_left(model: str) -> None:
    """Rendering is a function of the phone: only the realm differs, so a move is reversed by rendering again."""
    old, new = (make_phone(model, make_line(realm=realm)) for realm in ("old.example.net", "new.example.org"))
    before, after = rendered(old), rendered(new)
    assert b"old.example.net" not in after
    assert after.replace(b"new.example.org", b"old.example.net") == before
    assert rendered(old) == before


def test_a_masked_phone_shows_no_password() -> None:
    for model in MODELS:
        content = rendered(masked(make_phone(model)))
        assert b"s3cret" not in content
        assert b"********" in content


def test_grandstream_counts_in_whole_minutes() -> None:
    for seconds, minutes in ((30, "1"), (60, "1"), (119, "1"), (300, "5"), (86400, "1440")):
        phone = make_phone("grandstream/grp2614", make_line(expires=seconds))
        assert parsed(rendered(phone))["P32"] == minutes
        assert carried(phone)[0].expires == int(minutes) * 60


def test_every_account_of_a_grandstream_has_values_of_its_own() -> None:
    lines = [make_line(username=f"u{number}") for number in range(1, 7)]
    said = parsed(rendered(make_phone("grandstream/grp2616", *lines)))
    assert [said[name] for name in ("P35", "P404", "P504", "P604", "P704", "P804")] == [f"u{n}" for n in range(1, 7)]
    assert [said[name] for name in ("P138", "P471", "P571", "P671", "P771", "P871")] == ["15"] * 6


# --- hostile values --------------------------------------------------------------------------------------------------

HOSTILE = ["&", "<", ">", '"', "'", "#", ";", "\n", "\r", "\r\n", "\0", "\x1b", "\u2028", "\ud800", "\ufffe", "😀",
           "שלום\u202e", "]]>", "--", "%NULL%", "{{ 7*7 }}", "{% raw %}", " a", "a ", "\t", "=", "\\", "a" * 500,
           "]]><!ENTITY x 'y'>", "x;auth_pass=evil", "x\naccount.2.enable = 1", "Smith & Söhne <a@b>"]  # fmt: skip
TEXTS = st.one_of(
    st.sampled_from(HOSTILE),
    st.text(max_size=40),
    st.lists(st.sampled_from(HOSTILE), min_size=1, max_size=4).map("".join),
    st.text(alphabet="&<>\"'#;\n\r\\ab =%@", max_size=20),
)
FIELDS = ("username", "auth_id", "password", "realm", "display_name", "label")


def read_or_refused(model: str, line: Line) -> bool:
    """The law: it comes back as it was, or is refused by a named error that tells device and field, not the value."""
    phone = make_phone(model, line, line)
    message = ""
    files: tuple[File, ...] = ()
    try:
        files = renderer().render(phone)
    except RenderError as error:
        message = error.message
    if not files:
        assert f"phone 'desk 1' ({MAC}): line 1, " in message
        assert len(line.password) < 9 or line.password not in message
        return False
    assert readback.read(phone.model.path, files[0].content) == carried(phone)
    if model.startswith("grandstream"):
        ET.fromstring(files[0].content)
    return True


@pytest.mark.parametrize("model", MODELS)
@given(field=st.sampled_from(FIELDS), text=TEXTS)
@example(field="display_name", text="x\naccount.2.enable = 1")
@example(field="password", text="a&b<c\"d'e")
def test_a_hostile_value_comes_back_or_is_refused(model: str, field: str, text: str) -> None:
    read_or_refused(model, make_line(**{field: text}))


@pytest.mark.parametrize("model", MODELS)
@given(
    st.builds(
        make_line, username=TEXTS, auth_id=TEXTS, password=TEXTS, display_name=TEXTS,
        transport=st.sampled_from(["dns", "udp", "tcp", "tls"]), expires=st.integers(0, 90000),
        port=st.integers(-1, 65536),
    )
)  # fmt: skip
def test_hostile_lines_come_back_or_are_refused(model: str, line: Line) -> None:
    read_or_refused(model, line)


@pytest.mark.parametrize(("model", "accepted"), [
    ("yealink/t54w", {"&", "<", ">", '"', "'", "#", ";", "😀", "שלום\u202e", "]]>", "--", "{{ 7*7 }}", "{% raw %}",
                      "=", "\\", "a" * 500, "]]><!ENTITY x 'y'>", "x;auth_pass=evil", "Smith & Söhne <a@b>"}),
    ("grandstream/grp2614", set(HOSTILE) - {"\0", "\x1b", "\ud800", "\ufffe"}),
    ("baresip/baresip", {"&", "<", ">", "'", "#", "😀", "שלום\u202e", "]]>", "--", "%NULL%", "{{ 7*7 }}", "{% raw %}",
                         " a", "a ", "=", "a" * 500, "]]><!ENTITY x 'y'>", "Smith & Söhne <a@b>"}),
])  # fmt: skip
def test_which_passwords_each_family_takes(model: str, accepted: set[str]) -> None:
    assert {text for text in HOSTILE if read_or_refused(model, make_line(password=text))} == accepted


@pytest.mark.parametrize(("model", "fields", "says"), [
    ("yealink/t54w", {"display_name": "a\nb"}, r"line 1, display_name: holds a line break"),
    ("yealink/t54w", {"password": " x"}, r"line 1, password: begins or ends with a blank"),
    ("yealink/t54w", {"password": ""}, r"line 1, password: is empty"),
    ("yealink/t54w", {"realm": "acme example"}, r"line 1, realm: is no host name"),
    ("yealink/t54w", {"realm": "acme.example:5060"}, r"line 1, realm: is no host name"),
    ("yealink/t54w", {"port": 5060}, r"line 1, port: is given, which would keep NAPTR and SRV"),
    ("yealink/t54w", {"expires": 10}, r"line 1, expires: is not within 30 to 86400"),
    ("grandstream/grp2614", {"display_name": "a\0b"}, r"line 1, display_name: holds the character U\+0000"),
    ("baresip/baresip", {"password": 'a"b'}, r'line 1, password: holds ", for which there is no escape'),
    ("baresip/baresip", {"password": "a;b"}, r"line 1, password: holds ; after which"),
    ("baresip/baresip", {"username": "a b"}, r"line 1, username: holds a character that an address can't"),
])  # fmt: skip
def test_a_refusal_tells_device_and_field(model: str, fields: dict[str, object], says: str) -> None:
    with pytest.raises(RenderError, match=rf"phone 'desk 1' \({MAC}\): {says}"):
        rendered(make_phone(model, make_line(**fields)))


@pytest.mark.parametrize(("fields", "says"), [
    ({"url": "https://x/\ny"}, "url: holds a line break"), ({"ntp": "a b"}, "ntp: is no host name"),
    ({"retry": 0}, "retry: is not within"),
])  # fmt: skip
def test_a_refusal_of_what_is_not_a_lines(fields: dict[str, object], says: str) -> None:
    with pytest.raises(RenderError, match=says):
        rendered(make_phone("yealink/t54w", **fields))
    with pytest.raises(RenderError, match="url: begins with none of tftp://, http://"):
        rendered(make_phone("grandstream/grp2614", url="phones.example.net"))


def test_too_many_lines_are_refused() -> None:
    with pytest.raises(RenderError, match="lines: there are 5, but a grandstream/grp2614 takes 1 to 4"):
        rendered(make_phone("grandstream/grp2614", *[make_line()] * 5))


def test_a_wrong_mac_never_becomes_a_file_name() -> None:
    with pytest.raises(InputError, match="no MAC address"):
        Phone("../../etc", known().models["yealink/t54w"], "x", ())


# --- reading what others wrote ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(("family", "text", "says"), [
    ("yealink/t", "account.1.enable = 1\n", "line 1 is not #!version"),
    ("yealink/t", "#!version:1.0.0.1\nrubbish\n", "line 2 is no `name = value`"),
    ("yealink/t", "#!version:1.0.0.1# glued\n", "line 1 is not #!version"),
    ("yealink/t", "#!version:1.0.0.1\naccount.1.enable = 1\naccount.1.sip_server.1.port = x\n", "port is no number"),
    ("grandstream/grp", "<gs_provision><config><P271>1</P271></config>", "no well-formed XML"),
    ("grandstream/grp", "<gs_provision><config><P270>a & b</P270></config></gs_provision>", "no well-formed XML"),
    ("grandstream/grp", '<!DOCTYPE x [<!ENTITY a "b">]><gs_provision/>', "document type is not allowed"),
    ("grandstream/grp", "<html><P271>1</P271></html>", "<html> has no place there"),
    ("grandstream/grp", "<gs_provision><config>x</config></gs_provision>", "text outside of a P value"),
    ("grandstream/grp", "<gs_provision><config><P1><P2/></P1></config></gs_provision>", "<P2> has no place there"),
    ("baresip/baresip", "<tel:1>;regint=5\n", "address is not sip:"),
    ("baresip/baresip", '"x" <sip:a@b>;auth_pass="x\n', "no parameter at column"),
    ("polycom/vvx", "", "no family of phones is called"),
])  # fmt: skip
def test_what_is_not_well_formed_is_not_read(family: str, text: str, says: str) -> None:
    with pytest.raises(InputError, match=says):
        readback.read(family, text.encode())


def test_a_file_that_is_no_text() -> None:
    with pytest.raises(MalformedError, match="no UTF-8 at octet 2"):
        readback.read("yealink/t", b"#!\xff")


def test_a_foreign_configuration_is_read_with_the_phones_own_defaults() -> None:
    (line,) = readback.read("yealink/t", b"#!version:1.0.0.1\naccount.2.enable = 1\naccount.2.user_name=u\n")
    assert (line.username, line.transport, line.port, line.expires) == ("u", "udp", 5060, 3600)
    content = b"<gs_provision><config><P271>1</P271><P47>r.example:5080</P47><P130>1</P130></config></gs_provision>"
    (line,) = readback.read("grandstream/grp", content)
    assert (line.realm, line.transport, line.port, line.expires) == ("r.example", "tcp", 5080, 3600)


# --- templates of the project ----------------------------------------------------------------------------------------


def overlaid(folder: Path, files: dict[str, str]) -> Renderer:
    write_tree(folder, files)
    return Renderer(catalog.load(folder), folder)


SHIPPED = '{% extends "shipped/yealink/t/family.j2" %}\n'


def test_a_template_of_the_project_adds_to_the_shipped_one(tmp_path: Path) -> None:
    block = "{% block device %}{{ super() }}\nvoice_mail.number.1 = *97\n{% endblock %}\n"
    own = overlaid(tmp_path, {"yealink/t/family.j2": SHIPPED + block})
    phone = make_phone("yealink/t54w", make_line(display_name="A & B"))
    said = parsed(own.render(phone)[0].content)
    assert said == parsed(rendered(phone)) | {"voice_mail.number.1": "*97"}
    assert said["account.1.display_name"] == "A & B"


def test_a_template_for_one_model_is_that_models_alone(tmp_path: Path) -> None:
    block = "{% block extra %}\nlocal_time.time_zone_name = {{ phone.timezone }}\n{% endblock %}\n"
    own = overlaid(tmp_path, {"yealink/t/t54w.family.j2": SHIPPED + block})
    phone = make_phone("yealink/t54w", timezone="America/Havana")
    assert parsed(own.render(phone)[0].content)["local_time.time_zone_name"] == "America/Havana"
    other = make_phone("yealink/t46s", timezone="America/Havana")
    assert own.render(other)[0].content == rendered(other)


@pytest.mark.parametrize(("block", "says"), [
    ("{% block lines %}{% endblock %}", "does not say the lines that it should"),
    ("{% block extra %}\naccount.1.password = x\n{% endblock %}", "'account.1.password' stands there twice"),
    ("{% block extra %}\nvoice_mial.number.1 = 1\n{% endblock %}", "'voice_mial.number.1' is no parameter"),
    ("{% block extra %}\nrubbish\n{% endblock %}", "is no `name = value`"),
    ("{% block extra %}{{ phone.nane }}{% endblock %}", "has no attribute 'nane'"),
    ("{% block extra %}{{ nobody }}{% endblock %}", "'nobody' is undefined"),
    ('{% block extra %}{{ "a\\nb" }}{% endblock %}', "a value holds a line break"),
    ("{% block extra %}{{ phone.name | safe }}{% endblock %}", "No filter named 'safe'"),
    ("{% block extra %}{{ phone.__class__.__mro__ }}{% endblock %}", "unsafe"),
    ('{% block extra %}{{ "".format_map }}{{ phone.lines.append(1) }}{% endblock %}', "append"),
    ("{% block extra %}{% for i in range(99999999) %}x{% endfor %}{% endblock %}", "Range too big"),
    ("{% block extra %}{% for i in range(90000) %}# xxxxxxxx\n{% endfor %}{% endblock %}", "makes more than 262144"),
    ("{% block extra %}{% if %}{% endblock %}", "line 2: Expected an expression"),
    ('{% block extra %}{% include "../../../secret" %}{% endblock %}', "secret"),
])  # fmt: skip
def test_a_wrong_template_is_told_by_name(tmp_path: Path, block: str, says: str) -> None:
    (tmp_path / "secret").write_text("voice_mail.number.1 = stolen\n")
    own = overlaid(tmp_path / "templates", {"yealink/t/family.j2": SHIPPED + block})
    with pytest.raises(RenderError, match=says) as caught:
        own.render(make_phone("yealink/t54w"))
    assert "stolen" not in str(caught.value)


def test_values_of_a_template_can_not_break_out(tmp_path: Path) -> None:
    """Also through concatenation, macros and block assignments the encoder has its say."""
    block = """{% macro key(v) %}{{ v }}{% endmacro %}{% block extra %}
    {% set x %}{{ phone.name }}{% endset %}
linekey.1.label = {{ x }}
linekey.2.label = {{ "<" ~ phone.name }}
linekey.3.label = {{ key(phone.name) }}
{% endblock %}"""
    own = overlaid(tmp_path, {"yealink/t/family.j2": SHIPPED + block})
    import msgspec

    phone = msgspec.structs.replace(make_phone("yealink/t54w"), name="A & <B>")
    said = parsed(own.render(phone)[0].content)
    assert [said[f"linekey.{n}.label"] for n in (1, 2, 3)] == ["A & <B>", "<A & <B>", "A & <B>"]
    with pytest.raises(RenderError, match="a value holds a line break"):
        own.render(msgspec.structs.replace(phone, name="a\nb"))


def test_a_project_adds_parameters_and_models(tmp_path: Path) -> None:
    files = {
        "yealink/t/params.txt": "features.dnd.enable  # ours\n",
        "yealink/t/models.toml": '[models]\nt99 = {accounts = 2, aliases = ["t54"]}\n',
        "yealink/t/family.j2": SHIPPED + "{% block extra %}\nfeatures.dnd.enable = 0\n{% endblock %}",
    }
    own = overlaid(tmp_path, files)
    models = catalog.load(tmp_path)
    assert models.identify(explicit="yealink/t54").name == "yealink/t99"
    assert models.identify(explicit="t54w").name == "yealink/t54w"
    assert b"features.dnd.enable = 0" in own.render(make_phone("yealink/t54w"))[0].content


@pytest.mark.parametrize(("name", "text", "says"), [
    ("yealink/t/models.toml", "[models\n", "models.toml: .*Expected"),
    ("yealink/t/models.toml", "[models]\nt99 = {acounts = 2}\n", "acounts"),
    ("polycom/vvx/models.toml", "[models]\n", "no family of phones is called 'polycom/vvx'"),
    ("yealink/t/models.toml", '[models]\nt99 = {accounts = 1, aliases = ["t54w"]}\n', "is both"),
])  # fmt: skip
def test_a_wrong_catalogue_of_the_project(tmp_path: Path, name: str, text: str, says: str) -> None:
    write_tree(tmp_path, {name: text})
    with pytest.raises(InputError, match=says):
        catalog.load(tmp_path)


# --- formats ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", FORMATS)
@given(TEXTS)
def test_an_encoder_never_lets_a_line_begin(name: str, text: str) -> None:
    """Whatever gets through an encoder stays within its value."""
    try:
        encoded = FORMATS[name].encode(text)
    except UncarriableError:
        return
    encoded.encode()
    if name == "xml":
        root = ET.fromstring(f'<r><P1 a="{encoded}">{encoded}</P1></r>')
        assert root[0].text == text or (not text and root[0].text is None)
        assert len(root) == 1
    else:
        assert "\n" not in encoded
        assert "\r" not in encoded


def test_nothing_shows_a_password() -> None:
    line = make_line(password="s3cret")
    file = renderer().render(make_phone("yealink/t54w", line))[0]
    import rich.pretty

    for shown in (repr(line), repr(make_phone("yealink/t54w", line)), repr(file), rich.pretty.pretty_repr(file),
                  rich.pretty.pretty_repr(line), repr([line.password])):  # fmt: skip
        assert "s3cret" not in shown
    assert line.password == Password("s3cret")
