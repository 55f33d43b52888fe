"""Training files from photos.

What was made of a photo is kept in a part file of its own, named by the photo's content, and the pairs
are put together from these. A run that was stopped anywhere goes on where it was, and the pairs depend
on the photos and the settings alone.
"""

from __future__ import annotations

import csv
import io
import sys
import time
from collections import Counter
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch

from ..data.pairs_writing import PairWriter, write_pairs
from ..data.records import Faces
from ..errors import BioFaceNetError
from ..network.folders import WEIGHTS_FILE, find
from ..photos.paths import expand
from ..physics.colour import linear_to_srgb
from ..physics.lighting import sh_shading
from ..plotting.grids import contact_sheet
from ..system.console import console, progress
from ..system.device import usable_cpus
from ..system.files import cell, remove_leftovers, sha256, whole_file, write_csv
from ..system.locks import folder_lock
from ..system.names import shown
from ..system.settings import save_settings
from ..system.workers import in_processes, in_this_process
from . import landmarks
from .labels import Known, Tables, write_labels_of
from .network_shape import network_with_shape
from .parts import (
    PART_VERSION,
    Outcome,
    Plan,
    Rejection,
    Used,
    look_at,
    read_facts,
    read_samples,
    remove_parts,
)
from .sample import Method
from .settings import PhotoSettings

__all__ = [
    "prepare",
]

TAG = "photos"

HOLDOUT_NUMBER = "20"

NUMBERS = [f"{n:02d}" for n in range(1, 100) if f"{n:02d}" != HOLDOUT_NUMBER]

SHOWN_REJECTIONS = 20

SHEET = 48
"""Samples on the sheet."""

BATCH = 32

CHUNK = 8
"""Photos that a process is given at a time, in large collections."""


def prepare(settings: PhotoSettings) -> None:
    """Make the data that the settings ask for.

    Raises:
        BioFaceNetError: a setting is out of range, no photo is named or usable, the folder holds other
            files of this kind, or another process writes to it.
    """
    check(settings)
    photos, plan = photos_of(settings), plan_of(settings)
    with folder_lock(settings.out, "prepares photos") as held:
        if held:
            remove_leftovers(settings.out)
            remove_leftovers(settings.out / "parts", below=True)
        _make(settings, photos, plan)


def _make(settings: PhotoSettings, photos: list[Path], plan: Plan) -> None:
    begin = time.perf_counter()
    outcomes = work(photos, plan, settings.workers)
    used, rejections = sort_out(outcomes, plan)
    write_rejections(settings.out / "rejected.csv", rejections)
    tell_rejections(rejections, settings.out / "rejected.csv")
    if not used:
        raise BioFaceNetError(
            f"none of {len(photos)} photos could be used; {settings.out / 'rejected.csv'} says why"
        )
    pairs = divide(used, settings.holdout, settings.per_file)
    tables = Tables()
    known = {item.photo: tables.of(item.photo) for item in used}
    index = index_of(pairs, plan, known)
    fresh = not is_written(settings.out, pairs, index)
    if fresh:
        write(settings.out, pairs, index, plan, known)
        save_settings(settings, settings.out / "settings.json")
    if not settings.keep_parts:
        remove_parts(settings.out / "parts")
    samples = sum(len(rows) for rows in pairs.values())
    made = sum(outcome.made for outcome in outcomes)
    console.print(
        f"{samples} faces of {len(used)} photos in {len(pairs)} file pairs, "
        f"{len(pairs.get(HOLDOUT_NUMBER, ()))} of them for validation; normals from "
        f"{'landmarks' if plan.method == 'landmarks' else 'the network'}\n"
        f"{made} of {len(photos)} photos looked at in this run, {time.perf_counter() - begin:.0f} s"
        f"{'' if fresh else '; the pairs were up to date'}\n"
        f"look at them: {settings.out / 'sheet.png'}\n"
        f"train on them: biofacenet train --data {settings.out}",
        markup=False,
    )


# Settings ------------------------------------------------------------------------------------


def check(settings: PhotoSettings) -> None:
    """Raise where a setting is out of range or does not go with the folder."""
    if settings.size < 16 or settings.size % 16:
        raise BioFaceNetError(f"size must be a multiple of 16, got {settings.size}")
    if not 0.0 <= settings.holdout < 1.0:
        raise BioFaceNetError(f"holdout must lie in [0, 1), got {settings.holdout}")
    if settings.per_file < 1:
        raise BioFaceNetError(f"per_file must be at least 1, got {settings.per_file}")
    if settings.smallest is not None and settings.smallest < 16:
        raise BioFaceNetError(f"smallest must be at least 16, got {settings.smallest}")
    if settings.workers is not None and settings.workers < 0:
        raise BioFaceNetError(f"workers must be at least 0, got {settings.workers}")
    if settings.normals == "landmarks" and not landmarks.available():
        raise BioFaceNetError(
            f"--normals landmarks needs a model that is not installed: {landmarks.INSTALL}"
        )
    for path in settings.out.glob("zx_7_d10_inmc_*.hdf5"):
        if f"_{TAG}_" not in path.name:
            raise BioFaceNetError(
                f"{path}: already there and not made of photos; choose another folder with --out, or "
                "move it away"
            )


