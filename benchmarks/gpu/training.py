"""The training step, from the plain one to ours."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

import biofacenet
from biofacenet import BioFaceNet, BioFaceNetError
from biofacenet.system.console import console
from biofacenet.training.losses import objective
from biofacenet.training.run import Trainee
from biofacenet.training.settings import LossWeights

from .renderer import REFERENCE, backends
from .settings import Settings
from .timing import milliseconds, recorded

__all__ = ["Variant", "measure_training", "training_step", "variants"]

LOSS_WEIGHTS = LossWeights(appearance=3e-3, camera=1e-3, specular=0.1, shading=1.0)


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
