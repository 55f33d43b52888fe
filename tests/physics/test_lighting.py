"""Spherical harmonic shading against a brute-force loop and against what a distant light does."""

import numpy as np
import torch

from biofacenet.physics.lighting import directional_light, sh_shading


def unit_normals(*shape: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.nn.functional.normalize(
        torch.randn(*shape, generator=generator, dtype=torch.float64), dim=1
    )


def test_equals_a_loop_over_images_pixels_and_channels() -> None:
    normals = unit_normals(3, 3, 4, 5)
    lighting = torch.randn(3, 3, 9, generator=torch.Generator().manual_seed(1)).double()
    found = sh_shading(normals, lighting)
    c1, c2, c3, c4, c5 = 0.429043, 0.511664, 0.743125, 0.886227, 0.247708
    expected = np.zeros((3, 1, 4, 5))
    for b in range(3):
        for y in range(4):
            for x in range(5):
                total = 0.0
                nx, ny, nz = normals[b, :, y, x].tolist()
                for channel in range(3):
                    light = lighting[b, channel].tolist()
                    total += (
                        c1 * light[8] * (nx * nx - ny * ny)
                        + c3 * light[6] * nz * nz
                        + c4 * light[0]
                        - c5 * light[6]
                        + 2 * c1 * (light[4] * nx * ny + light[7] * nx * nz + light[5] * ny * nz)
                        + 2 * c2 * (light[3] * nx + light[1] * ny + light[2] * nz)
                    )
                expected[b, 0, y, x] = max(0.0, total / 3)
    np.testing.assert_allclose(found, expected, atol=1e-12)
    assert (expected == 0).any()
    assert (expected > 0).any()


def test_a_distant_light_shades_by_the_cosine() -> None:
    """Second order keeps the clamped cosine to within a tenth, and exactly its mean."""
    direction = torch.nn.functional.normalize(torch.tensor([0.3, 0.5, 0.8]).double(), dim=0)
    lighting = directional_light(direction).expand(1, 3, 9)
    normals = unit_normals(1, 3, 400, 400)
    found = sh_shading(normals, lighting)[0, 0]
    cosine = torch.einsum("c,chw->hw", direction, normals[0]).clamp(min=0)
    assert (found - cosine).abs().max() < 0.12
    assert (found - cosine).abs().mean() < 0.04
    brightest = normals[0].flatten(1)[:, found.argmax()]
    assert float(brightest @ direction) > 0.999


def test_turning_light_and_surface_together_changes_nothing() -> None:
    angle = 0.7
    turn = torch.tensor(
        [[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]]
    )
    direction = torch.nn.functional.normalize(torch.tensor([0.3, -0.5, 0.8]).double(), dim=0)
    normals = unit_normals(1, 3, 8, 8)
    before = sh_shading(normals, directional_light(direction).expand(1, 3, 9))
    turned = torch.einsum("ij,bjhw->bihw", turn, normals)
    after = sh_shading(turned, directional_light(turn @ direction).expand(1, 3, 9))
    torch.testing.assert_close(before, after, atol=1e-5, rtol=0)


def test_a_distant_light_is_the_second_order_part_of_the_clamped_cosine() -> None:
    """max(0, c) = 1/4 + c/2 + 5/32 (3c^2 - 1) + order 4; the published constants have six digits."""
    directions = unit_normals(6, 3, 1, 1)[:, :, 0, 0]
    lighting = directional_light(directions)[:, None].expand(6, 3, 9)
    normals = unit_normals(6, 3, 16, 16, seed=1)
    c = torch.einsum("bi,bihw->bhw", directions, normals)[:, None]
    expected = 1 / 4 + c / 2 + 5 / 32 * (3 * c**2 - 1)
    found = sh_shading(normals, lighting)
    torch.testing.assert_close(found, expected.clamp(min=0), atol=3e-6, rtol=0)
    assert (expected < -1e-3).any()
    assert (found >= 0).all()
