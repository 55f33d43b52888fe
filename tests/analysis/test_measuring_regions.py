"""Regions of a face: where the template lies, what is cut off it, and what a face is warned of."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from drawn_face import WHITE_OF_EYES, Drawn, drawn_result, of_maps, without_parts

from biofacenet.analysis.measuring import cautions
from biofacenet.analysis.measuring.photo import SHOWN_TURN, measure_face
from biofacenet.analysis.measuring.regions import MIRRORED, REGIONS, WHOLE, place, regions_of
from biofacenet.analysis.results import Result
from biofacenet.decomposition import PART_NAMES

PLACES = {
    "forehead": (0.0, -0.68),
    "left_cheek": (0.62, 0.56),
    "right_cheek": (-0.62, 0.56),
    "nose": (0.0, 0.31),
    "chin": (0.0, 1.43),
    "lips": (0.0, 1.0),
}
"""Of the drawn face, (across, down) as the person has it: its left cheek is at the picture's right."""


def masks_of(result: Result) -> dict[str, np.ndarray]:
    return {name: mask[0, 0].numpy() > 0.5 for name, mask in regions_of(result).masks.items()}


FACES = {
    "upright": Drawn(),
    "turned": Drawn(degrees=9.0),
    "small": Drawn(eyes=0.22, down=0.2, middle=(0.46, 0.43)),
    "long": Drawn(eyes=0.25, down=0.30),
}


@pytest.mark.parametrize("drawn", FACES.values(), ids=FACES)
def test_regions_follow_the_face(drawn: Drawn) -> None:
    """However it is placed, turned and proportioned, each region is around its place, and nowhere else."""
    masks = masks_of(drawn_result(drawn))
    assert list(masks) == list(REGIONS)
    across, down = (plane.numpy() for plane in drawn.places())
    for name, at in PLACES.items():
        assert masks[name][drawn.at(*at)], name
        assert across[masks[name]].mean() == pytest.approx(at[0], abs=0.06)
        assert down[masks[name]].mean() == pytest.approx(at[1], abs=0.06)
    assert down[masks["neck"]].min() > 1.8
    single = [masks[name] for name in REGIONS if name != WHOLE]
    assert int(sum(mask.astype(int) for mask in single).max()) == 1, "they do not overlap"


def test_eyes_brows_and_teeth_are_in_no_region() -> None:
    drawn = Drawn()
    parts = drawn.parts()
    open_mouth = drawn.ellipse(0.0, 1.0, 0.2, 0.08)
    parts[0, :, open_mouth] = 0.0
    parts[0, PART_NAMES.index("skin"), open_mouth] = 1.0  # as networks take teeth for skin
    masks = masks_of(drawn_result(drawn, parts=parts))
    for name in REGIONS:
        if name != WHOLE:
            assert not (masks[name] & open_mouth.numpy()).any(), name
    for part in ("eyes", "brows"):
        there = parts[0, PART_NAMES.index(part)].numpy() > 0.5
        assert not any((masks[name] & there).any() for name in REGIONS)


def test_a_mirrored_photo_has_mirrored_regions() -> None:
    drawn = Drawn(middle=(0.47, 0.41), degrees=4.0)
    result = drawn_result(drawn)
    plain = masks_of(result)
    flipped = masks_of(
        of_maps(result.decomposition.map(lambda x: x.flip(-1) if x.ndim == 4 else x))
    )
    for name in REGIONS:
        other = flipped[MIRRORED.get(name, name)][:, ::-1]
        assert (plain[name] ^ other).sum() <= 0.05 * plain[name].sum() + 4, name


def test_the_chin_goes_down_with_the_lip() -> None:
    drawn = Drawn()
    parts = drawn.parts()
    lips = drawn.ellipse(0.0, 1.08, 0.4, 0.3)
    parts[0, :, lips] = 0.0
    parts[0, PART_NAMES.index("lips"), lips] = 1.0
    _, down = (plane.numpy() for plane in drawn.places())
    closed, opened = (
        down[masks_of(drawn_result(drawn, parts=p))["chin"]].mean() for p in (None, parts)
    )
    assert opened > closed + 0.05


def test_without_lips_or_eyes_regions_lie_as_in_most_faces() -> None:
    drawn = Drawn()
    whole = masks_of(drawn_result(drawn))
    for shown, by in (({"lips": False}, "eyes"), ({"lips": False, "eyes": False}, "square")):
        result = drawn_result(drawn, parts=drawn.parts(**shown))
        laid = regions_of(result).placement
        assert laid is not None
        assert laid.by == by
        masks = masks_of(result)
        assert not masks["lips"].any()
        for name in ("forehead", "left_cheek", "nose", "chin"):
            overlap = (masks[name] & whole[name]).sum() / (masks[name] | whole[name]).sum()
            assert overlap > 0.7, name
        row = measure_face(result, {"face": 1}).rows[1]
        assert "placed-by-average" in str(row["warnings"])


