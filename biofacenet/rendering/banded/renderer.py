"""Rendering with a backend that takes folding and rendering apart."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ...physics.illuminant import Illuminant
from ...physics.tables import Tables
from ...system.undisturbed import undisturbed
from ..accuracy import Accuracy
from . import operator
from .folding import FoldTables, fold
from .separable import SeparableSkin, factor

__all__ = ["Banded"]

BANDS = {"fast": 16, "default": 32, "exact": 33}


class Banded:
    """The tables of such backends, in each precision and on each device that they were asked for."""

    def __init__(self, tables: Tables, accuracy: Accuracy) -> None:
        def make() -> tuple[SeparableSkin, FoldTables]:
            skin = factor(tables.skin, BANDS[accuracy])
            return skin, FoldTables(tables, skin.mixing)

        self._source = undisturbed(make)
        self._converted: dict[
            tuple[torch.device, torch.dtype], tuple[SeparableSkin, FoldTables]
        ] = {}

    def prepared(
        self, device: torch.device, dtype: torch.dtype
    ) -> tuple[SeparableSkin, FoldTables]:
        """The tables on a device and in a dtype, converted once."""
        if (device, dtype) not in self._converted:
            skin, folding = self._source
            self._converted[device, dtype] = undisturbed(
                lambda: (skin.to(device, dtype), folding.to(device, dtype))
            )
        return self._converted[device, dtype]

    def render(
        self, maps: Sequence[Tensor], illuminant: Tensor | Illuminant, camera: Tensor, backend: str
    ) -> Tensor:
        """The image; light and camera of the maps' number dtype."""
        skin, folding = self.prepared(camera.device, camera.dtype)
        spectra = illuminant.weights if isinstance(illuminant, Illuminant) else illuminant
        batch = max(len(maps[0]), len(camera), len(spectra))
        maps = [m.expand(batch, -1, -1, -1) for m in maps]
        camera = camera.expand(batch, *camera.shape[1:])
        if isinstance(illuminant, Illuminant):
            illuminant = Illuminant(
                illuminant.weights.expand(batch, -1), illuminant.cct.expand(batch)
            )
        else:
            illuminant = illuminant.expand(batch, -1)
        with torch.autocast(camera.device.type, enabled=False):
            weights, highlight = fold(illuminant, camera, folding, backend=backend)
            image: Tensor = operator.render(
                *maps, weights, highlight, skin.epidermis, skin.dermis, backend
            )
        return image
