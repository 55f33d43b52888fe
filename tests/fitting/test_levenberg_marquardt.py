"""The solver of many small problems: known optima, bounds, scipy's answers, and no talk between problems."""

import numpy as np
import pytest
import torch
from scipy.optimize import least_squares
from torch import Tensor

from biofacenet.fitting.levenberg_marquardt import Function, Problems, Solution, minimise

FREE = torch.full((2,), torch.inf, dtype=torch.float64)
TIMES = torch.linspace(0.0, 3.0, 9, dtype=torch.float64)


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def rosenbrock(x: Tensor, _: Tensor) -> Tensor:
    """Least, 0, at (1, 1), at the end of a bent valley."""
    return torch.stack((10.0 * (x[:, 1] - x[:, 0] ** 2), 1.0 - x[:, 0]), dim=1)


def rosenbrock_slopes(x: Tensor, _: Tensor) -> Tensor:
    one, zero = torch.ones_like(x[:, 0]), torch.zeros_like(x[:, 0])
    rows = torch.stack((-20.0 * x[:, 0], 10.0 * one)), torch.stack((-one, zero))
    return torch.stack(rows).permute(2, 0, 1)


def decay(x: Tensor) -> Tensor:
    """x0 exp(-x1 t), at some times: (N, 9)."""
    return x[:, :1] * torch.exp(-x[:, 1:2] * TIMES)


def decays(count: int, noise: float = 0.0) -> tuple[Tensor, Problems]:
    """True unknowns, in 0.5..2, and the problems of finding them in 0.2..1.5."""
    true = 0.5 + 1.5 * random(count, 2)
    seen = decay(true) + noise * (random(count, len(TIMES), seed=1) - 0.5)
    low, high = torch.full((2,), 0.2).double(), torch.full((2,), 1.5).double()
    return true, Problems(lambda x, which: decay(x) - seen[which], low, high)


@pytest.mark.parametrize("slopes", [None, rosenbrock_slopes])
def test_the_valley_is_followed_to_its_end_from_anywhere(slopes: Function | None) -> None:
    problems = Problems(rosenbrock, -FREE, FREE, slopes)
    found = minimise(problems, 6.0 * random(200, 2) - 3.0, steps=200)
    torch.testing.assert_close(found.unknowns, torch.ones(200, 2).double(), atol=1e-6, rtol=0)
    assert found.error.max() < 1e-12


def test_slopes_by_differences_are_those_by_formula() -> None:
    at, which = 4.0 * random(20, 2) - 2.0, torch.arange(20)
    by_differences = Problems(rosenbrock, -FREE, FREE).jacobian(at, which)
    torch.testing.assert_close(by_differences, rosenbrock_slopes(at, which), atol=1e-7, rtol=0)


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_the_best_point_of_a_face_where_the_free_one_lies_beyond(sign: float) -> None:
    """On x0 <= 0.5 Rosenbrock's residuals are least at (0.5, 0.25); mirrored, the face is a lower one."""
    start = sign * torch.tensor([[-1.0, 1.0], [0.3, -2.0], [0.5, 3.0]], dtype=torch.float64)
    face = torch.tensor([0.5, torch.inf], dtype=torch.float64)
    bounds = (-FREE, face) if sign > 0 else (-face, FREE)
    problems = Problems(lambda x, which: rosenbrock(sign * x, which), *bounds)
    found = minimise(problems, start, steps=40)
    expected = sign * torch.tensor([[0.5, 0.25]], dtype=torch.float64).expand(3, 2)
    torch.testing.assert_close(found.unknowns, expected, atol=1e-7, rtol=0)
    assert (found.unknowns[:, 0] == sign * 0.5).all()
    torch.testing.assert_close(found.error, torch.full((3,), 0.25).double())


def test_a_start_at_the_wrong_face_leaves_it() -> None:
    true, problems = decays(60)
    inside = (true < 1.4).all(dim=1)
    for face in (problems.low, problems.high):
        found = minimise(problems, face.expand(60, 2).clone(), steps=60)
        torch.testing.assert_close(found.unknowns[inside], true[inside], atol=1e-6, rtol=0)


def test_scipy_finds_the_same() -> None:
    _, problems = decays(40, noise=0.1)
    low, high = problems.low.numpy(), problems.high.numpy()
    found = minimise(problems, torch.full((40, 2), 0.7).double(), steps=60)
    assert (found.unknowns == 1.5).any()
    assert ((found.unknowns > 0.2) & (found.unknowns < 1.5)).any()
    for index in range(40):
        which = torch.tensor([index])

        def one(x: np.ndarray, which: Tensor = which) -> np.ndarray:
            return problems.residuals(torch.from_numpy(x)[None], which)[0].numpy()

        its = least_squares(one, [0.7, 0.7], bounds=(low, high), xtol=1e-12, ftol=1e-12, gtol=1e-12)
        np.testing.assert_allclose(found.unknowns[index], its.x, atol=1e-5)
        assert float(found.error[index]) <= 2.0 * its.cost + 1e-10


def test_a_problem_does_not_know_what_else_is_in_the_batch() -> None:
    _, problems = decays(30, noise=0.1)
    start = 0.3 + random(30, 2, seed=2)

    def solved(which: Tensor) -> Solution:
        some = Problems(
            lambda x, part: problems.residuals(x, which[part]), problems.low, problems.high
        )
        return minimise(some, start[which], steps=12)

    together = solved(torch.arange(30))
    for which in (torch.tensor([17]), torch.arange(29, -1, -1), torch.tensor([4, 4, 21])):
        apart = solved(which)
        torch.testing.assert_close(apart.unknowns, together.unknowns[which], atol=1e-12, rtol=0)
        torch.testing.assert_close(apart.error, together.error[which], atol=1e-14, rtol=1e-12)


def test_a_broken_neighbour_does_no_harm() -> None:
    """A problem without numbers stays where it is, within its bounds."""
    true, problems = decays(8)
    broken = torch.arange(8) == 3

    def residuals(x: Tensor, which: Tensor) -> Tensor:
        return problems.residuals(x, which).masked_fill(broken[which].unsqueeze(1), torch.nan)

    start = torch.ones(8, 2).double()
    found = minimise(Problems(residuals, -FREE, FREE), start, steps=60)
    torch.testing.assert_close(found.unknowns[~broken], true[~broken], atol=1e-6, rtol=0)
    assert torch.equal(found.unknowns[broken], start[broken])


def test_no_step_is_worse_and_the_start_is_brought_within_bounds() -> None:
    _, problems = decays(30, noise=0.3)
    start = torch.full((30, 2), 9.0).double()
    errors = torch.stack([minimise(problems, start, steps=n).error for n in range(8)])
    assert (errors.diff(dim=0) <= 0.0).all()
    assert torch.equal(minimise(problems, start, steps=0).unknowns, problems.high.expand(30, 2))
    assert torch.equal(start, torch.full((30, 2), 9.0).double())


def test_no_problems_at_all() -> None:
    _, problems = decays(4)
    found = minimise(problems, torch.zeros(0, 2).double(), steps=5)
    assert found.unknowns.shape == (0, 2)
    assert found.error.shape == (0,)
