"""Photos of the awkward kind: each is decomposed, or refused in one line with exit status 2."""

import struct
import sys
import zlib
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from PIL import ExifTags, Image
from skimage import data

from biofacenet import cli, fit
from biofacenet.analysis import Result, batch
from biofacenet.data.synthetic import faces as synthetic

SIDE = 96


def portrait(side: int = SIDE) -> np.ndarray:
    return cv2.resize(data.astronaut()[20:212, 128:320], (side, side), interpolation=cv2.INTER_AREA)


def plain(colour: tuple[int, int, int], width: int = 64, height: int = 64) -> Image.Image:
    return Image.new("RGB", (width, height), colour)


def made(**chosen: float) -> np.ndarray:
    """A synthetic face, as 8-bit RGB."""
    image = synthetic.generate([3], seed=2, size=SIDE, skin="published", **chosen).image[0]
    return (255 * image).round().byte().permute(1, 2, 0).numpy()


def save(path: Path, picture: np.ndarray | Image.Image, **options: object) -> None:
    if isinstance(picture, np.ndarray):
        picture = Image.fromarray(np.ascontiguousarray(picture))
    picture.save(path, **options)


def from_cv2(path: Path, values: np.ndarray) -> None:
    path.write_bytes(cv2.imencode(path.suffix, values)[1].tobytes())


