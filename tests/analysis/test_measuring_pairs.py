"""Between photos of a face: differences, repeated photos and changed copies, against numbers by hand."""

import csv
import math
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from biofacenet.analysis.measuring import differences, reliability, repeats
from biofacenet.analysis.measuring.compared import COMPARED, SHIPPED, Spread, read_repeatability
from biofacenet.analysis.measuring.differences import difference, difference_rows
from biofacenet.analysis.measuring.entries import Entry
from biofacenet.analysis.measuring.plans import Pair, Person, Plan, of_pairs, of_repeats
from biofacenet.analysis.measuring.regions import REGIONS
from biofacenet.analysis.measuring.rows import Row, problem_row
from biofacenet.errors import DataError
from biofacenet.photos.changes import CHANGES

Run = Callable[..., subprocess.CompletedProcess[str]]


def row(region: str = "skin", face: int = 1, **values: float | str) -> Row:
    return Row({"photo": "p.png", "face": face, "region": region, **values})


def melanosomes(median: float, low: float, high: float) -> dict[str, float]:
    name = "melanosomes_percent"
    return {name: median, f"{name}_low": low, f"{name}_high": high}


def table(rows: object) -> list[dict[str, str]]:
    head, *others = [[str(cell) for cell in row] for row in rows]  # type: ignore[attr-defined]
    return [dict(zip(head, row, strict=True)) for row in others]


# Differences ---------------------------------------------------------------------------------


def test_an_interval_of_a_difference_by_hand() -> None:
    """d = 3; downwards hypot(5 - 2, 6 - 2) = 5, upwards hypot(17 - 5, 2 - (-3)) = 13."""
    found = difference(
        "melanosomes_percent",
        row(**melanosomes(2.0, -3.0, 6.0)),
        row(**melanosomes(5.0, 2.0, 17.0)),
        Spread(0.5, 10.0),
    )
    assert found.value == 3.0
    assert found.low == pytest.approx(3.0 - 5.0)
    assert found.high == pytest.approx(3.0 + 13.0)
    assert found.repeat == pytest.approx(0.35)  # 10 % of the level of both, 3.5
    assert found.smallest == pytest.approx(1.96 * math.sqrt(2.0) * 0.35)


@pytest.mark.parametrize(
    ("after", "spread", "change"),
    [
        (melanosomes(5.3, 4.3, 6.3), Spread(0.0, 2.0), "none"),  # 0.30 of at least 0.29 .. 0.286
        (melanosomes(6.0, 5.0, 7.0), Spread(0.0, 2.0), "same-light"),  # 95 %: 1 - 1.96 hypot(1, 1)
        (melanosomes(9.0, 8.0, 10.0), Spread(0.0, 2.0), "clear"),
        (melanosomes(1.0, 0.5, 2.0), Spread(0.0, 2.0), "clear"),
        (melanosomes(9.0, 8.0, 10.0), None, ""),
    ],
)
def test_what_is_said_of_a_difference(
    after: dict[str, float], spread: Spread | None, change: str
) -> None:
    before = row(**melanosomes(5.0, 4.0, 6.0))
    found = difference("melanosomes_percent", before, row(**after), spread)
    if change == "none":
        found = difference("melanosomes_percent", before, row(**melanosomes(5.2, 4.2, 6.2)), spread)
    assert found.change == change


def test_a_quantity_without_interval_is_never_clear() -> None:
    found = difference("lab_a", row(lab_a=10.0), row(lab_a=20.0), Spread(0.5))
    assert math.isnan(found.low)
    assert found.smallest == pytest.approx(1.386, abs=1e-3)
    assert found.change == "same-light"


