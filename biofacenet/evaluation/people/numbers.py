"""The numbers of one person under one method."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ...decomposition import Decomposition
from ...decomposition.veil import veil_of
from ..metrics import albedo, masked_mean
from .methods import Found, Method
from .regions import Regions
from .views import PersonViews, Polarised
from .walls import WALLS

__all__ = ["SHOWN", "Numbers", "Sheet", "numbers_of"]

FLOOR = 1e-4
"""Least albedo and shading that a logarithm is taken of."""

GAINS = ("red+", "red-", "blue+", "blue-")

COLOURED = ("wall_red", "wall_green", "wall_blue")

OWN_SPOTS = {"melanin": 0.2, "haemoglobin": 0.5}
"""By how much a pigment's own map is raised in the middle of a spot, to its end at most."""

SHOWN = ("half", "side", "mirror", "highlight", "brown", "blood")
"""Changes that stand on a person's sheet."""

PIGMENTS = ("melanin", "haemoglobin")


@dataclass(frozen=True)
class Sheet:
    """What a person's sheet is drawn from: the photo, its changed copies and other photos."""

    labels: list[str]
    image: Tensor
    """(N, 3, S, S), linear sRGB."""
    decomposition: Decomposition
    mask: Tensor
    """(1, 1, S, S), skin in the unchanged photo."""


@dataclass(frozen=True)
class Numbers:
    """Of one person; what a method or a person has no photo for is not there."""

    id: str
    group: str
    values: dict[str, float]
    """By the names that `figures.MEASUREMENTS` asks for."""
    photos: dict[str, list[tuple[str, float]]] = field(default_factory=dict)
    """Mean of each pigment over cheeks and forehead, with the photo's expression, photo by photo."""
    sheet: Sheet | None = None
    """Of a method that decomposes."""


def numbers_of(method: Method, views: PersonViews) -> Numbers:
    """Measure a person.

    Args:
        method: what is measured; asked once for all images of the person.
        views: from `views.views_of`.
    """
    names = list(views.changed)
    images = [view.image for view in views.plain]
    images += [views.changed[name] for name in names] + [pair.image for pair in views.polarised]
    found = method(torch.cat(images))
    count = len(views.plain)
    plain = [found[i] for i in range(count)]
    changed = {name: found[count + i] for i, name in enumerate(names)}
    result = Numbers(views.person.id, views.person.group, {})
    pairs = [found[count + len(names) + i] for i in range(len(views.polarised))]
    result.values.update(_polarised(pairs, views.polarised))
    if not plain:
        return result
    for name in PIGMENTS:
        means = [
            (view.expression, _mean(getattr(one, name), view.regions.pigment))
            for one, view in zip(plain, views.plain, strict=True)
            if getattr(one, name) is not None
        ]
        if means:
            result.photos[name] = means
            result.values[name] = means[0][1]
            result.values.update(_changes(name, plain[0], changed, views))
    result.values.update(_plain(plain[0], views))
    if plain[0].decomposition is None:
        return result
    result.values.update(_known_places(plain[0], changed, views))
    result.values.update(_own_spots(method, plain[0], views))
    return replace(result, sheet=_sheet(plain, changed, views))


def _mean(values: Tensor, region: Tensor) -> float:
    return float(masked_mean(values.double(), region.double()))


def _rms(values: Tensor, region: Tensor) -> float:
    return float(masked_mean(values.double().square(), region.double()).sqrt())


# Of the unchanged photo ----------------------------------------------------------------------


def _plain(found: Found, views: PersonViews) -> dict[str, float]:
    values = {}
    regions = views.plain[0].regions
    if found.haemoglobin is not None:
        lips, cheeks = (_mean(found.haemoglobin, r) for r in (regions.lips, regions.cheeks))
        values["lips"] = lips - cheeks
    if found.decomposition is not None:
        inside = regions.pigment[0, 0] > 0
        values["melanosomes"] = 100.0 * float(
            found.decomposition.melanosomes()[0, 0][inside].median()
        )
        values["veil"] = float(
            veil_of(found.decomposition.diffuse, found.decomposition.specular, regions.mask)
        )
        error = found.decomposition.render() - views.plain[0].image
        values["rmse"] = _rms(error, regions.mask)
    return values


# Of changes whose answer is known --------------------------------------------------------------


def _changes(
    name: str, plain: Found, changed: dict[str, Found], views: PersonViews
) -> dict[str, float]:
    """By how much a pigment's map moves where it should stay."""
    regions, values = views.plain[0].regions, {}
    before: Tensor = getattr(plain, name)
    after = {
        key: views.returned(key, map_)
        for key, found in changed.items()
        if (map_ := getattr(found, name)) is not None
    }

    def moved(key: str) -> float:
        return _mean(after[key] - before, regions.pigment)

    for key in ("half", "scale", "jpeg"):
        values[f"{key}_{name}"] = moved(key)
    values[f"side_{name}"] = _sides(after["side"], regions) - _sides(before, regions)
    values[f"gain_{name}"] = float(np.mean([abs(moved(key)) for key in GAINS]))
    if all(key in after for key in WALLS):
        for key in ("wall_black", "wall_white"):
            values[f"{key}_{name}"] = moved(key)
        values[f"wall_coloured_{name}"] = float(np.mean([abs(moved(key)) for key in COLOURED]))
        values[f"wall_{name}"] = float(np.mean([abs(moved(key)) for key in WALLS]))
    for key in ("mirror", "shift"):
        values[f"{key}_{name}"] = _rms(after[key] - before, regions.mask)
    if views.implants is not None:
        change = after["side"] - before
        values[f"slope_{name}"] = _slope(change, views.implants.light.log(), regions.mask)
    return values


