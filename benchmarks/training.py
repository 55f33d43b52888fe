"""Compare training steps and readers: ours, and plain ones as in earlier implementations.

python -m benchmarks.training
"""

from __future__ import annotations

import json
import platform
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import h5py
import numpy as np
import torch
from rich.table import Table
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.inputs import eager
from benchmarks.renderer import commit
from benchmarks.turns import take_turns
from biofacenet import BioFaceNet, BioFaceNetError
from biofacenet.cli import parse, run
from biofacenet.data.pair_files import find_pairs
from biofacenet.data.pairs import FacePairs, decode
from biofacenet.physics.colour import srgb_to_linear
from biofacenet.physics.lighting import sh_shading
from biofacenet.preparation.settings import SyntheticSettings
from biofacenet.preparation.synthetic import synthesize
from biofacenet.system.console import console
from biofacenet.system.device import choose_device, processor
from biofacenet.system.files import whole_file
from biofacenet.training import losses as terms
from biofacenet.training.batches import faces_of_epoch
from biofacenet.training.distributed import Team
from biofacenet.training.precision import autocast
from biofacenet.training.run import Run, layout, set_up
from biofacenet.training.settings import Settings as TrainSettings
from biofacenet.training.step import take_step

__all__ = ["Settings", "measure"]

SIDE = 64
SAMPLE_BYTES = 8 * (10 * SIDE * SIDE + 27)
OURS, PLAIN = "ours", "plain"


@dataclass
class Settings:
    """Measure training steps and readers; they take turns, and times are medians.

    The plain step reads and decodes sample by sample, computes in float32, renders with the reference
    and has an optimiser that goes from tensor to tensor. Both take the same batches of the same faces,
    read from files, with the settings of the published preset. Prints tables and writes all numbers
    as training-DEVICE.json.
    """

    out: Path = Path("benchmarks/results")
    """Folder to write to."""
    size: Literal["paper", "small"] = "paper"
    """Network."""
    batch: int = 8
    """Faces in a step."""
    seconds: float = 120.0
    """Time to measure steps for; there are at least five of each."""
    samples: int = 5000
    """Samples in the file that the reader is measured on, 330 kB each."""
    faces: int = 256
    """Synthetic faces to take steps with."""
    compiled: bool = True
    """Also our step with --compile."""
    device: str = "auto"
    """auto, cpu or cuda."""


# Reading -------------------------------------------------------------------------------------


def write_published_layout(folder: Path, samples: int) -> None:
    """A pair of files like the published ones: float64, in one piece."""
    numbers = np.random.default_rng(0)
    images = folder / "zx_7_d10_inmc_celebA_01.hdf5"
    with h5py.File(images, "w") as file:
        stored = file.create_dataset("zx_7", (samples, 10, SIDE, SIDE), "f8")
        for start in range(0, samples, 100):
            stored[start : start + 100] = numbers.random(
                (min(100, samples - start), 10, SIDE, SIDE)
            )
    with h5py.File(images.with_name("zx_7_d3_lrgb_celebA_01.hdf5"), "w") as file:
        file["zx_7"] = numbers.random((samples, 3, 9))


def measure_reader(settings: Settings, batch: int = 64) -> dict[str, float]:
    """Seconds to read all samples: h5py from front to back, h5py shuffled, and ours shuffled."""
    with tempfile.TemporaryDirectory(prefix="biofacenet-") as name:
        folder = Path(name)
        write_published_layout(folder, settings.samples)
        pairs = FacePairs(find_pairs(folder))
        orders = iter(range(10**6))

        def sequential() -> None:
            with h5py.File(pairs.files[0].images) as file:
                for start in range(0, settings.samples, batch):
                    file["zx_7"][start : start + batch]

        def shuffled(read: Callable[[list[int]], object]) -> None:
            generator = torch.Generator().manual_seed(next(orders))
            order = torch.randperm(settings.samples, generator=generator).tolist()
            for start in range(0, settings.samples, batch):
                read(order[start : start + batch])

        with h5py.File(pairs.files[0].images) as file:
            calls: dict[str, Callable[[], None]] = {
                "h5py, in order": sequential,
                "ours, shuffled": partial(shuffled, pairs.read),
                "plain, shuffled": partial(
                    shuffled, lambda chosen: [torch.tensor(file["zx_7"][i]).float() for i in chosen]
                ),
            }
            times: dict[str, list[float]] = {name: [] for name in calls}
            for _ in range(4):
                for name, call in calls.items():
                    begin = time.perf_counter()
                    call()
                    times[name].append(time.perf_counter() - begin)
    # The first round brings the file into memory.
    return {name: statistics.median(seconds[1:]) for name, seconds in times.items()}


