"""The renderer in Triton, for CUDA tensors: kernels, what launches them, and their block shapes.

A program renders a tile of pixels of one image, whose light and camera a launch before has folded into
a table. Each kernel is compiled once for a dtype and a set of wanted gradients, and not again for other
sizes. The backward pass recomputes the colours' ingredients from the inputs. Each program sums what all
pixels of an image share over several tiles and stores its sums; a second launch adds them up in a
fixed order. Without float atomics, equal inputs give equal bits.

With TRITON_INTERPRET=1 set before triton is first imported, the same kernels run on CPU tensors in
its interpreter: slowly, for tests, and never by `auto`.

This package itself can be imported without Triton; `launch` is the backend's code.
"""

import os

from ..registry import register

__all__ = ["INTERPRETED"]

INTERPRETED = os.environ.get("TRITON_INTERPRET") == "1"
"""Whether Triton's interpreter executes the kernels, on CPU tensors."""

register(
    "triton",
    f"{__name__}.launch",
    device="cpu" if INTERPRETED else "cuda",
    priority=None if INTERPRETED else 20,
    half=True,
    max_components=64,  # a pixel's are held in registers, all at once
)