def plan_of(settings: PhotoSettings) -> Plan:
    """What decides on samples; parts that were made otherwise are in another folder."""
    method = method_of(settings)
    smallest = settings.size if settings.smallest is None else settings.smallest
    by: str = method
    if method == "network":
        network_with_shape(settings.model)
        by += sha256(find(settings.model) / WEIGHTS_FILE)[:8]
    mesh = landmarks.available()
    by += "mesh" if mesh else ""
    name = f"{PART_VERSION}-size-{settings.size}-{by}-from-{smallest}"
    folder = settings.out / "parts" / name
    return Plan(folder, settings.size, method, smallest, settings.model, mesh)


def method_of(settings: PhotoSettings) -> Method:
    """Where normals come from."""
    if settings.normals != "auto":
        return settings.normals
    return "landmarks" if landmarks.available() else "network"


def photos_of(settings: PhotoSettings) -> list[Path]:
    """The photos that are named, each once, in the order of their paths.

    Raises:
        BioFaceNetError: a name matches nothing, or there is no photo.
    """
    found: dict[Path, Path] = {}
    for path in expand(settings.photos, without=settings.out):
        found.setdefault(path.resolve(), path)
    if not found:
        raise BioFaceNetError(
            "no photos found (nothing was named); name photos, or folders with files that end in "
            ".jpg, .png or the like"
        )
    return sorted(found.values())


# All photos ----------------------------------------------------------------------------------


def work(photos: list[Path], plan: Plan, workers: int | None) -> list[Outcome]:
    """Look at all photos, by several processes, with progress shown."""
    count = min(len(photos), usable_cpus() if workers is None else workers)
    task = partial(look_at, plan=plan)
    outcomes: list[Outcome] = []
    with progress("photos looked at", len(photos)) as bar:
        try:
            for outcome in (
                in_this_process(task, photos)
                if count < 2
                else in_processes(task, photos, count, chunk=CHUNK)
            ):
                outcomes.append(outcome)
                bar.advance()
        except KeyboardInterrupt:
            sys.stderr.write("what was made is kept; give the same command again to go on\n")
            raise
    return outcomes


def sort_out(outcomes: list[Outcome], plan: Plan) -> tuple[list[Used], list[Rejection]]:
    """Photos that samples come from, and what was rejected; of equal files the first counts."""
    used: list[Used] = []
    rejections: list[Rejection] = []
    first: dict[str, Path] = {}
    for outcome in outcomes:
        if outcome.reason:
            kind = "failed" if outcome.digest else "unreadable"
            rejections.append(Rejection(outcome.photo, kind, outcome.reason))
            continue
        if outcome.digest in first:
            reason = f"the same file as {first[outcome.digest]}"
            rejections.append(Rejection(outcome.photo, "duplicate", reason))
            continue
        first[outcome.digest] = outcome.photo
        facts = read_facts(plan.part(outcome.digest))
        rejections += [Rejection(outcome.photo, **problem) for problem in facts["rejected"]]
        if facts["faces"]:
            used.append(Used(outcome.photo, outcome.digest, tuple(facts["faces"])))
    return used, rejections


def divide(used: list[Used], holdout: float, per_file: int) -> dict[str, list[tuple[Used, int]]]:
    """Which samples go into which file: numbers to (photo, which of its samples).

    Photos are held out by their content, so that neither order nor names decide, and all faces of a
    photo stay together.
    """
    count = round(holdout * len(used))
    if holdout > 0.0:
        count = max(1, count)
    count = min(count, len(used) - 1)
    held = {item.digest for item in sorted(used, key=lambda item: item.digest)[:count]}
    rows = [(item, i) for item in used for i in range(len(item.faces))]
    training = [row for row in rows if row[0].digest not in held]
    starts = range(0, len(training), per_file)
    if len(starts) > len(NUMBERS):
        raise BioFaceNetError(
            f"{len(training)} faces need over {len(NUMBERS)} files; raise --per-file"
        )
    pairs = {
        number: training[start : start + per_file]
        for number, start in zip(NUMBERS, starts, strict=False)
    }
    if held:
        pairs[HOLDOUT_NUMBER] = [row for row in rows if row[0].digest in held]
    return pairs


