"""A local web page: a photo's maps, and sliders that change them: python -m biofacenet.app."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from .cli import console, parse, run
from .errors import BioFaceNetError
from .network import BioFaceNet
from .page import Studio
from .predict import check_refine, check_size

__all__ = ["Settings", "main"]


@dataclass
class Settings:
    """A web page on this computer: a photo's maps, and sliders that change them while you watch.

    Needs pip install 'biofacenet[app]'. Photos stay in memory, and uploads in a temporary folder that is
    deleted when the program ends. Nothing is sent anywhere.
    """

    host: str = "127.0.0.1"
    """Address to listen on. With another one than this computer's own, others can use the page."""
    port: int = 7860
    """Port to listen on; 0 takes any that is free."""
    model: str = "small"
    """Network to decompose with: a shipped one by name, or a folder that training wrote."""
    size: int = 256
    """Side of the maps, in pixels; a multiple of 16."""
    network_size: int = 96
    """Side of the square that the network sees; a multiple of 16."""
    refine: int = 60
    """Steps of fitting from the network's answer."""
    most_megabytes: int = 40
    """Largest file that is taken."""
    most_megapixels: int = 50
    """Largest photo that is taken."""


@contextmanager
def private_folder() -> Iterator[Path]:
    """Where gradio keeps uploads, for this user alone, and gone in the end; and no telemetry.

    To be entered before gradio is imported, which reads all this once.
    """
    folder = Path(tempfile.mkdtemp(prefix="biofacenet-"))
    os.environ.update(
        GRADIO_TEMP_DIR=str(folder),
        GRADIO_ANALYTICS_ENABLED="False",
        GRADIO_RUN_HISTORY="False",
        HF_HUB_DISABLE_TELEMETRY="1",
        HF_HUB_OFFLINE="1",
        DO_NOT_TRACK="1",
    )
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def listen(host: str, port: int) -> socket.socket:
    """A listening socket.

    Raises:
        BioFaceNetError: the address or the port cannot be had.
    """
    try:
        return socket.create_server((host, port))
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or error
        raise BioFaceNetError(
            f"cannot listen on {host} port {port} ({reason}); choose others with --host and --port"
        ) from error


def check(settings: Settings) -> None:
    """Raise BioFaceNetError where a setting is out of range."""
    check_size(settings.size)
    check_size(settings.network_size)
    check_refine(settings.refine)
    for name in ("most_megabytes", "most_megapixels"):
        if getattr(settings, name) < 1:
            raise BioFaceNetError(f"{name} must be at least 1, got {getattr(settings, name)}")


def main() -> None:
    """Serve the page until it is stopped."""
    settings = parse(Settings, program="biofacenet.app")
    check(settings)
    if find_spec("gradio") is None:
        raise BioFaceNetError("the page needs gradio; pip install 'biofacenet[app]'")
    model = BioFaceNet.from_pretrained(settings.model)
    with private_folder(), listen(settings.host, settings.port) as door:
        import uvicorn

        from .web import loopback, serve

        port = door.getsockname()[1]
        server = serve(
            Studio(
                model=model,
                size=settings.size,
                network_size=settings.network_size,
                refine=settings.refine,
                most_megabytes=settings.most_megabytes,
                most_megapixels=settings.most_megapixels,
            ),
            settings.host,
            port,
        )
        where = f"http://{settings.host}:{port}"
        console.print(f"{where}  (Ctrl-C stops it)", markup=False)
        if not loopback(settings.host):
            console.print("others who can reach this computer can use it too", markup=False)
        console.file.flush()
        # uvicorn hands the signal on when it has shut down; the folder must go before the program does.
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
        config = uvicorn.Config(server, log_level="warning", timeout_graceful_shutdown=1)
        uvicorn.Server(config).run(sockets=[door])


if __name__ == "__main__":
    run(main)
