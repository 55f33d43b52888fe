"""Colour told by number becomes sRGB: in AVIF, HEIC, PNG, and in EXIF without a profile."""

import io
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import ExifTags, Image, ImageCms

from biofacenet.errors import PhotoError
from biofacenet.photos import kinds
from biofacenet.photos.iso_boxes import numbers_of
from biofacenet.photos.numbered_colour import by_numbers, to_srgb
from biofacenet.photos.reading import Photo, read_photo

SIDE = 24
SKIN = (200, 120, 90)

# Matrices to XYZ under D65 as their standards print them: IEC 61966-2-1, SMPTE EG 432-1, BT.2020, and
# of Adobe RGB (1998), BT.470 BG and SMPTE 170M as Bruce Lindbloom's page has them.
SRGB = np.array(
    [
        [0.4124564, 0.3575761, 0.1804375],
        [0.2126729, 0.7151522, 0.0721750],
        [0.0193339, 0.1191920, 0.9503041],
    ]
)
MATRICES = {
    1: SRGB,
    5: [
        [0.4306190, 0.3415419, 0.1783091],
        [0.2220379, 0.7066384, 0.0713236],
        [0.0201853, 0.1295504, 0.9390944],
    ],
    6: [
        [0.3935891, 0.3652497, 0.1916313],
        [0.2124132, 0.7010437, 0.0865432],
        [0.0187423, 0.1119313, 0.9581563],
    ],
    9: [
        [0.6369580, 0.1446169, 0.1688810],
        [0.2627002, 0.6779981, 0.0593017],
        [0, 0.0280727, 1.0609851],
    ],
    12: [
        [0.4865709, 0.2656677, 0.1982173],
        [0.2289746, 0.6917385, 0.0792869],
        [0, 0.0451134, 1.0439444],
    ],
}
ADOBE = [
    [0.5767309, 0.1855540, 0.1881852],
    [0.2973769, 0.6273491, 0.0752741],
    [0.0270343, 0.0706872, 0.9911085],
]


def srgb_of(linear: np.ndarray, matrix: Any) -> np.ndarray:
    """Levels of sRGB from linear light of other primaries."""
    light = (np.linalg.inv(SRGB) @ np.asarray(matrix) @ linear).clip(0.0, 1.0)
    return 255.0 * np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)


def of_srgb(level: Any) -> np.ndarray:
    value = np.asarray(level, float) / 255.0
    return np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)


def pq(nits: float) -> float:
    """The signal of a light, by the formula of SMPTE ST 2084 in its rational constants."""
    m1, m2 = 2610 / 16384, 2523 / 4096 * 128
    c1, c2, c3 = 3424 / 4096, 2413 / 4096 * 32, 2392 / 4096 * 32
    y = (nits / 10000) ** m1
    return float(((c1 + c2 * y) / (1 + c3 * y)) ** m2)


def converted(value: Any, primaries: int, transfer: int) -> np.ndarray:
    colour = by_numbers(primaries, transfer)
    assert colour is not None
    values = torch.tensor(np.asarray(value, np.float32))[:, None, None]
    return 255.0 * to_srgb(values, colour)[:, 0, 0].numpy()


@pytest.mark.parametrize("primaries", [5, 6, 9, 12])
@pytest.mark.parametrize("level", [SKIN, (128, 128, 128), (90, 60, 50), (7, 3, 2)])
def test_other_primaries(primaries: int, level: tuple[int, int, int]) -> None:
    expected = srgb_of(of_srgb(level), MATRICES[primaries])
    found = converted(np.array(level) / 255, primaries, 13)
    np.testing.assert_allclose(found, expected, atol=0.3)


@pytest.mark.parametrize(("transfer", "gamma"), [(4, 2.2), (5, 2.8), (8, 1.0)])
def test_other_gammas(transfer: int, gamma: float) -> None:
    value = np.array([0.7, 0.4, 0.3])
    np.testing.assert_allclose(converted(value, 1, transfer), srgb_of(value**gamma, SRGB), atol=0.3)


@pytest.mark.parametrize("primaries", [4, 8, 11])
def test_white_stays_white(primaries: int) -> None:
    """Also where another white is meant."""
    np.testing.assert_allclose(converted((1.0, 1.0, 1.0), primaries, 13), 255.0, atol=0.3)
    found = converted((0.5, 0.5, 0.5), primaries, 13)
    assert np.ptp(found) < 0.3


