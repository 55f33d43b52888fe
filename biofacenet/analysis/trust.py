"""How far the numbers of a result can be trusted, and what of light and camera only the prior says."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ..decomposition import Calibration
from ..fitting.calibrated import of_fit
from ..fitting.uncertainty import Uncertainty
from ..physics.temperature import correlated_temperature
from .measuring.numbers import deviations
from .results import Result

__all__ = ["Knowledge", "Source", "knowledge", "uncertainty"]

TRUST_SIDE = 96
"""Longer side at which deviations of pixels are computed."""

Source = Literal["photo", "prior", "white"]
"""Where a number is from: ``prior`` where the method is no better than one who does not look at photos."""

HOTTEST, COOLEST = 25000.0, 1000.0
"""Kelvin, where intervals end."""


def uncertainty(result: Result) -> Uncertainty:
    """Deviations of a result's maps, at most `TRUST_SIDE` pixels, calibrated where its method is."""
    return deviations(result.decomposition, result.counted, result.calibration, side=TRUST_SIDE)


@dataclass(frozen=True)
class Knowledge:
    """What is known of light and camera, with 68 % intervals."""

    light: Source
    kelvin: tuple[float, float]
    """Of the light's correlated colour temperature."""
    bands: tuple[float, ...]
    """Half widths of the power of each band of 10 nm, in shares of all power."""
    camera: Source
    """``photo`` where either coordinate is known from it."""
    b: tuple[float, float]
    """Half widths of b1 and b2."""
    measured: bool
    """Whether this was measured for the method; else it is taken to know nothing."""

    @property
    def light_words(self) -> str:
        """For people, such as ``prior, 4200 to 7900 K``."""
        low, high = self.kelvin
        return f"{_word(self.light)}{low:.0f} to {high:.0f} K"

    @property
    def camera_words(self) -> str:
        """The same of the camera."""
        return f"{_word(self.camera)}± {self.b[0]:.2f}, {self.b[1]:.2f}"


def _word(source: Source) -> str:
    return "prior, " if source == "prior" else ""


def knowledge(result: Result) -> Knowledge:
    """What a result knows of light and camera: what its method was measured to find out from photos."""
    found, own = result.decomposition[0], result.calibration
    known: Calibration = own or of_fit(found.skin)
    errors = known.errors if own else known.usual
    if result.known is not None:
        return Knowledge(
            light="white",
            kelvin=result.known.kelvin,
            bands=known.usual_bands,
            camera="prior",
            b=(known.usual["b1"], known.usual["b2"]),
            measured=True,
        )
    kelvin, _ = correlated_temperature(found.spectrum())
    mired, off = 1e6 / float(kelvin[0]), errors["temperature"]
    # Half a scale is none: intervals end where lights do.
    low, high = (1e6 / x for x in (mired + off, max(mired - off, 1e6 / HOTTEST)))
    sees_light = own is not None and own.knows("temperature")
    sees_camera = own is not None and (own.knows("b1") or own.knows("b2"))
    return Knowledge(
        light="photo" if sees_light else "prior",
        kelvin=(max(low, COOLEST), high),
        bands=known.bands if own else known.usual_bands,
        camera="photo" if sees_camera else "prior",
        b=(errors["b1"], errors["b2"]),
        measured=own is not None,
    )
