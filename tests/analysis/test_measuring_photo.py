"""One photo's rows: what is implanted is found, what must not matter does not, and what fails is a row."""

import errno
import math
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from drawn_face import Drawn, drawn_result, of_maps
from PIL import Image
from skimage import data
from torch import Tensor

from biofacenet import BioFaceNet
from biofacenet.analysis import ByNetwork
from biofacenet.analysis.measuring.columns import COLUMNS
from biofacenet.analysis.measuring.files import Measurer
from biofacenet.analysis.measuring.numbers import deviations, skin_numbers
from biofacenet.analysis.measuring.photo import measure_face, measure_photo
from biofacenet.analysis.measuring.regions import REGIONS, WHOLE, regions_of
from biofacenet.analysis.measuring.rows import Row
from biofacenet.analysis.results import Result
from biofacenet.errors import PhotoError
from biofacenet.photos.framing import Wanted
from biofacenet.photos.paths import EXAMPLE
from biofacenet.photos.reading import Photo, read_photo

DRAWN = Drawn(side=384)
"""Large enough for spots: the eyes are 104 pixels apart."""


def rows_of(result: Result) -> dict[str, Row]:
    found = measure_face(result, {"face": 1, "faces": 1})
    assert [row["region"] for row in found.rows] == list(REGIONS)
    return {str(row["region"]): row for row in found.rows}


def plane(value: float, side: int = 160) -> Tensor:
    return torch.full((1, 1, side, side), value)


# What is implanted ---------------------------------------------------------------------------


def test_medians_quartiles_and_interval_are_those_of_predict() -> None:
    """Same pixels, unit and interval as `skin_numbers`, which predict, fit and the page ask."""
    result = drawn_result()
    mask = regions_of(result).masks[WHOLE]
    said = skin_numbers(result.decomposition, mask, deviations(result.decomposition, mask))
    row = rows_of(result)[WHOLE]
    assert row["pixels"] == said.pixels
    for name in ("melanosomes", "blood"):
        one = getattr(said, name)
        assert row[f"{name}_percent"] == pytest.approx(one.median, abs=1e-3)
        assert row[f"{name}_percent_q1"] == pytest.approx(one.quartiles[0], abs=1e-3)
        ends = (row.number(f"{name}_percent_low"), row.number(f"{name}_percent_high"))
        assert ends == pytest.approx(one.interval, rel=0.1)
        assert ends[0] < one.median < ends[1]


def test_a_region_has_its_own_numbers() -> None:
    """Twice the melanin and other blood in one cheek; halves differ as they were made to."""
    drawn = Drawn()
    left = drawn.ellipse(0.62, 0.56, 0.4, 0.4)[None, None]
    melanin, haemoglobin = plane(0.0), plane(0.2)
    more = torch.where(left, -0.02 + 1.02 * 2.0 ** (1 / 3) - 1.0 + plane(0.0), melanin)
    result = drawn_result(drawn, melanin=more, haemoglobin=torch.where(left, 0.4, haemoglobin))
    rows = rows_of(result)
    true = 43.0 * (0.01 + 0.99 * 0.5) ** 3
    assert rows["right_cheek"].number("melanosomes_percent") == pytest.approx(true, rel=1e-3)
    found = {
        name: rows[name].number("melanosomes_percent") for name in ("left_cheek", "right_cheek")
    }
    share = 200.0 * (found["left_cheek"] / found["right_cheek"] - 1.0)
    share /= found["left_cheek"] / found["right_cheek"] + 1.0
    assert share > 20.0
    for name in ("left_cheek", "right_cheek"):
        asymmetry = rows[name].number("melanosomes_asymmetry_percent")
        assert asymmetry == pytest.approx(share, abs=0.2), "above 0: the person's left has more"
    assert rows["forehead"].number("melanosomes_asymmetry_percent") == pytest.approx(0.0, abs=0.1)
    assert rows["left_cheek"].number("erythema_index") > rows["right_cheek"].number(
        "erythema_index"
    )
    assert rows["left_cheek"].number("melanin_index") > rows["right_cheek"].number("melanin_index")
    assert rows["left_cheek"].number("ita_degrees") < rows["right_cheek"].number("ita_degrees")


def test_spots_are_those_of_the_region_and_the_pigment() -> None:
    melanin = plane(0.0, DRAWN.side)
    for across, down in ((0.55, 0.5), (0.7, 0.62), (-0.6, 0.55), (0.0, 0.3)):
        row, column = DRAWN.at(across, down)
        melanin[0, 0, row - 1 : row + 2, column - 1 : column + 2] = 0.35
    rows = rows_of(drawn_result(DRAWN, melanin=melanin))
    counts = {
        name: rows[name]["melanin_spots"] for name in ("left_cheek", "right_cheek", "forehead")
    }
    assert counts == {"left_cheek": 2, "right_cheek": 1, "forehead": 0}
    assert rows["left_cheek"].number("melanin_spots_contrast_percent") > 60.0
    area = 100.0 * 18 / rows["left_cheek"].number("pixels")
    assert rows["left_cheek"].number("melanin_spots_area_percent") == pytest.approx(area, rel=0.01)
    assert rows["left_cheek"]["blood_spots"] == 0
    assert rows["forehead"]["melanin_spots_contrast_percent"] is None
    assert rows_of(drawn_result(Drawn(side=96)))["nose"]["melanin_spots"] is None, (
        "too small a face"
    )


