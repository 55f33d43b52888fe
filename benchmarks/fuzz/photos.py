"""Whole photos of every format, small, to be damaged."""

from __future__ import annotations

import io
from importlib import import_module
from typing import Any

import numpy as np
import tifffile
from PIL import Image, ImageCms

__all__ = ["photos"]

HEIGHT, WIDTH = 24, 32


def photos() -> dict[str, bytes]:
    """Files by a name with their ending."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    colours = np.stack([40 + 6 * x, 30 + 8 * y, 200 - 3 * x - 2 * y], axis=-1).astype(np.uint8)
    picture = Image.fromarray(colours)
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "a camera"
    opacity = Image.fromarray((8 * x + 2 * y).astype(np.uint8))
    see_through = picture.copy()
    see_through.putalpha(opacity)
    found: dict[str, bytes] = {}

    def save(name: str, image: Image.Image, kind: str, **options: Any) -> None:
        buffer = io.BytesIO()
        image.save(buffer, kind, **options)
        found[name] = buffer.getvalue()

    save("a.png", picture, "PNG", icc_profile=profile, exif=exif)
    save("grey.png", picture.convert("L"), "PNG")
    save("alpha.png", see_through, "PNG")
    save("palette.png", picture.quantize(20), "PNG", transparency=bytes([0] + [255] * 19))
    save("bits.png", picture.convert("1"), "PNG")
    save("deep.png", Image.fromarray(colours[..., 0].astype(np.uint16) * 257), "PNG")
    save("animated.png", picture, "PNG", save_all=True, append_images=[picture.rotate(90)])
    save("a.jpg", picture, "JPEG", quality=90, exif=exif, icc_profile=profile)
    save("progressive.jpg", picture, "JPEG", progressive=True)
    save("cmyk.jpg", picture.convert("CMYK"), "JPEG")
    save("grey.jpg", picture.convert("L"), "JPEG")
    save("several.jpg", picture, "MPO", save_all=True, append_images=[picture])
    save("a.webp", picture, "WEBP", exif=exif)
    save("lossless.webp", see_through, "WEBP", lossless=True)
    save("animated.webp", picture, "WEBP", save_all=True, append_images=[picture.rotate(90)])
    save("a.gif", picture, "GIF")
    save("animated.gif", picture, "GIF", save_all=True, append_images=[picture.rotate(90)])
    save("a.bmp", picture, "BMP")
    save("palette.bmp", picture.quantize(20), "BMP")
    save("a.avif", picture, "AVIF", exif=exif)
    save("alpha.avif", see_through, "AVIF")
    save("a.ppm", picture, "PPM")
    save("a.pgm", picture.convert("L"), "PPM")
    save("bits.pbm", picture.convert("1"), "PPM")
    for kind, module in (("HEIF", "pillow_heif"), ("JXL", "pillow_jxl")):
        try:
            opener = import_module(module)
        except ImportError:
            continue
        if kind == "HEIF":
            opener.register_heif_opener()
        save(f"a.{kind.lower()}", picture, kind)
        save(f"alpha.{kind.lower()}", see_through, kind)
    return found | _deep_pngs(colours) | _tiffs(colours, profile)


def _deep_pngs(colours: np.ndarray) -> dict[str, bytes]:
    import imagecodecs

    deep = colours.astype(np.uint16) * 257 + 3
    four = np.concatenate([deep, deep[..., :1]], axis=2)
    return {
        "deep_rgb.png": bytes(imagecodecs.png_encode(deep)),
        "deep_alpha.png": bytes(imagecodecs.png_encode(four)),
    }


def _tiffs(colours: np.ndarray, profile: bytes) -> dict[str, bytes]:
    deep = colours.astype(np.uint16) * 257 + 3
    share = (colours / 255.0).astype(np.float32)
    four = np.concatenate([colours, colours[..., :1]], axis=2)
    table = np.arange(768, dtype=np.uint16).reshape(3, 256) * 85
    kinds: dict[str, tuple[np.ndarray, dict[str, Any]]] = {
        "plain": (colours, {"iccprofile": profile}),
        "deep": (deep, {"iccprofile": profile}),
        "apart": (deep.transpose(2, 0, 1), {"planarconfig": "separate"}),
        "float": (share, {}),
        "double": (share.astype(np.float64), {}),
        "half": (share.astype(np.float16), {"compression": "zlib", "predictor": True}),
        "big": (deep, {"bigtiff": True}),
        "other_end": (deep, {"byteorder": ">"}),
        "lzw": (colours, {"compression": "lzw", "predictor": True}),
        "deflate": (deep, {"compression": "zlib", "rowsperstrip": 7}),
        "packbits": (colours, {"compression": "packbits"}),
        "zstandard": (colours, {"compression": "zstd"}),
        "lzma": (colours, {"compression": "lzma"}),
        "webp": (colours, {"compression": "webp"}),
        "jpeg": (colours, {"compression": "jpeg"}),
        "tiles": (deep, {"tile": (16, 16), "compression": "zlib"}),
        "jpeg_tiles": (colours, {"tile": (16, 16), "compression": "jpeg"}),
        "ten": (deep >> 6, {"bitspersample": 10}),
        "alpha": (four, {"extrasamples": ["assocalpha"]}),
        "cmyk": (four, {"photometric": "separated"}),
        "lab": (colours, {"photometric": "cielab"}),
        "ycbcr": (colours, {"photometric": "ycbcr", "subsampling": (1, 1)}),
        "palette": (colours[..., 0], {"photometric": "palette", "colormap": table}),
        "white": (colours[..., 0], {"photometric": "miniswhite"}),
        "bits": (colours[..., 0] >> 7, {"photometric": "minisblack", "bitspersample": 1}),
    }
    found = {}
    for name, (values, options) in kinds.items():
        buffer = io.BytesIO()
        tifffile.imwrite(buffer, values, **({"photometric": "rgb", "metadata": None} | options))
        found[f"{name}.tif"] = buffer.getvalue()
    return found
