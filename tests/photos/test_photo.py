"""Photos of every kind are read right or refused in one line; faces are found; crops are linear."""

from __future__ import annotations

import io
import os
import struct
import time
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from PIL import Image, ImageCms
from skimage import data

from biofacenet.errors import PhotoError
from biofacenet.photos.boxes import Box, crop
from biofacenet.photos.faces import find_face
from biofacenet.photos.reading import Photo, read_photo

HEIGHT, WIDTH = 24, 32


@pytest.fixture(scope="module")
def colours() -> np.ndarray:
    """A picture without symmetry, 8 bits, smooth enough for JPEG."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    return np.stack([40 + 6 * x, 30 + 8 * y, 200 - 3 * x - 2 * y], axis=-1).astype(np.uint8)


@pytest.fixture(scope="module")
def deep() -> np.ndarray:
    """RGB of 16 bits, each value different in its low byte."""
    return (
        (np.arange(HEIGHT * WIDTH * 3, dtype=np.uint32) * 28 + 5)
        .astype(np.uint16)
        .reshape(HEIGHT, WIDTH, 3)
    )


def tiff(values: np.ndarray, **tags: int) -> bytes:
    """An uncompressed TIFF whose directory comes before its pixels, as Pillow cannot write it."""
    channels = 1 if values.ndim == 2 else values.shape[2]
    pixels = values.astype(values.dtype.newbyteorder("<")).tobytes()
    entries = {
        256: values.shape[1],
        257: values.shape[0],
        258: 8 * values.dtype.itemsize,
        259: 1,
        262: 2 if channels >= 3 else 1,
        273: 0,
        274: tags.get("orientation", 1),
        277: channels,
        278: values.shape[0],
        279: len(pixels),
        339: 3 if values.dtype.kind == "f" else 1,
    }
    if channels == 4:
        entries[338] = tags.get("extra", 2)
    entries = dict(sorted(entries.items()))
    end = 8 + 2 + 12 * len(entries) + 4
    entries[273] = end + 4 * channels
    directory = struct.pack("<H", len(entries))
    for tag, value in entries.items():
        if tag in (258, 339) and channels > 2:
            directory += struct.pack(
                "<HHII", tag, 3, channels, end if tag == 258 else end + 2 * channels
            )
        else:
            directory += struct.pack("<HHII", tag, 4, 1, value)
    lists = struct.pack(f"<{2 * channels}H", *[entries[258]] * channels, *[entries[339]] * channels)
    return b"II*\0" + struct.pack("<I", 8) + directory + struct.pack("<I", 0) + lists + pixels


def png_header(width: int, height: int) -> bytes:
    """A PNG that promises pixels and holds none."""
    chunk = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    length = struct.pack(">I", 13)
    data = struct.pack(">I", 0) + b"IDAT" + struct.pack(">I", zlib.crc32(b"IDAT"))
    return b"\x89PNG\r\n\x1a\n" + length + chunk + struct.pack(">I", zlib.crc32(chunk)) + data


def saved(path: Path, picture: np.ndarray | Image.Image, **options: object) -> Path:
    if isinstance(picture, np.ndarray):
        picture = Image.fromarray(picture)
    picture.save(path, **options)
    return path


def levels(photo: Photo) -> np.ndarray:
    """Pixels on the 0..255 scale, (H, W, 3)."""
    return 255.0 * photo.pixels.permute(1, 2, 0).numpy()


def check(photo: Photo, height: int = HEIGHT, width: int = WIDTH) -> None:
    assert photo.pixels.shape == (3, height, width)
    assert photo.pixels.dtype == torch.float32
    assert photo.pixels.is_contiguous()
    assert 0.0 <= float(photo.pixels.min()) <= float(photo.pixels.max()) <= 1.0
    assert photo.alpha is None or photo.alpha.shape == (1, height, width)


def refused(path: Path, *words: str, **options: int) -> str:
    """The message of a photo that is not read: one line that names it and the words."""
    with pytest.raises(PhotoError) as error:  # and no warning: pytest turns those into errors
        read_photo(path, **options)
    message = str(error.value)
    assert "\n" not in message
    assert message.startswith(f"{path}: ")
    for word in (*words, "expected"):
        assert word in message
    return message


# Formats -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ending", "options", "tolerance"),
    [
        ("png", {}, 0),
        ("bmp", {}, 0),
        ("tif", {}, 0),
        ("tif", {"compression": "tiff_lzw"}, 0),
        ("ppm", {}, 0),
        ("webp", {"lossless": True}, 0),
        ("webp", {"quality": 95}, 12),
        ("avif", {"quality": 95}, 12),
        ("jpg", {"quality": 95}, 12),
    ],
)
def test_common_formats(tmp_path, colours, ending, options, tolerance):
    photo = read_photo(saved(tmp_path / f"photo.{ending}", colours, **options))
    check(photo)
    np.testing.assert_allclose(levels(photo), colours, atol=tolerance + 1e-3)
    assert photo.alpha is None
    assert photo.notes == ()


def test_the_ending_does_not_matter(tmp_path, colours):
    path = saved(tmp_path / "photo.png", colours)
    np.testing.assert_allclose(
        levels(read_photo(path.rename(tmp_path / "a.jpg"))), colours, atol=1e-3
    )


def test_grey(tmp_path, colours):
    photo = read_photo(saved(tmp_path / "grey.png", colours[..., 0]))
    check(photo)
    np.testing.assert_allclose(levels(photo), colours[..., :1].repeat(3, axis=2), atol=1e-3)


def test_bilevel(tmp_path):
    picture = Image.new("1", (WIDTH, HEIGHT), 1)
    picture.putpixel((3, 2), 0)
    photo = read_photo(saved(tmp_path / "bilevel.png", picture))
    assert float(photo.pixels[0, 2, 3]) == 0.0
    assert float(photo.pixels.sum()) == 3 * (WIDTH * HEIGHT - 1)


@pytest.mark.parametrize("ending", ["png", "tif"])
def test_16_bit_grey_keeps_its_depth(tmp_path, deep, ending):
    photo = read_photo(saved(tmp_path / f"grey.{ending}", deep[..., 0]))
    check(photo)
    np.testing.assert_allclose(photo.pixels[1].numpy(), deep[..., 0] / 65535, atol=1e-6)


def test_16_bit_rgb_png_keeps_its_depth(tmp_path, deep):
    path = tmp_path / "deep.png"
    cv2.imwrite(str(path), deep[..., ::-1])
    photo = read_photo(path)
    check(photo)
    np.testing.assert_allclose(photo.pixels.permute(1, 2, 0).numpy(), deep / 65535, atol=1e-6)
    assert len(torch.unique(photo.pixels)) > 2000


def test_16_bit_rgba_png(tmp_path, deep):
    opacity = np.full((HEIGHT, WIDTH, 1), 30000, np.uint16)
    path = tmp_path / "deep.png"
    cv2.imwrite(str(path), np.concatenate([deep[..., ::-1], opacity], axis=2))
    photo = read_photo(path)
    check(photo)
    np.testing.assert_allclose(photo.pixels.permute(1, 2, 0).numpy(), deep / 65535, atol=1e-6)
    np.testing.assert_allclose(photo.alpha.numpy(), 30000 / 65535, atol=1e-6)


def test_16_bit_rgb_tiff_keeps_its_depth(tmp_path, deep):
    path = tmp_path / "deep.tif"
    path.write_bytes(tiff(deep))
    photo = read_photo(path)
    check(photo)
    np.testing.assert_allclose(photo.pixels.permute(1, 2, 0).numpy(), deep / 65535, atol=1e-6)


def test_premultiplied_16_bit_tiff_is_straightened(tmp_path, deep):
    opacity = np.full((HEIGHT, WIDTH, 1), 0.5)
    stored = np.concatenate([deep * opacity, 65535 * opacity], axis=2).round().astype(np.uint16)
    path = tmp_path / "deep.tif"
    path.write_bytes(tiff(stored, extra=1))
    photo = read_photo(path)
    np.testing.assert_allclose(photo.pixels.permute(1, 2, 0).numpy(), deep / 65535, atol=1e-4)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", [(HEIGHT, WIDTH, 3), (HEIGHT, WIDTH)])
def test_float_tiff_is_clipped(tmp_path, dtype, shape):
    values = np.linspace(-0.5, 1.5, int(np.prod(shape))).reshape(shape).astype(dtype)
    path = tmp_path / "float.tif"
    path.write_bytes(tiff(values))
    photo = read_photo(path)
    check(photo)
    expected = np.atleast_3d(values.clip(0, 1)) + np.zeros(3)
    np.testing.assert_allclose(photo.pixels.permute(1, 2, 0).numpy(), expected, atol=1e-6)
    assert any("clipped" in note for note in photo.notes)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("shape", [(HEIGHT, WIDTH, 3), (HEIGHT, WIDTH)])
def test_nan_in_a_float_tiff(tmp_path, bad, shape):
    values = np.full(shape, 0.5, np.float32)
    values[3, 4] = bad
    path = tmp_path / "float.tif"
    path.write_bytes(tiff(values))
    refused(path, "NaN")


def test_cmyk_jpeg(tmp_path, colours):
    picture = Image.fromarray(colours).convert("CMYK")
    photo = read_photo(saved(tmp_path / "cmyk.jpg", picture, quality=95))
    check(photo)
    np.testing.assert_allclose(levels(photo), colours, atol=25)
    assert any("CMYK" in note for note in photo.notes)


def test_palette(tmp_path, colours):
    picture = Image.fromarray(colours).quantize(200)
    photo = read_photo(saved(tmp_path / "palette.png", picture))
    check(photo)
    np.testing.assert_allclose(levels(photo), np.asarray(picture.convert("RGB")), atol=1e-3)


def test_animated_gif_gives_its_first_frame(tmp_path):
    frames = [Image.new("RGB", (WIDTH, HEIGHT), colour) for colour in ("red", "blue", "green")]
    path = tmp_path / "animation.gif"
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=100)
    photo = read_photo(path)
    check(photo)
    np.testing.assert_allclose(levels(photo), np.full((HEIGHT, WIDTH, 3), [255, 0, 0]), atol=2)
    assert any("frames" in note for note in photo.notes)


# Transparency --------------------------------------------------------------------------------


@pytest.mark.parametrize("ending", ["png", "webp", "tif"])
def test_transparent_pixels_do_not_become_black(tmp_path, colours, ending):
    opacity = np.full((HEIGHT, WIDTH, 1), 255, np.uint8)
    opacity[:5] = 0
    opacity[5:8] = 128
    stored = np.concatenate([np.where(opacity > 0, colours, 0), opacity], axis=2)
    options = {"lossless": True} if ending == "webp" else {}
    photo = read_photo(saved(tmp_path / f"cut_out.{ending}", stored, **options))
    check(photo)
    np.testing.assert_allclose(photo.alpha[0].numpy(), opacity[..., 0] / 255, atol=1e-6)
    assert bool((photo.pixels[:, :5] == 1.0).all())
    np.testing.assert_allclose(levels(photo)[5:], colours[5:], atol=1e-3)


def test_opaque_alpha_is_dropped(tmp_path, colours):
    stored = np.concatenate([colours, np.full((HEIGHT, WIDTH, 1), 255, np.uint8)], axis=2)
    assert read_photo(saved(tmp_path / "opaque.png", stored)).alpha is None


def test_grey_with_alpha_and_transparent_palette(tmp_path, colours):
    grey = np.stack([colours[..., 0], colours[..., 1]], axis=-1)
    photo = read_photo(saved(tmp_path / "grey.png", Image.fromarray(grey, mode=None)))
    check(photo)
    np.testing.assert_allclose(levels(photo), grey[..., :1].repeat(3, axis=2), atol=1e-3)
    assert photo.alpha is not None

    palette = Image.fromarray(colours).quantize(50)
    path = saved(tmp_path / "palette.png", palette, transparency=bytes([0] + [255] * 49))
    photo = read_photo(path)
    gone = np.asarray(palette) == 0
    assert gone.any()
    np.testing.assert_array_equal(photo.alpha[0].numpy() == 0, gone)


# Orientation ---------------------------------------------------------------------------------


def stored_as(upright: np.ndarray, orientation: int) -> np.ndarray:
    """The rows that a camera writes with an EXIF orientation, by the standard's definition.

    Each orientation names the visual sides of the stored 0th row and 0th column.
    """
    sides = {
        1: ("top", "left"),
        2: ("top", "right"),
        3: ("bottom", "right"),
        4: ("bottom", "left"),
        5: ("left", "top"),
        6: ("right", "top"),
        7: ("right", "bottom"),
        8: ("left", "bottom"),
    }[orientation]
    picture = upright
    if {"bottom"} & set(sides):
        picture = picture[::-1]
    if {"right"} & set(sides):
        picture = picture[:, ::-1]
    if sides[0] in ("left", "right"):
        picture = picture.swapaxes(0, 1)
    return np.ascontiguousarray(picture)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("ending", ["jpg", "png", "tif", "webp"])
def test_exif_orientation(tmp_path, colours, orientation, ending):
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"jpg": {"quality": 95}, "webp": {"lossless": True}}.get(ending, {})
    path = saved(
        tmp_path / f"turned.{ending}", stored_as(colours, orientation), exif=exif, **options
    )
    photo = read_photo(path)
    check(photo)
    np.testing.assert_allclose(levels(photo), colours, atol=12 if ending == "jpg" else 1e-3)
    assert bool(photo.notes) == (orientation != 1)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_of_deep_files(tmp_path, deep, orientation):
    stored = stored_as(deep, orientation)
    path = tmp_path / "turned.tif"
    path.write_bytes(tiff(stored, orientation=orientation))
    np.testing.assert_allclose(
        read_photo(path).pixels.permute(1, 2, 0).numpy(), deep / 65535, atol=1e-6
    )

    path = tmp_path / "turned.png"
    cv2.imwrite(str(path), stored[..., ::-1])
    exif = Image.Exif()
    exif[0x0112] = orientation
    body = b"eXIf" + exif.tobytes().removeprefix(b"Exif\0\0")
    chunk = struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))
    whole = path.read_bytes()
    path.write_bytes(whole[:33] + chunk + whole[33:])  # after the signature and IHDR
    np.testing.assert_allclose(
        read_photo(path).pixels.permute(1, 2, 0).numpy(), deep / 65535, atol=1e-6
    )


# Colour profiles -----------------------------------------------------------------------------


def matrix_profile(primaries: tuple[tuple[float, float, float], ...], gamma: float) -> bytes:
    """An ICC display profile of given D50 colorants (rows R, G, B) and one gamma."""

    def fixed(value: float) -> bytes:
        return struct.pack(">i", round(value * 65536))

    def xyz(values: tuple[float, float, float]) -> bytes:
        return b"XYZ \0\0\0\0" + b"".join(map(fixed, values))

    description = b"wide gamut"
    contents = {
        b"desc": b"desc\0\0\0\0"
        + struct.pack(">I", len(description) + 1)
        + description
        + bytes(79),
        b"wtpt": xyz((0.9642, 1.0, 0.8249)),
        b"rXYZ": xyz(primaries[0]),
        b"gXYZ": xyz(primaries[1]),
        b"bXYZ": xyz(primaries[2]),
        b"rTRC": b"curv\0\0\0\0" + struct.pack(">IH", 1, round(gamma * 256)) + b"\0\0",
    }
    contents[b"gTRC"] = contents[b"bTRC"] = contents[b"rTRC"]
    table, body = struct.pack(">I", len(contents)), b""
    offset = 128 + 4 + 12 * len(contents)
    for tag, content in contents.items():
        content += bytes(-len(content) % 4)
        table += tag + struct.pack(">II", offset + len(body), len(content))
        body += content
    header = (
        struct.pack(">I4sI", 0, b"\0\0\0\0", 0x02400000) + b"mntrRGB XYZ " + bytes(12) + b"acsp"
    )
    header = header.ljust(68, b"\0") + b"".join(map(fixed, (0.9642, 1.0, 0.8249)))
    profile = header.ljust(128, b"\0") + table + body
    return struct.pack(">I", len(profile)) + profile[4:]


# Colorants adapted to D50: Display P3 (Apple) and Adobe RGB (1998).
DISPLAY_P3 = (
    (0.51512, 0.24120, -0.00105),
    (0.29198, 0.69225, 0.04189),
    (0.15710, 0.06657, 0.78407),
)
ADOBE_RGB = ((0.60974, 0.31111, 0.01947), (0.20528, 0.62567, 0.06087), (0.14919, 0.06322, 0.74457))
SRGB_TO_D50 = np.array(
    [[0.43607, 0.38515, 0.14307], [0.22249, 0.71687, 0.06061], [0.01392, 0.09708, 0.71410]]
)


def expected_srgb(encoded: np.ndarray, primaries: tuple, gamma: float) -> np.ndarray:
    """By the definition of the two colour spaces, on the 0..255 scale."""
    linear = np.linalg.solve(SRGB_TO_D50, np.array(primaries).T @ encoded**gamma).clip(0, 1)
    return 255 * np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)


@pytest.mark.parametrize(("primaries", "gamma"), [(DISPLAY_P3, 2.2), (ADOBE_RGB, 2.2)])
@pytest.mark.parametrize("ending", ["jpg", "png"])
def test_colour_profile_is_converted_to_srgb(tmp_path, primaries, gamma, ending):
    skin = np.array([200, 150, 120], np.uint8)
    path = saved(
        tmp_path / f"wide.{ending}",
        np.broadcast_to(skin, (HEIGHT, WIDTH, 3)).copy(),
        icc_profile=matrix_profile(primaries, gamma),
        **({"quality": 100, "subsampling": 0} if ending == "jpg" else {}),
    )
    photo = read_photo(path)
    expected = expected_srgb(skin / 255, primaries, gamma)
    assert abs(expected - skin).max() > 8  # so the test can tell
    np.testing.assert_allclose(levels(photo)[5, 5], expected, atol=2.5)
    assert any("wide gamut" in note for note in photo.notes)


def test_colour_profile_with_16_bits_and_with_alpha(tmp_path, deep):
    profile = matrix_profile(DISPLAY_P3, 2.2)
    stored = np.zeros((HEIGHT, WIDTH, 4), np.uint8) + np.array([200, 150, 120, 90], np.uint8)
    expected = expected_srgb(stored[0, 0, :3] / 255, DISPLAY_P3, 2.2)
    photo = read_photo(saved(tmp_path / "alpha.png", stored, icc_profile=profile))
    np.testing.assert_allclose(levels(photo)[5, 5], expected, atol=2.5)
    np.testing.assert_allclose(photo.alpha.numpy(), 90 / 255, atol=1e-6)

    path = tmp_path / "deep.png"
    cv2.imwrite(str(path), stored[..., 2::-1].astype(np.uint16) * 257)
    body = b"iCCPwide\0\0" + zlib.compress(profile)
    chunk = struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))
    whole = path.read_bytes()
    path.write_bytes(whole[:33] + chunk + whole[33:])
    np.testing.assert_allclose(levels(read_photo(path))[5, 5], expected, atol=2.5)


def test_srgb_profile_changes_nothing(tmp_path, colours):
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    photo = read_photo(saved(tmp_path / "srgb.png", colours, icc_profile=profile))
    np.testing.assert_allclose(levels(photo), colours, atol=1e-3)
    assert photo.notes == ()


@pytest.mark.parametrize("profile", [b"not a profile at all", b""])
def test_a_damaged_colour_profile_is_ignored(tmp_path, colours, profile):
    photo = read_photo(saved(tmp_path / "photo.png", colours, icc_profile=profile))
    np.testing.assert_allclose(levels(photo), colours, atol=1e-3)


# Refusals ------------------------------------------------------------------------------------


def test_missing(tmp_path):
    refused(tmp_path / "nothing.jpg", "no such file")


def test_directory(tmp_path):
    refused(tmp_path, "folder")


def test_empty(tmp_path):
    path = tmp_path / "empty.jpg"
    path.touch()
    refused(path, "empty")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_a_pipe_is_not_waited_for(tmp_path):
    path = tmp_path / "pipe.jpg"
    os.mkfifo(path)
    refused(path, "regular file")


@pytest.mark.parametrize(
    "content", [b"Dear reader,\nthis is no photo.\n", b"\0" * 500, b"%!PS-Adobe-3.0 EPSF-3.0\n"]
)
def test_text_named_as_a_photo(tmp_path, content):
    path = tmp_path / "letter.jpg"
    path.write_bytes(content)
    refused(path, "known format", "JPEG")


def test_multispectral_tiff(tmp_path, caplog):
    path = tmp_path / "bands.tif"
    path.write_bytes(tiff(np.zeros((HEIGHT, WIDTH, 33), np.uint8)))
    refused(path, "33 channels")
    assert caplog.text == ""


def test_raw_and_heic_say_what_to_do(tmp_path):
    raw, heic = tmp_path / "photo.NEF", tmp_path / "photo.heic"
    raw.write_bytes(tiff(np.zeros((HEIGHT, WIDTH, 3), np.uint8)))
    heic.write_bytes(b"\0\0\0\x18ftypheic" + bytes(200))
    refused(raw, "raw")
    refused(heic, "convert it to JPEG")


@pytest.mark.parametrize("share", [0.02, 0.2, 0.5, 0.9])
@pytest.mark.parametrize("ending", ["jpg", "png", "bmp", "tif", "gif", "webp", "avif"])
def test_truncated(tmp_path, ending, share):
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    path = saved(tmp_path / f"photo.{ending}", noise)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    refused(path)


@pytest.mark.parametrize("share", [0.02, 0.2, 0.5, 0.9])
@pytest.mark.parametrize("ending", ["png", "tif"])
def test_truncated_deep_files(tmp_path, deep, ending, share, capfd):
    path = tmp_path / f"deep.{ending}"
    if ending == "png":
        cv2.imwrite(str(path), deep)
    else:
        path.write_bytes(tiff(deep))
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    refused(path)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(("width", "height"), [(1, 1), (15, 100), (20000, 4)])
def test_too_small(tmp_path, width, height):
    path = saved(tmp_path / "small.png", Image.new("RGB", (width, height)))
    refused(path, f"{width} x {height}", "16 x 16")


@pytest.mark.parametrize(("width", "height"), [(12000, 10000), (60000, 60000)])
def test_decompression_bomb_is_refused_by_its_header(tmp_path, width, height):
    path = tmp_path / "bomb.png"
    path.write_bytes(png_header(width, height))
    started = time.perf_counter()
    refused(path, "enormous")
    assert time.perf_counter() - started < 1.0


def test_limit_of_pixels(tmp_path, colours, deep):
    path = saved(tmp_path / "photo.png", colours)
    read_photo(path, max_pixels=HEIGHT * WIDTH)
    refused(path, "enormous", f"{WIDTH} x {HEIGHT}", max_pixels=HEIGHT * WIDTH - 1)
    path = tmp_path / "deep.tif"
    path.write_bytes(tiff(deep))
    refused(path, "enormous", max_pixels=HEIGHT * WIDTH - 1)


# Faces and crops -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def astronaut() -> torch.Tensor:
    return torch.from_numpy(data.astronaut()).permute(2, 0, 1).float() / 255


def test_the_face_is_found_and_framed(astronaut):
    box = find_face(astronaut)
    assert box is not None
    # Seen in the picture: eyes at y = 101, between x = 203 and 248; chin at y = 178.
    assert (101 - box.top) / box.size == pytest.approx(0.40, abs=0.03)
    assert (225 - box.left) / box.size == pytest.approx(0.50, abs=0.04)
    assert (178 - box.top) / box.size == pytest.approx(0.84, abs=0.05)


def test_the_face_is_found_at_any_scale_and_soon(astronaut):
    small = find_face(astronaut)
    large = torch.nn.functional.interpolate(astronaut[None], size=(4000, 4000), mode="bilinear")[0]
    find_face(astronaut)  # the detector is loaded by now
    started = time.perf_counter()
    box = find_face(large)
    assert time.perf_counter() - started < 3.0  # 0.6 s on an idle machine
    scale = 4000 / 512
    assert box.size == pytest.approx(small.size * scale, rel=0.1)
    assert box.left == pytest.approx(small.left * scale, abs=80)
    assert box.top == pytest.approx(small.top * scale, abs=80)


def test_no_face_in_noise_or_flat_grey():
    generator = torch.Generator().manual_seed(0)
    assert find_face(torch.rand(3, 200, 300, generator=generator)) is None
    assert find_face(torch.full((3, 16, 900), 0.5)) is None


@pytest.mark.parametrize("size", [16, 24, 48])
def test_crop_averages_in_linear_light(size):
    y, x = torch.meshgrid(torch.arange(96), torch.arange(96), indexing="ij")
    board = ((x + y) % 2).float().expand(3, -1, -1)
    shrunk = crop(board, Box(0, 0, 96), size)
    assert shrunk.shape == (3, size, size)
    torch.testing.assert_close(shrunk, torch.full_like(shrunk, 0.7354), atol=1e-3, rtol=0)


def test_crop_of_the_same_size_copies_and_repeats_the_border():
    generator = torch.Generator().manual_seed(1)
    pixels = torch.rand(3, 40, 50, generator=generator)
    torch.testing.assert_close(crop(pixels, Box(7, 5, 16), 16), pixels[:, 5:21, 7:23])
    outside = crop(pixels, Box(-8, 30, 20), 20)
    torch.testing.assert_close(outside[:, :10, 8:], pixels[:, 30:, :12])
    torch.testing.assert_close(outside[:, :10, :8], pixels[:, 30:, :1].expand(-1, -1, 8))
    torch.testing.assert_close(outside[:, 10:, 8:], pixels[:, -1:, :12].expand(-1, 10, -1))


def test_crop_enlarges_without_overshoot():
    pixels = torch.zeros(3, 16, 16)
    pixels[:, :, 8:] = 0.8
    enlarged = crop(pixels, Box(0, 0, 16), 128)
    assert float(enlarged.max()) == pytest.approx(0.8, abs=1e-4)
    assert bool((enlarged.diff(dim=2) >= -1e-6).all())


def test_central_box():
    assert Box.central(100, 60) == Box(0, 20, 60)
    assert Box.central(40, 100) == Box(30, 0, 40)


def test_reading_from_a_text_path(tmp_path, colours):
    path = saved(tmp_path / "photo.png", colours)
    assert read_photo(str(path)).path == path


def test_multi_picture_jpeg(tmp_path, colours):
    buffer = io.BytesIO()
    picture = Image.fromarray(colours)
    picture.save(buffer, "MPO", save_all=True, append_images=[picture.rotate(180)], quality=95)
    path = tmp_path / "phone.jpg"
    path.write_bytes(buffer.getvalue())
    np.testing.assert_allclose(levels(read_photo(path)), colours, atol=12)