def test_the_table_of_differences() -> None:
    files = tuple(Path(name) for name in ("a.png", "=b.png", "text.txt", "aside.png"))
    plan = Plan(
        files, (Pair("one", 0, 1), Pair("=two", 0, 2), Pair("three", 1, 3), Pair("four", 0, 3))
    )
    entries = [
        Entry(None, (row(lab_a=10.0), row("lips", lab_a=30.0), row(face=2, lab_a=99.0))),
        Entry(None, (row(lab_a=12.5, warnings="turned"), row("nose", lab_a=11.0))),
        Entry(None, (problem_row("text.txt", "no photo"),)),
        Entry(None, (row("nose", lab_a=10.0),)),
    ]
    known = {("skin", "lab_a"): Spread(2.0)}
    found = table(difference_rows(plan, entries.__getitem__, known))
    assert [(line["pair"], line["region"], line["problem"]) for line in found] == [
        ("one", "skin", ""),
        ("=two", "", "no photo"),
        ("three", "nose", ""),
        ("four", "", "no region with numbers in both photos"),
    ]
    first = found[0]
    assert (first["value_before"], first["value_after"]) == ("10.0000", "12.5000")
    assert (first["difference"], first["change"]) == ("2.5000", "none")
    assert first["smallest_change"] == f"{1.96 * math.sqrt(2.0) * 2.0:.4f}"
    assert (first["warnings_before"], first["warnings_after"]) == ("", "turned")
    assert first["low"] == ""
    assert found[2]["change"] == ""


# Repeated photos -----------------------------------------------------------------------------


def test_repeated_photos_by_hand() -> None:
    """Three people with two photos: squares about their means are 0.5, 0.5 and 2."""
    values = [10.0, 11.0, 20.0, 21.0, 30.0, 32.0, 50.0]
    plan = Plan(
        tuple(Path(f"{number}.png") for number in range(7)),
        people=(
            *(Person(name, (2 * number, 2 * number + 1)) for number, name in enumerate("abc")),
            Person("alone", (6,)),
        ),
    )
    entries = [Entry(None, (row(lab_l=value),)) for value in values]
    found = repeats.repeated(plan, entries.__getitem__)
    people = table(repeats.people_rows(found))
    assert [(line["person"], line["photos"], line["mean"], line["sd"]) for line in people] == [
        ("a", "2", "10.5000", "0.7071"),
        ("b", "2", "20.5000", "0.7071"),
        ("c", "2", "31.0000", "1.4142"),
        ("alone", "1", "50.0000", ""),
    ]
    (line,) = table(repeats.repeats_rows(found))
    assert (line["region"], line["quantity"], line["people"], line["photos"]) == (
        *("skin", "lab_l"),
        *("3", "6"),
    )
    assert line["within_sd"] == "1.0000"  # sqrt((0.5 + 0.5 + 2) / 3)
    assert line["between_sd"] == "10.2510"  # of 10.5, 20.5 and 31
    assert line["smallest_change"] == "2.7719"
    # MSB = 2 * 10.2510^2 = 210.167, MSW = 1: 209.167 / 211.167
    assert line["icc_1"] == "0.9905"
    assert line["icc_3_1"] == ""  # one person has one photo

    pairs = Plan(plan.files[:6], people=plan.people[:3])
    (line,) = table(repeats.repeats_rows(repeats.repeated(pairs, entries.__getitem__)))
    # Columns differ by 4/3: squares 3 - 6 (2/3)^2 = 1/3, on 2 degrees: MSE = 1/6.
    assert line["icc_3_1"] == f"{(210.1667 - 1 / 6) / (210.1667 + 1 / 6):.4f}"


def test_spread_of_pigments_is_relative() -> None:
    plan = Plan(tuple(map(Path, "abcd")), people=(Person("x", (0, 1)), Person("y", (2, 3))))
    values = [1.0, 1.21, 10.0, 12.1]
    entries = [Entry(None, (row(melanosomes_percent=value),)) for value in values]
    (line,) = table(repeats.repeats_rows(repeats.repeated(plan, entries.__getitem__)))
    assert line["within_percent"] == f"{100 * math.log(1.21) / math.sqrt(2):.3f}"
    assert line["icc_1"] == ""  # two people


# Changed copies ------------------------------------------------------------------------------