def test_a_method_without_parts_has_skin_by_its_colour() -> None:
    result = without_parts(drawn_result())
    regions = regions_of(result)
    assert regions.placement is not None
    assert regions.placement.by == "square"
    assert torch.equal(regions.masks[WHOLE], result.skin())
    assert not bool(regions.masks["lips"].any())
    assert bool(regions.masks["left_cheek"].any())


def test_hair_that_is_taken_for_skin_is_left_out() -> None:
    """As networks do where it is fair: by its colour, or as it does not hang together with the face."""
    drawn = Drawn()
    fringe = drawn.ellipse(0.0, -0.8, 0.9, 0.12)[None, None]
    plain = masks_of(drawn_result(drawn))["forehead"]
    image = drawn_result(drawn).image
    for tint in ((0.3, 0.3, 0.3), (0.6, 1.0, 1.0)):  # dark; without red
        colour = torch.tensor(tint)[None, :, None, None]
        hair = replace(drawn_result(drawn), image=torch.where(fringe, colour * image, image))
        found = masks_of(hair)["forehead"]
        assert not (found & fringe[0, 0].numpy()).any()
        assert found.sum() > 0.4 * plain.sum()
    gap = drawn.ellipse(0.0, -0.62, 1.2, 0.05)
    parts = drawn.parts()
    parts[0, :, gap] = 0.0
    parts[0, PART_NAMES.index("hair"), gap] = 1.0
    above = drawn.places()[1].numpy() < -0.66
    assert (plain & above).any()
    assert not (masks_of(drawn_result(drawn, parts=parts))["forehead"] & above).any()


def test_lips_that_are_half_seen_do_not_draw_regions_aside() -> None:
    """Nor do red collars count as lips."""
    drawn = Drawn()
    across, down = drawn.places()
    index = PART_NAMES.index("lips")
    parts = drawn.parts()
    half = (parts[0, index] > 0.5) & (across < 0.05)
    parts[0, :, half] = 0.0
    parts[0, PART_NAMES.index("skin"), half] = 1.0
    collar = drawn.ellipse(0.3, 2.1, 0.4, 0.1)
    parts[0, :, collar] = 0.0
    parts[0, index, collar] = 1.0
    masks = masks_of(drawn_result(drawn, parts=parts))
    assert abs(float(across[torch.from_numpy(masks["chin"])].mean())) < 0.03
    assert float(down[torch.from_numpy(masks["lips"])].max()) < 1.5


def test_a_crease_below_the_chin_is_no_lip_and_teeth_between_lips_are_no_skin() -> None:
    drawn = Drawn()
    names = {name: PART_NAMES.index(name) for name in ("lips", "skin", "teeth")}

    def painted(parts: torch.Tensor, where: torch.Tensor, name: str) -> None:
        parts[0, :, where] = 0.0
        parts[0, names[name], where] = 1.0

    creased = drawn.parts()
    painted(creased, drawn.ellipse(0.0, 1.6, 0.25, 0.06), "lips")
    plain, found = masks_of(drawn_result(drawn)), masks_of(drawn_result(drawn, parts=creased))
    assert (plain["lips"] ^ found["lips"]).sum() == 0
    _, down = (plane.numpy() for plane in drawn.places())
    assert abs(down[found["chin"]].mean() - down[plain["chin"]].mean()) < 0.05
    smiling = drawn.parts()
    painted(smiling, drawn.ellipse(0.0, 1.08, 0.4, 0.3), "lips")
    painted(smiling, drawn.ellipse(0.0, 1.08, 0.6, 0.14), "teeth")
    lips = masks_of(drawn_result(drawn, parts=smiling))["lips"]
    assert down[lips].min() < 0.9
    assert down[lips].max() > 1.3


def test_no_face_means_no_regions() -> None:
    """Of a part that was named, where neither eyes nor lips are seen, there is skin as a whole."""
    result = drawn_result(parts=Drawn().parts(eyes=False, lips=False))
    named = replace(result, part=replace(result.part, kind="named"))
    regions = regions_of(named)
    assert regions.placement is None
    assert place(result.decomposition, square=False) is None
    assert bool(regions.masks[WHOLE].any())
    assert not any(bool(regions.masks[name].any()) for name in REGIONS if name != WHOLE)
    rows = measure_face(named, {"face": 1}).rows
    assert rows[0]["melanosomes_percent"] is not None
    assert rows[1]["pixels"] == 0
    assert rows[1]["melanosomes_percent"] is None


def test_eyes_straight_above_each_other_are_no_pair() -> None:
    lying = drawn_result(parts=Drawn().parts().mT.contiguous())
    assert place(lying.decomposition, square=False) is None
    assert regions_of(lying).placement is not None  # where a face that was found has them


def test_skin_that_is_seen_from_aside_is_left_out() -> None:
    drawn = Drawn()
    normals = drawn_result(drawn).decomposition.normals
    assert normals is not None
    across, _ = drawn.places()
    normals = normals.clone()
    normals[0, :, across > 0.0] = torch.tensor([0.98, 0.0, 0.199])[:, None]
    masks = masks_of(drawn_result(drawn, normals=normals))
    assert not masks["left_cheek"].any()
    assert masks["right_cheek"].any()


