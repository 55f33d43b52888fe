"""Skin: two layers, three pigments, one reflectance spectrum.

Light crosses the epidermis twice (Lambert-Beer absorption by melanin, a little blood and bare
tissue) and is returned by the dermis (Kubelka-Munk theory of an absorbing and scattering layer).
The constants are those of the authors' SkinModel release, whose unit conventions are kept so that
its published table is reproduced. `MEASURED` adds a reflection of the surface, blood that is packed in
vessels and tissue below the layer, and so comes close to measured spectra.

Source: Alotaibi and Smith, BioFaceNet, BMVC 2019, section 3.1; Alotaibi and Smith, A Biophysical 3D
Morphable Model of Face Appearance, ICCV Workshops 2017; extinction spectra after the OMLC
skin-optics pages (Jacques; Prahl).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from .names import SkinName
from .spectra import WAVELENGTHS, figures

__all__ = [
    "MEASURED",
    "MEASURED_RANGES",
    "PUBLISHED",
    "SKINS",
    "Skin",
    "SkinName",
    "SkinParameters",
    "blood_fraction",
    "dermis_reflectance",
    "epidermis_transmittance",
    "from_axis",
    "look_up",
    "melanosome_fraction",
    "reflectance",
    "reflectance_table",
    "skin_name",
    "skin_parameters",
    "to_axis",
]

TABLE_SIZE = 256
"""Entries along each axis of the skin table."""


@dataclass(frozen=True)
class SkinParameters:
    """Constants of the skin model; the defaults are the published ones."""

    blood_oxygenation: float = 0.75
    """Share of haemoglobin that carries oxygen, 0..1."""
    haemoglobin_concentration: float = 150.0
    """Haemoglobin in whole blood, g/L."""
    haemoglobin_molar_mass: float = 66500.0
    """g/mol."""
    eumelanin_concentration: float = 80.0
    """Eumelanin in a melanosome, mg/mL."""
    pheomelanin_concentration: float = 12.0
    """Pheomelanin in a melanosome, mg/mL."""
    eumelanin_share: float = 0.61
    """Share of eumelanin in all melanin, 0..1; the rest is pheomelanin."""
    epidermis_thickness: float = 0.02
    """Path through the pigmented epidermis, cm."""
    dermis_thickness: float = 0.3
    """Thickness of the dermis, in the reciprocal unit of its coefficients."""
    epidermis_blood_share: float = 0.25
    """Blood of the dermis that the epidermal term sees, 0..1."""
    max_melanosome_fraction: float = 0.43
    """Melanosome volume fraction at map value +1 (43 %)."""
    max_blood_fraction: float = 0.07
    """Blood volume fraction at map value +1 (7 %)."""
    surface_reflectance: float = 0.0
    """Share of light that the surface returns before it enters the skin (Fresnel), 0..1. It has the
    colour of the light and is the same for all pigments; none in the published formulas."""
    epidermis_baseline_path: float = 1.0
    """Path, in cm, along which bare tissue absorbs in the epidermis; the published formulas take its
    coefficient as the optical depth, as if it were 1."""
    baseline_scale: float = 1.0
    """Factor on the absorption of bare tissue. 1 is the published formula, whose numbers are those of
    Jacques (1998) per mm beside scattering and blood per cm; 10 is his formula per cm."""
    diffuse_path: float = 1.0
    """Factor on absorption in the dermis: 2 where light is diffuse, as in Kubelka and Munk's K = 2 mu_a."""
    scattering_scale: float = 1.0
    """Factor on the scattering of the dermis, 2e5 nm^-1.5 + 2e12 nm^-4 per cm."""
    vessel_radius: float = 0.0
    """Radius of blood vessels, in cm. Light does not reach all blood of a vessel that is opaque, which
    flattens its strongest bands; 0 is blood spread evenly, as published."""
    deep_scattering: float = 0.0
    """Scattering of the tissue below the dermis layer, relative to that of the layer; 0 is black
    beneath, as published."""
    deep_blood_fraction: float = 0.0
    """Blood volume fraction of the tissue below, which no map changes."""

    def __post_init__(self) -> None:
        for name in (
            "blood_oxygenation",
            "eumelanin_share",
            "epidermis_blood_share",
            "surface_reflectance",
            "deep_blood_fraction",
        ):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise ValueError(
                    f"SkinParameters.{name} must lie in 0..1, got {getattr(self, name)}"
                )
        for name in ("max_melanosome_fraction", "max_blood_fraction"):
            if not 0.0 < getattr(self, name) < 1.0:
                raise ValueError(
                    f"SkinParameters.{name} must lie between 0 and 1, got {getattr(self, name)}"
                )
        for name in (
            "haemoglobin_concentration",
            "haemoglobin_molar_mass",
            "eumelanin_concentration",
            "pheomelanin_concentration",
            "epidermis_thickness",
            "dermis_thickness",
            "epidermis_baseline_path",
            "baseline_scale",
            "diffuse_path",
            "scattering_scale",
        ):
            if not 0.0 < getattr(self, name) < math.inf:
                raise ValueError(
                    f"SkinParameters.{name} must be > 0 and finite, got {getattr(self, name)}"
                )
        for name in ("vessel_radius", "deep_scattering"):
            if not 0.0 <= getattr(self, name) < math.inf:
                raise ValueError(
                    f"SkinParameters.{name} must be at least 0 and finite, got {getattr(self, name)}"
                )


