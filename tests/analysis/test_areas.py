"""The mask of skin: no holes but eyes and mouths, soft edges, hair out, and the neck beyond the square in."""

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from biofacenet import BioFaceNet, Decomposition, Illuminant
from biofacenet.analysis import ByNetwork, Result, areas, retouch
from biofacenet.analysis.areas import Areas, areas_of, frame_of, skin_seen, within
from biofacenet.analysis.face_places import places
from biofacenet.analysis.features import skin_between_hairs
from biofacenet.analysis.measuring.numbers import skin_of_parts
from biofacenet.decomposition.parts import PART_NAMES
from biofacenet.photos import choose_parts, read_photo
from biofacenet.photos.boxes import Box, Part
from biofacenet.photos.reading import Photo

SIDE = 96
"""Of the square in the photo, whose corner is at (32, 16)."""

SKIN, HAIR, BLOND, WALL, SHIRT = (
    *((0.80, 0.62, 0.53), (0.15, 0.11, 0.08), (0.62, 0.56, 0.40)),
    *((0.55, 0.60, 0.66), (0.20, 0.30, 0.60)),
)


def ellipse(x: float, y: float, across: float, down: float, shape: tuple[int, int]) -> np.ndarray:
    rows, columns = np.mgrid[: shape[0], : shape[1]] + 0.5
    found: np.ndarray = ((columns - x) / across) ** 2 + ((rows - y) / down) ** 2 <= 1.0
    return found


class Drawn:
    """A drawn portrait of 160 x 160 pixels, and the parts that a network would tell of its square."""

    def __init__(self, hair: tuple[float, float, float] = HAIR) -> None:
        shape = (160, 160)
        generator = np.random.default_rng(0)
        picture = np.full((*shape, 3), WALL)
        labels = np.zeros(shape, int)

        def paint(where: np.ndarray, colour: tuple[float, float, float], name: str) -> None:
            picture[where] = colour
            labels[where] = PART_NAMES.index(name)

        rows = np.mgrid[:160, :160][0]
        paint(ellipse(80, 170, 70, 45, shape), SHIRT, "cloth")
        paint(ellipse(80, 60, 34, 42, shape), hair, "hair")
        neck = (np.abs(np.mgrid[:160, :160][1] - 79.5) < 14) & (rows > 80) & (rows < 140)
        paint(neck, SKIN, "skin")
        paint(ellipse(80, 70, 24, 32, shape), SKIN, "skin")
        for x in (70, 90):
            paint(ellipse(x, 64, 5, 2.5, shape), (0.9, 0.9, 0.9), "eyes")
        self.lips = ellipse(80, 88, 8, 3, shape)
        paint(self.lips, (0.65, 0.35, 0.36), "lips")
        self.highlight = ellipse(80, 50, 6, 4, shape)
        picture[self.highlight] = 0.95
        self.labels, self.neck = labels, neck & (labels == 1)
        noisy = np.clip(picture + generator.normal(0, 0.01, picture.shape), 0, 1)
        self.photo = Photo(
            Path("drawn.png"), torch.tensor(noisy, dtype=torch.float32).permute(2, 0, 1)
        )
        self.part = Part(Box(32, 16, SIDE), "face")
        shares = torch.nn.functional.one_hot(torch.tensor(labels), len(PART_NAMES)).float()
        self.parts = shares.permute(2, 0, 1)[None, :, 16 : 16 + SIDE, 32 : 32 + SIDE].contiguous()

    def tell(self, where: np.ndarray, name: str) -> None:
        """Lets the network see a part at a place in the photo."""
        rows, columns = where[16 : 16 + SIDE, 32 : 32 + SIDE].nonzero()
        self.parts[0, :, rows, columns] = 0.0
        self.parts[0, PART_NAMES.index(name), rows, columns] = 1.0

    def areas(self, others: tuple[Box, ...] = ()) -> tuple[Areas, np.ndarray, np.ndarray]:
        """What is found, and across and down of the frame's pixels in the photo."""
        frame = frame_of(self.photo, self.part, SIDE, SIDE)
        found = areas_of(frame, self.parts, self.photo, others)
        rows, columns = np.mgrid[: frame.size[0], : frame.size[1]]
        return found, columns + frame.box.left, rows + frame.box.top

    def mean(self, plane: torch.Tensor, where: np.ndarray, inside: int = 2) -> float:
        """Mean of a plane of the frame over a place in the photo, without its border."""
        frame = frame_of(self.photo, self.part, SIDE, SIDE)
        there = where.copy()
        for _ in range(inside):
            there[1:-1, 1:-1] &= (
                there[:-2, 1:-1] & there[2:, 1:-1] & there[1:-1, :-2] & there[1:-1, 2:]
            )
        values = np.zeros(where.shape, np.float32)
        top, left = max(0, frame.box.top), max(0, frame.box.left)
        part = plane[0, 0].numpy()[top - frame.box.top :, left - frame.box.left :]
        part = part[: 160 - top, : 160 - left]
        values[top : top + part.shape[0], left : left + part.shape[1]] = part
        return float(values[there].mean())


