"""Two photographs of a person have the same mean pigments; landmarks tell parts of photographs."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from biofacenet import Decomposition
from biofacenet.data.labels import labels_path, read_labels, read_persons, write_labels
from biofacenet.data.pair_files import find_pairs
from biofacenet.data.pairs_writing import write_pairs
from biofacenet.data.synthetic.faces import generate
from biofacenet.decomposition.parts import UNLABELLED, part_index
from biofacenet.errors import DataError, ModelError
from biofacenet.training.batches import faces_of_epoch
from biofacenet.training.distributed import join
from biofacenet.training.losses import TERMS
from biofacenet.training.photographs import photographs_of_step, together
from biofacenet.training.run import Run, set_up, write_checkpoint
from biofacenet.training.settings import Settings
from biofacenet.training.step import take_step
from biofacenet.training.symmetry import Change, Views, pairs_of_people, person_loss

SIZE = 16


def seen(persons: list[int], masks: Tensor | None = None) -> Views:
    count = len(persons)
    image = torch.full((count, 3, SIZE, SIZE), 0.2)
    mask = torch.ones(count, 1, SIZE, SIZE) if masks is None else masks
    nothing = torch.zeros(count, 1, SIZE, SIZE)
    still = Change(nothing, nothing, torch.zeros(count, SIZE, SIZE, 2))
    return Views(image, mask, image, mask, still, persons=torch.tensor(persons))


def test_only_the_mean_pigments_of_one_person_are_compared(
    random_decomposition: Callable[..., Decomposition],
) -> None:
    maps = random_decomposition(5, SIZE, SIZE).map(torch.Tensor.detach)
    masks = torch.zeros(5, 1, SIZE, SIZE)
    masks[..., 4:] = 1.0
    photos = seen([7, 7, 3, 4, 7], masks)
    assert pairs_of_people(photos).tolist() == [1.0, 0.0]
    inside = [maps.melanin[..., 4:].mean((1, 2, 3)), maps.haemoglobin[..., 4:].mean((1, 2, 3))]
    expected = sum(float((values[0] - values[1]) ** 2) for values in inside)
    found = person_loss(maps, photos, torch.tensor(1.0))
    assert float(found) == pytest.approx(expected, rel=1e-4)
    assert float(person_loss(maps, photos, torch.tensor(4.0))) == pytest.approx(
        expected / 4, rel=1e-4
    )
    # A smile moves pigments; it does not change how much of them there is.
    moved = replace(maps, melanin=maps.melanin.clone(), haemoglobin=maps.haemoglobin.clone())
    moved.melanin[1] = maps.melanin[0]
    moved.melanin[1, :, :, 4:] = maps.melanin[0, :, :, 4:].flip(2)
    moved.haemoglobin[1] = maps.haemoglobin[0]
    assert float(person_loss(moved, photos, torch.tensor(1.0))) == pytest.approx(0.0, abs=1e-10)


def test_nobody_is_compared_where_nobody_is_known() -> None:
    assert pairs_of_people(seen([-1, -1, -1, -1])).sum() == 0
    assert pairs_of_people(replace(seen([0, 0]), persons=None)).sum() == 0
    blank = torch.ones(2, 1, SIZE, SIZE)
    blank[1] = 0.0
    assert pairs_of_people(seen([0, 0], blank)).sum() == 0


def test_partners_are_other_photos_of_the_person_in_the_same_part() -> None:
    persons = [0, 0, 0, 1, 1, 2, -1, -1]
    numbers = torch.Generator().manual_seed(0)
    partners = set()
    for _ in range(40):
        chosen = [0, 5, 3, 5, 5, 2, 6, 2]
        together(chosen, 4, persons, numbers)
        assert chosen[::2] == [0, 3, 5, 6]
        assert chosen[5::2] == [2, 2]  # they have no other photo, or nobody knows who it is
        assert chosen[3] == 4
        partners.add(chosen[1])
    assert partners == {1, 2}
    alone = [0, 3, 5]
    together(alone, 1, persons, numbers)
    assert alone == [0, 3, 5]


# In training ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Faces of two persons, with some parts known."""
    folder = tmp_path_factory.mktemp("photos")
    faces = generate(range(6), size=32, skin="published")
    with write_pairs(folder, "01", tag="photos") as writer:
        writer.append(faces)
    (file,) = find_pairs(folder)
    parts = torch.where(faces.mask > 0, part_index("skin"), UNLABELLED).numpy().astype(np.uint8)
    parts[4] = UNLABELLED
    write_labels(labels_path(file), parts, np.array([0, 0, 0, 1, 1, 1]))
    return folder


