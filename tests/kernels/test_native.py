"""Building, finding and loading the native library; the doctor."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from biofacenet.kernels import build, cpp, native

RENDER = """
import torch, biofacenet
maps = torch.zeros(1, 1, 2, 2)
light = biofacenet.Illuminant.standard("D65")
image = biofacenet.render(maps, maps, maps + 1, maps, light, torch.zeros(1, 2))
print(biofacenet.kernels.choose("auto", "cpu"), float(image.sum()))
"""


def python(code: str, tmp_path: Path, *options: str, **variables: str):
    """A fresh interpreter with its own cache and no variables of ours but those given."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("BIOFACENET_")}
    environment |= {"BIOFACENET_CACHE": str(tmp_path / "cache"), **variables}
    return subprocess.run(
        [sys.executable, *options, "-c", code], env=environment, capture_output=True, text=True
    )


def library() -> Path:
    if build.prebuilt(build.CPU).is_file():
        return build.prebuilt(build.CPU)
    return build.cached(build.CPU, native.this_torch())


def test_cpp_runs_here() -> None:
    """Wherever there is a compiler, and always where the variable demands it."""
    reason = cpp.unavailable()
    if reason and not shutil.which("g++") and not shutil.which("clang++"):
        pytest.skip(reason)
    assert reason is None


