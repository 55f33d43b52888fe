"""Decompose photographs: python -m biofacenet.predict PHOTO [PHOTO ...]."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from .analysis.choices import Format, check_refine, check_resolution, check_size, check_smoothing
from .cli import parse, run
from .photos.paths import PHOTO_ENDINGS, VIDEO_ENDINGS, expand

__all__ = ["Settings", "main"]

EXAMPLES = ("portrait.jpg", "album --out maps --format exr")


@dataclass
class Settings:
    """What the colour of a face is made of: melanin, blood, shading, light and camera.

    For each face, a folder in OUT gets figure.png, which shows everything on one sheet; each map
    as a picture, plain and with its scale; maps.npz, the numbers behind them; the light and the camera
    as plots and tables; and summary.json. For a video it gets figure.mp4, which shows everything side
    by side; each map as a video; frames.csv, with light and camera of each frame; and summary.json.
    """

    photos: Annotated[tuple[Path, ...], tyro.conf.Positional]
    """Photos (JPEG, PNG, WebP, TIFF, BMP, GIF or AVIF), videos (MP4, MOV, MKV, WebM or AVI), folders
    of them, or patterns in quotes."""
    model: str = "small"
    """Folder of a network that training wrote, or owner/name of one on the Hugging Face hub; small:
    the weights that come with the package."""
    out: Path = Path("predictions")
    """Folder for results, one folder in it for each face or video."""
    crop: str = "face"
    """What to look at: 'face' finds it, and takes the central square where there is none; 'whole'
    is the central square; LEFT,TOP,SIZE is a square in pixels."""
    face: str = "all"
    """Which face of several: all, largest, or a number, 1 being the largest. A video has one face: the
    largest, or that number of its first frame that shows it."""
    whole_image: bool = False
    """Look at all of the photo, not at faces or squares."""
    size: int = 96
    """Longer side of what the network sees, in pixels; a multiple of 16. Networks know faces best at
    the size they were trained on."""
    resolution: int = 1024
    """Longer side of the maps at most; they are as large as the face is in the photo, and no smaller
    than SIZE. Of videos the maps have SIZE."""
    refine: int = 0
    """Steps of fitting from the network's answer, at the resolution of the maps: closer to the photo; a
    second for 60 of them at 256 x 256."""
    smoothing: float = 1.0
    """Seconds over which light and camera of a video are averaged."""
    format: tuple[Format, ...] = ()
    """Other formats for the maps of photos: png16 (16 bits), exr (OpenEXR, float)."""
    device: str = "auto"
    """Where to compute: auto, cpu or cuda."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Decompose the photos that the command line names."""
    settings = parse(Settings, arguments, program="predict", examples=EXAMPLES)
    check_size(settings.size)
    check_refine(settings.refine)
    check_resolution(settings.resolution)
    check_smoothing(settings.smoothing)
    photos = expand(settings.photos, endings=PHOTO_ENDINGS | VIDEO_ENDINGS, without=settings.out)

    from .analysis.batch import process
    from .analysis.formats import check_formats
    from .analysis.methods import ByNetwork
    from .analysis.video import VideoSettings, decompose_video
    from .network.unet import BioFaceNet
    from .photos.framing import Wanted
    from .system.device import choose_device

    wanted = Wanted("image" if settings.whole_image else settings.crop, settings.face)
    check_formats(settings.format)
    device = choose_device(settings.device)
    model = BioFaceNet.from_pretrained(settings.model).to(device)
    said = f"model {settings.model}, on {device}"

    def video(path: Path, folder: Path) -> str:
        how = VideoSettings(wanted, settings.size, settings.smoothing, said)
        return decompose_video(model, path, folder, how)

    method = ByNetwork(model, settings.size, settings.refine, settings.resolution)
    process(photos, settings.out, method, wanted, said=said, formats=settings.format, video=video)


if __name__ == "__main__":
    run(main)
