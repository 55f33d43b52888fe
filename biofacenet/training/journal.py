"""What a training run writes down: losses.csv, steps.csv, TensorBoard events, and a report."""

from __future__ import annotations

import base64
import csv
import io
import math
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from types import TracebackType
from typing import Any

import jinja2
import numpy as np
from PIL import Image

from ..errors import BioFaceNetError
from ..plotting.curves import CURVE_COLOURS, loss_plots
from ..system.files import whole_file
from .losses import TERMS
from .meanings import meaning_of, unit_of, used_terms
from .starts import starts

__all__ = [
    "Journal",
]

MOST_PICTURES = 4

PARTS, RATE = ("train", "validation"), "learning_rate"

STEP_COLUMNS = ("step", "epoch", "learning_rate", *TERMS)


class Journal:
    """The written record of one run.

    Args:
        folder: of the run.
        tensorboard: also write event files to ``folder/tensorboard``.
        step: steps taken so far; what the files know beyond them is forgotten.

    Raises:
        BioFaceNetError: TensorBoard is asked for and not installed.
    """

    def __init__(self, folder: Path, *, tensorboard: bool = False, step: int = 0) -> None:
        self.folder = folder
        self._events: Any = None
        _forget_after(folder / "steps.csv", step)
        if tensorboard:
            try:
                from torch.utils.tensorboard import SummaryWriter
            except ImportError as error:
                raise BioFaceNetError(
                    "--tensorboard needs the package; pip install 'biofacenet[tensorboard]'"
                ) from error
            self._events = SummaryWriter(str(folder / "tensorboard"), purge_step=step + 1)

    def __enter__(self) -> Journal:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._events is not None:
            self._events.close()

    def step(self, step: int, epoch: int, learning_rate: float, means: Mapping[str, float]) -> None:
        """A line of steps.csv: the mean losses over the last few steps."""
        path = self.folder / "steps.csv"
        path.parent.mkdir(parents=True, exist_ok=True)
        new = not path.exists()
        with path.open("a", newline="", encoding="utf-8") as stream:
            writer = csv.writer(stream, lineterminator="\n")
            if new:
                writer.writerow(STEP_COLUMNS)
            numbers = (learning_rate, *(means[name] for name in TERMS))
            writer.writerow((step, epoch, *(f"{value:.8g}" for value in numbers)))
        if self._events is not None:
            self._events.add_scalar("learning_rate", learning_rate, step)
            for name in TERMS:
                self._events.add_scalar(f"steps/{name}", means[name], step)

    def epoch(self, step: int, history: Sequence[Mapping[str, float]], grid: Path) -> None:
        """losses.csv, a line per epoch; and the picture grid."""
        with (
            whole_file(self.folder / "losses.csv") as temporary,
            temporary.open("w", newline="", encoding="utf-8") as stream,
        ):
            writer = csv.DictWriter(stream, columns_of(history), restval="", lineterminator="\n")
            writer.writeheader()
            for record in history:
                writer.writerow({name: f"{value:.6g}" for name, value in record.items()})
        if self._events is not None:
            for name, value in history[-1].items():
                part, _, term = name.partition("_")
                if part in PARTS:
                    self._events.add_scalar(f"{part}/{term}", value, step)
            with Image.open(grid) as picture:
                pixels = np.asarray(picture.convert("RGB"))
            self._events.add_image("grid", pixels, step, dataformats="HWC")
            self._events.flush()

    def report(
        self,
        history: Sequence[Mapping[str, float]],
        facts: Mapping[str, str],
        settings: Mapping[str, str],
        weights: Mapping[str, float],
    ) -> Path:
        """One self-contained HTML page: losses, pictures, time, hardware, commands and settings.

        Args:
            history: a record of losses.csv for each epoch.
            facts: of data, network, time and machine.
            settings: as they were in effect.
            weights: of the terms in the total.
        """
        steps: list[dict[str, float]] = []
        if (self.folder / "steps.csv").exists():
            with (self.folder / "steps.csv").open(newline="", encoding="utf-8") as stream:
                steps = [{k: float(v) for k, v in row.items()} for row in csv.DictReader(stream)]
        terms = used_terms(TERMS, [*history, *steps])
        unused = {f"{part}_{term}" for term in {*TERMS} - {*terms} for part in PARTS}
        plots = loss_plots(history, steps, {name: unit_of(name) for name in (*terms, RATE)})
        environment = jinja2.Environment(
            loader=jinja2.PackageLoader("biofacenet.training", "."),
            autoescape=True,
            undefined=jinja2.StrictUndefined,
        )
        page = environment.get_template("report.html").render(
            title=self.folder.resolve().name,
            version=version("biofacenet"),
            facts=facts,
            settings=settings,
            history=history,
            columns=[name for name in columns_of(history) if name not in unused],
            terms=terms,
            weights=weights,
            unit_of=unit_of,
            meaning_of=meaning_of,
            best=min(history, key=_loss)["epoch"],
            last=history[-1],
            stepwise=bool(steps),
            colours=CURVE_COLOURS,
            plots={name: _embedded(plot, "svg+xml") for name, plot in plots.items()},
            pictures=_pictures(self.folder / "grids"),
            starts=starts(self.folder),
        )
        path = self.folder / "report.html"
        with whole_file(path) as temporary:
            # The name of a folder need not be UTF-8.
            temporary.write_text(page, "utf-8", "backslashreplace")
        return path


def columns_of(history: Sequence[Mapping[str, float]]) -> list[str]:
    """Columns of losses.csv: a run may have been resumed with faces held out, or without."""
    return list(dict.fromkeys(name for record in reversed(history) for name in record))


def _loss(record: Mapping[str, float]) -> float:
    return record.get("validation_total", record["train_total"])


def _pictures(folder: Path) -> list[tuple[str, str]]:
    """Caption and data of the last grid, of some before it, and of the first look, the last first."""
    paths = [*folder.glob("first_look.png"), *sorted(folder.glob("epoch_*.png"))]
    chosen = np.linspace(len(paths) - 1, 0, min(len(paths), MOST_PICTURES)).round().astype(int)
    found = []
    for path in (paths[i] for i in chosen):
        buffer = io.BytesIO()
        with Image.open(path) as picture:
            picture.convert("RGB").save(buffer, "WEBP", quality=90)
        found.append((path.stem.replace("_", " "), _embedded(buffer.getvalue(), "webp")))
    return found


def _embedded(data: bytes, kind: str) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(data).decode('ascii')}"


def _forget_after(path: Path, step: int) -> None:
    """Lines of steps.csv beyond a step go, and what is no line of it, such as one half written."""
    if not path.exists():
        return
    lines = path.read_text("utf-8", errors="replace").splitlines(keepends=True)
    known = [line for line in lines if _step(line) <= step]
    with whole_file(path) as temporary:
        temporary.write_text(",".join(STEP_COLUMNS) + "\n" + "".join(known), "utf-8", newline="\n")


def _step(line: str) -> float:
    """The step that a line is of; infinite where it is none."""
    try:
        numbers = [float(word) for word in line.split(",")]
    except ValueError:
        return math.inf
    whole = len(numbers) == len(STEP_COLUMNS) and line.endswith("\n")
    return numbers[0] if whole and all(map(math.isfinite, numbers)) else math.inf
