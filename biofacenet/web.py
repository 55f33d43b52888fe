"""The web page itself: gradio's layout, what leads to what, and the server that it is mounted on.

Import this only inside `biofacenet.app.private_folder`: gradio reads its environment once.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fastapi
import gradio as gr
from starlette.middleware.trustedhost import TrustedHostMiddleware

from .errors import BioFaceNetError
from .page import (
    FILES,
    NOTHING,
    Studio,
    downloads,
    example_buttons,
    examples,
    follow,
    gallery,
    line,
    picture,
    table,
)
from .photo import Photo
from .physics.camera import COORDINATE_RANGE
from .physics.illuminant import CCT_RANGE
from .session import LIGHTS, Edit, Session

__all__ = ["build", "loopback", "serve"]

LOG = logging.getLogger(__name__)

LIGHT_NAMES = {
    "as found": "as found in the photo",
    "D": "D: daylight of the temperature below",
    "D50": "D50: daylight, 5003 K",
    "D55": "D55: daylight, 5503 K",
    "D65": "D65: daylight, 6504 K",
    "D75": "D75: daylight, 7504 K",
    "A": "A: incandescent lamp, 2856 K",
    "F2": "F2: cool white fluorescent",
    "F7": "F7: daylight fluorescent",
    "F11": "F11: three-band fluorescent, 4000 K",
}
CONTENT_POLICY = (
    "default-src 'self'; img-src 'self' data: blob:; media-src 'self' blob:; font-src 'self' data:; "
    "style-src 'self' 'unsafe-inline'; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:; "
    "connect-src 'self' data: blob:; worker-src 'self' blob:; frame-ancestors 'self'; form-action 'self'"
)
"""The page may load from this server and from nowhere else."""

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


def build(app: Studio) -> gr.Blocks:
    """The page: layout and what leads to what."""
    low, high = COORDINATE_RANGE
    with gr.Blocks(title="BioFaceNet", analytics_enabled=False, delete_cache=(60, 600)) as page:
        name = gr.State("", time_to_live=3600, delete_callback=app.sessions.drop)
        _html(
            "<h1>BioFaceNet</h1><p>What a face's colour is made of. Everything stays on this computer.</p>",
            elem_id="title",
        )
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
        status = _html(NOTHING, elem_id="status")
        with gr.Column(visible=False, elem_id="results") as results:
            with gr.Row(elem_id="work"):
                with gr.Column(scale=5, min_width=280, elem_id="picture"):
                    with gr.Group(elem_id="stage"):
                        before = _html(elem_id="before")
                        after = _html(elem_id="after")
                        _html(SPLIT, js_on_load=ON_SPLIT, elem_id="split")
                    said = _html(elem_id="now")
                with gr.Column(scale=4, min_width=280, elem_id="sliders"):

                    def slider(
                        low: float, high: float, value: float, step: float, label: str
                    ) -> Any:
                        return gr.Slider(low, high, value=value, step=step, label=label)

                    with gr.Tab("Skin"):
                        melanin_scale = slider(0, 4, 1, 0.02, "Melanosomes ×")
                        melanin = slider(-1, 1, 0, 0.01, "Melanin map +")
                        haemoglobin_scale = slider(0, 4, 1, 0.02, "Blood ×")
                        haemoglobin = slider(-1, 1, 0, 0.01, "Haemoglobin map +")
                        diffuse_scale = slider(0, 2, 1, 0.02, "Diffuse shading ×")
                        specular_scale = slider(0, 4, 1, 0.02, "Highlights ×")
                    with gr.Tab("Light, camera"):
                        light = gr.Dropdown(
                            [(LIGHT_NAMES.get(one, f"{one}: fluorescent"), one) for one in LIGHTS],
                            value=LIGHTS[0],
                            label="Light",
                            elem_id="light",
                            info="Cameras balance white: another light changes skin beside white.",
                        )
                        cct = slider(*CCT_RANGE, 6500, 50, "Daylight temperature, kelvin")
                        b1 = slider(low, high, 0, 0.02, "Camera b1")
                        b2 = slider(low, high, 0, 0.02, "Camera b2")
                    with gr.Row():
                        everywhere = gr.Checkbox(label="Change more than skin", container=False)
                        reset = gr.Button("Reset", size="sm", elem_id="reset")
                    links = _html(elem_id="downloads")
            with gr.Accordion("The estimate, with 68 % intervals", open=True):
                known = _html(elem_id="facts")
            maps = _html(elem_id="maps")

        knobs = [melanin, melanin_scale, haemoglobin, haemoglobin_scale, diffuse_scale]
        knobs += [specular_scale, light, cct, b1, b2, everywhere]

        def at_rest(session: Session) -> list[Any]:
            """Values of all knobs at which nothing changes."""
            rest = Edit()
            found = session.found
            return [
                *(rest.melanin, rest.melanin_scale, rest.haemoglobin, rest.haemoglobin_scale),
                *(rest.diffuse_scale, rest.specular_scale, rest.light),
                round(float(found.illuminant.cct[0]) / 50) * 50,
                *(round(value, 2) for value in found.camera[0].tolist()),
                rest.everywhere,
            ]

        def edit_of(session: Session, values: tuple[Any, ...]) -> Edit:
            """The edit that knobs stand for; a camera slider that was not moved changes nothing."""
            resting = at_rest(session)
            b1, b2 = (None if values[i] == resting[i] else float(values[i]) for i in (8, 9))
            return Edit(
                melanin=values[0],
                melanin_scale=values[1],
                haemoglobin=values[2],
                haemoglobin_scale=values[3],
                diffuse_scale=values[4],
                specular_scale=values[5],
                light=values[6],
                cct=values[7],
                b1=b1,
                b2=b2,
                everywhere=values[10],
            )

        def show(name: str, *values: Any) -> tuple[str, str]:
            try:
                session = app.sessions.get(name)
                edit = edit_of(session, values)
                return follow(session, edit)
            except BioFaceNetError as error:
                raise gr.Error(str(error), print_exception=False) from None

        def show_daylight(name: str, *values: Any) -> tuple[Any, ...]:
            values = (*values[:6], "D", *values[7:])
            return (*show(name, *values), "D")

        def rest(name: str) -> list[Any]:
            session = app.sessions.get(name)
            return [*follow(session, Edit()), *at_rest(session)]

        def opened(read: Callable[[], Photo], method: str, old: str) -> list[Any]:
            app.sessions.drop(old)
            try:
                name = app.open(read(), method)
            except Exception as error:
                told = str(error)
                if not isinstance(error, BioFaceNetError):
                    LOG.exception("a photo could not be decomposed")
                    told = f"this photo failed ({type(error).__name__}); try another one"
                hidden = gr.update(visible=False)
                nothing = [gr.skip()] * (6 + len(knobs))
                return ["", line(told, "bad"), hidden, *nothing]
            session = app.sessions.get(name)
            remarks = "; ".join((session.framing, *session.notes))
            return [
                name,
                line(f"{session.name}: {remarks}. {session.method}.", "good"),
                gr.update(visible=True),
                picture(session.before(), "before"),
                gallery(session),
                table(session),
                downloads(name),
                *rest(name),
            ]

        def from_file(path: str | None, method: str, old: str) -> list[Any]:
            if path is None:
                app.sessions.drop(old)
                return ["", NOTHING, gr.update(visible=False), *[gr.skip()] * (6 + len(knobs))]
            return opened(lambda: app.read(path), method, old)

        def from_example(method: str, old: str, event: gr.EventData) -> list[Any]:
            photos = examples()
            index = int(event.index) % len(photos)
            return opened(lambda: photos[index], method, old)

        def again(method: str, old: str) -> list[Any]:
            if not old:
                return [old, NOTHING, *[gr.skip()] * (7 + len(knobs))]
            photo = app.sessions.get(old).photo()
            return opened(lambda: photo, method, old)

        everything = [name, status, results, before, maps, known, links, after, said, *knobs]
        busy = line("Looking at the face: some seconds …", "busy")
        # One photo at a time: it takes all cores.
        analysis: dict[str, Any] = {"show_progress": "hidden", "concurrency_id": "analysis"}
        gr.on([upload.input, chosen.click, method.input], lambda: busy, None, status, queue=False)
        upload.input(from_file, [upload, method, name], everything, **analysis)
        chosen.click(from_example, [method, name], everything, **analysis)
        method.input(again, [method, name], everything, **analysis)
        instant: dict[str, Any] = {
            "queue": False,
            "show_progress": "hidden",
            "trigger_mode": "always_last",
        }
        others = [knob for knob in knobs if knob is not cct]
        gr.on([knob.input for knob in others], show, [name, *knobs], [after, said], **instant)
        cct.input(show_daylight, [name, *knobs], [after, said, light], **instant)
        reset.click(rest, name, [after, said, *knobs], **instant)
        # They take some seconds to make, for which the page need not wait.
        page.load(example_buttons, None, chosen, queue=False, show_progress="hidden")
    return page


class Guard:
    """Headers that keep the page from loading anything from elsewhere, and its photos out of caches."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        async def guarded(message: Any) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [
                    *message["headers"],
                    (b"content-security-policy", CONTENT_POLICY.encode()),
                    (b"referrer-policy", b"no-referrer"),
                    (b"x-content-type-options", b"nosniff"),
                ]
            await send(message)

        await self.app(scope, receive, guarded if scope["type"] == "http" else send)