@pytest.mark.skipif(not build.X86, reason="x86 has several instruction sets")
@pytest.mark.skipif(not shutil.which("objdump"), reason="no objdump")
def test_wide_instructions_stay_in_their_kernels() -> None:
    """The binary runs on a processor without AVX-512 or AVX: nothing else than the kernel compiled
    for an instruction set holds its registers, so that only the choice at run time leads there."""
    assembly = subprocess.run(
        ["objdump", "-d", "-C", "--no-show-raw-insn", str(library())],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    function, seen = "", {"zmm": set(), "ymm": set()}
    for line in assembly.splitlines():
        if line.endswith(">:"):
            function = line
        for register, users in seen.items():
            if f"%{register}" in line or (register == "ymm" and re.search(r"\tv\w+ .*%xmm", line)):
                users.add(function)
    assert any("biofacenet::avx512::" in f for f in seen["zmm"])
    assert [f for f in seen["zmm"] if "biofacenet::avx512::" not in f] == []
    allowed = ("biofacenet::avx512::", "biofacenet::avx2::")
    assert [f for f in seen["ymm"] if not any(name in f for name in allowed)] == []


@pytest.mark.parametrize("name", ["avx512", "avx2", "baseline"])
def test_instruction_set_by_variable(name: str, tmp_path: Path) -> None:
    cpp.unavailable()
    if name not in torch.ops.biofacenet_cpu.instruction_sets().split():
        pytest.skip(f"this processor has no {name}")
    code = RENDER + "print(torch.ops.biofacenet_cpu.instruction_set())"
    done = python(
        code,
        tmp_path,
        BIOFACENET_INSTRUCTION_SET=name,
        BIOFACENET_CACHE=str(library().parent.parent),
    )
    assert done.stdout.split()[-1] == name, done.stderr


def test_unknown_instruction_set_is_refused() -> None:
    cpp.unavailable()
    with pytest.raises(RuntimeError, match="avx1024"):
        torch.ops.biofacenet_cpu.use_instruction_set("avx1024")


@pytest.mark.skipif(
    build.prebuilt(build.CPU).is_file(), reason="a prebuilt library needs no compiler"
)
def test_without_a_compiler_one_warning_and_the_reference(tmp_path: Path) -> None:
    done = python(RENDER + RENDER, tmp_path, CXX="no-such-compiler")
    assert done.stdout.split()[0] == "reference"
    assert done.stderr.count("UserWarning") == 1
    assert "CXX names no-such-compiler" in done.stderr
    required = python(RENDER, tmp_path, CXX="no-such-compiler", BIOFACENET_REQUIRE_NATIVE="1")
    assert "BIOFACENET_REQUIRE_NATIVE is set" in required.stderr
    named = python(
        RENDER.replace("zeros(1, 2))", "zeros(1, 2), backend='cpp')"),
        tmp_path,
        CXX="no-such-compiler",
    )
    assert "no binary was installed; no build: CXX names no-such-compiler" in named.stderr


@pytest.mark.skipif(
    build.prebuilt(build.CPU).is_file(), reason="a prebuilt library needs no compiler"
)
def test_a_failed_build_is_kept_and_not_repeated(tmp_path: Path) -> None:
    compiler = tmp_path / "g++"
    calls = tmp_path / "calls"
    compiler.write_text(
        f"#!/bin/sh\ncase $1 in --version) echo broken 1.0;; *) echo x >> {calls}; "
        "echo 'kernel.cpp:1: error: the moon is full'; exit 1;; esac\n"
    )
    compiler.chmod(0o755)
    for _ in range(2):
        done = python(RENDER, tmp_path, CXX=str(compiler))
        assert done.stdout.split()[0] == "reference"
        assert "the moon is full" in done.stderr
        count = len(calls.read_text().split())
    assert count <= 4  # the first run's steps, none of a second
    (log,) = (tmp_path / "cache").rglob("error.txt")
    assert "the moon is full" in log.read_text()
    assert not list((tmp_path / "cache").rglob(".build-*"))


def test_unwritable_cache_is_one_reason(tmp_path: Path) -> None:
    if build.prebuilt(build.CPU).is_file():
        pytest.skip("a prebuilt library needs no cache")
    (tmp_path / "file").touch()
    done = python(RENDER, tmp_path, BIOFACENET_CACHE=str(tmp_path / "file" / "cache"))
    assert done.stdout.split()[0] == "reference"
    assert "BIOFACENET_CACHE" in done.stderr


def test_two_processes_build_once_and_both_run(tmp_path: Path) -> None:
    """With a stand-in for the compiler, which gives out what was built before."""
    if build.prebuilt(build.CPU).is_file():
        pytest.skip("a prebuilt library is not built again")
    cpp.unavailable()
    compiler, calls = tmp_path / "g++", tmp_path / "calls"
    compiler.write_text(
        "#!/bin/sh\ncase $1 in --version) echo patient 1.0; exit;; esac\n"
        f"while [ $1 != -o ]; do shift; done\necho $2 >> {calls}; sleep 0.5\n"
        f"case $2 in *.o) touch $2;; *) cp {library()} $2;; esac\n"
    )
    compiler.chmod(0o755)
    environment = os.environ | {"BIOFACENET_CACHE": str(tmp_path / "cache"), "CXX": str(compiler)}
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", RENDER], env=environment, stdout=subprocess.PIPE, text=True
        )
        for _ in range(2)
    ]
    assert [process.communicate()[0].split()[0] for process in processes] == ["cpp", "cpp"]
    assert len(list((tmp_path / "cache").rglob(build.CPU.file))) == 1
    steps = [f"{name}.o" for name in (*build.INSTRUCTION_SETS, "library")] + [build.CPU.file]
    assert sorted(calls.read_text().split()) == sorted(steps)


def test_doctor(
    tmp_path: Path, in_process: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    cpp.unavailable()
    good = in_process("biofacenet.doctor", cwd=tmp_path).stdout
    assert re.search(r"^cpp +yes", good, re.MULTILINE)
    assert torch.__version__ in good
    assert "takes cpp for cpu tensors" in good
    if build.prebuilt(build.CPU).is_file():
        return
    bad = python(
        "import runpy, sys; sys.argv = ['doctor']; "
        "runpy.run_module('biofacenet.doctor', run_name='__main__')",
        tmp_path,
        CXX="no-such-compiler",
    )
    assert bad.returncode == 0, bad.stderr
    assert re.search(r"^cpp +no .*no binary", bad.stdout, re.MULTILINE)
    assert "takes reference for cpu tensors" in bad.stdout
