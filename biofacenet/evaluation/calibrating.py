"""Calibrate a method's intervals, store that, and try it on other faces."""

from __future__ import annotations

from typing import Any

from .._version import __version__
from ..decomposition import Calibration
from ..errors import BioFaceNetError
from ..network.folders import find
from ..network.pretrained import write_calibration
from ..network.unet import BioFaceNet
from ..physics.names import SkinName
from ..system.console import progress
from ..system.device import choose_device
from ..system.files import write_json
from .calibration import CALIBRATION_SEED, calibrate, coverage, held
from .run import by_fit, by_network, chosen_skin
from .sets import SEED, KnownFaces, fixed_faces
from .settings import CALIBRATION_FILE, Settings
from .summary import Estimate

__all__ = ["calibrate_method"]

FORMAT = "biofacenet calibration 1"


def calibrate_method(settings: Settings) -> list[str]:
    """Measure, store and try what the settings ask for.

    Args:
        settings: checked, with ``calibrate``.

    Returns:
        Lines that say what was found.

    Raises:
        BioFaceNetError: the network's folder cannot be written to.
    """
    device, network = choose_device(settings.device), None
    if settings.methods != "fit":
        network = BioFaceNet.from_pretrained(settings.model).to(device)
    skin = chosen_skin(settings, network)
    method: Estimate = by_fit(device, skin) if network is None else by_network(network)
    known = _faces(settings, CALIBRATION_SEED, skin, "faces to calibrate on")
    with progress("intervals", len(known)) as bar:
        calibration = calibrate(held(method, known, tick=bar.advance))
    others = _faces(settings, SEED, skin, "other faces")
    with progress("intervals of others", len(others)) as bar:
        covered = coverage(held(method, others, calibration=calibration, tick=bar.advance))
    write_json(
        settings.out / CALIBRATION_FILE,
        {
            "format": FORMAT,
            "version": __version__,
            "method": settings.methods or "network",
            "model": settings.model if network is not None else None,
            "skin": skin,
            "calibration": calibration.as_json(),
            "held_by_68_percent": covered,
        },
    )
    return [*_lines(calibration, covered), *_stored(settings, network, calibration)]


def _faces(settings: Settings, seed: int, skin: SkinName, what: str) -> KnownFaces:
    with progress(what, settings.count) as bar:
        return fixed_faces(settings.count, seed, skin=skin, cache=settings.cache, tick=bar.advance)


def _stored(settings: Settings, network: BioFaceNet | None, found: Calibration) -> list[str]:
    """Where it was written."""
    lines = [f"calibration and what it holds: {settings.out / CALIBRATION_FILE}"]
    if network is None:
        return lines
    folder = find(settings.model)
    try:
        return [f"stored with the network: {write_calibration(folder, found)}", *lines]
    except OSError as error:
        raise BioFaceNetError(
            f"{folder}: {error.strerror}; the calibration is in {settings.out / CALIBRATION_FILE}, and can "
            "be stored where the network's folder may be written to"
        ) from error


def _lines(calibration: Calibration, covered: dict[str, Any]) -> list[str]:
    """How often the truth was held, and what is known of light and camera."""
    lines = ["68 % intervals hold the truth, of other faces: all; light, medium, dark"]
    for kind, rows in covered.items():
        for name, (every, *groups) in rows.items():
            shares = ", ".join(f"{share:.2f}" for share in groups)
            lines.append(f"  {kind}, {name}: {every:.2f}; {shares}")
    for name in calibration.errors:
        word = "known from photos" if calibration.knows(name) else "no better than the prior"
        ours, usual = calibration.errors[name], calibration.usual[name]
        lines.append(f"  {name}: error {ours:.3g}, of the prior {usual:.3g}: {word}")
    return lines
