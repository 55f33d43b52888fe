"""Change what a face is made of, and see it: python -m biofacenet.edit PHOTO --melanin 0.6."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import tyro

from .analysis.choices import check_fitted_size, check_resolution, check_size
from .cli import parse, run
from .decomposition.edit import Edit
from .errors import BioFaceNetError
from .photos.paths import expand

__all__ = ["Settings", "main"]

EXAMPLES = ("portrait.jpg --melanin 0.6", "predictions/portrait/maps.npz --specular-scale 0")


@dataclass
class Settings:
    """Change the skin, the shading, the light or the camera of a face, and render it again.

    The photo is decomposed by fitting, or by a network with --model; what the maps do not explain is
    added back, so that a photo of which nothing is changed stays as it is. For each source a folder
    in OUT gets edited.png, the whole photo; and for each face in it figure.png, before and after, and
    maps.npz.
    """

    sources: Annotated[tuple[Path, ...], tyro.conf.Positional]
    """Photos, decompositions that predict, fit or edit wrote (maps.npz), folders of photos, or patterns
    in quotes."""
    edit: Edit = field(default_factory=Edit)
    everywhere: bool = False
    """Change everything in the square, not only what looks like skin of the face."""
    out: Path = Path("edits")
    """Folder for results, one folder in it for each source."""
    model: str | None = None
    """Folder of a trained network to decompose with; fitting when not given."""
    crop: str = "face"
    """What to look at: face, whole or LEFT,TOP,SIZE, as for predict."""
    face: str = "all"
    """Which face of several: all, largest, or a number, 1 being the largest."""
    whole_image: bool = False
    """Look at all of the photo, not at faces or squares."""
    size: int | None = None
    """Longer side of what is fitted, or of what the network sees, in pixels (256; with --model 96)."""
    resolution: int = 256
    """Longer side of the maps at most, with --model."""
    device: str = "auto"
    """Where to compute: auto, cpu or cuda."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Edit what the command line names."""
    settings = parse(Settings, arguments, program="edit", examples=EXAMPLES)
    if not settings.sources:
        raise BioFaceNetError("nothing named to edit; name a photo, or the maps.npz of one")
    try:
        settings.edit.check()
    except ValueError as error:
        raise BioFaceNetError(str(error)) from error
    if settings.size is not None:
        (check_size if settings.model else check_fitted_size)(settings.size)
    check_resolution(settings.resolution)
    sources = expand(settings.sources, without=settings.out)

    from .analysis.editing import edit_all
    from .analysis.methods import ByFitting, ByNetwork, Method
    from .network.unet import BioFaceNet
    from .photos.framing import Wanted
    from .system.device import choose_device

    wanted = Wanted("image" if settings.whole_image else settings.crop, settings.face)
    device = choose_device(settings.device)
    method: Method = ByFitting(settings.size or 256, device=device)
    if settings.model is not None:
        model = BioFaceNet.from_pretrained(settings.model).to(device)
        method = ByNetwork(model, settings.size or 96, resolution=settings.resolution)
    edit_all(sources, settings.out, method, wanted, settings.edit, everywhere=settings.everywhere)


if __name__ == "__main__":
    run(main)