def begun(photos: Path, out: Path, **changes: object) -> Run:
    settings = Settings(data=photos, photos=photos, out=out, device="cpu", precision="float32")
    settings = replace(
        settings, **{"batch_size": 4, "holdout": "none", "skin": "published", **changes}
    )
    with join("cpu") as alone:
        return set_up(settings, alone)


def terms(shares: Tensor) -> dict[str, float]:
    return dict(zip(TERMS, shares.tolist(), strict=True))


def test_labels_of_photographs_come_back(photos: Path) -> None:
    (file,) = find_pairs(photos)
    assert read_persons([file]).tolist() == [0, 0, 0, 1, 1, 1]
    found = read_labels(file, np.array([4, 1]))
    assert found is not None
    assert (found.parts[0] == UNLABELLED).all()
    assert (found.parts[1] == part_index("skin")).any()
    assert (found.normals == 0).all()


def test_persons_and_parts_count_by_their_weights(photos: Path, tmp_path: Path) -> None:
    run = begun(photos, tmp_path / "run", shape_weights=(0.0, 0.1))
    assert run.network.shape is not None
    batch = next(faces_of_epoch(run))
    drawn = photographs_of_step(run)
    assert drawn is not None
    (part,) = drawn.parts
    assert part.persons is not None
    assert part.persons[0] == part.persons[1]
    found = terms(take_step(run, batch))
    assert found["photo_person"] > 0
    assert found["photo_parts"] > 0
    # What photographs of faces have in common with the faces here, they are.
    other = begun(photos, tmp_path / "run", shape_weights=(0.0, 0.0))
    assert other.network.shape is None
    without = terms(take_step(other, batch))
    assert without["photo_parts"] == without["parts"] == 0.0
    assert without["photo_person"] > 0


def test_photographs_of_persons_in_parts_are_those_of_the_whole(
    photos: Path, tmp_path: Path
) -> None:
    whole = begun(photos, tmp_path / "run", shape_weights=(0.0, 0.1), batch_size=6)
    drawn = photographs_of_step(whole)
    assert drawn is not None
    with torch.no_grad():
        once = drawn.losses(whole.model, drawn.parts[0])[1]
        halves = drawn.parts[0].split(1)
        twice = sum(drawn.losses(whole.model, half)[1] for half in halves)
    torch.testing.assert_close(once, twice)


def test_other_persons_are_refused_when_a_run_goes_on(photos: Path, tmp_path: Path) -> None:
    run = begun(photos, tmp_path / "run")
    write_checkpoint(run)
    begun(photos, tmp_path / "run", resume=tmp_path / "run")
    (file,) = find_pairs(photos)
    before = labels_path(file).read_bytes()
    try:
        parts = np.full((6, 1, 32, 32), UNLABELLED, np.uint8)
        write_labels(labels_path(file), parts, np.array([0, 0, 0, 0, 1, 1]))
        with pytest.raises(ModelError, match="were others when the run began"):
            begun(photos, tmp_path / "run", resume=tmp_path / "run")
    finally:
        labels_path(file).write_bytes(before)


@pytest.mark.parametrize(
    ("parts", "persons", "said"),
    [
        (np.zeros((5, 1, 32, 32), np.uint8), np.zeros(6), "parts has shape"),
        (np.zeros((6, 1, 32, 32), np.float32), np.zeros(6), "parts has shape .* of float32"),
        (np.full((6, 1, 32, 32), 9, np.uint8), np.zeros(6), "parts of sample 0 holds what is no"),
        (np.zeros((6, 1, 32, 32), np.uint8), np.zeros(4), "person has shape"),
    ],
)
def test_damaged_labels_are_told_in_a_line(
    photos: Path, tmp_path: Path, parts: np.ndarray, persons: np.ndarray, said: str
) -> None:
    for path in photos.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    (file,) = find_pairs(tmp_path)
    write_labels(labels_path(file), parts, persons)
    with pytest.raises(DataError, match=said):
        read_labels(file, np.array([0, 1]))
        read_persons([file])