# Warnings ------------------------------------------------------------------------------------


def warned(result: Result, region: str = "left_cheek") -> set[str]:
    rows = {row["region"]: row for row in measure_face(result, {"face": 1}).rows}
    return set(str(rows[region]["warnings"]).split(";")) - {""}


def test_an_ordinary_face_has_no_warning_but_that_of_its_light() -> None:
    assert warned(drawn_result()) == {"prior-only"}


def with_image(image: torch.Tensor) -> Result:
    """The ordinary face, whose photo is another."""
    result = drawn_result()
    return replace(result, image=image)


def test_exposure() -> None:
    image = drawn_result().image
    assert "overexposed" in warned(with_image((14.0 * image).clamp(max=1.0)))
    assert "underexposed" in warned(with_image(0.02 * image))
    noisy = image.clone()
    noisy[..., ::7, :] = 0.0  # every seventh row has no light at all
    assert "underexposed" in warned(with_image(noisy))


@pytest.mark.parametrize(
    "gains", [(1.0, 1.0, 0.7), (1.0, 1.0, 1.4), (1.3, 1.0, 0.7), (0.8, 1.0, 1.3)]
)
def test_coloured_light(gains: tuple[float, float, float]) -> None:
    result = drawn_result()
    image = result.image * torch.tensor(gains)[:, None, None]
    assert "coloured-light" in warned(with_image(image))


def test_coloured_whites_of_the_eyes_tell_of_light_that_maps_explain() -> None:
    """As where a network takes yellow light for melanin: nothing is left unexplained."""
    drawn = Drawn()
    eyes = drawn.parts()[:, [PART_NAMES.index("eyes")]]
    for blue, code in ((1.0, set()), (0.65, {"coloured-light"})):
        white = (WHITE_OF_EYES * torch.tensor([1.0, 1.0, blue]))[None, :, None, None]
        result = drawn_result(drawn)
        image = torch.where(eyes > 0.5, white, result.image)
        assert warned(replace(result, image=image)) - {"prior-only"} == code


def test_make_up() -> None:
    drawn, result = Drawn(), drawn_result()
    lips = drawn.parts()[:, [PART_NAMES.index("lips")]] > 0.5
    lids = regions_of(result).lids > 0.5
    assert int(lids.sum()) > 100
    red = torch.tensor([1.2, 0.5, 0.5])[None, :, None, None]
    bare = torch.tensor([1.1, 0.8, 0.8])[None, :, None, None]
    blue = torch.tensor([0.5, 0.8, 1.2])[None, :, None, None]
    for where, tint, code in (
        (lips, bare, set()),
        (lips, red, {"make-up"}),
        (lids, blue, {"make-up"}),
        (lids, 0.1 * torch.ones(1, 3, 1, 1), {"make-up"}),
        (lids, 0.6 * torch.ones(1, 3, 1, 1), set()),
    ):
        image = torch.where(where, tint * result.image, result.image)
        assert warned(replace(result, image=image)) - {"prior-only"} == code


def test_small_and_turned_faces() -> None:
    drawn = Drawn(side=96)
    small = drawn_result(drawn)
    box = replace(small.part.box, size=60)  # the maps are larger than the photo
    assert "small-face" in warned(replace(small, part=replace(small.part, box=box)))
    normals = drawn_result(drawn).decomposition.normals
    assert normals is not None
    for degrees, code in ((12.0, set()), (-35.0, {"turned"}), (35.0, {"turned"})):
        x, z = np.sin(np.radians(degrees)), np.cos(np.radians(degrees))
        there = torch.tensor([x, 0.0, z], dtype=torch.float32)[None, :, None, None]
        result = drawn_result(drawn, normals=there.expand_as(normals).contiguous())
        assert warned(result) & {"turned"} == code
        (row, *_) = measure_face(result, {"face": 1}).rows
        assert row.number("turned_degrees") == pytest.approx(degrees / SHOWN_TURN, abs=0.1)


def test_few_pixels_and_ends_of_ranges() -> None:
    assert "few-pixels" in warned(drawn_result(Drawn(side=48)), "nose")
    even = torch.ones(1, 1, 160, 160)
    for maps in ({"melanin": even}, {"melanin": -even}, {"haemoglobin": even}):
        assert "end-of-range" in warned(drawn_result(**maps))
    assert "end-of-range" not in warned(drawn_result(melanin=0.9 * even))


def test_every_warning_is_explained() -> None:
    """And named in the order of the codebook."""
    image = drawn_result().image * torch.tensor([1.0, 1.0, 0.6])[:, None, None]
    words = str(measure_face(with_image(0.02 * image), {"face": 1}).rows[2]["warnings"]).split(";")
    assert len(words) > 2
    order = list(cautions.CAUTIONS)
    assert [order.index(word) for word in words] == sorted(order.index(word) for word in words)
