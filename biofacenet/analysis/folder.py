"""Everything that is written down of a result."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .._version import __version__
from ..physics.illuminant import ILLUMINANT_NAMES
from ..physics.temperature import correlated_temperature
from ..plotting.encoding import display, write_image
from ..plotting.figures import decomposition_figure, map_figure
from ..plotting.light import camera_csv, camera_plot, light_csv, light_plot
from ..plotting.maps import MAP_NAMES, albedo_image, map_image
from ..plotting.shape import normals_image, parts_image
from ..system.device import plain_defaults
from ..system.files import whole_directory, write_json
from .choices import Format
from .formats import write_formats
from .measuring.numbers import excluded
from .results import Result
from .trust import knowledge

__all__ = [
    "write",
]

DOMINANT = 0.05
"""Smallest weight of a standard light that the summary names."""


@plain_defaults()
def write(
    result: Result,
    folder: Path,
    *,
    method: str,
    formats: Sequence[Format] = (),
    show_all: bool = False,
) -> None:
    """Write pictures, maps, tables and the summary of a photo into a folder, all of them or none.

    Args:
        result: what is written.
        folder: where.
        method: what the maps are found with, in words, for the summary.
        formats: in which maps are written beside the usual ones.
        show_all: whether sheets show maps beyond the skin too.
    """
    with whole_directory(folder) as place:
        _write(result, place, show_all=show_all)
        more = write_formats(result.decomposition, place, formats)
        write_json(place / "summary.json", summary(result, method=method) | more)


def _write(result: Result, folder: Path, *, show_all: bool) -> None:
    """All but the summary."""
    decomposition, said, mask = result.decomposition, words(result), result.counted
    for name in MAP_NAMES:
        write_image(map_image(decomposition, name), folder / f"{name}.png")
        sheet = folder / f"{name}-scale.png"
        map_figure(
            decomposition,
            name,
            sheet,
            photo=result.image,
            mask=mask,
            show_all=show_all,
            said=said[name],
        )
    write_image(display(result.image[0]), folder / "input.png")
    write_image(display(result.reconstruction[0]), folder / "reconstruction.png")
    write_image(albedo_image(decomposition), folder / "albedo.png")
    if decomposition.normals is not None:
        write_image(normals_image(decomposition), folder / "normals.png")
    if decomposition.parts is not None:
        write_image(parts_image(decomposition), folder / "parts.png")
    write_image((255 * mask[0, 0]).byte().numpy(), folder / "mask.png")
    decomposition.save(folder / "maps.npz")
    known = knowledge(result)
    light_plot(decomposition, folder / "light.png", known=known.light_words)
    light_csv(decomposition, folder / "light.csv", half_width=known.bands, source=known.light)
    camera_plot(decomposition, folder / "camera.png", known=known.camera_words)
    camera_csv(decomposition, folder / "camera.csv")
    decomposition_figure(
        result.image,
        decomposition,
        folder / "figure.png",
        mask=mask,
        show_all=show_all,
        title=result.photo.path.name,
        said=said,
    )


def summary(result: Result, *, method: str) -> dict[str, Any]:
    """What was done and the numbers that are not maps, ready for JSON."""
    photo, box, decomposition = result.photo, result.part.box, result.decomposition
    weights = dict(zip(ILLUMINANT_NAMES, decomposition.illuminant.weights[0].tolist(), strict=True))
    dominant = sorted(weights, key=lambda name: -weights[name])
    height, width = result.image.shape[2:]
    kelvin, duv = correlated_temperature(decomposition.spectrum())
    return {
        "photo": str(photo.path),
        "photo_size": [photo.width, photo.height],
        "photo_notes": list(photo.notes),
        "crop": {
            "left": box.left,
            "top": box.top,
            "size": box.size,
            "width": box.width,
            "height": box.height,
            "degrees_clockwise": box.angle,
        },
        # Of (x, y, 1) in pixels from the upper left corner of the maps, to the upright photo's.
        "maps_to_photo": box.to_photo(height, width).round(6).tolist(),
        "crop_kind": result.part.kind,
        "crop_choice": result.part.note,
        "method": method,
        "size": width,
        "map_size": [width, height],
        "light_cct_kelvin": round(float(kelvin[0]), 1),
        "light_duv": round(float(duv[0]), 5),
        "daylight_cct_kelvin": round(float(decomposition.illuminant.cct[0]), 1),
        "illuminant_weights": {
            name: round(weights[name], 4) for name in dominant if weights[name] >= DOMINANT
        },
        "camera_b": [round(value, 4) for value in decomposition.camera[0].tolist()],
        "intervals_68_percent": intervals(result),
        "skin_constants": decomposition.skin,
        "skin": result.numbers.as_json(),
        **level(result),
        **beside(result),
        "rmse_linear_rgb": round(result.rmse, 6),
        "rmse_linear_rgb_of_skin": round(result.skin_rmse, 6),
        "share_of_skin": round(float(result.counted.mean()), 4),
        "biofacenet_version": __version__,
    }


def intervals(result: Result) -> dict[str, Any]:
    """68 % intervals of light and camera, and where these are from, for JSON."""
    known, found = knowledge(result), result.decomposition
    b = [round(value, 4) for value in found.camera[0].tolist()]
    return {
        "measured_on_faces": None if result.calibration is None else result.calibration.count,
        "light_cct_kelvin": [round(x, 1) for x in known.kelvin],
        "light_from": known.light,
        "camera_b": [[round(v - w, 4), round(v + w, 4)] for v, w in zip(b, known.b, strict=True)],
        "camera_from": known.camera,
    }


def level(result: Result) -> dict[str, Any]:
    """Whether pigments have an absolute level, and what white was taken to be, for JSON."""
    if result.white is None or result.known is None:
        return {"level": "relative", "white": None}
    return {
        "level": "absolute",
        "white": result.white.as_json() | {"unlikely": result.known.unlikely},
    }


def beside(result: Result) -> dict[str, Any]:
    """What another method finds of the same skin, for JSON; nothing where none was asked."""
    other = result.beside
    if other is None:
        return {}
    same = other.decomposition.skin == result.decomposition.skin
    differ = list(excluded(result.numbers, other.numbers)) if same else None
    return {
        "beside": {
            "method": other.method,
            "skin_constants": other.decomposition.skin,
            "skin": other.numbers.as_json(),
            # None where their percentages stand for different colours.
            "disagree_on": differ,
        }
    }


def words(result: Result) -> dict[str, str]:
    """What the sheets say of a result, by map: median of the skin and its 68 % interval."""
    known, numbers = knowledge(result), result.numbers
    said = {
        "melanin": numbers.melanosomes.sentence,
        "haemoglobin": numbers.blood.sentence,
    }
    inside = result.counted > 0.5
    for name in ("diffuse", "specular"):
        middle = float(getattr(result.decomposition, name)[inside].median())
        factor = math.exp(getattr(result.deviations, f"face_{name}"))
        low, high = _two_digits(middle / factor), _two_digits(middle * factor)
        said[name] = f"median of skin {_two_digits(middle)}, 68 % interval {low} to {high}"
    return said | {
        "light": known.light_words,
        "camera": known.camera_words,
        "level": result.level_words,
        "warning": result.disagreement,
    }


def _two_digits(value: float) -> str:
    return f"{value:.0f}" if value >= 10.0 else f"{value:#.2g}"
