"""Photos that lie on their side, and whose file does not say so."""

from pathlib import Path

import numpy as np
import pytest
import torch
from skimage import data

from biofacenet.photos import Photo, choose_parts, cut, find_faces


def portrait() -> torch.Tensor:
    """(3, 256, 256), the astronaut."""
    return torch.from_numpy(data.astronaut()[:256, 96:352].copy()).permute(2, 0, 1) / 255


@pytest.mark.parametrize("quarters", [1, 3])
def test_a_face_that_lies_on_its_side_is_found_and_turned_upright(quarters: int) -> None:
    upright = portrait()
    (expected,) = find_faces(upright)
    turned = torch.rot90(upright, quarters, (1, 2)).contiguous()
    (found,) = find_faces(turned)
    assert abs(abs(found.angle) - 90) < 20
    assert found.size == pytest.approx(expected.size, rel=0.15)
    one = cut(Photo(Path("one"), upright), expected, 64)
    other = cut(Photo(Path("other"), turned), choose_parts(Photo(Path("other"), turned))[0].box, 64)
    # The same picture, upright: far more alike than to itself on its head.
    alike = float((one - other).abs().mean())
    assert alike < 0.5 * float((one - other.flip(2)).abs().mean())


@pytest.mark.parametrize("name", ["coffee", "rocket"])
def test_what_shows_no_face_shows_none_on_its_side(name: str) -> None:
    picture = np.ascontiguousarray(getattr(data, name)()[::2, ::2])
    assert find_faces(torch.from_numpy(picture).permute(2, 0, 1) / 255) == []
