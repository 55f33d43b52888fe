"""Pieces of the web page: photos to sessions, sessions to HTML. Thin, and free of gradio."""

from __future__ import annotations

import html
from collections.abc import Callable

import torch

from ..decomposition import Edit
from ..plotting.encoding import data_uri, eight_bit, jpeg
from .session import Session
from .studio import EXAMPLE_SIDE, examples
from .tiles import Tile, change, facts, tiles

__all__ = [
    "FILES",
    "NOTHING",
    "downloads",
    "example_buttons",
    "follow",
    "gallery",
    "line",
    "picture",
    "table",
]

NOTHING = "<div class='line'>Choose a photo with a face, take one with the camera, or try an example.</div>"


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


def follow(session: Session, edit: Edit, *, everywhere: bool = False) -> tuple[str, str]:
    """What changes when a slider is moved: the picture and the line below it."""
    shown = session.show(edit, everywhere=everywhere)
    return picture(shown, "after"), now(session, edit)


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
