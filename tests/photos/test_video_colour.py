"""Videos are shown as they say: transfer, primaries, matrix, range, shape of pixels, turns and times."""

import struct
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from biofacenet import BioFaceNet
from biofacenet.analysis.video import VideoSettings, decompose_video
from biofacenet.errors import PhotoError
from biofacenet.photos.framing import Wanted
from biofacenet.photos.video import Writer, frames

WIDTH, HEIGHT = 64, 48
SKIN = np.array([200, 120, 90]) / 255

LUMA = {1: (0.2126, 0.0722), 5: (0.299, 0.114), 6: (0.299, 0.114), 9: (0.2627, 0.0593)}
"""Kr and Kb of the matrices of H.273, table 4."""

# To XYZ under D65: IEC 61966-2-1, ITU-R BT.2020 and SMPTE EG 432-1.
SRGB = np.array(
    [
        [0.4124564, 0.3575761, 0.1804375],
        [0.2126729, 0.7151522, 0.0721750],
        [0.0193339, 0.1191920, 0.9503041],
    ]
)
WIDE = {
    9: [
        [0.636958, 0.1446169, 0.168881],
        [0.2627002, 0.6779981, 0.0593017],
        [0, 0.0280727, 1.0609851],
    ],
    12: [
        [0.4865709, 0.2656677, 0.1982173],
        [0.2289746, 0.6917385, 0.0792869],
        [0, 0.0451134, 1.0439444],
    ],
}


def codes(signal: Sequence[float], matrix: int, full: bool, bits: int) -> list[int]:
    """Y, Cb, Cr of an RGB signal (H.273, section 8.3)."""
    kr, kb = LUMA[matrix]
    red, green, blue = signal
    y = kr * red + (1 - kr - kb) * green + kb * blue
    cb, cr = (blue - y) / (2 - 2 * kb), (red - y) / (2 - 2 * kr)
    step, most = 2 ** (bits - 8), 2**bits - 1
    if full:
        values = [y * most, cb * most + 128 * step, cr * most + 128 * step]
    else:
        values = [(219 * y + 16) * step, (224 * cb + 128) * step, (224 * cr + 128) * step]
    return [round(value) for value in values]


OPTIONS = {
    "libx264": {"crf": "1"},
    "libx265": {
        "preset": "ultrafast",
        # Of one thread: with more, packets without times came out of a busy machine at times.
        "x265-params": "crf=4:log-level=none:frame-threads=1:pools=none:bframes=0",
    },
    "libvpx-vp9": {},
}


