"""Renderer and training step on a GPU, part by part; `benchmarks/gpu.sh` runs all of it.

python -m benchmarks.gpu renderer
python -m benchmarks.gpu training
python -m benchmarks.gpu launches
python -m benchmarks.gpu report
"""

from __future__ import annotations

import json
import math
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, Literal

import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn
from torch.profiler import ProfilerActivity, profile

import biofacenet
from benchmarks.inputs import Render, Step, eager, fused, inputs, step
from benchmarks.renderer import commit
from biofacenet import BioFaceNet, BioFaceNetError
from biofacenet.cli import parse, run
from biofacenet.kernels import available
from biofacenet.rendering.accuracy import ACCURACIES
from biofacenet.system.console import console
from biofacenet.system.device import choose_device
from biofacenet.system.files import whole_file
from biofacenet.system.settings import option
from biofacenet.training.losses import objective
from biofacenet.training.run import Trainee
from biofacenet.training.settings import LossWeights

__all__ = ["Settings", "targets"]

FORWARD_BYTES, BOTH_BYTES = 28, 72
"""Least bytes a pixel: forward reads 4 floats and writes 3; backward reads 7 and writes 4."""
BEYOND_CACHE = 256 * 2**20
"""Bytes of different inputs that are gone through, so that no cache is measured."""
COPIED = 2**30
SIZES = ((64, 64), (1, 512), (1, 1024), (64, 256), (1, 2048))
EAGER_PIXELS = 2**22
REFERENCE = "reference"
LOSS_WEIGHTS = LossWeights(appearance=3e-3, camera=1e-3, specular=0.1, shading=1.0)


@dataclass
class Settings:
    """Measure on a GPU and write what came out; `report` puts the parts together."""

    part: Literal["renderer", "training", "launches", "report"] = option(positional=True)
    """Which part."""
    out: Path = Path("build/gpu")
    """Folder of the parts."""
    results: Path = Path("benchmarks/results")
    """Folder for the report, which is named after the device."""
    device: str = "cuda"
    """cuda; cpu only tries the program out."""
    size: Literal["paper", "small"] = "paper"
    """Network of the training step."""
    batch: int = 64
    """Images of the training step."""
    quick: bool = False
    """Few rounds and small sizes."""


# Time ----------------------------------------------------------------------------------------


def milliseconds(call: Callable[[], object], device: torch.device, rounds: int) -> float:
    """Median time of a call, by the device's clock."""
    for _ in range(3):
        call()
    times = []
    for _ in range(rounds):
        if device.type == "cuda":
            begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))  # type: ignore[no-untyped-call]
            torch.cuda.synchronize(device)
            begin.record()
            call()
            end.record()
            torch.cuda.synchronize(device)
            times.append(begin.elapsed_time(end))
        else:
            started = time.perf_counter()
            call()
            times.append(1e3 * (time.perf_counter() - started))
    return statistics.median(times)


def recorded(call: Callable[[], object], device: torch.device) -> Callable[[], object] | str:
    """The call as a CUDA graph, or why it cannot be one."""
    if device.type != "cuda":
        return "no GPU"
    stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
    stream.wait_stream(torch.cuda.current_stream(device))
    try:
        with torch.cuda.stream(stream):
            for _ in range(3):
                call()
        torch.cuda.current_stream(device).wait_stream(stream)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            call()
    except RuntimeError as error:
        torch.cuda.synchronize(device)
        return str(error).strip().splitlines()[0]
    return graph.replay