@pytest.fixture(scope="module")
def drawn() -> Drawn:
    return Drawn()


@pytest.fixture(scope="module")
def found(drawn: Drawn) -> Areas:
    return drawn.areas()[0]


@pytest.mark.parametrize(
    ("down", "wide", "tall", "eyes"),
    [(106, 5, 4, True), (106, 5, 4, False), (95, 6, 2, True), (97, 9, 4, True), (97, 9, 4, False)],
    ids=["throat", "throat, no eyes", "chin", "larger", "larger, no eyes"],
)
def test_a_second_mouth_below_the_first_is_skin(
    down: int, wide: int, tall: int, eyes: bool
) -> None:
    drawn = Drawn()
    if not eyes:
        drawn.tell(drawn.labels == PART_NAMES.index("eyes"), "skin")
    second = ellipse(80, down, wide, tall, drawn.labels.shape)
    drawn.tell(second, "lips")
    found = drawn.areas()[0]
    assert drawn.mean(found.lips, second, 0) == 0.0
    assert drawn.mean(found.skin, second, 0) > 0.97
    assert drawn.mean(found.lips, drawn.lips, 1) > 0.9


def test_the_lower_lip_of_an_open_mouth_stays_a_lip() -> None:
    drawn = Drawn()
    upper, lower = (ellipse(80, down, 7, 2, drawn.labels.shape) for down in (86, 96))
    inside = ellipse(80, 91, 7, 6, drawn.labels.shape) & ~upper & ~lower
    drawn.tell(drawn.lips, "skin")
    for where, name in ((inside, "background"), (upper, "lips"), (lower, "lips")):
        drawn.tell(where, name)
    found = drawn.areas()[0]
    assert drawn.mean(found.lips + found.teeth, lower, 0) > 0.6
    assert drawn.mean(found.lips + found.teeth, upper, 0) > 0.6


@pytest.mark.parametrize(("light", "seen"), [(0.2, False), (0.9, True), (3.0, False)])
def test_skin_is_seen_between_hairs_and_not_through_cloth_or_a_wall(
    light: float, seen: bool
) -> None:
    body = np.zeros((64, 64), np.float32)
    body[:, :32] = 1.0
    relative = np.where(body > 0.5, 1.0, light).astype(np.float32)
    found = skin_between_hairs(body, np.ones_like(body), relative, 128)
    assert (found[:, 33] > 0.2).all() == seen
    assert seen or (found[:, 33:] == 0.0).all()
    assert (found[:, 40:] == 0.0).all()


def test_what_is_seen_between_hairs_does_not_end_at_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """The network tells nothing beyond the square, so that at its border nothing may be left to cut off."""
    monkeypatch.setattr(areas, "skin_between_hairs", lambda body, *_: np.ones_like(body))
    drawn = Drawn()
    skin, across, down = drawn.areas()[0].skin[0, 0].numpy(), *drawn.areas()[1:]
    beside = (np.abs(across - 79.5) > 22) & (across > 40) & (across < 120)
    assert skin[beside & (down == 16 + SIDE - 1)].max() < 0.05
    assert skin[beside & (down == 16 + SIDE - 20)].max() > 0.5


