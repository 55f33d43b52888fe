"""The web page itself: gradio's layout, what leads to what, and the server that it is mounted on.

Import this only inside `biofacenet.web.uploads.private_folder`: gradio reads its environment once.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import gradio as gr

from ..decomposition import Edit
from ..errors import BioFaceNetError
from ..photos.reading import Photo
from ..physics.camera import COORDINATE_RANGE
from ..physics.illuminant import CCT_RANGE
from .html import NOTHING, downloads, example_buttons, follow, gallery, line, picture, table
from .knobs import AS_FOUND, LIGHT_NAMES, LIGHTS, at_rest, edit_of
from .studio import Studio, examples

__all__ = ["AROUND", "build"]

LOG = logging.getLogger(__name__)

AROUND = """<style>
:root { --body-text-color-subdued: #5d6670 !important; --block-info-text-color: #5d6670 !important; }
.dark { --body-text-color-subdued: #a7b0bb !important; --block-info-text-color: #a7b0bb !important; }
gradio-app .gradio-container .main { max-width: 1240px !important; }
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
<input type='range' min='0' max='100' value='0' step='0.5' aria-label='Before and after'>
"""

ON_SPLIT = """
element.addEventListener('input', event => {
  const stage = element.closest('#stage');
  stage.style.setProperty('--split', event.target.value + '%');
  stage.style.setProperty('--left', event.target.value > 12 ? 1 : 0);
});
"""

ON_EXAMPLE = """
element.addEventListener('click', event => {
  const button = event.target.closest('button');
  if (button) trigger('click', {index: Number(button.dataset.index)});
});
"""


def _html(value: str = "", **options: Any) -> gr.HTML:
    """A piece of the page, in its own looks."""
    return gr.HTML(value, apply_default_css=False, **options)


def _sent(payload: Any) -> str | None:
    """Path of an uploaded file."""
    return None if payload is None else payload.path


# Panels --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Entry:
    """Where a photo comes in, and how it is to be decomposed."""

    upload: gr.Image
    examples: gr.HTML
    method: gr.Radio


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
            chosen = _html(js_on_load=ON_EXAMPLE, elem_id="examples")
            method = gr.Radio(
                app.methods,
                value=app.methods[0],
                label="Method",
                visible=len(app.methods) > 1,
                elem_id="method",
            )
    return Entry(upload, chosen, method)


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

    melanin: gr.Slider
    melanin_scale: gr.Slider
    haemoglobin: gr.Slider
    haemoglobin_scale: gr.Slider
    diffuse_scale: gr.Slider
    specular_scale: gr.Slider
    light: gr.Dropdown
    cct: gr.Slider
    b1: gr.Slider
    b2: gr.Slider
    light_file: gr.File
    camera_file: gr.File
    everywhere: gr.Checkbox

    @property
    def all(self) -> list[Any]:
        """Every knob, in order."""
        return list(vars(self).values())


def _slider(low: float, high: float, value: float, step: float, label: str) -> gr.Slider:
    return gr.Slider(low, high, value=value, step=step, label=label)


def _csv(label: str, name: str) -> gr.File:
    """A place for a measured light or camera, which counts until it is taken away."""
    return gr.File(
        file_types=[".csv", ".txt", ".tsv"], type="filepath", label=label, elem_id=name, height=90
    )


def _sliders() -> tuple[Knobs, gr.Button, gr.HTML]:
    """All knobs, the button that puts them to rest, and links to files."""
    low, high = COORDINATE_RANGE
    with gr.Column(scale=4, min_width=280, elem_id="sliders"):
        with gr.Tab("Skin"):
            melanin_scale = _slider(0, 4, 1, 0.02, "Melanosomes ×")
            melanin = _slider(-1, 1, 0, 0.01, "Melanin map +")
            haemoglobin_scale = _slider(0, 4, 1, 0.02, "Blood ×")
            haemoglobin = _slider(-1, 1, 0, 0.01, "Haemoglobin map +")
            diffuse_scale = _slider(0, 2, 1, 0.02, "Diffuse shading ×")
            specular_scale = _slider(0, 4, 1, 0.02, "Highlights ×")
        with gr.Tab("Light, camera"):
            light = gr.Dropdown(
                [(LIGHT_NAMES.get(one, f"{one}: fluorescent"), one) for one in LIGHTS],
                value=AS_FOUND,
                label="Light",
                elem_id="light",
                info="Cameras balance white: another light changes skin beside white.",
            )
            cct = _slider(*CCT_RANGE, 6500, 50, "Daylight temperature, kelvin")
            b1 = _slider(low, high, 0, 0.02, "Camera b1")
            b2 = _slider(low, high, 0, 0.02, "Camera b2")
            with gr.Row():
                light_file = _csv("Light of a file: nm, power", "light-file")
                camera_file = _csv("Camera of a file: nm, R, G, B", "camera-file")
        with gr.Row():
            everywhere = gr.Checkbox(label="Change more than skin", container=False)
            reset = gr.Button("Reset", size="sm", elem_id="reset")
        links = _html(elem_id="downloads")
    knobs = Knobs(
        melanin=melanin,
        melanin_scale=melanin_scale,
        haemoglobin=haemoglobin,
        haemoglobin_scale=haemoglobin_scale,
        diffuse_scale=diffuse_scale,
        specular_scale=specular_scale,
        light=light,
        cct=cct,
        b1=b1,
        b2=b2,
        light_file=light_file,
        camera_file=camera_file,
        everywhere=everywhere,
    )
    return knobs, reset, links


# What leads to what --------------------------------------------------------------------------


class Replies:
    """What the page answers when something is done on it."""

    def __init__(self, app: Studio, outputs: int) -> None:
        self._app = app
        self._outputs = outputs

    def show(self, name: str, *values: Any) -> tuple[str, str]:
        """A knob was moved."""
        try:
            session = self._app.sessions.get(name)
            edit, everywhere = edit_of(session, values)
            return follow(session, edit, everywhere=everywhere)
        except BioFaceNetError as error:
            raise gr.Error(str(error), print_exception=False) from None

    def show_daylight(self, name: str, *values: Any) -> tuple[Any, ...]:
        """The temperature was moved, which means daylight."""
        values = (*values[:6], "D", *values[7:])
        return (*self.show(name, *values), "D")

    def rest(self, name: str) -> list[Any]:
        """All knobs go back."""
        session = self._app.sessions.get(name)
        return [*follow(session, Edit()), *at_rest(session)]

    def file(self, path: str | None, method: str, old: str) -> list[Any]:
        """A photo was dropped, or taken away."""
        if path is None:
            self._app.sessions.drop(old)
            return self._nothing("", NOTHING, gr.update(visible=False))
        return self._opened(lambda: self._app.read(path), method, old)

    def example(self, method: str, old: str, event: gr.EventData) -> list[Any]:
        """An example was clicked."""
        photos = examples()
        index = int(event.index) % len(photos)
        return self._opened(lambda: photos[index], method, old)

    def again(self, method: str, old: str) -> list[Any]:
        """Another method was chosen."""
        if not old:
            return self._nothing(old, NOTHING, gr.skip())
        photo = self._app.sessions.get(old).photo()
        return self._opened(lambda: photo, method, old)

    def _nothing(self, name: str, status: str, results: Any) -> list[Any]:
        return [name, status, results, *[gr.skip()] * (self._outputs - 3)]

    def _opened(self, read: Callable[[], Photo], method: str, old: str) -> list[Any]:
        self._app.sessions.drop(old)
        try:
            name = self._app.open(read(), method)
        except Exception as error:
            told = str(error)
            if not isinstance(error, BioFaceNetError):
                LOG.exception("a photo could not be decomposed")
                told = f"this photo failed ({type(error).__name__}); try another one"
            return self._nothing("", line(told, "bad"), gr.update(visible=False))
        session = self._app.sessions.get(name)
        remarks = "; ".join(session.remarks)
        return [
            name,
            line(f"{session.name}: {remarks}. {session.method}.", "good"),
            gr.update(visible=True),
            picture(session.before(), "before"),
            gallery(session),
            table(session),
            downloads(name),
            *self.rest(name),
        ]


def build(app: Studio) -> gr.Blocks:
    """The page: its panels, and what leads to what."""
    with gr.Blocks(title="BioFaceNet", analytics_enabled=False, delete_cache=(60, 600)) as page:
        name = gr.State("", time_to_live=3600, delete_callback=app.sessions.drop)
        _html(
            "<h1>BioFaceNet</h1><p>What a face's colour is made of. Everything stays on this computer.</p>",
            elem_id="title",
        )
        entry = _entry(app)
        status = _html(NOTHING, elem_id="status")
        with gr.Column(visible=False, elem_id="results") as results:
            with gr.Row(elem_id="work"):
                stage = _stage()
                knobs, reset, links = _sliders()
            with gr.Accordion("The estimate, with 68 % intervals", open=True):
                known = _html(elem_id="facts")
            maps = _html(elem_id="maps")

        everything = [name, status, results, stage.before, maps, known, links, stage.after]
        everything += [stage.said, *knobs.all]
        reply = Replies(app, len(everything))
        _lead_to_photos(entry, reply, name, status, everything)
        instant: dict[str, Any] = {
            "queue": False,
            "show_progress": "hidden",
            "trigger_mode": "always_last",
        }
        files = [knobs.light_file, knobs.camera_file]
        others = [knob.input for knob in knobs.all if knob not in (knobs.cct, *files)]
        others += [event for file in files for event in (file.upload, file.clear)]
        seen, inputs = [stage.after, stage.said], [name, *knobs.all]
        gr.on(others, reply.show, inputs, seen, **instant)
        knobs.cct.input(reply.show_daylight, inputs, [*seen, knobs.light], **instant)
        reset.click(reply.rest, name, [*seen, *knobs.all], **instant)
        # They take some seconds to make, for which the page need not wait.
        page.load(example_buttons, None, entry.examples, queue=False, show_progress="hidden")
    return page


def _lead_to_photos(
    entry: Entry, reply: Replies, name: gr.State, status: gr.HTML, everything: list[Any]
) -> None:
    """A photo, an example or another method: some seconds of work, one photo at a time."""
    busy = line("Looking at the face: some seconds …", "busy")
    upload, chosen, method = entry.upload, entry.examples, entry.method
    # It takes all cores.
    analysis: dict[str, Any] = {"show_progress": "hidden", "concurrency_id": "analysis"}
    gr.on([upload.input, chosen.click, method.input], lambda: busy, None, status, queue=False)
    upload.input(reply.file, [upload, method, name], everything, **analysis)
    chosen.click(reply.example, [method, name], everything, **analysis)
    method.input(reply.again, [method, name], everything, **analysis)
