"""What a start costs: help and mistakes answer without torch, and the package adds little to it."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ASKED = (
    ("predict", "--help"),
    ("train", "--help"),
    ("rebuild", "--help"),
    ("predict", "--no-such-option"),
    ("predict", "missing.jpg"),
    ("predict", "missing-folder/"),
    ("predict", "missing-*.jpg"),
    ("predict", "--size", "90"),
    ("predict", "--model", "missing"),
    ("predict", "--settings", "missing.json"),
    ("fit", "missing.jpg"),
    ("edit", "missing/maps.npz"),
    ("edit", "missing.jpg", "--model", "missing"),
    ("train", "--data", "missing"),
    ("train", "--resume", "missing"),
    ("prepare", "missing.jpg"),
    ("evaluate", "--model", "missing"),
    ("evaluate", "--iset", "missing.mat"),
    ("evaluate", "--polarised", "missing"),
    ("evaluate", "--photos", "missing"),
    ("skin-fit", "missing.csv"),
    ("export", "missing"),
    ("export", "--out", "missing.txt"),
    ("app", "--model", "missing"),
    ("rebuild", "camera", "missing.txt"),
    ("completion", "bash"),
)

ASK = """
import contextlib, io, json, sys
from biofacenet.__main__ import main
found = []
for words in json.loads(sys.argv[1]):
    out, err, status = io.StringIO(), io.StringIO(), 0
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            main(words)
        except SystemExit as ended:
            status = ended.code
    heavy = [name for name in ("torch", "numpy", "cv2", "scipy") if name in sys.modules]
    found.append([status, len(out.getvalue()), err.getvalue(), heavy])
print(json.dumps(found))
"""

IMPORT = """
import json, sys, time
begin = time.process_time()
import torch
between = time.process_time()
import biofacenet
biofacenet.render, biofacenet.BioFaceNet, biofacenet.Decomposition
end = time.process_time()
loaded = [name for name in ("torch._dynamo",) if name in sys.modules]
maps = torch.zeros(1, 1, 4, 4)
light = biofacenet.Illuminant.standard("D65")
biofacenet.render(maps, maps, maps + 2, maps, light, torch.zeros(1, 2))
loaded += [name for name in ("matplotlib", "scipy", "cv2") if name in sys.modules]
print(json.dumps([between - begin, end - between, loaded]))
"""


def output(*words: str, cwd: Path) -> str:
    done = subprocess.run(
        [sys.executable, *words], cwd=cwd, capture_output=True, text=True, check=True
    )
    return done.stdout


@pytest.fixture(scope="module")
def imported(tmp_path_factory: pytest.TempPathFactory) -> tuple[float, float, list[str]]:
    """Processor seconds of torch and of this package beyond it, the least of up to three, and modules."""
    least_torch, least_own, loaded = float("inf"), float("inf"), []
    for _ in range(3):
        of_torch, own, loaded = json.loads(
            output("-c", IMPORT, cwd=tmp_path_factory.mktemp("import"))
        )
        least_torch, least_own = min(of_torch, least_torch), min(own, least_own)
        if least_own <= 0.3:
            break
    return least_torch, least_own, loaded


def test_the_package_adds_little_to_torch(imported: tuple[float, float, list[str]]) -> None:
    assert imported[1] <= 0.3


def test_what_only_pictures_and_tables_need_is_loaded_for_them(
    imported: tuple[float, float, list[str]],
) -> None:
    assert imported[2] == []


def test_help_and_mistakes_need_no_torch(tmp_path: Path) -> None:
    answers = json.loads(output("-c", ASK, json.dumps(ASKED), cwd=tmp_path))
    for words, (status, printed, errors, heavy) in zip(ASKED, answers, strict=True):
        assert heavy == [], words
        asked = words[1] == "--help" or words[0] == "completion"
        assert (status or 0) == (0 if asked else 2), (words, errors)
        assert (printed > 0) == asked
        if not asked:
            assert errors.startswith("error: ")
            assert errors.count("\n") == 1
            assert any(word.rstrip("/") in errors for word in words[1:]), errors
    assert list(tmp_path.iterdir()) == []


def seconds_of(words: tuple[str, ...], status: int, cwd: Path) -> float:
    """Processor seconds of a command."""
    process = subprocess.Popen(
        [sys.executable, "-m", "biofacenet", *words],
        cwd=cwd,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    _, ended, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(ended)
    assert process.returncode == status
    return usage.ru_utime + usage.ru_stime


@pytest.mark.skipif(not hasattr(os, "wait4"), reason="the system does not tell a process's time")
@pytest.mark.parametrize(
    ("words", "status"),
    [(("predict", "--help"), 0), (("train", "--sise", "3"), 2), (("predict", "missing.jpg"), 2)],
)
def test_answers_take_a_third_of_the_import_of_torch(
    words: tuple[str, ...],
    status: int,
    tmp_path: Path,
    imported: tuple[float, float, list[str]],
) -> None:
    measure: Callable[[], float] = lambda: seconds_of(words, status, tmp_path)  # noqa: E731
    assert min(measure() for _ in range(3)) <= imported[0] / 3