def test_hdr() -> None:
    """White is 203 cd/m2: 58 % of PQ and 75 % of HLG (BT.2408, table 1); grey of 18 % is 26 cd/m2."""
    assert pq(203.0) == pytest.approx(0.58, abs=0.002)
    for signal, transfer in ((pq(203.0), 16), (0.75, 18)):
        np.testing.assert_allclose(converted([signal] * 3, 9, transfer), 255.0, atol=1.0)
    for signal, transfer in ((pq(26.0), 16), (0.38, 18)):
        grey = srgb_of(np.full(3, 26.0 / 203.0), SRGB)
        np.testing.assert_allclose(converted([signal] * 3, 9, transfer), grey, atol=1.5)
    # A colour: skin of 100 cd/m2 and less, in BT.2020.
    light = np.array([100.0, 60.0, 45.0])
    expected = srgb_of(light / 203.0, MATRICES[9])
    np.testing.assert_allclose(converted([pq(x) for x in light], 9, 16), expected, atol=0.3)
    # Brighter than white is clipped, and black is black.
    assert converted([pq(4000.0)] * 3, 9, 16).min() > 254.9
    for transfer in (16, 18):
        assert converted([0.0] * 3, 9, transfer).max() == 0.0


@pytest.mark.parametrize("numbers", [(1, 13), (1, 1), (2, 2), (2, 6), (0, 0)])
def test_what_is_srgb_or_says_nothing_stays(numbers: tuple[int, int]) -> None:
    assert by_numbers(*numbers) is None


@pytest.mark.parametrize(("numbers", "said"), [((10, 13), "primaries 10"), ((1, 9), "transfer 9")])
def test_colour_that_is_not_converted_is_refused(numbers: tuple[int, int], said: str) -> None:
    with pytest.raises(kinds.KindError, match=said):
        by_numbers(*numbers)


# Files ---------------------------------------------------------------------------------------


def flat(colour: tuple[int, ...] = SKIN) -> np.ndarray:
    return np.full((SIDE, SIDE, len(colour)), colour, np.uint8)


def middle(photo: Photo) -> np.ndarray:
    return 255.0 * photo.pixels[:, SIDE // 2, SIDE // 2].numpy()


def refused(path: Path, *words: str) -> None:
    with pytest.raises(PhotoError) as error:
        read_photo(path)
    assert "\n" not in str(error.value)
    assert all(word in str(error.value) for word in (str(path), "expected", *words))


def colr(content: bytes, primaries: int, transfer: int) -> bytes:
    """An AVIF with other numbers in its box."""
    at = content.index(b"colrnclx") + 8
    return content[:at] + struct.pack(">HH", primaries, transfer) + content[at + 4 :]


def avif(primaries: int, transfer: int, **options: Any) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(flat()).save(buffer, "AVIF", quality=95, subsampling="4:4:4", **options)
    return colr(buffer.getvalue(), primaries, transfer)


@pytest.mark.parametrize("primaries", [5, 9, 12])
def test_avif(tmp_path: Path, primaries: int) -> None:
    path = tmp_path / "a.avif"
    path.write_bytes(avif(primaries, 13))
    photo = read_photo(path)
    expected = srgb_of(of_srgb(SKIN), MATRICES[primaries])
    assert np.abs(expected - SKIN).max() > 2.6  # so the test can tell
    np.testing.assert_allclose(middle(photo), expected, atol=2.5)
    assert any("by number" in note for note in photo.notes)


def test_avif_in_hdr_and_of_unknown_colour(tmp_path: Path) -> None:
    path = tmp_path / "a.avif"
    path.write_bytes(avif(9, 16))
    assert middle(read_photo(path)).max() > 254.9  # 200 of 255 in PQ is far beyond white
    path.write_bytes(avif(10, 13))
    refused(path, "primaries 10")


def test_the_profile_of_an_avif_counts_more(tmp_path: Path) -> None:
    path = tmp_path / "a.avif"
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    buffer = io.BytesIO()
    Image.fromarray(flat()).save(buffer, "AVIF", quality=95, icc_profile=srgb)
    content = buffer.getvalue()
    path.write_bytes(colr(content, 9, 16) if b"colrnclx" in content else content)
    np.testing.assert_allclose(middle(read_photo(path)), SKIN, atol=3.0)


def test_animated_avif(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    first, second = Image.fromarray(flat()), Image.fromarray(flat((10, 200, 10)))
    first.save(buffer, "AVIF", save_all=True, append_images=[second], quality=95)
    content = buffer.getvalue()
    assert numbers_of(content) is not None
    path = tmp_path / "a.avif"
    while (at := content.find(b"colrnclx")) >= 0:  # every box of them
        content = content[:at] + b"colrNCLX" + struct.pack(">HH", 12, 13) + content[at + 12 :]
    path.write_bytes(content.replace(b"colrNCLX", b"colrnclx"))
    expected = srgb_of(of_srgb(SKIN), MATRICES[12])
    np.testing.assert_allclose(middle(read_photo(path)), expected, atol=4.0)


@pytest.mark.parametrize("primaries", [9, 12])
def test_heic(tmp_path: Path, primaries: int) -> None:
    pytest.importorskip("pillow_heif")
    kinds.formats()
    path = tmp_path / "a.heic"
    numbers = {"color_primaries": primaries, "matrix_coefficients": 6, "full_range_flag": 1}
    picture = Image.fromarray(flat())
    picture.save(path, "HEIF", quality=95, transfer_characteristics=13, **numbers)
    expected = srgb_of(of_srgb(SKIN), MATRICES[primaries])
    np.testing.assert_allclose(middle(read_photo(path)), expected, atol=5.0)
    picture.save(path, "HEIF", quality=95, transfer_characteristics=16, **numbers)
    assert middle(read_photo(path)).max() > 254.9
    picture.save(path, "HEIF", quality=95, transfer_characteristics=9, **numbers)
    refused(path, "transfer 9")


# PNG -----------------------------------------------------------------------------------------


def chunk(kind: bytes, content: bytes) -> bytes:
    check = struct.pack(">I", zlib.crc32(kind + content))
    return struct.pack(">I", len(content)) + kind + content + check


def png(values: np.ndarray, *chunks: tuple[bytes, bytes]) -> bytes:
    """8 or 16 bits; 1 to 4 channels."""
    depth, (height, width, channels) = 8 * values.dtype.itemsize, values.shape
    kind = {1: 0, 2: 4, 3: 2, 4: 6}[channels]
    rows = b"".join(b"\0" + row.astype(f">u{depth // 8}").tobytes() for row in values)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, 0))
        + b"".join(chunk(*one) for one in chunks)
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )


