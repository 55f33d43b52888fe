"""From the numbers of people to the figures of a table, for all of them and by group.

"SD" is the standard deviation between all measured people of the pigment's mean over cheeks and forehead
in the unchanged photo, under the same method: the unit in which a method's maps and plain indices compare.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from ...fitting.agreement import icc_1, icc_3_1
from .numbers import Numbers
from .statistics import area_under_curve
from .targets import asked

__all__ = [
    "LEAST_PEOPLE",
    "MEASUREMENTS",
    "REFERENCE",
    "Measurement",
    "figures_of",
    "group_order",
    "groups_of",
    "spreads",
    "worse",
]

REFERENCE = "white"
"""The group that others are told apart from."""

LEAST_PEOPLE = 3
"""Smaller groups are shown, and never called the worst."""

People = Sequence[Numbers]


@dataclass(frozen=True)
class Measurement:
    """A row of the table."""

    key: str
    title: str
    right: float | None
    """The right answer; None where nobody knows it."""
    of: Callable[[People, People], float]
    """The figure of some people, among all; NaN where there is none."""
    unit: Literal["", "SD", "map", "%", "linear"] = ""
    """``map``: of the method's own map, and so not told of indices."""


# What is averaged, and how -------------------------------------------------------------------


def _known(people: People, key: str) -> np.ndarray:
    return np.array([one.values[key] for one in people if key in one.values], float)


def _mean(key: str) -> Callable[[People, People], float]:
    return lambda people, _: _of(np.mean, _known(people, key))


def _median(key: str) -> Callable[[People, People], float]:
    return lambda people, _: _of(np.median, _known(people, key))


def _above(key: str) -> Callable[[People, People], float]:
    """The share of people in whom it is above 0."""
    return lambda people, _: _of(np.mean, _known(people, key) > 0.0)


def _size(key: str) -> Callable[[People, People], float]:
    """Mean of absolute values."""
    return lambda people, _: _of(np.mean, np.abs(_known(people, key)))


def _rms(key: str) -> Callable[[People, People], float]:
    """Root of the mean square, each person counted alike."""
    return lambda people, _: math.sqrt(_of(np.mean, _known(people, key) ** 2))


def _of(function: Callable[[np.ndarray], Any], values: np.ndarray) -> float:
    return float(function(values)) if len(values) else math.nan


def _in_sd(
    figure: Callable[[People, People], float], pigment: str
) -> Callable[[People, People], float]:
    """A figure over the spread of a pigment between all people."""

    def of(people: People, everyone: People) -> float:
        spread = spreads(everyone).get(pigment, math.nan)
        return figure(people, everyone) / spread if spread > 0.0 else math.nan

    return of


def spreads(everyone: People) -> dict[str, float]:
    """Standard deviation between people of each pigment's mean; of two people or more."""
    found = {name: _known(everyone, name) for name in ("melanin", "haemoglobin")}
    return {name: float(values.std(ddof=1)) for name, values in found.items() if len(values) > 1}


def expressions(everyone: People) -> tuple[str, str] | None:
    """The two expressions that are compared: the usual one of first photos, and the usual other."""
    labels = [[label for label, _ in photos] for photos in _photos(everyone)]
    firsts = Counter(words[0] for words in labels if words[0])
    if not firsts:
        return None
    first = firsts.most_common(1)[0][0]
    others = Counter(
        label
        for words in labels
        if first in words
        for label in set(words)
        if label not in ("", first)
    )
    return (first, others.most_common(1)[0][0]) if others else None


def _photos(people: People, pigment: str | None = None) -> list[list[tuple[str, float]]]:
    found = []
    for one in people:
        names = [pigment] if pigment else list(one.photos)
        if names and names[0] in one.photos:
            found.append(one.photos[names[0]])
    return found


def _repeat(pigment: str) -> Callable[[People, People], float]:
    """ICC(3,1) of two expressions."""

    def of(people: People, everyone: People) -> float:
        both = expressions(everyone)
        if both is None:
            return math.nan
        photos = [dict(reversed(each)) for each in _photos(people, pigment)]
        rows = [[each[label] for label in both] for each in photos if set(both) <= set(each)]
        return icc_3_1(np.array(rows)) if rows else math.nan

    return of


def _many(pigment: str) -> Callable[[People, People], float]:
    """ICC(1) of photos of a person that nothing tells apart: of one expression, or of none named."""

    def of(people: People, _: People) -> float:
        several = []
        for each in _photos(people, pigment):
            usual = Counter(label for label, _ in each).most_common(1)[0][0]
            several.append([value for label, value in each if label == usual])
        return icc_1(several)

    return of


def _told_apart(people: People, everyone: People) -> float:
    """AUC of melanin of those who are of other groups, against the reference."""
    reference = [one for one in everyone if one.group == REFERENCE]
    others = [one for one in people if one.group != REFERENCE]
    return area_under_curve(_known(others, "melanin"), _known(reference, "melanin"))


# The rows ------------------------------------------------------------------------------------


def _both(key: str, title: str, figure: Callable[[str], Any]) -> tuple[Measurement, ...]:
    """A row for each pigment, in SD."""
    return tuple(
        Measurement(f"{key}_{p}", f"{title}: {p}", 0.0, _in_sd(figure(f"{key}_{p}"), p), "SD")
        for p in ("melanin", "haemoglobin")
    )


