"""Measure decompositions against the truth, beside baselines.

What is compared on which scale is said in `biofacenet.evaluation.metrics`.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from .._version import __version__
from ..decomposition import Decomposition
from ..errors import BioFaceNetError
from ..fitting.image import fit
from ..network.unet import BioFaceNet
from ..physics.names import SkinName
from ..plotting.grids import cases_sheet
from ..system.console import progress
from ..system.device import choose_device
from .baselines import IndependentComponents, Statistics, constant_maps
from .iset import iset_faces
from .iset_files import find_scenes
from .metrics import COLUMNS, Errors
from .polarised import PolarisedFaces, find_pairs, polarised_faces
from .sets import SEED, SIZE, TRAINING_SEED, KnownFaces, fixed_faces
from .settings import TITLES, Settings, check, chosen_methods
from .summary import PUBLISHED, Estimate, collect, summarise, summarise_polarised
from .tables import write

__all__ = [
    "CASES_FILE",
    "evaluate",
    "evaluate_network",
]

FORMAT = "biofacenet evaluation 1"

CASES_FILE = "cases.png"

CASES = 2
"""Faces of each kind on the sheet."""


# What is measured ----------------------------------------------------------------------------


def evaluate_network(network: BioFaceNet, faces: KnownFaces) -> dict[str, Any]:
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


def by_network(network: BioFaceNet) -> Estimate:
    """What a network finds, on its own device."""

    def estimate(image: Tensor, _: Tensor) -> Decomposition:
        with torch.no_grad():
            found = network.decompose(image.to(network.image_mean.device))
        return found.to("cpu")

    return estimate


def by_fit(device: torch.device, skin: SkinName) -> Estimate:
    """What fitting finds."""

    def estimate(image: Tensor, mask: Tensor) -> Decomposition:
        return fit(image.to(device), mask.to(device), skin=skin).decomposition.to("cpu")

    return estimate


def estimates(
    settings: Settings,
    names: Sequence[str],
    network: BioFaceNet | None,
    device: torch.device,
    skin: SkinName,
) -> dict[str, Estimate]:
    """Methods by name, ready to be used; their maps are of a skin.

    Raises:
        BioFaceNetError: a package is missing.
    """
    found: dict[str, Estimate] = {}
    if network is not None:
        found["network"] = by_network(network)
    if "untrained" in names:
        with torch.random.fork_rng():
            torch.manual_seed(0)
            size = network.size if network else "small"
            untrained = BioFaceNet(size, skin=skin).to(device).eval()
        found["untrained"] = by_network(untrained)
    if "constant" in names or "ica" in names:
        count = settings.training_faces
        with progress("faces of the training distribution", count) as bar:
            known = fixed_faces(
                count, TRAINING_SEED, skin=skin, cache=settings.cache, tick=bar.advance
            )
        usual = Statistics.of(known.truth, known.mask)
        if "constant" in names:
            found["constant"] = lambda image, mask: constant_maps(image, mask, usual)
        if "ica" in names:
            components = IndependentComponents.learn(known.image, known.mask, usual)
            found["ica"] = lambda image, _: components(image)
    if "fit" in names:
        found["fit"] = by_fit(device, skin)
    return {name: found[name] for name in names}


def evaluate(settings: Settings) -> dict[str, Any]:
    """Measure what the settings ask for, and write it down.

    Returns:
        What evaluation.json holds.

    Raises:
        BioFaceNetError: a setting is out of range, or something named is not to be had.
    """
    check(settings)
    names = chosen_methods(settings.methods)
    device = choose_device(settings.device)
    network = None
    if "network" in names:  # before anything that takes time
        network = BioFaceNet.from_pretrained(settings.model).to(device)
    skin = chosen_skin(settings, network)
    faces = chosen_faces(settings, skin)
    methods: dict[str, Any] = {}
    sheets: list[tuple[Errors, Decomposition]] = []
    for name, estimate in estimates(settings, names, network, device, skin).items():
        begin = time.perf_counter()
        with progress(TITLES[name], len(faces)) as bar:
            if isinstance(faces, PolarisedFaces):
                figures = summarise_polarised(estimate, faces, bar.advance)
            else:
                sheets.append(collect(estimate, faces, bar.advance))
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
            "skin": skin,
        },
        "model": settings.model if "network" in names else None,
        "methods": methods,
        "published": None if isinstance(faces, PolarisedFaces) else PUBLISHED,
    }
    write(results, settings.out)
    if not isinstance(faces, PolarisedFaces):
        sheet(faces, *sheets[0], settings.out / CASES_FILE, title=TITLES[names[0]])
    return results


def chosen_skin(settings: Settings, network: BioFaceNet | None) -> SkinName:
    """Of all maps that are compared.

    Raises:
        BioFaceNetError: the network's maps are of another one than was asked for.
    """
    if network is None:
        return settings.skin or "published"
    if settings.skin not in (None, network.skin):
        raise BioFaceNetError(
            f"the maps of {settings.model} are of {network.skin} skin, and those of {settings.skin} "
            f"skin stand for other colours; evaluate it with --skin {network.skin}"
        )
    return network.skin


def chosen_faces(settings: Settings, skin: SkinName) -> KnownFaces | PolarisedFaces:
    """The faces that the settings name."""
    if settings.polarised is not None:
        with progress("photo pairs", len(find_pairs(settings.polarised))) as bar:
            return polarised_faces(settings.polarised, size=SIZE, tick=bar.advance)
    if settings.iset is not None:
        scenes = find_scenes(settings.iset)
        with progress("scenes", len(scenes)) as bar:
            return iset_faces(scenes, size=SIZE, skin=skin, tick=bar.advance)
    with progress("faces", settings.count) as bar:
        return fixed_faces(
            settings.count, size=SIZE, skin=skin, cache=settings.cache, tick=bar.advance
        )


# Pictures ------------------------------------------------------------------------------------


def sheet(
    faces: KnownFaces, errors: Errors, found: Decomposition, path: Path, *, title: str
) -> None:
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
