"""The benchmarks' own arithmetic, and the script that runs them on a GPU."""

import json
import math
import os
import subprocess
from dataclasses import replace
from functools import partialmethod
from pathlib import Path

import pytest
import torch

from benchmarks import training as training_benchmark
from benchmarks import white as white_benchmark
from benchmarks.gpu import renderer as gpu_renderer
from benchmarks.gpu import training as gpu_training
from benchmarks.gpu.launches import measure_launches
from benchmarks.gpu.report import report, targets, versions, write
from benchmarks.gpu.settings import Settings
from benchmarks.inputs import eager
from benchmarks.renderer import parse_size
from biofacenet import BioFaceNetError
from biofacenet.photos.white import of_box
from biofacenet.photos.white_choice import parse_box

ROOT = Path(__file__).resolve().parents[2]


def renderer(times: float = 1.0) -> dict[str, object]:
    """Made-up numbers that reach every target exactly, divided by `times`."""
    rows = [{"batch": 1, "side": 1024, "renderer": "reference", "forward_backward_ms": 100.0}]
    for batch, side in ((1, 2048), (64, 256), (1, 1024)):
        for backend in ("triton", "cuda"):
            for accuracy, forward, both in (("fast", 0.6, 0.5), ("default", 0.4, 0.3)):
                rows.append(
                    {
                        "batch": batch,
                        "side": side,
                        "renderer": f"{backend}, {accuracy}",
                        "forward_bandwidth": forward * 1e12 / times,
                        "forward_backward_bandwidth": both * 1e12 / times,
                        "forward_backward_ms": times,
                        "forward_backward_graph_ms": 1.2 if backend == "triton" else 1.0,
                    }
                )
    return {"copy_bandwidth": 1e12, "rows": rows}


def training(times: float = 1.0) -> dict[str, object]:
    speeds = (100.0, 90.0, 300.0 / times)
    return {"rows": [{"images_per_second": speed} for speed in speeds] + [{"refused": "no"}]}


def met(found: list[tuple[str, float, float]]) -> list[bool]:
    # As printed, a target is met at its boundary; the ratios here are exact to rounding.
    return [value >= wanted * (1 - 1e-12) for _, value, wanted in found]


def test_targets_are_met_at_their_boundary_and_missed_beyond() -> None:
    reached = targets(renderer(), training())
    assert len(reached) == 16 + 4 + 2 + 1
    assert all(met(reached))
    slower = targets(renderer(1.01), training(1.01))
    apart = [words for (words, *_), good in zip(slower, met(slower), strict=True) if good]
    assert all("shorter over longer" in words for words in apart)


def test_what_was_not_measured_is_not_met() -> None:
    empty = targets({"copy_bandwidth": 1e12, "rows": []}, {"rows": [{"images_per_second": 1.0}]})
    assert all(math.isnan(value) for _, value, _ in empty)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # torch's own, of compiling and of profiling
@pytest.mark.usefixtures("little_network")
def test_every_part_runs_and_the_report_names_device_and_commit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On the CPU, to try the program out; compiled as far as operations of torch."""
    compiled = partialmethod(torch.nn.Module.compile, backend="aot_eager")
    monkeypatch.setattr(torch.nn.Module, "compile", compiled)
    options = {"out": tmp_path, "device": "cpu", "size": "small", "batch": 2, "quick": True}
    device = torch.device("cpu")
    for part, measure in (
        ("renderer", gpu_renderer.measure_renderer),
        ("training", gpu_training.measure_training),
        ("launches", measure_launches),
    ):
        settings = Settings(part=part, **options)
        *_, found = measure(settings, device)
        write(tmp_path / f"{part}.json", {"machine": versions(device), "found": found})
        if part == "training":
            fast = [row for row in found["rows"] if row["backend"] == "cpp"]
            assert math.isfinite(fast[0]["images_per_second"])
            assert abs(fast[0]["first_loss"] / found["rows"][0]["first_loss"] - 1) < 1e-4
    report(Settings(part="report", results=tmp_path / "results", **options))
    (path,) = (tmp_path / "results").glob("*.json")
    stored = json.loads(path.read_text())
    assert stored["renderer"]["machine"]["device"] == "CPU"
    assert stored["renderer"]["machine"]["torch"] == torch.__version__
    assert len(stored["targets"]) == 23


def test_report_without_its_parts(tmp_path: Path) -> None:
    with pytest.raises(BioFaceNetError, match=r"renderer\.json: missing; run python -m"):
        report(Settings(part="report", out=tmp_path))


def test_a_wrong_renderer_gets_no_time(monkeypatch: pytest.MonkeyPatch) -> None:
    right = eager()
    monkeypatch.setattr(
        gpu_renderer, "fused", lambda accuracy, backend: lambda *a: right(*a) * 1.01
    )
    with pytest.raises(BioFaceNetError, match="differs from the reference by"):
        list(
            gpu_renderer.measure_renderer(
                Settings(part="renderer", quick=True), torch.device("cpu")
            )
        )


def test_a_wrong_step_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = gpu_training.training_step

    def wrong(variant, *others):
        take, first = whole(variant, *others)
        return take, first * (1.0 if variant.backend == "reference" else 1.001)

    monkeypatch.setattr(gpu_training, "training_step", wrong)
    two = [gpu_training.Variant("plain", "reference"), gpu_training.Variant("ours", "cpp")]
    monkeypatch.setattr(gpu_training, "variants", lambda device: two)
    settings = Settings(part="training", quick=True, size="small", batch=2)
    *_, found = gpu_training.measure_training(settings, torch.device("cpu"))
    plain, ours = found["rows"]
    assert plain["images_per_second"] > 0
    assert "first loss" in ours["refused"]
    assert "images_per_second" not in ours


@pytest.mark.parametrize("text", ["64", "x64", "0x5", "64x64x3"])
def test_sizes(text: str) -> None:
    assert parse_size("64x128") == (64, 128)
    with pytest.raises(BioFaceNetError, match="IMAGESxSIDE"):
        parse_size(text)


# The script ----------------------------------------------------------------------------------

PYTHON = """#!/bin/sh
case "$*" in
  *"-c import"*) exit 0;;
  *pytest*) echo "$*" >> "$LOG"; exit ${PYTEST_STATUS:-0};;
  *) echo "$*" >> "$LOG";;
