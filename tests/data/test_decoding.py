"""What stored channels mean: lengths of normals, the edge of the mask, colours a little out of range."""

import pytest
import torch

from biofacenet.data.pairs import RawBatch, decode


def stored(**channels: torch.Tensor) -> RawBatch:
    """Samples of 4 x 4 pixels, grey and facing the camera but for what is given."""
    planes = {
        "image": torch.full((1, 3, 4, 4), 0.5),
        "normals": torch.tensor([0.5, 0.5, 1.0]).reshape(1, 3, 1, 1).expand(1, 3, 4, 4),
        "mask": torch.ones(1, 1, 4, 4),
        "coordinates": torch.zeros(1, 3, 4, 4),
    } | channels
    lighting = torch.randn(1, 3, 9, generator=torch.Generator().manual_seed(1))
    return RawBatch(torch.cat(tuple(planes.values()), dim=1), lighting)


@pytest.fixture
def unit() -> torch.Tensor:
    """(1, 3, 4, 4), normals of length 1."""
    normals = torch.randn(1, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    return torch.nn.functional.normalize(normals, dim=1)


@pytest.mark.parametrize("length", [0.2, 0.7, 1.0])
def test_normals_of_any_length_are_the_same_direction(unit: torch.Tensor, length: float) -> None:
    """Averaged or 8-bit normals are shorter than 1; their shading would be darker."""
    whole = decode(stored(normals=(unit + 1.0) / 2.0))
    found = decode(stored(normals=(length * unit + 1.0) / 2.0))
    torch.testing.assert_close(found.normals, unit, atol=1e-6, rtol=0)
    torch.testing.assert_close(found.shading, whole.shading, atol=1e-5, rtol=0)


def test_normals_of_8_bits_have_length_1(unit: torch.Tensor) -> None:
    coded = (255.0 * (unit + 1.0) / 2.0).round() / 255.0
    found = decode(stored(normals=coded)).normals
    torch.testing.assert_close(found.norm(dim=1), torch.ones(1, 4, 4), atol=1e-6, rtol=0)


def test_a_pixel_is_of_the_face_where_more_than_half_of_it_is(unit: torch.Tensor) -> None:
    """Masks of 8 bits, or made smaller, have edges between 0 and 1; decoded ones have not."""
    shares = torch.tensor(
        [0.0, 0.01, 0.25, 0.49, 127 / 255, 0.5, 128 / 255, 0.51, 0.75, 0.99, 1.0, 1.0]
    )
    shares = torch.cat((shares, torch.zeros(4))).reshape(1, 1, 4, 4)
    expected = torch.tensor([0.0] * 6 + [1.0] * 6 + [0.0] * 4).reshape(1, 1, 4, 4)
    batch = decode(stored(mask=shares, normals=(unit + 1.0) / 2.0))
    assert torch.equal(batch.mask, expected)
    torch.testing.assert_close(batch.normals.norm(dim=1, keepdim=True), expected)
    assert not batch.shading[expected == 0].any()


def test_colours_a_little_out_of_range_are_black_and_white() -> None:
    image = torch.full((1, 3, 4, 4), -0.0009)
    image[..., 2:] = 1.0009
    expected = (image > 0.5).float()
    assert torch.equal(decode(stored(image=image)).image, expected)
