"""Training and validation samples of a run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ..data.labels import has_labels, read_persons
from ..data.pair_files import PairFile, find_pairs
from ..data.pairs import FacePairs, decode
from ..data.truth import Truth, read_truth
from ..errors import DataError
from ..physics.names import SkinName
from ..preparation.synthetic import synthesize
from ..system.console import console
from .settings import Preset, Settings, resolve

__all__ = [
    "image_mean",
    "load_data",
    "load_photos",
    "persons_of",
    "tells_shape",
]

CUSTOMARY_HOLDOUT = "20"

# Data ----------------------------------------------------------------------------------------


def load_data(settings: Settings, *, quiet: bool = False) -> tuple[FacePairs, FacePairs | None]:
    """Training and validation samples; synthetic faces are made where no data is named."""
    plan, folder = resolve(settings), settings.data
    if folder is None:
        folder = plan.faces.out
        if plan.skin != plan.faces.skin:
            folder = folder.with_name(f"{folder.name}-{plan.skin}")
        if not (folder / "settings.json").is_file():  # the last file to be written
            console.print(f"no --data given: making synthetic faces in {folder}, once")
            synthesize(replace(plan.faces, out=folder, skin=plan.skin))
        elif not quiet:
            console.print(f"no --data given: using the synthetic faces in {folder}")
    files = find_pairs(folder, settings.files)
    _check_sides(files)
    truth = plan.weights.truth > 0.0 and (
        _needs_truth(settings) or all(file.truth.is_file() for file in files)
    )
    if truth or settings.data is None:
        _check_skin(files, plan.skin)
    holdout = settings.holdout
    if holdout == "auto" and len(files) > 1 and any(f.number == CUSTOMARY_HOLDOUT for f in files):
        holdout = CUSTOMARY_HOLDOUT
    geometry = wants_shape(plan)
    options = {"in_memory": settings.in_memory, "truth": truth, "geometry": geometry}
    if holdout == "none":
        return FacePairs(files, **options), None
    if holdout == "auto":
        total = sum(file.count for file in files)
        kept = total // 20
        training = FacePairs(files, stop=total - kept, **options)
        return training, FacePairs(files, start=total - kept, **options) if kept else None
    kept_files = [file for file in files if file.number.lstrip("0") == holdout.lstrip("0")]
    others = [file for file in files if file not in kept_files]
    if not kept_files or not others:
        numbers = ", ".join(file.number for file in files)
        raise DataError(
            f"{folder}: cannot hold out file {holdout!r} of {numbers}; name one of several, auto or none"
        )
    return FacePairs(others, **options), FacePairs(kept_files, **options)


def load_photos(settings: Settings) -> FacePairs | None:
    """Photographs to train on, all but those of the customary holdout, where there are others."""
    if settings.photos is None:
        return None
    files = find_pairs(settings.photos)
    _check_sides(files)
    others = [file for file in files if file.number != CUSTOMARY_HOLDOUT]
    geometry = resolve(settings).weights.parts > 0.0
    return FacePairs(others or files, in_memory=settings.in_memory, geometry=geometry)


def persons_of(photos: FacePairs | None) -> list[int] | None:
    """Who is on each photograph, -1 where nobody knows; None unless two are known to be of one person."""
    if photos is None:
        return None
    found: list[int] = read_persons(photos.files).tolist()
    known = [person for person in found if person >= 0]
    return found if len(set(known)) < len(known) else None


def wants_shape(plan: Preset) -> bool:
    """Whether the network is to learn normals or parts."""
    return plan.weights.normals > 0.0 or plan.weights.parts > 0.0


def tells_shape(*sets: FacePairs | None) -> bool:
    """Whether normals and parts are read, and there are some in a file."""
    return any(
        data is not None and data.geometry and any(map(_has_geometry, data.files)) for data in sets
    )


def _has_geometry(file: PairFile) -> bool:
    return Truth(file).has_geometry if file.truth.is_file() else has_labels(file)


def _needs_truth(settings: Settings) -> bool:
    """Whether there is nothing to learn maps from where no file tells the truth, or it was asked for."""
    return settings.truth_weight is not None or resolve(settings).weights.shading == 0.0


def _check_sides(files: Sequence[PairFile]) -> None:
    if files[0].height % 16 or files[0].width % 16:
        raise DataError(
            f"{files[0].images}: images of {files[0].height} x {files[0].width}; the network needs "
            "sides divisible by 16"
        )


def image_mean(data: FacePairs, most: int = 512) -> list[float]:
    """Mean linear R, G and B of (up to) some evenly spaced samples."""
    stride = max(1, len(data) // most)
    raw = data.read(range(0, len(data), stride)[:most])
    return [float(mean) for mean in decode(raw).image.mean(dim=(0, 2, 3))]


def _check_skin(files: Sequence[PairFile], skin: SkinName) -> None:
    """Raise DataError where true maps are of another skin than the network's are to be."""
    for file in files:
        found = read_truth(file, [0]).skin
        if found != skin:
            raise DataError(
                f"{file.truth}: true maps of {found} skin, from which a network of {skin} skin cannot "
                f"learn; train with --skin {found}, make faces with synthesize --skin {skin}, or leave "
                "the truth out with --truth-weight 0"
            )