esac
"""


def script(tmp_path: Path, *parts: str, **variables: str) -> subprocess.CompletedProcess[str]:
    python = tmp_path / "python"
    python.write_text(PYTHON)
    python.chmod(0o755)
    return subprocess.run(
        ["bash", str(ROOT / "benchmarks" / "gpu.sh"), *parts],
        env=os.environ
        | {"PYTHON": str(python), "GPU_OUT": str(tmp_path / "out"), "LOG": str(tmp_path / "log")}
        | variables,
        capture_output=True,
        text=True,
    )


def calls(tmp_path: Path) -> list[str]:
    return (tmp_path / "log").read_text().splitlines()


def test_script_does_each_part_once(tmp_path: Path) -> None:
    first = script(tmp_path)
    assert first.returncode == 0, first.stderr
    assert [line.split()[1] for line in calls(tmp_path)][:2] == ["biofacenet.doctor", "pytest"]
    assert [line.split()[2] for line in calls(tmp_path) if "benchmarks.gpu" in line] == [
        "renderer",
        "training",
        "launches",
        "report",
    ]
    count = len(calls(tmp_path))
    again = script(tmp_path)
    assert again.stdout.count("done before") == 6
    assert len(calls(tmp_path)) == count + 1  # the report is made anew
    script(tmp_path, "training")
    assert len(calls(tmp_path)) == count + 2


def test_script_goes_on_after_a_failure_and_says_so(tmp_path: Path) -> None:
    done = script(tmp_path, PYTEST_STATUS="1")
    assert done.returncode == 1
    assert "failed: tests" in done.stderr
    assert any("benchmarks.gpu report" in line for line in calls(tmp_path))
    again = script(tmp_path)
    assert "== tests\n" in again.stdout
    assert again.returncode == 0


def test_script_names_what_is_missing(tmp_path: Path) -> None:
    unknown = script(tmp_path, "dance")
    assert unknown.returncode == 2
    assert "no part dance" in unknown.stderr
    (tmp_path / "bare").mkdir()
    python = tmp_path / "bare" / "python"
    python.write_text('#!/bin/sh\ncase "$*" in *"import ninja"*) exit 1;; esac\n')
    python.chmod(0o755)
    bare = script(tmp_path, PYTHON=str(python), WHEELS=str(tmp_path))
    assert bare.returncode == 2
    assert "packages are missing: ninja" in bare.stderr


def test_training_benchmark_measures_every_part(tmp_path: Path) -> None:
    found = training_benchmark.measure(
        training_benchmark.Settings(
            out=tmp_path,
            size="small",
            batch=4,
            seconds=0.1,
            samples=30,
            faces=8,
            compiled=False,
            device="cpu",
        )
    )
    assert found["steps_ms"].keys() == {"plain", "ours"}
    numbers = [*found["steps_ms"].values(), *found["parts_ms"].values()]
    assert all(0 < number < 60_000 for number in [*numbers, *found["reader_s"].values()])
    assert 0 < found["network_floor_ms"] < 60_000
    assert json.loads((tmp_path / "training-cpu.json").read_text()) == found


@pytest.mark.parametrize("change", [{"batch": 0}, {"samples": 0}, {"faces": 3}])
def test_training_benchmark_refuses(tmp_path: Path, change: dict[str, int]) -> None:
    with pytest.raises(BioFaceNetError, match="must be at least"):
        training_benchmark.measure(
            replace(training_benchmark.Settings(out=tmp_path, device="cpu"), **change)
        )


def test_a_card_beside_a_rendered_face_is_lit_as_the_face_is() -> None:
    """The light that its box tells is that of skin which faces the viewer, under the same exposure."""
    seen = white_benchmark.faces_with_card(3)
    light = of_box(seen.photo, parse_box(seen.box) or (0, 0, 1, 1), white_benchmark.GREY).light
    # Through one light, balance apart, green is exposure times shading: the canvas's own.
    faces, canvas, _ = white_benchmark._canvas(3, white_benchmark.SEED)
    assert light[1] == pytest.approx(float(canvas[1, -1, -1]) / white_benchmark.GREY, rel=0.03)
    assert faces.truth is not None
    diffuse = faces.truth.diffuse[0, 0][seen.mask]
    shading = float(canvas[1, -1, -1]) / white_benchmark.GREY / white_benchmark.WHITE
    assert 0.3 < float(diffuse.median()) / shading < 3.0


def test_the_order_of_people_and_the_angle_are_known_ones() -> None:
    rows = [("a", "x", 40.0, 2.0, 3.0), ("b", "x", 20.0, 4.0, 2.0), ("c", "y", -40.0, 15.0, 9.0)]
    told = white_benchmark._ordered(rows)
    assert told["all"] == {"spearman": 1.0, "spearman_without_white": 0.5}
    assert (told["least_percent"], told["most_percent"]) == (2.0, 15.0)
    # A grey of 18.4 % is L* 50: the angle of anything yellowish at it is 0.
    assert white_benchmark.typology_angle(torch.tensor([0.2, 0.1842, 0.1])) == pytest.approx(
        0, abs=3
    )
    assert white_benchmark.typology_angle(torch.tensor([0.7, 0.5, 0.35])) > 40
