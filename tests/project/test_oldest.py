"""The oldest Python and PyTorch that are promised: said once, built for, and held to by the tools."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
PYPROJECT = (ROOT / "pyproject.toml").read_text("utf-8")

NEWER = {
    "3.11": "try:\n    pass\nexcept* ValueError:\n    pass\n",
    "3.12": "type Pair = tuple[int, int]\n",
    "3.12 f-string": 'f"{"nested"}"\n',
    "3.13": "class Box[T = int]:\n    pass\n",
}


def oldest(package: str) -> str:
    found = re.search(rf'"{package}>=([\d.]+)"', PYPROJECT)
    assert found is not None, package
    return found[1]


def test_every_tool_is_told_the_same_python() -> None:
    (python,) = re.findall(r'requires-python = ">=3\.(\d+)"', PYPROJECT)
    assert f'target-version = "py3{python}"' in PYPROJECT
    assert f'python_version = "3.{python}"' in PYPROJECT


@pytest.mark.parametrize("name", NEWER)
def test_newer_syntax_would_be_found(tmp_path: Path, name: str) -> None:
    """By `ruff check`, which runs over all files: this is what keeps Python 3.10 working."""
    file = tmp_path / "newer.py"
    file.write_text(NEWER[name])
    command = [sys.executable, "-m", "ruff", "check", "--no-cache", "--select", "E9"]
    done = subprocess.run(
        [*command, "--config", ROOT / "pyproject.toml", file], capture_output=True, text=True
    )
    assert done.returncode == 1
    assert "Python 3.10" in done.stdout, done.stdout


def test_native_code_is_built_for_the_oldest_torch() -> None:
    """The stable interface of that version: what is newer would not load there."""
    major, minor = map(int, oldest("torch").split("."))
    said = re.findall(
        r"TORCH_TARGET_VERSION=0x([0-9a-f]+)", (ROOT / "kernels" / "build.py").read_text()
    )
    assert said
    assert {int(number, 16) >> 56 for number in said} == {major}
    assert {int(number, 16) >> 48 & 0xFF for number in said} == {minor}


def test_the_oldest_are_checked_together() -> None:
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text("utf-8"))
    (job,) = workflow["jobs"].values()
    (row,) = job["strategy"]["matrix"]["include"]
    assert row["torch"] == f"=={oldest('torch')}.*"
    assert f'requires-python = ">={row["python"]}"' in PYPROJECT
    assert job["env"]["TORCH_VERSION"] == "${{ matrix.torch }}"
    assert 'pip install --quiet "torch${TORCH_VERSION:-==' in (ROOT / ".ci" / "run").read_text()


def test_no_upper_bound_without_a_reason() -> None:
    """Pins age: each that is there is explained in docs/structure.md."""
    project = PYPROJECT[PYPROJECT.index("dependencies = [") : PYPROJECT.index("[tool.setuptools")]
    bounded = re.findall(r'"([\w-]+)[^"]*[<=]=?\d[^"]*"', re.sub(r">=[\d.]+", "", project))
    assert set(bounded) == {"mkdocs"}
    structure = (ROOT / "docs" / "structure.md").read_text("utf-8")
    assert "OpenCV 4 and 5" in structure
    assert "MkDocs 2" in structure
