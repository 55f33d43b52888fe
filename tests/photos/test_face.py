"""Faces: several, turned, put back where they were; which parts of a photo are looked at."""

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from skimage import data

from biofacenet.analysis.editing import paste
from biofacenet.analysis.retouching import Change
from biofacenet.errors import BioFaceNetError, NoFaceError, PhotoError
from biofacenet.photos.boxes import Box, Part, crop, into_photo
from biofacenet.photos.faces import find_face, find_faces
from biofacenet.photos.framing import choose_parts, cut, parse_face, region
from biofacenet.photos.reading import Photo

EYES = np.array([[203.3, 101.2, 1.0], [246.7, 103.7, 1.0]])
"""Pupils of the portrait, as seen: they slope by 3.3 degrees."""
SLOPE = 3.3


def tensor(picture: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(picture)).permute(2, 0, 1).float() / 255


def turned(degrees: float) -> tuple[torch.Tensor, np.ndarray]:
    """The portrait, turned clockwise about the face, and where its pupils are then."""
    there = cv2.getRotationMatrix2D((225.0, 110.0), -degrees, 1.0)
    there[:, 2] += 31.0
    picture = cv2.warpAffine(data.astronaut(), there, (512, 400), borderMode=cv2.BORDER_REPLICATE)
    return tensor(picture), EYES @ there.T


def two() -> torch.Tensor:
    one = data.astronaut()[20:260, 60:380]
    small = cv2.resize(one, (240, 180), interpolation=cv2.INTER_AREA)
    picture = np.full((240, 570, 3), one[10, 10], np.uint8)
    picture[:, :320], picture[30:210, 325:565] = one, small[:, ::-1]
    return tensor(picture)


@pytest.mark.parametrize("degrees", [-30, -12, 0, 15, 35])
def test_a_turned_face_is_found_and_straightened(degrees: int) -> None:
    pixels, eyes = turned(degrees)
    box = find_face(pixels)
    assert box is not None
    assert box.angle == pytest.approx(degrees + SLOPE, abs=5.0)
    # In the crop the eyes are level, and where the framing puts them.
    back = cv2.invertAffineTransform(box.to_photo(100, 100))
    (left_x, left_y), (right_x, right_y) = np.column_stack((eyes, (1, 1))) @ back.T
    assert left_y == pytest.approx(right_y, abs=3.0)
    assert left_y == pytest.approx(40, abs=5)
    assert (left_x + right_x) / 2 == pytest.approx(50, abs=5)
    assert 18 < right_x - left_x < 36


def test_two_faces_the_largest_first() -> None:
    boxes = find_faces(two())
    assert len(boxes) == 2
    assert boxes[0].size > 1.15 * boxes[1].size
    assert boxes[0].left < boxes[1].left
    assert boxes[0].angle * boxes[1].angle <= 0  # one is the other's mirror image


def test_what_has_the_shape_of_a_face_and_not_its_colour_is_none() -> None:
    green = torch.tensor([0.2, 1.0, 0.4]).reshape(3, 1, 1)
    pixels = tensor(data.astronaut()[:300])
    assert find_faces(pixels.mean(dim=0, keepdim=True) * green) == []
    grey = find_faces(pixels.mean(dim=0, keepdim=True).expand(3, -1, -1))
    assert len(grey) == 1


@pytest.mark.parametrize("angle", [0.0, 30.0, -90.0, 180.0])
def test_places_in_a_crop_and_in_the_photo(angle: float) -> None:
    """The middle stays, and lengths are those of the box."""
    box = Box(10, 20, 40, angle, 60)
    matrix = box.to_photo(30, 20)
    assert matrix @ (10, 15, 1) == pytest.approx((30, 50))
    across, down = matrix[:, 0] * 20, matrix[:, 1] * 30
    assert np.hypot(*across) == pytest.approx(40)
    assert np.hypot(*down) == pytest.approx(60)
    assert across @ down == pytest.approx(0, abs=1e-9)
    assert np.degrees(np.arctan2(across[1], across[0])) % 360 == pytest.approx(angle % 360)
    left, top, right, bottom = box.bounds()
    corners = np.array([[x, y, 1] for x in (0, 20) for y in (0, 30)]) @ matrix.T
    assert left <= corners[:, 0].min() + 1e-9
    assert right >= corners[:, 0].max() - 1e-9
    assert top <= corners[:, 1].min() + 1e-9
    assert bottom >= corners[:, 1].max() - 1e-9


