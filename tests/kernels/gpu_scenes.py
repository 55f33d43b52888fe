"""What the tests of the GPU kernels render, and how they compare it with plain torch."""

import os
from dataclasses import replace

import torch
from torch import Tensor

from biofacenet import Tables
from biofacenet.rendering import operator
from biofacenet.rendering.basis import Basis
from biofacenet.rendering.half_folded import HalfFolded, render_lit

MODE = os.environ.get("BIOFACENET_TEST_GPU", "gpu")
ON_GPU = MODE == "gpu"
INTERPRETED = MODE == "interpreter"
DEVICE = "cuda" if ON_GPU else "cpu"
BACKENDS = {"gpu": ("triton", "cuda"), "interpreter": ("triton",), "imitation": ("cuda",)}[MODE]
NAMES = (
    *("melanin", "haemoglobin", "diffuse", "specular"),
    *("mixture", "cct", "spectrum", "camera", "weights", "highlight"),
)

SIZES = [(1, 1, 1), (2, 1, 63), (1, 63, 1), (2, 33, 65), (9, 3, 5), (1, 32, 48)]
SOME = (3, 9, 23)
"""An image of several tiles, the last of them not full."""
if ON_GPU:
    SIZES += [(1, 1024, 1024), (512, 64, 64), (7, 500, 999)]
if INTERPRETED:  # which takes milliseconds for each operation of a tile
    SIZES = [(1, 1, 1), (2, 7, 11), (1, 13, 20)]
    SOME = (2, 7, 11)

TABLES = Tables.computed()
KINDS = {"mixture": ("mixture", "cct", "camera"), "spectrum": ("spectrum", "camera")}
KINDS["weights"] = ("weights", "highlight")


def half_folded(p: int, q: int, dtype: torch.dtype, melanin_fixed: bool = True) -> HalfFolded:
    """A made-up skin of so many functions, whose colours lie about 0..1."""
    functions, others = torch.rand(19, p) / p**0.5, torch.rand(33, q) / q**0.5
    mixing = (0.5 + torch.rand(33, q, p)) / (p * q) ** 0.5
    basis = Basis(functions.double(), others.double(), mixing.double(), melanin_fixed)
    return HalfFolded.of(TABLES, basis).to(DEVICE, dtype)


def uniform(low: float, high: float, *shape: int) -> Tensor:
    return low + (high - low) * torch.rand(*shape, dtype=torch.float64)


def scene(
    size: tuple[int, int, int],
    dtype: torch.dtype,
    light: str = "mixture",
    lights: int | None = None,
    maps: torch.dtype | None = None,
) -> list[Tensor | None]:
    """The ten tensors of the operator, maps a little beyond their ranges."""
    batch, *plane = size
    lights = batch if lights is None else lights
    tensors = {
        "melanin": uniform(-1.1, 1.1, batch, 1, *plane),
        "haemoglobin": uniform(-1.1, 1.1, batch, 1, *plane),
        "diffuse": uniform(0.2, 1.5, batch, 1, *plane),
        "specular": uniform(-0.1, 0.4, batch, 1, *plane),
        "mixture": torch.softmax(3.0 * uniform(0.0, 1.0, lights, 14), dim=1),
        "cct": uniform(3500.0, 26000.0, lights),
        "spectrum": uniform(0.1, 1.0, lights, 33),
        "camera": uniform(-2.5, 2.5, lights, 2),
        "weights": uniform(-0.02, 0.06, lights, 3, 33),
        "highlight": uniform(0.5, 1.0, lights, 3),
    }
    kept = (*NAMES[:4], *KINDS[light])
    return [
        tensors[name].to(DEVICE, maps or dtype if name in NAMES[:4] else dtype)
        if name in kept
        else None
        for name in NAMES
    ]


def exact(tensors: list[Tensor | None], skin: HalfFolded) -> tuple[list[Tensor | None], Tensor]:
    """Leaves and image in float64, by plain torch."""
    basis = replace(
        skin.basis,
        **{n: getattr(skin.basis, n).double() for n in ("functions", "others", "mixing")},
    )
    double = HalfFolded.of(TABLES.to(DEVICE), basis)
    leaves = [None if t is None else t.detach().double().requires_grad_() for t in tensors]
    images = max(len(t) for t in leaves if t is not None)
    given = [t if t is None or len(t) == images else t.expand(images, *t.shape[1:]) for t in leaves]
    return leaves, render_lit(tuple(given), double)


def compare(
    backend: str, tensors: list[Tensor | None], skin: HalfFolded, digits: float, of_light: float
) -> None:
    """Image and all gradients against plain torch, outputs poisoned by `new_empty` or not."""
    leaves, expected = exact(tensors, skin)
    inputs = [None if t is None else t.detach().requires_grad_() for t in tensors]
    image = operator.render(inputs[:4], tuple(inputs[4:]), skin, backend)
    # Rounding alone decides whether what is nearly 0 was clipped.
    upward = torch.randn_like(expected) * (expected.abs() > 1e-3)
    assert (image.double() - expected).abs().max() <= digits * max(
        1.0, float(expected.detach().max())
    )
    present = [t for t in inputs if t is not None]
    found = torch.autograd.grad(image, present, upward.to(image.dtype))
    true = torch.autograd.grad(expected, [t for t in leaves if t is not None], upward)
    names = [name for name, t in zip(NAMES, inputs, strict=True) if t is not None]
    rounding = digits * (
        10 + expected[0, 0].numel()
    )  # of the sums over pixels, much of which cancels
    for name, one, other in zip(names, found, true, strict=True):
        assert one.shape == other.shape, name
        assert one.dtype == dict(zip(NAMES, tensors, strict=True))[name].dtype, name
        most = (
            of_light * other.abs().max() + rounding
            if name in NAMES[4:]
            else (40.0 * digits * other.abs().max())
        )
        assert (one.double() - other).abs().max() <= most, name
