"""Pieces of the web page: photos to sessions, sessions to HTML. Thin, and free of gradio."""

from __future__ import annotations

import html
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch

from .data.synthetic import generate
from .errors import PhotoError
from .fit import analyse
from .network import BioFaceNet
from .photo import Photo, read_photo
from .pictures import eight_bit
from .predict import decompose
from .session import Edit, Session, Sessions, Tile, change, data_uri, facts, jpeg, tiles

NETWORK, FITTING = "Network, then fitted", "Fitted without a network"
EXAMPLE_SEEDS = (500_003, 500_011, 500_004)
"""Synthetic faces that are offered to try."""
EXAMPLE_SIDE = 192
NOTHING = "<div class='line'>Choose a photo with a face, take one with the camera, or try an example.</div>"


@dataclass
class Studio:
    """Photos to sessions, within limits."""

    model: BioFaceNet | None = None
    """Network to decompose with; photos are fitted without."""
    size: int = 256
    """Side of the square that is fitted, in pixels."""
    network_size: int = 96
    """Side of the square that the network sees."""
    refine: int = 60
    """Steps of fitting from the network's answer."""
    most_megabytes: int = 40
    """Largest file that is taken."""
    most_megapixels: int = 50
    """Largest photo that is taken."""
    sessions: Sessions = field(default_factory=Sessions)

    @property
    def methods(self) -> list[str]:
        """Ways to decompose, the usual one first."""
        return [FITTING] if self.model is None else [NETWORK, FITTING]

    def read(self, path: str | Path) -> Photo:
        """A photo within the limits.

        Raises:
            PhotoError: as `read_photo`; without the folder, which means nothing to who uploaded it.
        """
        path = Path(path)
        if path.stat().st_size > self.most_megabytes * 2**20:
            raise PhotoError(
                f"{path.name}: larger than {self.most_megabytes} MB; expected a smaller "
                "file, shrink it first"
            )
        try:
            return read_photo(path, max_pixels=self.most_megapixels * 1_000_000)
        except PhotoError as error:
            raise PhotoError(str(error).replace(str(path), path.name)) from error

    def open(self, photo: Photo, method: str) -> str:
        """Decompose a photo; the name of its session."""
        if method == NETWORK and self.model is not None:
            result = decompose(
                self.model,
                photo,
                size=self.network_size,
                resolution=self.size,
                refine=self.refine,
            )
        else:
            method = FITTING
            result = analyse(photo, size=self.size)
        return self.sessions.add(Session(result, method=method))


def line(text: str, kind: str = "") -> str:
    """One line of status: good, bad or busy."""
    role = " role='alert'" if kind == "bad" else " role='status'"
    return f"<div class='line {kind}'{role}>{html.escape(' '.join(text.split()))}</div>"


def picture(stored: bytes, name: str) -> str:
    """A picture in the page itself."""
    return f"<img src='{data_uri(stored)}' alt='{html.escape(name)}' decoding='sync' draggable='false'>"


def now(session: Session, edit: Edit) -> str:
    """Pigments of the face as the sliders have them."""
    return (
        f"<div class='now'><span>Melanosomes <b>{change(session, 'melanin', edit)}</b></span>"
        f"<span>Blood <b>{change(session, 'haemoglobin', edit)}</b></span></div>"
    )


def follow(session: Session, edit: Edit) -> tuple[str, str]:
    """What changes when a slider is moved: the picture and the line below it."""
    return picture(session.show(edit), "after"), now(session, edit)


def table(session: Session) -> str:
    """What is known of the face, the light and the camera, with error bars."""
    rows = "".join(
        f"<tr><td>{html.escape(name)}</td><td>{html.escape(value)}</td></tr>"
        for name, value in facts(session)
    )
    return f"<table class='facts'>{rows}</table>"


def tile(one: Tile) -> str:
    """A map with its bar."""
    bar = ""
    if one.colours:
        ticks = "".join(f"<i style='left:{100 * x:.1f}%'>{text}</i>" for x, text in one.ticks)
        bar = (
            f"<div class='scale' style='background:linear-gradient(90deg,{','.join(one.colours)})'>"
            f"</div><div class='ticks'>{ticks}</div>"
        )
    return (
        f"<figure class='tile'><figcaption><b>{html.escape(one.title)}</b>"
        f"<span>{html.escape(one.unit)}</span></figcaption>{picture(jpeg(one.picture), one.title)}"
        f"{bar}<p>{html.escape(one.value)}</p></figure>"
    )


def gallery(session: Session) -> str:
    """All maps."""
    return f"<div class='tiles'>{''.join(tile(one) for one in tiles(session))}</div>"


FILES: dict[str, tuple[str, str, Callable[[Session], bytes]]] = {
    "edited.png": ("Edited photo", "image/png", Session.edited_photo),
    "maps.npz": ("Maps", "application/octet-stream", Session.maps_file),
    "settings.json": ("Settings", "application/json", Session.settings_file),
}
"""What can be downloaded: label, kind, and how it is made."""


def downloads(name: str) -> str:
    """Links to the files of a session."""
    links = "".join(
        f"<a href='download/{name}/{file}' download='{file}'>{label}</a>"
        for file, (label, _, _) in FILES.items()
    )
    return f"<div class='downloads'>{links}</div>"


@cache
def examples() -> tuple[Photo, ...]:
    """Faces to try: synthetic ones, and scikit-image's portrait where that is installed."""
    faces = generate(EXAMPLE_SEEDS, size=EXAMPLE_SIDE).image
    photos = [
        Photo(Path(f"synthetic-{i}.png"), one, notes=("a synthetic face",))
        for i, one in enumerate(faces, 1)
    ]
    if find_spec("skimage") is not None:
        from skimage import data

        stored = np.array(data.astronaut())  # type: ignore[no-untyped-call,unused-ignore]
        portrait = torch.from_numpy(stored.transpose(2, 0, 1).copy())
        photos.insert(0, Photo(Path("astronaut.png"), portrait.float() / 255.0))
    return tuple(photos)


def example_buttons() -> str:
    """Their pictures to press."""
    buttons = []
    for i, photo in enumerate(examples()):
        pixels = photo.pixels
        if pixels.shape[1] > 2 * EXAMPLE_SIDE:
            pixels = torch.nn.functional.adaptive_avg_pool2d(pixels, EXAMPLE_SIDE)
        name = photo.path.stem
        buttons.append(
            f"<button type='button' data-index='{i}' aria-label='Example {name}' title='{name}'>"
            f"{picture(jpeg(eight_bit(pixels)), name)}</button>"
        )
    return f"<div class='examples'>{''.join(buttons)}</div>"