PUBLISHED = SkinParameters()
"""The constants of the paper's authors."""

MEASURED_RANGES: dict[str, tuple[float, float]] = {
    # Saturation of blood in skin, from venous to arterial (Jacques 2013, table 3).
    "blood_oxygenation": (0.4, 0.98),
    # About three quarters of epidermal melanin is eumelanin (Del Bino et al. 2015); 0.61 as published.
    "eumelanin_share": (0.5, 1.0),
    # There are no vessels in the epidermis.
    "epidermis_blood_share": (0.0, 0.0),
    # 4 to 7 % of light returns from the surface of skin (Anderson and Parrish 1981).
    "surface_reflectance": (0.04, 0.07),
    # The thickness that melanin is spread over, so that both are of one layer.
    "epidermis_baseline_path": (0.02, 0.02),
    # From the published formula to that of Jacques (1998); bloodless dermis in vivo lies between.
    "baseline_scale": (1.0, 10.0),
    # K = 2 mu_a of diffuse light (Kubelka and Munk).
    "diffuse_path": (2.0, 2.0),
    # S = 3/4 mu_s', with mu_s' of 30 to 70 per cm at 500 nm (Jacques 2013), where the formula has 50.
    "scattering_scale": (0.45, 1.05),
    # cm: from the papillary dermis alone to a millimetre of dermis.
    "dermis_thickness": (0.01, 0.1),
    # cm: from capillaries to venules, 2.5 to 50 micrometres (van Veen et al. 2002).
    "vessel_radius": (2.5e-4, 5e-3),
    # From fat, with about 18 against 46 per cm in skin at 500 nm (Jacques 2013, table 2), to more dermis.
    "deep_scattering": (0.3, 1.0),
    # The low end of blood in skin, 0.2 % (Jacques 1998), to 1 %; what is below is not on the map.
    "deep_blood_fraction": (0.002, 0.01),
}
"""Physiological ranges of what `MEASURED` changes; a range of one value was set and not tuned."""

MEASURED = SkinParameters(
    blood_oxygenation=0.66,
    eumelanin_share=1.0,
    epidermis_blood_share=0.0,
    surface_reflectance=0.065,
    epidermis_baseline_path=0.02,
    baseline_scale=4.4,
    diffuse_path=2.0,
    scattering_scale=0.45,
    dermis_thickness=0.04,
    vessel_radius=0.00165,
    deep_scattering=0.3,
    deep_blood_fraction=0.003,
)
"""Constants that two map values come closest to measured facial skin with, within `MEASURED_RANGES`.

Tuned on half of the subjects of the International Skin Spectra Archive (Lu, Xiao et al., Scientific Data,
2025, doi:10.1038/s41597-025-04857-5, CC BY 4.0), 400 to 700 nm, specular component included;
`python -m benchmarks.measured_skin` repeats it, and benchmarks/results/measured-skin.md says how close they
come, and where a range binds.
"""

Skin = SkinName | SkinParameters
"""A set by its name, or any other constants."""

SKINS: dict[str, SkinParameters] = {"published": PUBLISHED, "measured": MEASURED}


def skin_name(name: str) -> SkinName:
    """The name, if there is such a set.

    Raises:
        ValueError: there is none.
    """
    if name not in SKINS:
        raise ValueError(f"skin must be one of {', '.join(SKINS)}, got {name!r}")
    return name  # type: ignore[return-value]


