"""Tensors without values, those of `FakeTensorMode`: constants beside them must be of their mode."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

__all__ = ["beside", "fake_mode"]


def fake_mode(tensor: Tensor) -> Any:
    """The mode that a tensor without values is of; None for any other, and while torch.compile traces."""
    if type(tensor) is Tensor or torch.compiler.is_compiling():
        return None
    return getattr(tensor, "fake_mode", None)


def beside(constant: Tensor, tensor: Tensor, dtype: torch.dtype | None = None) -> Tensor:
    """A constant to be computed with beside a tensor: on its device, and without values if it has none.

    Args:
        constant: any shape.
        tensor: any shape.
        dtype: of the result; that of the tensor when not given.
    """
    mode = fake_mode(tensor)
    if mode is not None and fake_mode(constant) is None:
        constant = mode.from_tensor(constant, static_shapes=True)
    return constant.to(tensor.device, dtype or tensor.dtype)