def test_moves_by_hand() -> None:
    moved = [(4.0, 5.0), (6.0, 6.0), (8.0, 6.0)]
    entries = [
        Entry(
            None,
            (row(melanosomes_percent=before), row(face=2, melanosomes_percent=77.0)),
            {"half": (row(melanosomes_percent=after),), "left": (problem_row("p", "no face"),)},
        )
        for before, after in moved
    ]
    found = reliability.moves_of([*entries, Entry(None, (row(melanosomes_percent=1.0),))])
    half, left = table(reliability.reliability_rows(found))
    assert (half["change"], half["photos"], half["lost"]) == ("half", "3", "0")
    assert half["mean_move"] == f"{-1 / 3:.4f}"
    assert half["rms_move"] == f"{math.sqrt(5 / 3):.4f}"
    assert half["rms_percent"] == f"{100 * math.sqrt((0.25**2 + 0.25**2) / 3):.2f}"
    assert half["rms_of_sd"] == f"{math.sqrt(5 / 3) / 2.0:.3f}"
    assert (left["photos"], left["lost"], left["rms_move"]) == ("0", "3", "")
    words = reliability.report(found)
    assert "| half | 1.29 (0.65 SD) |" in words
    assert "Of 3 photos." in words
    assert all(what in words for what in CHANGES.values())


# Lists ---------------------------------------------------------------------------------------


