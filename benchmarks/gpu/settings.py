"""What is asked of the measurements on a GPU."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from biofacenet.system.settings import option

__all__ = ["Settings"]


@dataclass
class Settings:
    """Measure on a GPU and write what came out; `report` puts the parts together."""

    part: Literal["renderer", "training", "launches", "report"] = option(positional=True)
    """Which part."""
    out: Path = Path("build/gpu")
    """Folder of the parts."""
    results: Path = Path("benchmarks/results")
    """Folder for the report, which is named after the device."""
    device: str = "cuda"
    """cuda; cpu only tries the program out."""
    size: Literal["paper", "small"] = "paper"
    """Network of the training step."""
    batch: int = 64
    """Images of the training step."""
    quick: bool = False
    """Few rounds and small sizes."""
