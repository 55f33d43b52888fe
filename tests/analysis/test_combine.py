"""An edit adds the difference of two renderings to the photo: no more where it brightens."""

import pytest
import torch

from biofacenet.analysis.editing import combine


def colour(*values: float) -> torch.Tensor:
    return torch.tensor(values).reshape(1, 3, 1, 1)


@pytest.mark.parametrize("brightness", [0.01, 0.2, 0.9, 3.0])
@pytest.mark.parametrize("gain", [1.0, 1.5, 4.0, 100.0])
def test_a_pixel_gains_the_difference_and_nothing_more(brightness: float, gain: float) -> None:
    """A tooth or a highlight that is brighter than the maps explain must not be multiplied."""
    image = brightness * colour(1.0, 0.9, 0.8)
    before = colour(0.1, 0.06, 0.05)
    changed = combine(image, before, gain * before)
    torch.testing.assert_close(changed, image + (gain - 1.0) * before)


def test_within_a_mask_a_pixel_gains_its_share_of_the_difference() -> None:
    image = colour(0.8, 0.7, 0.6).expand(1, 3, 1, 3)
    before = colour(0.1, 0.06, 0.05).expand(1, 3, 1, 3)
    mask = torch.tensor([0.0, 0.25, 1.0]).reshape(1, 1, 1, 3)
    changed = combine(image, before, 3.0 * before, mask)
    torch.testing.assert_close(changed, image + 2.0 * mask * before)


def test_light_where_the_maps_had_none_is_added_as_it_is() -> None:
    image, nothing, some = colour(0.2, 0.1, 0.0), colour(0.0, 0.0, 0.0), colour(0.3, 0.2, 0.1)
    torch.testing.assert_close(combine(image, nothing, some), image + some)
    torch.testing.assert_close(combine(image, nothing, nothing), image)


def test_each_channel_and_each_pixel_by_itself() -> None:
    """Gains add, losses take a share: between the two results of the whole there is no third."""
    generator = torch.Generator().manual_seed(0)
    image, before, after = torch.rand(3, 2, 3, 16, 16, generator=generator).unbind()
    changed = combine(image, before, after)
    gains = after >= before
    torch.testing.assert_close(changed[gains], (image + after - before)[gains])
    kept = (after / before)[~gains]
    lost = torch.maximum((image + after - before)[~gains], image[~gains] * kept)
    torch.testing.assert_close(changed[~gains], lost)
    assert (changed >= 0).all()
