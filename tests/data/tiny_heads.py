"""A made-up head model: a ball with two eyes and a mouth, in the forms that head models come in."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from biofacenet.data.synthetic.heads.objects import NEUTRAL

RADIUS = 10.0

ROWS, COLUMNS = 30, 40

LANDMARKS = np.array(
    [
        *[(9.5 * np.sin(t), -8.5 + 8.5 * (1 - np.cos(t))) for t in np.linspace(-1.5, 1.5, 17)],
        *[(x, 3.6) for x in (-4.6, -3.8, -3.0, -2.1, -1.2, 1.2, 2.1, 3.0, 3.8, 4.6)],
        *[(0.0, y) for y in (1.2, 0.0, -1.2, -2.4)],
        *[(x, -3.6) for x in (-1.2, -0.6, 0.0, 0.6, 1.2)],
        *[(-2.8 - 1.2 * np.cos(t), 1.0 + 0.5 * np.sin(t)) for t in np.arange(6) * np.pi / 3],
        *[(2.8 - 1.2 * np.cos(t), 1.0 + 0.5 * np.sin(t)) for t in np.arange(6) * np.pi / 3],
        *[(-2.3 * np.cos(t), -5.6 + 0.7 * np.sin(t)) for t in np.arange(12) * np.pi / 6],
        *[(-1.8 * np.cos(t), -5.6 + 0.2 * np.sin(t)) for t in np.arange(8) * np.pi / 4],
    ]
)
"""(68, 2), where they are to be on the front, nearly."""


def ball(radius: float, middle: tuple[float, float, float], rows: int, columns: int) -> tuple:
    """Vertices and quadrangles, counter-clockwise from outside."""
    height = np.pi * (np.arange(rows) + 0.5) / rows - np.pi / 2
    turn = 2 * np.pi * np.arange(columns) / columns
    up, around = np.meshgrid(height, turn, indexing="ij")
    places = np.stack(
        (np.cos(up) * np.sin(around), np.sin(up), np.cos(up) * np.cos(around)), axis=2
    )
    number = np.arange(rows * columns).reshape(rows, columns)
    right = np.roll(number, -1, axis=1)
    quads = np.stack((number[:-1], right[:-1], right[1:], number[1:]), axis=2).reshape(-1, 4)
    lid = [[number[-1, 0], number[-1, k], number[-1, k + 1], -1] for k in range(1, columns - 1)]
    foot = [[number[0, 0], number[0, k + 1], number[0, k], -1] for k in range(1, columns - 1)]
    return radius * places.reshape(-1, 3) + np.array(middle), np.concatenate((quads, lid, foot))


@dataclass
class TinyModel:
    """The parts of a model, to be changed by tests before they are written."""

    neutral: np.ndarray
    identity: np.ndarray
    expression: dict[str, np.ndarray]
    polygons: np.ndarray
    material: np.ndarray
    material_names: list[str]
    landmarks: np.ndarray

    @property
    def uv(self) -> np.ndarray:
        """One texture coordinate for each vertex: as seen from the front."""
        return 0.5 + self.neutral[:, :2] / 24.0

    def arrays(self) -> dict[str, np.ndarray]:
        """As packed."""
        return {
            "neutral": self.neutral.astype(np.float32),
            "identity": self.identity.astype(np.float16),
            "expression": np.stack(list(self.expression.values())).astype(np.float16),
            "expression_names": np.array(list(self.expression)),
            "polygons": self.polygons.astype(np.int32),
            "uv": self.uv.astype(np.float32),
            "polygon_uv": self.polygons.astype(np.int32),
            "material": self.material.astype(np.int8),
            "material_names": np.array(self.material_names),
            "landmarks68": self.landmarks.astype(np.int32),
        }

    def write_packed(self, path: Path) -> Path:
        np.savez_compressed(path, **self.arrays())
        return path

    def write_objects(self, folder: Path) -> Path:
        folder.mkdir()
        arrays = self.arrays()
        neutral = arrays["neutral"]
        lines = [f"v {x:.6f} {y:.6f} {z:.6f}" for x, y, z in neutral]
        lines += [f"vt {u:.6f} {v:.6f}" for u, v in arrays["uv"]]
        for number, name in enumerate(self.material_names):
            lines.append(f"usemtl {name}")
            for polygon in self.polygons[self.material == number]:
                lines.append("f " + " ".join(f"{i + 1}/{i + 1}" for i in polygon if i >= 0))
        (folder / NEUTRAL).write_text("mtllib x.mtl\n" + "\n".join(lines) + "\n")
        shapes = {f"identity{n:03d}": shape for n, shape in enumerate(arrays["identity"])}
        shapes |= dict(zip(self.expression, arrays["expression"], strict=True))
        for name, shape in shapes.items():
            moved = neutral + shape.astype(np.float32)
            text = "\n".join(f"v {x:.6f} {y:.6f} {z:.6f}" for x, y, z in moved)
            (folder / f"{name}.obj").write_text(text + "\n")
        indices = {"idx_to_landmark_verts": [int(i) for i in self.landmarks]}
        (folder / "vertex_indices.json").write_text(json.dumps(indices))
        return folder


def tiny_model() -> TinyModel:
    """The model as it should be."""
    head, quads = ball(RADIUS, (0.0, 0.0, 0.0), ROWS, COLUMNS)
    parts, polygons, material = [head], [quads], [np.where(head[quads[:, 0], 2] > -1.0, 0, 1)]
    names = ["M_Face", "M_BackHead", "M_ScleraLeft", "M_ScleraRight", "M_EyeLashes"]
    for number, side in ((2, 1.0), (3, -1.0)):
        eye, of_eye = ball(1.2, (side * 2.8, 1.0, 8.9), 8, 12)
        polygons.append(np.where(of_eye >= 0, of_eye + sum(map(len, parts)), -1))
        material.append(np.full(len(of_eye), number))
        parts.append(eye)
    polygons.append(np.array([[0, 1, 2, -1]]))  # lashes, which are left out
    material.append(np.array([4]))
    neutral = np.concatenate(parts)
    front = np.flatnonzero(head[:, 2] > 0.0)
    gaps = np.linalg.norm(LANDMARKS[:, None] - head[front, :2][None], axis=2)
    wider = neutral * np.array([0.05, 0.0, 0.0])
    longer = neutral * np.array([0.0, 0.04, 0.0])
    chin = np.zeros_like(neutral)
    chin[: len(head), 1] = -np.exp(-np.square((head[:, 1] + 9.0) / 2.0))
    return TinyModel(
        neutral=neutral,
        identity=np.stack((wider, longer)),
        expression={"jawOpen": chin, "eyeLookUp_L": 0.01 * chin},
        polygons=np.concatenate(polygons),
        material=np.concatenate(material),
        material_names=names,
        landmarks=front[gaps.argmin(axis=1)],
    )