def copy_bandwidth(device: torch.device, rounds: int) -> float:
    """Bytes a second that a plain copy reads and writes."""
    moved = COPIED if device.type == "cuda" else COPIED // 16
    source = torch.rand(moved // 8, device=device)
    target = torch.empty_like(source)
    return moved / (1e-3 * milliseconds(lambda: target.copy_(source), device, rounds))


# Renderer ------------------------------------------------------------------------------------


def backends(device: torch.device) -> dict[str, str | None]:
    """Fused backends of a device, with the reason where one does not run."""
    names = ("triton", "cuda") if device.type == "cuda" else ("cpp",)
    return {name: available()[name] for name in names}


def agrees(render: Render, reference: Render, batch: int, side: int, device: torch.device) -> float:
    """Largest difference of image and map gradients from the reference, relative to their largest.

    Gradients jump where a colour is clipped at black: pixels near it are left out of them.
    """
    decomposition = inputs(batch, min(side, 256), device=device)
    ours = step(render, decomposition, True)()
    theirs = step(reference, decomposition, True)()
    image, *_ = theirs
    clear = (torch.minimum(image, ours[0]) > 1e-2 * image.max()).all(dim=1, keepdim=True)
    differences = [
        float(((one - other) * chosen).abs().max() / other.abs().max())
        for one, other, chosen in zip(
            ours[:5], theirs[:5], (torch.ones_like(image), *[clear] * 4), strict=True
        )
    ]
    return max(differences) if all(map(math.isfinite, differences)) else math.inf


def in_turn(render: Render, sets: list[Any], backward: bool) -> Step:
    """One step with each of the inputs."""
    steps = [step(render, one, backward) for one in sets]

    def all_of_them() -> tuple[Tensor, ...]:
        results: tuple[Tensor, ...] = ()
        for one in steps:
            results = one()
        return results

    return all_of_them


def measure_renderer(settings: Settings, device: torch.device) -> Iterator[dict[str, Any]]:
    """Every backend at every size, as called and as a CUDA graph; all so far, after each size."""
    rounds = 5 if settings.quick else 30
    copied = [copy_bandwidth(device, rounds)]
    sizes = ((2, 32),) if settings.quick else SIZES
    reference = eager(device)
    rows = []
    for batch, side in sizes:
        pixels = batch * side**2
        count = min(16, max(1, math.ceil(BEYOND_CACHE / (pixels * BOTH_BYTES))))
        sets = [inputs(batch, side, device=device) for _ in range(1 if settings.quick else count)]
        renderers: dict[str, Render] = {}
        if pixels <= EAGER_PIXELS:
            renderers[REFERENCE] = reference
        for name, reason in backends(device).items():
            if reason is None:
                renderers |= {f"{name}, {k}": fused(k, name) for k in ACCURACIES}
        for name, render in renderers.items():
            error = agrees(render, reference, batch, side, device)
            # What is fast is another picture by some 1e-5 of full scale, and more in gradients.
            if error > (2e-2 if "fast" in name else 1e-4):
                raise BioFaceNetError(
                    f"{name} at {batch} x {side}^2 differs from the reference by {error:.2g}; "
                    "no time is worth telling"
                )
            row: dict[str, Any] = {"batch": batch, "side": side, "renderer": name, "error": error}
            for kind, least in (("forward", FORWARD_BYTES), ("forward_backward", BOTH_BYTES)):
                call = in_turn(render, sets, kind != "forward")
                few = rounds if name != REFERENCE else min(rounds, 5)
                row[f"{kind}_ms"] = milliseconds(call, device, few) / len(sets)
                graph = recorded(call, device) if name != REFERENCE else "the reference is eager"
                if isinstance(graph, str):
                    row[f"{kind}_graph"] = graph
                    best = row[f"{kind}_ms"]
                else:
                    best = row[f"{kind}_graph_ms"] = milliseconds(graph, device, rounds) / len(sets)
                row[f"{kind}_bandwidth"] = least * pixels / (1e-3 * best)
            rows.append(row)
            console.print(
                f"{batch} x {side}^2  {name:18s} forward {row['forward_ms']:.4f} ms, with backward "
                f"{row['forward_backward_ms']:.4f} ms",
                markup=False,
            )
        del sets
        copied.append(copy_bandwidth(device, rounds))
        skipped = {name: reason for name, reason in backends(device).items() if reason}
        yield {"copy_bandwidth": max(copied), "copies": copied, "skipped": skipped, "rows": rows}


# Training step -------------------------------------------------------------------------------


@dataclass(frozen=True)
class Variant:
    """One way to take a training step."""

    name: str
    backend: str
    bfloat16: bool = False
    compiled: bool = False
    graph: bool = False


def variants(device: torch.device) -> list[Variant]:
    """From the plain step to ours."""
    found = [Variant("float32, eager, reference", REFERENCE)]
    running = [name for name, reason in backends(device).items() if reason is None]
    found += [Variant(f"float32, eager, {name}", name) for name in running]
    if not running:
        return found
    best = running[0]
    found.append(Variant(f"bfloat16, channels last, {best}", best, bfloat16=True))
    if device.type == "cuda":
        found += [
            Variant(f"bfloat16, channels last, CUDA graph, {name}", name, True, False, True)
            for name in running
        ]
    # Compiling takes minutes: last.
    found.append(Variant(f"bfloat16, channels last, compiled, {best}", best, True, True))
    if device.type == "cuda":
        words = f"bfloat16, channels last, compiled, CUDA graph, {best}"
        found.append(Variant(words, best, True, True, True))
    return found


def training_step(
    variant: Variant, settings: Settings, device: torch.device, side: int
) -> tuple[Callable[[], Tensor], float]:
    """The step, ready to be repeated, and the first loss it gave."""
    torch.manual_seed(0)
    network: nn.Module = Trainee(BioFaceNet(settings.size)).to(device)
    generator = torch.Generator().manual_seed(1)
    image = torch.rand(settings.batch, 3, side, side, generator=generator).to(device)
    mask = (torch.rand(settings.batch, 1, side, side, generator=generator) > 0.3).float().to(device)
    proxy = torch.rand(settings.batch, 1, side, side, generator=generator).to(device)
    if variant.bfloat16:
        network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        image = image.contiguous(memory_format=torch.channels_last)
    if variant.compiled:
        network.compile()
    fast = variant.backend != REFERENCE
    options: dict[str, Any] = {"fused": True} if fast and device.type == "cuda" else {}
    if variant.graph:
        options["capturable"] = True
    optimiser = torch.optim.AdamW(network.parameters(), lr=1e-4, **options)
    tables = biofacenet.Tables.computed().to(device, torch.float32)
    total = torch.zeros((), device=device)

    def take() -> Tensor:
        with torch.autocast(device.type, torch.bfloat16, enabled=variant.bfloat16):
            found, raw = network(image)
        if fast:
            rendered = found.render(backend=variant.backend)
        else:
            rendered = biofacenet.rendering.reference.render(*found.arguments(), tables=tables)
        terms = objective(found, rendered, image, mask, proxy, LOSS_WEIGHTS, raw=raw)
        optimiser.zero_grad(set_to_none=True)
        terms.total.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimiser.step()
        total.copy_(terms.total.detach())
        return total

    first = float(take())
    if not variant.graph:
        return take, first
    replay = recorded(take, device)
    if isinstance(replay, str):
        raise BioFaceNetError(f"cannot be recorded: {replay}")

    def again() -> Tensor:
        replay()
        return total

    return again, first


def measure_training(settings: Settings, device: torch.device) -> Iterator[dict[str, Any]]:
    """Images a second of every variant, whose first loss must be the plain step's; all so far, after each."""
    side = 32 if settings.quick else 64
    rounds, repeats = (2, 1) if settings.quick else (15, 5)
    rows: list[dict[str, Any]] = []
    plain = math.nan
    for variant in variants(device):
        torch.compiler.reset()
        row: dict[str, Any] = {"variant": variant.name, "backend": variant.backend}
        rows.append(row)
        try:
            take, first = training_step(variant, settings, device, side)

            def several(take: Callable[[], Tensor] = take) -> None:
                for _ in range(repeats):
                    take()

            spent = milliseconds(several, device, rounds) / repeats
            last = float(take())
        except (RuntimeError, BioFaceNetError) as error:
            row["refused"] = str(error).strip().splitlines()[0]
            console.print(f"{variant.name}: {row['refused']}", markup=False)
            yield {"size": settings.size, "batch": settings.batch, "side": side, "rows": rows}
            continue
        plain = first if math.isnan(plain) else plain
        row |= {"first_loss": first, "last_loss": last}
        tolerance = 0.02 if variant.bfloat16 else 1e-4
        if not math.isfinite(last) or abs(first - plain) > tolerance * abs(plain):
            row["refused"] = f"its first loss is {first:.6g}, the plain step's {plain:.6g}"
        else:
            row |= {"step_ms": spent, "images_per_second": settings.batch / (1e-3 * spent)}
        console.print(
            f"{variant.name}: {row.get('refused') or f'{settings.batch / (1e-3 * spent):.1f} images/s'}",
            markup=False,
        )
        yield {"size": settings.size, "batch": settings.batch, "side": side, "rows": rows}


# Launches ------------------------------------------------------------------------------------


def launches(call: Callable[[], object], device: torch.device) -> list[dict[str, Any]]:
    """Kernels of one call (operators on the CPU), the longest first."""
    for _ in range(3):
        call()
    cuda = device.type == "cuda"
    activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if cuda else [])]
    with profile(activities=activities) as seen:
        call()
        if cuda:
            torch.cuda.synchronize(device)
    wanted = "CUDA" if cuda else "CPU"
    events = [event for event in seen.key_averages() if event.device_type.name == wanted]
    spent = [
        event.self_device_time_total if cuda else event.self_cpu_time_total for event in events
    ]
    rows = [
        {"name": event.key, "count": event.count, "microseconds": duration}
        for event, duration in zip(events, spent, strict=True)
    ]
    return sorted(rows, key=lambda row: -row["microseconds"])


