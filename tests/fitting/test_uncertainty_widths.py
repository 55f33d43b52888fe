"""Standard deviations as people read them: widths of intervals, patches, and what the mask decides."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch

from biofacenet import Decomposition
from biofacenet.fitting.uncertainty import UNKNOWNS, Spread, Uncertainty, estimate, interval

Make = Callable[..., Decomposition]


def numbers(said: Uncertainty) -> list[float]:
    """What is said of the face as a whole."""
    return [*(getattr(said, f"face_{name}") for name in UNKNOWNS), said.cct, *said.camera]


def said_of(melanin: torch.Tensor, haemoglobin: torch.Tensor) -> Uncertainty:
    """These deviations."""
    return Uncertainty(
        melanin, haemoglobin, *[torch.ones_like(melanin)] * 2, *[1.0] * 5, (1.0, 1.0), "published"
    )


# Widths --------------------------------------------------------------------------------------


def fraction(most: float, value: float) -> float:
    """Volume fraction at a map value: most u^3, u = 0.01 .. 1 along the axis."""
    return most * (0.01 + 0.99 * (min(1.0, max(-1.0, value)) + 1.0) / 2.0) ** 3


@pytest.mark.parametrize(("name", "most"), [("melanin", 0.43), ("haemoglobin", 0.07)])
def test_half_widths_are_those_of_the_68_percent_interval(name: str, most: float) -> None:
    """From one standard deviation below to one above, within the axis."""
    values = [-1.0, -0.9, -0.2, 0.0, 0.4, 0.95, 1.0]
    deviations = [0.1, 0.3, 0.05, 0.2, 0.6, 0.2, 0.01]
    maps, spreads = (torch.tensor(x).reshape(1, 1, 1, -1) for x in (values, deviations))
    said = said_of(*((spreads, 7.0 * spreads) if name == "melanin" else (7.0 * spreads, spreads)))
    widths = said.melanosomes(maps) if name == "melanin" else said.blood(maps)
    assert widths.shape == maps.shape
    for value, deviation, width in zip(values, deviations, widths.flatten().tolist(), strict=True):
        low, high = fraction(most, value - deviation), fraction(most, value + deviation)
        assert width == pytest.approx((high - low) / 2.0, rel=1e-4)
        assert interval(name, value, deviation, skin="published") == pytest.approx(
            (low, high), rel=1e-9
        )


# Patches -------------------------------------------------------------------------------------


def test_pixels_that_deviate_together_count_as_one(random_decomposition: Make) -> None:
    """Six pixels, each repeated nine times, say of six patches what the six say alone."""
    alone = random_decomposition(batch=1, height=2, width=3)
    repeated = alone.map(
        lambda x: x.repeat_interleave(3, 2).repeat_interleave(3, 3) if x.ndim == 4 else x
    )
    spread = Spread(patches=6)
    one, nine = estimate(alone, spread=spread), estimate(repeated, spread=spread)
    assert numbers(nine) == pytest.approx(numbers(one), rel=1e-6)
    for name in UNKNOWNS:
        torch.testing.assert_close(getattr(nine, name)[..., ::3, ::3], getattr(one, name))
        torch.testing.assert_close(getattr(nine, name)[..., 2::3, 1::3], getattr(one, name))


def test_more_patches_tell_more_and_never_more_than_there_are_pixels(
    random_decomposition: Make,
) -> None:
    found = random_decomposition(batch=1, height=3, width=4)
    said = [numbers(estimate(found, spread=Spread(patches=n))) for n in (1, 3, 12, 13, 500)]
    for fewer, more in ((said[0], said[1]), (said[1], said[2])):
        assert all(b < a for a, b in zip(fewer, more, strict=True))
    assert said[2] == said[3] == said[4]


# The mask ------------------------------------------------------------------------------------


@pytest.fixture
def half() -> torch.Tensor:
    """(1, 1, 4, 6), skin on the left, and a share that is none on the right."""
    mask = torch.full((1, 1, 4, 6), 0.4)
    mask[..., :3] = 0.6
    return mask


def test_only_skin_tells_of_level_light_and_camera(
    random_decomposition: Make, half: torch.Tensor
) -> None:
    """With a mask, pixels of skin have the deviations that they have where nothing else is seen."""
    found = random_decomposition(batch=1, height=4, width=6)
    cropped = found.map(lambda x: x[..., :3] if x.ndim == 4 else x)
    whole, part = estimate(found, half), estimate(cropped)
    assert numbers(whole) == pytest.approx(numbers(part), rel=1e-9)
    for name in UNKNOWNS:
        torch.testing.assert_close(getattr(whole, name)[..., :3], getattr(part, name))
        assert torch.isfinite(getattr(whole, name)).all()
        assert (getattr(whole, name) > 0).all()


def test_what_lies_beside_the_skin_does_not_matter(
    random_decomposition: Make, half: torch.Tensor
) -> None:
    found = random_decomposition(batch=1, height=4, width=6)
    other = random_decomposition(batch=1, height=4, width=6, seed=1)
    mixed = replace(
        found,
        **{
            name: torch.cat((getattr(found, name)[..., :3], getattr(other, name)[..., 3:]), 3)
            for name in UNKNOWNS
        },
    )
    one, two = estimate(found, half), estimate(mixed, half)
    assert numbers(one) == pytest.approx(numbers(two), rel=1e-9)
    for name in UNKNOWNS:
        torch.testing.assert_close(getattr(one, name)[..., :3], getattr(two, name)[..., :3])
    # Without a mask it does.
    assert numbers(estimate(found)) != pytest.approx(numbers(estimate(mixed)), rel=1e-3)


def test_a_mask_without_skin_is_none(random_decomposition: Make) -> None:
    found = random_decomposition(batch=1, height=4, width=6)
    empty = estimate(found, torch.full((1, 1, 4, 6), 0.3))
    assert numbers(empty) == numbers(estimate(found))
    for name in UNKNOWNS:
        assert torch.equal(getattr(empty, name), getattr(estimate(found), name))