def with_alpha(path: Path, opacity: int) -> None:
    plane = np.full((SIDE, SIDE, 1), 255, np.uint8)
    plane[: SIDE // 3] = opacity
    plane[SIDE // 3 :] = max(opacity, 255 * (opacity > 0))
    save(path, np.concatenate((portrait(), plane), axis=2))


def frames(path: Path) -> None:
    one = Image.fromarray(portrait())
    one.save(path, save_all=True, append_images=[one.rotate(90), plain((0, 0, 255), SIDE, SIDE)])


def phone(path: Path) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    save(path, np.rot90(portrait()), exif=exif, quality=95)


def turned(path: Path) -> None:
    there = cv2.getRotationMatrix2D((225, 115), -30, 1.0)
    there[:, 2] -= (225 - 80, 115 - 80)
    save(path, cv2.warpAffine(data.astronaut(), there, (160, 160), borderMode=cv2.BORDER_REPLICATE))


def two(path: Path) -> None:
    save(path, np.concatenate((portrait(), portrait()[:, ::-1]), axis=1))


def profile(path: Path) -> None:
    save(path, made(yaw=77.0))


def skin(melanin: float) -> Callable[[Path], None]:
    return lambda path: save(path, made(melanin=melanin))


def overexposed(path: Path) -> None:
    save(path, (portrait().astype(float) * 3).clip(0, 255).astype(np.uint8))


def underexposed(path: Path) -> None:
    save(path, portrait() // 24)


def cut_short(path: Path) -> None:
    save(path, np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def bomb(path: Path) -> None:
    chunk = b"IHDR" + struct.pack(">IIBBBBB", 50_000, 50_000, 8, 2, 0, 0, 0)
    checked = chunk + struct.pack(">I", zlib.crc32(chunk))
    empty = struct.pack(">I", 0) + b"IDAT" + struct.pack(">I", zlib.crc32(b"IDAT"))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + checked + empty)


def bad_profile(path: Path) -> None:
    save(path, portrait(), icc_profile=b"no profile" * 20)


def not_finite(path: Path) -> None:
    values = np.full((32, 32, 3), 0.5, np.float32)
    values[4, 5] = np.nan
    from_cv2(path, values)


def deep(channels: int) -> Callable[[Path], None]:
    return lambda path: from_cv2(
        path, portrait()[..., ::-1][..., :channels].astype(np.uint16) * 257
    )


DONE: dict[str, Callable[[Path], None]] = {
    "grey.png": lambda path: save(path, portrait().mean(axis=2).astype(np.uint8)),
    "cmyk.jpg": lambda path: save(path, Image.fromarray(portrait()).convert("CMYK")),
    "palette.png": lambda path: save(path, Image.fromarray(portrait()).quantize(32)),
    "deep.png": deep(3),
    "deep-grey.tif": deep(1),
    "half-transparent.png": lambda path: with_alpha(path, 128),
    "phone.jpg": phone,
    "turned.png": turned,
    "two.png": two,
    "profile.png": profile,
    "dark skin.png": skin(0.75),
    "light skin.png": skin(-0.85),
    "underexposed.png": underexposed,
    "animated.gif": frames,
    "animated.webp": frames,
    "bad profile.png": bad_profile,
    "顔 & [1] %.jpg": lambda path: save(path, portrait()),
}

FACELESS: dict[str, Callable[[Path], None]] = {
    "bilevel.png": lambda path: save(path, Image.fromarray(portrait()).convert("1")),
    "cut-out.png": lambda path: with_alpha(path, 0),  # nothing of it shows
    "meadow.png": lambda path: save(path, plain((40, 160, 50))),
    "overexposed.png": overexposed,
    "white.png": lambda path: save(path, plain((255, 255, 255))),
    "black.png": lambda path: save(path, plain((0, 0, 0))),
    "panorama.png": lambda path: save(path, plain((180, 140, 120), 3000, 20)),
}
"""Refused, unless their middle is asked for."""

REFUSED: dict[str, tuple[Callable[[Path], object], str]] = {
    "pixel.png": (lambda path: save(path, plain((9, 9, 9), 1, 1)), "1 x 1"),
    "line.png": (lambda path: save(path, plain((9, 9, 9), 20_000, 4)), "20000 x 4"),
    "truncated.jpg": (cut_short, "cut short"),
    "truncated.png": (cut_short, "cut short"),
    "letter.jpg": (lambda path: path.write_text("Dear Eileen"), "not a photo"),
    "drawing.svg": (lambda path: path.write_text("<svg/>"), "a drawing"),
    "empty.jpg": (lambda path: path.write_bytes(b""), "empty"),
    "bomb.png": (bomb, "enormous"),
    "negative.dng": (lambda path: save(path, portrait(), format="TIFF"), "raw"),
    "nan.tiff": (not_finite, "NaN"),
    "folder.jpg": (lambda path: path.mkdir(), "folder"),
    "missing.jpg": (lambda path: None, "no such file"),
    **{name: (make, "no face found") for name, make in FACELESS.items()},
}


def test_there_are_thirty() -> None:
    assert len(DONE) + len(REFUSED) >= 30


@pytest.fixture
def fitted(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Callable[..., list[tuple[Result, Path]]]:
    """Runs the command line on a file; writing, tested elsewhere, is put down instead."""
    kept: list[tuple[Result, Path]] = []

    def keep(result: Result, folder: Path, **_: object) -> None:
        kept.append((result, folder))

    def run(path: Path, *options: str) -> list[tuple[Result, Path]]:
        arguments = [
            str(path),
            *options,
            "--size",
            "24",
            "--steps",
            "2",
            "--out",
            str(tmp_path / "out"),
        ]
        monkeypatch.setattr(sys, "argv", ["biofacenet.fit", *arguments])
        cli.run(fit.main)
        return kept

    monkeypatch.setattr(batch, "write", keep)
    return run


@pytest.mark.parametrize("name", [*DONE, *FACELESS])
def test_handled(
    name: str,
    tmp_path: Path,
    fitted: Callable[..., list[tuple[Result, Path]]],
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = tmp_path / name
    if name in FACELESS:
        FACELESS[name](path)
        found = fitted(path, "--crop", "whole")
    else:
        DONE[name](path)
        found = fitted(path)
    assert capsys.readouterr().err == ""
    assert len(found) == (2 if name == "two.png" else 1)
    names = [folder.name for _, folder in found]
    assert names == [path.stem, f"{path.stem}-2"][: len(found)]
    for result, _ in found:
        maps = result.decomposition
        assert all(bool(plane.isfinite().all()) for plane in maps.arguments()[:4])
        assert torch.equal(maps.render(), result.reconstruction)
        assert result.mask is not None
    result = found[0][0]
    assert result.part.is_face == (name in DONE)
    if name in ("phone.jpg", "cmyk.jpg", "palette.png", "deep.png", "grey.png", "animated.gif"):
        assert result.part.note == "face found"
    if name == "turned.png":
        assert result.part.box.angle == pytest.approx(33, abs=6)


@pytest.mark.parametrize("name", REFUSED)
def test_refused(
    name: str,
    tmp_path: Path,
    fitted: Callable[..., list[tuple[Result, Path]]],
    capsys: pytest.CaptureFixture[str],
) -> None:
    make, word = REFUSED[name]
    path = tmp_path / name
    make(path)
    with pytest.raises(SystemExit) as ended:
        fitted(path)
    assert ended.value.code == 2
    said = capsys.readouterr().err
    assert said.startswith("error: ")
    assert said.count("\n") == 1
    assert str(path) in said
    assert word in said
    assert not (tmp_path / "out").exists()


def test_a_bad_one_among_good_ones(
    tmp_path: Path,
    fitted: Callable[..., list[tuple[Result, Path]]],
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A folder of them: what can be done is done, and the rest is told, a line each."""
    for name in ("grey.png", "deep.png"):
        DONE[name](tmp_path / name)
    for name in ("letter.jpg", "bomb.png", "pixel.png", "meadow.png"):
        REFUSED[name][0](tmp_path / name)
    with pytest.raises(SystemExit) as ended:
        fitted(tmp_path)
    assert ended.value.code == 2
    said = capsys.readouterr()
    assert said.err.count("\n") == 4
    assert "4 of 6 photos could not be used" in said.out
