"""Photographs: any common file to sRGB pixels, or one line that says why not."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO

import cv2
import numpy as np
import torch
from PIL import Image, ImageCms, UnidentifiedImageError
from PIL.TiffImagePlugin import ImageFileDirectory_v2, TiffImageFile
from torch import Tensor

from ..errors import PhotoError
from ..system.brief import Brief
from ..system.device import plain_defaults
from ..system.names import as_given, shown, wrong_source
from .exif import exif_block, orientation_of, upright
from .kinds import EXPECTED, HEAD, formats, what_it_is
from .numbered_colour import profile_of

__all__ = [
    "MAX_PIXELS",
    "MIN_SIDE",
    "Photo",
    "read_photo",
]

MAX_PIXELS = 100_000_000
"""Largest photo that is read, unless the caller says otherwise."""

MIN_SIDE = 16
"""Smallest width and height, in pixels, in which a face could be seen."""

# Raw files are TIFF inside: without this list their thumbnail would pass for the photo.
CAMERA_RAW = {".arw", ".cr2", ".cr3", ".dng", ".nef", ".orf", ".pef", ".raf", ".rw2"}

DEEP_PNG = ("RGB;16B", "RGBA;16B", "LA;16B")
"""What Pillow calls PNG pixels that it would reduce to 8 bits."""

# Tags of a TIFF directory and two of their values (TIFF 6.0).
WIDTH, HEIGHT, BITS, PHOTOMETRIC = 256, 257, 258, 262

SAMPLES, EXTRA_SAMPLES, SAMPLE_FORMAT, ICC_PROFILE = 277, 338, 339, 34675

MOST_SAMPLES = 5  # CMYK and alpha

PHOTOMETRIC_RGB, PREMULTIPLIED, IEEE_FLOAT = 2, 1, 3


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

    @property
    def height(self) -> int:
        return self.pixels.shape[1]

    @property
    def width(self) -> int:
        return self.pixels.shape[2]


@plain_defaults()
def read_photo(path: str | Path, *, max_pixels: int = MAX_PIXELS) -> Photo:
    """Read a photograph.

    EXIF orientation is applied and the colour profile is converted to sRGB. 16 bits a channel keep
    their depth, except through a colour profile, which is applied at 8 bits. Floating-point TIFF is
    taken to be sRGB-encoded and clipped to 0..1. Of several frames the first is read.

    Args:
        path: JPEG, PNG, WebP, TIFF, BMP, GIF, AVIF or PPM; HEIC and JPEG XL with the extra ``photos``.
        max_pixels: a larger photo is refused before it is decoded. Beyond 178 million pixels
            Pillow refuses in any case.

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
        if not path.exists():
            raise _problem(path, f"no such file; {EXPECTED}, check the spelling")
        if not path.is_file():
            raise _problem(path, f"not a regular file; {EXPECTED}")
        if path.stat().st_size == 0:
            raise _problem(path, f"an empty file; {EXPECTED}, copy it again")
        with path.open("rb") as stream, _quiet():
            photo = _read(path, stream, max_pixels)
            stream.seek(0)
            return replace(photo, exif=exif_block(stream, formats()))
    except OSError as error:
        raise _problem(path, f"cannot be read ({error.strerror or error}); {EXPECTED}") from error


def _problem(path: Path, what: str) -> PhotoError:
    return PhotoError(" ".join(f"{shown(path)}: {what}".split()))


@contextmanager
def _quiet() -> Iterator[None]:
    """Neither Pillow's warnings nor OpenCV's log: what matters is raised as a PhotoError."""
    level = cv2.utils.logging.getLogLevel()
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        cv2.utils.logging.setLogLevel(level)


