"""What training gives with other seeds, and in both precisions: whether a map is lost, and how good maps are.

    python -m benchmarks.seeds --seeds 10

Each run is the default one, on the same synthetic faces. Its network is measured on 300 faces that no one
has seen before. Two rows stand beside the runs: the true maps, whose render differs from the picture by what
the photograph added, and the network that comes with the package. Runs that are there are not run again.

Where a CPU has no instructions for bfloat16, its products are computed as AMX computes them: summed in
float32 and rounded to bfloat16 in the end.
"""

from __future__ import annotations

import contextlib
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from benchmarks.renderer import commit
from biofacenet import BioFaceNet, Decomposition
from biofacenet.cli import parse, run
from biofacenet.data.pair_files import find_pairs
from biofacenet.data.pairs import FaceBatch, FacePairs, decode
from biofacenet.preparation.settings import SyntheticSettings
from biofacenet.preparation.synthetic import synthesize
from biofacenet.system.console import console
from biofacenet.system.device import processor
from biofacenet.system.files import whole_file, write_json
from biofacenet.train import main as train
from biofacenet.training.precision import multiplies_bfloat16

__all__ = ["Settings", "measure"]

MAPS = ("melanin", "haemoglobin", "diffuse", "specular")

NEVER = 77
"""Seed of the faces that networks are measured on."""

ALIVE = 0.2
"""Share of the true mean below which a map counts as lost."""


@dataclass
class Settings:
    """Train with several seeds in each precision, measure the networks, write seeds.json and seeds.md."""

    seeds: int = 10
    """How many, from 0."""
    precisions: tuple[str, ...] = ("float32", "bfloat16")
    """Of training."""
    work: Path = Path("runs/seeds")
    """Folder for faces and runs."""
    out: Path = Path("benchmarks/results")
    """Folder for results."""
    faces: int = 300
    """To measure on."""
    one: str | None = None
    """Train only: PRECISION-SEED, as this program does in processes of their own."""


