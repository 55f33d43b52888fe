"""Measure decompositions against the truth, beside baselines: python -m biofacenet.evaluate.

What is compared on which scale is said in `biofacenet.metrics`.
"""

from __future__ import annotations

import csv
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from torch import Tensor

from . import __version__
from .baselines import IndependentComponents, Statistics, constant_maps
from .cli import choose_device, console, parse, run
from .data.evaluation import SEED, TRAINING_SEED, Faces, synthetic_faces
from .decomposition import Decomposition
from .errors import BioFaceNetError
from .files import whole_file
from .fit import fit
from .metrics import COLUMNS, OTHER_COLUMNS, RANKED, Errors
from .network import BioFaceNet
from .pictures import cases_sheet
from .scores import PUBLISHED, Estimate, collect, summarise
from .synthesize import FaceBatches
from .synthesize import Settings as SynthesizeSettings

__all__ = ["Settings", "evaluate", "evaluate_network", "fixed_faces", "main"]

FORMAT = "biofacenet evaluation 1"
METHODS = ("network", "untrained", "constant", "ica", "fit")
TITLES = {
    "network": "network",
    "untrained": "untrained network",
    "constant": "constant maps",
    "ica": "independent components",
    "fit": "fit",
}
COUNT = 500
TRAINING_FACES = 200
"""Faces of a training set that baselines know the statistics of."""
CASES = 2
"""Faces of each kind on the sheet."""


@dataclass
class Settings:
    """Measure how far maps, light and camera are from the truth, beside baselines.

    On a fixed set of synthetic faces that no training set holds. Leaves in OUT the tables
    (evaluation.json, evaluation.csv, skin_tones.csv, evaluation.md) and a sheet of the best, the
    median and the worst faces (cases.png).
    """

    model: str = "small"
    """Name of a network that comes with the package, a folder that training wrote, or owner/name of one on
    the Hugging Face hub."""
    methods: str = ",".join(METHODS)
    """What to compare, separated by commas: network, untrained (a network of the same size), constant
    (the best constant maps), ica (independent components of log RGB), fit."""
    count: int = COUNT
    """Faces of the synthetic set."""
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
    size: int = 64,
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


def estimates(settings: Settings, names: Sequence[str], size: int) -> dict[str, Estimate]:
    """The methods that the settings ask for, ready to be used.

    Raises:
        BioFaceNetError: the network is not to be had, or a package is missing.
    """
    device = choose_device(settings.device)
    found: dict[str, Estimate] = {}
    network = None
    if "network" in names:
        network = BioFaceNet.from_pretrained(settings.model).to(device)
        found["network"] = by_network(network)
    if "untrained" in names:
        with torch.random.fork_rng():
            torch.manual_seed(0)
            untrained = BioFaceNet(network.size if network else "small").to(device).eval()
        found["untrained"] = by_network(untrained)
    if "constant" in names or "ica" in names:
        with shown("faces of the training distribution", TRAINING_FACES) as tick:
            known = fixed_faces(
                TRAINING_FACES, TRAINING_SEED, size=size, cache=settings.cache, tick=tick
            )
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
    with shown("faces", settings.count) as tick:
        faces = fixed_faces(settings.count, cache=settings.cache, tick=tick)
    methods: dict[str, Any] = {}
    sheets: dict[str, tuple[Errors, Decomposition]] = {}
    for name, estimate in estimates(settings, names, faces.image.shape[-1]).items():
        begin = time.perf_counter()
        with shown(TITLES[name], len(faces)) as tick:
            errors, found = collect(estimate, faces, tick)
        methods[name] = summarise(errors) | {"seconds": round(time.perf_counter() - begin, 1)}
        sheets[name] = errors, found
    results = {
        "format": FORMAT,
        "version": __version__,
        "faces": {"name": faces.name, "count": len(faces), "seed": SEED},
        "model": settings.model if "network" in names else None,
        "methods": methods,
        "published": PUBLISHED,
    }
    write(results, settings.out)
    first = names[0]
    sheet(faces, *sheets[first], settings.out / "cases.png", title=TITLES[first])
    return results


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


# Tables --------------------------------------------------------------------------------------