# Steps ---------------------------------------------------------------------------------------


class PlainFaces(Dataset[tuple[Tensor, ...]]):
    """One decoded sample at a time."""

    def __init__(self, folder: Path) -> None:
        (pair,) = find_pairs(folder, ("01",))
        self.images = h5py.File(pair.images)["zx_7"]
        self.lights = h5py.File(pair.lighting)["zx_7"]

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[Tensor, ...]:
        channels = torch.tensor(self.images[index], dtype=torch.float32)
        light = torch.tensor(self.lights[index], dtype=torch.float32)
        mask = (channels[6:7] > 0.5).float()
        normals = nn.functional.normalize(2.0 * channels[3:6] - 1.0, dim=0) * mask
        shading = sh_shading(normals[None], light[None])[0] * mask
        return srgb_to_linear(channels[:3].clamp(0.0, 1.0)), mask, shading


def endless(batches: Callable[[], Iterator[Any]]) -> Iterator[Any]:
    """Epoch after epoch."""
    while True:
        yield from batches()


def plain_step(folder: Path, settings: Settings, device: torch.device) -> Callable[[], float]:
    """Read, decode, and take one step, as a short script would."""
    torch.manual_seed(0)
    network = BioFaceNet(settings.size).to(device).train()
    render = eager(device)
    optimiser = torch.optim.SGD(network.parameters(), lr=1e-5, momentum=0.9, foreach=False)
    loader = DataLoader(PlainFaces(folder), settings.batch, shuffle=True, drop_last=True)
    batches = endless(lambda: iter(loader))

    def take() -> float:
        image, mask, shading = (value.to(device) for value in next(batches))
        found = network(image)
        rendered = render(*found.arguments())
        losses = terms.objective(found, rendered, image, mask, shading)
        optimiser.zero_grad()
        losses.total.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        return float(losses.total.detach())

    return take


def our_run(folder: Path, settings: Settings, device: torch.device, compiled: bool) -> Run:
    """The trainer's own state, before its first step."""
    asked = TrainSettings(
        data=folder,
        files=("01",),
        holdout="none",
        out=folder / "run",
        preset="paper",
        network=settings.size,
        batch_size=settings.batch,
        device=str(device),
        compile=compiled,
    )
    return set_up(asked, Team(device))


def our_step(held: Run) -> Callable[[], float]:
    """Read, decode, and take one of the trainer's steps."""
    batches = endless(lambda: faces_of_epoch(held))
    return lambda: float(take_step(held, next(batches))[0])


def our_parts(held: Run, device: torch.device) -> dict[str, Callable[[], object]]:
    """The parts of our step, each alone."""
    batch = next(faces_of_epoch(held))
    image = batch.image.contiguous(memory_format=layout(held.plan, device))
    numbers = list(range(held.batch))
    with torch.no_grad():
        found = held.network(image)
    leaves = found.map(lambda tensor: tensor.clone().requires_grad_())

    def network() -> None:
        with autocast(held):
            outputs, _ = held.model(image)
        *maps, light, camera = outputs.arguments()
        sum(tensor.sum() for tensor in (*maps, light.weights, light.cct, camera)).backward()

    def renderer_and_losses() -> None:
        losses = terms.objective(leaves, leaves.render(), batch.image, batch.mask, batch.shading)
        losses.total.backward()  # type: ignore[no-untyped-call]

    def read_and_decode() -> None:
        decode(held.training.read(numbers).to(held.team.device))

    network()  # the gradients that the optimiser takes
    return {
        "network, forward and backward": network,
        "renderer and losses": renderer_and_losses,
        "optimiser": held.optimiser.step,
        "reading and decoding": read_and_decode,
    }


