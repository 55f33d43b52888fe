"""How records of tensors show themselves: by shapes, not by thousands of numbers."""

from __future__ import annotations

import dataclasses
from typing import Any

__all__ = ["Brief"]

LONGEST = 60
"""Of texts and bytes, that are shown whole."""


class Brief:
    """For dataclasses (with ``repr=False``): tensors and arrays appear as type, shape and device.

    Nothing waits for a GPU, and tensors without values, such as those that are traced, show the same.

    Example:
        >>> import torch
        >>> from biofacenet import Illuminant
        >>> Illuminant(torch.rand(2, 14), torch.full((2,), 6504.0))
        Illuminant(weights=float32 (2, 14), cct=float32 (2,))
    """

    def __repr__(self) -> str:
        fields = dataclasses.fields(self)  # type: ignore[arg-type]
        parts = [f"{field.name}={_brief(getattr(self, field.name))}" for field in fields]
        return f"{type(self).__qualname__}({', '.join(parts)})"


def _brief(value: Any) -> str:
    if hasattr(value, "shape") and hasattr(value, "dtype"):
        kind = str(value.dtype).removeprefix("torch.")
        device = str(getattr(value, "device", "cpu"))
        return f"{kind} {tuple(value.shape)}" + ("" if device == "cpu" else f" on {device}")
    if isinstance(value, bytes) and len(value) > LONGEST:
        return f"{len(value)} bytes"
    return repr(value)
