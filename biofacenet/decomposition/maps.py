"""What a face image decomposes into: four maps, a light and a camera."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..errors import DataError
from ..physics.camera import spectral_sensitivity
from ..physics.colour import response_problem
from ..physics.illuminant import Illuminant, spectrum
from ..physics.lighting import unit
from ..physics.measured import CameraCurves, Spectrum
from ..physics.skin import (
    SKINS,
    SkinName,
    blood_fraction,
    melanosome_fraction,
    skin_name,
)
from ..physics.tables import Tables
from ..rendering import reference
from ..rendering.accuracy import Accuracy, no_bands
from ..rendering.renderer import render
from ..system.brief import Brief
from ..system.device import plain_defaults
from ..system.files import whole_file
from .edit import Edit, direction_of
from .parts import PART_NAMES
from .pigments import changed_pigment, pigments_of
from .relighting import relit
from .storage import FORMAT, MAY_BE_MISSING, OF_ANY_LIGHT, read_stored

__all__ = ["NO_NORMALS", "Decomposition", "changed_pigment"]

NO_NORMALS = (
    "light_from needs normals, which these maps lack; decompose with a network that tells them, such as "
    "small"
)


@dataclass(repr=False)
class Decomposition(Brief):
    """Maps, light and camera of a batch of face images.

    The one representation that travels from the network to files, pictures and the renderer.
    """

    melanin: Tensor
    """(B, 1, H, W), in [-1, 1], position on the melanin axis of the skin table."""
    haemoglobin: Tensor
    """(B, 1, H, W), in [-1, 1], position on the haemoglobin axis."""
    diffuse: Tensor
    """(B, 1, H, W), > 0, geometry factor of the body reflection."""
    specular: Tensor
    """(B, 1, H, W), > 0, geometry factor of the surface reflection."""
    illuminant: Illuminant
    """Mixture weights (B, 14) and colour temperature (B,)."""
    camera: Tensor
    """(B, 2), coordinates b in [-3, 3]."""
    skin: SkinName = "published"
    """Which constants of the skin model the maps are of: ``published`` or ``measured``."""
    normals: Tensor | None = None
    """(B, 3, H, W), unit length; x right, y up, z to the viewer; they mean something on the head, and may
    be zero elsewhere. None where nobody looked for them, as in fits and by networks without them."""
    parts: Tensor | None = None
    """(B, 9, H, W), probabilities of `biofacenet.decomposition.parts.PART_NAMES`, which add up to 1; None
    likewise."""
    measured_light: Tensor | None = None
    """(B, 33), a spectrum that lights the faces in place of the illuminant, which stays as estimated."""
    measured_camera: Tensor | None = None
    """(B, 3, 33), curves that see the faces in place of the coordinates, which stay as estimated."""

    def __post_init__(self) -> None:
        reference.check_inputs(*self.arguments())
        skin_name(self.skin)
        batch, _, height, width = self.melanin.shape
        for name, values, depth in (
            ("normals", self.normals, 3),
            ("parts", self.parts, len(PART_NAMES)),
        ):
            expected = (batch, depth, height, width)
            if values is not None and tuple(values.shape) != expected:
                raise ValueError(f"{name} must have shape {expected}, got {tuple(values.shape)}")

    def __len__(self) -> int:
        return len(self.melanin)

    def __getitem__(self, index: int | slice) -> Decomposition:
        """The decomposition of one image, or of some, still as a batch."""
        if isinstance(index, int):
            index = range(len(self))[index]
            index = slice(index, index + 1)
        return self.map(lambda tensor: tensor[index])

    @classmethod
    def join(cls, parts: Sequence[Decomposition]) -> Decomposition:
        """One batch of several, which must be of one skin; normals and parts where all have them."""
        light = any(part.measured_light is not None for part in parts)
        camera = any(part.measured_camera is not None for part in parts)
        skins = {part.skin for part in parts}
        if len(skins) > 1:
            raise ValueError(f"decompositions of different skins, {', '.join(sorted(skins))}")
        lights = [part.illuminant for part in parts]
        normals = [part.normals for part in parts if part.normals is not None]
        shares = [part.parts for part in parts if part.parts is not None]
        return cls(
            melanin=torch.cat([part.melanin for part in parts]),
            haemoglobin=torch.cat([part.haemoglobin for part in parts]),
            diffuse=torch.cat([part.diffuse for part in parts]),
            specular=torch.cat([part.specular for part in parts]),
            illuminant=Illuminant(
                torch.cat([light.weights for light in lights]),
                torch.cat([light.cct for light in lights]),
            ),
            camera=torch.cat([part.camera for part in parts]),
            skin=parts[0].skin,
            normals=torch.cat(normals) if len(normals) == len(parts) else None,
            parts=torch.cat(shares) if len(shares) == len(parts) else None,
            measured_light=torch.cat([part.spectrum() for part in parts]) if light else None,
            measured_camera=(
                torch.cat([part.spectral_sensitivity() for part in parts]) if camera else None
            ),
        )

    def arguments(self) -> tuple[Tensor, Tensor, Tensor, Tensor, Illuminant | Tensor, Tensor]:
        """The six arguments of `biofacenet.render`, in order; a measured light or camera goes first."""
        return (
            self.melanin,
            self.haemoglobin,
            self.diffuse,
            self.specular,
            self.illuminant if self.measured_light is None else self.measured_light,
            self.camera if self.measured_camera is None else self.measured_camera,
        )

    def map(self, change: Callable[[Tensor], Tensor]) -> Decomposition:
        """A decomposition with a function applied to each of its tensors."""
        light, camera = self.measured_light, self.measured_camera
        return replace(
            self,
            melanin=change(self.melanin),
            haemoglobin=change(self.haemoglobin),
            diffuse=change(self.diffuse),
            specular=change(self.specular),
            illuminant=Illuminant(change(self.illuminant.weights), change(self.illuminant.cct)),
            camera=change(self.camera),
            normals=None if self.normals is None else change(self.normals),
            parts=None if self.parts is None else change(self.parts),
            measured_light=None if light is None else change(light),
            measured_camera=None if camera is None else change(camera),
        )

    def renormalised(self) -> Decomposition:
        """The same with normals of unit length and parts that add up to 1, which means over several pixels,
        and values between them, have not.
        """
        normals = None if self.normals is None else unit(self.normals, dim=1)
        parts = self.parts
        if parts is not None:
            parts = parts / parts.sum(dim=1, keepdim=True)
        return replace(self, normals=normals, parts=parts)

    def skin_share(self) -> Tensor | None:
        """(B, 1, H, W), 0..1, how sure it is that a pixel shows skin or lips; None where parts are not
        known.
        """
        if self.parts is None:
            return None
        wanted = [PART_NAMES.index(name) for name in ("skin", "lips")]
        return self.parts[:, wanted].sum(dim=1, keepdim=True)

    def check_same_skin(self, other: Decomposition) -> None:
        """Raise ValueError unless the maps of both stand for the same colours."""
        if self.skin != other.skin:
            raise ValueError(
                f"maps of {self.skin} skin and of {other.skin} skin stand for different colours and "
                "cannot be compared; compare what they render to"
            )

    def to(
        self, device: torch.device | str | None = None, dtype: torch.dtype | None = None
    ) -> Decomposition:
        """A copy on another device or in another precision."""
        return self.map(lambda tensor: tensor.to(device=device, dtype=dtype))

    def detach(self) -> Decomposition:
        """A copy without gradient history."""
        return self.map(Tensor.detach)

    def render(
        self, *, accuracy: Accuracy = "default", backend: str = "auto", **others: object
    ) -> Tensor:
        """The image these maps explain: linear sRGB (B, 3, H, W); see `biofacenet.render`."""
        no_bands(others)
        return render(*self.arguments(), accuracy=accuracy, backend=backend, skin=self.skin)

    def trace(self, *, tables: Tables | None = None) -> reference.Trace:
        """All intermediate quantities: spectra, reflectance, raw, albedo, XYZ and more."""
        return reference.trace(*self.arguments(), tables=tables or Tables.computed(self.skin))

    def spectrum(self, *, tables: Tables | None = None) -> Tensor:
        """Spectral power distribution of the light: (B, 33), unit sums."""
        if self.measured_light is not None:
            return self.measured_light
        tables = (tables or Tables.computed()).to(self.camera.device, self.camera.dtype)
        return spectrum(self.illuminant, tables.fixed_illuminants, tables.daylights)

    def spectral_sensitivity(self, *, tables: Tables | None = None) -> Tensor:
        """Curves of the camera: (B, 3, 33), rows R, G, B."""
        if self.measured_camera is not None:
            return self.measured_camera
        tables = (tables or Tables.computed()).to(self.camera.device, self.camera.dtype)
        return spectral_sensitivity(self.camera, tables.camera_mean, tables.camera_components)

    def melanosomes(self) -> Tensor:
        """Melanosome volume fraction of the epidermis: (B, 1, H, W), 0..0.43."""
        return melanosome_fraction(self.melanin, SKINS[self.skin])

    def blood(self) -> Tensor:
        """Blood volume fraction of the dermis: (B, 1, H, W), 0..0.07."""
        return blood_fraction(self.haemoglobin, SKINS[self.skin])

    @plain_defaults()
    def edit(
        self, edit: Edit | None = None, /, *, mask: Tensor | None = None, **numbers: Any
    ) -> Decomposition:
        """A copy with other skin, shading, light or camera.

        The renderer's camera balances white for whatever light there is: another light changes how
        skin looks beside white, not the cast of the whole picture. A pigment's factors are applied to
        its fraction, then an amount is added to it, then something to its map, which stays in [-1, 1].
        Medians are those of the skin where parts are known, else of all pixels.

        Args:
            edit: what to change.
            mask: (B or 1, 1, H, W), 0..1, how much of the changes of maps each pixel gets; all when
                not given.
            numbers: fields of `Edit`, instead of or on top of one.

        Raises:
            ValueError: a number is out of range, the light is unknown, light is to come from another
                direction and there are no normals, or areas are named: those are found in photos, by
                `biofacenet.analysis.editing`; here a mask says where.
            TypeError: there is no number of that name.
            DataError: a file of a light or camera cannot be used, or a channel of the camera sees none
                of the light.

        Example:
            >>> flat = Decomposition.load("maps.npz").edit(melanin=0.6).render()  # doctest: +SKIP
        """
        edit = replace(edit or Edit(), **numbers)
        edit.check()
        edit = edit.resolved()
        if edit.areas is not None and mask is None:
            raise ValueError(
                f"areas {edit.areas} are found in photos; for maps, give a mask instead, 1 where they are"
            )
        return edited(self, edit.read(), mask)

    def arrays(self) -> dict[str, np.ndarray]:
        """The tensors by name, as NumPy arrays; those that there need not be where there are."""
        named = {
            "melanin": self.melanin,
            "haemoglobin": self.haemoglobin,
            "diffuse": self.diffuse,
            "specular": self.specular,
            "illuminant_weights": self.illuminant.weights,
            "cct": self.illuminant.cct,
            "camera": self.camera,
        } | {name: getattr(self, name) for name in MAY_BE_MISSING}
        return {
            name: tensor.detach().cpu().numpy()
            for name, tensor in named.items()
            if tensor is not None
        }

    @property
    def format(self) -> str:
        """What files of it say they are."""
        ordinary = self.measured_light is None and self.measured_camera is None
        return FORMAT if ordinary else OF_ANY_LIGHT

    def save(self, path: str | Path) -> None:
        """Write to one NPZ file, whole or not at all; `load` gives the same values back."""
        with whole_file(path) as temporary, temporary.open("wb") as stream:
            np.savez_compressed(
                stream,
                allow_pickle=False,
                format=np.array(self.format),
                skin=np.array(self.skin),
                **self.arrays(),
            )

    @classmethod
    def load(cls, path: str | Path) -> Decomposition:
        """Read what `save` wrote.

        Raises:
            DataError: the file is missing, damaged, of another kind, too large, or holds NaN.
        """
        return read_stored(Path(path), cls)


def edited(maps: Decomposition, edit: Edit, mask: Tensor | None) -> Decomposition:
    """A decomposition under a checked edit whose files are read; see `Decomposition.edit`."""

    def changed(before: Tensor, after: Tensor) -> Tensor:
        return after if mask is None else before + mask.to(before) * (after - before)

    diffuse, specular = _shadings(maps, edit)
    seen = _seen(_lit(maps, edit), edit)
    if edit.light is not None or edit.camera is not None:
        _check_balance(seen, edit)
    melanin, haemoglobin = pigments_of(maps, edit)
    return replace(
        seen,
        melanin=changed(maps.melanin, melanin),
        haemoglobin=changed(maps.haemoglobin, haemoglobin),
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
