"""Where the page listens, and the folder that its uploads are kept in."""

from __future__ import annotations

import ipaddress
import os
import re
import shutil
import socket
import stat
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from ..errors import BioFaceNetError
from ..system.locks import LOCK_FILE, folder_lock

__all__ = [
    "bare",
    "in_url",
    "listen",
    "loopback",
    "own_names",
    "private_folder",
    "remove_leftovers",
]


PREFIX = "biofacenet-page-"
"""How folders of running pages are called."""

TRIES = 5
"""To make a folder that no other page takes for a leftover before it is locked."""


@contextmanager
def private_folder() -> Iterator[Path]:
    """Where uploads are kept, for this user alone, and gone in the end; and no telemetry of gradio.

    To be entered before gradio is imported, which reads all this once. What pages left behind that were
    killed is removed; a page that still runs holds a lock.

    Raises:
        BioFaceNetError: no folder can be made.
    """
    remove_leftovers()
    with ExitStack() as kept:
        folder = _locked_folder(kept)
        os.environ.update(
            GRADIO_TEMP_DIR=str(folder / "uploads"),
            GRADIO_ANALYTICS_ENABLED="False",
            GRADIO_RUN_HISTORY="False",
            HF_HUB_DISABLE_TELEMETRY="1",
            HF_HUB_OFFLINE="1",
            DO_NOT_TRACK="1",
        )
        yield folder


def _locked_folder(kept: ExitStack) -> Path:
    """A new folder of this page, which goes when `kept` is closed."""
    for _ in range(TRIES):
        try:
            folder = Path(tempfile.mkdtemp(prefix=PREFIX))
            kept.callback(shutil.rmtree, folder, ignore_errors=True)
            kept.enter_context(folder_lock(folder, "shows the page"))
        except (OSError, BioFaceNetError):  # the folder was taken for a leftover
            continue
        return folder
    raise BioFaceNetError(
        f"{tempfile.gettempdir()}: no folder for uploads can be made there; name another place with TMPDIR"
    )


def remove_leftovers() -> None:
    """Remove folders of this user's pages that were killed: their locks are there, and nobody holds them."""
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        with suppress(OSError, BioFaceNetError):
            told = folder.lstat()
            ours = not hasattr(os, "getuid") or told.st_uid == os.getuid()
            if not (stat.S_ISDIR(told.st_mode) and ours and (folder / LOCK_FILE).exists()):
                continue
            with folder_lock(folder, "removes what a killed page left") as held:
                if held:
                    shutil.rmtree(folder, ignore_errors=True)


def listen(host: str, port: int) -> socket.socket:
    """A listening socket.

    Raises:
        BioFaceNetError: the address or the port cannot be had.
    """
    host = bare(host)
    try:
        return _server(host, port)
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or error
        raise BioFaceNetError(
            f"cannot listen on {host} port {port} ({reason}); choose others with --host and --port"
        ) from error


def _server(host: str, port: int) -> socket.socket:
    """A listening socket of IPv4 where the host has such an address, and else of IPv6."""
    family = socket.AF_INET
    if host:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        if not any(one[0] == family for one in found):
            family = socket.AF_INET6
    both = host == "::" and socket.has_dualstack_ipv6()
    return socket.create_server((host, port), family=family, dualstack_ipv6=both)


def bare(host: str) -> str:
    """An address without the brackets that it has in a URL: ``[::1]`` is ``::1``."""
    return host[1:-1] if host.startswith("[") and host.endswith("]") else host


def in_url(host: str) -> str:
    """A host as a URL has it: ``::1`` is ``[::1]``."""
    return f"[{bare(host)}]" if ":" in host else host


def own_names(host: str) -> list[str]:
    """What this computer is called by a browser on it, that opens an address."""
    # Servers tell a host in brackets from its port in one way or the other.
    return ["localhost", "127.0.0.1", "::1", "[::1]", bare(host), in_url(host)]


def loopback(host: str) -> bool:
    """Whether only this computer can reach an address."""
    try:
        address = ipaddress.ip_address(bare(host).partition("%")[0])
    except ValueError:
        # 127.1 is short for 127.0.0.1.
        return host == "localhost" or re.fullmatch(r"127(\.\d+){0,3}", host) is not None
    inner = getattr(address, "ipv4_mapped", None) or address
    return bool(inner.is_loopback)
