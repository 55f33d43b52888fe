"""An edit carried out: other skin, shading, light or camera in a decomposition."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from torch import Tensor

from ..errors import DataError
from ..physics.colour import response_problem
from ..physics.illuminant import Illuminant
from ..physics.measured import CameraCurves, Spectrum
from ..physics.skin import from_axis, to_axis
from .edit import Edit, direction_of
from .relighting import relit

if TYPE_CHECKING:
    from .maps import Decomposition

__all__ = ["NO_NORMALS", "changed_pigment", "edited"]

NO_NORMALS = (
    "light_from needs normals, which these maps lack; decompose with a network that tells them, such as "
    "small"
)


def changed_pigment(values: Tensor, added: float, factor: float) -> Tensor:
    """Values of a pigment's map with its fraction scaled, and then something added to the map."""
    # The fraction goes with the cube of u.
    scaled = from_axis(to_axis(values) * factor ** (1.0 / 3.0))
    return (scaled + added).clamp(-1.0, 1.0)


def edited(maps: Decomposition, edit: Edit, mask: Tensor | None) -> Decomposition:
    """A decomposition under a checked edit whose files are read; see `Decomposition.edit`."""

    def changed(before: Tensor, after: Tensor) -> Tensor:
        return after if mask is None else before + mask.to(before) * (after - before)

    def pigment(values: Tensor, added: float, factor: float) -> Tensor:
        return changed(values, changed_pigment(values, added, factor))

    diffuse, specular = _shadings(maps, edit)
    seen = _seen(_lit(maps, edit), edit)
    if edit.light is not None or edit.camera is not None:
        _check_balance(seen, edit)
    return replace(
        seen,
        melanin=pigment(maps.melanin, edit.melanin, edit.melanin_scale),
        haemoglobin=pigment(maps.haemoglobin, edit.haemoglobin, edit.haemoglobin_scale),
        diffuse=changed(maps.diffuse, diffuse * edit.diffuse_scale),
        specular=changed(maps.specular, specular * edit.specular_scale),
    )


def _shadings(maps: Decomposition, edit: Edit) -> tuple[Tensor, Tensor]:
    """Diffuse and specular under light from another direction, if an edit asks for it."""
    if edit.light_from is None:
        return maps.diffuse, maps.specular
    if maps.normals is None:
        raise ValueError(NO_NORMALS)
    direction = direction_of(edit.light_from)
    return relit(maps.diffuse, maps.specular, maps.normals, maps.parts, direction)


def _lit(maps: Decomposition, edit: Edit) -> Decomposition:
    """The same faces in the light of an edit."""
    if isinstance(edit.light, Spectrum):
        bands = edit.light.bands(maps.camera.device, maps.camera.dtype)
        return replace(maps, measured_light=bands.repeat(len(maps), 1))
    if edit.light is None and edit.cct is None:
        return maps
    cct = 6504.0 if edit.cct is None else edit.cct
    standard = Illuminant.standard(edit.light or "D", cct, len(maps))
    weights = maps.illuminant.weights
    return replace(maps, illuminant=standard.to(weights.device, weights.dtype), measured_light=None)


def _seen(maps: Decomposition, edit: Edit) -> Decomposition:
    """The same faces through the camera of an edit."""
    if isinstance(edit.camera, CameraCurves):
        curves = edit.camera.bands(maps.camera.device, maps.camera.dtype)
        return replace(maps, measured_camera=curves.repeat(len(maps), 1, 1))
    if edit.camera is None or isinstance(edit.camera, str):
        return maps
    b = maps.camera.new_tensor(edit.camera).repeat(len(maps), 1)
    return replace(maps, camera=b, measured_camera=None)


def _check_balance(maps: Decomposition, edit: Edit) -> None:
    """Raise DataError where a channel of the camera sees no light, or all see the same."""
    if maps.measured_light is None and maps.measured_camera is None:
        return
    if problem := response_problem(maps.spectrum(), maps.spectral_sensitivity()):
        light, camera = edit.light or "as it is", edit.camera or "as it is"
        raise DataError(f"light {light} and camera {camera}: {problem}")
