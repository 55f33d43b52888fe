"""What is published: source and wheel build and install with and without a compiler; side files fit."""

import os
import re
import shlex
import shutil
import subprocess
import sys
import tarfile
import zipfile
from datetime import date
from pathlib import Path

import pytest
import yaml

import biofacenet
from biofacenet.kernels import build

ROOT = Path(__file__).parents[2]
PARTS = {"biofacenet": "biofacenet", "kernels": "biofacenet/kernels", "csrc": "biofacenet/csrc"}
"""Folders of the repository that are installed, and where."""

LEFT_OUT = {".git", ".venv", "venv", "build", "dist", "data", "runs", "predictions", "site"}
"""Of the top folder: what work leaves there."""

WITH_BINARY = """
import warnings
warnings.simplefilter("error")
import torch, biofacenet
from biofacenet import kernels
maps = torch.zeros(1, 1, 8, 8)
light = biofacenet.Illuminant.standard("D65")
image = biofacenet.render(maps, maps, maps + 2, maps, light, torch.zeros(1, 2), backend="cpp")
assert image.mean() > 0
assert kernels.choose(kernels.select(), "cpu") == "cpp"
from biofacenet.kernels import build
assert build.prebuilt(build.CPU).is_file()
if build.prebuilt(build.CUDA).is_file():  # it needs no library of CUDA to load
    torch.ops.load_library(build.prebuilt(build.CUDA))
    schema = str(torch.ops.biofacenet_cuda.render.default._schema)
    assert schema.endswith("int stream) -> ()"), schema
print(biofacenet.__file__)
"""

WITHOUT = """
import warnings
import torch, biofacenet
maps = torch.zeros(1, 1, 8, 8)
arguments = (maps, maps, maps + 2, maps, biofacenet.Illuminant.standard("D65"), torch.zeros(1, 2))
with warnings.catch_warnings(record=True) as said:
    warnings.simplefilter("always")
    image = biofacenet.render(*arguments)
    biofacenet.render(*arguments)
    assert torch.equal(image, biofacenet.rendering.reference.render(*arguments))
(warning,) = [str(item.message) for item in said if "reference" in str(item.message)]
assert "no C++ compiler" in warning, warning
assert "biofacenet.doctor" in warning, warning
print(biofacenet.__file__)
"""


def run(command: list[str | Path], **options: object) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(command, capture_output=True, text=True, **options)  # type: ignore[call-overload]
    assert done.returncode == 0, done.stdout + done.stderr
    return done  # type: ignore[no-any-return]


def installed_files() -> set[str]:
    """What an installation must hold: all files of the package's folders."""
    return {
        f"{target}/{path.relative_to(ROOT / folder).as_posix()}"
        for folder, target in PARTS.items()
        for path in (ROOT / folder).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts and path.suffix not in (".so", ".pyc")
    }


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """An environment whose path has no compiler, and whose cache is empty."""
    folder = tmp_path_factory.mktemp("bare")
    (folder / "bin").mkdir()
    kept = {name: os.environ[name] for name in ("LANG", "LD_LIBRARY_PATH") if name in os.environ}
    return kept | {
        "PATH": str(folder / "bin"),
        "HOME": str(folder),
        "BIOFACENET_CACHE": str(folder / "cache"),
        "MPLBACKEND": "Agg",
    }


