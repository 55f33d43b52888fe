"""Make synthetic faces in the layout of the Neural Face Editing set, with their true maps."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from torch.utils.data import DataLoader, Dataset

from .cli import console, parse, run, save_settings
from .data.pairs import write_pairs
from .data.synthetic import SyntheticFaces, generate
from .errors import BioFaceNetError
from .physics.skin import SkinName
from .pictures import contact_sheet

__all__ = ["Settings", "synthesize"]

HOLDOUT_NUMBER = "20"
BATCH = 32
SHEET = 64


@dataclass
class Settings:
    """Make synthetic faces to train on: images, normals, masks and lighting, and the true maps.

    Writes numbered HDF5 pairs of the layout that the Neural Face Editing set has, file 20 of them
    for validation, beside each a truth file (melanin, haemoglobin, shadings, light, camera), and a
    contact sheet to look at. The same seed gives the same faces.
    """

    out: Path = Path("data/synthetic")
    """Folder to write to."""
    count: int = 1600
    """Faces to train on."""
    holdout: int = 200
    """Faces for validation, in file 20."""
    size: int = 64
    """Side of the images in pixels, divisible by 16."""
    per_file: int = 10000
    """Most faces in one file."""
    seed: int = 0
    """Another seed gives other faces."""
    skin: SkinName = "published"
    """Constants of the skin model: published, those of the paper's authors, or measured, tuned on
    measured spectra."""
    workers: int | None = None
    """Processes that make faces; one for each core when not given. The faces do not depend on it."""


def synthesize(settings: Settings) -> None:
    """Write the files that the settings ask for.

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
    begin = time.perf_counter()
    total = sum(len(part) for part in parts.values())
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with Progress(
        *columns, console=console, transient=True, disable=not console.is_terminal
    ) as progress:
        task = progress.add_task("faces", total=total)
        for number, indices in parts.items():
            with write_pairs(settings.out, number, truth=True) as writer:
                for faces in FaceBatches(indices, settings).made_in_parallel():
                    writer.append(
                        faces.image,
                        faces.normals,
                        faces.mask,
                        faces.coordinates,
                        faces.lighting,
                        faces.truth,
                    )
                    progress.advance(task, len(faces.image))
    shown = generate(
        range(min(SHEET, total)), settings.seed, size=settings.size, skin=settings.skin
    )
    contact_sheet(shown.image, settings.out / "sheet.png", columns=8)
    save_settings(settings, settings.out / "settings.json")
    seconds = time.perf_counter() - begin
    console.print(
        f"{total} faces in {len(parts)} file pairs, {seconds:.0f} s: {settings.out}\n"
        f"look at them: {settings.out / 'sheet.png'}"
    )


class FaceBatches(Dataset[SyntheticFaces]):
    """The faces of some indices, some at a time."""

    def __init__(self, indices: Sequence[int], settings: Settings) -> None:
        self.indices, self.settings = indices, settings

    def __len__(self) -> int:
        return -(-len(self.indices) // BATCH)

    def __getitem__(self, batch: int) -> SyntheticFaces:
        chosen = self.indices[batch * BATCH : (batch + 1) * BATCH]
        return generate(
            chosen, self.settings.seed, size=self.settings.size, skin=self.settings.skin
        )

    def made_in_parallel(self) -> DataLoader[SyntheticFaces]:
        """All batches in order, made by several processes."""
        workers = self.settings.workers
        if workers is None:
            workers = os.cpu_count() or 1
        return DataLoader(
            self,
            batch_size=None,
            num_workers=min(workers, len(self)) if workers > 1 else 0,
            collate_fn=_as_it_is,  # type: ignore[arg-type]
        )


def _as_it_is(faces: SyntheticFaces) -> SyntheticFaces:
    return faces


def main() -> None:
    synthesize(parse(Settings, program="biofacenet.synthesize"))


if __name__ == "__main__":
    run(main)
