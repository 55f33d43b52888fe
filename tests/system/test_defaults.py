"""Programs that set torch's defaults: photos, fits and decompositions are the same, to the last bit."""

from collections.abc import Callable, Iterator

import pytest
import torch
from torch import Tensor

from biofacenet import BioFaceNet, Illuminant, render
from biofacenet.analysis import ByFitting, apply, decompose
from biofacenet.data import generate
from biofacenet.fitting import estimate
from biofacenet.photos import choose_parts, cut, find_faces, read_photo, skin_mask
from biofacenet.photos.paths import EXAMPLE
from biofacenet.system.device import plain_defaults

DTYPES = [torch.bfloat16, torch.float16, torch.float64]


@pytest.fixture(params=DTYPES, ids=str)
def default(request: pytest.FixtureRequest) -> Iterator[torch.dtype]:
    torch.set_default_dtype(request.param)
    yield request.param
    torch.set_default_dtype(torch.float32)


def shares(network: BioFaceNet) -> dict[str, Callable[[], Tensor]]:
    photo = read_photo(EXAMPLE)
    part = choose_parts(photo)[0]

    def edited() -> Tensor:
        found = decompose(network, EXAMPLE, size=48)
        after = found.decomposition.edit(melanin=0.3, light="D")
        assert after.illuminant.cct == 6504.0
        return apply(found.image, found.decomposition, after, found.skin())

    def deviations() -> Tensor:
        return estimate(ByFitting(size=16, steps=1)(photo).decomposition).melanin

    return {
        "faces": lambda: torch.tensor([box.size for box in find_faces(photo.pixels)]),
        "part": lambda: cut(photo, part.box, 32),
        "skin": lambda: skin_mask(cut(photo, part.box, 32)),
        "network": lambda: decompose(network, photo, size=48, resolution=64).reconstruction,
        "refined": lambda: decompose(network, photo, size=32, refine=2).reconstruction,
        "fit": lambda: ByFitting(size=32, steps=2)(photo).reconstruction,
        "deviations": deviations,
        "edit": edited,
        "synthetic faces": lambda: generate([3], size=32, skin="published").image,
    }


def test_results_are_the_same_whatever_the_default_dtype() -> None:
    network = BioFaceNet.from_pretrained("small")
    expected = {name: act() for name, act in shares(network).items()}
    for dtype in DTYPES:
        torch.set_default_dtype(dtype)
        try:
            loaded = BioFaceNet.from_pretrained("small")
            for name, act in shares(loaded).items():
                found = act()
                assert torch.equal(found.double(), expected[name].double()), (name, dtype)
                assert found.dtype == expected[name].dtype or name == "faces"
                assert torch.get_default_dtype() == dtype
        finally:
            torch.set_default_dtype(torch.float32)


def test_loaded_networks_are_whole_and_new_ones_follow(default: torch.dtype) -> None:
    loaded = BioFaceNet.from_pretrained("small")
    assert {value.dtype for value in loaded.state_dict().values()} == {torch.float32}
    new = BioFaceNet("small")
    assert {value.dtype for value in new.state_dict().values()} == {default}
    found = new(torch.rand(1, 3, 32, 32))  # of the default too
    assert torch.isfinite(found.render()).all()
    found.render().mean().backward()
    assert new.vector[2].weight.grad is not None


def test_lights_and_maps_of_the_default_render(default: torch.dtype) -> None:
    maps = torch.zeros(1, 1, 8, 8)
    image = render(maps, maps, maps + 2, maps, Illuminant.standard("D65"), torch.zeros(1, 2))
    assert image.dtype == default
    assert image.mean() > 0.1


def test_a_block_leaves_defaults_as_they_were(default: torch.dtype) -> None:
    with pytest.raises(KeyError), plain_defaults():
        assert torch.zeros(1).dtype == torch.float32
        raise KeyError
    assert torch.get_default_dtype() == default


def test_another_default_device_moves_no_photo() -> None:
    """With a device that holds no values: what was made on it could not be read."""
    expected = decompose(BioFaceNet.from_pretrained("small"), EXAMPLE, size=48, refine=1)
    network = BioFaceNet.from_pretrained("small")
    with torch.device("meta"):
        found = decompose(network, EXAMPLE, size=48, refine=1)
        fitted = ByFitting(size=32, steps=1)(EXAMPLE)
        assert torch.zeros(1).device.type == "meta"
    assert torch.equal(found.decomposition.melanin, expected.decomposition.melanin)
    assert fitted.reconstruction.device.type == "cpu"
