"""Decompose photographs without a network: python -m biofacenet.fit PHOTO [PHOTO ...]."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from .analysis.choices import Format, check_fitted_size, check_steps
from .cli import parse, run
from .network.folders import find
from .photos.paths import expand
from .photos.white_choice import white_choice
from .physics.names import SkinName
from .system.files import check_folder
from .system.settings import option

__all__ = ["Settings", "main"]

EXAMPLES = ("portrait.jpg", "portrait.jpg --skin published --size 512")


@dataclass
class Settings:
    """Decompose photos without a network: maps, light and camera that render to each photo.

    Leaves the same files as biofacenet predict. Slower than a network, a second or two a
    photo, and true to the photo to its last detail; needs no training.
    """

    photos: tuple[Path, ...] = option(metavar="PHOTO", positional=True)
    """Photos (JPEG, PNG, WebP, TIFF, BMP, GIF, AVIF, HEIC or JXL), folders of them, or patterns in quotes."""
    out: Path = Path("fits")
    """Folder for results, one folder in it for each face."""
    crop: str = option("face", metavar="face|whole|LEFT,TOP,SIZE")
    """Part of each photo: face finds every face, and refuses a photo without one; whole is the central
    square; LEFT,TOP,SIZE is a square in pixels."""
    face: str = option("all", metavar="all|largest|NUMBER")
    """Which face of several; 1 is the largest."""
    whole_image: bool = False
    """Take all of the photo, not faces or squares."""
    size: int = 256
    """Longer side of the image that is fitted, in pixels; the maps have it too."""
    steps: int = 80
    """Steps of each size, from coarse to fine; more are slower and closer."""
    skin: SkinName = "measured"
    """Constants of the skin model: published, those of the paper's authors, or measured, tuned on
    measured spectra."""
    show_all: bool = False
    """Show maps beyond the skin too, on the sheets; else the rest is greyed."""
    white: str = option("", shown="not known", metavar="auto|LEFT,TOP,WIDTH,HEIGHT")
    """What white is: a box of a white or grey card in each photo, in whole pixels; or auto, which looks for
    a grey card or a ColorChecker. Then levels of pigments are absolute."""
    reference: Path | None = option(None, shown="none", metavar="PHOTO")
    """A photo of the card under the same light and exposure, that --white is looked for in: in its middle
    when that is not given."""
    white_reflectance: str = option("", shown="white", metavar="SHARE|white|grey|paper|diffuser")
    """Share of light that the box returns; cards that are found know their own."""
    against: str = "small"
    """Network that is asked beside the fit which pixels are skin, and whether it finds the same pigments;
    none for no network. The maps are the fit's alone."""
    format: tuple[Format, ...] = option((), shown="no others")
    """Other formats for the maps: png16 (16 bits), exr (OpenEXR, float)."""
    device: str = option("auto", metavar="auto|cpu|cuda")
    """Where to compute."""
    overwrite: bool = False
    """Replace earlier results in the folders; they are numbered otherwise."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Fit the photos that the command line names."""
    settings = parse(Settings, arguments, program="fit", examples=EXAMPLES)
    check_fitted_size(settings.size)
    check_steps(settings.steps)
    white = white_choice(settings.white, settings.reference, settings.white_reflectance)
    check_folder(settings.out)
    photos = expand(settings.photos, without=settings.out, tell=True)
    if settings.against != "none":
        find(settings.against)

    from .analysis.batch import Writing, process
    from .analysis.formats import check_formats
    from .analysis.methods import Beside, ByFitting, ByNetwork, Method
    from .analysis.whitening import beside_white
    from .network.unet import BioFaceNet
    from .photos.framing import Wanted
    from .system.device import choose_device

    wanted = Wanted("image" if settings.whole_image else settings.crop, settings.face)
    check_formats(settings.format)
    device = choose_device(settings.device)
    method: Method = ByFitting(settings.size, settings.steps, settings.skin, device)
    if settings.against != "none":
        network = BioFaceNet.from_pretrained(settings.against).to(device)
        method = Beside(method, ByNetwork(network))
    process(
        photos,
        settings.out,
        beside_white(method, white),
        wanted,
        said=f"fitted without a network, on {device}",
        writing=Writing(settings.format, settings.show_all, settings.overwrite),
    )


if __name__ == "__main__":
    run(main)
