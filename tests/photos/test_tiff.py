"""TIFF of every depth, layout and colour: read right, or refused in a line that names the kind."""

import io
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image, ImageCms
from skimage import color

from biofacenet.errors import PhotoError
from biofacenet.photos.reading import Photo, read_photo

HEIGHT, WIDTH = 24, 32
RNG = np.random.default_rng(0)
SHARES = RNG.uniform(size=(HEIGHT, WIDTH, 3))
"""What a picture should come out as, in sRGB."""
SIXTEEN = (SHARES * 65535).round().astype(np.uint16)
EIGHT = (SHARES * 255).round().astype(np.uint8)


def read(path: Path) -> np.ndarray:
    return read_photo(path).pixels.permute(1, 2, 0).numpy()


def refused(path: Path, *words: str) -> str:
    with pytest.raises(PhotoError) as error:
        read_photo(path)
    message = str(error.value)
    assert "\n" not in message
    assert all(word in message for word in (f"{path}: ", "expected", *words)), message
    return message


def check(path: Path, expected: np.ndarray, tolerance: float) -> Photo:
    photo = read_photo(path)
    found = photo.pixels.permute(1, 2, 0).numpy()
    assert found.shape == (HEIGHT, WIDTH, 3)
    np.testing.assert_allclose(
        found, np.broadcast_to(np.atleast_3d(expected), found.shape), atol=tolerance
    )
    return photo


# Depth and layout ----------------------------------------------------------------------------

GREY = SHARES[..., 0]
PLANES = {"planarconfig": "separate", "photometric": "rgb"}
FLOATS: dict[str, tuple[Any, dict[str, Any], float]] = {
    "16 bits, planes apart": (SIXTEEN.transpose(2, 0, 1), PLANES, 1e-5),
    "16 bits, planes apart, tiles": (SIXTEEN.transpose(2, 0, 1), PLANES | {"tile": (16, 16)}, 1e-5),
    "float, planes apart": (SHARES.astype("f4").transpose(2, 0, 1), PLANES, 1e-6),
    "float, planes apart, packed": (
        SHARES.astype("f4").transpose(2, 0, 1),
        PLANES | {"compression": "zlib", "predictor": True},
        1e-6,
    ),
    "8 bits, planes apart": (EIGHT.transpose(2, 0, 1), PLANES | {"compression": "lzw"}, 2e-3),
    "BigTIFF": (SIXTEEN, {"bigtiff": True}, 1e-5),
    "BigTIFF, big-endian": (SIXTEEN, {"bigtiff": True, "byteorder": ">"}, 1e-5),
    "big-endian": (SIXTEEN, {"byteorder": ">"}, 1e-5),
    "big-endian, planes apart": (SIXTEEN.transpose(2, 0, 1), PLANES | {"byteorder": ">"}, 1e-5),
    "float16": (SHARES.astype("f2"), {}, 1e-3),
    "float32": (SHARES.astype("f4"), {}, 1e-6),
    "float64": (SHARES, {}, 1e-6),
    "float16, grey": (GREY.astype("f2"), {}, 1e-3),
    "32 bits": ((SHARES * (2**32 - 1)).astype("u4"), {}, 1e-6),
    "32 bits, grey": ((GREY * (2**32 - 1)).astype("u4"), {}, 1e-6),
    "LZW, predictor": (SIXTEEN, {"compression": "lzw", "predictor": True}, 1e-5),
    "deflate, tiles": (SIXTEEN, {"compression": "zlib", "tile": (32, 16)}, 1e-5),
    "PackBits": (EIGHT, {"compression": "packbits"}, 2e-3),
    "LZMA": (SIXTEEN, {"compression": "lzma"}, 1e-5),
    "Zstandard": (SIXTEEN, {"compression": "zstd"}, 1e-5),
    "WebP": (EIGHT, {"compression": "webp", "compressionargs": {"lossless": True}}, 2e-3),
    "strips of 5 rows": (SIXTEEN, {"rowsperstrip": 5, "compression": "zlib"}, 1e-5),
    "grey, 16 bits": (SIXTEEN[..., 0], {}, 1e-5),
    "min is white": (65535 - SIXTEEN[..., 0], {"photometric": "miniswhite"}, 1e-5),
    "min is white, 8 bits": (255 - EIGHT[..., 0], {"photometric": "miniswhite"}, 2e-3),
}


@pytest.mark.parametrize("name", FLOATS)
def test_depth_and_layout(tmp_path: Path, name: str) -> None:
    values, options, tolerance = FLOATS[name]
    path = tmp_path / "a.tif"
    options.setdefault("photometric", "rgb" if values.ndim == 3 else "minisblack")
    tifffile.imwrite(path, values, **options)
    check(path, SHARES if values.ndim == 3 else GREY, tolerance)


