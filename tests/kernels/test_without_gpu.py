"""What can be known of the GPU kernels without a GPU.

Triton's interpreter and an imitation of CUDA execute them against the reference, in processes of their
own; compilers for the real thing say that they fit the chip: no spilled register, and how many
registers and how much shared memory they take.
"""

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from benchmarks.resources import Resources, cuda_resources, triton_resources
from biofacenet.kernels import build, native

ROOT = Path(__file__).resolve().parents[2]
GPUS = (80, 90)


def run_gpu_tests(mode: str, **variables: str) -> None:
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-n",
            "0",
            str(ROOT / "tests" / "kernels" / "test_gpu.py"),
        ],
        env=os.environ | {"BIOFACENET_TEST_GPU": mode, **variables},
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-3000:]
    assert re.search(r"\b[5-9]\d passed|\d{3} passed", done.stdout), done.stdout


@pytest.mark.slow
def test_triton_kernels_in_the_interpreter() -> None:
    pytest.importorskip("triton")
    run_gpu_tests("interpreter", TRITON_INTERPRET="1")


@pytest.mark.slow
def test_cuda_kernels_imitated_on_the_cpu(tmp_path: Path) -> None:
    torch_here = native.this_torch()
    library = tmp_path / "libimitation.so"
    done = subprocess.run(
        [
            *(*build.compiler(), "-std=c++17", "-O2", "-fPIC", "-shared", "-fvisibility=hidden"),
            *("-Wall", "-Wextra", "-Werror", "-Wno-unknown-pragmas", build.STABLE_ABI.rstrip("UL")),
            *(f"-I{ROOT / 'tests' / 'kernels' / 'cuda_on_cpu'}", f"-I{build.sources() / 'cuda'}"),
            *("-isystem", str(torch_here.include), f"-L{torch_here.lib}"),
            *(str(ROOT / "tests" / "kernels" / "cuda_on_cpu" / "library.cpp"), "-o", str(library)),
            *("-ltorch_cpu", "-ltorch", "-lc10"),
        ],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    run_gpu_tests("imitation", BIOFACENET_TEST_LIBRARY=str(library))


def unspilled(found: list[Resources]) -> bool:
    return [one for one in found if one.spilled] == []


@pytest.mark.slow
def test_cuda_kernels_fit_their_registers() -> None:
    try:
        found, said = cuda_resources(GPUS)
    except build.BuildError as error:
        if "no nvcc" not in str(error):
            raise
        pytest.skip(str(error))
    assert "warning" not in said, said
    assert {one.gpu for one in found} == set(GPUS)
    # Of few functions two row lengths forward, and backward with and without sums, for three kinds of
    # maps, float32 also where pixels lie apart; the plain ones for four kinds; and of light, for two
    # precisions, tables, totals, gradients and sums.
    assert len(found) == len(GPUS) * (3 * (2 + 2) + (1 + 2) + 4 * 2 + 2 * 4)
    assert unspilled(found)
    names = {one.kernel for one in found}
    assert {"render bfloat16, 128, 1", "render_backward float32, 64, 1, 1"} <= names
    assert {"make_table float64", "light_gradients float32"} <= names


def test_architectures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCH_CUDA_ARCH_LIST", "8.0 9.0a;10.0+PTX")
    assert build.architectures() == [
        "-gencode=arch=compute_80,code=sm_80",
        "-gencode=arch=compute_90a,code=sm_90a",
        "-gencode=arch=compute_100,code=sm_100",
        "-gencode=arch=compute_100,code=compute_100",
    ]
    monkeypatch.setenv("TORCH_CUDA_ARCH_LIST", "Hopper")
    with pytest.raises(build.BuildError, match="'Hopper'"):
        build.architectures()


@pytest.mark.slow
@pytest.mark.parametrize("gpu", GPUS)
def test_triton_kernels_fit_their_registers(gpu: int) -> None:
    pytest.importorskip("triton")
    found = triton_resources(gpu)
    assert len(found) == 13
    assert unspilled([one for one in found if "fp64" not in one.kernel])
    assert all(one.registers > 0 for one in found)


def test_autotuning_takes_the_fastest_once(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("triton")
    from biofacenet.kernels.triton import shapes

    tried = []

    def measured(launch: Callable[[], None], **options: object) -> float:
        launch()
        return abs(tried[-1].tile - 128) + tried[-1].warps

    monkeypatch.setattr(shapes.triton.testing, "do_bench", measured)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "an imagined GPU")
    monkeypatch.setattr(torch.cuda, "is_current_stream_capturing", lambda: False)
    maps = torch.zeros(4, 1, 8, 8)
    by_rule = shapes.rule(6, True, False)
    assert shapes.choose_shape(6, True, False, maps, tried.append) == by_rule
    monkeypatch.setenv("BIOFACENET_AUTOTUNE", "1")
    best = shapes.choose_shape(6, True, False, maps, tried.append)
    assert tried == shapes.candidates(6, True, False)
    assert best.tile == 128
    assert best.warps == min(shape.warps for shape in tried if shape.tile == 128)
    assert shapes.choose_shape(6, True, False, torch.zeros(5, 1, 8, 9), tried.append) == best
    assert len(tried) == len(
        shapes.candidates(6, True, False)
    )  # of the same size class: not tried again
    assert [shape for key, shape in shapes.tuned().items() if key[0] == "an imagined GPU"] == [best]
    torch.use_deterministic_algorithms(True)
    try:
        assert shapes.choose_shape(6, True, False, maps, tried.append) == by_rule
    finally:
        torch.use_deterministic_algorithms(False)
