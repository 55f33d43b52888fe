"""Pigments of maps under an edit, in physical steps: factors and amounts of what the skin holds."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor

from ..physics.skin import SKINS, from_axis, to_axis
from .edit import Edit, Pigment, pigment_of

__all__ = ["DARKEST_SKIN", "Maps", "changed_pigment", "median_of", "pigments_of"]

LEAST_SURE = 0.9
"""Share of skin from which a pixel counts for a median."""


class Maps(Protocol):
    """What is needed of a decomposition."""

    melanin: Tensor
    haemoglobin: Tensor

    @property
    def skin(self) -> str:
        """Name of the constants of the skin model that they are of."""

    def skin_share(self) -> Tensor | None:
        """(B, 1, H, W), where skin is; None where nobody knows."""


DARKEST_SKIN = {"measured": 0.5}
"""Melanin, in map units, up to which edits darken, 18 % of melanosomes: the darkest skin that the constants
were measured of. With more, what the model's surface returns outweighs the body, and skin turns grey. See
docs/skin.md."""


def changed_pigment(values: Tensor, added: float, factor: float) -> Tensor:
    """Values of a pigment's map with its fraction scaled, and then something added to the map."""
    return _changed(values, Pigment(factor, 0.0, added), largest=1.0)


def _changed(values: Tensor, change: Pigment, *, largest: float) -> Tensor:
    """Values of a map under a change; its end stands for the largest fraction."""
    # The fraction goes with the cube of u.
    u = to_axis(values)
    if change.amount == 0.0:
        u = u * change.factor ** (1.0 / 3.0)
    else:
        u = (change.factor * u**3 + change.amount / largest).clamp(min=0.0) ** (1.0 / 3.0)
    return (from_axis(u) + change.added).clamp(-1.0, 1.0)


def pigments_of(maps: Maps, edit: Edit) -> tuple[Tensor, Tensor]:
    """The maps of melanin and haemoglobin under a checked edit."""
    skin = SKINS[maps.skin]
    share = maps.skin_share()
    melanin = _evened(maps.melanin, share, edit.even_melanin)
    blood = maps.haemoglobin
    # Only where there is more than usual.
    blood = torch.minimum(blood, _evened(blood, share, edit.less_redness))
    both = (
        (melanin, "melanin", edit.melanin_scale, skin.max_melanosome_fraction),
        (blood, "haemoglobin", edit.haemoglobin_scale, skin.max_blood_fraction),
    )
    found = []
    for values, name, scale, largest in both:
        change = pigment_of(name, getattr(edit, name))
        whole = Pigment(change.factor * scale, change.amount, change.added)
        found.append(_changed(values, whole, largest=largest))
    return _as_skin_is(found[0], melanin, maps.skin), found[1]


def _as_skin_is(changed: Tensor, before: Tensor, skin: str) -> Tensor:
    """Melanin that an edit makes no darker than real skin is, or than it was."""
    end = DARKEST_SKIN.get(skin)
    return changed if end is None else changed.minimum(before.clamp(min=end))


def _evened(values: Tensor, skin: Tensor | None, share: float) -> Tensor:
    """Values with their fraction pulled towards that of the median, by a share of the way."""
    if share == 0.0:
        return values
    fraction, usual = to_axis(values) ** 3, to_axis(median_of(values, skin)) ** 3
    return from_axis(torch.lerp(fraction, usual, share) ** (1.0 / 3.0)).clamp(-1.0, 1.0)


def median_of(values: Tensor, skin: Tensor | None) -> Tensor:
    """(B, 1, 1, 1), the median over the skin of each image, or over all of it where none is known."""
    found = []
    for index, plane in enumerate(values):
        known = plane
        if skin is not None:
            sure = skin[index % len(skin)] > LEAST_SURE
            known = plane[sure] if bool(sure.any()) else plane
        found.append(known.reshape(-1).median())
    return torch.stack(found).reshape(-1, 1, 1, 1) if found else values.new_zeros(0, 1, 1, 1)