def skin_parameters(skin: Skin | None) -> SkinParameters:
    """The constants of a skin; the published ones for None.

    Raises:
        ValueError: there is no skin of that name.
    """
    if skin is None:
        return PUBLISHED
    return skin if isinstance(skin, SkinParameters) else SKINS[skin_name(skin)]


def to_axis(value: Tensor) -> Tensor:
    """Map value in [-1, 1] to u = linspace(0.01, 1, 256), the axis whose cube is the fraction."""
    return 0.01 + 0.99 * (value + 1.0) / 2.0


def from_axis(u: Tensor) -> Tensor:
    """The map value of a u; below -1 for u below 0.01."""
    return 2.0 * (u - 0.01) / 0.99 - 1.0


def melanosome_fraction(melanin: Tensor, parameters: SkinParameters = PUBLISHED) -> Tensor:
    """Melanosome volume fraction of the epidermis at melanin map values in [-1, 1].

    The cube spends the table's resolution where skin is light.
    """
    fraction: Tensor = parameters.max_melanosome_fraction * to_axis(melanin) ** 3
    return fraction


def blood_fraction(haemoglobin: Tensor, parameters: SkinParameters = PUBLISHED) -> Tensor:
    """Blood volume fraction of the dermis at haemoglobin map values in [-1, 1]."""
    fraction: Tensor = parameters.max_blood_fraction * to_axis(haemoglobin) ** 3
    return fraction


def _wavelengths(like: Tensor) -> Tensor:
    return torch.tensor(WAVELENGTHS, dtype=like.dtype, device=like.device)


def _baseline(p: SkinParameters, like: Tensor) -> Tensor:
    """Absorption of bloodless, unpigmented tissue (Jacques)."""
    return p.baseline_scale * (0.0244 + 8.53 * torch.exp(-(_wavelengths(like) - 154.0) / 66.2))


def _haemoglobin_absorption(p: SkinParameters, like: Tensor) -> tuple[Tensor, Tensor]:
    """Absorption of whole blood by its oxygenated and its deoxygenated haemoglobin."""
    table = figures("chromophores")
    per_extinction = 2.303 * p.haemoglobin_concentration / p.haemoglobin_molar_mass
    oxy = p.blood_oxygenation * per_extinction * table["oxyhaemoglobin_ext"].to(like)
    deoxy = (1.0 - p.blood_oxygenation) * per_extinction * table["deoxyhaemoglobin_ext"].to(like)
    return oxy, deoxy


def epidermis_transmittance(
    melanosomes: Tensor, blood: Tensor, parameters: SkinParameters = PUBLISHED
) -> Tensor:
    """Share of light that crosses the epidermis once (Lambert-Beer).

    Args:
        melanosomes: volume fraction, any shape.
        blood: volume fraction, broadcastable with ``melanosomes``.
        parameters: constants of the model.

    Returns:
        Broadcast shape + (33,), in 0..1.
    """
    p = parameters
    table = figures("chromophores")
    melanin = p.epidermis_thickness * (
        p.eumelanin_share * p.eumelanin_concentration * table["eumelanin_ext"].to(melanosomes)
        + (1.0 - p.eumelanin_share)
        * p.pheomelanin_concentration
        * table["pheomelanin_ext"].to(melanosomes)
    )
    oxy, deoxy = _haemoglobin_absorption(p, melanosomes)
    # Oxygenation enters a second time here; the published table was computed so.
    whole_blood = p.blood_oxygenation * oxy + (1.0 - p.blood_oxygenation) * deoxy
    melanosomes = melanosomes.unsqueeze(-1)
    blood = p.epidermis_blood_share * blood.unsqueeze(-1)
    absorption = (
        melanosomes * melanin
        + blood * whole_blood
        + (1.0 - melanosomes - blood) * (p.epidermis_baseline_path * _baseline(p, melanosomes))
    )
    return torch.exp(-absorption)


