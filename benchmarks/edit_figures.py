"""What edits of photos are measured by, and the tables that are made of it."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from biofacenet.decomposition import Edit

__all__ = ["EDITS", "NOTE", "OUTSIDE", "Figures", "colours", "markdown", "summary"]

EDITS = {
    "melanin x3": Edit(melanin="x3"),
    "melanin x0.5": Edit(melanin="x0.5"),
    "haemoglobin x0.5": Edit(haemoglobin="x0.5"),
}

OUTSIDE = ("eyes", "brows", "hair", "wall")

NOTE = (
    "Skin is without hair by its colour within the landmarks' outline (fringes, temples, lashes) and without "
    "the edges of lips; `even of the outline` has both."
)
"""What readers of the tables should know."""

WORST = 10
"""How many photos are listed."""

BOTH = 0.1
"""Relative difference of blood up to which people count as equal in both pigments."""

EQUAL = 0.05
"""Relative difference of melanin up to which people count as equal."""


@dataclass
class Figures:
    """Of one photo."""

    person: str
    photo: str
    group: str
    melanin: float
    """Median of the skin, in percent."""
    blood: float = 0.0
    """The same of blood."""
    neutral: bool = True
    """Whether it is the first photo of a person, whose landmarks are those of the table."""
    change: dict[str, float] = field(default_factory=dict)
    """Median change of log luminance of the skin, by edit."""
    even: dict[str, float] = field(default_factory=dict)
    """Share of the skin's pixels within half to twice the median, highlights apart: these are to stay.
    Hair by its colour and the edges of the lips are apart, too."""
    even_of_outline: dict[str, float] = field(default_factory=dict)
    """The same of all that landmarks take in: with fringes, lashes and the edges of the lips."""
    even_by_model: dict[str, float] = field(default_factory=dict)
    """The same if each pixel changed as the skin model has it for its own pigments."""
    hairs: float = 0.0
    """Share of the landmarks' outline that is hair by its colour."""
    teeth: dict[str, float] = field(default_factory=dict)
    """Mean change of the teeth of a smile, in 255ths of sRGB, by edit."""
    even_with_highlights: dict[str, float] = field(default_factory=dict)
    """The same with highlights."""
    outside: dict[str, dict[str, float]] = field(default_factory=dict)
    """Mean change of places that are to stay, in 255ths of sRGB, by edit and place."""
    edge: dict[str, float] = field(default_factory=dict)
    """Mean gradient of sRGB luminance along the mask's edge, relative to that before, by edit."""
    texture: dict[str, float] = field(default_factory=dict)
    """The same of the skin itself, far from edges too: what lightens skin lightens its texture."""
    edge_of_contrast: dict[str, float] = field(default_factory=dict)
    """The same, relative to the gradient before times what the contrast on both sides becomes: skin that
    gets lighter beside dark hair that stays makes a steeper edge without any seam."""
    square: dict[str, float] = field(default_factory=dict)
    """The same along the border of the square, on skin."""
    lab: dict[str, list[float]] = field(default_factory=dict)
    """Median L*, a*, b* of the skin before and after, by edit."""


def summary(found: Sequence[Figures]) -> dict[str, dict[str, float]]:
    """What is asked of edits, by edit."""
    table: dict[str, dict[str, float]] = {}
    for name in EDITS:
        outside = [one.outside[name] for one in found if name in one.outside]
        table[name] = (_of_outside(outside) if outside else {}) | {
            "even, mean": float(np.mean([one.even[name] for one in found])),
            "even, least": min(one.even[name] for one in found),
            "even, share of photos from 99 %": float(
                np.mean([one.even[name] >= 0.99 for one in found])
            ),
            "even with highlights, mean": _mean(one.even_with_highlights[name] for one in found),
            "even of the outline, mean": _mean(one.even_of_outline[name] for one in found),
            "even by the skin model, mean": _mean(one.even_by_model[name] for one in found),
            "hair within the outline, mean": _mean(one.hairs for one in found),
            "change, least": min((one.change[name] for one in found), key=abs),
            "change, most": max((one.change[name] for one in found), key=abs),
            "same sign": float(len({one.change[name] > 0 for one in found}) == 1),
            "ratio of equals, most": _ratio_of_equals(found, name),
            "ratio of equals in both pigments, most": _ratio_of_equals(found, name, BOTH),
            "edge, mean": float(np.mean([one.edge[name] for one in found])),
            "edge, most": max(one.edge[name] for one in found),
            "texture, mean": _mean(one.texture[name] for one in found),
            "edge of contrast, mean": _mean(one.edge_of_contrast[name] for one in found),
            "edge of contrast, most": max(one.edge_of_contrast[name] for one in found),
            "square, most": max(one.square.get(name, 1.0) for one in found),
        }
        if teeth := [one.teeth[name] for one in found if name in one.teeth]:
            table[name] |= {"teeth, mean": _mean(teeth), "teeth, most": max(teeth)}
    return table