def measure_launches(settings: Settings, device: torch.device) -> Iterator[dict[str, Any]]:
    """What one rendering with gradients, and one training step, launch."""
    result: dict[str, Any] = {}
    decomposition = inputs(2 if settings.quick else 64, 32 if settings.quick else 64, device=device)
    for name, reason in backends(device).items():
        if reason is None:
            result[f"render, {name}"] = launches(
                step(fused("default", name), decomposition, True), device
            )
    result["render, reference"] = launches(step(eager(device), decomposition, True), device)
    for variant in variants(device):
        if variant.bfloat16 and not variant.compiled and not variant.graph:
            take, _ = training_step(variant, settings, device, 32 if settings.quick else 64)
            result[f"training step, {variant.name}"] = launches(take, device)
    for name, rows in result.items():
        table = Table(title=f"{name}: {sum(row['count'] for row in rows)} launches", min_width=80)
        for heading in ("kernel", "count", "us"):
            table.add_column(heading, overflow="ellipsis", no_wrap=True)
        for row in rows[:12]:
            table.add_row(row["name"][:70], str(row["count"]), f"{row['microseconds']:.1f}")
        console.print(table)
    yield result


# Report --------------------------------------------------------------------------------------


def targets(renderer: dict[str, Any], training: dict[str, Any]) -> list[tuple[str, float, float]]:
    """What was wanted, what was reached, and what would be enough; NaN where it was not measured."""
    copy = renderer["copy_bandwidth"]
    rows = {(row["batch"], row["side"], row["renderer"]): row for row in renderer["rows"]}

    def value(batch: int, side: int, name: str, key: str) -> float:
        return float(rows.get((batch, side, name), {}).get(key, math.nan))

    def best(batch: int, side: int, name: str) -> float:
        graph = value(batch, side, name, "forward_backward_graph_ms")
        return value(batch, side, name, "forward_backward_ms") if math.isnan(graph) else graph

    found = []
    for batch, side in ((1, 2048), (64, 256)):
        for accuracy, wanted in (("fast", (0.6, 0.5)), ("default", (0.4, 0.3))):
            for backend in ("triton", "cuda"):
                name = f"{backend}, {accuracy}"
                for kind, least in zip(("forward", "forward_backward"), wanted, strict=True):
                    share = value(batch, side, name, f"{kind}_bandwidth") / copy
                    words = kind.replace("_", " + ")
                    found.append(
                        (f"{words}, {name}, {batch} x {side}^2: share of a copy", share, least)
                    )
            one, other = (best(batch, side, f"{b}, {accuracy}") for b in ("triton", "cuda"))
            words = f"triton and cuda, {accuracy}, {batch} x {side}^2: shorter over longer time"
            found.append((words, min(one, other) / max(one, other), 1 / 1.2))
    for backend in ("triton", "cuda"):
        times = value(1, 1024, REFERENCE, "forward_backward_ms") / value(
            1, 1024, f"{backend}, default", "forward_backward_ms"
        )
        found.append((f"{backend}, default, 1 x 1024^2: times the eager reference", times, 100.0))
    speeds = [row.get("images_per_second", math.nan) for row in training["rows"]]
    fastest = max((speed for speed in speeds[1:] if not math.isnan(speed)), default=math.nan)
    found.append(("training step: times the eager float32 step", fastest / speeds[0], 3.0))
    return found