MEASUREMENTS: tuple[Measurement, ...] = (
    Measurement("repeat_melanin", "two expressions, ICC(3,1): melanin", 1.0, _repeat("melanin")),
    Measurement(
        "repeat_haemoglobin", "two expressions, ICC(3,1): haemoglobin", 1.0, _repeat("haemoglobin")
    ),
    Measurement("many_melanin", "many photos, ICC(1): melanin", 1.0, _many("melanin")),
    Measurement("many_haemoglobin", "many photos, ICC(1): haemoglobin", 1.0, _many("haemoglobin")),
    Measurement("auc", f"AUC of melanin against {REFERENCE}", 1.0, _told_apart),
    Measurement("melanosomes", "melanosomes, median", None, _median("melanosomes"), "%"),
    Measurement("lips", "lips redder than cheeks, share", 1.0, _above("lips")),
    Measurement("rmse", "RMSE in the mask", 0.0, _rms("rmse"), "linear"),
    Measurement("veil", "veil, specular by diffuse shading", None, _mean("veil")),
    *_both("half", "half exposure", _size),
    Measurement("half_map", "half exposure: melanin", 0.0, _size("half_melanin"), "map"),
    *_both("side", "side light, left less right", _size),
    Measurement(
        "slope_melanin", "side light, slope of melanin", 0.0, _mean("slope_melanin"), "map"
    ),
    Measurement("slope_diffuse", "side light, slope of ln diffuse", 1.0, _mean("slope_diffuse")),
    *_both("mirror", "mirrored, RMS", _rms),
    Measurement("mirror_map", "mirrored, RMS: melanin", 0.0, _rms("mirror_melanin"), "map"),
    *_both("gain", "R or B ±5 %", _mean),
    Measurement("highlight", "highlight, share in specular", 1.0, _mean("highlight")),
    Measurement("brown_albedo", "brown spot, share in albedo", 1.0, _mean("brown_albedo")),
    Measurement("brown_own", "brown spot, share by melanin", 1.0, _mean("brown_own")),
    Measurement("blood_albedo", "spot of blood, share in albedo", 1.0, _mean("blood_albedo")),
    Measurement("blood_own", "spot of blood, share by haemoglobin", 1.0, _mean("blood_own")),
    Measurement(
        "own_brown_albedo",
        "more melanin, as its own skin, share in albedo",
        1.0,
        _mean("own_melanin_albedo"),
    ),
    Measurement(
        "own_brown", "more melanin, as its own skin, share by melanin", 1.0, _mean("own_melanin")
    ),
    Measurement(
        "own_blood_albedo",
        "more blood, as its own skin, share in albedo",
        1.0,
        _mean("own_haemoglobin_albedo"),
    ),
    Measurement(
        "own_blood",
        "more blood, as its own skin, share by haemoglobin",
        1.0,
        _mean("own_haemoglobin"),
    ),
    *_both("wall", "another wall", _mean),
    Measurement("wall_black", "black wall: melanin", 0.0, _mean("wall_black_melanin"), "map"),
    Measurement("wall_white", "white wall: melanin", 0.0, _mean("wall_white_melanin"), "map"),
    Measurement(
        "wall_coloured", "coloured wall: melanin", 0.0, _mean("wall_coloured_melanin"), "map"
    ),
    *_both("shift", "shifted, RMS", _rms),
    *_both("scale", "wider framing", _size),
    *_both("jpeg", "JPEG", _size),
    Measurement(
        "polarised_specular", "polarised, correlation of specular", 1.0, _mean("polarised_specular")
    ),
    Measurement(
        "polarised_body",
        "polarised, RMSE of body reflection",
        0.0,
        _rms("polarised_body"),
        "linear",
    ),
)


def groups_of(people: People) -> dict[str, list[Numbers]]:
    """People by group, groups by name."""
    found: dict[str, list[Numbers]] = {}
    for one in sorted(people, key=lambda one: one.group):
        found.setdefault(one.group, []).append(one)
    return found


def figures_of(people: People, *, decomposes: bool) -> dict[str, Any]:
    """All figures of a method, ready for JSON.

    Args:
        people: their numbers.
        decomposes: whether the maps have the unit of the skin model.

    Returns:
        By measurement that there is something for: ``all``, ``groups`` (by name), ``worst``, the
        name of the group that is farthest from the right answer, ``target``, what is asked in words,
        and ``missed``, of whom it is asked in vain: ``all``, or names of groups.
    """
    found: dict[str, Any] = {}
    groups = groups_of(people)
    for one in MEASUREMENTS:
        if one.unit == "map" and not decomposes:
            continue
        everyone = _number(one.of(people, people))
        values = {name: _number(one.of(members, people)) for name, members in groups.items()}
        if everyone is None and not any(value is not None for value in values.values()):
            continue
        large = [name for name in values if len(groups[name]) >= LEAST_PEOPLE]
        bad = {name: b for name in large if (b := worse(one, values[name])) is not None}
        found[one.key] = {
            "all": everyone,
            "groups": values,
            "worst": max(bad, key=bad.__getitem__) if bad else None,
            "target": asked(one.key).told(),
            "missed": _missed(one.key, everyone, {name: values[name] for name in large}),
        }
    return found


def _missed(key: str, everyone: float | None, values: Mapping[str, float | None]) -> list[str]:
    """Who does not have what is asked: all of them together, or groups."""
    target = asked(key)
    groups = [name for name, value in values.items() if target.of(name).met(value) is False]
    return ["all", *groups] if target.met(everyone) is False else groups


def worse(measurement: Measurement, value: float | None) -> float | None:
    """How far a figure is from the right answer; None where one of the two is not known."""
    if value is None or measurement.right is None:
        return None
    return abs(value - measurement.right)


def group_order(figures: dict[str, Any], groups: Sequence[str]) -> list[str]:
    """Groups, the one that is the worst most often first."""
    counts = Counter(row["worst"] for row in figures.values() if row["worst"])
    return sorted(groups, key=lambda name: (-counts[name], name))


def _number(value: float) -> float | None:
    """JSON has no NaN."""
    return value if math.isfinite(value) else None
