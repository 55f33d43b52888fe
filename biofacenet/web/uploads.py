"""Where the page listens, and where its uploads are kept."""

from __future__ import annotations

import os
import shutil
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..errors import BioFaceNetError

__all__ = ["listen", "private_folder"]


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
