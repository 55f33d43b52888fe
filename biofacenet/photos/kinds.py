"""What a file is by its first bytes, whatever its name says, and which kinds can be opened here."""

from __future__ import annotations

from functools import cache
from importlib import import_module

from PIL import Image

__all__ = ["EXPECTED", "HEAD", "KindError", "formats", "what_it_is"]

EXPECTED = "expected a photo as JPEG, PNG, WebP, TIFF, BMP, GIF, AVIF, HEIC or JPEG XL"

# Named, so that no format that runs other programs (EPS) or accepts any bytes (TGA) is ever tried.
FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "AVIF", "PPM")

HEAD = 512
"""Bytes that are looked at."""


class KindError(ValueError):
    """A whole picture of a kind that is not converted; says which, and what to do."""


OF_PHONES = {"HEIC": "HEIF", "JPEG XL": "JXL"}
"""Kinds that need the extra `photos`, and what Pillow calls them."""

HEIC_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx"}
"""Of ISO/IEC 23008-12; mif1 says that a picture is in it, but not how it is coded."""

MAGIC = {
    b"\xff\xd8\xff": "a damaged JPEG, or one of a rare kind (12 bits, lossless)",
    b"\x89PNG\r\n\x1a\n": "a damaged PNG",
    b"\xff\x0a": "JPEG XL",
    b"\0\0\0\x0cJXL \r\n\x87\n": "JPEG XL",
    b"\0\0\0\x0cjP  \r\n\x87\n": "JPEG 2000",
    b"\xff\x4f\xff\x51": "JPEG 2000",
    b"8BPS": "a Photoshop file",
    b"%PDF": "a PDF",
    b"PK\x03\x04": "a ZIP archive",
    b"\x1aE\xdf\xa3": "a video",
    b"version https://git-lfs": "a pointer of Git LFS, without the photo",
}

REMEDIES = {
    "a damaged JPEG, or one of a rare kind (12 bits, lossless)": "copy it again, or save it anew",
    "a damaged PNG": "copy it again",
    "a ZIP archive": "unpack it first",
    "a video": "give it an ending such as .mp4",
    "a web page": "save the photo in it, not the page",
    "a pointer of Git LFS, without the photo": "fetch it with git lfs pull",
}


@cache
def formats() -> tuple[str, ...]:
    """Formats that Pillow may try, those of phones where the extra `photos` is installed."""
    found = list(FORMATS)
    try:
        import_module("pillow_heif").register_heif_opener()
        found.append("HEIF")
    except ImportError:
        pass
    try:
        import_module("pillow_jxl")
        found.append("JXL")
    except ImportError:
        pass
    Image.init()  # open() knows only the commonest formats before
    return tuple(found)


def what_it_is(head: bytes) -> tuple[str, str]:
    """What is in a file that Pillow does not open, and what to do; by its first `HEAD` bytes."""
    kind = _kind(head)
    if kind in OF_PHONES and OF_PHONES[kind] in formats():
        return f"damaged or cut short {kind}", "copy it again, or convert it to JPEG"
    if kind in OF_PHONES:
        return kind, "pip install 'biofacenet[photos]', or convert it to JPEG"
    if kind:
        return kind, REMEDIES.get(kind, "convert it to JPEG first")
    return (
        f"not a photo of a known format (begins with {head[:8]!r})",
        "convert it to one of these",
    )


def _kind(head: bytes) -> str:
    if head[4:8] == b"ftyp":
        return _iso_kind(head)
    for magic, kind in MAGIC.items():
        if head.startswith(magic):
            return kind
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if text.startswith((b"<!doctype html", b"<html", b"<head")):
        return "a web page"
    return "a drawing (SVG)" if b"<svg" in text else ""


def _iso_kind(head: bytes) -> str:
    """Of a file of ISO boxes, the first of which lists what it goes by."""
    length = int.from_bytes(head[:4], "big")
    brands = {head[8:12], *(head[at : at + 4] for at in range(16, min(length, len(head)), 4))}
    if brands & HEIC_BRANDS:
        return "HEIC"
    return "AVIF" if brands & {b"avif", b"avis"} else "HEIC" if b"mif1" in brands else "a video"
