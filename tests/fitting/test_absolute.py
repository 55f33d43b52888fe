"""Pigments at their absolute level, where white is known."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from biofacenet import Decomposition, Illuminant
from biofacenet.fitting.absolute import WHITE, Absolute, Known, absolute
from biofacenet.physics.colour import luminance
from biofacenet.physics.skin import SKINS, melanosome_fraction

SIDE = 32


def ball() -> Tensor:
    """Normals of a ball that faces the viewer: (1, 3, SIDE, SIDE)."""
    line = torch.linspace(-0.8, 0.8, SIDE)
    y, x = torch.meshgrid(-line, line, indexing="ij")
    z = (1.0 - x.square() - y.square()).clamp(min=0.0).sqrt()
    normals = torch.stack((x, y, z.clamp(min=0.02)))
    return (normals / normals.norm(dim=0))[None]


def face(
    melanin: float,
    *,
    light: str = "D65",
    camera: tuple[float, float] = (0.0, 0.0),
    side: float = 0.0,
) -> Decomposition:
    """A ball of even skin in light from the front, or from aside."""
    normals = ball()
    towards = torch.tensor([side, 0.2, 1.0])
    towards = towards / towards.norm()
    shading = 0.3 + 0.9 * torch.einsum("c,bchw->bhw", towards, normals)[:, None].clamp(min=0.0)
    ahead = 0.3 + 0.9 * float(towards[2])
    parts = torch.zeros(1, 9, SIDE, SIDE)
    parts[:, 1] = 1.0
    return Decomposition(
        melanin=torch.full((1, 1, SIDE, SIDE), melanin),
        haemoglobin=torch.full((1, 1, SIDE, SIDE), 0.3),
        diffuse=shading / ahead,
        specular=torch.full((1, 1, SIDE, SIDE), 0.02),
        illuminant=Illuminant.standard(light),
        camera=torch.tensor([camera]),
        skin="measured",
        normals=normals,
        parts=parts,
    )


def percent(value: float) -> float:
    return 100.0 * float(melanosome_fraction(torch.tensor(value), SKINS["measured"]))


def wrong(truth: Decomposition, level: float = 0.5) -> Decomposition:
    """What a network may say of it: middling skin in as much light as that takes."""
    return replace(
        truth,
        melanin=torch.zeros_like(truth.melanin),
        diffuse=level * truth.diffuse,
        specular=level * truth.specular,
        illuminant=Illuminant.standard("D50"),
        camera=torch.zeros_like(truth.camera),
    )


def seen(truth: Decomposition) -> Tensor:
    """The photo in which white is 1."""
    return truth.render() / WHITE


def told(truth: Decomposition, found: Decomposition | None = None) -> tuple[Absolute, Known]:
    result = absolute(wrong(truth) if found is None else found, seen(truth), linear=True)
    return result, result.known(torch.ones(1, 1, SIDE, SIDE))


@pytest.mark.parametrize("melanin", [-0.3, -0.1, 0.15, 0.5])
def test_the_level_is_found_whatever_the_maps_said(melanin: float) -> None:
    # The two estimates of shading are those of faces, of which a ball is none: hence the tolerance.
    result, known = told(face(melanin))
    assert percent(known.melanin) == pytest.approx(percent(melanin), rel=0.2)
    low, high = known.melanin_ends
    assert low - 0.05 < melanin < high + 0.05
    assert low < known.melanin < high
    assert known.misfit < 2.0
    maps = result.decomposition
    assert float(maps.melanin.median()) == pytest.approx(known.melanin, abs=1e-4)
    error = (maps.render() - seen(face(melanin))).square().mean().sqrt()
    assert float(error) < 0.02


def test_the_maps_level_and_light_do_not_matter() -> None:
    truth = face(0.1)
    _, first = told(truth, wrong(truth, 0.5))
    _, second = told(truth, wrong(truth, 2.0))
    assert first.melanin == pytest.approx(second.melanin, abs=2e-3)
    other = replace(wrong(truth), illuminant=Illuminant.standard("A"))
    assert told(truth, other)[1].melanin == pytest.approx(first.melanin, abs=2e-3)


def test_the_same_skin_in_other_light_and_through_another_camera() -> None:
    first = told(face(0.0))[1].melanin
    for light, camera in (("A", (0.0, 0.0)), ("D65", (1.0, -1.0)), ("F2", (-0.5, 0.5))):
        other = told(face(0.0, light=light, camera=camera))[1].melanin
        assert percent(other) == pytest.approx(percent(first), rel=0.2)


def test_light_from_aside_does_not_pass_for_melanin() -> None:
    ahead, aside = (told(face(0.0, side=side))[1].melanin for side in (0.0, 1.0))
    assert percent(aside) == pytest.approx(percent(ahead), rel=0.25)


def test_less_is_known_without_normals() -> None:
    truth = face(0.0)
    with_normals = told(truth)[1]
    without = told(truth, replace(wrong(truth), normals=None))[1]
    widths = [ends[1] - ends[0] for ends in (with_normals.melanin_ends, without.melanin_ends)]
    assert widths[1] > 1.3 * widths[0]


def test_more_light_on_the_card_is_darker_skin() -> None:
    truth = face(0.0)
    levels = [
        absolute(wrong(truth), factor * seen(truth)).known(torch.ones(1, 1, SIDE, SIDE)).melanin
        for factor in (1.0, 0.7, 0.4)
    ]
    assert levels == sorted(levels)
    assert levels[2] > levels[0] + 0.1


def test_a_white_that_is_none_is_told_by_the_misfit() -> None:
    truth = face(0.0)
    blue = seen(truth) * torch.tensor([0.3, 1.0, 3.0])[:, None, None]
    known = absolute(wrong(truth), blue).known(torch.ones(1, 1, SIDE, SIDE))
    assert known.misfit > Known.UNLIKELY


def test_regions_tell_their_own_pigments() -> None:
    truth = face(0.0)
    truth.melanin[..., : SIDE // 2] = 0.12
    left = torch.zeros(1, 1, SIDE, SIDE)
    left[..., : SIDE // 2] = 1.0
    result, _ = told(truth)
    darker, lighter = (result.known(mask).melanin for mask in (left, 1.0 - left))
    assert darker - lighter == pytest.approx(0.12, abs=0.06)


def test_images_of_another_size_are_refused() -> None:
    with pytest.raises(ValueError, match="image must be that of the maps"):
        absolute(face(0.0), torch.zeros(1, 3, 8, 8))


def test_the_maps_render_to_the_photo_at_their_new_level() -> None:
    for melanin in (-0.25, 0.1, 0.45):
        truth = face(melanin)
        result, _ = told(truth)
        rendered, photo = luminance(result.decomposition.render()), luminance(seen(truth))
        assert float((rendered / photo).median()) == pytest.approx(1.0, abs=0.02)


def test_light_from_aside_leaves_the_shading_less_sure() -> None:
    ahead, aside = (told(face(0.0, side=side))[0].error for side in (0.0, 1.0))
    assert aside > 1.3 * ahead
    assert aside < told(face(0.0), replace(wrong(face(0.0)), normals=None))[0].error
