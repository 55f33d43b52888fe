"""Skin, illuminant, camera, colour, lighting: one module an idea of the paper."""

from typing import TYPE_CHECKING

from ..system.lazy import lazy

if TYPE_CHECKING:
    from .camera import principal_components as principal_components
    from .camera import spectral_sensitivity as spectral_sensitivity
    from .colour import ciede2000 as ciede2000
    from .colour import cielab as cielab
    from .colour import linear_to_srgb as linear_to_srgb
    from .colour import raw_to_xyz as raw_to_xyz
    from .colour import raw_to_xyz_table as raw_to_xyz_table
    from .colour import srgb_to_linear as srgb_to_linear
    from .illuminant import ILLUMINANT_NAMES as ILLUMINANT_NAMES
    from .illuminant import Illuminant as Illuminant
    from .illuminant import daylight as daylight
    from .illuminant import spectrum as spectrum
    from .lighting import sh_shading as sh_shading
    from .measured import CameraCurves as CameraCurves
    from .measured import Spectrum as Spectrum
    from .skin import SKINS as SKINS
    from .skin import SkinParameters as SkinParameters
    from .skin import blood_fraction as blood_fraction
    from .skin import melanosome_fraction as melanosome_fraction
    from .skin import reflectance as reflectance
    from .skin import reflectance_table as reflectance_table
    from .spectra import WAVELENGTHS as WAVELENGTHS
    from .spectra import to_bands as to_bands
    from .tables import Tables as Tables
    from .temperature import correlated_temperature as correlated_temperature

__all__ = [
    "ILLUMINANT_NAMES",
    "SKINS",
    "WAVELENGTHS",
    "CameraCurves",
    "Illuminant",
    "SkinParameters",
    "Spectrum",
    "Tables",
    "blood_fraction",
    "ciede2000",
    "cielab",
    "correlated_temperature",
    "daylight",
    "linear_to_srgb",
    "melanosome_fraction",
    "principal_components",
    "raw_to_xyz",
    "raw_to_xyz_table",
    "reflectance",
    "reflectance_table",
    "sh_shading",
    "spectral_sensitivity",
    "spectrum",
    "srgb_to_linear",
    "to_bands",
]

__getattr__ = lazy(
    __name__,
    {
        "CameraCurves": "measured",
        "ILLUMINANT_NAMES": "illuminant",
        "Illuminant": "illuminant",
        "SKINS": "skin",
        "SkinParameters": "skin",
        "Spectrum": "measured",
        "Tables": "tables",
        "WAVELENGTHS": "spectra",
        "blood_fraction": "skin",
        "ciede2000": "colour",
        "cielab": "colour",
        "correlated_temperature": "temperature",
        "daylight": "illuminant",
        "linear_to_srgb": "colour",
        "melanosome_fraction": "skin",
        "principal_components": "camera",
        "raw_to_xyz": "colour",
        "raw_to_xyz_table": "colour",
        "reflectance": "skin",
        "reflectance_table": "skin",
        "sh_shading": "lighting",
        "spectral_sensitivity": "camera",
        "spectrum": "illuminant",
        "srgb_to_linear": "colour",
        "to_bands": "spectra",
    },
)
