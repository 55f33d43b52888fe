"""The server of the page: who may load what, and files to download.

Import this only inside `biofacenet.web.uploads.private_folder`: gradio reads its environment once.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import fastapi
import gradio as gr
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.responses import FileResponse, JSONResponse, PlainTextResponse, Response

from ..errors import BioFaceNetError
from .guard import FILE, UPLOAD, Guard
from .html import FILES
from .inbox import Inbox
from .layout import AROUND, build
from .studio import Studio
from .uploads import loopback, own_names

__all__ = ["serve"]

SHOWN = {
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".png": "image/png",
    ".webp": "image/webp",
    ".gif": "image/gif",
    ".bmp": "image/bmp",
    ".avif": "image/avif",
}
"""Uploads that a browser shows; all others it only saves, as a drawing may hold a program."""

NOT_CACHED = {"cache-control": "no-store"}


def serve(app: Studio, inbox: Inbox, host: str, port: int) -> fastapi.FastAPI:
    """The server of the page: gradio's, uploads, files to download, and who may load what.

    Args:
        app: what the page works with.
        inbox: where uploads lie, in the folder that gradio was told of.
        host: address to listen on.
        port: to listen on.
    """
    server = fastapi.FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    _add_files(server, app, inbox)
    server.add_middleware(Guard, inbox=inbox, most_bytes=app.most_megabytes * 2**20)
    if loopback(host):
        # A name that an attacker's page resolves to this computer does not open this one.
        server.add_middleware(TrustedHostMiddleware, allowed_hosts=own_names(host))
    fonts = ["system-ui", "-apple-system", "Segoe UI", "sans-serif"]
    theme = gr.themes.Base(
        primary_hue="orange", font=fonts, font_mono=["ui-monospace", "monospace"], radius_size="md"
    )
    return gr.mount_gradio_app(
        server,
        build(app, inbox).queue(default_concurrency_limit=1, max_size=16),
        path="/",
        server_name=host,
        server_port=port,
        footer_links=[],
        run_history=False,
        show_error=False,
        max_file_size=app.most_megabytes * 2**20,
        ssr_mode=False,
        enable_monitoring=False,
        mcp_server=False,
        theme=theme,
        head=AROUND,
        css=(Path(__file__).parent / "page.css").read_text("utf-8"),
    )


def _add_files(server: fastapi.FastAPI, app: Studio, inbox: Inbox) -> None:
    """Uploads and downloads. What they do not answer goes to gradio, in so far as the guard lets it."""

    async def upload(request: fastapi.Request) -> Response:
        form = await request.form(max_files=1, max_fields=1)
        file = form.get("files")
        if not isinstance(file, UploadFile):
            return PlainTextResponse("no file was sent; expected one\n", 400)
        path = await run_in_threadpool(inbox.keep, file.filename or "", file.file)
        return JSONResponse([str(path)])

    def uploaded(path: str) -> Response:
        if not inbox.holds(path):
            return PlainTextResponse("nothing of that name\n", 404)
        kind = SHOWN.get(Path(path).suffix.lower())
        headers = NOT_CACHED if kind else {**NOT_CACHED, "content-disposition": "attachment"}
        return FileResponse(path, media_type=kind or "application/octet-stream", headers=headers)

    def progress() -> Response:
        return Response(status_code=204)  # an upload to this computer is over at once

    def download(name: str, file: str) -> Response:
        try:
            _, kind, make = FILES[file]
            session = app.sittings.get(name).opened()
        except (KeyError, BioFaceNetError):
            return PlainTextResponse("nothing of that name; choose the photo again\n", 404)
        named = {"content-disposition": f'attachment; filename="{file}"'}
        return Response(make(session), media_type=kind, headers={**NOT_CACHED, **named})

    routes: list[tuple[str, Any, str]] = [
        (UPLOAD, upload, "POST"),
        (f"{FILE}{{path:path}}", uploaded, "GET"),
        (f"{UPLOAD}_progress", progress, "GET"),
        ("/download/{name}/{file}", download, "GET"),
    ]
    for path, answer, method in routes:
        server.add_api_route(path, answer, methods=[method], response_model=None)