# Results -------------------------------------------------------------------------------------


def index_of(
    pairs: dict[str, list[tuple[Used, int]]], plan: Plan, known: Mapping[Path, Known]
) -> str:
    """The text of index.csv."""
    otherwise = "mesh" if plan.mesh else ""
    boxes = {key: None for rows in pairs.values() for item, i in rows for key in item.faces[i]}
    header = ["file", "row", "photo", "sha256", "size_of_sample", "normals"]
    header += ["person", "landmarks", *boxes]
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    for number, rows in pairs.items():
        for row, (item, i) in enumerate(rows):
            facts = [item.faces[i].get(key, "") for key in boxes]
            photo = cell(item.photo)
            said = known[item.photo]
            facts = [cell(said.person), said.digest or otherwise, *facts]
            writer.writerow([number, row, photo, item.digest, plan.size, plan.method, *facts])
    return text.getvalue()


def pair_paths(out: Path, number: str) -> list[Path]:
    return [out / f"zx_7_{kind}_{TAG}_{number}.hdf5" for kind in ("d10_inmc", "d3_lrgb")]


def is_written(out: Path, pairs: dict[str, Any], index: str) -> bool:
    """Whether these very pairs are there: the index is written after them, and goes before them."""
    path = out / "index.csv"
    files = [file for number in pairs for file in pair_paths(out, number)]
    return (
        path.is_file()
        and path.read_text("utf-8") == index
        and all(file.is_file() for file in (*files, out / "sheet.png"))
    )


def write(
    out: Path,
    pairs: dict[str, list[tuple[Used, int]]],
    index: str,
    plan: Plan,
    known: Mapping[Path, Known],
) -> None:
    """Put pairs, sheet and index together from the parts."""
    (out / "index.csv").unlink(missing_ok=True)
    kept = {path for number in pairs for path in pair_paths(out, number)}
    for path in out.glob(f"zx_7_*_{TAG}_*.hdf5"):
        if path not in kept:
            path.unlink()
    for number, rows in pairs.items():
        with write_pairs(out, number, tag=TAG) as writer:
            _append(writer, rows, plan)
    everybody = sorted({said.person for said in known.values() if said.person})
    for number, rows in pairs.items():
        write_labels_of(out / f"zx_7_labels_{TAG}_{number}.hdf5", rows, plan, known, everybody)
    everything = [row for rows in pairs.values() for row in rows]
    step = max(1, -(-len(everything) // SHEET))
    write_sheet(out / "sheet.png", everything[::step], plan)
    with whole_file(out / "index.csv") as temporary:
        temporary.write_text(index, "utf-8")


def _append(writer: PairWriter, rows: list[tuple[Used, int]], plan: Plan) -> None:
    for start in range(0, len(rows), BATCH):
        writer.append(_samples(rows[start : start + BATCH], plan))


def _samples(rows: list[tuple[Used, int]], plan: Plan) -> Faces:
    """Samples of several photos, joined."""
    return Faces.join([read_samples(plan.part(item.digest))[i : i + 1] for item, i in rows])


def write_sheet(path: Path, rows: list[tuple[Used, int]], plan: Plan) -> None:
    """Of each sample: the crop, its skin, normals as colours, and shading under the light found."""
    faces = _samples(rows, plan)
    image, normals, mask = faces.image, faces.normals, faces.mask
    shading = 0.4 * sh_shading(normals, faces.lighting).expand_as(image)
    pictures = (
        image,
        image * mask + (1.0 - mask) * (0.15 * image + 0.85),
        (normals + 1.0) / 2.0 * mask + (1.0 - mask),
        linear_to_srgb(shading) * mask + (1.0 - mask),
    )
    joined = torch.stack(pictures, dim=1).flatten(0, 1)
    contact_sheet(joined, path, columns=12)


def write_rejections(path: Path, rejections: list[Rejection]) -> None:
    """Write rejected.csv."""
    rows = ((item.photo, item.kind, item.reason) for item in rejections)
    write_csv(path, [("photo", "kind", "reason"), *rows])


def tell_rejections(rejections: list[Rejection], path: Path) -> None:
    """Say what was rejected, a line each unless there are many, and how many of which kind."""
    for item in rejections[:SHOWN_REJECTIONS]:
        console.print(f"not used: {shown(item.photo)}: {shown(item.reason)}")
    if len(rejections) > SHOWN_REJECTIONS:
        console.print(f"and {len(rejections) - SHOWN_REJECTIONS} more: {path}", markup=False)
    if rejections:
        kinds = Counter(item.kind for item in rejections).most_common()
        counts = ", ".join(f"{count} {kind}" for kind, count in kinds)
        console.print(f"{len(rejections)} not used ({counts}): {path}", markup=False)