def test_a_white_shirt_on_a_dark_person_is_no_skin() -> None:
    """Beyond the square only colours tell, and a mixture of colours may hold cloth and highlights."""
    folder = os.environ.get("BIOFACENET_FACES_DIR")
    if not folder:
        pytest.skip("BIOFACENET_FACES_DIR does not name the photographs")
    photo = read_photo(Path(folder) / "london" / "061_smiling.jpg")
    network = BioFaceNet.from_pretrained("small")
    result = ByNetwork(network, resolution=256)(photo, choose_parts(photo, face="largest")[0])
    face = retouch(result)
    skin = face.areas.skin[0, 0].clone()
    skin[face.frame.rows, face.frame.columns] = 0.0
    white = face.frame.picture[0].amin(dim=0) > 0.6
    assert float(skin[white].sum()) < 5e-4 * face.frame.side**2
    assert float(skin[~white].sum()) > 0.02 * face.frame.side**2


def test_skin_is_in_and_all_else_is_out(drawn: Drawn, found: Areas) -> None:
    labels = drawn.labels
    face = (labels == 1) & ellipse(80, 70, 24, 32, labels.shape)
    assert drawn.mean(found.skin, face, 3) > 0.97
    for name in ("background", "hair", "eyes", "lips"):
        where = (labels == PART_NAMES.index(name)) & (np.mgrid[:160, :160][0] < 110)
        assert drawn.mean(found.skin, where, 1 if name in ("eyes", "lips") else 3) < 0.06, name
    assert drawn.mean(found.lips, drawn.lips, 1) > 0.9
    assert drawn.mean(found.hair, labels == PART_NAMES.index("hair"), 4) > 0.8
    for plane in vars(found).values():
        assert plane.min() >= 0
        assert plane.max() <= 1


def test_the_mask_is_the_same_with_any_room_around(drawn: Drawn, found: Areas) -> None:
    """The page shows the square alone, and saves the photo."""
    maps = Decomposition(
        *(torch.full((1, 1, SIDE, SIDE), value) for value in (-0.2, -0.1, 1.0, 0.01)),
        illuminant=Illuminant.standard("D65"),
        camera=torch.zeros(1, 2),
        skin="measured",
        parts=drawn.parts,
    )
    image = frame_of(drawn.photo, drawn.part, SIDE, SIDE, margin=0.0).picture
    result = Result(drawn.photo, drawn.part, image, maps, maps.render())
    wide, square = retouch(result), retouch(result, margin=0.0)
    assert square.frame.size == (SIDE, SIDE)
    assert torch.equal(wide.areas.skin, found.skin)
    inside = (..., wide.frame.rows, wide.frame.columns)
    for name, plane in vars(wide.areas).items():
        assert torch.equal(getattr(square.areas, name), plane[inside]), name


def test_the_neck_goes_on_beyond_the_square_and_fades(drawn: Drawn, found: Areas) -> None:
    rows = np.mgrid[:160, :160][0]
    near, far = drawn.neck & (rows >= 112) & (rows < 120), drawn.neck & (rows >= 134)
    assert drawn.mean(found.skin, near, 1) > 0.9
    assert drawn.mean(found.skin, far, 1) < drawn.mean(found.skin, near, 1)
    assert drawn.mean(found.skin, (drawn.labels == 8) & (rows > 130), 2) < 0.1
    assert drawn.mean(found.neck, near, 1) > 0.8


def test_a_highlight_that_a_network_takes_for_wall_is_no_hole() -> None:
    drawn = Drawn()
    there = torch.from_numpy(drawn.highlight[16 : 16 + SIDE, 32 : 32 + SIDE])
    drawn.parts[0, :, there] = 0.0
    drawn.parts[0, 0, there] = 1.0
    assert drawn.mean(drawn.areas()[0].skin, drawn.highlight, 1) > 0.9


def test_blond_hair_that_a_network_takes_for_skin_is_told_by_its_hue() -> None:
    drawn = Drawn(hair=BLOND)
    hair = drawn.labels == PART_NAMES.index("hair")
    above = hair & (np.mgrid[:160, :160][0] < 34)
    there = torch.from_numpy(above[16 : 16 + SIDE, 32 : 32 + SIDE])
    drawn.parts[0, :, there] = 0.0
    drawn.parts[0, 1, there] = 1.0
    assert drawn.mean(drawn.areas()[0].skin, above, 3) < 0.2


