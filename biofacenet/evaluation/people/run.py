"""Measure methods on real photographs of people, and write it down."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..._version import __version__
from ...network.unet import BioFaceNet
from ...physics.names import SkinName
from ...plotting.grids import changes_sheet
from ...preparation.people import PeopleFolder, read_folder
from ...system.console import progress
from ...system.device import choose_device
from ..run import chosen_skin
from ..settings import TITLES, Settings, check, chosen_methods
from .figures import expressions, figures_of, groups_of, spreads
from .methods import INDICES, Method, by_fit, by_network, components, indices
from .numbers import Numbers, numbers_of
from .report import write
from .views import PersonViews, views_of

__all__ = ["measure_people", "ranking", "sheets"]

FORMAT = "biofacenet evaluation of people 1"

Chosen = Callable[[PersonViews], Method]
"""A method, which may depend on how large a person's photo is seen."""

WEIGHED = ("rmse", "half_melanin", "side_melanin", "mirror_melanin", "jpeg_melanin", "gain_melanin")
"""What says who is the best and who the worst person, each in units of its mean."""


def measure_people(settings: Settings) -> dict[str, Any]:
    """Measure what the settings ask for on the people of a folder, and write it down.

    Args:
        settings: with ``photos``.

    Returns:
        What people.json holds.

    Raises:
        DataError: a table or photo is missing or wrong.
        PhotoError: a photo cannot be read.
        BioFaceNetError: a setting is out of range, or the network is not to be had.
    """
    check(settings)
    assert settings.photos is not None
    folder = read_folder(settings.photos, people=settings.people, without=settings.without)
    network = None
    if "network" in chosen_methods(settings.methods, photos=True):  # before what takes time
        network = BioFaceNet.from_pretrained(settings.model).to(choose_device(settings.device))
    skin = chosen_skin(settings, network)
    people = _seen(folder, max(settings.size, settings.resolution or 0))
    methods, remarks = _methods(settings, network, skin, people)
    results: dict[str, Any] = {}
    numbers: dict[str, list[Numbers]] = {}
    for name, method in methods.items():
        begin = time.perf_counter()
        found = []
        with progress(TITLES.get(name, name), len(people), unit="people") as bar:
            for views in people:
                found.append(numbers_of(method(views), views))
                bar.advance()
        numbers[name] = found
        decomposes = name not in INDICES
        results[name] = {
            "figures": figures_of(found, decomposes=decomposes),
            "sd": spreads(found),
            "seconds": round(time.perf_counter() - begin, 1),
        }
        if decomposes:
            sheets(name, found, settings.out)
    any_of = next(iter(numbers.values()))
    photos = sum(len(views.plain) + len(views.polarised) for views in people)
    result = {
        "format": FORMAT,
        "version": __version__,
        "name": f"{photos} photos of {len(people)} people, {_sides(settings)}",
        "people": len(people),
        "ids": [views.person.id for views in people],
        "groups": {name: len(members) for name, members in groups_of(any_of).items()},
        "expressions": expressions(any_of),
        "size": settings.size,
        "resolution": settings.resolution,
        "model": settings.model if network is not None else None,
        "skin": skin,
        "remarks": remarks,
        "methods": results,
    }
    write(result, numbers, settings.out)
    return result


def _seen(folder: PeopleFolder, size: int) -> list[PersonViews]:
    """What the methods see of each person."""
    people = []
    with progress("photos", len(folder.people), unit="people") as bar:
        for person in folder.people:
            people.append(views_of(folder, person, size))
            bar.advance()
    return people


def _methods(
    settings: Settings, network: BioFaceNet | None, skin: SkinName, people: Sequence[PersonViews]
) -> tuple[dict[str, Chosen], list[str]]:
    """Methods by name, and what is to be said of them."""
    found: dict[str, Chosen] = {}
    remarks = []
    for name in chosen_methods(settings.methods, photos=True):
        if name == "network" and network is not None:
            found["network"] = _at_resolution(network, settings.size)
        elif name == "fit":
            found["fit"] = _for_all(by_fit(choose_device(settings.device), skin))
        elif name == "indices":
            found |= {name: _for_all(method) for name, method in indices().items()}
            plain = [views.plain[0] for views in people if views.plain]
            learned = None
            if plain:
                learned = components([v.image for v in plain], [v.regions.mask for v in plain])
            if learned is not None:
                found["components"] = _for_all(learned)
            elif plain:
                remarks.append(
                    "Independent components are left out: they need scikit-learn, pip install "
                    "'biofacenet[evaluate]'."
                )
    return found, remarks


def _sides(settings: Settings) -> str:
    """How large what is looked at is, and the maps."""
    if settings.resolution is None or settings.resolution <= settings.size:
        return f"{settings.size} pixels a side"
    return f"{settings.resolution} pixels a side, of which a network sees {settings.size}"


def _for_all(method: Method) -> Chosen:
    return lambda views: method


def _at_resolution(network: BioFaceNet, size: int) -> Chosen:
    """A network that sees images of a side, whatever the side of its maps."""
    return lambda views: by_network(network, size=size, shrunk=views.shrunk)


# Pictures ------------------------------------------------------------------------------------


def ranking(people: Sequence[Numbers]) -> list[int]:
    """Places of people from the best to the worst; of those who have a sheet."""
    known = [i for i, one in enumerate(people) if one.sheet is not None]
    table = np.array([[abs(people[i].values.get(k, 0.0)) for k in WEIGHED] for i in known])
    if not len(table):
        return []
    scores = (table / table.mean(axis=0).clip(1e-9)).mean(axis=1)
    return [known[i] for i in np.argsort(scores, kind="stable")]


def sheets(method: str, people: Sequence[Numbers], folder: Path) -> None:
    """A sheet each of the best, the median and the worst person: METHOD_best.png and so on."""
    order = ranking(people)
    if not order:
        return
    for kind, place in (("best", 0), ("median", len(order) // 2), ("worst", -1)):
        one = people[order[place]]
        assert one.sheet is not None
        changes_sheet(
            one.sheet.image,
            one.sheet.mask,
            one.sheet.decomposition,
            folder / f"{method}_{kind}.png",
            labels=one.sheet.labels,
            title=f"{method}, {kind} of {len(order)} people: {one.id} ({one.group})",
        )
