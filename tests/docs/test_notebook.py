"""The notebook runs from top to bottom, with small settings, and is stored without outputs."""

import ast
import importlib
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


def test_what_it_imports_from_the_package_exists() -> None:
    lines = "\n".join("".join(cell["source"]) for cell in code_cells(NOTEBOOK)).split("\n")
    tree = ast.parse("\n".join(line for line in lines if not line.startswith(("%", "!"))))
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    ours = [node for node in imports if (node.module or "").startswith("biofacenet")]
    assert ours
    for node in ours:
        module = importlib.import_module(node.module or "")
        assert [x.name for x in node.names if not hasattr(module, x.name)] == []


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