def test_numbers_are_of_the_skin_that_edits_change() -> None:
    """No blond hair and no teeth, also where a network takes them for skin; `Result.counted` asks here."""
    drawn = Drawn(hair=BLOND)
    hair = (drawn.labels == PART_NAMES.index("hair")) & (np.mgrid[:160, :160][0] < 34)
    teeth = ellipse(80, 88, 6, 2, drawn.labels.shape)
    pale = torch.tensor((0.86, 0.85, 0.80))[:, None]
    drawn.photo.pixels[:, torch.from_numpy(teeth)] = pale
    there = torch.from_numpy(hair[16 : 16 + SIDE, 32 : 32 + SIDE])
    drawn.parts[0, :, there] = 0.0
    drawn.parts[0, 1, there] = 1.0
    maps = Decomposition(
        *(torch.full((1, 1, SIDE, SIDE), value) for value in (-0.2, -0.1, 1.0, 0.01)),
        illuminant=Illuminant.standard("D65"),
        camera=torch.zeros(1, 2),
        skin="measured",
        parts=drawn.parts,
    )
    image = frame_of(drawn.photo, drawn.part, SIDE, SIDE, margin=0.0).picture
    result = Result(drawn.photo, drawn.part, image, maps, maps.render())
    places = {"hair": hair, "teeth": teeth, "face": ellipse(80, 70, 20, 12, teeth.shape)}
    found = {
        name: float(result.counted[0, 0][torch.from_numpy(where[16:112, 32:128])].mean())
        for name, where in places.items()
    }
    assert found["hair"] < 0.1
    assert found["teeth"] < 0.1
    assert found["face"] > 0.8  # eyes are in it
    whole = replace(result, part=replace(drawn.part, kind="whole"))
    assert torch.equal(whole.counted, skin_of_parts(maps))  # no face is framed there
    larger = skin_seen(torch.nn.functional.interpolate(image, scale_factor=3), drawn.parts)
    assert larger.shape == (1, 1, 3 * SIDE, 3 * SIDE)


@pytest.mark.parametrize(
    "colour", [(0.62, 0.62, 0.64), (0.06, 0.06, 0.07), (0.2, 0.35, 0.75)], ids=str
)
def test_frames_that_a_network_takes_for_skin_are_told_by_their_colour(
    colour: tuple[float, float, float],
) -> None:
    """Of metal, of black and of blue plastic; the skin behind their lenses changes as the rest."""
    drawn = Drawn()
    shape = drawn.labels.shape
    frame, lenses = np.zeros(shape, bool), np.zeros(shape, bool)
    for x in (70, 90):
        inner = ellipse(x, 64, 7, 6, shape)
        frame |= ellipse(x, 64, 9, 8, shape) & ~inner
        lenses |= inner & ~ellipse(x, 64, 6, 3.5, shape)
    skin = torch.tensor(SKIN)[:, None]
    drawn.photo.pixels[:, torch.from_numpy(frame)] = torch.tensor(colour)[:, None]
    drawn.photo.pixels[:, torch.from_numpy(lenses)] = skin
    found = drawn.areas()[0]
    assert drawn.mean(found.skin, frame, 0) < 0.1
    assert drawn.mean(found.glasses, frame, 0) > 0.9
    assert drawn.mean(found.skin, lenses, 0) > 0.75
    assert drawn.mean(found.glasses, ellipse(80, 78, 14, 4, shape), 0) < 0.02
    assert float(Drawn().areas()[0].glasses.mean()) < 0.2 * float(found.glasses.mean())