def _of_outside(outside: Sequence[dict[str, float]]) -> dict[str, float]:
    """What is to stay."""
    found = {
        f"{place}, mean": float(np.nanmean([one[place] for one in outside]))
        for place in (*OUTSIDE, "all")
    }
    return found | {"all, most": max(one["all"] for one in outside)}


def _mean(values: Iterable[float]) -> float:
    return float(np.mean(list(values)))


def _ratio_of_equals(found: Sequence[Figures], name: str, blood: float = math.inf) -> float:
    """Largest ratio of changes between two people whose melanin is equal, and blood where that is edited.

    Args:
        found: of people.
        name: of the edit.
        blood: relative difference of blood up to which two people count, whatever is edited.
    """
    ratios = [1.0]
    most = EQUAL if name.startswith("haemoglobin") else blood
    for one, other in itertools.combinations(found, 2):
        equal = abs(one.melanin / other.melanin - 1.0) < EQUAL
        equal &= abs(one.blood / other.blood - 1.0) < most
        if one.person != other.person and equal:
            ratio = one.change[name] / other.change[name]
            ratios.append(max(ratio, 1.0 / ratio))
    return max(ratios)


def colours(found: Sequence[Figures]) -> dict[str, float]:
    """How far tanned skin is from the colours of people: of a*, b* at the same L*, by straight lines."""
    real = np.array([one.lab["before"] for one in found])
    lines = [np.polyfit(real[:, 0], real[:, k], 1) for k in (1, 2)]
    spread = [float((real[:, k] - np.polyval(lines[k - 1], real[:, 0])).std()) for k in (1, 2)]
    low, high = real[:, 0].min(), real[:, 0].max()
    tanned = np.array([one.lab["melanin x3"] for one in found if one.group == "white"])
    table = {"people, SD of a*": spread[0], "people, SD of b*": spread[1]}
    if len(tanned):
        within = np.clip(tanned[:, 0], low, high)
        for k, name in ((1, "a*"), (2, "b*")):
            away = tanned[:, k] - np.polyval(lines[k - 1], within)
            table[f"tanned white skin, {name} beyond people's"] = float(np.median(away))
        hue = np.degrees(np.arctan2(tanned[:, 2], tanned[:, 1]))
        table["tanned white skin, hue"] = float(np.median(hue))
        table["tanned white skin, L*"] = float(np.median(tanned[:, 0]))
    hue = np.degrees(np.arctan2(real[:, 2], real[:, 1]))
    table |= {"people, least hue": float(hue.min()), "people, largest hue": float(hue.max())}
    return table


def markdown(found: Sequence[Figures]) -> str:
    """The summary as tables, with a title that wants its sign."""
    table = summary(found)
    photos, people = len(found), len({one.person for one in found})
    lines = [
        f"Edits of {photos} photos of {people} people",
        "",
        "| figure | " + " | ".join(table) + " |",
    ]
    lines.append("|---|" + "---:|" * len(table))
    for figure in next(iter(table.values())):
        values = (f"{one[figure]:.3f}" for one in table.values())
        lines += [f"| {figure} | " + " | ".join(values) + " |"]
    lines += ["", "| colour | |", "|---|---:|"]
    lines += [f"| {name} | {value:.1f} |" for name, value in colours(found).items()]
    lines += ["", *_by_group(found), "", *_worst(found)]
    return "\n".join(lines) + "\n"


def _least(one: Figures) -> float:
    return min(one.even.values())


def _by_group(found: Sequence[Figures]) -> list[str]:
    """Evenness, change and edges by group of people, the least even first."""
    groups: dict[str, list[Figures]] = {}
    for one in found:
        groups.setdefault(one.group, []).append(one)
    lines = [
        "| group | photos | edit | even, mean | even, least | from 99 % | change | edge of contrast |",
        "|---|---:|---|---:|---:|---:|---:|---:|",
    ]
    for group, ones in sorted(
        groups.items(), key=lambda item: np.mean([_least(x) for x in item[1]])
    ):
        for name in EDITS:
            even = np.array([one.even[name] for one in ones])
            change = np.median([one.change[name] for one in ones])
            edge = np.mean([one.edge_of_contrast[name] for one in ones])
            lines.append(
                f"| {group} | {len(ones)} | {name} | {even.mean():.4f} | {even.min():.3f} | "
                f"{(even >= 0.99).mean():.2f} | {change:.2f} | {edge:.2f} |"
            )
    return lines


def _worst(found: Sequence[Figures]) -> list[str]:
    """The least even photos."""
    lines = [
        "| least even | group | melanin, % | " + " | ".join(EDITS) + " |",
        "|---|---|---:|" + "---:|" * len(EDITS),
    ]
    for one in sorted(found, key=_least)[:WORST]:
        even = " | ".join(f"{one.even[name]:.3f}" for name in EDITS)
        lines.append(f"| {one.photo} | {one.group} | {one.melanin:.1f} | {even} |")
    return lines