def loopback(host: str) -> bool:
    """Whether only this computer can reach an address."""
    return host == "localhost" or host.startswith("127.")


def serve(app: Studio, host: str, port: int) -> fastapi.FastAPI:
    """The server of the page: gradio's, files to download, and who may load what."""
    server = fastapi.FastAPI(docs_url=None, redoc_url=None, openapi_url=None)

    def download(name: str, file: str) -> fastapi.Response:
        try:
            _, kind, make = FILES[file]
            session = app.sessions.get(name)
        except (KeyError, BioFaceNetError):
            return fastapi.Response("nothing of that name; choose the photo again\n", 404)
        headers = {
            "content-disposition": f'attachment; filename="{file}"',
            "cache-control": "no-store",
        }
        return fastapi.Response(make(session), media_type=kind, headers=headers)

    server.add_api_route("/download/{name}/{file}", download)
    server.add_middleware(Guard)
    if loopback(host):
        # A name that an attacker's page resolves to this computer does not open this one.
        hosts = ["localhost", "127.0.0.1", host]
        server.add_middleware(TrustedHostMiddleware, allowed_hosts=hosts)
    fonts = ["system-ui", "-apple-system", "Segoe UI", "sans-serif"]
    theme = gr.themes.Base(
        primary_hue="orange", font=fonts, font_mono=["ui-monospace", "monospace"], radius_size="md"
    )
    return gr.mount_gradio_app(
        server,
        build(app).queue(default_concurrency_limit=1, max_size=16),
        path="/",
        server_name=host,
        server_port=port,
        footer_links=[],
        run_history=False,
        max_file_size=app.most_megabytes * 2**20,
        ssr_mode=False,
        enable_monitoring=False,
        mcp_server=False,
        theme=theme,
        head=AROUND,
        css=(Path(__file__).parent / "page.css").read_text("utf-8"),
    )
