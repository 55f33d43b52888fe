"""The public renderer: maps, light and camera to a linear sRGB image."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from typing import TypeVar

import torch
from torch import Tensor, nn

from .. import kernels
from ..physics.given import Camera, Light, as_tensors, check_seen
from ..physics.illuminant import Illuminant
from ..physics.skin import Skin, SkinName, skin_name
from ..physics.tables import Tables
from ..system.fake import beside, fake_mode
from ..system.undisturbed import undisturbed
from . import operator, reference
from .accuracy import Accuracy, check_accuracy, no_bands
from .basis import errors, half_fold
from .folding import fold
from .half_folded import HalfFolded

__all__ = [
    "Renderer",
    "render",
]


Held = TypeVar("Held", HalfFolded, Tables)


class Renderer(nn.Module):
    """The biophysical renderer as a module that holds its tables.

    Args:
        skin: constants of the skin model, ``published`` (the default), ``measured`` or others.
        tables: use these tables instead, for example `Tables.from_mat`.
        accuracy: of fused backends: ``default``, as exact as float32; ``fast``, finer than a hundredth
            of a step of 8-bit images; ``exact``, all that float64 tells apart. `table_error` measures
            it. The reference takes the skin table as it is.
        backend: ``auto``, ``reference``, ``cpp``, ``triton`` or ``cuda``. ``auto`` takes the fastest
            that runs, or what the environment variable BIOFACENET_BACKEND names.

    The tables are kept in float64 and converted to the maps' dtype, once for each dtype. Half-precision
    maps are rendered in float32 by fused backends: table positions need more digits than 16 bits have.

    Example:
        >>> renderer = Renderer()
        >>> maps = torch.zeros(1, 1, 64, 64)
        >>> image = renderer(maps, maps, maps + 2, maps, Illuminant.standard("D65"), torch.zeros(1, 2))
        >>> image.shape
        torch.Size([1, 3, 64, 64])
    """

    def __init__(
        self,
        skin: Skin | None = None,
        *,
        tables: Tables | None = None,
        accuracy: Accuracy = "default",
        backend: str = "auto",
        **others: object,
    ) -> None:
        super().__init__()
        no_bands(others)
        check_accuracy(accuracy)
        if skin is not None and tables is not None:
            raise ValueError("give a skin or tables, not both")
        self.accuracy = accuracy
        self.backend = kernels.select(backend)
        given = tables or Tables.computed(skin)
        self._tables = undisturbed(lambda: given.map(Tensor.detach).to("cpu", torch.float64))
        self._source: HalfFolded | None = None
        self._converted: dict[tuple[torch.device, torch.dtype], HalfFolded] = {}
        self._converted_tables: dict[tuple[torch.device, torch.dtype], Tables] = {}
        if self.backend != "reference":
            # Most use is in float32 on the CPU; done now, so that torch.compile finds constants.
            self.prepared(torch.device("cpu"), torch.float32)

    def _half_folded(self) -> HalfFolded:
        """In float64, made once."""
        if self._source is None:
            tables, accuracy = self._tables, self.accuracy
            self._source = undisturbed(lambda: HalfFolded.of(tables, half_fold(tables, accuracy)))
        return self._source

    def prepared(self, device: torch.device, dtype: torch.dtype) -> HalfFolded:
        """What fused backends read, on a device and in a dtype, converted once."""
        key = (device, dtype)
        if key not in self._converted:
            source = self._half_folded()
            if torch.compiler.is_compiling():  # which traces this, and keeps nothing
                return source.to(device, dtype)
            self._converted[key] = undisturbed(lambda: source.to(device, dtype))
        return self._converted[key]

    def _tables_in(self, device: torch.device, dtype: torch.dtype) -> Tables:
        """The tables of the reference, on a device and in a dtype, converted once."""
        key = (device, dtype)
        if key not in self._converted_tables:
            tables = self._tables
            if torch.compiler.is_compiling():
                return tables.to(device, dtype)
            self._converted_tables[key] = undisturbed(lambda: tables.to(device, dtype))
        return self._converted_tables[key]

    def _held(
        self, convert: Callable[[torch.device, torch.dtype], Held], near: Tensor, dtype: torch.dtype
    ) -> Held:
        """What is converted, for use beside a tensor, which may be without values."""
        if fake_mode(near) is None:
            return convert(near.device, dtype)
        real = convert(torch.device("cpu"), dtype)
        return real.map(lambda tensor: beside(tensor, near, dtype))

    def extra_repr(self) -> str:
        """What stands between the brackets of its ``repr``."""
        return f"accuracy={self.accuracy!r}, backend={self.backend!r}"

    @property
    def table_error(self) -> float:
        """Largest difference that fused backends make to a skin colour, as `accuracy` has it.

        White-balanced and linear, 0..1, under unit shading, over mixtures of the 14 lights and cameras
        b; measured in float64.
        """
        source = self._half_folded()
        return undisturbed(lambda: errors(source.basis, source.tables)[0])

    def forward(
        self,
        melanin: Tensor,  # [B, 1, H, W]
        haemoglobin: Tensor,  # [B, 1, H, W]
        diffuse: Tensor,  # [B, 1, H, W]
        specular: Tensor,  # [B, 1, H, W]
        illuminant: Light,  # [B, 33]
        camera: Camera,  # [B, 2] or [B, 3, 33]
    ) -> Tensor:
        """Linear sRGB (B, 3, H, W); see `biofacenet.render`."""
        reference.check_maps(melanin, haemoglobin, diffuse, specular)
        dtype, device = melanin.dtype, melanin.device
        half = dtype in (torch.float16, torch.bfloat16)
        number = torch.float32 if half else dtype
        illuminant, camera = as_tensors(illuminant, camera, like=melanin, dtype=number)
        reference.check_inputs(melanin, haemoglobin, diffuse, specular, illuminant, camera)
        backend = self._backend(device)
        if backend == "reference":
            tables = self._held(self._tables_in, melanin, dtype)
            return reference.render(
                melanin, haemoglobin, diffuse, specular, illuminant, camera, tables=tables
            )
        maps: Sequence[Tensor] = (melanin, haemoglobin, diffuse, specular)
        if half and backend not in kernels.HALF:
            maps = [values.float() for values in maps]
        prepared = self._held(self.prepared, melanin, number)
        check_seen(illuminant, camera, prepared.tables)
        lit = _lit(illuminant, camera, prepared.tables)
        with _without_autocast(device.type):
            image = operator.render(maps, lit, prepared, backend)
        return image if image.dtype == dtype else image.to(dtype)

    def _backend(self, device: torch.device) -> str:
        """What renders tensors on a device."""
        if self.backend == "reference":
            return self.backend
        functions = self._half_folded().basis.functions.shape[1]
        return kernels.choose(self.backend, device.type, functions)

    def trace(
        self,
        melanin: Tensor,
        haemoglobin: Tensor,
        diffuse: Tensor,
        specular: Tensor,
        illuminant: Light,
        camera: Camera,
    ) -> reference.Trace:
        """Every intermediate quantity, by the reference; see `biofacenet.reference.Trace`."""
        reference.check_maps(melanin, haemoglobin, diffuse, specular)
        tables = self._held(self._tables_in, melanin, melanin.dtype)
        return reference.trace(
            melanin, haemoglobin, diffuse, specular, illuminant, camera, tables=tables
        )


def _lit(illuminant: Tensor | Illuminant, camera: Tensor, tables: Tables) -> operator.Lit:
    """Light and camera as the operator takes them; of curves, the weights of the bands."""
    if camera.ndim == 3:
        with _without_autocast(camera.device.type):
            return (None, None, None, None, *fold(illuminant, camera, tables))
    if isinstance(illuminant, Illuminant):
        return (illuminant.weights, illuminant.cct, None, camera, None, None)
    return (None, None, illuminant, camera, None, None)


def _without_autocast(device_type: str) -> contextlib.AbstractContextManager[None]:
    if torch.is_autocast_enabled(device_type):
        return torch.autocast(device_type, enabled=False)
    return contextlib.nullcontext()


_defaults: dict[tuple[str, str, str], Renderer] = {}


@kernels.constant_for_compile  # type: ignore[untyped-decorator]
def _make_default(accuracy: Accuracy, backend: str, skin: str) -> bool:
    """Make the renderer of a skin, once; torch.compile runs this while tracing."""
    if (accuracy, backend, skin) not in _defaults:
        renderer = Renderer(skin_name(skin), accuracy=accuracy, backend=backend)
        _defaults[accuracy, backend, skin] = renderer
    return True


def render(
    melanin: Tensor,
    haemoglobin: Tensor,
    diffuse: Tensor,
    specular: Tensor,
    illuminant: Light,
    camera: Camera,
    *,
    accuracy: Accuracy = "default",
    backend: str = "auto",
    skin: SkinName = "published",
    **others: object,
) -> Tensor:
    """Image of the maps under a light and through a camera.

    Args:
        melanin: (B, 1, H, W), in [-1, 1], position on the melanin axis of the skin table. Maps, light
            and camera may each have a batch of 1, for all images: one light for many faces, or many
            lights for one face; nothing is copied.
        haemoglobin: (B, 1, H, W), in [-1, 1], position on the haemoglobin axis.
        diffuse: (B, 1, H, W), > 0, geometry factor of the body reflection.
        specular: (B, 1, H, W), > 0, geometry factor of the surface reflection.
        illuminant: (B, 33) spectra, an `Illuminant` (weights, cct), a `Spectrum`, or what is like one,
            such as a ``SpectralDistribution`` of colour-science.
        camera: (B, 2), camera coordinates b in [-3, 3]; (B, 3, 33), sensitivity curves of R, G and B,
            each of unit sum; or a `CameraCurves`. Light and camera may be of any float dtype.
        accuracy: ``fast``, ``default`` or ``exact``, of a fused backend; see `Renderer`.
        backend: ``auto``, ``reference``, ``cpp``, ``triton``, ``cuda`` or a name that was registered.
        skin: which constants of the skin model the maps are of: ``published``, those of the paper's
            authors, or ``measured``, tuned on measured spectra. `Renderer` takes any others.
        **others: none; `bands` of former versions is told what replaces it.

    Returns:
        Linear sRGB, (B, 3, H, W), >= 0, differentiable in every tensor argument.

    Raises:
        ValueError: shapes, dtypes or devices do not fit together, the skin is unknown, or a channel of
            the camera sees no light (noticed on the CPU; on a GPU, the image is NaN).
        BackendUnavailableError: the named backend cannot run here.

    Source: BioFaceNet, section 3.
    """
    if others:
        no_bands(others)
    _make_default(accuracy, backend, skin)
    renderer = _defaults[accuracy, backend, skin]
    return renderer(melanin, haemoglobin, diffuse, specular, illuminant, camera)
