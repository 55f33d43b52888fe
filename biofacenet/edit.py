"""Change what a face is made of, and see it: python -m biofacenet.edit PHOTO --melanin x2."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from .analysis.choices import check_fitted_size, check_resolution, check_size
from .cli import parse, run
from .decomposition.edit import Edit
from .errors import BioFaceNetError
from .network.folders import find
from .photos.paths import expand
from .system.files import check_folder
from .system.settings import option

__all__ = ["Settings", "main"]

EXAMPLES = (
    "portrait.jpg --melanin x2",
    "portrait.jpg --look tan --light-from left",
)


MAPS = ".npz"
"""Ending of a stored decomposition."""

FITTED_SIZE, SEEN_SIZE = 256, 96
"""Side of the image when none is given: for fitting, and for a network."""

NO_MODEL = "none"
"""In place of a network: fitting."""


@dataclass
class Settings:
    """Change the skin, the shading, the light or the camera of a face, and render it again.

    The photo is decomposed by a network; each pixel of skin is multiplied by the change of reflectance,
    so that freckles and highlights stay, and a photo of which nothing is changed stays as it is. Hair,
    eyes, brows and all else keep their colour; lips get half of a change of melanin. For each source a new
    folder in OUT gets edited.png, the whole photo; and for each face in it figure.png, before and after,
    and maps.npz.
    """

    sources: tuple[Path, ...] = option(metavar="PHOTO|MAPS", positional=True)
    """Photos, decompositions that predict, fit or edit wrote (maps.npz), folders of photos, or patterns
    in quotes."""
    edit: Edit = field(default_factory=Edit)
    everywhere: bool = False
    """Change everything in the square, not only what looks like skin of the face."""
    out: Path = Path("edits")
    """Folder for results, one folder in it for each source."""
    overwrite: bool = False
    """Replace earlier results in the folders; they are numbered otherwise."""
    model: str = option("small", metavar="NAME|FOLDER|none")
    """Network to decompose with: small, which comes with the package; a folder that training wrote; or
    owner/name of one on the Hugging Face hub. With none it is fitted."""
    crop: str = option("face", metavar="face|whole|LEFT,TOP,SIZE")
    """Part of each photo: face finds every face, and refuses a photo without one; whole is the central
    square; LEFT,TOP,SIZE is a square in pixels."""
    face: str = option("all", metavar="all|largest|NUMBER")
    """Which face of several; 1 is the largest."""
    whole_image: bool = False
    """Take all of the photo, not faces or squares."""
    size: int | None = option(None, shown=f"{SEEN_SIZE}; with --model none: {FITTED_SIZE}")
    """Longer side of the image that is fitted, or that the network sees, in pixels."""
    resolution: int = 512
    """Longer side of the maps at most, in pixels; by fitting they have SIZE."""
    device: str = option("auto", metavar="auto|cpu|cuda")
    """Where to compute."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Edit what the command line names."""
    settings = parse(Settings, arguments, program="edit", examples=EXAMPLES)
    try:
        settings.edit.check()
        change = settings.edit.read()
    except ValueError as error:
        raise BioFaceNetError(str(error)) from error
    fitted = settings.model == NO_MODEL
    if settings.size is not None:
        (check_fitted_size if fitted else check_size)(settings.size)
    check_resolution(settings.resolution)
    check_folder(settings.out)
    if not fitted:
        find(settings.model)
    elif settings.edit.light_from is not None and not _only_maps(settings.sources):
        raise BioFaceNetError(
            "--light-from needs normals, which a network tells and fitting does not; leave --model none out"
        )
    sources = expand(settings.sources, without=settings.out, tell=True)

    from .analysis.editing import Doing, edit_all
    from .analysis.methods import ByFitting, ByNetwork, Method
    from .network.unet import BioFaceNet
    from .photos.framing import Wanted
    from .system.device import choose_device

    wanted = Wanted("image" if settings.whole_image else settings.crop, settings.face)
    device = choose_device(settings.device)
    method: Method = ByFitting(settings.size or FITTED_SIZE, device=device)
    if not fitted:
        model = BioFaceNet.from_pretrained(settings.model).to(device)
        if settings.edit.light_from is not None and model.shape is None:
            raise BioFaceNetError(
                f"--light-from needs normals, which the network {settings.model} does not tell; name one "
                "that was trained with --shape-weights"
            )
        method = ByNetwork(model, settings.size or SEEN_SIZE, resolution=settings.resolution)
    how = Doing(everywhere=settings.everywhere, overwrite=settings.overwrite)
    edit_all(sources, settings.out, method, wanted, change, how)


def _only_maps(sources: Sequence[Path]) -> bool:
    return all(path.suffix.lower() == MAPS for path in sources)


if __name__ == "__main__":
    run(main)
