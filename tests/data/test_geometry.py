"""Normals, parts, occlusion and landmarks: as records, and in truth files."""

from pathlib import Path

import h5py
import numpy as np
import pytest
import torch

from biofacenet.data.geometry import LANDMARKS, MIRRORED_LANDMARKS, Geometry
from biofacenet.data.pair_files import find_pairs
from biofacenet.data.pairs import FaceBatch, FacePairs, decode
from biofacenet.data.pairs_writing import write_pairs
from biofacenet.data.records import Faces
from biofacenet.data.truth import read_truth
from biofacenet.decomposition import Decomposition
from biofacenet.decomposition.parts import PART_NAMES, UNLABELLED, part_index
from biofacenet.errors import DataError
from biofacenet.physics.illuminant import Illuminant
from biofacenet.physics.lighting import unit
from biofacenet.training import augment

SIDE = 16
TRUTH = "zx_7_truth_synthetic_01.hdf5"


def made_up(count: int, seed: int = 0, side: int = SIDE) -> Geometry:
    generator = torch.Generator().manual_seed(seed)
    normals = unit(torch.randn(count, 3, side, side, generator=generator), dim=1)
    normals[:, :, :2] = 0.0
    return Geometry(
        normals=normals,
        parts=torch.randint(0, 9, (count, 1, side, side), generator=generator).to(torch.uint8),
        occlusion=torch.rand(count, 1, side, side, generator=generator),
        landmarks=side * torch.rand(count, LANDMARKS, 2, generator=generator),
    )


def faces(count: int, seed: int = 0, *, known: bool = True) -> Faces:
    plane = torch.full((count, 1, SIDE, SIDE), 0.5)
    light = Illuminant.standard("D", 6500.0, count)
    maps = Decomposition(plane, plane, plane, plane, light, torch.zeros(count, 2))
    image, normals = plane.expand(-1, 3, -1, -1), torch.zeros(count, 3, SIDE, SIDE)
    geometry = made_up(count, seed) if known else None
    return Faces(image, normals, plane, image, torch.zeros(count, 3, 9), maps, geometry)


def write(folder: Path, number: str, made: Faces) -> None:
    with write_pairs(folder, number, truth=True) as writer:
        writer.append(made[slice(0, 2)])
        writer.append(made[slice(2, len(made))])


def test_geometry_is_read_back_from_the_truth_file(tmp_path: Path) -> None:
    write(tmp_path, "01", faces(5))
    raw = FacePairs(find_pairs(tmp_path), truth=True, geometry=True).read([4, 1])
    expected = made_up(5).map(lambda x: x[[4, 1]])
    batch = decode(raw)
    found = batch.geometry
    assert found is not None
    torch.testing.assert_close(found.normals, expected.normals, atol=1e-3, rtol=0)
    torch.testing.assert_close(found.occlusion, expected.occlusion, atol=1e-3, rtol=0)
    assert torch.equal(found.parts, expected.parts)
    assert torch.equal(found.landmarks, expected.landmarks)
    first = batch.split(2)[1].geometry
    assert first is not None
    assert torch.equal(first.parts, expected.parts[1:])
    assert FacePairs(find_pairs(tmp_path), truth=True).read([0]).geometry is None


def test_older_truth_files_are_read_without(tmp_path: Path) -> None:
    write(tmp_path, "01", faces(3, known=False))
    with h5py.File(tmp_path / TRUTH, "a") as file:
        del file.attrs["version"]  # as before there were any
    write(tmp_path, "02", faces(3))
    files = find_pairs(tmp_path)
    assert len(read_truth(files[0], [0, 2])) == 2
    assert FacePairs(files[:1], geometry=True).read([0]).geometry is None
    mixed = FacePairs(files, geometry=True).read([5, 0, 3])
    assert mixed.truth is None
    assert mixed.geometry is not None
    assert torch.equal(mixed.geometry.parts[[0, 2]], made_up(3).parts[[2, 0]])
    assert (mixed.geometry.parts[1] == UNLABELLED).all()
    assert mixed.geometry.landmarks[1].isnan().all()


def test_pairs_of_photos_have_none(tmp_path: Path) -> None:
    with write_pairs(tmp_path, "01") as writer:
        writer.append(faces(2))
    assert FacePairs(find_pairs(tmp_path), geometry=True).read([0, 1]).geometry is None


def test_unknown_landmarks_stay_unknown(tmp_path: Path) -> None:
    made = faces(3)
    assert made.geometry is not None
    made.geometry.landmarks[1, 30:] = torch.nan
    write(tmp_path, "01", made)
    found = FacePairs(find_pairs(tmp_path), geometry=True).read([1]).geometry
    assert found is not None
    assert torch.equal(found.landmarks[0].isnan(), made.geometry.landmarks[1].isnan())