def rows_of(results: Mapping[str, Any]) -> list[tuple[str, list[str], list[list[str]]]]:
    """All tables: title, headings, and rows of text."""
    methods: Mapping[str, Any] = results["methods"]

    def table(
        title: str, columns: Sequence[str], read: Callable[[Any], Sequence[float | None]]
    ) -> tuple[str, list[str], list[list[str]]]:
        return (
            title,
            ["", *columns],
            [[TITLES[name], *map(number, read(of))] for name, of in methods.items()],
        )

    main_table = table("RMSE in the mask", COLUMNS, lambda of: [of["rmse"][c] for c in COLUMNS])
    main_table[2].append(["paper, other data", *(number(results["published"][c]) for c in COLUMNS)])
    tables = [
        main_table,
        table(
            "RMSE without scales (diffuse, specular) and with one (albedo)",
            OTHER_COLUMNS,
            lambda of: [of["rmse"][c] for c in OTHER_COLUMNS],
        ),
        table("SSIM in the mask", COLUMNS, lambda of: [of["ssim"][c] for c in COLUMNS]),
        table(
            "Rank correlation",
            [f"{c} {kind}" for kind in ("within", "between") for c in RANKED],
            lambda of: [of[f"rank_{kind}"][c] for kind in ("within", "between") for c in RANKED],
        ),
        table(
            "Light and camera",
            ["light, degrees", "CCT, K", "CCT, mired", "b, RMSE", "curves, relative"],
            lambda of: [*of["light"].values(), *of["camera"].values()],
        ),
    ]
    for name, of in methods.items():
        rows = [
            [f"{tone} ({group['faces']})", *(number(group["rmse"][c]) for c in COLUMNS)]
            for tone, group in of["by_skin_tone"].items()
        ]
        for label, key in (
            ("dark / light", "dark_to_light"),
            ("brown and dark / light", "brown_and_dark_to_light"),
        ):
            rows.append([label, *(number(of[key][c], 2) for c in COLUMNS)])
        tables.append((f"RMSE by skin tone: {TITLES[name]}", ["(faces)", *COLUMNS], rows))
    return tables


def number(value: float | None, digits: int = 3) -> str:
    """A figure as tables show it."""
    if value is None:
        return "–"
    return f"{value:.0f}" if abs(value) >= 100.0 else f"{value:.{digits}f}"


def write(results: Mapping[str, Any], folder: Path) -> None:
    """Write evaluation.json, evaluation.md, evaluation.csv and skin_tones.csv."""
    with whole_file(folder / "evaluation.json") as temporary:
        temporary.write_text(json.dumps(results, indent=2) + "\n", "utf-8")
    with whole_file(folder / "evaluation.md") as temporary:
        temporary.write_text(markdown(results), "utf-8")
    flat = {
        name: {
            f"{kind}_{column}": value
            for kind, values in of.items()
            if isinstance(values, dict) and kind != "by_skin_tone"
            for column, value in values.items()
        }
        for name, of in results["methods"].items()
    }
    _write_csv(
        folder / "evaluation.csv",
        ["method", *next(iter(flat.values()))],
        [[name, *values.values()] for name, values in flat.items()],
    )
    _write_csv(
        folder / "skin_tones.csv",
        ["method", "skin_tone", "faces", *COLUMNS],
        [
            [name, tone, group["faces"], *(group["rmse"][c] for c in COLUMNS)]
            for name, of in results["methods"].items()
            for tone, group in of["by_skin_tone"].items()
        ],
    )


def _write_csv(path: Path, header: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    with (
        whole_file(path) as temporary,
        temporary.open("w", newline="", encoding="utf-8") as stream,
    ):
        writer = csv.writer(stream)
        writer.writerow(header)
        writer.writerows(rows)


def markdown(results: Mapping[str, Any]) -> str:
    """All tables as Markdown."""
    parts = [results["faces"]["name"] + "."]
    for title, headings, rows in rows_of(results):
        lines = [headings, ["---", *["---:"] * (len(headings) - 1)], *rows]
        parts.append(f"**{title}**\n\n" + "\n".join(f"| {' | '.join(line)} |" for line in lines))
    return "\n\n".join(parts) + "\n"


def show(results: Mapping[str, Any]) -> None:
    """All tables on the terminal."""
    console.print(results["faces"]["name"], markup=False)
    for title, headings, rows in rows_of(results):
        table = Table(title=title, title_justify="left")
        for heading in headings:
            table.add_column(heading, justify="right" if heading else "left")
        for row in rows:
            table.add_row(*row)
        console.print(table)


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
        title=f"{title}: best, median and worst of {faces.name}",
    )


def main() -> None:
    """Evaluate what the command line names."""
    settings = parse(Settings, program="biofacenet.evaluate")
    results = evaluate(settings)
    show(results)
    console.print(
        f"tables in {settings.out / 'evaluation.md'} and beside it, faces in "
        f"{settings.out / 'cases.png'}",
        markup=False,
    )


if __name__ == "__main__":
    run(main)
