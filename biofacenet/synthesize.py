"""Make synthetic faces in the layout of the Neural Face Editing set, with their true maps."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from .cli import console, parse, run, save_settings
from .data.pairs import write_pairs
from .data.synthetic import SyntheticFaces, generate
from .errors import BioFaceNetError
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
    count: int = 2000
    """Faces to train on."""
    holdout: int = 200
    """Faces for validation, in file 20."""
    size: int = 64
    """Side of the images in pixels, divisible by 16."""
    per_file: int = 10000
    """Most faces in one file."""
    seed: int = 0
    """Another seed gives other faces."""


def synthesize(settings: Settings) -> None:
    """Write the files that the settings ask for.

    Raises:
        BioFaceNetError: a setting is out of range, or the folder holds other files of this kind.
    """
    if settings.count < 1 or settings.holdout < 0 or settings.per_file < 1:
        raise BioFaceNetError("count and per_file must be at least 1, holdout at least 0")
    if settings.size < 16 or settings.size % 16:
        raise BioFaceNetError(f"size must be a multiple of 16, got {settings.size}")
    numbers = [f"{n:02d}" for n in range(1, 100) if f"{n:02d}" != HOLDOUT_NUMBER]
    starts = range(0, settings.count, settings.per_file)
    if len(starts) > len(numbers):
        raise BioFaceNetError(f"{settings.count} faces need over {len(numbers)} files; raise per_file")
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
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("faces", total=total)
        for number, indices in parts.items():
            with write_pairs(settings.out, number, truth=True) as writer:
                for faces in batches(indices, settings):
                    writer.append(
                        faces.image,
                        faces.normals,
                        faces.mask,
                        faces.coordinates,
                        faces.lighting,
                        faces.truth,
                    )
                    progress.advance(task, len(faces.image))
    shown = generate(range(min(SHEET, total)), settings.seed, size=settings.size)
    contact_sheet(shown.image, settings.out / "sheet.png", columns=8)
    save_settings(settings, settings.out / "settings.json")
    seconds = time.perf_counter() - begin
    console.print(
        f"{total} faces in {len(parts)} file pairs, {seconds:.0f} s: {settings.out}\n"
        f"look at them: {settings.out / 'sheet.png'}"
    )


def batches(indices: Sequence[int], settings: Settings) -> Iterator[SyntheticFaces]:
    """The faces of these indices, some at a time."""
    for start in range(0, len(indices), BATCH):
        yield generate(indices[start : start + BATCH], settings.seed, size=settings.size)


def main() -> None:
    synthesize(parse(Settings, program="biofacenet.synthesize"))


if __name__ == "__main__":
    run(main)
