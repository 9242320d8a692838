"""Images and pages, judged by what they hold."""

from __future__ import annotations

import pytest

from realmkit.errors import InputError
from realmkit.kazoo.brand import CONTENT_TYPES
from realmkit.whitelabel.images import MOST_OCTETS, Kind, check
from tests.unit.brands import gif, ico, jpeg, png

PAGE = b"<!doctype html><html><body>Welcome</body></html>"


@pytest.mark.parametrize(
    ("kind", "octets", "content_type", "size"),
    [
        ("logo", png(7, 3), "image/png", (7, 3)),
        ("icon", png(16, 16), "image/png", (16, 16)),
        ("logo", gif(), "image/gif", (3, 2)),
        ("logo", jpeg(), "image/jpeg", (5, 4)),
        ("icon", ico(), "image/x-icon", (16, 16)),
        ("icon", ico(0, 0), "image/x-icon", (256, 256)),
        ("welcome", PAGE, "text/html", (0, 0)),
    ],
)
def test_a_whole_file_is_taken_for_what_it_is(
    kind: Kind, octets: bytes, content_type: str, size: tuple[int, int]
) -> None:
    upload = check(kind, octets)
    assert (upload.content_type, upload.width, upload.height, upload.octets) == (content_type, *size, octets)
    assert upload.content_type in CONTENT_TYPES[kind]


@pytest.mark.parametrize(
    ("kind", "octets", "words"),
    [
        ("logo", b"", "empty"),
        ("logo", b"hello, I am logo.png", "no image"),
        ("logo", ico(), r"no image that the platform takes as logo \(PNG, JPEG, GIF\)"),
        ("logo", b"<svg xmlns='http://www.w3.org/2000/svg'/>", "it is SVG"),
        ("icon", b"RIFF\0\0\0\0WEBPVP8 ", "it is WebP"),
        ("logo", PAGE, "no image"),
        ("logo", png(0, 5), "0 x 5 pixels"),
        ("logo", gif(60_000, 2), "60000 x 2 pixels"),
        ("logo", png() + b"x" * MOST_OCTETS["logo"], "octets; a logo may have"),
        ("icon", ico()[:-1], "cut off or damaged"),
        ("welcome", b"just words", "no HTML page"),
        ("welcome", b"<html>\xff\xfe</html>", "no UTF-8"),
        ("welcome", png(), "no UTF-8"),
        ("welcome", b"<html>\0</html>", "no HTML page"),
    ],
)
def test_a_file_that_is_none_is_one_clear_error(kind: Kind, octets: bytes, words: str) -> None:
    with pytest.raises(InputError, match=words):
        check(kind, octets)


@pytest.mark.parametrize("whole", [png(30, 30), gif(), jpeg(), ico()], ids=["png", "gif", "jpeg", "ico"])
def test_a_file_cut_off_anywhere_is_refused(whole: bytes) -> None:
    for end in range(len(whole)):
        with pytest.raises(InputError):
            check("icon", whole[:end])
    check("icon", whole)


@pytest.mark.parametrize("whole", [png(30, 30), gif(), jpeg(), ico()], ids=["png", "gif", "jpeg", "ico"])
def test_a_damaged_file_never_ends_in_another_error(whole: bytes) -> None:
    for place in range(len(whole)):
        for octet in (0, 0xFF, whole[place] ^ 0x80):
            damaged = whole[:place] + bytes((octet,)) + whole[place + 1 :]
            try:
                check("icon", damaged)
            except InputError:
                continue