def test_a_quarter_turn_moves_pixels_as_numpy_does() -> None:
    pixels = torch.rand(3, 24, 24, generator=torch.Generator().manual_seed(0))
    for angle, turns in ((90.0, 1), (180.0, 2), (-90.0, 3)):
        found = crop(pixels, Box(4, 4, 16, angle), 16)
        expected = torch.rot90(pixels[:, 4:20, 4:20], turns, dims=(1, 2))
        torch.testing.assert_close(found, expected, atol=2e-3, rtol=0)


def test_a_crop_goes_back_where_it_was() -> None:
    y, x = torch.meshgrid(torch.arange(80.0), torch.arange(100.0), indexing="ij")
    pixels = torch.stack((0.2 + x / 200, 0.3 + y / 200, 0.5 + 0.2 * (x / 9).sin()))
    box = Box(30, 15, 50, 25.0)
    values, rows, columns = into_photo(crop(pixels, box, 50), box, 80, 100)
    inside, _, _ = into_photo(torch.ones(1, 50, 50), box, 80, 100)
    error = (values - pixels[:, rows, columns]).abs()[:, inside[0] > 0.999]
    assert error.numel() > 3 * 1500
    assert error.max() < 0.01
    assert inside.sum() == pytest.approx(2500, rel=0.02)


@pytest.mark.parametrize(
    "box", [Box(10, 5, 30, 20.0), Box(-20, -15, 50, -35.0), Box(40, 30, 60, 4)]
)
def test_nothing_pasted_changes_nothing(box: Box) -> None:
    pixels = torch.rand(3, 60, 70, generator=torch.Generator().manual_seed(0))
    photo = Photo(Path("x.png"), pixels)
    one, none = torch.ones(1, 3, 16, 16), torch.zeros(1, 3, 16, 16)
    same = paste(photo, box, Change(one, none))
    assert (same - pixels).abs().max() < 1 / 255 / 10
    other = paste(photo, box, Change(one, none + 0.3))
    left, top, right, bottom = box.bounds()
    outside = torch.ones(60, 70, dtype=torch.bool)
    outside[max(0, top) : max(0, bottom), max(0, left) : max(0, right)] = False
    assert torch.equal(other[:, outside], pixels[:, outside])
    assert (other - pixels).abs().max() > 0.05


# Choosing ------------------------------------------------------------------------------------


def photo(pixels: torch.Tensor) -> Photo:
    return Photo(Path("group.png"), pixels)


def test_choosing_among_faces() -> None:
    group = photo(two())
    both = choose_parts(group)
    assert [part.note for part in both] == ["face 1 of 2 found", "face 2 of 2 found"]
    assert choose_parts(group, face="largest") == both[:1]
    assert choose_parts(group, face="2") == both[1:]
    assert all(part.is_face for part in both)
    with pytest.raises(PhotoError, match="no face 3"):
        choose_parts(group, face="3")
    where = region(group, Part(Box.whole(240, 570), "whole"), 120, 285)
    assert where is not None
    columns = where[0, 0].any(dim=0).nonzero()
    assert columns.min() < 110
    assert columns.max() > 190
    assert not where[..., 140:170].any()


@pytest.mark.parametrize("text", ["", "0", "-1", "nose", "1.5", "²"])
def test_a_face_that_is_none(text: str) -> None:
    with pytest.raises(BioFaceNetError, match="largest"):
        parse_face(text)


def test_a_photo_without_a_face_says_so() -> None:
    plain = photo(torch.full((3, 40, 90), 0.5))
    for face in ("all", "largest", "2"):
        with pytest.raises(NoFaceError, match=r"group.png: no face found; .*--whole-image"):
            choose_parts(plain, face=face)
    (part,) = choose_parts(plain, "whole")
    assert part.box == Box(25, 0, 40)
    (part,) = choose_parts(plain, "image")
    assert (part.box.height, part.box.width) == (40, 90)
    assert cut(plain, part.box, 45).shape == (1, 3, 20, 45)
    with pytest.raises(PhotoError, match="strip"):
        cut(plain, part.box, 30)