def versions(device: torch.device) -> dict[str, Any]:
    """What the numbers depend on besides the code."""
    facts: dict[str, Any] = {
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU",
        "torch": torch.__version__,
        "cuda": torch.version.cuda,
        "python": sys.version.split()[0],
        "commit": commit(),
        "date": date.today().isoformat(),
    }
    try:
        import triton

        facts["triton"] = triton.__version__
    except ImportError:
        facts["triton"] = None
    asked = ("nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader")
    try:
        answer = subprocess.run(asked, capture_output=True, text=True, check=True)
        facts["driver"] = answer.stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        facts["driver"] = None
    return facts


def report(settings: Settings) -> None:
    """Put the parts together, name what was met and what was missed."""
    parts: dict[str, Any] = {}
    for name in ("renderer", "training", "launches"):
        path = settings.out / f"{name}.json"
        if not path.is_file():
            raise BioFaceNetError(f"{path}: missing; run python -m benchmarks.gpu {name} first")
        parts[name] = json.loads(path.read_text("utf-8"))
    reached = targets(parts["renderer"]["found"], parts["training"]["found"])
    table = Table(title=f"{parts['renderer']['machine']['device']}")
    for heading in ("target", "found", "wanted", ""):
        table.add_column(heading, justify="left" if heading in ("target", "") else "right")
    for words, found, wanted in reached:
        verdict = "not measured" if math.isnan(found) else "met" if found >= wanted else "missed"
        table.add_row(words, f"{found:.3g}", f"{wanted:.3g}", verdict)
    Console(width=max(console.width, 110)).print(table)
    name = parts["renderer"]["machine"]["device"].lower().replace(" ", "-")
    path = settings.results / f"{name}.json"
    summary = [
        {"target": words, "found": None if math.isnan(found) else found, "wanted": wanted}
        for words, found, wanted in reached
    ]
    write(path, {"targets": summary, **parts})


def write(path: Path, content: object) -> None:
    """A JSON file, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(path) as temporary:
        temporary.write_text(json.dumps(content, indent=1) + "\n", "utf-8")
    console.print(f"wrote {path}", markup=False)


def main() -> None:
    settings = parse(Settings, program="benchmarks.gpu")
    if settings.part == "report":
        report(settings)
        return
    device = choose_device(settings.device)
    parts = {
        "renderer": measure_renderer,
        "training": measure_training,
        "launches": measure_launches,
    }
    for found in parts[settings.part](settings, device):
        write(settings.out / f"{settings.part}.json", {"machine": versions(device), "found": found})


if __name__ == "__main__":
    run(main)
