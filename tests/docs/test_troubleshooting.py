"""The page of troubles: a row for each kind of report, found by the words that people type."""

import json
import re
from pathlib import Path

import pytest
from pages import ROOT

PAGE = ROOT / "docs" / "troubleshooting.md"

WORDS = {
    "phones": ["HEIC", "JXL"],
    "faces": ["no face", "lies on its side", "the wrong face"],
    "GPU": ["CUDA", "GPU"],
    "speed": ["slow", "OMP_NUM_THREADS"],
    "sources": ["URL"],
    "colour": ["HDR", "TIFF", "sRGB"],
    "video": ["frames.csv", "video"],
    "names": ["escaped"],
    "limits": ["BIOFACENET_MAX_MEGAPIXELS"],
    "HDF5": ["hdf5plugin", "HDF5_USE_FILE_LOCKING", "damaged"],
    "outputs": ["--out", "disk is full", ".partial-", "formula", "other files"],
    "environment": ["home folder", "CXX", "IPv6", "shm-size"],
    "networks": ["hub", "offline", "revision", "paper", "Git LFS"],
    "export": ["ONNX", "float16"],
    "library": ["uint8", "0..255", "no_grad", "fork"],
    "training": ["out of memory", "NaN", "--resume", "--workers"],
}


def rows() -> list[list[str]]:
    lines = [line for line in PAGE.read_text("utf-8").splitlines() if line.startswith("| ")]
    cells = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]
    return [row for row in cells if row[0] != "what happens"]


@pytest.mark.parametrize("kind", WORDS)
def test_every_kind_of_report_has_its_row(kind: str) -> None:
    text = [" ".join(row).lower() for row in rows()]
    for word in WORDS[kind]:
        assert any(word.lower() in line for line in text), word


def test_every_row_says_what_to_do() -> None:
    found = rows()
    assert len(found) > 50
    for row in found:
        assert len(row) == 2, row
        assert len(row[1]) > 15, row
    assert len({row[0] for row in found}) == len(found), "no row twice"


def found_by(index: dict, words: str) -> set[str]:  # type: ignore[type-arg]
    """Pages of the sections that hold all words: what the search box of the pages asks its index."""
    wanted = [word.lower() for word in re.findall(r"\w+", words)]
    return {
        section["location"].partition("#")[0]
        for section in index["docs"]
        if all(word in (section["title"] + section["text"]).lower() for word in wanted)
    }


def check_search(site: Path) -> None:
    """That the built search index leads from people's words to the page; called with a built site."""
    index = json.loads((site / "search" / "search_index.json").read_text("utf-8"))
    for words in (
        "HEIC",
        "no face",
        "CUDA",
        "slow",
        "URL",
        "ONNX Runtime",
        "hub offline",
        "disk full",
    ):
        assert "troubleshooting.html" in found_by(index, words), words
    assert "troubleshooting.html" not in found_by(index, "zebra")
