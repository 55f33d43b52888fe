"""What this project asks of its network on people that nobody trained on.

These are the project's own targets, not published ones: set from what the network of 0.1.0, `fit` and plain
indices of colour reached on the 102 people of the Face Research Lab London Set, so that a network that
meets them all is no worse than any index and leaves dark skin no worse off than light skin.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

__all__ = ["TARGETS", "Target", "asked"]


@dataclass(frozen=True)
class Target:
    """A figure that is good enough: between two ends, either of which may be open."""

    least: float = -math.inf
    most: float = math.inf
    groups: Mapping[str, Target] = field(default_factory=dict)
    """Of groups of whom something else is asked than of all."""

    def met(self, value: float | None) -> bool | None:
        """Whether a figure is good enough; None without one, or where only groups are asked."""
        if value is None or self.open:
            return None
        return self.least <= value <= self.most

    def of(self, group: str) -> Target:
        """What is asked of a group."""
        return self.groups.get(group, self)

    @property
    def open(self) -> bool:
        """Whether nothing is asked of all."""
        return math.isinf(self.least) and math.isinf(self.most)

    def told(self) -> str:
        """In figures, such as ``≥ 0.99; black ≥ 0.97``."""
        words = [] if self.open else [self._ends()]
        words += [f"{name} {target._ends()}" for name, target in self.groups.items()]
        return "; ".join(words)

    def _ends(self) -> str:
        if math.isinf(self.most):
            return f"≥ {self.least:g}"
        if math.isinf(self.least):
            return f"≤ {self.most:g}"
        if self.least == -self.most:
            return f"±{self.most:g}"
        return f"{self.least:g} to {self.most:g}"


TARGETS: Mapping[str, Target] = {
    "repeat_melanin": Target(least=0.99),
    "repeat_haemoglobin": Target(least=0.975),
    "many_melanin": Target(least=0.5),
    "auc": Target(
        groups={
            "black": Target(least=0.999),
            "west_asian": Target(least=0.95),
            "east_asian": Target(least=0.95),
        }
    ),
    "melanosomes": Target(groups={"white": Target(1.0, 4.0), "black": Target(10.0, 30.0)}),
    "lips": Target(least=0.99, groups={"black": Target(least=0.97)}),
    "rmse": Target(most=0.012),
    "veil": Target(most=0.05),
    "half_melanin": Target(most=0.03),
    "half_map": Target(most=0.02),
    "side_melanin": Target(most=0.08),
    "slope_melanin": Target(-0.05, 0.05),
    "mirror_map": Target(most=0.01, groups={"black": Target(most=0.02)}),
    "brown_albedo": Target(least=0.7),
    "polarised_specular": Target(least=0.5),
}
"""By the key of a measurement. R or B 5 % off is compared with the best index instead: no method can tell
such a camera from redder skin."""

NOTHING = Target()


def asked(measurement: str) -> Target:
    """What is asked of a measurement; nothing of most."""
    return TARGETS.get(measurement, NOTHING)
