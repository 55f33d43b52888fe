"""Faces of people are found, however they are turned and lit; nothing is a face that is none."""

import math
import os
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from skimage import data

from biofacenet.data import generate
from biofacenet.photos import Box, find_faces, read_photo
from biofacenet.photos.detector import look_for_faces
from biofacenet.photos.straightening import FACE_IN_PATCH, PATCH, Place

SIDE = 240


def tensor(picture: np.ndarray) -> torch.Tensor:
    """Of levels 0..255, (H, W) or (H, W, 3)."""
    colours = picture if picture.ndim == 3 else picture[..., None].repeat(3, axis=2)
    return torch.from_numpy(np.ascontiguousarray(colours)).permute(2, 0, 1).float() / 255


def turned(pixels: torch.Tensor, degrees: float) -> tuple[torch.Tensor, np.ndarray]:
    """A photo turned clockwise about its middle, and where its places are then: (2, 3)."""
    height, width = pixels.shape[1:]
    there = cv2.getRotationMatrix2D((width / 2, height / 2), -degrees, 1.0)
    picture = np.ascontiguousarray(pixels.permute(1, 2, 0).numpy())
    found = cv2.warpAffine(picture, there, (width, height), borderMode=cv2.BORDER_REPLICATE)
    return torch.from_numpy(found).permute(2, 0, 1).contiguous(), there


def middle(box: Box) -> np.ndarray:
    return np.array([box.left + box.size / 2, box.top + box.size / 2])


def assert_same(found: list[Box], expected: Box, degrees: float, there: np.ndarray) -> None:
    """One face: that of the upright photo, turned with it."""
    (box,) = found
    assert math.remainder(box.angle - expected.angle - degrees, 360) == pytest.approx(0, abs=12)
    assert box.size == pytest.approx(expected.size, rel=0.15)
    off = np.linalg.norm(middle(box) - there @ (*middle(expected), 1.0))
    assert off < 0.1 * expected.size


# Faces ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def portrait() -> torch.Tensor:
    return tensor(data.astronaut()[:256, 96:352])


@pytest.mark.parametrize("degrees", [25, -50, 75, 100, -130, 160, 180])
def test_a_face_is_found_at_any_turn(portrait: torch.Tensor, degrees: int) -> None:
    (expected,) = find_faces(portrait)
    pixels, there = turned(portrait, degrees)
    assert_same(find_faces(pixels), expected, degrees, there)


@pytest.mark.parametrize("light", [0.5, 0.12, 0.04])
def test_a_dim_face_is_as_plain_as_a_bright_one(portrait: torch.Tensor, light: float) -> None:
    (expected,) = find_faces(portrait)
    assert_same(find_faces(light * portrait), expected, 0, np.eye(2, 3))


@pytest.mark.parametrize("yaw", [-60.0, 35.0])
def test_faces_that_look_aside(yaw: float) -> None:
    for image in generate([1, 4], seed=5, size=128, skin="measured", yaw=yaw).image:
        wider = torch.nn.functional.pad(image[None], (40,) * 4, mode="replicate")[0]
        (box,) = find_faces(wider)
        assert np.linalg.norm(middle(box) - 104) < 30
        assert 0.8 * 128 < box.size < 1.45 * 128


@pytest.mark.parametrize("share", [1.0, 0.6])
def test_a_face_that_fills_the_photo(portrait: torch.Tensor, share: float) -> None:
    (box,) = find_faces(portrait)
    side = round(share * box.size)
    left, top = (middle(box) - side / 2).astype(int)
    (found,) = find_faces(portrait[:, top : top + side, left : left + side].contiguous())
    assert found.size == pytest.approx(box.size, rel=0.12)
    corner = np.array([left, top])
    assert middle(found) + corner == pytest.approx(middle(box), abs=0.08 * box.size)