def _sides(values: Tensor, regions: Regions) -> float:
    return _mean(values, regions.left_cheek) - _mean(values, regions.right_cheek)


def _slope(values: Tensor, against: Tensor, mask: Tensor) -> float:
    """Of the straight line through values over the pixels of a mask."""
    inside = mask > 0
    y, x = values[inside].double(), against[inside].double()
    x = x - x.mean()
    return float((x * y).sum() / x.square().sum().clamp(min=1e-12))


def _share(found: Tensor, true: Tensor) -> float:
    """How much of what was implanted is found: the factor that brings the truth nearest to it."""
    return float((found * true).double().sum() / true.double().square().sum())


def _known_places(plain: Found, changed: dict[str, Found], views: PersonViews) -> dict[str, float]:
    """How much of what was implanted arrives where it belongs."""
    before, implants = plain.decomposition, views.implants
    assert before is not None
    assert implants is not None
    after = {key: found.decomposition for key, found in changed.items()}
    lit, glossy = after["side"], after["highlight"]
    assert lit is not None
    assert glossy is not None
    shading = (lit.diffuse.clamp(min=FLOOR) / before.diffuse.clamp(min=FLOOR)).log()
    values = {
        "slope_diffuse": _slope(shading, implants.light.log(), views.plain[0].regions.mask),
        "highlight": _share(
            _surface(glossy) - _surface(before), implants.highlight.expand(1, 3, -1, -1)
        ),
    }
    for spot, own in (("brown", "melanin"), ("blood", "haemoglobin")):
        known: Tensor = getattr(implants, spot)
        spotted = after[spot]
        assert spotted is not None
        values[f"{spot}_albedo"] = _share(_log_albedo(spotted) - _log_albedo(before), known)
        alone = replace(before, **{own: getattr(spotted, own)})
        values[f"{spot}_own"] = _share(_log_albedo(alone) - _log_albedo(before), known)
    return values


def _own_spots(method: Method, plain: Found, views: PersonViews) -> dict[str, float]:
    """How much is found of spots of more pigment as the method's own maps have the skin.

    The implants of `changes` darken all skin alike. What more of a pigment does to a colour depends on how
    much there is: where there is much melanin, red falls most. So these spots are rendered from the
    method's maps, with more pigment, and the photo changes by the same factors.
    """
    before, implants = plain.decomposition, views.implants
    assert before is not None
    assert implants is not None
    image, edited = views.plain[0].image, {}
    for name, most in OWN_SPOTS.items():
        raised: Any = (getattr(before, name) + implants.place * most).clamp(max=1.0)
        edited[name] = replace(before, **{name: raised})
    rendered = before.render().clamp(min=FLOOR)
    images = [image * one.render().clamp(min=FLOOR) / rendered for one in edited.values()]
    found = method(torch.cat(images))
    values = {}
    for number, (name, spotted) in enumerate(edited.items()):
        seen = found[number].decomposition
        assert seen is not None
        true = _log_albedo(spotted) - _log_albedo(before)
        values[f"own_{name}_albedo"] = _share(_log_albedo(seen) - _log_albedo(before), true)
        alone = replace(before, **{name: getattr(seen, name)})
        values[f"own_{name}"] = _share(_log_albedo(alone) - _log_albedo(before), true)
    return values


def _surface(found: Decomposition) -> Tensor:
    """Linear sRGB of the highlights: (1, 3, S, S)."""
    return found.render() - found.edit(specular_scale=0.0).render()


def _log_albedo(found: Decomposition) -> Tensor:
    return albedo(found).clamp(min=FLOOR).log()


# Pairs ---------------------------------------------------------------------------------------


def _polarised(found: list[Found], pairs: tuple[Polarised, ...]) -> dict[str, float]:
    """Means over a person's pairs."""
    values: dict[str, list[float]] = {}
    for one, pair in zip(found, pairs, strict=True):
        if one.decomposition is None:
            continue
        inside = pair.mask[0, 0] > 0
        seen = one.decomposition.specular[0, 0][inside].double()
        true = pair.specular.mean(dim=1)[0][inside].double()
        values.setdefault("polarised_specular", []).append(_correlation(seen, true))
        body = one.decomposition.edit(specular_scale=0.0).render()
        values.setdefault("polarised_body", []).append(_rms(body - pair.diffuse, pair.mask))
    return {name: float(np.mean(each)) for name, each in values.items()}


def _correlation(found: Tensor, true: Tensor) -> float:
    """Pearson's; 0 where nothing varies."""
    a, b = found - found.mean(), true - true.mean()
    return float((a * b).sum() / (a.norm() * b.norm()).clamp(min=1e-12))


# Pictures ------------------------------------------------------------------------------------


def _sheet(plain: list[Found], changed: dict[str, Found], views: PersonViews) -> Sheet:
    """The unchanged photo, one more photo where there is one, and what was changed."""
    labels, images, found = [], [], []
    for number, (one, view) in enumerate(zip(plain[:2], views.plain[:2], strict=True), start=1):
        labels.append(view.expression or f"photo {number}")
        images.append(view.image)
        found.append(one.decomposition)
    for name in SHOWN:
        labels.append(name)
        images.append(views.changed[name])
        found.append(changed[name].decomposition)
    known = [one for one in found if one is not None]
    mask = views.plain[0].regions.mask
    return Sheet(labels, torch.cat(images), Decomposition.join(known), mask)
