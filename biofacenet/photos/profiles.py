"""ICC profiles: colours of a file made sRGB."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image, ImageCms

from .stored import Stored

__all__ = ["through", "to_srgb", "to_srgb_deep"]

IGNORED = "a damaged or unfitting colour profile ignored"

INTENT, FLAGS = ImageCms.Intent.RELATIVE_COLORIMETRIC, ImageCms.Flags.BLACKPOINTCOMPENSATION


def to_srgb(image: Image.Image, profile: bytes) -> tuple[Image.Image, str]:
    """The image in sRGB and what was done; an empty note where its profile is sRGB already.

    Args:
        image: 8 bits a channel; grey, RGB or CMYK.
        profile: of its colours.
    """
    try:
        name, transform = _transform(profile, image.mode)
        if image.mode == "RGB" and _changes_nothing(transform):
            return image, ""
        converted = ImageCms.applyTransform(image, transform)
    except (ImageCms.PyCMSError, OSError, ValueError):
        return image, IGNORED
    assert converted is not None  # None is for in-place conversion only
    return converted, _note(name)


def to_srgb_deep(values: np.ndarray, profile: bytes) -> tuple[np.ndarray, str]:
    """The same for uint16 values (H, W, 1 or 3), with all their bits; converted ones are (H, W, 3)."""
    import imagecodecs

    grey = values.shape[2] == 1
    try:
        name, transform = _transform(profile, "L" if grey else "RGB")
        if not grey and _changes_nothing(transform):
            return values, ""
        converted = imagecodecs.cms_transform(
            np.ascontiguousarray(values),
            profile,
            ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes(),
            colorspace="gray" if grey else "rgb",
            outcolorspace="rgb",
            outdtype="uint16",
            intent=int(INTENT),
            flags=int(FLAGS),
        )
    except (ImageCms.PyCMSError, imagecodecs.CmsError, OSError, ValueError):
        return values, IGNORED
    return np.asarray(converted), _note(name)


def through(stored: Stored, profile: bytes) -> None:
    """Through a profile: at 8 bits what has no more, all else at 16."""
    if stored.multiplied and stored.alpha is not None:
        opacity = np.maximum(stored.alpha[:, :, None].astype(np.float32), 1e-6)
        share = stored.values.astype(np.float32) / opacity
        stored.values, stored.multiplied = share, False
    elif stored.values.dtype == np.uint8 and stored.white == 255.0:
        grey = stored.values.shape[2] == 1
        image = Image.fromarray(
            np.ascontiguousarray(stored.values.squeeze(2) if grey else stored.values)
        )
        converted, note = to_srgb(image, profile)
        if note:
            stored.notes.append(note)
            stored.values = np.atleast_3d(np.asarray(converted))
        return
    else:
        share = stored.values.astype(np.float32) / np.float32(stored.white)
    if not np.isfinite(share).all():
        return  # which is refused
    levels = (share.clip(0.0, 1.0) * 65535.0).round().astype(np.uint16)
    deep, note = to_srgb_deep(levels, profile)
    if note:
        stored.notes.append(note)
    if note and note != IGNORED:
        stored.values, stored.white = deep, 65535.0
    elif share is stored.values:
        stored.white = 1.0


def _note(name: str) -> str:
    return f"colour profile {name!r} converted to sRGB"


def _transform(profile: bytes, mode: str) -> tuple[str, ImageCms.ImageCmsTransform]:
    """The profile's name, and the transform of 8-bit images."""
    source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
    name = " ".join(ImageCms.getProfileDescription(source).split()) or "unnamed"
    transform = ImageCms.buildTransform(
        source,
        ImageCms.createProfile("sRGB"),
        mode,
        "RGB",
        renderingIntent=INTENT,
        flags=FLAGS,
    )
    return name, transform


def _changes_nothing(transform: ImageCms.ImageCmsTransform) -> bool:
    """By effect: sRGB profiles go by many names, and conversion would cost the last bit."""
    levels = np.linspace(0, 255, 9).round().astype(np.uint8)
    probe = np.stack(np.meshgrid(levels, levels, levels), axis=-1).reshape(9, -1, 3)
    changed = np.asarray(ImageCms.applyTransform(Image.fromarray(probe), transform))
    return bool(np.abs(changed.astype(int) - probe).max() <= 2)
