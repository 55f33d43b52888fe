"""Images on other scales, of other types and shapes: refused with the remedy, never taken silently."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from biofacenet import BioFaceNet
from biofacenet.fitting import fit
from biofacenet.photos import skin_mask
from biofacenet.physics.colour import srgb_to_linear


@pytest.fixture(scope="module")
def network() -> BioFaceNet:
    return BioFaceNet.from_pretrained("small")


def image(height: int = 32, width: int = 48) -> Tensor:
    return 0.8 * torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(0))


def fitted(values: Tensor) -> object:
    return fit(values, steps=1)


SCALES: dict[str, tuple[Callable[[Tensor], Tensor], str]] = {
    "0..255": (lambda x: 255 * x, r"lies in .*255 is white"),
    "0..100": (lambda x: 100 * x, r"lies in"),
    "-1..1": (lambda x: 2.2 * x - 1, r"normalised"),
    "mean and deviation": (lambda x: (x - 0.45) / 0.22, r"normalised"),
    "bytes": (lambda x: (255 * x).byte(), r"got torch.uint8.*255"),
    "long": (lambda x: (255 * x).long(), r"got torch.int64"),
    "NaN": (lambda x: x.clone().fill_(torch.nan), r"NaN"),
    "infinite": (lambda x: x / 0.0, r"lies in"),
}


@pytest.mark.parametrize("taking", ["decompose", "fit", "skin_mask"])
@pytest.mark.parametrize("scale", SCALES)
def test_other_scales_are_refused(network: BioFaceNet, taking: str, scale: str) -> None:
    change, said = SCALES[scale]
    take = {"decompose": network.decompose, "fit": fitted, "skin_mask": skin_mask}[taking]
    with pytest.raises(ValueError, match=said) as caught:
        take(change(image()))  # type: ignore[operator]
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("brightest", [0.01, 1.0, 8.0])
def test_linear_light_of_any_exposure_is_taken(network: BioFaceNet, brightest: float) -> None:
    assert torch.isfinite(network.decompose(brightest * image() - 0.01).melanin).all()


def test_forward_refuses_what_it_can_tell_without_looking_at_values(network: BioFaceNet) -> None:
    with pytest.raises(ValueError, match=r"got torch.uint8.*srgb_to_linear\(image / 255\)"):
        network((255 * image()).byte())
    with pytest.raises(ValueError, match="give image / 255"):
        srgb_to_linear((255 * image()).byte())


@pytest.mark.parametrize(
    "given", ["portrait.jpg", np.zeros((32, 48, 3), np.uint8), [image()], None]
)
def test_no_tensor_names_what_takes_photos(network: BioFaceNet, given: object) -> None:
    for take in (network, network.decompose):
        with pytest.raises(TypeError, match=r"analysis.decompose\(network, photo\)"):
            take(given)  # type: ignore[operator, arg-type]


@pytest.mark.parametrize(
    ("change", "remedy"),
    [
        (lambda x: x[0], r"image\[None\]"),
        (lambda x: x.permute(0, 2, 3, 1), r"image.permute\(0, 3, 1, 2\)"),
        (lambda x: x[:, :1], r"got \(1, 1, 32, 48\)$"),
        (lambda x: x[..., :8], r"16 or more"),
    ],
)
def test_other_shapes_name_the_remedy(
    network: BioFaceNet, change: Callable[[Tensor], Tensor], remedy: str
) -> None:
    with pytest.raises(ValueError, match=remedy):
        network.decompose(change(image()))


@pytest.mark.parametrize("size", [(33, 48), (32, 40), (17, 250)])
def test_sizes_that_are_no_multiples_of_16_have_a_door(
    network: BioFaceNet, size: tuple[int, int]
) -> None:
    with pytest.raises(ValueError, match=r"divisible by 16.*decompose takes any size"):
        network(image(*size))
    assert network.decompose(image(*size)).melanin.shape[2:] == size


def test_an_empty_batch_is_an_empty_decomposition(network: BioFaceNet) -> None:
    found = network.decompose(image()[:0])
    assert len(found) == 0
    assert found.render().shape == (0, 3, 32, 48)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_another_precision_is_told_and_a_network_of_it_gives_the_same(
    network: BioFaceNet, dtype: torch.dtype
) -> None:
    with pytest.raises(ValueError, match=rf"network.to\({dtype}\)"):
        network.decompose(image().to(dtype))
    other = BioFaceNet.from_pretrained("small").to(dtype)
    found, expected = other.decompose(image().to(dtype)), network.decompose(image())
    assert {kind.dtype for kind in found.arguments()[:4]} == {torch.float32}
    close = {torch.float64: 1e-5, torch.float16: 4e-3, torch.bfloat16: 3e-2}[dtype]
    torch.testing.assert_close(found.melanin, expected.melanin, atol=close, rtol=0)
    torch.testing.assert_close(found.diffuse, expected.diffuse, atol=0, rtol=2 * close)
    with pytest.raises(ValueError, match=rf"must be {dtype} like the network"):
        other(image())


def test_under_autocast_any_precision_is_taken(network: BioFaceNet) -> None:
    with torch.autocast("cpu", torch.bfloat16):
        assert network(image().bfloat16()).melanin.dtype == torch.float32
