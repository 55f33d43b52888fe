"""Decompose photographs: python -m biofacenet.predict PHOTO [PHOTO ...]."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from .analysis.choices import Format, check_refine, check_resolution, check_size, check_smoothing
from .cli import parse, program_name, run
from .network.folders import find
from .photos.paths import EXAMPLE, PHOTO_ENDINGS, VIDEO_ENDINGS, expand
from .photos.white_choice import white_choice
from .system.files import check_folder
from .system.settings import option

__all__ = ["Settings", "main"]

EXAMPLES = ("portrait.jpg", "album --out maps --format exr --refine 60")


Against: TypeAlias = Literal["none", "fit"]


@dataclass
class Settings:
    """Decompose photos: what the colour of a face is made of.

    Melanin, blood, shading, light and camera, as a network sees them.

    For each face, a folder in OUT gets figure.png, which shows everything on one sheet; each map
    as a picture, plain and with its scale; maps.npz, the numbers behind them; the light and the camera
    as plots and tables; and summary.json. For a video it gets figure.mp4, which shows everything side
    by side; each map as a video; frames.csv, with light and camera of each frame; and summary.json.
    """

    photos: tuple[Path, ...] = option(
        (), shown="a synthetic face that comes with the package", metavar="PHOTO", positional=True
    )
    """Photos (JPEG, PNG, WebP, TIFF, BMP, GIF, AVIF, HEIC or JXL), videos (MP4, MOV, MKV, WebM or AVI),
    folders of them, or patterns in quotes."""
    model: str = "small"
    """Network to decompose with: small, which comes with the package; a folder that training wrote; or
    owner/name of one on the Hugging Face hub."""
    out: Path = Path("predictions")
    """Folder for results, one folder in it for each face or video."""
    crop: str = option("face", metavar="face|whole|LEFT,TOP,SIZE")
    """Part of each photo: face finds every face, and refuses a photo without one; whole is the central
    square; LEFT,TOP,SIZE is a square in pixels."""
    face: str = option("all", metavar="all|largest|NUMBER")
    """Which face of several; 1 is the largest. A video has one face: the largest, or that number of its
    first frame that shows it."""
    whole_image: bool = False
    """Take all of the photo, not faces or squares."""
    size: int = 96
    """Longer side of the image that the network sees, in pixels; a multiple of 16. Networks know faces
    best at the size they were trained on."""
    resolution: int = 1024
    """Longer side of the maps at most, in pixels; they are as large as the face is in the photo, and no
    smaller than SIZE. Of videos the maps have SIZE."""
    refine: int = option(0, metavar="STEPS")
    """Steps of fitting from the network's answer, at the resolution of the maps: closer to the photo; a
    second for 60 of them at 256 x 256."""
    smoothing: float = option(1.0, metavar="SECONDS")
    """Seconds over which light and camera of a video are averaged."""
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
    against: Against = "none"
    """Ask another method about photos too, fit, a second or two each, and say on the sheet where the
    pigments of both exclude each other."""
    format: tuple[Format, ...] = option((), shown="no others")
    """Other formats for the maps of photos: png16 (16 bits), exr (OpenEXR, float)."""
    device: str = option("auto", metavar="auto|cpu|cuda")
    """Where to compute."""
    overwrite: bool = False
    """Replace earlier results in the folders; they are numbered otherwise."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Decompose the photos that the command line names."""
    settings = parse(Settings, arguments, program="predict", examples=EXAMPLES)
    check_size(settings.size)
    check_refine(settings.refine)
    check_resolution(settings.resolution)
    check_smoothing(settings.smoothing)
    white = white_choice(settings.white, settings.reference, settings.white_reflectance)
    check_folder(settings.out)
    endings = PHOTO_ENDINGS | VIDEO_ENDINGS
    photos = expand(settings.photos or (EXAMPLE,), endings=endings, without=settings.out, tell=True)
    find(settings.model)

    from .analysis.batch import Writing, process
    from .analysis.formats import check_formats
    from .analysis.methods import Beside, ByFitting, ByNetwork, Method
    from .analysis.video import VideoSettings, decompose_video
    from .analysis.whitening import beside_white
    from .network.unet import BioFaceNet
    from .photos.framing import Wanted
    from .system.console import console
    from .system.device import choose_device

    wanted = Wanted("image" if settings.whole_image else settings.crop, settings.face)
    check_formats(settings.format)
    device = choose_device(settings.device)
    model = BioFaceNet.from_pretrained(settings.model).to(device)
    said = f"model {settings.model}, on {device}"

    def video(path: Path, folder: Path) -> str:
        how = VideoSettings(wanted, settings.size, settings.smoothing, said, white)
        return decompose_video(model, path, folder, how)

    if not settings.photos:
        console.print(
            "no photo named: this is a synthetic face that comes with the package; for your own, "
            f"{program_name('predict')} portrait.jpg",
            markup=False,
        )
    method: Method = ByNetwork(model, settings.size, settings.refine, settings.resolution)
    if settings.against == "fit":
        method = Beside(method, ByFitting(skin=model.skin, device=device))
    process(
        photos,
        settings.out,
        beside_white(method, white),
        wanted,
        said=said,
        writing=Writing(settings.format, settings.show_all, settings.overwrite),
        video=video,
    )


if __name__ == "__main__":
    run(main)
