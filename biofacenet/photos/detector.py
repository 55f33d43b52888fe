"""Faces in a picture, by the network YuNet, which OpenCV runs.

Wu, Peng, Yu: YuNet: A Tiny Millisecond-level Face Detector, Machine Intelligence Research 20 (2023).
The weights lie in `yunet/`, with their licence (MIT); they were trained on WIDER FACE. The same file
gives the same faces under OpenCV 4 and 5.
"""

from __future__ import annotations

import math
import threading
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import cv2
import numpy as np

__all__ = ["Seen", "look_for_faces"]

WEIGHTS = Path(__file__).parent / "yunet" / "face_detection_yunet_2023mar.onnx"

SAME_FACE = 0.3
"""Overlap (intersection over union) from which two detections are one face."""

MOST = 500
"""Detections that are weighed, the surest first."""

# Whoever looks sets the size of the picture first: one at a time.
_turn = threading.Lock()


@dataclass(frozen=True)
class Seen:
    """A face in a picture, in its pixels."""

    score: float
    """0..1, that this is a face."""
    left: float
    top: float
    width: float
    height: float
    """Of the box around it, from the middle of the forehead to the chin."""
    points: np.ndarray
    """(5, 2): both eyes, the left one in the picture first, tip of the nose, corners of the mouth."""

    @property
    def middle(self) -> np.ndarray:
        """Of the box: across and down."""
        return np.array([self.left + self.width / 2, self.top + self.height / 2])

    @property
    def side(self) -> float:
        """Of a square as large as the box."""
        return math.sqrt(self.width * self.height)

    @property
    def eyes(self) -> np.ndarray:
        """The point between the eyes."""
        return self.points[:2].mean(axis=0)

    @property
    def mouth(self) -> np.ndarray:
        """The middle of the mouth."""
        return self.points[3:].mean(axis=0)

    @property
    def slope(self) -> float:
        """Degrees, clockwise, by which eyes, mouth and the line between them are turned."""
        across = self.points[1] - self.points[0] + self.points[4] - self.points[3]
        down = self.mouth - self.eyes
        # A line down the face, turned by a quarter, is one across it.
        x, y = across + 2.0 * np.array([down[1], -down[0]])
        return math.degrees(math.atan2(y, x))

    def mirrored(self, width: int) -> Seen:
        """The same face in the mirrored picture, which is so many pixels wide."""
        points = self.points[[1, 0, 2, 4, 3]]
        points = np.column_stack((width - points[:, 0], points[:, 1]))
        left = width - self.left - self.width
        return Seen(self.score, left, self.top, self.width, self.height, points)

    def mean(self, other: Seen) -> Seen:
        """What two looks at the same face say on average."""
        return Seen(
            score=(self.score + other.score) / 2,
            left=(self.left + other.left) / 2,
            top=(self.top + other.top) / 2,
            width=(self.width + other.width) / 2,
            height=(self.height + other.height) / 2,
            points=(self.points + other.points) / 2,
        )


def look_for_faces(picture: np.ndarray, least: float) -> list[Seen]:
    """The faces of a picture, the surest first.

    It sees faces of 10 to 300 pixels; those that are turned less surely, and their points too near to
    upright.

    Args:
        picture: (H, W, 3), uint8, blue, green and red.
        least: score from which there is a face.
    """
    with _turn:
        network = _network()
        network.setScoreThreshold(least)
        network.setInputSize((picture.shape[1], picture.shape[0]))
        _, rows = network.detect(np.ascontiguousarray(picture))
    found = [
        Seen(
            score=float(row[14]),
            left=float(row[0]),
            top=float(row[1]),
            width=float(row[2]),
            height=float(row[3]),
            points=row[4:14].reshape(5, 2).astype(float),
        )
        for row in (() if rows is None else rows)
    ]
    return sorted(found, key=lambda face: -face.score)


@cache
def _network() -> cv2.FaceDetectorYN:
    weights, none = np.frombuffer(WEIGHTS.read_bytes(), np.uint8), np.empty(0, np.uint8)
    before = cv2.utils.logging.getLogLevel()
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_ERROR)
    try:  # OpenCV 5.0 warns of what it does not need here
        return cv2.FaceDetectorYN.create("onnx", weights, none, (32, 32), 0.5, SAME_FACE, MOST)
    finally:
        cv2.utils.logging.setLogLevel(before)