def write(
    path: Path,
    signal: Sequence[float] = tuple(SKIN),
    *,
    matrix: int = 6,
    full: bool = False,
    bits: int = 8,
    times: Sequence[Fraction | float] = (0, 0.1),
    said: dict[str, int] | None = None,
    aspect: Fraction | None = None,
    size: tuple[int, int] = (WIDTH, HEIGHT),
    codec: str = "libx264",
) -> Path:
    """A video of one colour, whose numbers were computed by hand."""
    width, height = size
    pixels = width * height
    kind, name = (np.uint8, "yuv420p") if bits == 8 else (np.uint16, f"yuv420p{bits}le")
    y, cb, cr = codes(signal, matrix, full, bits)
    planes = [np.full(n, v, kind) for n, v in ((pixels, y), (pixels // 4, cb), (pixels // 4, cr))]
    values = np.concatenate(planes).reshape(height * 3 // 2, width)
    with av.open(str(path), "w") as container:
        options = OPTIONS[codec]
        stream = container.add_stream(codec, rate=10, options=options)
        stream.width, stream.height, stream.pix_fmt = width, height, name
        stream.codec_context.time_base = Fraction(1, 1000)
        numbers = {"color_range": 2 if full else 1} | (said or {})
        for key, value in numbers.items():
            setattr(stream.codec_context, key, value)
        if aspect is not None:
            stream.codec_context.sample_aspect_ratio = aspect
        for time in times:
            frame = av.VideoFrame.from_ndarray(values, format=name)
            for key, value in numbers.items():
                setattr(frame, key, value)
            frame.pts, frame.time_base = round(time * 1000), Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def middle(path: Path) -> np.ndarray:
    """Levels of sRGB in the middle of the first frame."""
    with frames(path) as (_, stream):
        pixels = next(iter(stream)).pixels
    return 255.0 * pixels[:, pixels.shape[1] // 2, pixels.shape[2] // 2].numpy()


def refused(path: Path, *words: str) -> None:
    with pytest.raises(PhotoError) as error, frames(path) as (_, stream):
        list(stream)
    assert "\n" not in str(error.value)
    assert all(word in str(error.value) for word in (str(path), "expected", *words))


def srgb_of(linear: np.ndarray, matrix: Any = SRGB) -> np.ndarray:
    light = (np.linalg.inv(SRGB) @ np.asarray(matrix) @ linear).clip(0.0, 1.0)
    return 255.0 * np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)


def numbers(primaries: int, transfer: int, matrix: int) -> dict[str, int]:
    return {"color_primaries": primaries, "color_trc": transfer, "colorspace": matrix}


# Colour --------------------------------------------------------------------------------------


@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("matrix", [1, 5, 6, 9])
def test_matrix_and_range(tmp_path: Path, matrix: int, full: bool) -> None:
    path = write(tmp_path / "a.mp4", matrix=matrix, full=full, said={"colorspace": matrix})
    np.testing.assert_allclose(middle(path), 255 * SKIN, atol=3.0)


def test_a_matrix_that_is_not_said(tmp_path: Path) -> None:
    """That of standard television for small frames, of HDTV for large ones, of BT.2020 with its colours."""
    path = write(tmp_path / "a.mp4", matrix=6)
    np.testing.assert_allclose(middle(path), 255 * SKIN, atol=3.0)
    path = write(tmp_path / "b.mp4", matrix=1, size=(64, 720))
    np.testing.assert_allclose(middle(path), 255 * SKIN, atol=3.0)
    path = write(tmp_path / "c.mp4", matrix=9, bits=10, said={"color_primaries": 9})
    srgb = np.where(SKIN <= 0.04045, SKIN / 12.92, ((SKIN + 0.055) / 1.055) ** 2.4)
    np.testing.assert_allclose(middle(path), srgb_of(srgb, WIDE[9]), atol=3.0)


@pytest.mark.parametrize("ending", ["mp4", "mov", "mkv"])
@pytest.mark.parametrize("primaries", [9, 12])
def test_wide_colour(tmp_path: Path, primaries: int, ending: str) -> None:
    said = numbers(primaries, 1, 9)
    path = write(tmp_path / f"a.{ending}", matrix=9, bits=10, said=said)
    linear = np.where(SKIN <= 0.04045, SKIN / 12.92, ((SKIN + 0.055) / 1.055) ** 2.4)
    expected = srgb_of(linear, WIDE[primaries])
    assert np.abs(expected - 255 * SKIN).max() > 8  # so the test can tell
    np.testing.assert_allclose(middle(path), expected, atol=3.0)


def hlg(light: np.ndarray) -> np.ndarray:
    """The signal of light on a screen of 1000 cd/m2 (BT.2100, table 5)."""
    luminance = np.array([0.2627, 0.6780, 0.0593]) @ light / 1000
    scene = light / 1000 * luminance ** (1 / 1.2 - 1)
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    return np.where(
        scene <= 1 / 12, np.sqrt(3 * scene), a * np.log(np.maximum(12 * scene - b, 1e-9)) + c
    )


def pq(light: np.ndarray) -> np.ndarray:
    y = (light / 10000) ** (2610 / 16384)
    c1, c2, c3 = 3424 / 4096, 2413 / 4096 * 32, 2392 / 4096 * 32
    return ((c1 + c2 * y) / (1 + c3 * y)) ** (2523 / 4096 * 128)


@pytest.mark.parametrize(("ending", "codec"), [("mp4", "libx264"), ("mov", "libx265")])
@pytest.mark.parametrize("transfer", [16, 18])
@pytest.mark.parametrize("light", [(203, 203, 203), (26, 26, 26), (100, 60, 45)])
def test_hdr(
    tmp_path: Path, transfer: int, light: tuple[float, ...], ending: str, codec: str
) -> None:
    """White is 203 cd/m2 (BT.2408); skin keeps its light."""
    signal = (pq if transfer == 16 else hlg)(np.array(light, float))
    said = numbers(9, transfer, 9)
    path = write(
        tmp_path / f"a.{ending}", signal.tolist(), matrix=9, bits=10, said=said, codec=codec
    )
    np.testing.assert_allclose(middle(path), srgb_of(np.array(light) / 203, WIDE[9]), atol=4.0)


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (numbers(1, 1, 8), "matrix 8"),
        (numbers(9, 16, 10), "matrix 10"),
        (numbers(9, 16, 14), "matrix 14"),
        (numbers(1, 9, 1), "transfer 9"),
        (numbers(10, 1, 1), "primaries 10"),
    ],
)
def test_rare_colour_is_refused(tmp_path: Path, said: dict[str, int], words: str) -> None:
    refused(write(tmp_path / "a.mkv", said=said), words)


@pytest.mark.parametrize("said", [None, numbers(9, 18, 9)])
def test_dolby_vision(tmp_path: Path, said: dict[str, int] | None) -> None:
    """Read where the stream says a colour that others show too; else its colours are its own."""
    signal = hlg(np.array([203.0, 203.0, 203.0])).tolist()
    path = write(tmp_path / "a.mp4", signal, matrix=9, bits=10, said=said, codec="libx265")
    content = path.read_bytes()
    assert content.count(b"hev1") >= 1
    path.write_bytes(content.replace(b"hev1", b"dvh1"))
    if said is None:
        refused(path, "Dolby Vision")
    else:
        np.testing.assert_allclose(middle(path), 255.0, atol=4.0)


def test_rgb_within(tmp_path: Path) -> None:
    """Without luma and chroma there is no matrix."""
    path = tmp_path / "a.mkv"
    levels = np.broadcast_to((255 * SKIN).astype(np.uint8), (HEIGHT, WIDTH, 3))
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=10)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "bgr0"
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(levels), format="rgb24")
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    np.testing.assert_allclose(middle(path), 255 * SKIN, atol=1.0)


