"""The renderer in Triton, for CUDA tensors: kernels, what launches them, and their block shapes.

A program renders a tile of pixels of one image. Tables are read row-wise, a pixel's components next
to each other, so that a few threads share each row and every access is a full sector of the cache.
The backward pass recomputes the colours' ingredients from the inputs. Each program sums what all
pixels of an image share over several tiles and stores its sums; a second launch adds them up in a
fixed order. Without float atomics, equal inputs give equal bits.

With TRITON_INTERPRET=1 set before triton is first imported, the same kernels run on CPU tensors in
its interpreter: slowly, for tests.
"""

from .launch import DEVICE, backward, fold, fold_backward, forward, unavailable
from .shapes import MAX_COMPONENTS, Shape, candidates, shape, tuned

__all__ = [
    "DEVICE",
    "MAX_COMPONENTS",
    "Shape",
    "backward",
    "candidates",
    "fold",
    "fold_backward",
    "forward",
    "shape",
    "tuned",
    "unavailable",
]