@pytest.mark.parametrize("bits", [1, 2, 4, 6, 10, 12, 14])
@pytest.mark.parametrize("kind", ["rgb", "minisblack", "miniswhite"])
def test_odd_depths(tmp_path: Path, bits: int, kind: str) -> None:
    """Packed without gaps, rows beginning at a byte."""
    full = 2**bits - 1
    shares = SHARES if kind == "rgb" else GREY
    values = (shares * full).round().astype(np.uint16 if bits > 8 else np.uint8)
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, values, photometric=kind, bitspersample=bits)
    check(path, 1.0 - values / full if kind == "miniswhite" else values / full, 1e-6)


def test_bits_from_the_lowest(tmp_path: Path) -> None:
    """FillOrder 2: the first pixel is in the lowest bit."""
    values = RNG.integers(0, 2, (HEIGHT, WIDTH)).astype(np.uint8)
    path = tmp_path / "a.tif"
    # As a tag of its own, tifffile would not write it: one that it writes is given its number.
    tag = (65266, 3, 1, 2, True)
    tifffile.imwrite(
        path, values, photometric="minisblack", bitspersample=1, extratags=[tag], metadata=None
    )
    with tifffile.TiffFile(path) as file:
        page = file.pages.first
        at, count = page.dataoffsets[0], page.databytecounts[0]
        place = page.tags[65266].offset
    content = bytearray(path.read_bytes())
    packed = np.frombuffer(bytes(content[at : at + count]), np.uint8)
    content[at : at + count] = np.packbits(np.unpackbits(packed), bitorder="little").tobytes()
    struct.pack_into("<H", content, place, 266)
    path.write_bytes(content)
    check(path, values, 1e-6)


# Colour --------------------------------------------------------------------------------------


def test_palette(tmp_path: Path) -> None:
    table = RNG.integers(0, 65536, (3, 256)).astype(np.uint16)
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, EIGHT[..., 0], photometric="palette", colormap=table)
    check(path, table.T[EIGHT[..., 0]] / 65535, 1e-5)
    tifffile.imwrite(path, EIGHT[..., 0], photometric="palette", colormap=table >> 8)
    check(path, (table >> 8).T[EIGHT[..., 0]] / 255, 1e-5)


def test_palette_of_4_bits(tmp_path: Path) -> None:
    table = RNG.integers(0, 65536, (3, 16)).astype(np.uint16)
    values = EIGHT[..., 0] >> 4
    path = tmp_path / "a.tif"
    tag = (320, 3, 48, tuple(table.ravel().tolist()), True)
    tifffile.imwrite(path, values, photometric="minisblack", bitspersample=4, extratags=[tag])
    patched(path, 262, 3)
    check(path, table.T[values] / 65535, 1e-5)


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_cmyk(tmp_path: Path, kind: type) -> None:
    """Without a profile, inks take away light one after the other."""
    inks = RNG.uniform(size=(HEIGHT, WIDTH, 4))
    full = np.iinfo(kind).max
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, (inks * full).round().astype(kind), photometric="separated")
    photo = check(path, (1 - inks[..., :3]) * (1 - inks[..., 3:]), 0.012)
    assert any("CMYK" in note for note in photo.notes)


@pytest.mark.parametrize("bits", [8, 16])
def test_cielab(tmp_path: Path, bits: int) -> None:
    """Against scikit-image's conversion, of white D50."""
    lab = color.rgb2lab(SHARES, illuminant="D65")
    full, step = (255, 1) if bits == 8 else (65535, 256)
    stored = np.empty((HEIGHT, WIDTH, 3), np.uint8 if bits == 8 else np.uint16)
    stored[..., 0] = (lab[..., 0] * full / 100).round()
    signed = (lab[..., 1:] * step).round().astype(np.int8 if bits == 8 else np.int16)
    stored[..., 1:] = signed.view(stored.dtype)
    path = tmp_path / "a.tif"
    white = (318, 5, 2, (3127, 10000, 3290, 10000), True)
    tifffile.imwrite(path, stored, photometric="cielab", extratags=[white])
    if bits == 16:
        check(path, SHARES, 3e-3)
    else:  # whole steps of a and b
        assert np.abs(read(path) - SHARES).mean() < 0.01
    tifffile.imwrite(path, stored[:, :, :], photometric="cielab")
    grey = np.zeros((HEIGHT, WIDTH, 3), stored.dtype)
    grey[..., 0] = round(full / 2)
    tifffile.imwrite(path, grey, photometric="cielab")
    expected = color.lab2rgb(np.array([[[50.0, 0.0, 0.0]]]))[0, 0]
    check(path, np.broadcast_to(expected, SHARES.shape), 4e-3)


