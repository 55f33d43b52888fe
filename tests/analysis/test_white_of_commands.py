"""What white is, told to predict, fit and videos: levels are absolute, and everything says so."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cache
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from biofacenet import BioFaceNet, fit, predict
from biofacenet.analysis import ByFitting, ByNetwork
from biofacenet.analysis.folder import summary, words
from biofacenet.analysis.methods import Beside
from biofacenet.analysis.video import VideoSettings, decompose_video
from biofacenet.analysis.video_white import WhiteOfFrames, with_level
from biofacenet.analysis.whitening import WithWhite, beside_white
from biofacenet.errors import BioFaceNetError, PhotoError
from biofacenet.photos.paths import EXAMPLE
from biofacenet.photos.reading import Photo, read_photo
from biofacenet.photos.white_choice import WhiteChoice, white_choice
from biofacenet.physics.colour import linear_to_srgb, srgb_to_linear

BOX = "4,4,24,24"


@cache
def network() -> BioFaceNet:
    return BioFaceNet.from_pretrained("small")


def with_card(level: float = 0.2, gains: tuple[float, float, float] = (1.0, 1.0, 1.0)) -> Photo:
    """The example with a card in its corner, all of it under factors of R, G and B, in 8 bits."""
    photo = read_photo(EXAMPLE)
    linear = srgb_to_linear(photo.pixels)
    linear[:, :32, :32] = level
    seen = linear_to_srgb((linear * torch.tensor(gains)[:, None, None]).clamp(0.0, 1.0))
    return replace(photo, pixels=(255.0 * seen).round() / 255.0)


def stored(pixels: Tensor, path: Path) -> Path:
    Image.fromarray((255.0 * pixels).round().byte().permute(1, 2, 0).numpy()).save(path)
    return path


def test_two_methods_are_brought_to_one_level() -> None:
    methods = Beside(ByNetwork(network()), ByFitting(size=48, steps=6))
    found = WithWhite(methods, WhiteChoice(BOX, reflectance="0.5"))(with_card())
    other = found.beside
    assert other is not None
    assert other.method == "fit"
    for one in (found, other):
        assert one.white is not None
        assert one.known is not None
        low, high = one.known.melanin_ends
        assert low < one.known.melanin < high
        assert one.numbers.melanosomes.interval[0] < one.numbers.melanosomes.median
    # The network's normals tell the light on the face to both.
    assert other.absolute is not None
    assert other.absolute.decomposition.normals is not None
    assert other.decomposition.normals is None
    alone = WithWhite(methods.other, WhiteChoice(BOX, reflectance="0.5"))(with_card())
    assert alone.absolute is not None
    assert other.absolute.error < alone.absolute.error
    said = summary(found, method="both")
    assert said["level"] == "absolute"
    assert said["white"]["box"] == [4, 4, 24, 24]
    assert said["intervals_68_percent"]["light_from"] == "white"
    assert (
        said["beside"]["skin"]["melanosomes_percent"]
        == other.numbers.as_json()["melanosomes_percent"]
    )
    assert words(found)["level"].startswith("melanin and blood have an absolute level, white by")
    plain = ByNetwork(network())(with_card())
    assert summary(plain, method="x")["level"] == "relative"
    assert words(plain)["level"] == ""


def test_a_white_that_cannot_be_is_told_of_on_the_sheet() -> None:
    way = beside_white(ByNetwork(network()), WhiteChoice(BOX, reflectance="0.03"))
    found = way(with_card(0.9, (0.99, 0.99, 0.99)), None)
    assert words(found)["level"].endswith("no skin looks so beside it")
    assert summary(found, method="x")["white"]["unlikely"]


def test_a_method_without_a_white_is_left_alone() -> None:
    method = ByNetwork(network())
    assert beside_white(method, WhiteChoice()) is method


@pytest.mark.parametrize("command", ["predict", "fit"])
def test_commands_take_what_white_is(command: str, tmp_path: Path) -> None:
    photo = stored(with_card().pixels, tmp_path / "face.png")
    out = tmp_path / "out"
    # The card in a photo of its own, all of it: its middle is read.
    card = stored(
        torch.full((3, 60, 60), float(linear_to_srgb(torch.tensor(0.2)))), tmp_path / "c.png"
    )
    more = ["--resolution", "64"] if command == "predict" else ["--size", "48", "--steps", "4"]
    more += ["--against", "none", "--reference", str(card), "--white-reflectance", "0.5"]
    door = predict if command == "predict" else fit
    door.main([str(photo), "--out", str(out), *more])
    said = json.loads((out / "face" / "summary.json").read_text("utf-8"))
    assert said["level"] == "absolute"
    assert said["white"]["photo"] == str(card)
    assert said["white"]["light_linear_rgb"] == pytest.approx([0.4] * 3, rel=0.02)


@pytest.mark.parametrize("door", [predict, fit])
def test_a_white_that_is_none_is_one_line_and_nothing_is_written(
    door: object, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    photo = stored(with_card().pixels, tmp_path / "face.png")
    out = tmp_path / "out"
    with pytest.raises(SystemExit) as ended:
        door.main([str(photo), "--out", str(out), "--against", "none", "--white", "900,900,9,9"])  # type: ignore[attr-defined]
    assert ended.value.code == 2
    said = " ".join(capsys.readouterr().err.split())
    assert "white box 900,900,9,9 does not lie in the photo" in said
    assert not list(out.glob("*/*"))
    for wrong, told in (
        (["--white", "here"], "LEFT,TOP,WIDTH,HEIGHT"),
        (["--white-reflectance", "grey"], "not what is white"),
        (["--reference", str(tmp_path / "none.jpg")], "no such photo"),
    ):
        with pytest.raises(BioFaceNetError, match=told):
            door.main([str(photo), "--out", str(out), *wrong])  # type: ignore[attr-defined]


def test_a_reference_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(BioFaceNetError, match="no such photo"):
        white_choice("", tmp_path, "")


# Videos --------------------------------------------------------------------------------------


def frame(gains: tuple[float, float, float] = (1.0, 1.0, 1.0)) -> Photo:
    return with_card(gains=gains)


def test_the_white_of_a_video_is_read_in_each_frame() -> None:
    white = WhiteOfFrames(WhiteChoice(BOX, reflectance="0.5"))
    first = white.balanced(frame(), 0.0)
    dimmed = white.balanced(frame((0.8, 0.7, 0.6)), 0.1)
    assert (first.pixels - dimmed.pixels).abs().mean() < 0.01
    # A black hand before the card: that of the frame before holds.
    hidden = frame((0.8, 0.7, 0.6))
    hidden.pixels[:, :32, :32] = 0.0
    after = white.balanced(hidden, 0.2)
    assert white.hidden == 1
    assert (after.pixels - dimmed.pixels)[:, 40:].abs().max() < 1e-6
    assert "hidden in 1 frames" in white.words()
    assert white.as_json()["frames_hidden"] == 1


def test_a_video_without_a_white_in_its_first_frame_is_refused() -> None:
    dark = replace(frame(), pixels=torch.zeros(3, 64, 64))
    with pytest.raises(PhotoError, match=r"is dark.*frame at 0.00 s, the first"):
        WhiteOfFrames(WhiteChoice(BOX)).balanced(dark, 0.0)


def test_maps_are_moved_to_a_level_by_their_skin_alone() -> None:
    found = ByNetwork(network())(with_card())
    moved = with_level(found.decomposition, found.counted, 0.25, -0.1)
    inside = found.counted > 0.5
    assert float(moved.melanin[inside].median()) == pytest.approx(0.25, abs=1e-5)
    assert float(moved.haemoglobin[inside].median()) == pytest.approx(-0.1, abs=1e-5)
    nothing = torch.zeros_like(found.counted)
    assert with_level(found.decomposition, nothing, 0.25, -0.1) is found.decomposition


def test_a_video_says_by_which_white_its_level_is(tmp_path: Path) -> None:
    clip = tmp_path / "clip.mp4"
    with av.open(str(clip), "w") as container:
        stream = container.add_stream("libx264", rate=10, options={"crf": "8", "threads": "1"})
        one = (255.0 * with_card().pixels).round().byte().permute(1, 2, 0).numpy()
        stream.height, stream.width = (side - side % 2 for side in one.shape[:2])
        one = np.ascontiguousarray(one[: stream.height, : stream.width])
        stream.pix_fmt = "yuv420p"
        for _ in range(2):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(one, format="rgb24")))
        container.mux(stream.encode(None))
    how = VideoSettings(white=WhiteChoice(BOX, reflectance="0.5"))
    line = decompose_video(network(), clip, tmp_path / "out", how)
    assert "white by a box at 4,4,24,24" in line
    said = json.loads((tmp_path / "out" / "summary.json").read_text("utf-8"))
    assert said["level"] == "absolute"
    assert said["white"]["frames_hidden"] == 0
