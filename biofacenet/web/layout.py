"""The web page itself: gradio's layout, and what leads to what.

Import this only inside `biofacenet.web.uploads.private_folder`: gradio reads its environment once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import gradio as gr

from ..physics.camera import COORDINATE_RANGE
from ..physics.illuminant import CCT_RANGE
from .html import NOTHING, example_buttons, line
from .inbox import Inbox
from .knobs import AREAS, CARDS, KNOBS, LIGHT_NAMES, LIGHTS, LOOK_NAMES, SIDES
from .replies import Replies
from .studio import Studio

__all__ = ["AROUND", "build"]

AROUND = """<style>
:root { --body-text-color-subdued: #5d6670 !important; --block-info-text-color: #5d6670 !important; }
.dark { --body-text-color-subdued: #a7b0bb !important; --block-info-text-color: #a7b0bb !important; }
gradio-app .gradio-container .main { max-width: 1240px !important; }
/* Focus shows wherever it is, on light and on dark. */
gradio-app :is(a, button, input, select, textarea, summary, [tabindex], [role]):focus-visible {
  outline: 3px solid #1f6feb !important; outline-offset: 2px !important;
  box-shadow: 0 0 0 2px #fff !important;
}
gradio-app label:has(> input:focus-visible) {
  outline: 3px solid #1f6feb !important; outline-offset: 1px !important;
}
@media (max-width: 767px) {
  gradio-app .gradio-container, gradio-app .gradio-container .main { padding: 6px !important; }
  /* Hidden, it would take the place that the picture sticks to. */
  gradio-app .gradio-container { overflow: clip !important; }
}
</style>"""
"""Looks of what gradio puts around the page; page.css, which it confines to the page, cannot reach it."""

# The page ------------------------------------------------------------------------------------

SPLIT = """
<div class='bar'></div><span class='left'>before</span><span class='right'>after</span>
<input type='range' min='0' max='100' value='50' step='0.5' aria-label='Before and after'>
"""

ON_SPLIT = """
element.addEventListener('input', event => {
  const stage = element.closest('#stage'), place = Number(event.target.value);
  stage.style.setProperty('--split', place + '%');
  stage.style.setProperty('--left', place > 12 ? 1 : 0);
  stage.style.setProperty('--right', place < 88 ? 1 : 0);
});
"""

ON_PICTURE = """
element.addEventListener('click', event => {
  const button = event.target.closest('button');
  if (button) trigger('click', {index: Number(button.dataset.index)});
});
"""


def _html(value: str = "", **options: Any) -> gr.HTML:
    """A piece of the page, in its own looks."""
    return gr.HTML(value, apply_default_css=False, **options)


def _sent(payload: Any) -> str | None:
    """Path of an uploaded file, which `Inbox.taken` checks; gradio would open it by itself."""
    return None if payload is None else payload.path


def _as_it_is(payload: Any) -> Any:
    """A value unchecked: `edit_of` and `Studio.look` check it, and say in one line what is wrong with it."""
    return payload


# Panels --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Entry:
    """Where a photo comes in, and how it is to be decomposed."""

    upload: gr.Image
    examples: gr.HTML
    method: gr.Radio
    white: gr.Textbox
    share: gr.Dropdown

    @property
    def told(self) -> list[Any]:
        """What white is said to be."""
        return [self.white, self.share]


def _entry(app: Studio) -> Entry:
    with gr.Row():
        with gr.Column(scale=3, min_width=280):
            upload = gr.Image(
                sources=["upload", "webcam", "clipboard"],
                type="filepath",
                label="Photo",
                height=230,
                elem_id="upload",
                buttons=[],
                placeholder="Drop a photo of a face\n- or -\nclick to choose one",
            )
            # As it was sent: `read_photo` knows profiles, depths and damage better.
            upload.preprocess = _sent
        with gr.Column(scale=3, min_width=280):
            _html("<b>Examples</b>")
            chosen = _html(example_buttons(), js_on_load=ON_PICTURE, elem_id="examples")
            method = gr.Radio(
                app.methods,
                value=app.methods[0],
                label="Method",
                visible=len(app.methods) > 1,
                elem_id="method",
            )
            method.preprocess = _as_it_is
            with gr.Row():
                white = gr.Textbox(
                    label="White: auto, or LEFT,TOP,WIDTH,HEIGHT of a card",
                    placeholder="not known",
                    max_length=60,
                    elem_id="white",
                    min_width=180,
                )
                white.preprocess = _as_it_is
                share = _choice(CARDS, "Card", elem_id="card", min_width=120)
    return Entry(upload, chosen, method, white, share)


@dataclass(frozen=True)
class Stage:
    """The picture, before and after, and what is said below it."""

    before: gr.HTML
    after: gr.HTML
    said: gr.HTML


def _stage() -> Stage:
    with gr.Column(scale=5, min_width=280, elem_id="picture"):
        with gr.Group(elem_id="stage"):
            before = _html(elem_id="before")
            after = _html(elem_id="after")
            _html(SPLIT, js_on_load=ON_SPLIT, elem_id="split")
        said = _html(elem_id="now")
    return Stage(before, after, said)


@dataclass(frozen=True)
class Knobs:
    """What changes the picture; in this order their values travel."""

    numbers: tuple[gr.Slider, ...]
    """One of each `biofacenet.web.knobs.KNOBS`."""
    choices: tuple[gr.Dropdown, ...]
    """One of each `biofacenet.web.knobs.CHOICES`, the light the last."""
    cct: gr.Slider
    b1: gr.Slider
    b2: gr.Slider
    everywhere: gr.Checkbox

    @property
    def all(self) -> list[Any]:
        """Every knob, in order."""
        return [*self.numbers, *self.choices, self.cct, self.b1, self.b2, self.everywhere]


@dataclass(frozen=True)
class Panel:
    """The knobs, and what else is beside the picture."""

    knobs: Knobs
    lamp: gr.File
    curves: gr.File
    reset: gr.Button
    links: gr.HTML


def _slider(low: float, high: float, value: float, step: float, label: str) -> gr.Slider:
    slider = gr.Slider(low, high, value=value, step=step, label=label)
    slider.preprocess = _as_it_is
    return slider


def _choice(names: Mapping[str, str], label: str, **options: Any) -> gr.Dropdown:
    """One of several words; the first changes nothing."""
    choices = [(name, word) for word, name in names.items()]
    found = gr.Dropdown(choices, value=choices[0][1], label=label, **options)
    found.preprocess = _as_it_is
    return found


def _csv(label: str, name: str) -> gr.File:
    """A place for a measured light or camera, which counts until it is taken away."""
    file = gr.File(
        file_types=[".csv", ".txt", ".tsv"], type="filepath", label=label, elem_id=name, height=140
    )
    file.preprocess = _sent
    return file


def _panel() -> Panel:
    """All knobs, the button that puts them to rest, and links to files."""
    low, high = COORDINATE_RANGE
    lights = {one: LIGHT_NAMES.get(one, f"{one}: fluorescent") for one in LIGHTS}
    with gr.Column(scale=4, min_width=280, elem_id="sliders"):
        with gr.Tab("Skin"):
            with gr.Row():
                look = _choice(LOOK_NAMES, "Look", elem_id="look", min_width=120)
                areas = _choice(AREAS, "Where", elem_id="areas", min_width=120)
            _html("<p class='hint'>0 leaves it as it was found; 100 more is twice as much.</p>")
            numbers = tuple(_slider(one.low, one.high, 0, 1, one.label) for one in KNOBS)
        with gr.Tab("Light, camera"):
            side = _choice(SIDES, "Light comes", elem_id="side")
            light = _choice(
                lights,
                "Light",
                elem_id="light",
                info="Cameras balance white: another light changes skin beside white.",
            )
            cct = _slider(*CCT_RANGE, 6500, 50, "Daylight temperature, kelvin")
            b1 = _slider(low, high, 0, 0.02, "Camera b1")
            b2 = _slider(low, high, 0, 0.02, "Camera b2")
            with gr.Row():
                lamp = _csv("Light of a file: nm, power", "light-file")
                curves = _csv("Camera of a file: nm, R, G, B", "camera-file")
        with gr.Row():
            everywhere = gr.Checkbox(label="Change more than skin", container=False)
            reset = gr.Button("Put all back", size="sm", elem_id="reset")
        links = _html(elem_id="downloads")
    knobs = Knobs(numbers, (look, areas, side, light), cct, b1, b2, everywhere)
    return Panel(knobs, lamp, curves, reset, links)


# What leads to what --------------------------------------------------------------------------


INSTANT: dict[str, Any] = {
    "queue": False,
    "show_progress": "hidden",
    "trigger_mode": "always_last",
    "api_visibility": "private",
}
"""Of what follows at once."""


def build(app: Studio, inbox: Inbox) -> gr.Blocks:
    """The page: its panels, and what leads to what."""
    with gr.Blocks(title="BioFaceNet", analytics_enabled=False, delete_cache=(60, 600)) as page:
        name = gr.State("", time_to_live=3600, delete_callback=app.sittings.drop)
        _html(
            "<h1>BioFaceNet</h1><p>What a face's colour is made of. Everything stays on this computer.</p>",
            elem_id="title",
        )
        entry = _entry(app)
        status = _html(NOTHING, elem_id="status")
        parts = _html(js_on_load=ON_PICTURE, elem_id="parts")
        with gr.Column(visible=False, elem_id="results") as results:
            with gr.Row(elem_id="work"):
                stage = _stage()
                panel = _panel()
            with gr.Accordion("The estimate, with 68 % intervals", open=True):
                known = _html(elem_id="facts")
            maps = _html(elem_id="maps")

        knobs, files = panel.knobs, [panel.lamp, panel.curves]
        seen, follows = [stage.after, stage.said], [*knobs.all, *files]
        everything = [name, status, parts, results, stage.before, maps, known, panel.links]
        everything += [*seen, *follows]
        reply = Replies(app, inbox, len(knobs.all))
        _lead_to_photos(entry, parts, reply, name, status, everything)
        inputs = [name, *knobs.all]
        others = [knob.input for knob in knobs.all if knob is not knobs.cct]
        gr.on(others, reply.show, inputs, seen, **INSTANT)
        knobs.cct.input(reply.show_daylight, inputs, [*seen, knobs.choices[-1]], **INSTANT)
        for file, measured in ((panel.lamp, reply.lamp), (panel.curves, reply.curves)):
            given = [name, file, *knobs.all]
            gr.on([file.upload, file.clear], measured, given, seen, **INSTANT)
        panel.reset.click(reply.rest, name, [*seen, *follows], **INSTANT)
    # Gradio would take any file of this computer for an upload until it is said to have begun.
    page.has_launched = True
    return page


def _lead_to_photos(
    entry: Entry,
    parts: gr.HTML,
    reply: Replies,
    name: gr.State,
    status: gr.HTML,
    everything: list[Any],
) -> None:
    """A photo, an example, a face or another method: some seconds of work, one photo at a time."""
    busy = line("Looking at the face: some seconds …", "busy")
    upload, chosen, method = entry.upload, entry.examples, entry.method
    hidden: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
    # It takes all cores.
    analysis: dict[str, Any] = {"concurrency_id": "analysis", **hidden}
    begun = [upload.input, chosen.click, parts.click, method.input, entry.white.submit]
    white = entry.told
    gr.on(begun, lambda: busy, None, status, queue=False, **hidden)
    upload.input(reply.file, [upload, method, name, *white], everything, **analysis)
    chosen.click(reply.example, [method, name], everything, **analysis)
    parts.click(reply.part, [method, name, *white], everything, **analysis)
    again = [method.input, entry.white.submit, entry.share.input]
    gr.on(again, reply.again, [method, name, *white], everything, **analysis)