def test_icclab(tmp_path: Path) -> None:
    lab = np.array([60.0, 20.0, 25.0])
    stored = np.empty((HEIGHT, WIDTH, 3), np.uint8)
    stored[...] = (lab * [2.55, 1, 1] + [0, 128, 128]).round()
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, stored, photometric="icclab")
    # By LittleCMS, from its own Lab under D50.
    image = Image.frombytes("LAB", (1, 1), bytes([153, 20, 25]))
    rgb = ImageCms.profileToProfile(
        image, ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB"), outputMode="RGB"
    )
    assert rgb is not None
    check(path, np.broadcast_to(np.asarray(rgb)[0, 0] / 255, SHARES.shape), 6e-3)


@pytest.mark.parametrize("ranges", ["full", "television"])
def test_ycbcr(tmp_path: Path, ranges: str) -> None:
    """Of full resolution, with the coefficients of BT.601 or, told by tags, of BT.709 and its range."""
    red, blue = (0.299, 0.114) if ranges == "full" else (0.2126, 0.0722)
    y = SHARES @ [red, 1 - red - blue, blue]
    cb, cr = (SHARES[..., 2] - y) / (2 - 2 * blue), (SHARES[..., 0] - y) / (2 - 2 * red)
    tags: list[Any] = []
    if ranges == "full":
        codes = np.stack([255 * y, 128 + 254 * cb, 128 + 254 * cr], axis=-1)
    else:
        codes = np.stack([16 + 219 * y, 128 + 224 * cb, 128 + 224 * cr], axis=-1)
        tags.append((529, 5, 3, (2126, 10000, 7152, 10000, 722, 10000), True))
        tags.append((532, 5, 6, (16, 1, 235, 1, 128, 1, 240, 1, 128, 1, 240, 1), True))
    path = tmp_path / "a.tif"
    stored = codes.round().astype(np.uint8)
    tifffile.imwrite(path, stored, photometric="ycbcr", subsampling=(1, 1), extratags=tags)
    check(path, SHARES, 0.015)


def test_jpeg_within(tmp_path: Path) -> None:
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    smooth = np.stack([40 + 6 * x, 30 + 8 * y, 200 - 3 * x - 2 * y], axis=-1).astype(np.uint8)
    path = tmp_path / "a.tif"
    tifffile.imwrite(
        path, smooth, photometric="rgb", compression="jpeg", compressionargs={"level": 98}
    )
    check(path, smooth / 255, 0.04)
    Image.fromarray(smooth).save(path, compression="jpeg", quality=98)
    check(path, smooth / 255, 0.04)
    with tifffile.TiffFile(path) as file:
        assert file.pages.first.photometric == 2  # the first one's is 6


@pytest.mark.parametrize("extra", [0, 1, 2])
@pytest.mark.parametrize("layout", ["contig", "separate"])
def test_a_fourth_channel(tmp_path: Path, extra: int, layout: str) -> None:
    """Unspecified, opacity that colours are multiplied by, and opacity."""
    opacity = np.full((HEIGHT, WIDTH, 1), 0.5)
    opacity[:4] = 0.0
    stored = np.concatenate([SHARES * opacity if extra == 1 else SHARES, opacity], axis=2)
    stored = (stored * 65535).round().astype(np.uint16)
    if layout == "separate":
        stored = stored.transpose(2, 0, 1)
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, stored, photometric="rgb", planarconfig=layout, extrasamples=[extra])
    photo = read_photo(path)
    found = photo.pixels.permute(1, 2, 0).numpy()
    np.testing.assert_allclose(found[4:], SHARES[4:], atol=1e-4)
    if extra == 0:
        assert photo.alpha is None
        np.testing.assert_allclose(found[:4], SHARES[:4], atol=1e-4)
    else:
        assert photo.alpha is not None
        np.testing.assert_allclose(photo.alpha[0].numpy(), opacity[..., 0], atol=1e-4)
        assert (found[:4] == 1.0).all()


def test_a_profile_keeps_16_bits(tmp_path: Path) -> None:
    """A profile of linear light in the primaries of sRGB: the result is the curve of sRGB."""
    linear = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    for number in range(struct.unpack_from(">I", linear, 128)[0]):
        name, at, size = struct.unpack_from(">4sII", linear, 132 + 12 * number)
        if name in (b"rTRC", b"gTRC", b"bTRC"):
            linear[at : at + size] = b"curv" + bytes(size - 4)  # no entries: a straight line
    light = (SHARES * 0.02 * 65535).round().astype(np.uint16)  # darker than six steps of 8 bits
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, light, photometric="rgb", iccprofile=bytes(linear))
    share = light / 65535
    expected = np.where(share <= 0.0031308, 12.92 * share, 1.055 * share ** (1 / 2.4) - 0.055)
    photo = check(path, expected, 2e-3)
    assert any("profile" in note for note in photo.notes)
    tifffile.imwrite(path, share.astype("f4"), photometric="rgb", iccprofile=bytes(linear))
    check(path, expected, 2e-3)


