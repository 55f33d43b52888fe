"""Normals and parts on their way from a network to files, pictures and edits of photos."""

import subprocess
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from skimage import data

from biofacenet import Decomposition
from biofacenet.analysis import ByNetwork, Result, write
from biofacenet.analysis.editing import edit_maps, edit_photo
from biofacenet.analysis.formats import planes
from biofacenet.decomposition import Edit
from biofacenet.decomposition.parts import PART_NAMES
from biofacenet.errors import DataError
from biofacenet.network.unet import BioFaceNet
from biofacenet.photos import choose_parts, read_photo
from biofacenet.plotting.grids import training_grid
from biofacenet.plotting.shape import PART_COLOURS, normals_image, parts_image

Command = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def photo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("photos") / "astronaut.png"
    Image.fromarray(data.astronaut()).save(path)
    return path


@pytest.fixture(scope="module")
def network() -> BioFaceNet:
    torch.manual_seed(0)
    found = BioFaceNet("small").eval()
    assert found.shape is not None
    with torch.no_grad():
        found.shape.weight[:3].mul_(30.0)
        found.shape.bias[4] += 3.0  # skin
    return found


@pytest.fixture(scope="module")
def result(photo: Path, network: BioFaceNet) -> Result:
    opened = read_photo(photo)
    part = choose_parts(opened, "whole")[0]
    return ByNetwork(network, size=64, resolution=96)(opened, part)


def opened(path: Path) -> np.ndarray:
    with Image.open(path) as picture:
        return np.asarray(picture).astype(float)


def test_enlarged_normals_keep_their_length(result: Result) -> None:
    found = result.decomposition
    assert found.normals is not None
    assert found.parts is not None
    assert found.normals.shape == (1, 3, 96, 96)
    torch.testing.assert_close(found.normals.norm(dim=1), torch.ones(1, 96, 96))
    torch.testing.assert_close(found.parts.sum(dim=1), torch.ones(1, 96, 96))


def test_predict_writes_them(result: Result, tmp_path: Path) -> None:
    write(result, tmp_path / "one", method="by hand")
    bare = replace(result.decomposition, normals=None, parts=None)
    write(replace(result, decomposition=bare), tmp_path / "other", method="by hand")
    one, other = ({p.name for p in (tmp_path / n).iterdir()} for n in ("one", "other"))
    assert one - other == {"normals.png", "parts.png"}
    stored = Decomposition.load(tmp_path / "one" / "maps.npz")
    assert stored.normals is not None
    assert result.decomposition.normals is not None
    assert torch.equal(stored.normals, result.decomposition.normals)
    picture = opened(tmp_path / "one" / "normals.png") / 255.0
    expected = (stored.normals[0].permute(1, 2, 0).numpy() + 1.0) / 2.0
    assert np.abs(picture - expected).max() < 1 / 255


def test_pictures_show_the_likeliest_part(result: Result) -> None:
    parts = torch.zeros(1, len(PART_NAMES), 96, 96)
    parts[:, 1] = 0.4
    parts[:, 2, :40] = 0.6
    parts[:, 0] = 1.0 - parts.sum(dim=1)
    parts[:, 0].clamp_(max=0.3)
    found = parts_image(replace(result.decomposition, parts=parts))
    assert tuple(found[0, 0]) == PART_COLOURS["lips"]
    assert tuple(found[-1, 0]) == PART_COLOURS["skin"]
    with pytest.raises(ValueError, match="no normals"):
        normals_image(replace(result.decomposition, normals=None))


def test_other_formats_have_a_plane_for_each(result: Result) -> None:
    found = planes(result.decomposition)
    assert {"normals.x", "normals.z", "parts.skin", "parts.cloth", "melanin"} <= found.keys()
    assert result.decomposition.normals is not None
    np.testing.assert_array_equal(found["normals.y"], result.decomposition.normals[0, 1].numpy())
    assert "normals.x" not in planes(replace(result.decomposition, normals=None, parts=None))


def test_training_grids_show_them(result: Result, tmp_path: Path) -> None:
    maps, sizes = result.decomposition, []
    for number, found in enumerate((maps, replace(maps, normals=None, parts=None))):
        path = tmp_path / f"{number}.png"
        mask = torch.ones(1, 1, 96, 96)
        training_grid(result.image, mask, maps.diffuse, found, found.render(), path)
        with Image.open(path) as picture:
            sizes.append(picture.size[0])
    assert sizes[0] > sizes[1] * 1.2


def test_photos_and_maps_are_relit(result: Result, tmp_path: Path) -> None:
    edit = Edit(light_from="left")
    edit_photo(result.photo, [result], edit, tmp_path / "photo", everywhere=True)
    before = opened(result.photo.path)
    after = opened(tmp_path / "photo" / "edited.png")
    assert np.abs(after - before).mean() > 1.0
    result.decomposition.save(tmp_path / "maps.npz")
    edit_maps(tmp_path / "maps.npz", edit, tmp_path / "maps")
    assert (tmp_path / "maps" / "edited.png").is_file()
    replace(result.decomposition, normals=None).save(tmp_path / "bare.npz")
    with pytest.raises(DataError, match=r"bare\.npz: light_from needs normals"):
        edit_maps(tmp_path / "bare.npz", edit, tmp_path / "bare")


@pytest.fixture
def command(in_process: Command) -> Command:
    return partial(in_process, "biofacenet.edit")


def test_who_cannot_be_relit_is_told_in_a_line(
    photo: Path, tmp_path: Path, command: Command
) -> None:
    BioFaceNet("small", shaped=False).save_pretrained(tmp_path / "flat")
    for words, said in (
        (
            ("--light-from", "left", "--model", "none"),
            "--light-from needs normals, which a network tells",
        ),
        (("--light-from", "left", "--model", str(tmp_path / "flat")), "does not tell; name one"),
        (("--light-from", "sideways", "--model", "small"), "light_from 'sideways': expected left"),
    ):
        done = command(str(photo), *words, "--out", "lit", cwd=tmp_path)
        assert done.returncode == 2
        assert said in done.stderr
        assert len(done.stderr.strip().splitlines()) == 1
        assert not (tmp_path / "lit").exists()
