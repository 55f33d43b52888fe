"""How far the intervals of `biofacenet.fitting.fit` are right, as it was measured."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

from ..decomposition import Calibration
from ..physics.names import SkinName

__all__ = ["of_fit"]

FILE = Path(__file__).with_name("calibration.json")
"""By skin; measured with ``biofacenet evaluate --calibrate --methods fit --skin SKIN``."""


@cache
def of_fit(skin: SkinName) -> Calibration:
    """That of fitting a skin."""
    return Calibration.from_json(json.loads(FILE.read_text("utf-8"))[skin])
