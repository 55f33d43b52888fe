"""Colour: from camera raw values through XYZ to linear sRGB, and the sRGB transfer curve.

Source: BioFaceNet, section 3.4; CIE 1931 2-degree observer; IEC 61966-2-1 for sRGB; CIE 15:2018 for
CIELAB; ISO/CIE 11664-6 for CIEDE2000.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from ..system.fake import beside
from ..system.lasting import kept
from ..system.undisturbed import undisturbed
from .camera import COORDINATE_RANGE, spectral_sensitivity
from .spectra import figures

__all__ = [
    "WHITE_ROW_SUMS",
    "XYZ_TO_SRGB",
    "check_linear",
    "ciede2000",
    "cielab",
    "linear_to_srgb",
    "luminance",
    "observer",
    "raw_to_xyz",
    "raw_to_xyz_table",
    "read_raw_to_xyz",
    "response",
    "response_problem",
    "srgb_to_linear",
]

XYZ_TO_SRGB = undisturbed(
    lambda: torch.tensor(
        [[3.2406, -1.5372, -0.4986], [-0.9689, 1.8758, 0.0415], [0.0557, -0.2040, 1.0570]],
        dtype=torch.float64,
    )
)
"""Acts on XYZ column vectors (IEC 61966-2-1)."""

WHITE_ROW_SUMS = undisturbed(lambda: torch.tensor([0.3253, 0.3425, 0.3723], dtype=torch.float64))
"""XYZ of a white-balanced white, proportional to the D65 white point.

Rows of unit sum, as the paper's text has it, would turn white into (1.20, 0.95, 0.91) sRGB.
"""

GRID_SIZE = 128
"""Nodes along each camera coordinate of the tabulated raw-to-XYZ matrix."""


BRIGHTEST = 16.0
"""Linear light beyond it is on another scale: white is 1."""

LOWEST = -0.5
"""Below it, values are normalised: colours outside sRGB hardly get there."""


def check_linear(image: Tensor) -> None:
    """Raise ValueError where an image is not linear light with white at 1; waits for a GPU.

    Args:
        image: any shape. Integers, NaN, values beyond `BRIGHTEST` (0..255) and below `LOWEST` (normalised
            by mean and deviation) are refused; what is sRGB-encoded cannot be told.
    """
    if not image.is_floating_point():
        raise ValueError(
            f"image must be linear sRGB in 0..1, got {image.dtype}: "
            "biofacenet.physics.colour.srgb_to_linear(image / 255)"
        )
    if image.numel() == 0 or torch.compiler.is_compiling():
        return
    low, high = (float(value) for value in torch.aminmax(image.detach()))
    if low >= LOWEST and high <= BRIGHTEST:
        return
    if low != low or high != high:
        raise ValueError("image holds NaN; expected linear sRGB in 0..1")
    remedy = "biofacenet.physics.colour.srgb_to_linear(image / 255) where 255 is white"
    if low < LOWEST:
        remedy = "neither normalised by mean and deviation nor to -1..1"
    raise ValueError(f"image lies in {low:.4g}..{high:.4g}; expected linear sRGB in 0..1: {remedy}")


@kept
def observer() -> Tensor:
    """CIE 1931 2-degree colour matching functions: (3, 33), rows x, y, z, float64."""
    table = figures("observer")
    return torch.stack([table[name] for name in "xyz"])


def raw_to_xyz(sensitivity: Tensor) -> Tensor:  # [..., 3, 33]
    """Least-squares matrix from white-balanced raw to XYZ: (..., 3, 3).

    T minimises ||T S - CMF^T||; its rows are then scaled to sum to `WHITE_ROW_SUMS`. Raw counts as
    balanced when the light has the same power in all bands, so the curves must be of unit sum.
    Computed in float64 and given in the dtype of the curves.
    """
    curves = sensitivity.double()  # normal equations halve the digits
    cmf = beside(observer(), curves)
    solved, _ = torch.linalg.solve_ex(curves @ curves.mT, curves @ cmf.mT)
    matrix = solved.mT
    row_sums = beside(WHITE_ROW_SUMS, curves).unsqueeze(-1)
    return (matrix / matrix.sum(dim=-1, keepdim=True) * row_sums).to(sensitivity)


def response(spectrum: Tensor, curves: Tensor) -> tuple[Tensor, Tensor]:
    """What a light and a camera make of reflectances, white balanced and in linear sRGB.

    Args:
        spectrum: e, (B, 33), of any scale.
        curves: S, (B, 3, 33), unit sums.

    Returns:
        Weights W (B, 3, 33) by which a reflectance is summed, W = M diag(1/L) S diag(e) with L = S e and
        M = XYZ_TO_SRGB T(S), and the colour k = M 1 of what reflects all light (B, 3).
    """
    seen = curves * spectrum.unsqueeze(1)
    matrix = beside(XYZ_TO_SRGB, curves) @ raw_to_xyz(curves)
    return matrix @ (seen / seen.sum(dim=-1, keepdim=True)), matrix.sum(dim=-1)


MOST_ALIKE = 1e-4
"""Least determinant of the channels' correlations; cameras have 0.3 and more, a grey one 0."""

