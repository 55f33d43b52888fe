"""The network: one face image in, one decomposition out; and its files."""

from typing import TYPE_CHECKING

from ..system.lazy import lazy

if TYPE_CHECKING:
    from .deployed import Deployed as Deployed
    from .exporting import export as export
    from .folders import SHIPPED as SHIPPED
    from .folders import list_models as list_models
    from .sizes import SIZES as SIZES
    from .unet import BioFaceNet as BioFaceNet

__all__ = ["SHIPPED", "SIZES", "BioFaceNet", "Deployed", "export", "list_models"]

__getattr__ = lazy(
    __name__,
    {
        "BioFaceNet": "unet",
        "Deployed": "deployed",
        "SHIPPED": "folders",
        "SIZES": "sizes",
        "export": "exporting",
        "list_models": "folders",
    },
)
