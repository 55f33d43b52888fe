"""A tiny folder of people: synthetic faces as photos, with the tables of a real one."""

from pathlib import Path

import numpy as np
import torch
from PIL import Image

from biofacenet.data import Faces, generate
from biofacenet.physics.colour import linear_to_srgb, srgb_to_linear
from biofacenet.system.files import write_csv

SIDE = 192

EYES, APART = (0.5, 0.405), 0.27
"""Middle between the eyes and their distance, in sides of the picture."""

MIDDLE = "129 0 1.7, 139 0 -1.2, 90 0 0.97, 96 0 1.05, 101 0 1.07, 106 0 1.24"
"""Numbers of points on the middle line, and their places: from between the eyes, eyes one apart."""

LEFT = """
134 -1 -0.3 144, 109 -1 0 112, 110 -0.95 0.3 113, 111 -0.9 0.6 114, 125 -0.8 0.95 133,
126 -0.6 1.3 132, 127 -0.45 1.5 131, 128 -0.25 1.65 130, 135 -0.95 -0.6 143, 136 -0.8 -0.9 142,
137 -0.6 -1.05 141, 138 -0.3 -1.15 140, 18 -0.7 0 27, 19 -0.6 -0.08 26, 20 -0.5 -0.1 25,
21 -0.4 -0.08 24, 22 -0.3 0 23, 30 -0.4 0.08 31, 29 -0.5 0.1 32, 28 -0.6 0.08 33,
71 -0.85 -0.2 82, 72 -0.75 -0.33 81, 73 -0.6 -0.38 80, 74 -0.48 -0.38 79, 75 -0.36 -0.36 78,
76 -0.25 -0.25 77, 84 -0.48 -0.27 85, 83 -0.7 -0.28 86, 87 -0.38 1.06 93, 88 -0.25 1 92,
89 -0.12 0.95 91, 94 -0.25 1.06 98, 95 -0.12 1.05 97, 99 -0.25 1.07 103, 100 -0.12 1.07 102,
104 -0.25 1.15 108, 105 -0.15 1.22 107, 164 -0.85 0.35 167, 165 -0.65 0.48 168,
166 -0.45 0.5 169, 158 -0.36 0.68 161, 159 -0.45 0.8 162, 160 -0.52 0.95 163
"""
"""The same at the left, and the number of the point opposite."""


def points(side: int = SIDE) -> np.ndarray:
    """The 189 points of a face that looks straight ahead: (189, 2). Those that nobody asks for are 0."""
    found = np.zeros((189, 2))
    for row in (*MIDDLE.split(","), *LEFT.split(",")):
        number, x, y, *opposite = map(float, row.split())
        found[int(number)] = x, y
        for other in opposite:
            found[int(other)] = -x, y
    found[found.any(axis=1)] = side * (np.array(EYES) + APART * found[found.any(axis=1)])
    return found


def write_picture(path: Path, linear: torch.Tensor) -> None:
    """Linear sRGB (3, H, W) as a PNG of `SIDE`."""
    picture = (255 * linear_to_srgb(linear)).round().byte().permute(1, 2, 0).numpy()
    Image.fromarray(picture).resize((SIDE, SIDE), Image.Resampling.BICUBIC).save(path)


def write_landmarks(folder: Path, names: list[str]) -> None:
    head = ["image", *(f"{axis}{i}" for i in range(189) for axis in "xy")]
    write_csv(folder / "landmarks.csv", [head, *([n, *points().flatten()] for n in names)])


def made_people() -> list[Faces]:
    """Faces of six people, the first three light and the others dark."""
    return [
        generate([i], 40, size=96, skin="measured", melanin=-0.3 if i < 3 else 0.3, yaw=0.0)
        for i in range(6)
    ]


def write_people(folder: Path) -> Path:
    """Six people, each in two photos of different exposure."""
    folder.mkdir(parents=True, exist_ok=True)
    rows: list[list[object]] = [["id", "age", "group"]]
    for number, face in enumerate(made_people()):
        image = srgb_to_linear(face.image[0])
        write_picture(folder / f"{number:03}_neutral.png", 0.9 * image)
        write_picture(folder / f"{number:03}_smiling.png", 0.7 * image)
        rows.append([f"{number:03}", 30, "white" if number < 3 else "black"])
    write_csv(folder / "people.csv", rows)
    write_landmarks(folder, [f"{number:03}_neutral" for number in range(6)])
    return folder