@pytest.mark.parametrize("orientation", [3, 6])
def test_orientation_of_planes_apart(tmp_path: Path, orientation: int) -> None:
    stored = SIXTEEN[::-1, ::-1] if orientation == 3 else SIXTEEN[:, ::-1].swapaxes(0, 1)
    stored = SIXTEEN[::-1, ::-1] if orientation == 3 else np.rot90(SIXTEEN, 1)
    path = tmp_path / "a.tif"
    tag = [(274, 3, 1, orientation, True)]
    tifffile.imwrite(path, stored.transpose(2, 0, 1), **PLANES, extratags=tag)
    check(path, SHARES, 1e-5)


# Refused -------------------------------------------------------------------------------------


def patched(path: Path, tag: int, value: int) -> None:
    """One tag of one number of a file has another value."""
    with tifffile.TiffFile(path, mode="r+b") as file:
        file.pages.first.tags[tag].overwrite(value)


@pytest.mark.parametrize(
    ("tag", "value", "said"),
    [
        (262, 4, "mask"),
        (262, 10, "ITULab"),
        (262, 32803, "raw data"),
        (262, 34892, "raw data"),
        (262, 32845, "LogLuv"),
        (262, 77, "interpretation 77"),
        (262, 5, "its colour needs 4"),
        (259, 34712, "method 34712"),
        (259, 2, "method 2"),
        (259, 6, "method 6"),
    ],
)
def test_other_kinds_are_refused(tmp_path: Path, tag: int, value: int, said: str) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, SIXTEEN, photometric="rgb")
    patched(path, tag, value)
    refused(path, said)


def test_a_thumbnail_first_is_refused(tmp_path: Path) -> None:
    """As in camera raw files under another name."""
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, EIGHT, photometric="rgb", subfiletype=1)
    refused(path, "thumbnail")


def test_ycbcr_of_less_resolution_and_numbers_that_are_none(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, EIGHT, photometric="ycbcr", subsampling=(1, 1))
    with tifffile.TiffFile(path, mode="r+b") as file:
        file.pages.first.tags[530].overwrite((2, 2))
    refused(path, "reduced")
    tifffile.imwrite(path, GREY.astype(np.complex64))
    refused(path, "complex64")
    tifffile.imwrite(path, (GREY * 100).astype(np.uint64))
    refused(path, "uint64")
    tifffile.imwrite(path, (GREY * 100).astype(np.int16))
    refused(path, "int16")


def cut_out(change: Callable[[Any], None]) -> Callable[[Path], None]:
    def make(path: Path) -> None:
        tifffile.imwrite(path, SIXTEEN, photometric="rgb", rowsperstrip=8)
        with tifffile.TiffFile(path, mode="r+b") as file:
            change(file.pages.first)

    return make


@pytest.mark.parametrize(
    "compression", [None, "lzw", "zlib", "packbits", "zstd", "lzma", "jpeg", "webp"]
)
@pytest.mark.parametrize("fault", ["shorter", "elsewhere", "nothing"])
def test_parts_that_are_not_there(tmp_path: Path, compression: str | None, fault: str) -> None:
    """Never filled in with black."""
    path = tmp_path / "a.tif"
    noise = RNG.integers(0, 256, (64, 64, 3)).astype(np.uint8)
    tifffile.imwrite(path, noise, photometric="rgb", compression=compression, rowsperstrip=32)
    with tifffile.TiffFile(path, mode="r+b") as file:
        tags = file.pages.first.tags
        counts, offsets = list(tags[279].value), list(tags[273].value)
        if fault == "shorter":
            tags[279].overwrite((counts[0] // 2, counts[1]))
        elif fault == "elsewhere":
            tags[273].overwrite((offsets[0], 10**9))
        else:
            tags[273].overwrite((0, offsets[1]))
    refused(path, "damaged or cut short")


def test_a_tile_of_gigabytes_is_not_made(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, EIGHT, photometric="rgb", tile=(32, 32), compression="zlib")
    with tifffile.TiffFile(path, mode="r+b") as file:
        for tag in (322, 323):
            file.pages.first.tags[tag].overwrite(65520)
    refused(path, "tiles of 65520 x 65520")


def test_the_first_of_several_pages(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with tifffile.TiffWriter(buffer) as writer:
        writer.write(SIXTEEN, photometric="rgb")
        writer.write(SIXTEEN[::-1], photometric="rgb")
    path = tmp_path / "a.tif"
    path.write_bytes(buffer.getvalue())
    check(path, SHARES, 1e-5)