class AsAmx(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Convolutions and products of bfloat16 summed in float32."""

    BIG = frozenset(
        {
            torch.ops.aten.convolution.default,
            torch.ops.aten.convolution_backward.default,
            torch.ops.aten.mm.default,
            torch.ops.aten.addmm.default,
            torch.ops.aten.bmm.default,
        }
    )

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func not in self.BIG or args[0].dtype != torch.bfloat16:
            return func(*args, **kwargs)

        def narrow(value: Any) -> Any:
            return value.bfloat16() if isinstance(value, Tensor) else value

        found = func(
            *(
                x.float() if isinstance(x, Tensor) and x.dtype == torch.bfloat16 else x
                for x in args
            ),
            **kwargs,
        )
        return tuple(map(narrow, found)) if isinstance(found, tuple) else narrow(found)


def train_one(name: str, work: Path) -> None:
    """Train by the default preset: PRECISION-SEED."""
    precision, _, seed = name.partition("-")
    imitate = precision == "bfloat16" and not multiplies_bfloat16()
    mode = AsAmx() if imitate else contextlib.nullcontext()  # type: ignore[no-untyped-call]
    with mode:
        words = ["--data", str(work / "faces"), "--out", str(work / name), "--seed", seed]
        train([*words, "--precision", precision, "--keep", "1"])


def correlation(found: Tensor, truth: Tensor, mask: Tensor) -> float:
    """Within a face, mean over faces, of (B, 1, H, W)."""
    each = [torch.stack((a[m], b[m])) for a, b, m in zip(found, truth, mask > 0.5, strict=True)]
    return statistics.fmean(float(torch.corrcoef(pair)[0, 1].nan_to_num()) for pair in each)


def quality(found: Decomposition, batch: FaceBatch) -> dict[str, float]:
    """Root mean square difference of the render to the picture, correlations, and means of the shadings."""
    assert batch.truth is not None
    mask = batch.mask
    each = ((found.render() - batch.image).square() * mask).sum((1, 2, 3)) / (
        3 * mask.sum((1, 2, 3))
    )
    figures = {"rmse": float(each.mean().sqrt())}
    for name in MAPS:
        figures[name] = correlation(getattr(found, name), getattr(batch.truth, name), mask)
    for name in ("diffuse", "specular"):
        mean, true = (
            float((getattr(maps, name) * mask).sum() / mask.sum()) for maps in (found, batch.truth)
        )
        figures[f"mean_{name}"], figures[f"share_{name}"] = mean, mean / true
    return figures


@torch.no_grad()
def decomposed(network: BioFaceNet, images: Tensor) -> Decomposition:
    """Maps of many pictures (B, 3, H, W)."""
    return Decomposition.join(
        [network.eval()(images[i : i + 50]) for i in range(0, len(images), 50)]
    )


def measure(settings: Settings) -> dict[str, Any]:
    """Train what is not trained yet; figures of each network."""
    work = settings.work
    for name, given in (
        ("faces", SyntheticSettings(out=work / "faces")),
        (
            "never",
            SyntheticSettings(out=work / "never", count=16, holdout=settings.faces, seed=NEVER),
        ),
    ):
        if not (work / name / "settings.json").is_file():
            synthesize(given)
    pairs = FacePairs(
        [file for file in find_pairs(work / "never") if file.number == "20"], truth=True
    )
    batch = decode(pairs.read(range(len(pairs))))
    assert batch.truth is not None
    rows = {"the true maps": quality(batch.truth, batch)}
    shipped = BioFaceNet.from_pretrained("small")
    rows["small, as it comes with the package"] = quality(decomposed(shipped, batch.image), batch)
    for seed in range(settings.seeds):
        for precision in settings.precisions:
            name = f"{precision}-{seed}"
            started = time.perf_counter()
            if not (work / name / "model").is_dir():
                words = [
                    sys.executable,
                    "-m",
                    "benchmarks.seeds",
                    "--one",
                    name,
                    "--work",
                    str(work),
                ]
                subprocess.run(words, check=True)
            network = BioFaceNet.from_pretrained(work / name / "model")
            rows[name] = quality(decomposed(network, batch.image), batch)
            rows[name]["seconds"] = time.perf_counter() - started
            console.print(name, {key: round(value, 4) for key, value in rows[name].items()})
    threads = torch.get_num_threads()
    machine = {"processor": processor(), "threads": threads, "torch": torch.__version__}
    return {"machine": machine, "commit": commit(), "settings": asdict(settings), "rows": rows}


def markdown(rows: Mapping[str, Mapping[str, float]]) -> str:
    """A table of all runs, and one line of what is least and most."""
    names = ("rmse", *MAPS, "share_diffuse", "share_specular")
    titles = ("RMSE", *MAPS, "mean diffuse / true", "mean specular / true")
    lines = [
        "# Other seeds, both precisions",
        "",
        "`python -m benchmarks.seeds`: the default preset,",
    ]
    lines += ["measured on 300 faces never seen. Correlations are those within a face.", ""]
    lines += ["| run | " + " | ".join(titles) + " |", "|---" * (len(titles) + 1) + "|"]
    for run_name, row in rows.items():
        cells = [f"{row[name]:.4f}" if name == "rmse" else f"{row[name]:.2f}" for name in names]
        lines.append(f"| {run_name} | " + " | ".join(cells) + " |")
    runs = [row for row in rows.values() if "seconds" in row]
    lost = sum(min(row["share_diffuse"], row["share_specular"]) < ALIVE for row in runs)
    lines += ["", f"{len(runs)} runs, {lost} of which lost a map.", ""]
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> None:
    """Train, measure, write."""
    settings = parse(Settings, arguments, program="benchmarks.seeds")
    if settings.one is not None:
        train_one(settings.one, settings.work)
        return
    found = measure(settings)
    found["settings"] = {key: str(value) for key, value in found["settings"].items()}
    write_json(settings.out / "seeds.json", found)
    with whole_file(settings.out / "seeds.md") as temporary:
        temporary.write_text(markdown(found["rows"]), "utf-8")
    console.print(markdown(found["rows"]))


if __name__ == "__main__":
    run(main)
