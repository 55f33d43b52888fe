"""Agreement of repeated measurements, and how well a number tells two groups apart."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from scipy.stats import rankdata

__all__ = ["area_under_curve", "icc_1", "icc_3_1"]


def icc_3_1(pairs: np.ndarray) -> float:
    """ICC(3,1), consistency of single measurements: of (n, k), a row for each person.

    (MSR - MSE) / (MSR + (k - 1) MSE), of the two-way analysis of variance; 1 where measurements differ
    by the same constant in everyone. NaN below three people, or where nothing varies.

    Source: Shrout and Fleiss, Intraclass correlations: uses in assessing rater reliability,
    Psychological Bulletin 1979.
    """
    n, k = pairs.shape
    if n < 3 or k < 2:
        return math.nan
    middle = pairs.mean()
    rows = k * float(((pairs.mean(axis=1) - middle) ** 2).sum())
    columns = n * float(((pairs.mean(axis=0) - middle) ** 2).sum())
    total = float(((pairs - middle) ** 2).sum())
    of_rows, of_error = rows / (n - 1), max(total - rows - columns, 0.0) / ((n - 1) * (k - 1))
    below = of_rows + (k - 1) * of_error
    return (of_rows - of_error) / below if below > 0.0 else math.nan


def icc_1(people: Sequence[Sequence[float]]) -> float:
    """ICC(1), agreement of single measurements, any number of them a person.

    (MSB - MSW) / (MSB + (k - 1) MSW), of the one-way analysis of variance, k the mean number weighted
    as in Donner (A review of inference procedures for the intraclass correlation coefficient in the
    one-way random effects model, International Statistical Review 1986). Whoever has one measurement
    does not count. NaN below three people, or where nothing varies.
    """
    several = [np.asarray(values, float) for values in people if len(values) > 1]
    n = len(several)
    if n < 3:
        return math.nan
    counts = np.array([len(values) for values in several], float)
    total = counts.sum()
    middle = np.concatenate(several).mean()
    means = np.array([values.mean() for values in several])
    between = float((counts * (means - middle) ** 2).sum()) / (n - 1)
    within = sum(float(((v - m) ** 2).sum()) for v, m in zip(several, means, strict=True))
    within /= total - n
    k = (total - float((counts**2).sum()) / total) / (n - 1)
    below = between + (k - 1.0) * within
    return (between - within) / below if below > 0.0 else math.nan


def area_under_curve(group: np.ndarray, other: np.ndarray) -> float:
    """The share of pairs in which who is of the group has the larger number, ties counted half.

    NaN without a person on either side.
    """
    if not len(group) or not len(other):
        return math.nan
    ranks = rankdata(np.concatenate((group, other)))
    above = ranks[: len(group)].sum() - len(group) * (len(group) + 1) / 2.0
    return float(above / (len(group) * len(other)))