@pytest.fixture(scope="module")
def sdist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The source archive, made from a copy."""
    folder = tmp_path_factory.mktemp("sdist")

    def ignored(where: str, names: list[str]) -> set[str]:
        top = LEFT_OUT if Path(where) == ROOT else set()
        passing = {name for name in names if name.endswith((".egg-info", "_cache", ".so"))}
        return passing | top | {"__pycache__"}

    shutil.copytree(ROOT, folder / "source", ignore=ignored)
    code = "import sys; from setuptools import build_meta; build_meta.build_sdist(sys.argv[1])"
    run([sys.executable, "-c", code, folder], cwd=folder / "source")
    (archive,) = folder.glob("*.tar.gz")
    return archive


def wheel(sdist: Path, folder: Path, environment: dict[str, str]) -> Path:
    """Built from the source archive, as pip does for whoever has torch."""
    options = ["--no-deps", "--no-build-isolation", "--no-index", "--wheel-dir", folder]
    run([sys.executable, "-m", "pip", "wheel", *options, sdist], env=environment)
    (made,) = folder.glob("*.whl")
    return made


def install(made: Path, folder: Path) -> Path:
    """A new environment with the wheel, in which the packages of this one can be imported."""
    run([sys.executable, "-m", "venv", "--without-pip", folder])
    python = folder / "bin" / "python"
    (packages,) = folder.glob("lib/python*/site-packages")
    # Plain paths: what this environment's own path files name (such as this checkout) stays out.
    layered = [path for path in sys.path if path.endswith("site-packages")]
    (packages / "layered.pth").write_text("\n".join(layered) + "\n")
    options = ["--no-deps", "--no-index", "--ignore-installed"]
    run([sys.executable, "-m", "pip", "--python", python, "install", *options, made])
    return python


@pytest.mark.slow
def test_the_source_archive_holds_what_is_built_and_tested(sdist: Path) -> None:
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    wanted = {
        path.relative_to(ROOT).as_posix()
        for folder in (*PARTS, "tests")
        for path in (ROOT / folder).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts and path.suffix not in (".so", ".pyc")
    }
    wanted |= {"README.md", "LICENSE", "CHANGELOG.md", "CITATION.cff", "setup.py", "mkdocs.yml"}
    assert wanted <= names, sorted(wanted - names)
    assert not [name for name in names if name.endswith((".so", ".pyc"))]


@pytest.mark.slow
def test_a_wheel_built_with_a_compiler_needs_none(
    sdist: Path, tmp_path: Path, bare: dict[str, str]
) -> None:
    """Neither C++'s nor CUDA's, whose library is in it where there is nvcc."""
    # The oldest GPUs and what newer ones compile; test_without_gpu.py compiles for others.
    environment = {
        **os.environ,
        "BIOFACENET_REQUIRE_NATIVE": "1",
        "TORCH_CUDA_ARCH_LIST": "7.5;9.0+PTX",
    }
    made = wheel(sdist, tmp_path / "wheels", environment)
    assert f"-{biofacenet.__version__}-py3-none-" in made.name
    assert not made.name.endswith("-any.whl")
    names = set(zipfile.ZipFile(made).namelist())
    assert installed_files() <= names, sorted(installed_files() - names)
    try:
        build.cuda_compiler()
    except build.BuildError:
        pass
    else:
        assert f"biofacenet/kernels/{build.CUDA.file}" in names
    python = install(made, tmp_path / "environment")
    done = run([python, "-I", "-c", WITH_BINARY], env=bare, cwd=tmp_path)
    assert Path(done.stdout.strip()).is_relative_to(tmp_path)


@pytest.mark.slow
def test_without_a_compiler_the_reference_renders(
    sdist: Path, tmp_path: Path, bare: dict[str, str]
) -> None:
    made = wheel(sdist, tmp_path / "wheels", bare)
    assert made.name.endswith("-py3-none-any.whl")
    assert installed_files() <= set(zipfile.ZipFile(made).namelist())
    python = install(made, tmp_path / "environment")
    done = run([python, "-I", "-c", WITHOUT], env=bare, cwd=tmp_path)
    assert Path(done.stdout.strip()).is_relative_to(tmp_path)
    doctor = run([python, "-I", "-m", "biofacenet.doctor"], env=bare, cwd=tmp_path).stdout
    assert "no C++ compiler" in doctor
    assert "backend='auto' takes reference for cpu tensors" in " ".join(doctor.split())


def test_one_version() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))
    assert citation["version"] == biofacenet.__version__
    changelog = (ROOT / "CHANGELOG.md").read_text("utf-8")
    newest = re.search(r"^## ([\d.]+)", changelog, re.M)
    assert newest is not None
    assert newest[1] == biofacenet.__version__
    assert 'dynamic = ["version"]' in (ROOT / "pyproject.toml").read_text("utf-8")


def test_typed() -> None:
    assert (ROOT / "biofacenet" / "py.typed").is_file()


def test_citation_has_what_the_format_demands() -> None:
    """Citation File Format 1.2.0: the required keys, and the kinds of the others used here."""
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))
    assert citation["cff-version"] == "1.2.0"
    assert {"message", "title", "authors"} <= citation.keys()
    known = {"abstract", "keywords", "license", "preferred-citation", "type", "version"}
    assert citation.keys() <= {"cff-version", "message", "title", "authors"} | known
    assert citation["type"] in ("software", "dataset")
    paper = citation["preferred-citation"]
    assert paper["type"] == "conference-paper"
    assert paper["year"] <= date.today().year
    assert paper["url"].startswith("https://")
    for author in (*citation["authors"], *paper["authors"]):
        # An entity has a name, a person names.
        assert author.keys() in ({"name"}, {"family-names", "given-names"})
    readme = (ROOT / "README.md").read_text("utf-8")
    assert paper["title"] in " ".join(readme.split())


def test_the_dockerfile_copies_and_calls_what_there_is() -> None:
    text = (ROOT / "Dockerfile").read_text("utf-8").replace("\\\n", " ")
    lines = [shlex.split(line, comments=True) for line in text.splitlines()]
    instructions = [words for words in lines if words]
    known = {"FROM", "ARG", "RUN", "COPY", "WORKDIR", "ENV", "USER", "ENTRYPOINT", "CMD"}
    assert {words[0] for words in instructions} <= known
    assert instructions[0][0] == "FROM"
    copied = [words[1:-1] for words in instructions if words[0] == "COPY"]
    sources = [item for items in copied for item in items if items[0] != "--from=build"]
    for source in sources:
        assert (ROOT / source).exists(), source
    # All that a build needs.
    assert {"pyproject.toml", "setup.py", "README.md", "LICENSE", *PARTS} <= set(sources)
    assert [words[-1] for words in instructions if words[0] == "USER"] == ["someone"]
    for module in re.findall(r"biofacenet\.(\w+)", text):
        assert (ROOT / "biofacenet" / f"{module}.py").is_file()
    ignored = (ROOT / ".dockerignore").read_text("utf-8").split()
    assert not set(sources) & set(ignored)


def test_the_workflow_runs_the_check() -> None:
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text("utf-8"))
    assert {"pull_request", "push"} == set(workflow[True])  # YAML reads the key `on` as true
    for job in workflow["jobs"].values():
        assert "runs-on" in job
        called = [step["run"] for step in job["steps"] if "run" in step]
        assert called == ["bash .ci/run"]
        uses = [step["uses"] for step in job["steps"] if "uses" in step]
        assert all(re.fullmatch(r"[\w-]+/[\w-]+@v\d+", action) for action in uses)
        oldest = min(tuple(map(int, v.split("."))) for v in job["strategy"]["matrix"]["python"])
    pyproject = (ROOT / "pyproject.toml").read_text("utf-8")
    assert f'requires-python = ">={oldest[0]}.{oldest[1]}"' in pyproject
    assert os.access(ROOT / ".ci" / "run", os.R_OK)
