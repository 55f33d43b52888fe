"""Agreement of repeated measurements: published tables, ends, and what can be done by hand."""

import math

import numpy as np
import pytest

from biofacenet.fitting.agreement import icc_1, icc_3_1, within_deviation

SHROUT_AND_FLEISS = np.array(
    [[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]], float
)


def test_correlations_within_classes_are_the_published_ones() -> None:
    """Shrout and Fleiss 1979, tables 2 and 4."""
    assert icc_1(SHROUT_AND_FLEISS.tolist()) == pytest.approx(0.17, abs=0.005)
    assert icc_3_1(SHROUT_AND_FLEISS) == pytest.approx(0.71, abs=0.005)


def test_correlations_within_classes_at_their_ends() -> None:
    people = np.arange(5.0)[:, None]
    assert icc_3_1(people + np.array([0.0, 3.0])) == pytest.approx(1.0)
    assert icc_1([[x, x, x] for x in range(4)] + [[7.0]]) == pytest.approx(1.0)
    assert icc_1([[0, 1], [0, 1], [0, 1]]) == pytest.approx(-1.0)
    assert np.isnan(icc_3_1(people[:2] + np.array([0.0, 1.0])))
    assert np.isnan(icc_1([[1.0], [2.0], [3.0]]))


def test_deviation_within_people_by_hand() -> None:
    """Squares about the means: 2 of the first, 8 of the second, on 1 + 2 degrees of freedom."""
    people = [[1.0, 3.0], [4.0, 6.0, 8.0], [100.0]]
    assert within_deviation(people) == pytest.approx(math.sqrt((2.0 + 8.0) / 3.0))
    assert math.isnan(within_deviation([[1.0], [2.0], []]))
