"""A local web page: a photo's maps, and sliders that change them: python -m biofacenet.app."""

from __future__ import annotations

import signal
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec

from .analysis.choices import check_refine, check_resolution, check_size
from .cli import parse, run
from .errors import BioFaceNetError
from .network.folders import find
from .system.settings import option

__all__ = ["Settings", "main"]

EXAMPLES = ("", "--port 8000 --model runs/001/model")


@dataclass
class Settings:
    """A web page on this computer: a photo's maps, and sliders that change them while you watch.

    Needs pip install 'biofacenet[app]'. Photos stay in memory, and uploads in a temporary folder that is
    deleted when the program ends. Nothing is sent anywhere.
    """

    host: str = option("127.0.0.1", metavar="ADDRESS")
    """Address to listen on. With another one than this computer's own, others can use the page."""
    port: int = 7860
    """Port to listen on; 0 takes any that is free."""
    model: str = "small"
    """Network to decompose with: small, which comes with the package; a folder that training wrote; or
    owner/name of one on the Hugging Face hub."""
    size: int = 96
    """Longer side of the image that the network sees, in pixels; a multiple of 16."""
    resolution: int = 256
    """Longer side of the maps, in pixels."""
    refine: int = option(60, metavar="STEPS")
    """Steps of fitting from the network's answer, at the resolution of the maps; 0 for none."""
    most_megabytes: int = 40
    """Largest file that is taken, in megabytes."""
    most_megapixels: int = 50
    """Largest photo that is taken, in megapixels."""


def check(settings: Settings) -> None:
    """Raise BioFaceNetError where a setting is out of range."""
    check_size(settings.size)
    check_resolution(settings.resolution)
    check_refine(settings.refine)
    for name in ("most_megabytes", "most_megapixels"):
        if getattr(settings, name) < 1:
            raise BioFaceNetError(f"{name} must be at least 1, got {getattr(settings, name)}")


def main(arguments: Sequence[str] | None = None) -> None:
    """Serve the page until it is stopped."""
    settings = parse(Settings, arguments, program="app", examples=EXAMPLES)
    check(settings)
    find(settings.model)
    if find_spec("gradio") is None:
        raise BioFaceNetError("the page needs gradio; pip install 'biofacenet[app]'")

    from .network.unet import BioFaceNet
    from .system.console import console
    from .web.studio import Studio
    from .web.uploads import in_url, listen, loopback, private_folder

    model = BioFaceNet.from_pretrained(settings.model)
    with private_folder() as folder, listen(settings.host, settings.port) as door:
        import uvicorn

        from .web.inbox import Inbox
        from .web.server import serve

        port = door.getsockname()[1]
        server = serve(
            Studio(
                model=model,
                name=settings.model,
                size=settings.size,
                resolution=settings.resolution,
                refine=settings.refine,
                most_megabytes=settings.most_megabytes,
                most_megapixels=settings.most_megapixels,
            ),
            Inbox(folder / "uploads"),
            settings.host,
            port,
        )
        where = f"http://{in_url(settings.host)}:{port}"
        console.print(f"{where}  (Ctrl-C stops it)", markup=False)
        if not loopback(settings.host):
            console.print("others who can reach this computer can use it too", markup=False)
        console.file.flush()
        # uvicorn hands the signal on when it has shut down; the folder must go before the program does.
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
        config = uvicorn.Config(
            server, log_level="warning", timeout_graceful_shutdown=1, limit_concurrency=200
        )
        uvicorn.Server(config).run(sockets=[door])


if __name__ == "__main__":
    run(main)
