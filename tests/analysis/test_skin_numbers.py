"""One definition of the skin's numbers: which pixels, which unit, and where methods exclude each other."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from biofacenet import Decomposition
from biofacenet.analysis import Result, write
from biofacenet.analysis.measuring.numbers import (
    PigmentNumbers,
    SkinNumbers,
    deviations,
    disagreement,
    excluded,
    skin_numbers,
    skin_of_parts,
)
from biofacenet.analysis.measuring.photo import measure_face
from biofacenet.analysis.methods import Beside
from biofacenet.data import generate
from biofacenet.decomposition import PART_NAMES
from biofacenet.photos import Photo, choose_parts
from biofacenet.physics.colour import srgb_to_linear
from biofacenet.web.session import Session

Command = Callable[..., subprocess.CompletedProcess[str]]

SIDE = 48


@pytest.fixture(scope="module")
def result() -> Result:
    """A face with its true maps, and parts: skin in the middle, lips in it, wall around."""
    faces = generate([5], seed=8, size=SIDE, skin="measured")
    parts = torch.zeros(1, len(PART_NAMES), SIDE, SIDE)
    parts[:, PART_NAMES.index("background")] = 1.0
    for name, (top, bottom, left, right) in {
        "skin": (12, 40, 14, 34),
        "lips": (30, 34, 20, 28),
    }.items():
        parts[:, :, top:bottom, left:right] = 0.0
        parts[:, PART_NAMES.index(name), top:bottom, left:right] = 1.0
    photo = Photo(Path("face.png"), faces.image[0])
    (part,) = choose_parts(photo, "whole")
    image = srgb_to_linear(faces.image)
    maps = replace(faces.truth, parts=parts)
    return Result(photo, part, image, maps, maps.render(), method="network")


def with_pigments(maps: Decomposition, melanosomes: torch.Tensor) -> Decomposition:
    """Maps with these fractions, by the definition of the axis: 0.43 u^3, u from 0.01 to 1."""
    u = (melanosomes / 0.43) ** (1.0 / 3.0)
    return replace(maps, melanin=(2.0 * (u - 0.01) / 0.99 - 1.0).reshape(maps.melanin.shape))


def test_numbers_are_percent_of_the_pixels_that_are_asked_for(result: Result) -> None:
    fractions = torch.linspace(0.02, 0.10, SIDE * SIDE)
    maps = with_pigments(result.decomposition, fractions)
    mask = torch.zeros(1, 1, SIDE, SIDE)
    mask.view(-1)[500:1501] = 1.0
    said = deviations(maps, mask)
    found = skin_numbers(maps, mask, said)
    assert found.pixels == 1001
    expected = 100.0 * fractions[[750, 1000, 1250]]
    numbers = (found.melanosomes.quartiles[0], found.melanosomes.median)
    assert (*numbers, found.melanosomes.quartiles[1]) == pytest.approx(expected.tolist(), rel=1e-4)

    # One deviation of the map to either side, and the fraction there.
    u = (fractions[1000] / 0.43) ** (1.0 / 3.0)
    for end, sign in zip(found.melanosomes.interval, (-1.0, 1.0), strict=True):
        moved = (u + sign * said.face_melanin * 0.99 / 2.0).clamp(0.01, 1.0)
        assert end == pytest.approx(float(43.0 * moved**3), rel=1e-4)
    low, high = found.blood.interval
    assert low < found.blood.median < high


def test_the_wall_does_not_count(result: Result) -> None:
    mask = result.counted
    wall = (1.0 - mask) * 0.9
    other = replace(
        result.decomposition, melanin=(result.decomposition.melanin + wall).clamp(-1, 1)
    )
    said = result.deviations
    assert skin_numbers(other, mask, said) == skin_numbers(result.decomposition, mask, said)
    assert not torch.equal(other.melanin, result.decomposition.melanin)


def test_masks_that_name_no_skin_are_refused(result: Result) -> None:
    maps, said = result.decomposition, result.deviations
    with pytest.raises(ValueError, match="empty"):
        skin_numbers(maps, torch.zeros(1, 1, SIDE, SIDE), said)
    with pytest.raises(ValueError, match="shape"):
        skin_numbers(maps, torch.ones(1, 1, SIDE, SIDE + 1), said)


def test_skin_is_that_of_parts_without_lips(result: Result) -> None:
    expected = torch.zeros(1, 1, SIDE, SIDE)
    expected[..., 12:40, 14:34] = 1.0
    expected[..., 30:34, 20:28] = 0.0
    assert torch.equal(result.counted, expected)
    # Also where skin was looked for by its colour, and for maps of another size.
    coloured = replace(result, mask=torch.ones(1, 1, SIDE, SIDE))
    assert torch.equal(coloured.counted, expected)
    larger = skin_of_parts(result.decomposition, (2 * SIDE, 2 * SIDE))
    assert larger is not None
    assert int((larger[..., ::2, ::2] != expected).sum()) <= 8  # corners are rounded
    assert abs(float(larger.mean() - expected.mean())) < 0.02


def test_pieces_among_hair_do_not_count(result: Result) -> None:
    parts = torch.zeros(1, len(PART_NAMES), 192, 192)
    skin, hair = PART_NAMES.index("skin"), PART_NAMES.index("hair")
    parts[:, hair] = 1.0
    expected = torch.zeros(192, 192, dtype=torch.bool)
    for top, bottom, left, right, counts in (
        (60, 150, 50, 140, True),
        (160, 185, 70, 120, True),  # the neck, below a beard
        (20, 30, 60, 68, False),  # an island
        (30, 60, 90, 93, False),  # a strand that reaches the face
    ):
        parts[:, hair, top:bottom, left:right] = 0.0
        parts[:, skin, top:bottom, left:right] = 1.0
        expected[top:bottom, left:right] = counts
    large = result.decomposition.map(
        lambda x: torch.zeros(1, x.shape[1], 192, 192) if x.ndim == 4 else x
    )
    found = skin_of_parts(replace(large, parts=parts, normals=None))
    assert found is not None
    differs = (found[0, 0] > 0.5) != expected
    assert differs.sum() <= 24  # corners are rounded
    assert not (found[0, 0, :57] > 0.5).any()


def test_without_parts_skin_is_what_has_its_colour(result: Result) -> None:
    bare = replace(result, decomposition=replace(result.decomposition, parts=None))
    assert torch.equal(bare.counted, bare.skin())
    assert skin_of_parts(bare.decomposition) is None
    # A network that finds no skin at all is not believed.
    nothing = torch.zeros_like(result.decomposition.parts)
    nothing[:, 0] = 1.0
    lost = replace(result, decomposition=replace(result.decomposition, parts=nothing))
    assert torch.equal(lost.counted, bare.skin())
    # Parts told beside it are.
    assert torch.equal(replace(bare, beside=result).counted, result.counted)


def test_files_page_and_table_have_the_same_numbers(result: Result, tmp_path: Path) -> None:
    write(result, tmp_path / "out", method="by hand")
    said = json.loads((tmp_path / "out" / "summary.json").read_text("utf-8"))
    melanosomes = result.decomposition.melanosomes()[result.counted > 0.5]
    expected = 100.0 * np.median(melanosomes.numpy())
    assert said["skin"]["melanosomes_percent"]["median"] == pytest.approx(expected, abs=2e-3)
    assert said["skin"] == result.numbers.as_json()
    assert said["skin_constants"] == "measured"
    with Image.open(tmp_path / "out" / "mask.png") as stored:
        mask = torch.from_numpy(np.array(stored)) > 127
    assert torch.equal(mask, result.counted[0, 0] > 0.5)
    assert "beside" not in said
    assert said["share_of_skin"] == pytest.approx(float(result.counted.mean()), abs=1e-4)
    assert Session(result, method="by hand").numbers == result.numbers
    row = measure_face(result, {"face": 1, "faces": 1}).rows[0].values
    assert (row["region"], row["pixels"]) == ("skin", result.numbers.pixels)
    told, own = (row["melanosomes_percent"], row["blood_percent_low"]), result.numbers
    assert told == pytest.approx((own.melanosomes.median, own.blood.interval[0]), abs=1e-3)


# Methods beside each other -----------------------------------------------------------------------


def numbers(
    melanosomes: tuple[float, float, float], blood: tuple[float, float, float]
) -> SkinNumbers:
    def one(low: float, median: float, high: float) -> PigmentNumbers:
        return PigmentNumbers(median, (median, median), (low, high))

    return SkinNumbers(9, one(*melanosomes), one(*blood))


def test_methods_disagree_where_intervals_have_nothing_in_common() -> None:
    one, blood = numbers((2.0, 3.0, 4.0), (1.0, 1.5, 2.0)), (1.0, 1.5, 2.0)
    for melanosomes, differ in (
        ((3.9, 5.0, 6.0), ()),
        ((4.1, 5.0, 6.0), ("melanosomes",)),
        ((0.5, 1.0, 1.9), ("melanosomes",)),
        ((2.5, 3.0, 3.5), ()),
    ):
        other = numbers(melanosomes, blood)
        assert excluded(one, other) == excluded(other, one) == differ
    both = numbers((4.1, 5.0, 6.0), (0.1, 0.2, 0.3))
    assert excluded(one, both) == ("melanosomes", "blood")
    assert disagreement(("network", one), ("fit", both)) == (
        "network and fit disagree beyond their 68 % intervals: melanosomes 3.0 % (2.0 to 4.0) and 5.0 % "
        "(4.1 to 6.0), blood 1.50 % (1.00 to 2.00) and 0.20 % (0.10 to 0.30)"
    )
    assert disagreement(("network", one), ("fit", one)) == ""


def test_a_disagreement_is_told(result: Result, tmp_path: Path) -> None:
    far = result.decomposition.melanosomes().clamp(min=0.35)
    other = replace(
        result, method="fit", decomposition=with_pigments(result.decomposition, far), mask=None
    )
    agreeing = Beside(lambda *_: result, lambda *_: replace(result, method="fit"))
    compared = Beside(lambda *_: result, lambda *_: other)
    same = agreeing(result.photo, result.part)
    found = compared(result.photo, result.part)
    assert same.disagreement == ""
    assert "network and fit disagree" in found.disagreement
    assert found.disagreement in found.remarks
    write(found, tmp_path / "out", method="by hand")
    said = json.loads((tmp_path / "out" / "summary.json").read_text("utf-8"))
    assert said["beside"]["method"] == "fit"
    assert said["beside"]["disagree_on"] == ["melanosomes"]
    assert said["beside"]["skin"] == other.numbers.as_json()
    # Percent of another skin's constants stand for other colours.
    published = replace(other, decomposition=replace(other.decomposition, skin="published"))
    apart = Beside(lambda *_: result, lambda *_: published)(result.photo, result.part)
    assert apart.disagreement == ""


@pytest.mark.parametrize(
    ("command", "arguments", "method"),
    [
        ("fit", ("--size", "32", "--steps", "4"), "network"),
        ("fit", ("--size", "32", "--steps", "4", "--against", "none"), None),
        ("predict", ("--resolution", "32", "--size", "32", "--against", "fit"), "fit"),
        ("predict", ("--resolution", "32", "--size", "32"), None),
    ],
)
def test_commands_ask_another_method(
    command: str,
    arguments: tuple[str, ...],
    method: str | None,
    tmp_path: Path,
    in_process: Command,
) -> None:
    pixels = (
        (255 * generate([3], seed=8, size=64, skin="published").image[0])
        .permute(1, 2, 0)
        .round()
        .byte()
    )
    Image.fromarray(pixels.numpy()).save(tmp_path / "face.png")
    arguments = ("face.png", "--crop", "whole", "--out", "out", "--device", "cpu", *arguments)
    done = in_process(f"biofacenet.{command}", *arguments, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    said = json.loads((tmp_path / "out" / "face" / "summary.json").read_text("utf-8"))
    assert said.get("beside", {}).get("method") == method
    assert said["skin"]["skin_pixels"] > 20
    if method is not None:
        assert said["beside"]["disagree_on"] in (
            [],
            ["melanosomes"],
            ["blood"],
            ["melanosomes", "blood"],
        )


def test_an_unknown_network_is_refused_before_anything(tmp_path: Path, in_process: Command) -> None:
    Image.new("RGB", (64, 64), (180, 120, 90)).save(tmp_path / "face.png")
    done = in_process("biofacenet.fit", "face.png", "--against", "nowhere", cwd=tmp_path)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert "nowhere" in done.stderr
    assert {path.name for path in tmp_path.iterdir()} == {"face.png"}
