"""What is said of edits follows from the figures of photos."""

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from benchmarks.edit_figures import EDITS, Figures, colours, markdown, summary
from benchmarks.edit_places import hairs, highlights, teeth_of
from benchmarks.edits import _contrast, written
from biofacenet.physics.colour import linear_to_srgb


def figures(person: str, melanin: float, change: float, level: float = 60.0) -> Figures:
    names = tuple(EDITS)
    first = person == "a"
    eyes, hair, whole = (1.0, np.nan, 0.1) if first else (3.0, 1.0, 0.3)
    outside = {"eyes": eyes, "brows": 2.0, "hair": hair, "wall": 0.0, "all": whole}
    return Figures(
        person=person,
        photo=f"{person}.jpg",
        group="white",
        melanin=melanin,
        blood=3.0 if person == "b" else 2.0,
        change=dict.fromkeys(names, change),
        even=dict.fromkeys(names, 0.99 if first else 0.97),
        outside=dict.fromkeys(names, outside),
        even_of_outline=dict.fromkeys(names, 0.8),
        even_by_model=dict.fromkeys(names, 1.0),
        texture=dict.fromkeys(names, 1.0),
        teeth={} if first else dict.fromkeys(names, 2.0),
        even_with_highlights=dict.fromkeys(names, 0.9),
        edge=dict.fromkeys(names, 0.9),
        edge_of_contrast=dict.fromkeys(names, 1.0),
        lab={"before": [level, 10.0, 12.0], "melanin x3": [level - 15.0, 12.0, 15.0]},
    )


def test_highlights_are_told_by_the_photo_and_edges_beside_their_contrast() -> None:
    image = torch.tensor((0.35, 0.2, 0.15)).reshape(1, 3, 1, 1).repeat(1, 1, 64, 64)
    image[..., 8:12, 8:12] = 0.8
    skin = np.zeros((64, 64), bool)
    skin[:, :32] = True
    found = highlights(image, skin)
    assert found[8:12, 8:12].all()
    assert found.sum() == 16
    # Skin on the left, dark hair that stays on the right; the edge of a perfect mask is of its contrast.
    share = (
        ((36.0 - torch.arange(64.0)) / 8.0).clamp(0.0, 1.0).reshape(1, 1, 1, 64).repeat(1, 1, 64, 1)
    )
    areas = SimpleNamespace(skin=share, head=torch.ones(1, 1, 64, 64))
    before = (share * 0.3 + (1.0 - share) * 0.02).repeat(1, 3, 1, 1)
    after = (share * 0.45 + (1.0 - share) * 0.02).repeat(1, 3, 1, 1)
    ratio = _contrast(SimpleNamespace(areas=areas), before, after)  # type: ignore[arg-type]
    light = [linear_to_srgb(torch.tensor(value)) for value in (0.3, 0.45, 0.02)]
    expected = float((light[1] - light[2]) / (light[0] - light[2]))
    np.testing.assert_allclose(ratio[:, 28:36], expected, rtol=0.05)
    assert expected > 1.2


def test_a_fringe_within_landmarks_is_no_skin_and_teeth_are_told_by_their_colour() -> None:
    side = 96
    rows, columns = np.mgrid[:side, :side]
    image = torch.tensor((0.42, 0.26, 0.19)).reshape(1, 3, 1, 1).repeat(1, 1, side, side)
    dark, blond, beard = (rows < 16) & (columns < 48), (rows < 16) & (columns >= 48), rows > 80
    for where, colour in (
        (dark, (0.04, 0.03, 0.02)),
        (blond, (0.30, 0.24, 0.12)),
        (beard, (0.05, 0.04, 0.03)),
    ):
        image[0, :, torch.from_numpy(where)] = torch.tensor(colour)[:, None]
    points = np.full((189, 2), 40.0)  # eyes, in the middle of the rows
    found = hairs(points, image, np.ones((side, side), bool))
    assert found[:13].all()
    assert not found[20:].any()  # a beard is below the eyes
    white = (rows > 60) & (rows < 66) & (columns > 40) & (columns < 56)
    image[0, :, torch.from_numpy(white)] = torch.tensor((0.6, 0.58, 0.5))[:, None]
    teeth = teeth_of(image, rows > 20, slice(0, side), slice(0, side))
    assert (teeth == white).all()


def test_the_summary_is_of_all_photos_and_ratios_of_equals_alone() -> None:
    found = [figures("a", 2.0, -0.5), figures("b", 2.02, -0.6), figures("c", 5.0, -1.5, 40.0)]
    table = summary(found)["melanin x3"]
    assert table["eyes, mean"] == pytest.approx(7.0 / 3.0)
    assert table["hair, mean"] == 1.0  # of those that have some
    assert table["all, most"] == 0.3
    assert table["teeth, mean"] == 2.0  # of those that show some
    assert table["even of the outline, mean"] == pytest.approx(0.8)
    assert table["even, share of photos from 99 %"] == pytest.approx(1.0 / 3.0)
    assert table["ratio of equals, most"] == pytest.approx(1.2)
    assert summary(found)["haemoglobin x0.5"]["ratio of equals, most"] == 1.0  # their blood differs
    assert table["same sign"] == 1.0
    other = [*found, figures("d", 9.0, 0.1)]
    assert summary(other)["melanin x3"]["same sign"] == 0.0
    assert colours(found)["tanned white skin, L*"] == 45.0
    text = markdown([*found, replace(figures("e", 7.0, -0.4), group="black")])
    assert "4 photos of 4 people" in text
    assert text.index("| black | 1 | melanin x3 | 0.9700") < text.index("| white | 3 |")
    listed = text[text.index("| least even") :].splitlines()[2:]
    assert [line.split(" | ")[0] for line in listed][-1] == "| a.jpg"


def test_smiling_photos_have_tables_of_their_own_without_what_needs_landmarks(
    tmp_path: Path,
) -> None:
    found = [figures("a", 2.0, -0.5), figures("b", 2.02, -0.6), figures("c", 5.0, -1.5, 40.0)]
    smiling = [replace(one, neutral=False, outside={}, photo="s.jpg") for one in found]
    text = written([*found, *smiling], ["a", "c"], tmp_path / "edits")
    assert text == (tmp_path / "edits.md").read_text("utf-8")
    assert "# Edits of 3 photos of 3 people" in text
    assert "Of smiling photos:\n\n## Edits of 3 photos" in text
    assert text.count("| eyes, mean |") == 2  # of the neutral ones, and of those held aside
    stored = json.loads((tmp_path / "edits.json").read_text("utf-8"))
    assert list(stored["summary"]) == [
        *("neutral", "others", "neutral, held aside", "others, held aside"),
    ]
    assert "eyes, mean" not in stored["summary"]["others"]["melanin x3"]
    assert len(stored["photos"]) == 6
