"""Lights and cameras in all the forms that people give them, as the tensors that are computed with."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from .camera import spectral_sensitivity
from .colour import response_problem
from .illuminant import Illuminant
from .illuminant import spectrum as mixed
from .measured import CameraCurves, Spectrum
from .tables import Tables

__all__ = ["Camera", "Light", "as_tensors", "check_seen"]

Light = Tensor | Illuminant | Spectrum | Any
"""(B or 1, 33) spectra, a mixture, a `Spectrum`, or what has wavelengths and values as that has."""

Camera = Tensor | CameraCurves | Any
"""(B or 1, 2) coordinates b, (B or 1, 3, 33) curves, `CameraCurves`, or what is like them."""


def as_tensors(
    illuminant: Light, camera: Camera, *, like: Tensor, dtype: torch.dtype | None = None
) -> tuple[Tensor | Illuminant, Tensor]:
    """A light and a camera beside maps.

    Args:
        illuminant: in any form; tensors of any floating point dtype.
        camera: in any form; tensors of any floating point dtype.
        like: (B, 1, H, W), a map. Tensors keep their device, so that one on another device is noticed;
            what has none, such as a `Spectrum`, is put on that of the map, once for each image.
        dtype: of the results; that of the map when not given.

    Returns:
        Spectra (B, 33) or a mixture, and coordinates (B, 2) or curves (B, 3, 33).

    Raises:
        ValueError: either is of no known form, or its samples are no spectrum; see `Spectrum`.
    """
    dtype, batch = dtype or like.dtype, like.shape[0]
    if isinstance(illuminant, Illuminant):
        if illuminant.weights.dtype == illuminant.cct.dtype == dtype:
            pass
        elif illuminant.weights.is_floating_point() and illuminant.cct.is_floating_point():
            illuminant = illuminant.to(dtype=dtype)
    elif not isinstance(illuminant, Tensor):
        if not hasattr(illuminant, "wavelengths"):
            raise ValueError(
                "illuminant must be a (B, 33) tensor, an Illuminant or a Spectrum, got "
                f"{type(illuminant).__name__}"
            )
        illuminant = Spectrum.of(illuminant).bands(like.device, dtype).expand(batch, -1)
    elif illuminant.is_floating_point():
        illuminant = illuminant.to(dtype)
    if not isinstance(camera, Tensor):
        if not hasattr(camera, "wavelengths"):
            raise ValueError(
                "camera must be a (B, 2) tensor, (B, 3, 33) curves or a CameraCurves, got "
                f"{type(camera).__name__}"
            )
        camera = CameraCurves.of(camera).bands(like.device, dtype).expand(batch, -1, -1)
    elif camera.dtype != dtype and camera.is_floating_point():
        camera = camera.to(dtype)
    return illuminant, camera


def check_seen(illuminant: Tensor | Illuminant, camera: Tensor, tables: Tables) -> None:
    """Raise ValueError, in one line, where a channel of a camera sees no light: its white has no balance.

    Only a spectrum or curves can be so: every camera b sees every mixture. On a GPU this would have to
    wait for all that was computed before, and there the image has NaN instead; neither is it looked for
    where values are not known yet, as while compiling.
    """
    light = illuminant.weights if isinstance(illuminant, Illuminant) else illuminant
    if torch.compiler.is_compiling() or {light.device.type, camera.device.type} != {"cpu"}:
        return
    if (light is not illuminant and camera.ndim == 2) or len(light) * len(camera) == 0:
        return
    with torch.no_grad():
        curves = spectral_sensitivity(camera, tables.camera_mean, tables.camera_components)
        if isinstance(illuminant, Illuminant):
            illuminant = mixed(illuminant, tables.fixed_illuminants, tables.daylights)
        try:
            problem = response_problem(illuminant, curves)
        except RuntimeError:  # vmap and its like have no values to look at
            return
    if problem:
        raise ValueError(problem)
