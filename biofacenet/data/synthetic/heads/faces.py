"""One head of a model: who it is, how its face is moved, where its eyes look."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..draws import Draws
from .prepared import PreparedModel

__all__ = ["ModelledHead", "draw_modelled_head"]

SPREAD, USUAL_LIMIT = 0.85, 2.2
"""Standard deviation of the ways in which people differ, in those of the model, and the most of one; with its
own some heads are such as nobody has."""

MASCULINE = {0: -1.3, 4: 0.7}
"""Ways in which people of ICT-FaceKit differ that men and women differ in most, and how far, in standard
deviations: the first is how large a head is, the fifth the bones of brow and jaw."""

SMILE = {"mouthSmile": 0.9, "cheekSquint": 0.5, "eyeSquint": 0.25, "mouthDimple": 0.2}

EXPRESSIONS = {
    "calm": (0.42, {}),
    "smile": (0.2, SMILE),
    "laugh": (
        0.18,
        SMILE | {"mouthUpperUp": 0.45, "mouthLowerDown": 0.4, "jawOpen": 0.12, "mouthStretch": 0.2},
    ),
    "speech": (0.06, {"jawOpen": 0.22, "mouthLowerDown": 0.25, "mouthFunnel": 0.15}),
    "surprise": (0.03, {"jawOpen": 0.35, "browInnerUp": 0.7, "browOuterUp": 0.7, "eyeWide": 0.7}),
    "frown": (0.05, {"browDown": 0.8, "mouthFrown": 0.5, "eyeSquint": 0.3, "mouthPress": 0.3}),
    "any": (0.06, {}),
}
"""How often faces make an expression, and its movements at their strongest."""


@dataclass(frozen=True)
class ModelledHead:
    """A head in canonical units, upright and looking ahead."""

    model: PreparedModel
    vertices: np.ndarray
    """(V, 3), float32."""
    gaze: np.ndarray
    """(eyes, 3), unit directions in which the eyeballs look."""
    opened: bool
    """Whether the mouth shows what is in it."""
    crease: tuple[float, float] = (0.0, 0.05)
    """Of the fold above the lids: how deep it is, 0..1, and how high, in canonical units."""

    @property
    def relative_size(self) -> float:
        """Distance of its eyes, beside that of the mean head."""
        own, usual = (
            places[self.model.landmarks[42:48], 0].mean()
            - places[self.model.landmarks[36:42], 0].mean()
            for places in (self.vertices, self.model.mean)
        )
        return float(own / usual)

    @property
    def half_width(self) -> float:
        """Half the width of the face beside the cheeks."""
        marks = self.vertices[self.model.landmarks]
        return 0.5 * float(marks[15, 0] - marks[1, 0])


def draw_modelled_head(draws: Draws, model: PreparedModel, masculine: float = 0.5) -> ModelledHead:
    """Draw a person, 0 to 1 masculine, an expression and a gaze."""
    weights = SPREAD * draws.rng.normal(size=len(model.identity))
    for way, amount in MASCULINE.items():
        if way < len(weights):
            weights[way] = 0.5 * weights[way] + amount * (2.0 * masculine - 1.0)
    weights = weights.clip(-USUAL_LIMIT, USUAL_LIMIT)
    moved = model.mean + (weights.astype(np.float32) @ model.identity).reshape(-1, 3)
    turn, rise = draws.gaussian(7.0), draws.gaussian(4.0)
    movements = _draw_expression(draws, model)
    for name, amount in (*movements.items(), *_lids_that_follow(model, turn, rise)):
        moved = moved + np.float32(amount) * model.expression[name]
    gaze = _turn_eyes(model, moved, np.radians(turn), np.radians(rise))
    crease = draws.uniform(0.1, 0.75), draws.uniform(0.035, 0.07)
    return ModelledHead(model, moved, gaze, _shows_teeth(model, moved), crease)


def _draw_expression(draws: Draws, model: PreparedModel) -> dict[str, float]:
    """Movements and how far they go: mostly calm or smiling faces, some of any other expression.

    Both sides of a face move nearly alike.
    """
    names = list(EXPRESSIONS)
    mood = str(draws.rng.choice(names, p=[EXPRESSIONS[name][0] for name in names]))
    strength = draws.uniform(0.3, 1.0)
    blink = 1.1 if draws.chance(0.03) else draws.uniform(-0.3, 0.12)
    amounts = {"eyeBlink": blink}
    for name, amount in EXPRESSIONS[mood][1].items():
        amounts[name] = strength * amount * draws.uniform(0.7, 1.1)
    for name in sorted({name.removesuffix("_L").removesuffix("_R") for name in model.expression}):
        chosen, amount = draws.chance(0.12), draws.uniform(0.0, 0.5 if mood == "any" else 0.12)
        if not name.startswith(("eyeLook", "eyeBlink", "jaw", "mouthClose", "PupilDilate")):
            amounts[name] = amounts.get(name, 0.0) + chosen * amount
    sides = draws.uniform(0.88, 1.0), draws.uniform(0.88, 1.0)
    found = {}
    for name, amount in amounts.items():
        for ending, share in (("", 1.0), ("_L", sides[0]), ("_R", sides[1])):
            if name + ending in model.expression:
                found[name + ending] = min(share * amount, 1.0)
    return found


def _lids_that_follow(model: PreparedModel, turn: float, rise: float) -> list[tuple[str, float]]:
    """Movements of the lids with the eyes, which look to the right of the picture and up, in degrees."""
    found = []
    for eye in model.eyeballs:
        inward = turn * eye.inward
        for name, degrees in (("In", inward), ("Out", -inward), ("Up", rise), ("Down", -rise)):
            found.append((f"eyeLook{name}_{eye.side}", max(degrees, 0.0) / 30.0))
    return [(name, amount) for name, amount in found if name in model.expression]


def _turn_eyes(model: PreparedModel, vertices: np.ndarray, turn: float, rise: float) -> np.ndarray:
    """Turn the eyeballs in place; where they look: (eyes, 3)."""
    sin_turn, cos_turn, sin_rise, cos_rise = np.sin(turn), np.cos(turn), np.sin(rise), np.cos(rise)
    yaw = np.array([[cos_turn, 0.0, sin_turn], [0.0, 1.0, 0.0], [-sin_turn, 0.0, cos_turn]])
    pitch = np.array([[1.0, 0.0, 0.0], [0.0, cos_rise, sin_rise], [0.0, -sin_rise, cos_rise]])
    rotation = (yaw @ pitch).astype(np.float32)
    gaze = np.empty((len(model.eyeballs), 3), dtype=np.float32)
    for number, eye in enumerate(model.eyeballs):
        ball = vertices[eye.vertices]
        middle = eyeball_middle(ball)
        # The middle of the cornea lies a little to the outside, also in those who look ahead.
        usual = model.mean[eye.vertices]
        ahead = usual[usual[:, 2].argmax()] - eyeball_middle(usual)
        vertices[eye.vertices] = (ball - middle) @ rotation.T + middle
        gaze[number] = rotation @ (ahead / np.linalg.norm(ahead))
    return gaze


def eyeball_middle(ball: np.ndarray) -> np.ndarray:
    """The middle of an eyeball's vertices (E, 3), whose cornea stands out to the front: (3,)."""
    x, y = (0.5 * (ball[:, axis].min() + ball[:, axis].max()) for axis in (0, 1))
    radius = 0.25 * float(np.ptp(ball[:, 0]) + np.ptp(ball[:, 1]))
    return np.array([x, y, ball[:, 2].min() + radius], dtype=np.float32)


def _shows_teeth(model: PreparedModel, vertices: np.ndarray) -> bool:
    """Whether the inner lips are apart."""
    marks = vertices[model.landmarks]
    return float((marks[61:64, 1] - marks[[67, 66, 65], 1]).max()) > 0.004
