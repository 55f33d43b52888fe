"""What compares training faces with photographs of people."""

from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks.face_statistics import PARTS, Crop, coverage, statistics_of, training_faces
from benchmarks.feature_shapes import shapes_of
from biofacenet.data.pair_files import find_pairs
from biofacenet.data.pairs import FacePairs
from biofacenet.decomposition.parts import part_index
from biofacenet.preparation.settings import SyntheticSettings
from biofacenet.preparation.synthetic import synthesize


def crop_of(image: torch.Tensor, colours: list[list[float]]) -> Crop:
    everywhere = torch.ones(image.shape[1:], dtype=torch.bool)
    return Crop(image, everywhere, dict.fromkeys(PARTS, everywhere), np.array(colours), "light")


def test_the_nearest_skin_counts_and_brightness_apart() -> None:
    grey = torch.full((3, 16, 16), 0.5)
    person = crop_of(grey, [[0.5, 0.2, -1.0], [0.5, 0.1, -0.5]])
    faces = [
        crop_of(grey, [[0.5, 0.2, -1.4], [0.53, 0.14, -0.5]]),
        crop_of(grey, [[9.0, 9.0, 9.0]] * 2),
    ]
    far = coverage([person], faces)
    assert far.shape == (1, 2, 2)
    assert far[0, 0, 0] == pytest.approx(0.0)  # the colour alone
    assert far[0, 0, 1] == pytest.approx(0.4)  # and by ln Y
    assert far[0, 1] == pytest.approx([0.05, 0.05])


def test_blocks_and_highlights_are_seen() -> None:
    noise = 0.02 * torch.rand(3, 64, 64, generator=torch.Generator().manual_seed(0))
    blocks = torch.arange(64).div(8, rounding_mode="floor").remainder(2) * 0.1
    plain, blocky = (
        statistics_of([crop_of(0.4 + noise + step, [[0.0] * 3] * 2)]) for step in (0.0, blocks)
    )
    name = next(name for name in plain if name.startswith("JPEG"))
    assert 0.7 < float(plain[name][0]) < 1.3
    assert float(blocky[name][0]) > 5.0
    bright = (0.4 + noise).clone()
    bright[:, :8, :16] = 0.95
    name = next(name for name in plain if name.startswith("highlights"))
    assert float(plain[name][0]) == 0.0
    found = statistics_of([crop_of(bright, [[0.0] * 3] * 2)])
    assert float(found[name][0]) == pytest.approx(8 * 16 / 64**2)


def test_training_faces_have_the_colour_of_their_pigments(tmp_path: Path) -> None:
    synthesize(
        SyntheticSettings(
            out=tmp_path / "set", count=4, holdout=0, size=64, workers=0, skin="measured", seed=4
        )
    )
    faces = training_faces(tmp_path / "set")
    assert faces
    geometry = FacePairs(find_pairs(tmp_path / "set"), geometry=True).read(range(4)).geometry
    assert geometry is not None
    labelled = [parts == part_index("lips") for parts in geometry.parts[:, 0]]
    assert all(
        any((face.parts["lips"] <= lips).all() and lips.any() for lips in labelled)
        for face in faces
    )
    for face in faces:
        assert np.isfinite(face.colours).all()
        red, yellow, bright = face.colours.T
        assert (red > 0.0).all()  # skin is red before it is green, in any light once balanced
        assert (np.abs(yellow) < 1.0).all()
        assert ((bright > -3.0) & (bright < 0.0)).all()


def drawn(shift: int = 0, left_width: int = 12) -> np.ndarray:
    """Eyes 40 apart and 5 high, brows 13 above their middles, lips 30 by 6."""
    labels = np.zeros((128, 128), np.uint8)
    for middle, width in ((44, left_width), (84, 12)):
        labels[50:55, middle - width // 2 : middle + width // 2] = part_index("eyes")
        labels[38 - shift : 41 - shift, middle - 8 : middle + 8] = part_index("brows")
    labels[90:96, 49:79] = part_index("lips")
    return labels


def test_shapes_of_features_are_measured_in_distances_of_the_eyes() -> None:
    found = shapes_of(drawn())
    assert found is not None
    assert found == pytest.approx(
        {
            "brows over eyes": 13 / 40,
            "brows, inner ends from the middle": 12.5 / 40,
            "brows, outer ends from the middle": 27.5 / 40,
            "brows, fall to the outer ends": 0.0,
            "eyes, width": 12 / 40,
            "eyes, area by width": 5 / 40,
            "lips, width": 30 / 40,
            "lips, area by width": 6 / 40,
        },
        abs=0.02,
    )
    raised = shapes_of(drawn(shift=4))
    assert raised is not None
    assert raised["brows over eyes"] == pytest.approx(17 / 40, abs=0.01)


def test_shapes_are_those_of_faces_that_look_ahead() -> None:
    assert shapes_of(drawn(left_width=8)) is None
    assert shapes_of(np.zeros((64, 64), np.uint8)) is None
    without = drawn()
    without[without == part_index("brows")] = 0
    assert shapes_of(without) is None