def network_operations(settings: Settings) -> float:
    """Floating-point operations of the network's convolutions and products, forward and backward."""
    network = BioFaceNet(settings.size)
    with FlopCounterMode(display=False) as counter:
        *maps, light, camera = network(torch.rand(1, 3, SIDE, SIDE)).arguments()
        sum(tensor.sum() for tensor in (*maps, light.weights, camera)).backward()
    return float(counter.get_total_flops()) * settings.batch


def product_speed(device: torch.device) -> float:
    """Floating-point operations a second of a product of large matrices."""
    one, other = torch.rand(2, 2048, 2048, device=device)
    times = take_turns({"product": lambda: one @ other}, 2.0, device)["product"]
    return 2 * 2048**3 / statistics.median(times)


def measure_steps(settings: Settings, device: torch.device) -> dict[str, Any]:
    """Milliseconds of the steps, which take turns, and of the parts of ours."""
    with tempfile.TemporaryDirectory(prefix="biofacenet-") as name:
        folder = Path(name)
        synthesize(SyntheticSettings(out=folder, count=settings.faces, holdout=0))
        held = our_run(folder, settings, device, compiled=False)
        calls: dict[str, Callable[[], object]] = {
            PLAIN: plain_step(folder, settings, device),
            OURS: our_step(held),
        }
        if settings.compiled:
            calls[f"{OURS}, compiled"] = our_step(our_run(folder, settings, device, compiled=True))
        times = take_turns(calls, settings.seconds, device)
        parts = take_turns(our_parts(held, device), settings.seconds / 4, device)
    operations, speed = network_operations(settings), product_speed(device)
    return {
        "steps_ms": {name: 1e3 * statistics.median(spent) for name, spent in times.items()},
        "parts_ms": {name: 1e3 * statistics.median(spent) for name, spent in parts.items()},
        "network_gflop": operations / 1e9,
        "product_gflop_per_second": speed / 1e9,
        "network_floor_ms": 1e3 * operations / speed,
    }


# Results -------------------------------------------------------------------------------------


def show(settings: Settings, found: dict[str, Any]) -> None:
    """Print the tables."""
    steps, reader = found["steps_ms"], found["reader_s"]
    table = Table(title=f"{settings.size} network, batches of {settings.batch}", box=None)
    table.add_column("step")
    for heading in ("ms", "faces/s", "times plain"):
        table.add_column(heading, justify="right")
    for name, spent in steps.items():
        speed = f"{1e3 * settings.batch / spent:.2f}"
        table.add_row(name, f"{spent:.1f}", speed, f"{steps[PLAIN] / spent:.2f}")
    console.print(table)
    table = Table(title="\nparts of our step, each alone", box=None)
    table.add_column("part")
    table.add_column("ms", justify="right")
    for name, spent in found["parts_ms"].items():
        table.add_row(name, f"{spent:.2f}")
    table.add_row("network at the speed of a matrix product", f"{found['network_floor_ms']:.1f}")
    console.print(table)
    table = Table(title=f"\n{settings.samples} samples, float64 in one piece", box=None)
    table.add_column("reader")
    for heading in ("samples/s", "of h5py in order"):
        table.add_column(heading, justify="right")
    for name, spent in reader.items():
        share = f"{reader['h5py, in order'] / spent:.2f}"
        table.add_row(name, f"{settings.samples / spent:.0f}", share)
    console.print(table)


def measure(settings: Settings) -> dict[str, Any]:
    """Measure everything, print it and write it down."""
    device = choose_device(settings.device)
    for name in ("batch", "samples", "faces"):
        if getattr(settings, name) < 1:
            raise BioFaceNetError(f"--{name} must be at least 1, got {getattr(settings, name)}")
    if settings.faces < settings.batch:
        raise BioFaceNetError(f"--faces must be at least --batch {settings.batch}")
    found = {
        "machine": processor(),
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU",
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "python": platform.python_version(),
        "commit": commit(),
        "settings": asdict(settings) | {"out": str(settings.out)},
        "reader_s": measure_reader(settings),
        **measure_steps(settings, device),
    }
    show(settings, found)
    path = settings.out / f"training-{device.type}.json"
    with whole_file(path) as temporary:
        temporary.write_text(json.dumps(found, indent=2) + "\n", "utf-8")
    console.print(f"\nwritten to {path}")
    return found


def main() -> None:
    measure(parse(Settings, program="benchmarks.training"))


if __name__ == "__main__":
    run(main)
