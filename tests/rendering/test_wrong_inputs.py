"""Every public way to an image answers what is no map, light or camera in one line that names it."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

import biofacenet
from biofacenet import Illuminant, Renderer, reference

SHAPE = (2, 1, 3, 4)
GOOD = {
    "melanin": torch.zeros(SHAPE),
    "haemoglobin": torch.zeros(SHAPE),
    "diffuse": torch.ones(SHAPE),
    "specular": torch.zeros(SHAPE),
    "illuminant": torch.full((2, 33), 1 / 33),
    "camera": torch.zeros(2, 2),
}
ENTRIES: dict[str, Callable[..., Any]] = {
    "render": biofacenet.render,
    "Renderer": Renderer(),
    "Renderer.trace": Renderer().trace,
    "reference.render": reference.render,
    "reference.trace": reference.trace,
}
WRONG: dict[str, Callable[[Tensor], Any]] = {
    "no dimensions": lambda _: torch.tensor(0.5),
    "one dimension": lambda _: torch.zeros(2),
    "a dimension more": lambda good: good[..., None],
    "a dimension less": lambda good: good[0],
    "empty": lambda _: torch.zeros(0),
    "no images": lambda good: good[:0],
    "whole numbers": lambda good: good.long(),
    "truth": lambda good: good.bool(),
    "complex": lambda good: good.to(torch.complex64),
    "nothing": lambda _: None,
    "a number": lambda _: 0.5,
    "a list": lambda good: good.tolist(),
}


@pytest.mark.parametrize("entry", ENTRIES)
@pytest.mark.parametrize("name", GOOD)
@pytest.mark.parametrize("wrong", WRONG)
def test_one_line_names_it(entry: str, name: str, wrong: str) -> None:
    given = GOOD | {name: WRONG[wrong](GOOD[name])}
    with pytest.raises(ValueError, match=r"must|got") as caught:
        ENTRIES[entry](*given.values())
    assert "\n" not in str(caught.value)
    of_maps = name == "melanin" or wrong == "no images"  # what disagrees with it may be named
    assert of_maps or name in str(caught.value)


@pytest.mark.parametrize("entry", ENTRIES)
@pytest.mark.parametrize(
    ("weights", "cct"),
    [
        ((), (2,)),
        ((2, 14), ()),
        ((2, 14, 1), (2,)),
        ((2, 14), (2, 1)),
        ((14,), (2,)),
        ((0, 14), (0,)),
    ],
)
def test_mixtures_too(entry: str, weights: tuple[int, ...], cct: tuple[int, ...]) -> None:
    maps = [GOOD[name] for name in ("melanin", "haemoglobin", "diffuse", "specular")]
    with pytest.raises(ValueError, match=r"illuminant|weights|cct") as caught:
        ENTRIES[entry](*maps, Illuminant(torch.zeros(weights), torch.zeros(cct)), GOOD["camera"])
    assert "\n" not in str(caught.value)