def test_a_smile_of_which_a_network_tells_half_has_its_teeth_all_along() -> None:
    drawn = Drawn()
    mouth = ellipse(80, 88, 11, 4, drawn.labels.shape)
    teeth = ellipse(80, 88, 8, 2, drawn.labels.shape)
    drawn.photo.pixels[:, torch.from_numpy(mouth)] = torch.tensor((0.72, 0.36, 0.38))[:, None]
    drawn.photo.pixels[:, torch.from_numpy(teeth)] = torch.tensor((0.86, 0.85, 0.80))[:, None]
    columns = np.mgrid[:160, :160][1]
    for where, share in ((mouth & (columns < 80), 0.15), (mouth & (columns >= 80), 0.9)):
        there = torch.from_numpy(where[16 : 16 + SIDE, 32 : 32 + SIDE])
        drawn.parts[0, :, there] = 0.0
        drawn.parts[0, 1, there], drawn.parts[0, 2, there] = 1.0 - share, share
    found = drawn.areas()[0]
    for half in (teeth & (columns < 78), teeth & (columns >= 82)):
        assert drawn.mean(found.skin, half, 0) < 0.25


def test_a_smile_of_which_a_network_tells_little_shows_its_teeth_and_lips() -> None:
    drawn = Drawn()
    mouth = ellipse(80, 88, 9, 4, drawn.labels.shape)
    teeth = ellipse(80, 88, 6, 2, drawn.labels.shape)
    pixels = drawn.photo.pixels
    pixels[:, torch.from_numpy(mouth)] = torch.tensor((0.72, 0.36, 0.38))[:, None]
    pixels[:, torch.from_numpy(teeth)] = torch.tensor((0.86, 0.85, 0.80))[:, None]
    there = torch.from_numpy(mouth[16 : 16 + SIDE, 32 : 32 + SIDE])
    drawn.parts[0, :, there] = 0.0
    drawn.parts[0, 1, there], drawn.parts[0, 2, there] = 0.65, 0.35
    found = drawn.areas()[0]
    assert drawn.mean(found.teeth, teeth, 0) > 0.8
    assert drawn.mean(found.skin, teeth, 0) < 0.1
    assert drawn.mean(found.lips, mouth & ~ellipse(80, 88, 7, 3, mouth.shape), 0) > 0.6


def test_another_face_keeps_its_skin(drawn: Drawn) -> None:
    plain = drawn.areas()[0].skin
    beside = drawn.areas(others=(Box(32, 60, SIDE),))[0].skin
    rows = np.mgrid[:160, :160][0]
    near = drawn.neck & (rows >= 106)
    assert drawn.mean(plain, near, 1) > 0.7
    assert drawn.mean(beside, near, 1) < 0.05


def test_what_is_known_gives_way_before_the_border_of_the_square(drawn: Drawn) -> None:
    frame = frame_of(drawn.photo, drawn.part, SIDE, SIDE)
    weight = within(frame)
    assert weight[frame.rows.start + SIDE // 2, frame.columns.start + SIDE // 2] == 1
    assert weight[frame.rows.start, frame.columns.start :].max() < 0.05
    assert weight[: frame.rows.start].max() == 0
    alone = frame_of(drawn.photo, Part(Box(0, 0, 160), "whole"), SIDE, SIDE)
    assert alone.size == (SIDE, SIDE)  # there is nothing around it


def test_places_of_a_face_lie_where_they_should() -> None:
    """About eyes and lips; turned when they are; as faces are framed when they are not seen."""
    side = 200
    empty = np.zeros((side, side), np.float32)
    eyes, lips = empty.copy(), empty.copy()
    eyes[76:86, 66:80] = eyes[76:86, 120:134] = 1.0
    lips[130:138, 86:114] = 1.0
    found = places({"eyes": eyes, "lips": lips}, side)
    usual = places({"eyes": empty, "lips": empty}, side)
    for planes in (found, usual):
        assert planes["nose"][104, 100] == 1
        assert planes["cheeks"][115, 67] > 0.9
        assert planes["cheeks"][115, 133] > 0.9
        assert planes["forehead"][45, 100] > 0.9
        assert planes["chin"][160, 100] > 0.9
        assert planes["neck"][190, 100] > 0.9
        assert planes["neck"][140, 100] == 0
    turned = places({"eyes": np.rot90(eyes, 2).copy(), "lips": np.rot90(lips, 2).copy()}, side)
    assert turned["forehead"][155, 100] > 0.9