def cicp(*numbers: int) -> tuple[bytes, bytes]:
    return b"cICP", bytes(numbers)


def gama(exponent: float) -> tuple[bytes, bytes]:
    return b"gAMA", struct.pack(">I", round(1e5 * exponent))


def chrm(*places: float) -> tuple[bytes, bytes]:
    return b"cHRM", struct.pack(">8I", *(round(1e5 * place) for place in places))


ICC_OF_SRGB = (
    b"iCCP",
    b"x\0\0" + zlib.compress(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()),
)
SRGB_CHUNK = (b"sRGB", b"\0")
CHRM_OF_SRGB = chrm(0.3127, 0.329, 0.64, 0.33, 0.3, 0.6, 0.15, 0.06)
CHRM_OF_P3 = chrm(0.3127, 0.329, 0.68, 0.32, 0.265, 0.69, 0.15, 0.06)

VALUE = np.array(SKIN) / 255
TO_P3 = srgb_of(of_srgb(SKIN), MATRICES[12])

PNGS: dict[str, tuple[list[tuple[bytes, bytes]], np.ndarray]] = {
    "cICP of P3": ([cicp(12, 13, 0, 1)], TO_P3),
    "cICP counts more than a profile": ([cicp(12, 13, 0, 1), ICC_OF_SRGB], TO_P3),
    "cICP of sRGB counts more than gAMA": ([cicp(1, 13, 0, 1), gama(1.0)], np.array(SKIN)),
    "a profile counts more than gAMA": ([ICC_OF_SRGB, gama(1.0)], np.array(SKIN)),
    "sRGB counts more than gAMA": ([SRGB_CHUNK, gama(1.0), CHRM_OF_P3], np.array(SKIN)),
    "linear": ([gama(1.0)], srgb_of(VALUE, SRGB)),
    "gamma 1.8": ([gama(1 / 1.8)], srgb_of(VALUE**1.8, SRGB)),
    "cHRM of P3": ([CHRM_OF_P3], TO_P3),
    "gAMA and cHRM": ([gama(1 / 1.8), CHRM_OF_P3], srgb_of(VALUE**1.8, MATRICES[12])),
    "cHRM of sRGB": ([CHRM_OF_SRGB], np.array(SKIN)),
    "nothing": ([], np.array(SKIN)),
}


