"""Another exposure of a face with known truth: its truth renders to it, highlights too."""

from collections.abc import Callable
from dataclasses import replace

import torch

from biofacenet import Decomposition
from biofacenet.data.pairs import FaceBatch
from biofacenet.training import augment


def shiny(random_decomposition: Callable[..., Decomposition]) -> FaceBatch:
    """Faces, dark enough not to be clipped, most of whose light is reflected by their surface."""
    truth = random_decomposition(batch=4, dtype=torch.float32)
    truth = replace(truth, diffuse=0.05 * truth.diffuse, specular=0.5 * truth.specular)
    image = truth.render()
    plane = torch.ones_like(truth.melanin)
    return FaceBatch(
        image=image,
        mask=plane,
        normals=plane.expand(-1, 3, -1, -1),
        shading=plane,
        lighting=torch.zeros(4, 3, 9),
        truth=truth,
    )


def test_true_shadings_follow_the_exposure_both(
    random_decomposition: Callable[..., Decomposition],
) -> None:
    """The renderer is linear in both shadings together, and in neither alone."""
    batch = shiny(random_decomposition)
    exposure = torch.tensor([0.25, 0.5, 1.0, 2.0])
    changed = augment.apply(
        batch, augment.Changes(torch.tensor([True, False, True, False]), exposure)
    )
    assert batch.truth is not None
    assert changed.truth is not None
    torch.testing.assert_close(changed.truth.render(), changed.image, atol=1e-5, rtol=1e-4)
    factor = exposure.reshape(-1, 1, 1, 1)
    for name in ("diffuse", "specular"):
        before = getattr(batch.truth, name)
        before = torch.stack([before[0].flip(2), before[1], before[2].flip(2), before[3]])
        torch.testing.assert_close(getattr(changed.truth, name), factor * before)


def test_pigments_light_and_camera_know_nothing_of_exposure(
    random_decomposition: Callable[..., Decomposition],
) -> None:
    batch = shiny(random_decomposition)
    changed = augment.apply(
        batch,
        augment.Changes(torch.zeros(4, dtype=torch.bool), torch.tensor([0.25, 0.5, 1.0, 2.0])),
    )
    assert batch.truth is not None
    assert changed.truth is not None
    for name in ("melanin", "haemoglobin", "camera"):
        assert torch.equal(getattr(changed.truth, name), getattr(batch.truth, name)), name
    assert torch.equal(changed.truth.illuminant.weights, batch.truth.illuminant.weights)
    assert torch.equal(changed.truth.illuminant.cct, batch.truth.illuminant.cct)
    assert changed.truth.skin == batch.truth.skin


def test_what_is_brighter_than_white_is_white(
    random_decomposition: Callable[..., Decomposition],
) -> None:
    """As a sensor has it: the image is clipped, its truth is not."""
    batch = shiny(random_decomposition)
    changed = augment.apply(
        batch, augment.Changes(torch.zeros(4, dtype=torch.bool), torch.full((4,), 100.0))
    )
    assert changed.truth is not None
    assert changed.image.max() == 1.0
    assert changed.truth.render().max() > 1.5
