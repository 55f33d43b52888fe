"""Videos: read frame by frame, the face followed, light and camera smooth, results as videos."""

import csv
import json
import sys
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
import torch
from skimage import data

from biofacenet import BioFaceNet, Illuminant, cli, predict
from biofacenet.analysis.video import Smooth, Tracked, VideoSettings, _steady, decompose_video
from biofacenet.errors import BioFaceNetError, NoFaceError
from biofacenet.photos.framing import Wanted
from biofacenet.photos.video import frames

COUNT, RATE, SIDE = 5, 10, 160


def picture(number: int) -> np.ndarray:
    """The portrait, moving to the right by two pixels a frame."""
    shift = np.array([[0.7, 0.0, -80.0 + 2 * number], [0.0, 0.7, 0.0]])
    return cv2.warpAffine(data.astronaut(), shift, (SIDE, SIDE), borderMode=cv2.BORDER_REPLICATE)


def write(path: Path, pictures: list[np.ndarray]) -> Path:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=RATE, options={"crf": "12"})
        stream.height, stream.width = pictures[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        for one in pictures:
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(one), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("clip")
    return write(folder / "clip.mp4", [picture(number) for number in range(COUNT)])


@pytest.fixture(scope="module")
def network() -> BioFaceNet:
    torch.manual_seed(0)
    return BioFaceNet("small").eval()


def test_frames_come_in_order_with_their_times(clip: Path) -> None:
    with frames(clip) as (said, stream):
        found = list(stream)
    assert said.rate == pytest.approx(RATE)
    assert said.count == len(found) == COUNT
    assert [frame.time for frame in found] == pytest.approx([n / RATE for n in range(COUNT)])
    for number, frame in enumerate(found):
        expected = torch.from_numpy(picture(number)).permute(2, 0, 1) / 255
        assert (frame.pixels - expected).abs().mean() < 0.03


def test_everything_is_written(clip: Path, tmp_path: Path, network: BioFaceNet) -> None:
    line = decompose_video(
        network, clip, tmp_path / "out", VideoSettings(size=32, method="a network")
    )
    assert f"{COUNT} frames" in line
    names = {path.name for path in (tmp_path / "out").iterdir()}
    maps = {f"{name}.mp4" for name in ("melanin", "haemoglobin", "diffuse", "specular")}
    assert names == {"figure.mp4", "frames.csv", "summary.json", *maps}
    for name, shape in (("figure", (560, 768)), ("melanin", (32, 32))):
        with frames(tmp_path / "out" / f"{name}.mp4") as (_, stream):
            shown = list(stream)
        assert len(shown) == COUNT
        assert shown[0].pixels.shape == (3, *shape)
    with (tmp_path / "out" / "frames.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [int(row["frame"]) for row in rows] == list(range(COUNT))
    for row in rows:
        assert row["framing"] == "face found"
        weights = [float(value) for name, value in row.items() if name.startswith("weight_")]
        assert sum(weights) == pytest.approx(1, abs=1e-3)
        assert 4000 <= float(row["daylight_cct_kelvin"]) <= 25000
    lefts = [int(row["left"]) for row in rows]
    assert lefts[0] < lefts[-1] <= lefts[0] + 2 * COUNT
    summary = json.loads((tmp_path / "out" / "summary.json").read_text("utf-8"))
    assert summary["frames"] == summary["frames_with_the_face"] == COUNT


def test_running_average() -> None:
    """The mean of all so far at first; later, what is older than the time fades."""
    smooth, values = Smooth(100.0), torch.arange(5.0)
    for value in values:
        found = smooth.add(value[None], 0.01)
    assert float(found) == pytest.approx(2.0, abs=1e-3)
    smooth = Smooth(1.0)
    for _ in range(50):
        smooth.add(torch.zeros(1), 0.1)
    # A step is followed as 1 - exp(-t).
    found = torch.stack([smooth.add(torch.ones(1), 0.1) for _ in range(10)])
    assert float(found[-1]) == pytest.approx(1 - np.exp(-1), abs=0.05)
    assert (found.diff(dim=0) > 0).all()
    at_once = Smooth(0.0)
    at_once.add(torch.zeros(1), 0.1)
    assert float(at_once.add(torch.ones(1), 0.1)) == 1.0


def test_with_another_light_the_maps_render_to_the_same(network: BioFaceNet) -> None:
    image = torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(0)) * 0.5
    with torch.no_grad():
        found = network(image)
    light = Smooth(10.0)
    first = _steady(found, light, 0.1)
    torch.testing.assert_close(first.render(), found.render(), atol=1e-3, rtol=0)
    found.illuminant = Illuminant.standard("A")
    second = _steady(found, light, 0.1)
    weights = second.illuminant.weights[0]
    assert 0.4 < float(weights[0]) < 0.7  # half way to A
    far = (found.render() - first.render()).abs().mean()
    assert (second.render() - found.render()).abs().mean() < max(0.1 * float(far), 4e-3)


def test_a_face_that_is_lost_for_a_moment_stays() -> None:
    tracked = Tracked(Path("clip.mp4"), "face", "largest")
    here = torch.from_numpy(picture(0)).permute(2, 0, 1) / 255
    gone = torch.full_like(here, 0.5)
    first = tracked.find(here, 0.1)
    assert first.is_face
    assert tracked.find(gone, 0.5) == first
    assert tracked.find(here, 0.1).is_face
    assert tracked.seen == 2


def test_without_a_face_nothing_is_made(tmp_path: Path, network: BioFaceNet) -> None:
    clip = write(tmp_path / "grey.mp4", [np.full((64, 64, 3), 128, np.uint8)] * 2)
    with pytest.raises(NoFaceError, match=r"grey.mp4: no face found in any frame; .*--crop"):
        decompose_video(network, clip, tmp_path / "out", VideoSettings(size=32))
    assert not (tmp_path / "out").exists()
    middle = VideoSettings(Wanted("whole"), size=32)
    assert "2 frames" in decompose_video(network, clip, tmp_path / "out", middle)


def cut_short(path: Path, clip: Path) -> None:
    whole = clip.read_bytes()
    path.write_bytes(whole[: len(whole) * 2 // 3])


BAD = {
    "text.mp4": lambda path, clip: path.write_text("no video"),
    "empty.mov": lambda path, clip: path.write_bytes(b""),
    "short.mp4": cut_short,
    "missing.mkv": lambda path, clip: None,
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_no_whole_video_is_refused_in_one_line(
    name: str,
    clip: Path,
    tmp_path: Path,
    network: BioFaceNet,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    path = tmp_path / name
    BAD[name](path, clip)
    network.save_pretrained(tmp_path / "model")
    arguments = [str(path), "--model", str(tmp_path / "model"), "--out", str(tmp_path / "out")]
    monkeypatch.setattr(sys, "argv", ["predict", *arguments, "--size", "16"])
    with pytest.raises(SystemExit) as ended:
        cli.run(predict.main)
    assert ended.value.code == 2
    said = capfd.readouterr().err
    assert said.startswith(f"error: {path}: ")
    assert said.count("\n") == 1
    assert not list((tmp_path / "out").rglob("*.*"))


def test_without_the_library(monkeypatch: pytest.MonkeyPatch, clip: Path) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(BioFaceNetError, match=r"biofacenet\[video\]"), frames(clip):
        pass
