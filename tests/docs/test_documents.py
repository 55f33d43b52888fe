"""README and documentation: their code runs, their commands exist with these options, they build.

Python blocks of a page run in order in one process, in a folder with a photo, a network and maps. Shell
commands are held against the real parsers; what they then do is tested elsewhere.
"""

import importlib
import inspect
import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch
from pages import ROOT, blocks
from PIL import Image
from skimage import data
from test_troubleshooting import check_search

from biofacenet import BioFaceNet
from biofacenet.cli import parse
from biofacenet.plotting.light import camera_csv, light_csv
from biofacenet.system.files import sha256

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
LANGUAGES = {"python", "bash", "sh", "bibtex", "text", "r"}
"""Of blocks; `sh` is a whole script: see test_slurm.py; R is not run."""
PROGRAMS = {"pip", "ruff", "mypy", "mkdocs", "pre-commit", "python3", ".", "torchrun", "accelerate"}
"""Programs, besides python, that a page may call."""


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


def commands(page: Path) -> list[list[str]]:
    """Commands of the shell blocks, as words, comments left out."""
    lines = [line for block in blocks(page, "bash") for line in block.splitlines()]
    return [
        words
        for line in lines
        for part in line.split(" && ")
        if (words := shlex.split(part, comments=True))
    ]


