"""Pieces of the web page: photos to sessions, sessions to HTML. Thin, and free of gradio."""

from __future__ import annotations

import html
from collections.abc import Callable

from ..decomposition import Edit
from ..photos.boxes import crop
from ..plotting.encoding import data_uri, eight_bit, jpeg
from .examples import examples
from .knobs import spoken
from .session import Session
from .sittings import Sitting
from .tiles import Tile, change, facts, tiles
from .words import MIDDLE

__all__ = [
    "FILES",
    "NOTHING",
    "downloads",
    "example_buttons",
    "follow",
    "gallery",
    "line",
    "part_buttons",
    "picture",
    "table",
]

KINDS = {"good": "", "busy": "", "warn": "Warning: ", "bad": "Error: "}
"""Lines of status, and what stands before them for those who see no colours."""

FACE = 96
"""Side of a face's button, in pixels."""


def line(text: str, kind: str = "") -> str:
    """One line of status: good, warn, bad or busy."""
    role = "alert" if kind in ("warn", "bad") else "status"
    sign = f"<b>{KINDS[kind]}</b>" if KINDS.get(kind) else ""
    said = html.escape(" ".join(text.split()))
    return f"<div class='line {kind}' role='{role}'><span>{sign}{said}</span></div>"


NOTHING = line("Choose a photo with a face, take one with the camera, or try an example.")


def picture(stored: bytes, name: str) -> str:
    """A picture in the page itself."""
    return f"<img src='{data_uri(stored)}' alt='{html.escape(name)}' decoding='sync' draggable='false'>"


def now(session: Session, edit: Edit) -> str:
    """Pigments of the face as the sliders have them, and what they change."""
    said = spoken(edit)
    return (
        f"<div class='now' aria-live='polite'><span>Melanin <b>{change(session, 'melanin', edit)}</b></span>"
        f"<span>Blood <b>{change(session, 'haemoglobin', edit)}</b></span>"
        f"<span class='said'>{html.escape(said) if said else 'as it was found'}</span></div>"
    )


def follow(session: Session, edit: Edit, *, everywhere: bool = False) -> tuple[str, str]:
    """What changes when a slider is moved: the picture and the line below it."""
    shown = session.show(edit, everywhere=everywhere)
    return picture(shown, "after"), now(session, edit)


def table(session: Session) -> str:
    """What is known of the face, the light and the camera, with error bars."""
    rows = "".join(
        f"<tr><th scope='row'>{html.escape(name)}</th><td>{html.escape(value)}</td></tr>"
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


def _button(
    index: int, stored: bytes, title: str, pressed: bool | None = None, *, told: bool = False
) -> str:
    """A picture to press; its title is to be read where it is `told`."""
    state = "" if pressed is None else f" aria-pressed='{str(pressed).lower()}'"
    said = html.escape(title)
    words = f"<span>{said}</span>" if told else ""
    return (
        f"<button type='button' data-index='{index}' aria-label='{said}' title='{said}'{state}>"
        f"{picture(stored, '')}{words}</button>"
    )


def example_buttons() -> str:
    """Their pictures to press."""
    buttons = [
        _button(i, one.button(), f"Example {i + 1}: {one.title}")
        for i, one in enumerate(examples())
    ]
    return f"<div class='examples'>{''.join(buttons)}</div>"


def part_buttons(sitting: Sitting) -> str:
    """The faces of a photo to choose from, or its middle where it has none; nothing where one is all."""
    if len(sitting.parts) == 1 and sitting.parts[0].is_face:
        return ""
    pixels = sitting.photo().pixels
    buttons = []
    for i, part in enumerate(sitting.parts):
        stored = jpeg(eight_bit(crop(pixels, part.box, FACE)))
        title = f"Face {i + 1} of {len(sitting.parts)}" if part.is_face else f"Look at {MIDDLE}"
        buttons.append(_button(i, stored, title, i == sitting.chosen, told=not part.is_face))
    what = "<b>Faces of this photo</b>" if sitting.parts[0].is_face else ""
    return f"<div class='parts'>{what}{''.join(buttons)}</div>"