@pytest.mark.parametrize("quarters", [0, 1])
def test_all_of_a_crowd(portrait: torch.Tensor, quarters: int) -> None:
    """Also where all lie on their side, and one does not."""
    one = torch.nn.functional.interpolate(portrait[None], size=(72, 72), mode="area")[0]
    crowd = one.repeat(1, 2, 3)
    crowd[:, :72, :72] = torch.rot90(one, 4 - quarters, (1, 2))
    crowd = torch.rot90(crowd, quarters, (1, 2)).contiguous()
    boxes = find_faces(crowd)
    assert len(boxes) == 6
    places = {tuple((middle(box) // 72).astype(int)) for box in boxes}
    assert len(places) == 6
    assert sum(abs(box.angle) < 20 for box in boxes) == (1 if quarters else 6)


def test_a_small_face_is_looked_at_in_the_photo_itself(portrait: torch.Tensor) -> None:
    """Its box is as exact as that of a large one."""
    (expected,) = find_faces(portrait)
    wide = portrait[:, :1, :1].expand(3, 1200, 1800).clone()
    wide[:, 500:756, 900:1156] = portrait
    (found,) = find_faces(wide)
    assert middle(found) - (900.0, 500.0) == pytest.approx(middle(expected), abs=4)
    assert found.size == pytest.approx(expected.size, rel=0.05)
    assert found.angle == pytest.approx(expected.angle, abs=3)


def test_the_square_that_is_looked_at() -> None:
    """A face of the expected size in its middle, upright, is where its place says."""
    place = Place(300.0, 200.0, 80.0, 30.0)
    to_photo = place.to_photo()
    assert to_photo @ (PATCH / 2, PATCH / 2, 1) == pytest.approx((300, 200))
    across = to_photo[:, 0] * FACE_IN_PATCH
    assert np.hypot(*across) == pytest.approx(80)
    assert np.degrees(np.arctan2(across[1], across[0])) == pytest.approx(30)


def test_the_detector_sees_a_mirrored_face_mirrored(portrait: torch.Tensor) -> None:
    picture = (255 * portrait).byte().permute(1, 2, 0).numpy()[..., ::-1]
    one = look_for_faces(picture, 0.8)[0]
    other = look_for_faces(picture[:, ::-1], 0.8)[0].mirrored(picture.shape[1])
    assert one.points[0, 0] < one.points[1, 0]
    assert np.abs(one.points - other.points).mean() < 0.05 * one.side
    assert other.side == pytest.approx(one.side, rel=0.1)


@pytest.mark.parametrize("kind", ["as it is", "turned by 60", "half the light"])
def test_people(kind: str) -> None:
    """Each twelfth person of the Face Research Lab London Set; pupils as its landmarks have them."""
    folder = os.environ.get("BIOFACENET_FACES_DIR")
    if not folder:
        pytest.skip("BIOFACENET_FACES_DIR does not name the photographs")
    london = Path(folder) / "london"
    rows = (london / "landmarks.csv").read_text("utf-8").splitlines()[1::12]
    assert len(rows) >= 5
    for row in rows:
        name, *numbers = row.split(",")
        eyes = np.array(numbers[:4], float).reshape(2, 2)
        pixels, there = read_photo(london / f"{name}.jpg").pixels, np.eye(2, 3)
        if kind == "turned by 60":
            pixels, there = turned(pixels, 60.0)
        (box,) = find_faces(0.5 * pixels if kind == "half the light" else pixels)
        # In the box the eyes are level, and where the training images have them.
        back = cv2.invertAffineTransform(box.to_photo(100, 100))
        (x0, y0), (x1, y1) = np.c_[np.c_[eyes, (1, 1)] @ there.T, (1, 1)] @ back.T
        assert abs(math.degrees(math.atan2(y1 - y0, x1 - x0))) < 8
        assert (x0 + x1) / 2 == pytest.approx(50, abs=4)
        assert (y0 + y1) / 2 == pytest.approx(41, abs=5)
        assert 20 < x1 - x0 < 29


# None ----------------------------------------------------------------------------------------


def levels(values: np.ndarray, low: float = 40, high: float = 215) -> np.ndarray:
    """Any values, spread between two levels."""
    span = max(float(np.ptp(values)), 1e-9)
    return (low + (high - low) * (values - values.min()) / span).astype(np.uint8)


def clouds(seed: int, steepness: float) -> np.ndarray:
    """Noise whose amplitude falls with frequency."""
    noise = np.random.default_rng(seed).normal(size=(SIDE, SIDE))
    frequency = np.hypot(*np.meshgrid(*(2 * [np.fft.fftfreq(SIDE)])))
    frequency[0, 0] = 1.0
    return np.fft.ifft2(np.fft.fft2(noise) / frequency**steepness).real


Y, X = np.mgrid[:SIDE, :SIDE].astype(float)
SKIN = np.array([224.0, 172.0, 140.0])


def wall(seed: int, skin: np.ndarray) -> np.ndarray:
    """A wall of the colour of skin, unevenly lit."""
    shade = levels(clouds(seed, 1.6), 140, 255)[..., None] / 255.0
    return (skin * shade).astype(np.uint8)


def circles(count: int, colours: int, seed: int = 0) -> np.ndarray:
    """Buttons, knots in wood, bokeh."""
    rng, picture = np.random.default_rng(seed), np.full((SIDE, SIDE, 3), SKIN, np.uint8)
    for _ in range(count):
        centre, radius = rng.integers(0, SIDE, 2).tolist(), int(rng.integers(4, 40))
        colour = rng.integers(0, 255, 3 if colours == 3 else 1).repeat(4 - colours).tolist()[:3]
        cv2.circle(picture, centre, radius, colour, -1 if radius < 20 else 3, cv2.LINE_AA)
    return picture


def bricks() -> np.ndarray:
    row = Y // 24
    joint = (Y % 24 < 3) | ((X + 30 * (row % 2)) % 60 < 3)
    return np.where(joint[..., None], (190, 185, 175), (150, 70, 50)).astype(np.uint8)


TEXTURES: dict[str, Callable[[], np.ndarray]] = {
    "blue gradient": lambda: np.stack((0.2 * X, 0.4 * X, 100 + 0.6 * Y), 2).astype(np.uint8),
    "radial gradient": lambda: levels(np.hypot(X - 110, Y - 130)),
    "grey": lambda: np.full((SIDE, SIDE), 128, np.uint8),
    "white noise": lambda: levels(clouds(0, 0.0), 0, 255),
    "concrete": lambda: levels(clouds(1, 0.8)),
    "rough concrete": lambda: levels(clouds(2, 1.1)),
    "plaster": lambda: levels(clouds(3, 1.5)),
    "clouds": lambda: levels(clouds(4, 2.0)),
    "pale wall": lambda: wall(5, SKIN),
    "dark wall": lambda: wall(6, 0.35 * SKIN),
    "wall in a tan": lambda: wall(7, SKIN * (0.8, 0.7, 0.6)),
    "striped shirt": lambda: levels(np.sin(X / 4)),
    "checked shirt": lambda: levels(np.sin(X / 6) + np.sin(Y / 6)),
    "dotted shirt": lambda: levels(1.0 * (np.cos(X / 5) * np.cos(Y / 5) > 0.6)),
    "chequers": lambda: levels((X // 20 + Y // 20) % 2),
    "flowered shirt": lambda: circles(60, 3, seed=8),
    "bokeh": lambda: circles(25, 3, seed=9),
    "buttons": lambda: circles(40, 1, seed=10),
    "bricks": bricks,
    "grass": lambda: np.stack([levels(clouds(11, 0.5)) * f for f in (0.5, 1, 0.3)], 2).astype("u1"),
}


@pytest.mark.parametrize("name", TEXTURES)
def test_no_face_in_textures(name: str) -> None:
    assert find_faces(tensor(TEXTURES[name]())) == []


def test_there_are_twenty() -> None:
    assert len(TEXTURES) == 20


@pytest.mark.parametrize("name", ["chelsea", "coffee", "gravel", "rocket"])
def test_no_face_of_a_person(name: str) -> None:
    """A cat has one, which the detector takes for a person's at first."""
    assert find_faces(tensor(getattr(data, name)())) == []
