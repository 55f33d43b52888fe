"""The parts put together: what was wanted, and what was reached."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from datetime import date
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.table import Table

from benchmarks.renderer import commit
from biofacenet import BioFaceNetError
from biofacenet.system.console import console
from biofacenet.system.files import whole_file

from .renderer import REFERENCE
from .settings import Settings

__all__ = ["report", "targets", "versions", "write"]


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