UNIT_SUM = (0.5, 2.0)
"""Sums of curves that are taken for 1; clipping at 0 raises those of S(b) to 1.15."""

CHANNELS = ("red", "green", "blue")


def response_problem(spectrum: Tensor, curves: Tensor) -> str | None:
    """Why a camera cannot balance white under a light, in words: a channel that sees no light of it.

    Args:
        spectrum: (B or 1, 33).
        curves: (B or 1, 3, 33), which should be of unit sum.
    """
    spectrum, curves = spectrum.detach(), curves.detach()
    low, high = UNIT_SUM
    sums = curves.sum(dim=-1)
    if bool(((sums < low) | (sums > high)).any()):
        worst = float(sums.flatten()[(sums.flatten() - 1.0).abs().argmax()])
        return (
            f"camera curves must be of unit sum, and one sums to {worst:.4g}; divide each channel by "
            "its sum, or give a CameraCurves"
        )
    dark = (curves * spectrum.unsqueeze(1)).sum(dim=-1) <= 0.0
    if bool(dark.any()):
        image, channel = dark.nonzero()[0].tolist()
        return (
            f"the camera's {CHANNELS[channel]} channel sees no light (image {image} of {len(dark)}), "
            "so white cannot be balanced; give a light or a camera that reaches more wavelengths"
        )
    shape = (curves / curves.norm(dim=-1, keepdim=True)).double()
    if bool((torch.linalg.det(shape @ shape.mT) < MOST_ALIKE).any()):
        return (
            "the camera's channels see alike, so colours cannot be told apart; expected R, G and B"
        )
    return None


def raw_to_xyz_table(mean: Tensor, components: Tensor) -> Tensor:
    """T on a grid of camera coordinates: (128, 128, 3, 3), row b1, column b2.

    The 128 nodes of each axis run from -3 to 3, ends included.
    """
    nodes = torch.linspace(*COORDINATE_RANGE, GRID_SIZE, dtype=mean.dtype)
    coordinates = torch.cartesian_prod(nodes, nodes)
    matrices = raw_to_xyz(spectral_sensitivity(coordinates, mean, components))
    return matrices.reshape(GRID_SIZE, GRID_SIZE, 3, 3)


def read_raw_to_xyz(table: Tensor, camera: Tensor) -> Tensor:
    """Bilinear read of the tabulated T: (B, 3, 3) for camera coordinates (B, 2).

    Of curves (B, 3, 33) T is computed.
    """
    if camera.ndim == 3:
        return raw_to_xyz(camera)
    if len(camera) == 0:
        return camera.new_zeros(0, 3, 3)
    # grid_sample's x is the column: b2 comes first.
    grid = (camera / COORDINATE_RANGE[1]).flip(-1).reshape(1, -1, 1, 2)
    wide = torch.promote_types(camera.dtype, torch.float32)  # as in skin.look_up
    image = table.to(wide).reshape(*table.shape[:2], 9).permute(2, 0, 1).unsqueeze(0)
    read = F.grid_sample(
        image, grid.to(wide), mode="bilinear", padding_mode="border", align_corners=True
    )
    return read.to(table.dtype).reshape(9, -1).T.reshape(-1, 3, 3)


def linear_to_srgb(linear: Tensor) -> Tensor:
    """The sRGB transfer curve; values are clamped to 0..1 first. For display and file output."""
    linear = linear.clamp(0.0, 1.0)
    curve = 1.055 * linear.clamp(min=0.0031308) ** (1.0 / 2.4) - 0.055
    return torch.where(linear <= 0.0031308, 12.92 * linear, curve)


def srgb_to_linear(encoded: Tensor) -> Tensor:
    """Inverse of `linear_to_srgb`, for values in 0..1; ValueError where they are integers."""
    if not encoded.is_floating_point():
        raise ValueError(f"values must be floats in 0..1, got {encoded.dtype}: give image / 255")
    curve = ((encoded.clamp(min=0.04045) + 0.055) / 1.055) ** 2.4
    return torch.where(encoded <= 0.04045, encoded / 12.92, curve)


