"""Images and pages that a brand uploads, judged by what they hold and not by what they are called.

The platform takes PNG, JPEG and GIF, for icons ICO too, and HTML as welcome page. It looks at the declared type only;
a file that is none would be shown as a broken picture to every user. Sizes are realmkit's own limits: none of the
platform's is known.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

from msgspec import Struct

from realmkit.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable

Kind = Literal["logo", "icon", "welcome"]
MOST_OCTETS: Final[dict[Kind, int]] = {"logo": 1024 * 1024, "icon": 256 * 1024, "welcome": 512 * 1024}
_MOST_PIXELS: Final = 4096  # a side; more is a photograph that nobody meant
_PNG: Final = b"\x89PNG\r\n\x1a\n"
_OTHERS: Final = {
    b"RIFF": "WebP", b"%PDF": "PDF", b"BM": "BMP", b"II*\0": "TIFF", b"MM\0*": "TIFF", b"<svg": "SVG",
    b"<?xm": "XML, perhaps SVG", b"PK\3\4": "a ZIP archive",
}  # fmt: skip


class Upload(Struct, frozen=True):
    """A file that goes to the platform.

    Attributes:
        kind: its place in the brand.
        content_type: what it is, by its content.
        octets: the file.
        width: in pixels; 0 for a page.
        height: in pixels; 0 for a page.
    """

    kind: Kind
    content_type: str
    octets: bytes
    width: int = 0
    height: int = 0


def check(kind: Kind, octets: bytes) -> Upload:
    """Judge a file before it is uploaded.

    Args:
        kind: its place in the brand.
        octets: its content.

    Raises:
        InputError: empty, too large, cut off, or nothing that the platform takes in that place.
    """
    if not octets:
        raise InputError("the file is empty")
    if len(octets) > MOST_OCTETS[kind]:
        raise InputError(f"the file has {len(octets):,} octets; a {kind} may have {MOST_OCTETS[kind]:,}")
    if kind == "welcome":
        return _page(octets)
    for content_type, magic, measure in _FORMATS:
        if octets.startswith(magic) and (kind == "icon" or content_type != "image/x-icon"):
            return _measured(kind, content_type, octets, measure)
    head = octets.lstrip()[:4].lower()
    what = next((word for magic, word in _OTHERS.items() if octets.startswith(magic) or head == magic), "")
    known = "PNG, JPEG, GIF" + (" or ICO" if kind == "icon" else "")
    raise InputError(f"no image that the platform takes as {kind} ({known})" + (f"; it is {what}" if what else ""))


def _measured(
    kind: Kind, content_type: str, octets: bytes, measure: Callable[[bytes], tuple[int, int] | None]
) -> Upload:
    try:
        size = measure(octets)
    except IndexError:
        size = None
    if size is None:
        raise InputError(f"it begins as {content_type} and is cut off or damaged")
    if not all(0 < side <= _MOST_PIXELS for side in size):
        raise InputError(f"an image of {size[0]} x {size[1]} pixels; a side has 1 to {_MOST_PIXELS}")
    return Upload(kind, content_type, octets, *size)


def _page(octets: bytes) -> Upload:
    try:
        text = octets.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InputError("the page is no UTF-8 text") from error
    lowered = text.lower()
    if "\0" in text or not ("<html" in lowered or "<body" in lowered or "<div" in lowered or "<p" in lowered):
        raise InputError("no HTML page")
    return Upload("welcome", "text/html", octets)


def _png(octets: bytes) -> tuple[int, int] | None:
    """IHDR first, every chunk whole, IEND last."""
    at, size = len(_PNG), None
    while at + 12 <= len(octets):
        length, name = _number(octets, at, 4), octets[at + 4 : at + 8]
        if at == len(_PNG):
            if name != b"IHDR" or length != 13:
                return None
            size = _number(octets, at + 8, 4), _number(octets, at + 12, 4)
        at += 12 + length
        if name == b"IEND":
            return size if at <= len(octets) else None
    return None


def _jpeg(octets: bytes) -> tuple[int, int] | None:
    """The frame header's size; the end marker must be there."""
    if octets.rstrip(b"\0")[-2:] != b"\xff\xd9":
        return None
    at = 2
    while octets[at] == 0xFF:
        marker = octets[at + 1]
        if marker == 0xFF:  # fill octets may stand before a marker
            at += 1
            continue
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            return _number(octets, at + 7, 2), _number(octets, at + 5, 2)
        at += 2 + _number(octets, at + 2, 2)
    return None


def _gif(octets: bytes) -> tuple[int, int] | None:
    if octets[3:6] not in (b"87a", b"89a") or octets.rstrip(b"\0")[-1:] != b";":
        return None
    return int.from_bytes(octets[6:8], "little"), int.from_bytes(octets[8:10], "little")


def _ico(octets: bytes) -> tuple[int, int] | None:
    """Every picture lies inside the file; the largest one's size. 0 stands for 256."""
    count = int.from_bytes(octets[4:6], "little")
    sizes = []
    for place in range(count):
        at = 6 + 16 * place
        length, offset = (int.from_bytes(octets[at + skip : at + skip + 4], "little") for skip in (8, 12))
        if not length or offset < 6 + 16 * count or offset + length > len(octets):
            return None
        sizes.append((octets[at] or 256, octets[at + 1] or 256))
    return max(sizes, default=None)


def _number(octets: bytes, at: int, width: int) -> int:
    if at + width > len(octets):
        raise IndexError
    return int.from_bytes(octets[at : at + width], "big")


_FORMATS: Final = (
    ("image/png", _PNG, _png),
    ("image/jpeg", b"\xff\xd8\xff", _jpeg),
    ("image/gif", b"GIF8", _gif),
    ("image/x-icon", b"\0\0\1\0", _ico),
)
