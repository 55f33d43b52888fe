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
from ..physics.illuminant import Illuminant, spectrum
from ..physics.skin import (
    SKINS,
    SkinName,
    blood_fraction,
    from_axis,
    melanosome_fraction,
    skin_name,
    to_axis,
)
from ..physics.tables import Tables
from ..rendering import reference
from ..rendering.accuracy import Accuracy, no_bands
from ..rendering.renderer import render
from ..system.files import whole_file
from .edit import Edit

__all__ = ["FORMAT", "Decomposition"]

FORMAT = "biofacenet decomposition 2"

WITHOUT_SKIN = "biofacenet decomposition 1"
"""Of files that do not say which skin they belong to: the published one."""


def changed_pigment(values: Tensor, added: float, factor: float) -> Tensor:
    """Values of a pigment's map with its fraction scaled, and then something added to the map."""
    # The fraction goes with the cube of u.
    scaled = from_axis(to_axis(values) * factor ** (1.0 / 3.0))
    return (scaled + added).clamp(-1.0, 1.0)


@dataclass
class Decomposition:
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

    def __post_init__(self) -> None:
        reference.check_inputs(*self.arguments())
        skin_name(self.skin)

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
        """One batch of several, which must be of one skin."""
        skins = {part.skin for part in parts}
        if len(skins) > 1:
            raise ValueError(f"decompositions of different skins, {', '.join(sorted(skins))}")
        lights = [part.illuminant for part in parts]
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
        )

    def arguments(self) -> tuple[Tensor, Tensor, Tensor, Tensor, Illuminant, Tensor]:
        """The six arguments of `biofacenet.render`, in order."""
        return (
            self.melanin,
            self.haemoglobin,
            self.diffuse,
            self.specular,
            self.illuminant,
            self.camera,
        )

    def map(self, change: Callable[[Tensor], Tensor]) -> Decomposition:
        """A decomposition with a function applied to each of its tensors."""
        return replace(
            self,
            melanin=change(self.melanin),
            haemoglobin=change(self.haemoglobin),
            diffuse=change(self.diffuse),
            specular=change(self.specular),
            illuminant=Illuminant(change(self.illuminant.weights), change(self.illuminant.cct)),
            camera=change(self.camera),
        )

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
        tables = (tables or Tables.computed()).to(self.camera.device, self.camera.dtype)
        return spectrum(self.illuminant, tables.fixed_illuminants, tables.daylights)

    def spectral_sensitivity(self, *, tables: Tables | None = None) -> Tensor:
        """Curves of the camera: (B, 3, 33), rows R, G, B."""
        tables = (tables or Tables.computed()).to(self.camera.device, self.camera.dtype)
        return spectral_sensitivity(self.camera, tables.camera_mean, tables.camera_components)

    def melanosomes(self) -> Tensor:
        """Melanosome volume fraction of the epidermis: (B, 1, H, W), 0..0.43."""
        return melanosome_fraction(self.melanin, SKINS[self.skin])

    def blood(self) -> Tensor:
        """Blood volume fraction of the dermis: (B, 1, H, W), 0..0.07."""
        return blood_fraction(self.haemoglobin, SKINS[self.skin])

    def edit(
        self, edit: Edit | None = None, /, *, mask: Tensor | None = None, **numbers: Any
    ) -> Decomposition:
        """A copy with other skin, shading, light or camera.

        The renderer's camera balances white for whatever light there is: another light changes how
        skin looks beside white, not the cast of the whole picture. A pigment's factor is applied to
        its fraction before anything is added to its map, which stays in [-1, 1].

        Args:
            edit: what to change.
            mask: (B or 1, 1, H, W), 0..1, how much of the changes of maps each pixel gets; all when
                not given.
            numbers: fields of `Edit`, instead of or on top of one.

        Raises:
            ValueError: a number is out of range, or the light is unknown.
            TypeError: there is no number of that name.

        Example:
            >>> flat = Decomposition.load("maps.npz").edit(melanin=0.6).render()  # doctest: +SKIP
        """
        edit = replace(edit or Edit(), **numbers)
        edit.check()

        def changed(before: Tensor, after: Tensor) -> Tensor:
            return after if mask is None else before + mask.to(before) * (after - before)

        def pigment(values: Tensor, added: float, factor: float) -> Tensor:
            return changed(values, changed_pigment(values, added, factor))

        return replace(
            self,
            melanin=pigment(self.melanin, edit.melanin, edit.melanin_scale),
            haemoglobin=pigment(self.haemoglobin, edit.haemoglobin, edit.haemoglobin_scale),
            diffuse=changed(self.diffuse, self.diffuse * edit.diffuse_scale),
            specular=changed(self.specular, self.specular * edit.specular_scale),
            illuminant=self._light_of(edit),
            camera=self.camera
            if edit.camera is None
            else self.camera.new_tensor(edit.camera).expand(len(self), 2).contiguous(),
        )

    def _light_of(self, edit: Edit) -> Illuminant:
        """The light under an edit."""
        if edit.light is None and edit.cct is None:
            return self.illuminant
        cct = 6504.0 if edit.cct is None else edit.cct
        standard = Illuminant.standard(edit.light or "D", cct, len(self))
        return Illuminant(
            standard.weights.to(self.illuminant.weights), standard.cct.to(self.illuminant.cct)
        )

    def arrays(self) -> dict[str, np.ndarray]:
        """The tensors by name, as NumPy arrays."""
        named = {
            "melanin": self.melanin,
            "haemoglobin": self.haemoglobin,
            "diffuse": self.diffuse,
            "specular": self.specular,
            "illuminant_weights": self.illuminant.weights,
            "cct": self.illuminant.cct,
            "camera": self.camera,
        }
        return {name: tensor.detach().cpu().numpy() for name, tensor in named.items()}

    def save(self, path: str | Path) -> None:
        """Write to one NPZ file, whole or not at all; `load` gives the same values back."""
        with whole_file(path) as temporary, temporary.open("wb") as stream:
            np.savez_compressed(
                stream,
                allow_pickle=False,
                format=np.array(FORMAT),
                skin=np.array(self.skin),
                **self.arrays(),
            )

    @classmethod
    def load(cls, path: str | Path) -> Decomposition:
        """Read what `save` wrote.

        Raises:
            DataError: the file is missing, damaged or of another kind.
        """
        path = Path(path)
        if not path.is_file():
            raise DataError(f"{path}: no such file; expected an NPZ file that predict wrote")
        try:
            with path.open("rb") as stream, np.load(stream, allow_pickle=False) as file:
                found = str(file["format"])
                if found not in (FORMAT, WITHOUT_SKIN):
                    raise ValueError(f"of the form {found!r}, not {FORMAT!r}")
                skin = skin_name(str(file["skin"]) if found == FORMAT else "published")
                stored = {
                    name: torch.from_numpy(file[name])
                    for name in file.files
                    if name not in ("format", "skin")
                }
            return cls(
                melanin=stored["melanin"],
                haemoglobin=stored["haemoglobin"],
                diffuse=stored["diffuse"],
                specular=stored["specular"],
                illuminant=Illuminant(stored["illuminant_weights"], stored["cct"]),
                camera=stored["camera"],
                skin=skin,
            )
        except KeyError as error:
            raise DataError(
                f"{path}: holds no {error}; expected an NPZ file that predict wrote"
            ) from error
        except Exception as error:  # the readers raise many kinds on damaged bytes
            raise DataError(
                f"{path}: not a readable decomposition ({error}); expected an NPZ file that predict wrote"
            ) from error
