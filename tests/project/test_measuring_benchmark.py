"""The arithmetic of the benchmark of measuring, on rows that are made up."""

import math

import pytest
import torch

from benchmarks.measuring import OF_MELANIN, PHOTOS, QUANTITIES, Seen, figures_of, markdown, redness
from biofacenet.analysis.measuring.regions import REGIONS
from biofacenet.analysis.measuring.rows import Row


def person(
    value: float, smile: float, seen: tuple[str, ...] = tuple(REGIONS)
) -> dict[str, dict[str, Seen]]:
    """Someone whose quantities all have a value, and another in the smiling photo."""
    return {
        photo: {
            region: Seen(Row(dict.fromkeys(QUANTITIES[:-1], at)), at)
            if region in seen
            else Seen(Row({"pixels": 0}))
            for region in REGIONS
        }
        for photo, at in zip(PHOTOS, (value, value + smile), strict=True)
    }


def test_agreement_of_two_photos() -> None:
    shots = {
        "a": person(1.0, 0.5),
        "b": person(2.0, 0.5),
        "c": person(4.0, 0.5),
        "d": person(8.0, 0.5),
    }
    found = figures_of(shots)["blood_percent"]["nose"]
    assert found["icc_3_1"] == pytest.approx(1.0), "all by the same: consistent"
    assert found["within"] == pytest.approx(0.5 / math.sqrt(2.0))
    assert (found["least"], found["largest"], found["people"]) == (1.0, 8.5, 4)


def test_who_is_seen_in_one_photo_does_not_count() -> None:
    shots = {
        "a": person(1.0, 0.1),
        "b": person(2.0, -0.1),
        "c": person(3.0, 0.0),
        "d": person(9.0, 0.0),
    }
    shots["d"] = person(9.0, 0.0, seen=("skin",))
    found = figures_of(shots)
    assert found["ita_degrees"]["nose"]["people"] == 3
    assert found["ita_degrees"]["skin"]["people"] == 4
    nobody = figures_of({name: person(1.0, 0.0, seen=()) for name in "abc"})
    assert math.isnan(nobody["ita_degrees"]["nose"]["icc_3_1"])
    text = markdown({"all": found})
    assert "## 4 people, all" in text
    assert text.count("\n| ") == len(REGIONS) + 1


def test_redness_is_what_melanin_does_not_explain() -> None:
    mask = torch.zeros(1, 1, 10, 10)
    mask[..., :5] = 1.0
    image = torch.tensor([0.4, 0.2, 0.1])[None, :, None, None].repeat(1, 1, 10, 10)
    image[..., 5:] = 0.9
    expected = 100.0 * (1.0 - OF_MELANIN) * math.log10(2.0)
    assert redness(image, mask) == pytest.approx(expected, rel=1e-5)
    # More light is no redness; neither is more melanin, by which R/G rises half as much as G/B.
    assert redness(0.5 * image, mask) == pytest.approx(expected, rel=1e-5)
    darker = (
        image * torch.tensor([1.0, 1.2**-OF_MELANIN, 1.2 ** -(OF_MELANIN + 1.0)])[:, None, None]
    )
    assert redness(darker, mask) == pytest.approx(expected, rel=1e-4)
    redder = image * torch.tensor([1.1, 1.0, 1.0])[:, None, None]
    assert redness(redder, mask) > expected + 3.0
    assert math.isnan(redness(image, torch.zeros_like(mask)))
