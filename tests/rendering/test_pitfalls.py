"""What earlier implementations got wrong in the renderer: each test shows both results differ.

The pitfalls of reading data, of the losses and of checkpoints are in test_pairs, test_losses and
test_train.
"""

import builtins
import io
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

from biofacenet import Decomposition, Illuminant, Tables, reference
from biofacenet.physics.camera import mean_and_components, spectral_sensitivity
from biofacenet.physics.colour import XYZ_TO_SRGB, raw_to_xyz, read_raw_to_xyz
from biofacenet.physics.skin import look_up


def test_xyz_to_srgb_acts_on_columns(random_decomposition) -> None:  # type: ignore[no-untyped-def]
    t = random_decomposition().trace()
    right = torch.einsum("ij,bjhw->bihw", XYZ_TO_SRGB, t.xyz)
    transposed = torch.einsum("ji,bjhw->bihw", XYZ_TO_SRGB, t.xyz)
    torch.testing.assert_close(t.unclipped, right)
    assert (transposed - right).abs().max() > 0.1 * right.abs().max()
    white = torch.tensor([0.9505, 1.0, 1.0891], dtype=torch.float64)
    torch.testing.assert_close(XYZ_TO_SRGB @ white, torch.ones(3).double(), atol=2e-3, rtol=0)


def test_colour_temperature_has_a_gradient_and_is_not_rounded(random_decomposition) -> None:  # type: ignore[no-untyped-def]
    d = random_decomposition(1)
    cct = d.illuminant.cct.clone().requires_grad_()
    light = Illuminant(d.illuminant.weights, cct)
    maps = (d.melanin, d.haemoglobin, d.diffuse, d.specular)
    (gradient,) = torch.autograd.grad(reference.render(*maps, light, d.camera).sum(), cct)
    assert gradient.abs() > 0
    nearby = Illuminant(d.illuminant.weights, d.illuminant.cct + 20.0)
    assert not torch.equal(reference.render(*maps, nearby, d.camera), d.render())


def test_camera_table_is_read_with_b1_as_row() -> None:
    mean, components = mean_and_components()
    b = torch.tensor([[2.0, -1.0]], dtype=torch.float64)
    exact = raw_to_xyz(spectral_sensitivity(b, mean, components))
    table = Tables.computed().raw_to_xyz
    right, swapped = read_raw_to_xyz(table, b), read_raw_to_xyz(table, b.flip(1))
    torch.testing.assert_close(right, exact, atol=2e-4, rtol=0)
    assert (swapped - exact).abs().max() > 0.01


def test_tables_are_read_at_entry_centres() -> None:
    """align_corners=False would be off by up to half an entry."""
    table = Tables.computed().skin
    at = torch.tensor(2 * 200 / 255 - 1, dtype=torch.float64).reshape(1, 1, 1, 1)
    right = look_up(table, at, -at)[0, :, 0, 0]
    torch.testing.assert_close(right, table[55, 200])
    grid = torch.cat((at, -at), dim=-1).reshape(1, 1, 1, 2)
    wrong = F.grid_sample(
        table.permute(2, 0, 1)[None], grid, padding_mode="border", align_corners=False
    )[0, :, 0, 0]
    assert (wrong - right).abs().max() > 1e-4


def test_highlights_take_the_light_through_the_white_balance(random_decomposition) -> None:  # type: ignore[no-untyped-def]
    """Grey before white balance would be tinted after it; ours is neutral after it."""
    d = random_decomposition(1)
    d.illuminant = Illuminant(torch.eye(14)[:1].double(), d.illuminant.cct)  # a reddish light
    nothing = torch.zeros_like(d.diffuse)
    d = Decomposition(d.melanin, d.haemoglobin, nothing, d.specular, d.illuminant, d.camera)
    t = d.trace()
    colour = t.linear_srgb[0, :, 0, 0]
    assert float(colour.max() / colour.min()) < 1.005
    grey = t.light_colour.mean() * torch.ones_like(t.light_colour) / t.light_colour
    early = XYZ_TO_SRGB @ t.raw_to_xyz[0] @ grey[0]
    assert float(early.max() / early.min()) > 1.1
    assert float(t.light_colour.max() / t.light_colour.min()) > 1.1


def test_no_file_is_read_while_rendering(
    random_decomposition,  # type: ignore[no-untyped-def]
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    d = random_decomposition()
    first = d.render(accuracy="exact")

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a file was opened")

    monkeypatch.setattr(builtins, "open", refuse)
    monkeypatch.setattr(io, "open", refuse)
    monkeypatch.setattr(Path, "open", refuse)
    torch.testing.assert_close(d.render(accuracy="exact"), first)
    torch.testing.assert_close(d.trace().linear_srgb, first)
    assert Tables.computed() is Tables.computed()


def test_the_table_is_not_repeated_for_each_image(random_decomposition) -> None:  # type: ignore[no-untyped-def]
    """64 images of one pixel would copy 64 tables of 17 MB; no tensor near that size appears."""
    d = random_decomposition(64, 1, 1)
    d.render()
    with torch.profiler.profile(profile_memory=True) as profile:
        d.render()
    table = Tables.computed().skin
    largest = max(event.self_cpu_memory_usage for event in profile.events())
    assert largest < 2 * table.numel() * table.element_size()
