"""Many small least-squares problems with bounds at once, by the method of Levenberg and Marquardt.

Each problem goes its own way: its steps, its damping and its end depend on nothing else in the batch.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["Problems", "Solution", "minimise"]

FIRST_DAMPING, DAMPING_RANGE = 1e-3, (1e-9, 1e9)
"""Relative to the diagonal of the normal equations, which makes steps independent of units."""

AFTER_SUCCESS, AFTER_FAILURE = 0.2, 8.0
"""Factors on the damping."""

RELATIVE_CHANGE, ABSOLUTE_CHANGE = 1e-10, 1e-20
"""A problem is done when a step changes its error by no more."""

SHIFT = 1e-5
"""Of an unknown, for slopes by central differences."""

Function = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class Problems:
    """What is minimised: the sum of squares of each problem's residuals, within bounds."""

    residuals: Function
    """Of unknowns (n, U) and which of the N problems these are of (n,): (n, K)."""
    low: Tensor
    """(U,), may be infinite."""
    high: Tensor
    """(U,), may be infinite."""
    slopes: Function | None = None
    """The residuals' derivatives (n, K, U), of the same arguments; when not given, central
    differences, which ask for residuals a little beyond the bounds too.
    """

    def jacobian(self, unknowns: Tensor, which: Tensor) -> Tensor:
        """Derivatives of the residuals: (n, K, U)."""
        if self.slopes is not None:
            return self.slopes(unknowns, which)
        columns = []
        for shift in SHIFT * torch.eye(unknowns.shape[1]).to(unknowns):
            ahead, behind = (self.residuals(unknowns + sign * shift, which) for sign in (1.0, -1.0))
            columns.append((ahead - behind) / (2.0 * SHIFT))
        return torch.stack(columns, dim=2)


@dataclass(frozen=True)
class Solution:
    """Where the search ended."""

    unknowns: Tensor
    """(N, U), within the bounds."""
    error: Tensor
    """(N,), sum of squared residuals; never more than at the start."""


def minimise(problems: Problems, start: Tensor, *, steps: int) -> Solution:
    """Go downhill from a start until a step changes nothing any more, each problem by itself.

    Args:
        problems: what to minimise.
        start: (N, U), brought within the bounds; double precision is advised.
        steps: at most, taken and refused ones together.

    Example:
        >>> import torch
        >>> goal = torch.tensor([[0.5, 2.0], [-3.0, 0.0]])
        >>> problems = Problems(
        ...     lambda x, which: x - goal[which], torch.tensor([-1.0, -1.0]), torch.ones(2)
        ... )
        >>> minimise(problems, torch.zeros(2, 2), steps=20).unknowns.round(decimals=3).tolist()
        [[0.5, 1.0], [-1.0, 0.0]]
    """
    unknowns = torch.minimum(torch.maximum(start, problems.low), problems.high)
    left = torch.arange(len(start), device=start.device)  # the problems that are not done
    residuals = problems.residuals(unknowns, left)
    error = residuals.square().sum(dim=1)
    damping = torch.full_like(error, FIRST_DAMPING)
    down, up = error.new_tensor(AFTER_SUCCESS), error.new_tensor(AFTER_FAILURE)
    for _ in range(steps):
        if len(left) == 0:
            break
        tried = _step(problems, unknowns[left], residuals[left], damping[left], left)
        its_residuals = problems.residuals(tried, left)
        its_error = its_residuals.square().sum(dim=1)
        before = error[left]
        better = its_error < before
        done = (before - its_error).abs() <= RELATIVE_CHANGE * before + ABSOLUTE_CHANGE
        took = left[better]
        unknowns[took], residuals[took] = tried[better], its_residuals[better]
        error[took] = its_error[better]
        damping[left] = damping[left] * torch.where(better, down, up)
        damping.clamp_(*DAMPING_RANGE)
        left = left[~done]
    return Solution(unknowns, error)


def _step(
    problems: Problems, unknowns: Tensor, residuals: Tensor, damping: Tensor, which: Tensor
) -> Tensor:
    """Where one damped step leads, within the bounds."""
    jacobian = problems.jacobian(unknowns, which)
    gradient = torch.einsum("nki,nk->ni", jacobian, residuals)
    # An unknown at a bound that would leave it stays, and the others move alone.
    held = ((unknowns <= problems.low) & (gradient > 0.0)) | (
        (unknowns >= problems.high) & (gradient < 0.0)
    )
    jacobian = jacobian.masked_fill(held.unsqueeze(1), 0.0)
    gradient = gradient.masked_fill(held, 0.0)
    normal = jacobian.mT @ jacobian
    diagonal = torch.diagonal(normal, dim1=1, dim2=2)
    normal = normal + torch.diag_embed(damping.unsqueeze(1) * diagonal + 1e-12)
    tried = unknowns - torch.linalg.solve(normal, gradient)
    return torch.minimum(torch.maximum(tried, problems.low), problems.high)
