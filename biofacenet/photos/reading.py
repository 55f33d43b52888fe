"""Photographs: any common file to sRGB pixels, or one line that says why not."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import BinaryIO

from PIL import Image, UnidentifiedImageError
from torch import Tensor

from ..errors import PhotoError
from ..system.brief import Brief
from ..system.device import plain_defaults
from ..system.limits import MEGAPIXELS, most_pixels
from ..system.names import as_given, shown, wrong_source
from .by_pillow import decoded
from .camera_raw import CAMERA_RAW, NOTE, NotInstalledError, RawError, read_raw
from .exif import exif_block
from .kinds import EXPECTED, HEAD, KindError, formats, what_it_is
from .png import read_header
from .stored import NotFiniteError, Stored, developed
from .tiff import MAGIC, open_page

__all__ = [
    "MIN_SIDE",
    "Photo",
    "read_photo",
]

MIN_SIDE = 16
"""Smallest width and height, in pixels, in which a face could be seen."""


@dataclass(frozen=True, repr=False)
class Photo(Brief):
    """A photograph, upright, as sRGB."""

    path: Path
    """Where it was read from."""
    pixels: Tensor
    """(3, H, W), float32, sRGB-encoded, 0..1. Where `alpha` is 0 there is no colour: white."""
    alpha: Tensor | None = None
    """(1, H, W), float32, opacity 0..1; None where the whole photo is opaque.

    `pixels` are not multiplied by it: the colour of a half transparent pixel is its own.
    """
    notes: tuple[str, ...] = ()
    """What was converted on reading."""
    exif: bytes = b""
    """What the camera wrote down, as an EXIF block, without orientation, thumbnail and colour space,
    which spoke of the file."""
    linear: bool = False
    """Whether they are proportional to light once they are decoded, as of raw files: what cameras and phones
    write themselves went through a tone curve of theirs."""

    @property
    def height(self) -> int:
        return self.pixels.shape[1]

    @property
    def width(self) -> int:
        return self.pixels.shape[2]


@plain_defaults()
def read_photo(path: str | Path, *, max_pixels: int | None = None) -> Photo:
    """Read a photograph.

    EXIF orientation is applied; colour is converted to sRGB, whether told by a profile, by numbers
    (ITU-T H.273, as in AVIF, HEIC and PNG) or by gamma and chromaticities (PNG). 16 bits a channel of
    TIFF and PNG keep their depth. Floating-point TIFF is taken to be sRGB-encoded and clipped to 0..1.
    Of several frames the first is read.

    Args:
        path: JPEG, PNG, WebP, TIFF, BMP, GIF, AVIF or PPM; HEIC and JPEG XL with the extra ``photos``;
            raw files of cameras with the extra ``raw``, in linear light.
        max_pixels: a larger photo is refused before it is decoded; 100 million, or what the variable
            of the environment BIOFACENET_MAX_MEGAPIXELS says, when not given. Beyond 178 million Pillow
            refuses most kinds in any case.

    Raises:
        PhotoError: missing, a folder, empty, of another kind, damaged, too large, smaller than
            16 x 16 pixels, or holding NaN. One line.

    Example:
        >>> photo = read_photo("portrait.jpg")  # doctest: +SKIP
        >>> photo.pixels.shape  # doctest: +SKIP
        torch.Size([3, 3024, 4032])
    """
    path = Path(path)
    try:
        if path.is_dir():
            raise _problem(path, f"a folder; {EXPECTED}, name the file inside")
        if remedy := wrong_source(path):
            raise PhotoError(f"{as_given(path)}: {remedy}")
        if not path.exists() and path.is_symlink():
            raise _problem(path, f"a link to no file; {EXPECTED}, name the file that it stood for")
        if not path.exists():
            raise _problem(path, f"no such file; {EXPECTED}, check the spelling")
        if not path.is_file():
            raise _problem(path, f"not a regular file; {EXPECTED}")
        if path.stat().st_size == 0:
            raise _problem(path, f"an empty file; {EXPECTED}, copy it again")
        with path.open("rb") as stream, _quiet():
            photo = _read(path, stream, most_pixels() if max_pixels is None else max_pixels)
            stream.seek(0)
            return replace(photo, exif=exif_block(stream, formats()))
    except OSError as error:
        raise _problem(path, f"cannot be read ({error.strerror or error}); {EXPECTED}") from error


def _problem(path: Path, what: str) -> PhotoError:
    return PhotoError(" ".join(f"{shown(path)}: {what}".split()))


@contextmanager
def _quiet() -> Iterator[None]:
    """No warnings of Pillow: what matters is raised as a PhotoError."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _read(path: Path, stream: BinaryIO, max_pixels: int) -> Photo:
    if path.suffix.lower() in CAMERA_RAW:
        return _read_raw(path, stream, max_pixels)
    try:
        stored = _decode(path, stream, max_pixels)
        pixels, alpha = developed(stored)
    except PhotoError:
        raise
    except KindError as error:
        raise _problem(path, str(error)) from error
    except NotFiniteError as error:
        raise _problem(
            path, "holds NaN or infinite values; expected numbers in 0..1, export it again"
        ) from error
    except Image.DecompressionBombError as error:
        raise _problem(
            path,
            f"enormous ({error}); expected at most {max_pixels} pixels ({MEGAPIXELS} raises it), "
            "shrink it first",
        ) from error
    except UnidentifiedImageError as error:
        stream.seek(0)
        what, remedy = what_it_is(stream.read(HEAD))
        raise _problem(path, f"{what}; {EXPECTED}, {remedy}") from error
    except MemoryError as error:
        raise _problem(path, "too large for the memory of this machine; shrink it first") from error
    except Exception as error:  # the decoders raise many kinds on damaged bytes
        reason = str(error) or type(error).__name__
        raise _problem(
            path, f"damaged or cut short ({reason}); expected a whole photo, copy it again"
        ) from error
    return Photo(path, pixels, alpha, tuple(stored.notes))


def _read_raw(path: Path, stream: BinaryIO, max_pixels: int) -> Photo:
    try:
        pixels = read_raw(path, stream, partial(_check_size, max_pixels=max_pixels))
    except NotInstalledError as error:
        raise _problem(
            path,
            f"a camera raw file; {EXPECTED}, pip install 'biofacenet[raw]' reads it, or develop it to "
            "TIFF or JPEG first",
        ) from error
    except RawError as error:
        raise _problem(
            path,
            f"a camera raw file that cannot be read ({error}); expected a whole one, copy it again",
        ) from error
    except MemoryError as error:
        raise _problem(path, "too large for the memory of this machine; shrink it first") from error
    return Photo(path, pixels, notes=(NOTE,), linear=True)


def _decode(path: Path, stream: BinaryIO, max_pixels: int) -> Stored:
    magic = stream.read(4)
    stream.seek(0)
    if magic in MAGIC:
        with open_page(stream) as page:
            _check_size(path, page.width, page.height, max_pixels)
            page.check()
            return page.read()
    header = read_header(stream)
    stream.seek(0)
    image = Image.open(stream, formats=formats())
    _check_size(path, *image.size, max_pixels)
    return decoded(image, stream, header)


def _check_size(path: Path, width: int, height: int, max_pixels: int) -> None:
    if width * height > max_pixels:
        raise _problem(
            path,
            f"enormous, {width} x {height} pixels; expected at most {max_pixels} pixels "
            f"({MEGAPIXELS} raises it), shrink it first",
        )
    if min(width, height) < MIN_SIDE:
        raise _problem(
            path,
            f"{width} x {height} pixels; expected at least {MIN_SIDE} x {MIN_SIDE}, "
            "use a larger photo",
        )
