"""Eyes are paler than teeth before they count: lids are pale too, and lips red."""

import math

import pytest
import torch

from biofacenet.photos.skin_pixels import eyes_and_teeth

SKIN = (0.5, 0.3, 0.2)
SIDE = 100
LEFT_EYE, RIGHT_EYE = (slice(39, 43), slice(33, 41)), (slice(39, 43), slice(60, 68))
TEETH = (slice(64, 69), slice(42, 58))


def face(patch: tuple[slice, slice], paler: float, light: float = 1.0) -> torch.Tensor:
    """Skin with a patch whose log(R/G) is smaller."""
    image = torch.tensor(SKIN).reshape(1, 3, 1, 1).repeat(1, 1, SIDE, SIDE)
    red, green, blue = SKIN
    tint = light * torch.tensor((red * math.exp(-paler), green, blue))
    image[..., patch[0], patch[1]] = tint.reshape(1, 3, 1, 1)
    return image


def share(image: torch.Tensor, patch: tuple[slice, slice]) -> float:
    """How much of the patch is found."""
    found = eyes_and_teeth(image, torch.ones(1, 1, SIDE, SIDE))
    return float(found[..., patch[0], patch[1]].mean())


@pytest.mark.parametrize("eye", [LEFT_EYE, RIGHT_EYE])
def test_the_white_of_an_eye_is_much_paler_than_skin(eye: tuple[slice, slice]) -> None:
    """A lid that is a little paler, by 8 %, is skin; what is paler by 20 % is not."""
    assert share(face(eye, 0.08), eye) == 0.0
    assert share(face(eye, 0.20), eye) > 0.8


def test_teeth_are_told_from_lips_by_less() -> None:
    """Lips are redder than skin: between them 8 % paler is enough; 3 % may be skin yet."""
    assert share(face(TEETH, 0.08), TEETH) > 0.8
    assert share(face(TEETH, 0.20), TEETH) > 0.8
    assert share(face(TEETH, 0.03), TEETH) == 0.0
    assert share(face(TEETH, -0.20), TEETH) == 0.0


@pytest.mark.parametrize("patch", [LEFT_EYE, RIGHT_EYE, TEETH])
def test_the_dark_of_eyes_and_mouth_counts_whatever_its_colour(patch: tuple[slice, slice]) -> None:
    assert share(face(patch, 0.0, light=0.2), patch) > 0.8
    assert share(face(patch, 0.0, light=0.45), patch) == 0.0  # a shadow


def test_each_face_of_a_batch_by_its_own_skin() -> None:
    """Red and pale skin side by side: what is pale beside the one is usual for the other."""
    faces = torch.cat((face(TEETH, 0.08), face(TEETH, 0.0)))
    faces[1, 0] *= math.exp(-0.08)
    found = eyes_and_teeth(faces, torch.ones(2, 1, SIDE, SIDE))
    assert found[0].sum() > 0
    assert found[1].sum() == 0


def test_without_skin_there_are_no_eyes() -> None:
    found = eyes_and_teeth(face(LEFT_EYE, 0.3), torch.zeros(1, 1, SIDE, SIDE))
    assert found.shape == (1, 1, SIDE, SIDE)
    assert not found.any()
