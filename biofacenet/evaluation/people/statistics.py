"""How well a number tells two groups apart."""

from __future__ import annotations

import math

import numpy as np
from scipy.stats import rankdata

__all__ = ["area_under_curve"]


def area_under_curve(group: np.ndarray, other: np.ndarray) -> float:
    """The share of pairs in which who is of the group has the larger number, ties counted half.

    NaN without a person on either side.
    """
    if not len(group) or not len(other):
        return math.nan
    ranks = rankdata(np.concatenate((group, other)))
    above = ranks[: len(group)].sum() - len(group) * (len(group) + 1) / 2.0
    return float(above / (len(group) * len(other)))
