"""Maps that explain what was measured, found without a network."""

from typing import TYPE_CHECKING

from ..system.lazy import lazy

if TYPE_CHECKING:
    from .enlarging import enlarge as enlarge
    from .enlarging import explain as explain
    from .hyperspectral import Inversion as Inversion
    from .hyperspectral import invert as invert
    from .image import Fit as Fit
    from .image import Start as Start
    from .image import fit as fit
    from .lighting import fit_lighting as fit_lighting
    from .objective import Priors as Priors
    from .spectra import SpectraFit as SpectraFit
    from .spectra import fit_spectra as fit_spectra
    from .uncertainty import Uncertainty as Uncertainty
    from .uncertainty import estimate as estimate

__all__ = [
    "Fit",
    "Inversion",
    "Priors",
    "SpectraFit",
    "Start",
    "Uncertainty",
    "enlarge",
    "estimate",
    "explain",
    "fit",
    "fit_lighting",
    "fit_spectra",
    "invert",
]

__getattr__ = lazy(
    __name__,
    {
        "Fit": "image",
        "Inversion": "hyperspectral",
        "Priors": "objective",
        "SpectraFit": "spectra",
        "Start": "image",
        "Uncertainty": "uncertainty",
        "enlarge": "enlarging",
        "estimate": "uncertainty",
        "explain": "enlarging",
        "fit": "image",
        "fit_lighting": "lighting",
        "fit_spectra": "spectra",
        "invert": "hyperspectral",
    },
)