@pytest.mark.parametrize("deep", [False, True])
@pytest.mark.parametrize("name", PNGS)
def test_png(tmp_path: Path, name: str, deep: bool) -> None:
    chunks, expected = PNGS[name]
    path = tmp_path / "a.png"
    values = flat((*SKIN, 90))
    path.write_bytes(png(values.astype(np.uint16) * 257 if deep else values, *chunks))
    photo = read_photo(path)
    np.testing.assert_allclose(middle(photo), expected, atol=0.6)
    assert photo.alpha is not None
    np.testing.assert_allclose(photo.alpha.numpy(), 90 / 255, atol=1e-6)


def test_png_in_grey(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    for values in (flat((100,)), flat((100,)).astype(np.uint16) * 257):
        path.write_bytes(png(values, gama(1.0)))
        np.testing.assert_allclose(
            middle(read_photo(path)), srgb_of(np.full(3, 100 / 255), SRGB), atol=0.3
        )


@pytest.mark.parametrize(
    ("one", "said"),
    [
        (cicp(1, 13, 1, 1), "full range"),
        (cicp(1, 13, 0, 0), "full range"),
        (cicp(1, 10, 0, 1), "transfer 10"),
        (chrm(0.3127, 0.0, 0.64, 0.33, 0.3, 0.6, 0.15, 0.06), "chromaticities"),
        (chrm(0.3127, 0.329, 0.3, 0.3, 0.3, 0.3, 0.3, 0.3), "chromaticities"),
        (gama(0.001), "gamma"),
    ],
)
def test_png_of_impossible_colour_is_refused(
    tmp_path: Path, one: tuple[bytes, bytes], said: str
) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(png(flat(), one))
    refused(path, said)


def test_a_transparent_colour_of_16_bits(tmp_path: Path) -> None:
    """PNG's tRNS: one colour stands for transparent."""
    path = tmp_path / "a.png"
    for channels in (1, 3):
        values = np.full((SIDE, SIDE, channels), 30001, np.uint16)
        values[:5] = 20002
        key = struct.pack(f">{channels}H", *[20002] * channels)
        path.write_bytes(png(values, (b"tRNS", key)))
        photo = read_photo(path)
        assert photo.alpha is not None
        assert not photo.alpha[:, :5].any()
        assert bool((photo.alpha[:, 5:] == 1.0).all())
        np.testing.assert_allclose(photo.pixels[:, 5:].numpy(), 30001 / 65535, atol=1e-6)


# Without numbers -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("space", "index", "adobe"),
    [(0xFFFF, "R03", True), (2, "", True), (0xFFFF, "R98", False), (1, "R98", False)],
)
def test_adobe_rgb_by_exif(tmp_path: Path, space: int, index: str, adobe: bool) -> None:
    """As cameras write it that embed no profile."""
    exif = Image.Exif()
    inner = exif.get_ifd(ExifTags.IFD.Exif)
    inner[ExifTags.Base.ColorSpace] = space
    inner[ExifTags.IFD.Interop] = {1: index}
    exif[ExifTags.IFD.Exif] = inner
    path = tmp_path / "_DSC0001.jpg"
    Image.fromarray(flat()).save(path, quality=100, subsampling=0, exif=exif.tobytes())
    expected = srgb_of(VALUE ** (563 / 256), ADOBE) if adobe else np.array(SKIN)
    np.testing.assert_allclose(middle(read_photo(path)), expected, atol=2.0)


@pytest.mark.parametrize(("space", "said"), [(b"DEBM", "profile"), (bytes(4), "primaries")])
def test_colours_of_bmp_are_refused(tmp_path: Path, space: bytes, said: str) -> None:
    buffer = io.BytesIO()
    Image.fromarray(flat()).save(buffer, "BMP")
    content = buffer.getvalue()
    pixels = content[54:]
    fields = struct.pack("<4I", 0xFF0000, 0xFF00, 0xFF, 0) + space
    ends = struct.pack("<12I", *range(1, 10), 1 << 16, 1 << 16, 1 << 16) + bytes(16)
    info = struct.pack("<I", 124) + content[18:54] + fields + ends
    path = tmp_path / "a.bmp"
    head = b"BM" + struct.pack("<IHHI", 14 + len(info) + len(pixels), 0, 0, 14 + len(info))
    path.write_bytes(head + info + pixels)
    refused(path, said)
    plain = info.replace(fields, fields[:16] + b"BGRs")
    path.write_bytes(head + plain + pixels)
    np.testing.assert_allclose(middle(read_photo(path)), SKIN, atol=1e-3)
