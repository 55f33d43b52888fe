"""The server of the page: who may load what, and files to download.

Import this only inside `biofacenet.web.uploads.private_folder`: gradio reads its environment once.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import fastapi
import gradio as gr
from starlette.middleware.trustedhost import TrustedHostMiddleware

from ..errors import BioFaceNetError
from .html import FILES
from .layout import AROUND, build
from .studio import Studio
from .uploads import loopback, own_names

__all__ = [
    "serve",
]

CONTENT_POLICY = (
    "default-src 'self'; img-src 'self' data: blob:; media-src 'self' blob:; font-src 'self' data:; "
    "style-src 'self' 'unsafe-inline'; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:; "
    "connect-src 'self' data: blob:; worker-src 'self' blob:; frame-ancestors 'self'; form-action 'self'"
)
"""The page may load from this server and from nowhere else."""


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
        server.add_middleware(TrustedHostMiddleware, allowed_hosts=own_names(host))
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