def dermis_reflectance(blood: Tensor, parameters: SkinParameters = PUBLISHED) -> Tensor:
    """Share of light that the dermis returns, and the tissue below it (Kubelka-Munk).

    Args:
        blood: volume fraction, any shape.
        parameters: constants of the model.

    Returns:
        Shape of ``blood`` + (33,), in 0..1.
    """
    p = parameters
    wavelength = _wavelengths(blood)
    oxy, deoxy = _haemoglobin_absorption(p, blood)
    whole_blood = _packed(oxy + deoxy, p.vessel_radius)
    baseline = _baseline(p, blood)
    blood = blood.unsqueeze(-1)
    absorption = p.diffuse_path * (blood * whole_blood + (1.0 - blood) * baseline)
    mie, rayleigh = 2e5 * wavelength**-1.5, 2e12 * wavelength**-4.0
    scattering = p.scattering_scale * (mie + rayleigh)
    k = torch.sqrt(absorption * (absorption + 2.0 * scattering))
    beta = torch.sqrt(absorption / (absorption + 2.0 * scattering))
    # Numerator and denominator divided by e^{Kd}, which overflows for a thick or dark layer.
    faded = torch.exp(-2.0 * k * p.dermis_thickness)
    divisor = (1.0 + beta) ** 2 - (1.0 - beta) ** 2 * faded
    layer = (1.0 - beta**2) * (1.0 - faded) / divisor
    if p.deep_scattering == 0.0:
        return layer
    deep_blood = p.deep_blood_fraction
    deep_absorption = p.diffuse_path * (deep_blood * whole_blood + (1.0 - deep_blood) * baseline)
    ratio = deep_absorption / (p.deep_scattering * scattering)
    below = 1.0 + ratio - torch.sqrt(ratio * (ratio + 2.0))  # of an infinitely thick layer
    transmitted = 4.0 * beta * torch.exp(-k * p.dermis_thickness) / divisor
    return layer + transmitted**2 * below / (1.0 - layer * below)


def _packed(whole_blood: Tensor, radius: float) -> Tensor:
    """Effective absorption of blood in vessels of a radius.

    Source: van Veen, Verkruysse and Sterenborg, Optics Letters 27(4), 2002; Svaasand et al., 1995.
    """
    if radius == 0.0:
        return whole_blood
    depth = 2.0 * radius * whole_blood
    return whole_blood * (-torch.expm1(-depth) / depth)


def reflectance(
    melanosomes: Tensor, blood: Tensor, parameters: SkinParameters = PUBLISHED
) -> Tensor:
    """Spectral reflectance of skin, R = F + (1 - F) T_epidermis^2 R_dermis, F that of its surface.

    Args:
        melanosomes: volume fraction in the epidermis, any shape.
        blood: volume fraction in the dermis, broadcastable with ``melanosomes``.
        parameters: constants of the model.

    Returns:
        Broadcast shape + (33,), in 0..1, differentiable in both fractions.
    """
    transmittance = epidermis_transmittance(melanosomes, blood, parameters)
    body = transmittance**2 * dermis_reflectance(blood, parameters)
    surface = parameters.surface_reflectance
    return surface + (1.0 - surface) * body


def reflectance_table(parameters: SkinParameters = PUBLISHED) -> Tensor:
    """The skin table R[haemoglobin, melanin, band] of shape (256, 256, 33), float64.

    Row i and column j stand for map values 2i/255 - 1 and 2j/255 - 1.
    """
    values = torch.linspace(-1.0, 1.0, TABLE_SIZE, dtype=torch.float64)
    return reflectance(
        melanosome_fraction(values, parameters)[None, :],
        blood_fraction(values, parameters)[:, None],
        parameters,
    )


def look_up(
    table: Tensor,  # [256, 256, 33], rows haemoglobin, columns melanin
    melanin: Tensor,  # [B, 1, H, W] in [-1, 1]
    haemoglobin: Tensor,  # [B, 1, H, W] in [-1, 1]
) -> Tensor:
    """Bilinear read of the skin table: reflectance of shape (B, 33, H, W).

    -1 and 1 are the centres of the first and the last entry; values beyond are clamped.
    """
    batch, _, height, width = melanin.shape
    if melanin.numel() == 0:
        return (melanin + haemoglobin).expand(-1, table.shape[2], -1, -1)
    # One image B*H high instead of B images: the table is never repeated over the batch.
    grid = torch.stack((melanin, haemoglobin), dim=-1).reshape(1, batch * height, width, 2)
    # In half precision grid_sample's offsets overflow 16 bits on the CPU and positions lose digits.
    wide = torch.promote_types(grid.dtype, torch.float32)
    read = F.grid_sample(
        table.to(wide).permute(2, 0, 1).unsqueeze(0),
        grid.to(wide),
        mode="bilinear",
        padding_mode="border",
        align_corners=True,
    )
    return read.to(table.dtype).reshape(-1, batch, height, width).transpose(0, 1)