def test_faces_with_and_without_geometry_are_not_mixed_in_a_file(tmp_path: Path) -> None:
    for first in (True, False):
        with (
            pytest.raises(ValueError, match="write a pair of files for each"),
            write_pairs(tmp_path, "01", truth=True) as writer,
        ):
            writer.append(faces(2, known=first))
            writer.append(faces(2, known=not first))
    assert not list(tmp_path.glob("*.hdf5"))


DAMAGES = {
    "a label": ("parts", lambda v: np.where(v == 3, 9, v).astype(np.uint8), "holds 9; expected 0"),
    "labels in floats": ("parts", lambda v: v.astype(np.float32), "parts holds float32"),
    "normals in bytes": ("normals", lambda v: (v > 0).astype(np.uint8), "normals holds uint8"),
    "normals too long": ("normals", lambda v: 3 * v, "expected -1..1"),
    "normals NaN": ("normals", lambda v: np.nan * v, "normals of sample 0 holds NaN"),
    "occlusion": ("occlusion", lambda v: -v, "occlusion of sample 0 holds -"),
    "landmarks infinite": ("landmarks", lambda v: v * np.inf, "landmarks of sample 0 holds NaN or"),
    "landmarks of 5": ("landmarks", lambda v: v[:, :5], r"landmarks has shape \(3, 5, 2\)"),
    "parts missing": ("parts", None, "no data set 'parts'"),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_damaged_geometry_is_told(name: str, tmp_path: Path) -> None:
    write(tmp_path, "01", faces(3))
    where, change, cause = DAMAGES[name]
    with h5py.File(tmp_path / TRUTH, "a") as file:
        values = file[where][:]
        del file[where]
        if change is not None:
            file[where] = change(values)
    with pytest.raises(DataError, match=cause) as told:
        FacePairs(find_pairs(tmp_path), geometry=True).read([0, 1, 2])
    assert "\n" not in str(told.value)
    assert str(told.value).startswith(str(tmp_path / TRUTH))


@pytest.mark.parametrize("version", [0, 3, 2.0, "two", np.array([1, 2])])
def test_files_of_another_version_are_refused(version: object, tmp_path: Path) -> None:
    write(tmp_path, "01", faces(3))
    with h5py.File(tmp_path / TRUTH, "a") as file:
        file.attrs["version"] = version
    with pytest.raises(DataError, match=r"version .*; expected 1..2; update biofacenet"):
        read_truth(find_pairs(tmp_path)[0], [0])


def test_mirroring_exchanges_left_and_right() -> None:
    geometry = made_up(2)
    mirrored = geometry.mirrored()
    assert torch.equal(mirrored.parts[..., 0], geometry.parts[..., -1])
    assert torch.equal(mirrored.normals[:, 0, :, 0], -geometry.normals[:, 0, :, -1])
    assert torch.equal(mirrored.normals[:, 2, :, 0], geometry.normals[:, 2, :, -1])
    assert torch.equal(mirrored.landmarks[:, 36, 0], SIDE - geometry.landmarks[:, 45, 0])
    assert torch.equal(mirrored.landmarks[:, 8, 1], geometry.landmarks[:, 8, 1])
    twice = mirrored.mirrored()
    torch.testing.assert_close(twice.landmarks, geometry.landmarks)
    assert sorted(MIRRORED_LANDMARKS) == list(range(LANDMARKS))
    assert [MIRRORED_LANDMARKS[i] for i in MIRRORED_LANDMARKS] == list(range(LANDMARKS))


def test_a_smaller_picture_shows_what_most_of_each_pixel_is() -> None:
    geometry = made_up(1, side=4)
    geometry.parts[0, 0, :2, :2] = torch.tensor([[2, 2], [7, 2]])
    geometry.parts[0, 0, 2:, 2:] = UNLABELLED
    small = geometry.resized(2)
    assert small.parts[0, 0, 0, 0] == 2
    assert small.parts[0, 0, 1, 1] == UNLABELLED
    torch.testing.assert_close(small.landmarks, geometry.landmarks / 2)
    assert small.normals[0, :, 0].abs().max() == 0
    torch.testing.assert_close(small.normals[0, :, 1].norm(dim=0), torch.ones(2))


def test_changes_of_training_faces_reach_the_geometry() -> None:
    made = faces(4)
    batch = FaceBatch(
        made.image, made.mask, made.normals, made.mask, made.lighting, None, made.geometry
    )
    changes = augment.Changes(torch.tensor([True, False, True, False]), torch.ones(4))
    changed = augment.resize(augment.apply(batch, changes), 8).geometry
    assert changed is not None
    assert made.geometry is not None
    kept, mirrored = made.geometry.resized(8), made.geometry.mirrored().resized(8)
    assert torch.equal(changed.parts[0], mirrored.parts[0])
    assert torch.equal(changed.landmarks[1], kept.landmarks[1])


def test_part_names() -> None:
    assert PART_NAMES[part_index("lips")] == "lips"
    with pytest.raises(ValueError, match="expected one of background, skin"):
        part_index("ear")