def pictures(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        noise = np.random.default_rng(0).normal(0.0, 8.0, (32, 32, 3))
        skin = (np.array([200, 150, 120]) + noise).clip(0, 255).astype(np.uint8)
        Image.fromarray(skin).save(folder / name)


def test_pairs_are_read_from_a_table(tmp_path: Path) -> None:
    pictures(tmp_path, "a.png", "b.png", "c.png")
    (tmp_path / "p.csv").write_text("\ufeffname,before,after\nfirst,a.png,b.png\n,b.png,c.png\n")
    plan = of_pairs(tmp_path / "p.csv")
    assert plan.files == tuple(tmp_path / name for name in ("a.png", "b.png", "c.png"))
    assert plan.pairs == (Pair("first", 0, 1), Pair("c", 1, 2))
    assert Plan.from_json(plan.as_json()) == plan


def test_people_are_folders_or_a_table(tmp_path: Path) -> None:
    pictures(tmp_path, "ann/2.png", "ann/10.png", "bob/x.png", "bob/y.png", "bob/z.png")
    (tmp_path / "nobody").mkdir()
    plan = of_repeats(tmp_path)
    assert [(person.name, len(person.photos)) for person in plan.people] == [
        ("ann", 2),
        ("bob", 3),
        ("nobody", 0),
    ]
    assert [path.name for path in plan.files] == ["2.png", "10.png", "x.png", "y.png", "z.png"]
    (tmp_path / "t.csv").write_text(
        "photo,person,day\nann/2.png,A,1\nbob/x.png,B,1\nann/10.png,A,2\n"
    )
    plan = of_repeats(tmp_path / "t.csv")
    assert plan.people == (Person("A", (0, 2)), Person("B", (1,)))
    assert Plan.from_json(plan.as_json()) == plan


@pytest.mark.parametrize(
    ("read", "text", "words"),
    [
        (of_pairs, "before,later\na.png,b.png\n", "no column after"),
        (of_pairs, "before,after\na.png,nowhere.png\n", "line 2: .*nowhere.png: no such photo"),
        (of_pairs, f"before,after\na.png,{'x' * 300}\n", "line 2: .*: no such photo"),
        (of_pairs, "before,after\na.png,\n", "line 2: empty after"),
        (of_pairs, "before,after\na.png,./a.png\n", "before and after; expected two"),
        (of_pairs, "before,after\na.png,clip.mp4\n", "a video; expected a photo"),
        (
            of_pairs,
            "before,after,name\na.png,b.png,x\nb.png,a.png,x\n",
            "name 'x' is that of line 2",
        ),
        (of_repeats, "person,photo\nA,a.png\nB,b.png\n", "no person with two photos"),
        (of_repeats, "person,photo\nA,a.png\nA,a.png\n", "a.png a second time"),
        (of_repeats, "person,photo\nA,\n", "empty person or photo"),
    ],
)
def test_what_is_wrong_with_a_list_is_told(
    read: Callable[[Path], Plan], text: str, words: str, tmp_path: Path
) -> None:
    pictures(tmp_path, "a.png", "b.png")
    (tmp_path / "clip.mp4").write_bytes(b"video")
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(DataError, match=words):
        read(tmp_path / "t.csv")


@pytest.mark.parametrize(
    "change",
    [
        {"files": ["a", 1]},
        {"pairs": [["x", 0, 7]]},
        {"pairs": [["x", 0]]},
        {"people": [["x", [-1]]]},
        {"people": [["x", [True]]]},
        {"people": 3},
    ],
)
def test_a_stored_plan_is_not_trusted(change: Mapping[str, object]) -> None:
    stored = Plan((Path("a"), Path("b")), (Pair("x", 0, 1),), (Person("y", (0, 1)),)).as_json()
    with pytest.raises(ValueError, match="no plan of measurements"):
        Plan.from_json(stored | change)


# Repeatability -------------------------------------------------------------------------------


def test_repeatability_comes_with_the_package_and_can_be_ones_own(tmp_path: Path) -> None:
    shipped = read_repeatability()
    assert set(shipped) >= {(region, name) for region in ("skin", "nose") for name in COMPARED[:8]}
    assert all(shipped["skin", name].at(5.0) > 0.0 for name in COMPARED[:8])
    own = tmp_path / "repeats.csv"
    own.write_text(
        "region,quantity,within_sd,within_percent\nskin,lab_a,0.5,\nskin,blood_percent,1,20\n"
    )
    found = read_repeatability(own)
    assert found["skin", "lab_a"].at(40.0) == 0.5
    assert found["skin", "blood_percent"].at(2.0) == pytest.approx(0.4)
    own.write_text("region,quantity,within_sd,within_percent\nskin,lab_a,-1,\n")
    with pytest.raises(DataError, match="line 2: within_sd is '-1'; expected a number"):
        read_repeatability(own)


def test_the_shipped_table_is_as_the_command_writes_it() -> None:
    with SHIPPED.open(encoding="utf-8", newline="") as stream:
        head = next(csv.reader(stream))
    assert head == [column.name for column in repeats.OF_ALL]


# The command ---------------------------------------------------------------------------------


def test_the_command_compares_and_says_what_columns_mean(in_process: Run, tmp_path: Path) -> None:
    pictures(tmp_path, "ann/1.png", "ann/2.png")
    small = ("--crop", "whole", "--size", "16", "--resolution", "32", "--no-sheets", "--out", "out")
    words = ("--before", "ann/1.png", "--after", "ann/2.png", *small, "--reliability")
    ended = in_process("biofacenet.measure", *words, cwd=tmp_path)
    assert ended.returncode == 0, ended.stderr
    assert "differences.csv, reliability.csv" in ended.stdout
    with (tmp_path / "out" / "differences.csv").open(encoding="utf-8", newline="") as stream:
        found = list(csv.DictReader(stream))
    assert found
    assert {line["difference"] for line in found} == {"0.0000"}
    assert {line["change"] for line in found} <= {"none", ""}
    codebook = (tmp_path / "out" / "codebook.md").read_text("utf-8")
    for column in (*differences.COLUMNS, *reliability.COLUMNS):
        assert f"| {column.name} |" in codebook
    with (tmp_path / "out" / "reliability.csv").open(encoding="utf-8", newline="") as stream:
        found = list(csv.DictReader(stream))
    assert {line["change"] for line in found} == set(CHANGES)
    assert {line["region"] for line in found} <= set(REGIONS)

    small = (*small[:-1], "repeated")
    ended = in_process("biofacenet.measure", "--repeats", ".", *small, cwd=tmp_path)
    assert ended.returncode == 0, ended.stderr
    assert "people.csv, repeats.csv" in ended.stdout
    with (tmp_path / "repeated" / "people.csv").open(encoding="utf-8", newline="") as stream:
        assert {line["sd"] for line in csv.DictReader(stream)} == {"0.0000"}
