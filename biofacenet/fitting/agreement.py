"""Agreement of repeated measurements."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TypeAlias

import numpy as np

__all__ = ["icc_1", "icc_3_1", "within_deviation"]

Values: TypeAlias = "Sequence[float] | np.ndarray"
"""Of one person."""


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


def icc_1(people: Sequence[Values]) -> float:
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


def within_deviation(people: Sequence[Values]) -> float:
    """Standard deviation of measurements of one person about that person's mean, over all people.

    The root of the mean square within people of the one-way analysis of variance; whoever has one
    measurement does not count. Two measurements of a person differ by less than 1.96 sqrt(2) times it
    in 95 of 100 cases. NaN where nobody has two.

    Source: Bland and Altman, Measurement error, British Medical Journal 1996.
    """
    several = [np.asarray(values, float) for values in people if len(values) > 1]
    free = sum(len(values) - 1 for values in several)
    if not free:
        return math.nan
    return math.sqrt(sum(float(((v - v.mean()) ** 2).sum()) for v in several) / free)