def _read(path: Path, stream: BinaryIO, max_pixels: int) -> Photo:
    suffix = path.suffix.lower()
    if suffix in CAMERA_RAW:
        raise _problem(path, f"a camera raw file; {EXPECTED}, develop it to TIFF or JPEG first")
    try:
        values, notes = _decode(path, stream, max_pixels)
    except PhotoError:
        raise
    except Image.DecompressionBombError as error:
        raise _problem(
            path, f"enormous ({error}); expected at most {max_pixels} pixels, shrink it first"
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

    if not np.isfinite(values).all():
        raise _problem(
            path, "holds NaN or infinite values; expected numbers in 0..1, export it again"
        )
    if values.min() < 0.0 or values.max() > 1.0:
        values = values.clip(0.0, 1.0)
        notes.append("values beyond 0..1 clipped")
    return _photo(path, values, notes)


def _photo(path: Path, values: np.ndarray, notes: list[str]) -> Photo:
    """A photo of values (H, W, C): grey, grey and alpha, RGB or RGBA."""
    channels = torch.from_numpy(np.ascontiguousarray(values.transpose(2, 0, 1)))
    alpha = channels[-1:] if len(channels) in (2, 4) else None
    colour = channels if alpha is None else channels[:-1]
    if len(colour) == 1:
        colour = colour.repeat(3, 1, 1)
        notes.append("grey: three equal channels")
    if alpha is not None and bool((alpha == 1.0).all()):
        alpha = None
    if alpha is not None:
        # Such pixels have no colour, and most files call that black.
        colour = colour.masked_fill(alpha == 0.0, 1.0)
        notes.append("transparent in places")
    return Photo(path, colour, alpha, tuple(notes))


def _decode(path: Path, stream: BinaryIO, max_pixels: int) -> tuple[np.ndarray, list[str]]:
    """Upright float32 sRGB values (H, W, C), and what was converted."""
    tags = _tiff_directory(stream)
    stream.seek(0)
    if tags is not None:
        if tags.get(SAMPLES, 1) > MOST_SAMPLES:
            raise _problem(
                path, f"{tags[SAMPLES]} channels; expected a photo in grey, RGB or CMYK, convert it"
            )
        floating = tags.get(SAMPLE_FORMAT, (1,))[0] == IEEE_FLOAT
        rgb = tags.get(PHOTOMETRIC) == PHOTOMETRIC_RGB
        if tags.get(BITS, (1,))[0] > 8 and (rgb or floating):
            _check_size(path, int(tags[WIDTH]), int(tags[HEIGHT]), max_pixels)
            return _decode_deep(
                stream,
                profile=tags.get(ICC_PROFILE),
                orientation=1,  # OpenCV turns TIFF files itself
                premultiplied=PREMULTIPLIED in tags.get(EXTRA_SAMPLES, ()),
            )

    image = Image.open(stream, formats=formats())
    _check_size(path, *image.size, max_pixels)
    if image.format == "PNG" and image.tile and image.tile[0].args in DEEP_PNG:
        # Asked for EXIF that is not in its header, Pillow would decode the whole picture.
        orientation = orientation_of(image) if "exif" in image.info else 1
        profile = image.info.get("icc_profile")
        image.verify()  # OpenCV fills what is missing with black
        stream.seek(0)
        return _decode_deep(stream, profile=profile, orientation=orientation, premultiplied=False)
    return _decode_shallow(path, image)


def _check_size(path: Path, width: int, height: int, max_pixels: int) -> None:
    if width * height > max_pixels:
        raise _problem(
            path,
            f"enormous, {width} x {height} pixels; expected at most {max_pixels} pixels, "
            "shrink it first",
        )
    if min(width, height) < MIN_SIDE:
        raise _problem(
            path,
            f"{width} x {height} pixels; expected at least {MIN_SIDE} x {MIN_SIDE}, "
            "use a larger photo",
        )


def _tiff_directory(stream: BinaryIO) -> dict[int, Any] | None:
    """Tags of a TIFF file's first directory, also of kinds that Pillow cannot open; else None."""
    header = stream.read(8)
    if header[:4] not in (b"II*\0", b"MM\0*"):
        return None
    directory = ImageFileDirectory_v2(header)
    stream.seek(directory.next)
    directory.load(stream)
    return {tag: directory[tag] for tag in directory}


def _decode_deep(
    stream: BinaryIO, *, profile: bytes | None, orientation: int, premultiplied: bool
) -> tuple[np.ndarray, list[str]]:
    """By OpenCV, which keeps 16 bits and floats where Pillow has no mode for them."""
    stored = cv2.imdecode(np.frombuffer(stream.read(), np.uint8), cv2.IMREAD_UNCHANGED)
    if stored is None:
        raise ValueError("OpenCV reads no picture from it")
    stored = np.atleast_3d(stored)
    if stored.shape[2] > 4:
        raise ValueError(f"{stored.shape[2]} channels")
    if stored.shape[2] >= 3:
        stored = stored[:, :, [2, 1, 0, 3][: stored.shape[2]]]
    if stored.dtype.kind == "i":
        raise ValueError("signed integers, whose white is unknown")
    limit = 2 ** (8 * stored.dtype.itemsize) - 1 if stored.dtype.kind == "u" else 1
    values = stored.astype(np.float32) / np.float32(limit)
    notes = ["floating point" if limit == 1 else f"{8 * stored.dtype.itemsize} bits a channel"]

    if premultiplied and values.shape[2] == 4:
        opacity = values[:, :, 3:]
        # Rounding may leave a colour a step above its opacity.
        values[:, :, :3] = (values[:, :, :3] / np.maximum(opacity, 1 / limit)).clip(0.0, 1.0)
    if profile and values.shape[2] >= 3 and np.isfinite(values).all():
        levels = (values[:, :, :3].clip(0.0, 1.0) * 255.0).round().astype(np.uint8)
        converted, note = _to_srgb(Image.fromarray(levels), profile)
        if note:
            notes.append(note)
            values[:, :, :3] = np.asarray(converted, np.float32) / 255.0
    return upright(values, orientation, notes), notes


def _decode_shallow(path: Path, image: Image.Image) -> tuple[np.ndarray, list[str]]:
    """By Pillow: 8 bits a channel, and grey of any depth."""
    notes: list[str] = []
    turned = orientation_of(image)
    if image.format in ("GIF", "WEBP", "PNG", "AVIF") and getattr(image, "is_animated", False):
        notes.append("the first of several frames")
    image.load()
    remaining = orientation_of(image)  # 1 where loading turned the picture, as it does with TIFF
    if turned != remaining:
        notes.append(f"turned upright (EXIF orientation {turned})")

    if image.mode == "F":
        values = np.array(image, np.float32)[:, :, None]
    elif image.mode.startswith("I;16") or (image.mode == "I" and image.format == "PPM"):
        bits = image.tag_v2.get(BITS, (16,))[0] if isinstance(image, TiffImageFile) else 16
        values = np.asarray(image).astype(np.float32)[:, :, None] / np.float32(2**bits - 1)
        notes.append(f"{bits} bits a channel")
    elif image.mode == "I":
        raise _problem(
            path,
            "grey of 32-bit integers, whose white is unknown; expected 8 or 16 bits, convert it",
        )
    else:
        colour, alpha = _colour_and_alpha(image)
        profile = image.info.get("icc_profile") or _by_number(path, image)
        if profile:
            colour, note = _to_srgb(colour, profile)
            if note:
                notes.append(note)
        if colour.mode not in ("L", "RGB"):
            notes.append(f"{colour.mode} converted to RGB")
            colour = colour.convert("RGB")
        parts = [np.atleast_3d(np.asarray(part)) for part in (colour, alpha) if part is not None]
        values = np.concatenate(parts, axis=2).astype(np.float32)
        values /= 255.0
    return upright(values, remaining, notes), notes


def _by_number(path: Path, image: Image.Image) -> bytes:
    """A colour profile of what a file tells by numbers."""
    try:
        return profile_of(image.info.get("nclx_profile"))
    except ValueError as error:
        raise _problem(path, f"colour of {error}; expected sRGB, export it as JPEG") from error


def _colour_and_alpha(image: Image.Image) -> tuple[Image.Image, Image.Image | None]:
    """Straight colour in a mode that a colour profile may speak of, and opacity."""
    if image.has_transparency_data:
        straight = image.convert("RGBA")
        grey = image.mode in ("L", "LA", "La")
        return straight.convert("L" if grey else "RGB"), straight.getchannel("A")
    if image.mode in ("1", "L"):
        return image.convert("L"), None
    if image.mode in ("CMYK", "YCbCr"):
        return image, None
    return image.convert("RGB"), None


def _to_srgb(image: Image.Image, profile: bytes) -> tuple[Image.Image, str]:
    """The image in sRGB and what was done; an empty note where its profile is sRGB already."""
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        name = " ".join(ImageCms.getProfileDescription(source).split()) or "unnamed"
        transform = ImageCms.buildTransform(
            source,
            ImageCms.createProfile("sRGB"),
            image.mode,
            "RGB",
            renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
            flags=ImageCms.Flags.BLACKPOINTCOMPENSATION,
        )
        if image.mode == "RGB":
            # By effect: sRGB profiles go by many names, and conversion would cost 16-bit depth.
            levels = np.linspace(0, 255, 9).round().astype(np.uint8)
            probe = np.stack(np.meshgrid(levels, levels, levels), axis=-1).reshape(9, -1, 3)
            changed = np.asarray(ImageCms.applyTransform(Image.fromarray(probe), transform))
            if np.abs(changed.astype(int) - probe).max() <= 2:
                return image, ""
        converted = ImageCms.applyTransform(image, transform)
    except (ImageCms.PyCMSError, OSError, ValueError):
        return image, "a damaged or unfitting colour profile ignored"
    assert converted is not None  # None is for in-place conversion only
    return converted, f"colour profile {name!r} converted to sRGB"
