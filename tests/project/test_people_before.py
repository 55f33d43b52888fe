"""The table of several networks, and the process that an earlier version runs in."""

import stat
import sys
from pathlib import Path

import pytest
import torch

from benchmarks.people_before import network_before, table
from biofacenet.errors import BioFaceNetError
from biofacenet.evaluation.people.figures import MEASUREMENTS


def stands_in(folder: Path, program: str) -> Path:
    """A Python that runs a program, whatever it is given."""
    path = folder / "python"
    path.write_text(f"#!{sys.executable}\n{program}\n", "utf-8")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def row(value: float | None) -> dict[str, object]:
    return {"all": value, "groups": {"white": value, "black": None if value is None else -value}}


def test_the_table_has_what_all_networks_have() -> None:
    everything = {one.key: row(0.25) for one in MEASUREMENTS}
    some = {key: everything[key] for key in ("highlight", "rmse")}
    text = table({"old": everything, "new": some}, {"white": 9, "black": 2})
    lines = text.splitlines()
    assert lines[0] == "|  | right | asked | old | on black people | new | on black people |"
    assert len(lines) == 4  # in the order of the measurements
    assert lines[2].startswith("| RMSE in the mask, linear | 0 |")
    assert lines[3].endswith("| 0.250 | -0.250 | 0.250 | -0.250 |")


def test_a_table_of_people_without_the_group_has_no_columns_of_it() -> None:
    text = table({"new": {"highlight": row(0.5)}}, {"white": 3})
    assert text.splitlines()[0] == "|  | right | asked | new |"
    assert text.splitlines()[2].endswith("| 0.500 |")


ANSWERS = """
import sys
import numpy
print("published", flush=True)
for line in sys.stdin:
    path = line.rstrip("\\n")
    shown = numpy.load(path + "/images.npy")
    count, _, height, width = shown.shape
    one = shown.mean(axis=1, keepdims=True)
    numpy.savez(
        path + "/maps.npz", melanin=one - 0.5, haemoglobin=0 * one, diffuse=one, specular=one,
        weights=numpy.ones((count, 14), numpy.float32) / 14,
        cct=numpy.full(count, 6504.0, numpy.float32), camera=numpy.zeros((count, 2), numpy.float32),
    )
    print("done", flush=True)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="scripts are not run by their first line")
def test_another_process_sees_the_images_and_its_maps_come_back(tmp_path: Path) -> None:
    images = torch.rand(2, 3, 16, 16)
    with network_before(stands_in(tmp_path, ANSWERS)) as method:
        for _ in range(2):
            found = method(images)
    assert found.decomposition is not None
    assert found.decomposition.skin == "published"
    assert found.melanin is not None
    torch.testing.assert_close(found.melanin, images.mean(dim=1, keepdim=True) - 0.5)


@pytest.mark.skipif(sys.platform == "win32", reason="scripts are not run by their first line")
@pytest.mark.parametrize("program", ["", "print('published', flush=True)"])
def test_a_process_that_ends_early_is_told_in_one_line(tmp_path: Path, program: str) -> None:
    python = stands_in(tmp_path, program)
    with (
        pytest.raises(BioFaceNetError, match=str(python)),
        network_before(python) as method,
    ):
        method(torch.rand(1, 3, 16, 16))
