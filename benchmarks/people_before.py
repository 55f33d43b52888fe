"""The table of real photographs of several networks beside each other, those of version 0.1.0 among them.

    python -m benchmarks.people_before --photos faces/london --people aside.txt --before OLD/bin/python \
        --models parametric=runs/0/model,heads=runs/1/model,now=small

Small networks of 0.1.0 cannot be read by later versions. So OLD is a virtual environment with that version
(`pip install` of the commit a09e2ab), whose Python looks at the same images and says what its network finds.
"""

from __future__ import annotations

import subprocess
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from biofacenet import BioFaceNet, Decomposition
from biofacenet.cli import parse, run
from biofacenet.errors import BioFaceNetError
from biofacenet.evaluation.people.figures import MEASUREMENTS, figures_of
from biofacenet.evaluation.people.methods import Found, Method, by_network
from biofacenet.evaluation.people.numbers import numbers_of
from biofacenet.evaluation.people.targets import asked
from biofacenet.evaluation.people.views import PersonViews, views_of
from biofacenet.evaluation.tables import figure
from biofacenet.physics.illuminant import Illuminant
from biofacenet.preparation.people import read_folder
from biofacenet.system.console import console
from biofacenet.system.files import whole_file, write_json

__all__ = ["Settings", "main"]

SIDE = 96
WORST = "black"
"""The group that version 0.1.0 decomposed worst has columns of its own."""

ASK = """
import sys
import numpy, torch
from biofacenet.network import BioFaceNet
network = BioFaceNet.from_pretrained("small")
print(network.skin, flush=True)
for line in sys.stdin:
    path = line.rstrip("\\n")
    with torch.no_grad():
        maps = network(torch.from_numpy(numpy.load(path + "/images.npy")))
    numpy.savez(
        path + "/maps.npz",
        weights=maps.illuminant.weights, cct=maps.illuminant.cct, camera=maps.camera,
        **{k: getattr(maps, k) for k in ("melanin", "haemoglobin", "diffuse", "specular")},
    )
    print("done", flush=True)
"""


@dataclass
class Settings:
    """Measure networks on photographs of people, beside that of version 0.1.0."""

    photos: Path
    """Folder of photographs, as for `biofacenet evaluate --photos`."""
    before: Path
    """Python of an environment with version 0.1.0."""
    people: str = ""
    """As for `biofacenet evaluate`: ids separated by commas, or a text file of one a line."""
    models: str = "now=small"
    """TITLE=NETWORK of each column, separated by commas."""
    out: Path = Path("benchmarks/results")
    """Folder for people_before.md and people_before.json."""


@contextmanager
def network_before(python: Path) -> Iterator[Method]:
    """What the small network of version 0.1.0 finds, told by the process that it runs in."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        asked_for = [str(python), "-I", "-c", ASK]
        with subprocess.Popen(
            asked_for, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=folder
        ) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            skin: Any = process.stdout.readline().strip()
            if not skin:
                raise BioFaceNetError(f"{python}: has no biofacenet of version 0.1.0")

            def method(image: Tensor) -> Found:
                assert process.stdin is not None
                assert process.stdout is not None
                np.save(folder / "images.npy", image.numpy())
                process.stdin.write(f"{folder}\n")
                process.stdin.flush()
                if process.stdout.readline().strip() != "done":
                    raise BioFaceNetError(f"{python}: ended before it was done")
                with np.load(folder / "maps.npz") as stored:
                    found = {key: torch.from_numpy(stored[key]) for key in stored.files}
                light = Illuminant(found.pop("weights"), found.pop("cct"))
                maps = Decomposition(illuminant=light, skin=skin, **found)
                return Found(maps.melanin, maps.haemoglobin, maps)

            yield method
            process.stdin.close()


def measured(method: Method, people: Sequence[PersonViews]) -> dict[str, Any]:
    """Figures of a network, by the names of `MEASUREMENTS`."""
    return figures_of([numbers_of(method, views) for views in people], decomposes=True)


def table(columns: Mapping[str, Mapping[str, Any]], groups: Mapping[str, int]) -> str:
    """Markdown, for each network all people and the group that was worst, where there are some."""
    small = WORST in groups
    names = ["", "right", "asked"]
    for name in columns:
        names += [name, f"on {WORST} people"] if small else [name]
    lines = ["| " + " | ".join(names) + " |", "|---" + "|---:" * (len(names) - 1) + "|"]
    for one in MEASUREMENTS:
        found = [each[one.key] for each in columns.values() if one.key in each]
        if len(found) < len(columns):
            continue
        title = f"{one.title}, {one.unit}" if one.unit else one.title
        cells = [
            title,
            "–" if one.right is None else f"{one.right:g}",
            asked(one.key).told() or "–",
        ]
        for row in found:
            cells += [figure(row["all"]), *([figure(row["groups"][WORST])] if small else [])]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, and write the table."""
    settings = parse(Settings, arguments, program="benchmarks.people_before")
    folder = read_folder(settings.photos, people=settings.people)
    people = [views_of(folder, person, SIDE) for person in folder.people]
    columns = {}
    with network_before(settings.before) as method:
        columns["0.1.0"] = measured(method, people)
    for model in settings.models.split(","):
        title, equals, place = model.partition("=")
        if not (title and equals and place):
            raise BioFaceNetError(f"--models {model}: expected TITLE=NETWORK")
        columns[title] = measured(by_network(BioFaceNet.from_pretrained(place)), people)
    groups = dict(Counter(views.person.group for views in people))
    text = table(columns, groups)
    write_json(settings.out / "people_before.json", {"groups": groups, "networks": columns})
    with whole_file(settings.out / "people_before.md") as temporary:
        temporary.write_text(text, "utf-8")
    console.print(text)


if __name__ == "__main__":
    run(main)
