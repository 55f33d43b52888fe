"""Measure decompositions against the truth, beside baselines: python -m biofacenet.evaluate.

What is compared on which scale is said in `biofacenet.metrics`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from torch import Tensor

from . import __version__
from .baselines import IndependentComponents, Statistics, constant_maps
from .cli import choose_device, console, parse, run
from .data.evaluation import SEED, TRAINING_SEED, Faces, synthetic_faces
from .data.iset import find_scenes, iset_faces
from .data.polarised import PolarisedFaces, find_pairs, polarised_faces
from .decomposition import Decomposition
from .errors import BioFaceNetError
from .fit import fit
from .metrics import COLUMNS, Errors
from .network import BioFaceNet
from .pictures import cases_sheet
from .scoreboard import TITLES, show, write
from .scores import PUBLISHED, Estimate, collect, summarise, summarise_polarised
from .synthesize import FaceBatches
from .synthesize import Settings as SynthesizeSettings

__all__ = ["Settings", "evaluate", "evaluate_network", "fixed_faces", "main"]

FORMAT = "biofacenet evaluation 1"
SIZE = 64
"""Side of all images, that of the training images."""
METHODS = tuple(TITLES)
COUNT = 500
CASES_FILE = "cases.png"
CASES = 2
"""Faces of each kind on the sheet."""


@dataclass
class Settings:
    """Measure how far maps, light and camera are from the truth, beside baselines.

    On a fixed set of synthetic faces that no training set holds, or on your multispectral faces or
    polarised photo pairs. Leaves in OUT the tables (evaluation.json, evaluation.csv, skin_tones.csv,
    evaluation.md) and a sheet of the best, the median and the worst faces (cases.png).
    """

    model: str = "small"
    """Name of a network that comes with the package, a folder that training wrote, or owner/name of one on
    the Hugging Face hub."""
    methods: str = ",".join(METHODS)
    """What to compare, separated by commas: network, untrained (a network of the same size), constant
    (the best constant maps), ica (independent components of log RGB), fit."""
    count: int = COUNT
    """Faces of the synthetic set."""
    iset: Path | None = None
    """Instead: an ISET scene (.mat), or a folder of them. They are photographed under D65 by the mean
    camera; the truth is what the skin model makes of their spectra."""
    polarised: Path | None = None
    """Instead: a folder of photo pairs, NAME_diffuse.* (crossed polarisers) and NAME_specular.*
    (parallel less crossed, in linear light)."""
    training_faces: int = 200
    """Faces of the training distribution that constant and ica know the statistics of."""
    out: Path = Path("evaluation")
    """Folder for tables and pictures."""
    cache: Path = Path("data/evaluation")
    """Folder in which the synthetic faces are kept, so that they are made once."""
    device: str = "auto"
    """Where networks and fit compute: auto, cpu or cuda."""


# What is measured ----------------------------------------------------------------------------


def evaluate_network(network: BioFaceNet, faces: Faces) -> dict[str, Any]:
    """The figures of a network on faces with known truth, as they stand in evaluation.json.

    Args:
        network: in evaluation mode; its device is used.
        faces: such as `fixed_faces` gives.

    Returns:
        ``rmse`` (by column), ``ssim``, ``rank_within``, ``rank_between``, ``light``, ``camera``,
        ``by_skin_tone``, ``dark_to_light`` and ``brown_and_dark_to_light``: see `biofacenet.metrics`.

    Example:
        >>> network = BioFaceNet.from_pretrained("runs/001/model")  # doctest: +SKIP
        >>> evaluate_network(network, fixed_faces())["rmse"]["melanin"]  # doctest: +SKIP
        0.21
    """
    errors, _ = collect(by_network(network), faces)
    return summarise(errors)


def fixed_faces(
    count: int = COUNT,
    seed: int = SEED,
    *,
    size: int = SIZE,
    cache: str | Path | None = None,
    tick: Callable[[int], object] = lambda _: None,
) -> Faces:
    """The first faces of the fixed synthetic test set, which no training set holds, with their truth.

    The same for the same numbers on every machine; 500 take a quarter of a minute on two cores.

    Args:
        count: how many.
        seed: another one gives another set.
        size: side of the images in pixels.
        cache: folder in which they are kept once made.
        tick: told of how many faces are done.
    """

    def make() -> list[Any]:
        settings = SynthesizeSettings(size=size, seed=seed)
        made = []
        for part in FaceBatches(range(count), settings).made_in_parallel():
            made.append(part)
            tick(len(part.image))
        return made

    return synthetic_faces(count, seed, size=size, cache=cache, make=make)


def by_network(network: BioFaceNet) -> Estimate:
    """What a network finds, on its own device."""

    def estimate(image: Tensor, _: Tensor) -> Decomposition:
        with torch.no_grad():
            found: Decomposition = network(image.to(network.image_mean.device))
        return found.to("cpu")

    return estimate


def by_fit(device: torch.device) -> Estimate:
    """What fitting finds."""

    def estimate(image: Tensor, mask: Tensor) -> Decomposition:
        return fit(image.to(device), mask.to(device)).decomposition.to("cpu")

    return estimate


def estimates(
    settings: Settings, names: Sequence[str], network: BioFaceNet | None, device: torch.device
) -> dict[str, Estimate]:
    """Methods by name, ready to be used.

    Raises:
        BioFaceNetError: a package is missing.
    """
    found: dict[str, Estimate] = {}
    if network is not None:
        found["network"] = by_network(network)
    if "untrained" in names:
        with torch.random.fork_rng():
            torch.manual_seed(0)
            untrained = BioFaceNet(network.size if network else "small").to(device).eval()
        found["untrained"] = by_network(untrained)
    if "constant" in names or "ica" in names:
        count = settings.training_faces
        with shown("faces of the training distribution", count) as tick:
            known = fixed_faces(count, TRAINING_SEED, cache=settings.cache, tick=tick)
        usual = Statistics.of(known.truth, known.mask)
        if "constant" in names:
            found["constant"] = lambda image, mask: constant_maps(image, mask, usual)
        if "ica" in names:
            components = IndependentComponents.learn(known.image, known.mask, usual)
            found["ica"] = lambda image, _: components(image)
    if "fit" in names:
        found["fit"] = by_fit(device)
    return {name: found[name] for name in names}


@contextmanager
def shown(what: str, total: int) -> Iterator[Callable[[int], object]]:
    """A progress bar; gives what tells it of things done."""
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    ) as progress:
        task = progress.add_task(what, total=total)
        yield lambda count: progress.advance(task, count)


def evaluate(settings: Settings) -> dict[str, Any]:
    """Measure what the settings ask for, and write it down.

    Returns:
        What evaluation.json holds.

    Raises:
        BioFaceNetError: a setting is out of range, or something named is not to be had.
    """
    names = chosen_methods(settings.methods)
    if settings.count < 1:
        raise BioFaceNetError(f"count must be at least 1, got {settings.count}")
    if settings.training_faces < 1:
        raise BioFaceNetError(f"training_faces must be at least 1, got {settings.training_faces}")
    if settings.iset and settings.polarised:
        raise BioFaceNetError("--iset and --polarised are two sets; evaluate one at a time")
    device = choose_device(settings.device)
    network = None
    if "network" in names:  # before anything that takes time
        network = BioFaceNet.from_pretrained(settings.model).to(device)
    faces = chosen_faces(settings)
    methods: dict[str, Any] = {}
    sheets: list[tuple[Errors, Decomposition]] = []
    for name, estimate in estimates(settings, names, network, device).items():
        begin = time.perf_counter()
        with shown(TITLES[name], len(faces)) as tick:
            if isinstance(faces, PolarisedFaces):
                figures = summarise_polarised(estimate, faces, tick)
            else:
                sheets.append(collect(estimate, faces, tick))
                figures = summarise(sheets[-1][0])
        methods[name] = figures | {"seconds": round(time.perf_counter() - begin, 1)}
    synthetic = settings.iset is None and settings.polarised is None
    results = {
        "format": FORMAT,
        "version": __version__,
        "faces": {
            "name": faces.name,
            "count": len(faces),
            "seed": SEED if synthetic else None,
        },
        "model": settings.model if "network" in names else None,
        "methods": methods,
        "published": None if isinstance(faces, PolarisedFaces) else PUBLISHED,
    }
    write(results, settings.out)
    if not isinstance(faces, PolarisedFaces):
        sheet(faces, *sheets[0], settings.out / CASES_FILE, title=TITLES[names[0]])
    return results


def chosen_faces(settings: Settings) -> Faces | PolarisedFaces:
    """The faces that the settings name."""
    if settings.polarised is not None:
        with shown("photo pairs", len(find_pairs(settings.polarised))) as tick:
            return polarised_faces(settings.polarised, size=SIZE, tick=tick)
    if settings.iset is not None:
        scenes = find_scenes(settings.iset)
        with shown("scenes", len(scenes)) as tick:
            return iset_faces(scenes, size=SIZE, tick=tick)
    with shown("faces", settings.count) as tick:
        return fixed_faces(settings.count, size=SIZE, cache=settings.cache, tick=tick)


def chosen_methods(text: str) -> list[str]:
    """The methods of a list separated by commas, each once.

    Raises:
        BioFaceNetError: one is unknown, or there is none.
    """
    names = list(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))
    unknown = [name for name in names if name not in METHODS]
    if unknown or not names:
        what = f"unknown method {unknown[0]!r}" if unknown else "no method named"
        raise BioFaceNetError(f"{what}; --methods takes {', '.join(METHODS)}, separated by commas")
    return names


# Pictures ------------------------------------------------------------------------------------


def sheet(faces: Faces, errors: Errors, found: Decomposition, path: Path, *, title: str) -> None:
    """The best, the median and the worst faces by the mean of their errors, in units of the set's."""
    total = torch.stack(
        [errors.square[c] / errors.square[c].mean().clamp(min=1e-12) for c in COLUMNS]
    ).mean(dim=0)
    order = total.argsort().tolist()
    middle = max(0, len(order) // 2 - CASES // 2)
    kinds = {
        "best": order[:CASES],
        "median": order[middle : middle + CASES],
        "worst": order[-CASES:],
    }
    picked = [(kind, index) for kind, indices in kinds.items() for index in indices]
    indices = torch.tensor([index for _, index in picked])
    cases_sheet(
        faces.image[indices],
        faces.mask[indices],
        faces.truth.map(lambda x: x[indices]),
        found.map(lambda x: x[indices]),
        path,
        labels=[kind for kind, _ in picked],
        title=f"{title} on {faces.name}",
    )


def main() -> None:
    """Evaluate what the command line names."""
    settings = parse(Settings, program="biofacenet.evaluate")
    results = evaluate(settings)
    show(results)
    console.print(f"tables: {settings.out / 'evaluation.md'} and beside it", markup=False)
    if settings.polarised is None:
        console.print(f"faces: {settings.out / CASES_FILE}", markup=False)


if __name__ == "__main__":
    run(main)
