"""Parts of photographs by their landmarks, and who is on them, from the tables beside the photos."""

import csv
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from flat_network import save_flat_network
from PIL import Image
from skimage import data

from biofacenet.data.labels import has_labels, read_labels
from biofacenet.data.pair_files import find_pairs
from biofacenet.data.pairs import FacePairs
from biofacenet.decomposition.parts import PART_NAMES, UNLABELLED, part_index
from biofacenet.errors import DataError
from biofacenet.photos.boxes import Box
from biofacenet.preparation import landmarks, sample
from biofacenet.preparation.labels import Known, Tables
from biofacenet.preparation.landmarks import Landmarks
from biofacenet.preparation.outlines import parts_of_mesh, parts_of_points
from biofacenet.preparation.people import read_landmarks
from biofacenet.preparation.photos import prepare
from biofacenet.preparation.schemes import SCHEMES, Scheme
from biofacenet.preparation.settings import PhotoSettings

SIZE = 96


def ring(middle: tuple[float, float], across: float, down: float, count: int) -> np.ndarray:
    angle = 2.0 * np.pi * np.arange(count) / count
    return np.stack((middle[0] + across * np.cos(angle), middle[1] + down * np.sin(angle)), axis=1)


def drawn(number: int, opening: float = 4.0) -> np.ndarray:
    """Landmarks of a face of ellipses, in a picture of `SIZE`."""
    scheme: Scheme = SCHEMES[number]
    points = np.full((number, 2), SIZE / 2.0)
    shapes = [(scheme.face, (48, 48), 34, 44), (scheme.lips, (48, 72), 14, 8)]
    shapes += [(scheme.opening, (48, 72), 9, opening)]
    for side, eye, brow in zip((30, 66), scheme.eyes, scheme.brows, strict=True):
        shapes += [(eye, (side, 40), 8, 4), (brow, (side, 29), 10, 3)]
    for numbers, middle, across, down in shapes:
        points[list(numbers)] = ring(middle, across, down, len(numbers))
    return points


@pytest.mark.parametrize("number", SCHEMES)
def test_each_part_is_where_its_outline_is(number: int) -> None:
    skin = np.ones((SIZE, SIZE), bool)
    skin[60:62, 20:24] = False
    labels = parts_of_points(drawn(number), skin)
    expected = {
        (48, 55): "skin",
        (30, 40): "eyes",
        (66, 40): "eyes",
        (30, 29): "brows",
        (66, 29): "brows",
        (48, 78): "lips",
        (48, 72): "teeth",
    }
    for (column, row), name in expected.items():
        assert labels[row, column] == part_index(name), name
    # What nobody knows: outside of the face, what is no skin in it, and seams between parts.
    for column, row in ((2, 2), (48, 95), (22, 60), (30, 45)):
        assert labels[row, column] == UNLABELLED
    assert set(np.unique(labels)) <= {*range(len(PART_NAMES)), UNLABELLED}


@pytest.mark.parametrize("number", SCHEMES)
def test_a_closed_mouth_shows_no_teeth(number: int) -> None:
    labels = parts_of_points(drawn(number, opening=0.1), np.ones((SIZE, SIZE), bool))
    assert not (labels == part_index("teeth")).any()
    assert (labels == part_index("lips")).any()


@pytest.mark.parametrize("pale", [True, False])
def test_a_mesh_tells_teeth_and_brows_by_their_colour(pale: bool) -> None:
    """It has brows beside where they are, and an opening between lips that are closed."""
    image = np.ones((3, SIZE, SIZE)) * np.array([0.5, 0.25, 0.2])[:, None, None]
    image[:, 28:60, 24:30] *= 0.2
    if pale:
        image[:, 68:77, 39:57] = 0.5
    labels = parts_of_mesh(drawn(468), np.ones((SIZE, SIZE), bool), image)
    assert labels[72, 48] == (part_index("teeth") if pale else UNLABELLED)
    assert labels[78, 48] == part_index("lips")
    assert labels[40, 30] == labels[40, 66] == part_index("eyes")
    assert labels[55, 48] == part_index("skin")
    assert (labels[25:33, 31:38] == UNLABELLED).all()
    assert labels[29, 27] == part_index("brows")
    rows, columns = (labels == part_index("brows")).nonzero()
    assert rows.min() >= 28
    assert rows.max() <= 32
    assert columns.min() >= 24
    assert columns.max() <= 29


def test_a_mesh_beside_any_skin_labels_none() -> None:
    labels = parts_of_mesh(drawn(468), np.zeros((SIZE, SIZE), bool), np.ones((3, SIZE, SIZE)))
    assert not (labels == part_index("skin")).any()
    assert not (labels == part_index("brows")).any()