def luminance(linear: Tensor) -> Tensor:  # [B, 3, H, W]
    """Relative luminance Y of linear sRGB: (B, 1, H, W) (Rec. 709 weights)."""
    red, green, blue = linear.unbind(dim=1)  # and numbers, which need no copy to a GPU
    return (0.2126 * red + 0.7152 * green + 0.0722 * blue).unsqueeze(1)


def cielab(reflectance: Tensor, light: Tensor, bands: slice = slice(None)) -> Tensor:
    """CIELAB colour of reflectances under a light, to the 1931 2-degree observer.

    Args:
        reflectance: (..., L), of the bands named.
        light: (33,), spectral power distribution of any scale.
        bands: which of the 33 bands the reflectances have; a perfect diffuser seen through the same
            bands is white.

    Returns:
        (..., 3): L*, a*, b*.
    """
    seen = (observer().to(reflectance) * light.to(reflectance))[:, bands]
    relative = torch.einsum("cl,...l->...c", seen / seen.sum(dim=1, keepdim=True), reflectance)
    edge = 6.0 / 29.0
    f = torch.where(
        relative > edge**3,
        relative.clamp(min=edge**3) ** (1.0 / 3.0),
        relative / (3.0 * edge**2) + 4.0 / 29.0,
    )
    x, y, z = f.unbind(dim=-1)
    return torch.stack((116.0 * y - 16.0, 500.0 * (x - y), 200.0 * (y - z)), dim=-1)


def ciede2000(first: Tensor, second: Tensor) -> Tensor:
    """Colour difference of CIELAB colours (..., 3) and (..., 3), with kL = kC = kH = 1.

    Source: ISO/CIE 11664-6; Sharma, Wu and Dalal, Color Research and Application 30(1), 2005, whose
    equations these are and whose test pairs the tests have.
    """
    (l1, a1, b1), (l2, a2, b2) = first.unbind(dim=-1), second.unbind(dim=-1)
    chroma = 0.5 * (torch.hypot(a1, b1) + torch.hypot(a2, b2))
    stretch = 1.5 - 0.5 * torch.sqrt(chroma**7 / (chroma**7 + 25.0**7))
    a1, a2 = stretch * a1, stretch * a2
    c1, c2 = torch.hypot(a1, b1), torch.hypot(a2, b2)
    h1, h2 = (torch.rad2deg(torch.atan2(b, a)) % 360.0 for a, b in ((a1, b1), (a2, b2)))
    grey = (c1 * c2) == 0.0  # a grey has no hue
    apart = h2 - h1
    turn = torch.where(apart > 180.0, -360.0, torch.where(apart < -180.0, 360.0, 0.0))
    of_hue = torch.where(grey, torch.zeros_like(apart), apart + turn)
    lightness = 0.5 * (l1 + l2)
    chroma = 0.5 * (c1 + c2)
    total = h1 + h2
    across = torch.where(total < 360.0, total + 360.0, total - 360.0)
    hue = torch.where(grey, total, 0.5 * torch.where(apart.abs() <= 180.0, total, across))

    def cosine(degrees: Tensor) -> Tensor:
        return torch.cos(torch.deg2rad(degrees))

    t = (
        1.0
        - 0.17 * cosine(hue - 30.0)
        + 0.24 * cosine(2.0 * hue)
        + 0.32 * cosine(3.0 * hue + 6.0)
        - 0.20 * cosine(4.0 * hue - 63.0)
    )
    square = (lightness - 50.0) ** 2
    dl = (l2 - l1) / (1.0 + 0.015 * square / torch.sqrt(20.0 + square))
    dc = (c2 - c1) / (1.0 + 0.045 * chroma)
    dh = 2.0 * torch.sqrt(c1 * c2) * torch.sin(torch.deg2rad(0.5 * of_hue))
    dh = dh / (1.0 + 0.015 * chroma * t)
    turned = 2.0 * 30.0 * torch.exp(-(((hue - 275.0) / 25.0) ** 2))
    rotation = -torch.sin(torch.deg2rad(turned))
    rotation = rotation * 2.0 * torch.sqrt(chroma**7 / (chroma**7 + 25.0**7))
    return torch.sqrt((dl**2 + dc**2 + dh**2 + rotation * dc * dh).clamp(min=0.0))