# Shape ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("aspect", "shape"),
    [
        (Fraction(4, 3), (HEIGHT, 85)),
        (Fraction(1, 2), (2 * HEIGHT, WIDTH)),
        (Fraction(1), (HEIGHT, WIDTH)),
        (None, (HEIGHT, WIDTH)),
    ],
)
@pytest.mark.parametrize("ending", ["mp4", "mkv"])
def test_pixels_become_square(
    tmp_path: Path, aspect: Fraction | None, shape: tuple[int, int], ending: str
) -> None:
    with frames(write(tmp_path / f"a.{ending}", aspect=aspect)) as (_, stream):
        pixels = next(iter(stream)).pixels
    assert pixels.shape[1:] == shape


def test_pixels_that_are_a_mistake(tmp_path: Path) -> None:
    refused(write(tmp_path / "a.mp4", aspect=Fraction(20)), "20 times as wide")


def matrix_written(path: Path, turn: tuple[int, int, int, int]) -> None:
    """The display matrix of a track (ISO/IEC 14496-12, 8.3.2)."""
    content = bytearray(path.read_bytes())
    at = content.index(b"tkhd") + 4 + 40
    a, b, c, d = turn
    across = max(0, -a) * WIDTH + max(0, -c) * HEIGHT
    down = max(0, -b) * WIDTH + max(0, -d) * HEIGHT
    values = (a, b, 0, c, d, 0, across, down)
    struct.pack_into(">9i", content, at, *(value << 16 for value in values), 1 << 30)
    path.write_bytes(content)


MIRRORED = {
    "left for right": (-1, 0, 0, 1),
    "upside down": (1, 0, 0, -1),
    "along a diagonal": (0, 1, 1, 0),
}


