"""Synthetic faces as training files, with their true maps."""

from __future__ import annotations

import time

import torch
from torch import Tensor

from ..data.pairs_writing import write_pairs
from ..data.synthetic.batches import FaceBatches
from ..data.synthetic.heads.model import LICENCE
from ..data.synthetic.heads.reading import read_heads
from ..errors import BioFaceNetError
from ..plotting.grids import contact_sheet
from ..system.console import console, progress
from ..system.files import remove_leftovers
from ..system.locks import folder_lock
from ..system.settings import save_settings
from .settings import SyntheticSettings

__all__ = [
    "synthesize",
]

HOLDOUT_NUMBER = "20"

SHEET = 64


def synthesize(settings: SyntheticSettings) -> None:
    """Write the files that the settings ask for.

    Raises:
        BioFaceNetError: a setting is out of range, the folder holds other files of this kind,
            another process writes to it, or the head model cannot be read.
    """
    parts = parts_of(settings)
    if settings.heads is not None:
        model = read_heads(settings.heads)
        console.print(f"heads of {model.path}: {LICENCE}", soft_wrap=True)
    with folder_lock(settings.out, "makes faces") as held:
        if held:
            remove_leftovers(settings.out)
        _make(settings, parts)


def _make(settings: SyntheticSettings, parts: dict[str, range]) -> None:
    begin = time.perf_counter()
    total = sum(len(part) for part in parts.values())
    shown: list[Tensor] = []
    with progress("faces made", total) as bar:
        for number, indices in parts.items():
            batches = FaceBatches(
                indices, settings.seed, size=settings.size, skin=settings.skin, heads=settings.heads
            )
            with write_pairs(settings.out, number, truth=True) as writer:
                for faces in batches.made_in_parallel(settings.workers):
                    writer.append(faces)
                    if sum(map(len, shown)) < SHEET:
                        shown.append(faces.image)
                    bar.advance(len(faces))
    contact_sheet(torch.cat(shown)[:SHEET], settings.out / "sheet.png", columns=8)
    notes = {} if settings.heads is None else {"heads": LICENCE}
    save_settings(settings, settings.out / "settings.json", notes)
    seconds = time.perf_counter() - begin
    console.print(
        f"{total} faces in {len(parts)} file pairs, {seconds:.0f} s: {settings.out}\n"
        f"look at them: {settings.out / 'sheet.png'}"
    )


def parts_of(settings: SyntheticSettings) -> dict[str, range]:
    """Which faces go into which file.

    Raises:
        BioFaceNetError: a setting is out of range, or the folder holds other files of this kind.
    """
    if settings.count < 1 or settings.holdout < 0 or settings.per_file < 1:
        raise BioFaceNetError("count and per_file must be at least 1, holdout at least 0")
    if settings.workers is not None and settings.workers < 0:
        raise BioFaceNetError(f"workers must be at least 0, got {settings.workers}")
    if settings.size < 16 or settings.size % 16:
        raise BioFaceNetError(f"size must be a multiple of 16, got {settings.size}")
    numbers = [f"{n:02d}" for n in range(1, 100) if f"{n:02d}" != HOLDOUT_NUMBER]
    starts = range(0, settings.count, settings.per_file)
    if len(starts) > len(numbers):
        raise BioFaceNetError(
            f"{settings.count} faces need over {len(numbers)} files; raise per_file"
        )
    parts = {
        number: range(start, min(start + settings.per_file, settings.count))
        for number, start in zip(numbers, starts, strict=False)
    }
    if settings.holdout:
        # Indices after all training faces: no face is in both.
        parts[HOLDOUT_NUMBER] = range(settings.count, settings.count + settings.holdout)
    stale = [
        path
        for path in settings.out.glob("zx_7_d10_inmc_*.hdf5")
        if path.stem.rpartition("_")[2] not in parts or "_synthetic_" not in path.name
    ]
    if stale:
        raise BioFaceNetError(
            f"{stale[0]}: already there and not part of what is to be made; choose another folder "
            "with --out, or move it away"
        )
    return parts
