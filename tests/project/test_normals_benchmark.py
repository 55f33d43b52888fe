"""What is measured of normals of photographed faces tells good ones from bad ones."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from benchmarks.normals import SIZE, angles, figures_of, outward, symmetry
from biofacenet.data.synthetic.faces import generate
from biofacenet.preparation.face_shape import FaceShape
from biofacenet.preparation.network_shape import network_with_shape


def ball(middle: float = 0.0) -> FaceShape:
    """Half a ball that faces the viewer, so far right of the middle, in sides of the square."""
    steps = (torch.arange(SIZE) + 0.5) / SIZE * 2.0 - 1.0
    x = (steps - 2.0 * middle)[None, :].expand(SIZE, SIZE) / 0.7
    y = -steps[:, None].expand(SIZE, SIZE) / 0.7
    square = 1.0 - x.square() - y.square()
    covered = (square > 0.05).float()[None]
    normals = torch.stack((x, y, square.clamp(min=0.0).sqrt())) * covered
    return FaceShape(normals, torch.zeros_like(normals), covered, 1.0, 0.0)


def lifted_on_the_right(shape: FaceShape, degrees: float) -> FaceShape:
    """With the normals of the right half turned upward."""
    angle = torch.deg2rad(torch.tensor(degrees))
    x, y, z = shape.normals
    lifted = torch.stack((x, angle.cos() * y + angle.sin() * z, angle.cos() * z - angle.sin() * y))
    right = torch.arange(SIZE) >= SIZE // 2
    return replace(shape, normals=torch.where(right, lifted, shape.normals))


@pytest.mark.parametrize("middle", [0.0, 3 / SIZE])
def test_a_ball_is_symmetric_about_its_middle_and_faces_outward(middle: float) -> None:
    assert symmetry(ball(middle)) < 0.1
    assert outward(ball(middle)) == 1.0


def test_normals_lifted_on_one_side_are_not_symmetric() -> None:
    assert symmetry(lifted_on_the_right(ball(), 20.0)) == pytest.approx(18.0, abs=2.0)


def test_a_hollow_faces_inward() -> None:
    sign = torch.tensor([-1.0, -1.0, 1.0])[:, None, None]
    assert outward(replace(ball(), normals=ball().normals * sign)) == 0.0


def test_angles_are_in_degrees() -> None:
    def towards(*direction: float) -> Tensor:
        return torch.tensor(direction)[:, None, None]

    assert float(angles(towards(0.0, 0.0, 1.0), towards(0.0, 0.6, 0.8))) == pytest.approx(
        36.87, abs=0.01
    )
    assert float(angles(towards(0.0, 0.0, 1.0), towards(0.0, 0.0, 1.0))) == 0.0


def test_the_network_in_the_package_tells_normals_of_a_face() -> None:
    image = generate([3], seed=2, size=128, yaw=0.0).image[0]
    found = figures_of(image, network_with_shape("small"))
    assert found.symmetry < 15.0
    assert found.outward > 0.8