@pytest.mark.parametrize("name", MIRRORED)
def test_mirrored_videos(tmp_path: Path, name: str) -> None:
    """As some phones write those of the front camera; PyAV's angle does not tell."""
    path, picture = tmp_path / "a.mp4", np.full((HEIGHT, WIDTH, 3), 40, np.uint8)
    picture[: HEIGHT // 2, : WIDTH // 2] = (200, 40, 40)
    picture[HEIGHT // 2 :, : WIDTH // 2] = (40, 200, 40)
    with av.open(str(path), "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=10, options={"crf": "4"})
        stream.height, stream.width, stream.pix_fmt = HEIGHT, WIDTH, "yuv420p"
        container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))
    turn = MIRRORED[name]
    matrix_written(path, turn)
    a, b, c, d = turn
    q, p = np.mgrid[:HEIGHT, :WIDTH]
    x, y = a * p + c * q, b * p + d * q
    expected = np.empty((np.ptp(y) + 1, np.ptp(x) + 1, 3), np.uint8)
    expected[y - y.min(), x - x.min()] = picture
    with frames(path) as (_, stream):
        found = next(iter(stream)).pixels.permute(1, 2, 0).numpy()
    assert found.shape == expected.shape
    assert np.quantile(np.abs(found - expected / 255), 0.8) < 0.05


# Times ---------------------------------------------------------------------------------------

UNEVEN = (0.0, 0.033, 0.1, 0.4, 0.42, 1.0)


@pytest.mark.parametrize("ending", ["mp4", "mkv", "webm"])
@pytest.mark.parametrize("start", [0.0, 5.0])
def test_uneven_times_are_kept(tmp_path: Path, ending: str, start: float) -> None:
    codec = "libvpx-vp9" if ending == "webm" else "libx264"
    times = [start + time for time in UNEVEN]
    path = write(tmp_path / f"a.{ending}", times=times, codec=codec)
    with frames(path) as (_, stream):
        assert [frame.time for frame in stream] == pytest.approx(UNEVEN, abs=1e-3)


@pytest.mark.parametrize(
    "times", [UNEVEN, [n * 1001 / 30000 for n in range(8)], [n / 24 for n in range(5)]]
)
def test_written_videos_have_the_times_of_their_source(
    tmp_path: Path, times: Sequence[float]
) -> None:
    writer = Writer(tmp_path / "a.mp4", 24.0)
    for time in times:
        writer.add(np.full((32, 32, 3), 128, np.uint8), time)
    writer.close()
    with frames(tmp_path / "a.mp4") as (_, stream):
        assert [frame.time for frame in stream] == pytest.approx(list(times), abs=2e-5)


def test_written_videos_say_their_colour(tmp_path: Path) -> None:
    writer = Writer(tmp_path / "a.mp4", 10.0)
    levels = np.broadcast_to((255 * SKIN).round().astype(np.uint8), (64, 64, 3))
    writer.add(np.ascontiguousarray(levels), 0.0)
    writer.close()
    np.testing.assert_allclose(middle(tmp_path / "a.mp4"), 255 * SKIN, atol=3.0)
    with av.open(str(tmp_path / "a.mp4")) as container:
        context = container.streams.video[0].codec_context
        assert (context.color_primaries, context.color_trc, context.colorspace) == (1, 1, 1)


# Names and sources ---------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["a{0}%03d[b].mp4", "10:30{frame}.mkv"])
def test_names_are_no_patterns(tmp_path: Path, name: str) -> None:
    clip = write(tmp_path / name, times=(0, 0.1))
    network = BioFaceNet("small").eval()
    out = tmp_path / "out" / name
    line = decompose_video(network, clip, out, VideoSettings(Wanted("whole"), size=32))
    assert "2 frames" in line
    assert (out / "figure.mp4").is_file()
    assert {path.name for path in (tmp_path / "out").iterdir()} == {name}


@pytest.mark.parametrize("ending", ["mp4", "mkv", "ts"])
@pytest.mark.parametrize(
    "text",
    [
        "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nother.ts\n#EXT-X-ENDLIST\n",
        "ffconcat version 1.0\nfile other.ts\n",
        "[playlist]\nFile1=other.ts\n",
    ],
)
def test_lists_of_other_files_are_no_videos(tmp_path: Path, text: str, ending: str) -> None:
    """They could name any file of this computer."""
    write(tmp_path / "other.ts")
    path = tmp_path / f"a.{ending}"
    path.write_text(text)
    refused(path, "not a readable video")