def code_pages() -> list[Path]:
    """Pages with code, but for deployment.md: test_export.py has the files that it runs."""
    return [page for page in PAGES if blocks(page, "python") and page.stem != "deployment"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What pages take for granted: portrait.jpg, runs/001/model, its maps, and a lamp and a camera."""
    made = tmp_path_factory.mktemp("page")
    Image.fromarray(data.astronaut()[:256, 96:352]).save(made / "portrait.jpg", quality=95)
    torch.manual_seed(0)
    network = BioFaceNet("small").eval()
    network.save_pretrained(made / "runs" / "001" / "model")
    maps = made / "predictions" / "portrait" / "maps.npz"
    with torch.no_grad():
        found = network(torch.rand(1, 3, 32, 32))
    found.save(maps)
    light_csv(found, made / "lamp.csv")
    camera_csv(found, made / "camera.csv")
    return made


@pytest.mark.slow
@pytest.mark.parametrize("page", code_pages(), ids=name_of)
def test_code_runs(page: Path, folder: Path) -> None:
    before = sha256(folder / "portrait.jpg")
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", "\n".join(blocks(page, "python"))],
        cwd=folder,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert sha256(folder / "portrait.jpg") == before


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_block_is_of_a_kind_that_is_tested(page: Path) -> None:
    fences = re.findall(r"^ *```(.*)$", page.read_text("utf-8"), re.M)
    opening = fences[::2]
    assert set(opening) <= LANGUAGES
    assert set(fences[1::2]) <= {""}


@pytest.mark.parametrize(
    ("page", "words"),
    [
        pytest.param(page, words, id=f"{name_of(page)}: {' '.join(words)}")
        for page in PAGES
        for words in commands(page)
    ],
)
def test_commands_exist_with_these_options(page: Path, words: list[str]) -> None:
    if words[:2] == ["pip", "install"]:
        check_extras(words)
    elif words[0] == "python" and words[1] == "-m":
        check_module(words[2], words[3:])
    elif words[0] == "biofacenet":
        check_command(*words[1:])
    elif words[0] in ("torchrun", "accelerate"):
        start = words.index("-m")
        check_module(words[start + 1], [word for word in words[start + 2 :] if word != "..."])
    elif words[0] == "python":
        assert (ROOT / words[1]).is_file()
    else:
        assert words[0] in PROGRAMS or (ROOT / words[0]).is_file(), words


def check_command(name: str = "", *arguments: str) -> None:
    """``biofacenet NAME ARGUMENTS``; without a name, and with options of its own, it is the list."""
    if name and not name.startswith("-"):
        check_module(f"biofacenet.{name.replace('-', '_')}", list(arguments))


def check_module(name: str, arguments: list[str]) -> None:
    if not name.startswith("biofacenet."):
        assert importlib.util.find_spec(name) is not None
        return
    module = importlib.import_module(name)
    command = name.removeprefix("biofacenet.")
    parse(module.Settings, arguments, program=command)  # SystemExit where an option is unknown
    assert "__main__" in inspect.getsource(module)


def check_extras(words: list[str]) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    for extras in re.findall(r"\[(.+?)\]", " ".join(words)):
        assert set(extras.split(",")) <= set(project["optional-dependencies"])


def test_a_wrong_option_would_be_found() -> None:
    with pytest.raises(SystemExit):
        check_module("biofacenet.predict", ["portrait.jpg", "--no-such-option"])


@pytest.mark.slow
def test_documentation_builds_without_warnings(tmp_path: Path) -> None:
    """And asks nothing of other hosts: no fonts, scripts or styles."""
    site = tmp_path / "site"
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", site],
        cwd=ROOT,
        capture_output=True,
        text=True,
        env=os.environ | {"NO_MKDOCS_2_WARNING": "1"},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    pages = {
        path.relative_to(site).as_posix(): path.read_text("utf-8") for path in site.rglob("*.html")
    }
    for name, page in pages.items():
        loaded = re.findall(r'<(?:script|img|iframe)[^>]* src="?([^" >]+)', page)
        loaded += re.findall(r'<link[^>]* rel="?(?:stylesheet|preload|icon)"?[^>]*>', page)
        assert not [item for item in loaded if "//" in item], name
        assert "<!-- commands" not in page
    assert pages["model.html"].count("<math") > 20
    assert "arithmatex" not in pages["model.html"]
    # Generated from the code: each option of each command, and signatures with their docstrings.
    for module in ("train", "predict", "fit", "edit", "export", "synthesize", "doctor"):
        assert f"python -m biofacenet.{module}" in pages["commands.html"]
    for option in ("--loss-weights", "--haemoglobin-scale", "--no-tensorboard", "--encoding"):
        assert option in pages["commands.html"]
    assert "position on the haemoglobin axis" in pages["api/decomposition.html"]
    assert not (site / "hooks.py").exists()
    check_search(site)


@pytest.fixture
def hooks(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(ROOT / "docs")
    return importlib.import_module("hooks")


def test_command_pages_know_every_command_line(hooks: ModuleType) -> None:
    modules = {
        path.stem
        for path in (ROOT / "biofacenet").glob("[!_]*.py")
        if re.search(r"^if __name__ == .__main__.", path.read_text("utf-8"), re.M)
    }
    assert set(hooks.command_modules()) == modules
    with pytest.raises(KeyError):
        hooks.on_page_markdown("<!-- no such part -->")


def test_results_come_from_where_they_are_stored(
    hooks: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The model card and the evaluation hold no numbers of their own."""
    monkeypatch.setattr(hooks, "RESULTS", tmp_path)
    assert "No results" in hooks.skin_tones()
    assert "No results" in hooks.evaluation()
    groups = {
        "light": {"faces": 3, "rmse": {"melanin": 0.1234, "albedo": None}},
        "dark": {"faces": 2, "rmse": {"melanin": 0.25, "albedo": 0.5}},
    }
    stored = {"methods": {"fit": {"by_skin_tone": groups}, "other": {}}}
    (tmp_path / "evaluation.json").write_text(json.dumps(stored))
    (tmp_path / "evaluation.md").write_text("a table")
    made = hooks.on_page_markdown("<!-- skin tones -->\n\n<!-- evaluation -->")
    assert "| light | 3 | 0.123 | – |" in made
    assert "| dark | 2 | 0.250 | 0.500 |" in made
    assert made.endswith("a table")


def test_equations_become_mathml(hooks: ModuleType) -> None:
    made = hooks.on_page_content(r'<p><span class="arithmatex">\(a &lt; b\)</span> and</p>')
    assert made.startswith("<p><math")
    assert "arithmatex" not in made
    assert made.endswith("</math> and</p>")
