"""The notebook runs from top to bottom, with small settings, and is stored without outputs."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from biofacenet import BioFaceNet

NOTEBOOK = Path(__file__).parents[2] / "BioFaceNet.ipynb"
SMALL = {"BIOFACENET_FACES": "16", "BIOFACENET_SIZE": "32", "BIOFACENET_EPOCHS": "1"}

# In a process of its own: what kernels and their clients warn of is theirs.
EXECUTE = """
import sys
import nbformat
from nbclient import NotebookClient
notebook = nbformat.read(sys.argv[1], 4)
where = {"metadata": {"path": sys.argv[2]}}
try:
    NotebookClient(notebook, timeout=300, kernel_name="python3", resources=where).execute()
finally:
    nbformat.write(notebook, sys.argv[2] + "/executed.ipynb")
"""


def code_cells(path: Path) -> list[dict[str, Any]]:
    cells = json.loads(path.read_text("utf-8"))["cells"]
    return [cell for cell in cells if cell["cell_type"] == "code"]


def test_no_outputs_are_stored() -> None:
    for cell in code_cells(NOTEBOOK):
        assert cell["outputs"] == []
        assert cell["execution_count"] is None


def test_settings_stand_in_the_first_cell_and_are_those_of_the_test() -> None:
    first = "".join(code_cells(NOTEBOOK)[0]["source"])
    for name in (*SMALL, "BIOFACENET_DATA", "BIOFACENET_PHOTO", "BIOFACENET_SOURCE"):
        assert name in first


@pytest.mark.slow
def test_runs_from_top_to_bottom(tmp_path: Path) -> None:
    pytest.importorskip("nbclient")
    done = subprocess.run(
        [sys.executable, "-c", EXECUTE, NOTEBOOK, tmp_path],
        env=os.environ | SMALL | {"MPLBACKEND": ""},
        capture_output=True,
        text=True,
        timeout=1200,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    outputs = [cell["outputs"] for cell in code_cells(tmp_path / "executed.ipynb")]
    pictures = [
        output for outs in outputs for output in outs if "image/png" in output.get("data", {})
    ]
    # Skin table, spectra, bands, faces, training grid, decomposition, edits.
    assert len(pictures) == 7
    widgets = "application/vnd.jupyter.widget-view+json"
    shown = [out for outs in outputs for out in outs if widgets in out.get("data", {})]
    assert len(shown) == 2  # upload and sliders
    BioFaceNet.from_pretrained(tmp_path / "runs" / "001" / "model")
    assert (tmp_path / "decomposition.png").stat().st_size > 10_000