def test_redness_spread_is_that_of_the_quartiles() -> None:
    torch.manual_seed(0)
    haemoglobin = (0.2 + 0.1 * torch.randn(1, 1, 160, 160)).clamp(-1.0, 1.0)
    spread = rows_of(drawn_result(haemoglobin=haemoglobin))["left_cheek"]
    assert rows_of(drawn_result())["left_cheek"]["redness_spread"] == 0.0
    q1, q3 = (
        rows_of(drawn_result(haemoglobin=plane(0.2 + sign * 0.0674)))["left_cheek"].number("lab_a")
        for sign in (-1.0, 1.0)
    )
    assert spread.number("redness_spread") == pytest.approx(q3 - q1, rel=0.12)


def test_highlights() -> None:
    glossy = Drawn().ellipse(0.62, 0.42, 0.2, 0.2)[None, None]
    specular = torch.where(glossy, 0.2, plane(0.0))
    rows = rows_of(drawn_result(specular=specular))
    mask = regions_of(drawn_result()).masks["left_cheek"] > 0.5
    share = 100.0 * float((glossy & mask).sum() / mask.sum())
    assert share > 10.0
    assert rows["left_cheek"].number("highlights_percent") == pytest.approx(share, abs=0.1)
    assert rows["right_cheek"].number("highlights_percent") == 0.0
    assert rows["left_cheek"].number("surface_light_percent") > 20.0


def test_exposure_and_side_light_change_no_pigment() -> None:
    result = drawn_result()
    before = rows_of(result)
    across, _ = Drawn().places()
    dimmer = 0.4 * torch.exp(0.3 * across)[None, None]
    lit = replace(
        result.decomposition,
        diffuse=result.decomposition.diffuse * dimmer,
        specular=result.decomposition.specular * dimmer,
    )
    after = rows_of(of_maps(lit))
    for name in REGIONS:
        for column in COLUMNS:
            same = column.source or column.name.startswith(("melano", "blood", "ita", "redness"))
            if same and "low" not in column.name and "high" not in column.name:
                assert after[name][column.name] == before[name][column.name], column.name


def test_units_of_places_are_those_of_the_photo() -> None:
    """Maps of half the photo's resolution: the eyes' distance is still in pixels of the photo."""
    result = drawn_result()
    box = replace(result.part.box, size=320)
    large = replace(result, part=replace(result.part, box=box))
    small, twice = (rows_of(each)[WHOLE].number("eye_distance_pixels") for each in (result, large))
    assert small == pytest.approx(0.27 * 160, abs=1.0)
    assert twice == pytest.approx(2.0 * small, abs=0.2)


# A photo -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def method() -> ByNetwork:
    return ByNetwork(BioFaceNet.from_pretrained("small"), resolution=160)


def test_a_photo_gives_rows_for_each_face(method: ByNetwork) -> None:
    photo = read_photo(EXAMPLE)
    twice = Photo(Path("two.png"), torch.cat((photo.pixels, photo.pixels.flip(-1)), dim=2))
    rows = measure_photo(twice, method, said="a network")
    assert [row["region"] for row in rows] == [*REGIONS, *REGIONS]
    assert {(row["face"], row["faces"]) for row in rows} == {(1, 2), (2, 2)}
    (first,) = [row for row in rows if row["face"] == 1 and row["region"] == WHOLE]
    for column in COLUMNS:
        empty = ("seconds", "problem", "white", "melanin_spots", "blood_spots")
        if not column.name.startswith(empty):
            assert first[column.name] not in (None, ""), column.name
    assert first["method"] == "a network"
    assert 0.3 < first.number("melanosomes_percent") < 43.0
    one = measure_photo(photo, method, Wanted(face="largest"), said="a network")
    assert len(one) == len(REGIONS)


def test_no_face_is_a_row_that_says_so(method: ByNetwork) -> None:
    wall = Photo(Path("wall.png"), torch.rand(3, 64, 64))
    (row,) = measure_photo(wall, method)
    assert "no face found" in str(row["problem"])
    assert (row["faces"], row["region"]) == (0, None)
    named = measure_photo(wall, method, Wanted(crop="0,0,64"))
    assert len(named) == len(REGIONS), "what is named is measured"


# A file --------------------------------------------------------------------------------------


def raising(error: BaseException) -> Measurer:
    def method(photo: Photo, part: object) -> Result:
        raise error

    return Measurer(method)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (PhotoError("too long a strip; give a --crop"), "too long a strip; give a --crop"),
        (MemoryError(), "too large for the memory"),
        (PermissionError(errno.EACCES, "Permission denied", "a.png"), "Permission denied"),
    ],
)
def test_what_fails_is_a_row(error: BaseException, words: str) -> None:
    (row,) = raising(error)(EXAMPLE)
    assert words in str(row["problem"])
    assert row["photo"] == str(EXAMPLE)


def test_a_full_disk_ends_everything() -> None:
    with pytest.raises(OSError, match="No space"):
        raising(OSError(errno.ENOSPC, "No space left on device"))(EXAMPLE)


def test_a_video_has_rows_for_every_so_many_seconds(tmp_path: Path, method: ByNetwork) -> None:
    frame = np.asarray(Image.fromarray(data.astronaut()[:256, 96:352]).resize((160, 160)))
    rate, path = 4, tmp_path / "clip.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=rate, options={"crf": "12"})
        stream.height, stream.width, stream.pix_fmt = 160, 160, "yuv420p"
        for number in range(9):  # the third second shows no one
            shown = frame if number < 8 else np.full_like(frame, 128)
            picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(shown), format="rgb24")
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))
    rows = Measurer(method, every=1.0)(path)
    assert [row["seconds"] for row in rows if row["region"] == WHOLE] == [0.0, 1.0]
    assert len(rows) == 2 * len(REGIONS)
    first, second = (row.number("melanosomes_percent") for row in rows if row["region"] == WHOLE)
    assert math.isclose(first, second, rel_tol=0.1)