@pytest.mark.parametrize("certainty", [1.0, 0.2])
def test_photos_without_landmarks_are_labelled_by_the_mesh(
    certainty: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From photos to the labels beside the pairs, with a mesh of ellipses instead of the optional model's."""
    Image.fromarray(data.astronaut()).crop((60, 0, 380, 320)).save(tmp_path / "portrait.png")
    points = np.concatenate((drawn(468) / SIZE, np.zeros((468, 1))), axis=1)
    mesh = Landmarks(points, certainty)
    model = save_flat_network(tmp_path / "model")
    plain, meshed = (
        PhotoSettings((tmp_path / "portrait.png",), out=tmp_path / name, size=SIZE, holdout=0.0)
        for name in ("plain", "meshed")
    )
    plain, meshed = (
        replace(one, normals="network", workers=1, model=model) for one in (plain, meshed)
    )
    monkeypatch.setattr(landmarks, "available", lambda: False)
    prepare(plain)
    monkeypatch.setattr(landmarks, "available", lambda: True)
    monkeypatch.setattr(sample, "find_landmarks", lambda _: mesh)
    prepare(meshed)
    with (meshed.out / "index.csv").open(newline="") as stream:
        (row,) = csv.DictReader(stream)
    assert row["landmarks"] == "mesh"
    (before,), (after,) = find_pairs(plain.out), find_pairs(meshed.out)
    assert not has_labels(before)
    assert has_labels(after) == (certainty > 0.5)
    pairs = FacePairs([before]).read([0]), FacePairs([after]).read([0])
    assert torch.equal(pairs[0].channels, pairs[1].channels)
    if certainty < 0.5:
        return
    found = read_labels(after, np.array([0]))
    assert found is not None
    told = found.parts[0, 0].numpy()
    expected = {(30, 40): "eyes", (66, 40): "eyes", (48, 78): "lips"}
    for (column, down), name in expected.items():
        assert told[down, column] == part_index(name), name
    assert (told == part_index("skin")).any()


def test_points_follow_the_square_that_was_cut_out() -> None:
    points = np.array([[110.0, 60.0], [130.0, 80.0]])
    known = Known(points=points)
    found = known.points_in(Box(100, 50, 40), 80)
    np.testing.assert_allclose(found, [[20.0, 20.0], [60.0, 60.0]])
    assert known.points_in(Box(0, 0, 40), 80) is None  # another face's
    assert Known().points_in(Box(0, 0, 40), 80) is None
    box = Box(100, 50, 40, angle=30.0)
    turned = known.points_in(box, 80)
    assert turned is not None
    matrix = box.to_photo(80, 80)
    np.testing.assert_allclose(turned @ matrix[:, :2].T + matrix[:, 2], points)


def test_tables_say_who_is_on_a_photo_and_where_the_face_is(tmp_path: Path) -> None:
    for name in ("a_neutral.png", "a_smiling.png", "b.png", "stranger.png"):
        (tmp_path / name).touch()
    tables = Tables()
    assert tables.of(tmp_path / "a_neutral.png") == Known()
    (tmp_path / "people.csv").write_text("id,group\na,one\nb,two\nc,two\n")
    with (tmp_path / "landmarks.csv").open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["image", *(f"{axis}{i}" for i in range(189) for axis in "xy")])
        writer.writerow(["a_neutral.png", *drawn(189).flatten()])
    tables = Tables()
    first, second, other, nobody = (
        tables.of(tmp_path / name)
        for name in ("a_neutral.png", "a_smiling.png", "b.png", "stranger.png")
    )
    assert first.person == second.person == f"{tmp_path.name}/a"
    assert other.person == f"{tmp_path.name}/b"
    assert nobody.person == ""
    assert first.points is not None
    assert len(first.digest) == 8
    assert second.points is None
    assert second.digest == ""
    (tmp_path / "landmarks.csv").write_text("image,x0,y0\na_neutral.png,1,2\n")
    with pytest.raises(DataError, match=r"landmarks\.csv: 3 columns; expected"):
        Tables().of(tmp_path / "a_neutral.png")


def test_landmarks_of_real_faces_give_every_part_but_teeth() -> None:
    folder = os.environ.get("BIOFACENET_FACES_DIR")
    if not folder:
        pytest.skip("BIOFACENET_FACES_DIR does not name the photographs")
    points = read_landmarks(Path(folder) / "london")
    assert points is not None
    shares = np.zeros(len(PART_NAMES))
    for one in list(points.values())[:10]:
        low, high = one.min(axis=0), one.max(axis=0)
        there = Known(points=one).points_in(
            Box(*(int(v) for v in low - 60), int((high - low).max() + 120)), 128
        )
        assert there is not None
        labels = parts_of_points(there, np.ones((128, 128), bool))
        shares += [(labels == number).mean() for number in range(len(PART_NAMES))]
        assert all((labels == part_index(name)).any() for name in ("skin", "lips", "brows", "eyes"))
    assert shares[part_index("skin")] > 20 * shares[part_index("eyes")]
