"""What is said of edits follows from the figures of photos."""

from dataclasses import replace

import numpy as np
import pytest

from benchmarks.edit_figures import EDITS, Figures, colours, markdown, summary


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
        even_with_highlights=dict.fromkeys(names, 0.9),
        edge=dict.fromkeys(names, 0.9),
        edge_of_contrast=dict.fromkeys(names, 1.0),
        lab={"before": [level, 10.0, 12.0], "melanin x3": [level - 15.0, 12.0, 15.0]},
    )


def test_the_summary_is_of_all_photos_and_ratios_of_equals_alone() -> None:
    found = [figures("a", 2.0, -0.5), figures("b", 2.02, -0.6), figures("c", 5.0, -1.5, 40.0)]
    table = summary(found)["melanin x3"]
    assert table["eyes, mean"] == pytest.approx(7.0 / 3.0)
    assert table["hair, mean"] == 1.0  # of those that have some
    assert table["all, most"] == 0.3
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
