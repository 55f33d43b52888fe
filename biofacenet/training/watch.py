"""A watch on the four maps: one that fades while the others go on spoils a run without a sound."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from ..decomposition import Decomposition
from ..network.sizes import MAP_NAMES

__all__ = ["FADED", "Watch", "liveliness"]

FADED = 0.1
"""Share of its greatest liveliness below which a map is told to be dying."""


def liveliness(decomposition: Decomposition, mask: Tensor) -> Tensor:
    """What vanishes when a map goes to an end of its range; (4,), means over the pixels of the mask.

    Of melanin and haemoglobin that is 1 - map^2, which is 0 at both ends; of the shadings, themselves.

    Args:
        decomposition: maps (B, 1, H, W).
        mask: (B, 1, H, W), 0 or 1.
    """
    values = (
        1.0 - decomposition.melanin.square(),
        1.0 - decomposition.haemoglobin.square(),
        decomposition.diffuse,
        decomposition.specular,
    )
    inside = torch.stack([(value.detach() * mask).sum() for value in values])
    return inside / mask.sum().clamp(min=1.0)


class Watch:
    """Remembers how lively each map was, and says once when it has faded."""

    def __init__(self) -> None:
        self.sums: Tensor | None = None
        self.count = 0
        self.greatest = [0.0] * len(MAP_NAMES)
        self.told: set[str] = set()

    def see(self, decomposition: Decomposition, mask: Tensor) -> None:
        """Look at the maps of a step; nothing waits for the device."""
        found = liveliness(decomposition, mask)
        self.sums = found if self.sums is None else self.sums + found
        self.count += 1

    def warnings(self, step: int) -> Iterator[str]:
        """Judge what was seen since the last time.

        Args:
            step: number of the last step, for the message.

        Yields:
            A line for each map that has faded since; again only after it has come back.
        """
        if self.sums is None:
            return
        means = (self.sums / self.count).tolist()
        self.sums, self.count = None, 0
        for number, (name, mean) in enumerate(zip(MAP_NAMES, means, strict=True)):
            before = self.greatest[number]
            self.greatest[number] = max(before, mean)
            if mean >= FADED * before:
                self.told.discard(name)
            elif name not in self.told:
                self.told.add(name)
                what = "1 - map^2" if name in MAP_NAMES[:2] else "its mean"
                yield (
                    f"warning: the {name} map is dying: by step {step} {what} in the mask fell from "
                    f"{before:.3g} to {mean:.3g}; if it does not come back within some hundred steps, "
                    "start again with a lower --learning-rate, --precision float32 or another --seed"
                )
