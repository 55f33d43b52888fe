"""Who may ask the page's server for what: before anything of gradio sees a request."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse

from .inbox import Inbox

__all__ = ["FILE", "UPLOAD", "Guard"]

CONTENT_POLICY = (
    "default-src 'self'; img-src 'self' data: blob:; media-src 'self' blob:; font-src 'self' data:; "
    "style-src 'self' 'unsafe-inline'; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:; "
    "connect-src 'self' data: blob:; worker-src 'self' blob:; frame-ancestors 'self'; form-action 'self'"
)
"""The page may load from this server and from nowhere else."""

HEADERS = {
    "content-security-policy": CONTENT_POLICY,
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}
"""Of every answer: nothing is loaded from elsewhere, and nothing can be embedded elsewhere."""

API = "/gradio_api"
UPLOAD, FILE = f"{API}/upload", f"{API}/file="

LOADED = re.compile(
    r"/|/(?:assets|static)/.+|/theme\.css|/config|/favicon\.ico|/manifest\.json|/download/[^/]+/[^/]+|"
    rf"{API}/(?:heartbeat/\w+|queue/data|upload_progress|file=.+)"
)
"""What the page loads. Gradio answers to far more: named functions, proxies, recordings, code."""

SENT = re.compile(rf"{API}/(?:run/predict|queue/join|upload)")
"""What the page sends to."""

LARGEST_MESSAGE = 256 * 1024
"""Bytes of what is sent and is no upload: a dozen numbers."""

MOST_UPLOADS = 4
"""That may come in at a time."""

SECONDS = 60.0
"""What is sent must have come within."""

DRAINED = 256 * 2**20
"""Bytes that are read and forgotten of what is too large, so that the sender hears why."""

Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


class RefusedError(Exception):
    """A request that is not answered, with its HTTP status and the reason."""

    def __init__(self, status: int, words: str) -> None:
        super().__init__(words)
        self.status = status


class Guard:
    """Lets pass what the page needs, from the page itself, within limits.

    Args:
        app: what answers, as ASGI has it.
        inbox: where uploads lie; a message that names another file is refused.
        most_bytes: largest upload.
        seconds: within which a message or an upload must have come.
    """

    def __init__(self, app: Any, inbox: Inbox, most_bytes: int, seconds: float = SECONDS) -> None:
        self.app, self.inbox = app, inbox
        self.most_bytes, self.seconds = most_bytes, seconds
        self._uploads = 0

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        if scope["type"] != "http":  # the page has no web sockets
            await send({"type": "websocket.close", "code": 1008})
            return
        try:
            self._admit(scope)
            await self._answer(scope, receive, _with_headers(send))
        except RefusedError as refused:
            answer = PlainTextResponse(f"{refused}\n", refused.status, headers=HEADERS)
            await answer(scope, receive, send)

    def _admit(self, scope: Any) -> None:
        """Raise RefusedError unless the page asks for something that it needs."""
        headers, method, path = Headers(scope=scope), scope["method"], scope["path"]
        if _foreign(headers, method):
            raise RefusedError(403, "only the page itself may ask; open it in a tab of its own")
        wanted = {"GET": LOADED, "HEAD": LOADED, "POST": SENT}.get(method)
        if wanted is None or not wanted.fullmatch(path) or ".." in path.split("/"):
            raise RefusedError(404, "nothing of that name")
        if path.startswith(FILE) and not self.inbox.holds(path.removeprefix(FILE)):
            raise RefusedError(404, "nothing of that name")

    async def _answer(self, scope: Any, receive: Receive, send: Send) -> None:
        if scope["method"] != "POST":
            await self.app(scope, receive, send)
        elif scope["path"] != UPLOAD:
            limited = self._limited(receive, LARGEST_MESSAGE, scope)
            body = self._checked(await _whole(limited))
            await self.app(_of_length(scope, len(body)), _again(body, receive), send)
        elif self._uploads >= MOST_UPLOADS:
            raise RefusedError(503, "others are sending files; try again in a moment")
        else:
            self._uploads += 1
            try:
                # What goes around a file is short.
                most = self.most_bytes + LARGEST_MESSAGE
                await self.app(scope, self._limited(receive, most, scope), send)
            finally:
                self._uploads -= 1

    def _checked(self, body: bytes) -> bytes:
        """A message without files but uploads, written anew: what was checked is what is read.

        Raises:
            RefusedError: it is no JSON, or names another file.
        """
        try:
            message = json.loads(body)
            rest = [message]
            while rest:
                one = rest.pop()
                if isinstance(one, dict):
                    if "path" in one and not self.inbox.holds(one["path"]):
                        raise RefusedError(400, "that file was not uploaded; choose it again")
                    rest.extend(one.values())
                elif isinstance(one, list):
                    rest.extend(one)
            return json.dumps(message, allow_nan=False).encode()
        except (ValueError, RecursionError):
            raise RefusedError(400, "no message of the page") from None

    def _limited(self, receive: Receive, most: int, scope: Any) -> Receive:
        """The same bytes, at most so many and for so long."""
        length = Headers(scope=scope).get("content-length", "0")
        told = int(length) if length.isascii() and length.isdecimal() else most + 1
        until, count = time.monotonic() + self.seconds, 0
        size = f"larger than {most >> 20} MB" if most >= 2**20 else "too long"

        async def limited() -> Message:
            nonlocal count
            try:
                if told > most:
                    await asyncio.wait_for(_drain(receive), until - time.monotonic())
                    raise RefusedError(413, f"{size}; send a smaller file")
                message = await asyncio.wait_for(receive(), until - time.monotonic())
            except (asyncio.TimeoutError, TimeoutError):
                raise RefusedError(408, f"not sent within {self.seconds:g} s; try again") from None
            count += len(message.get("body", b""))
            if count > most:
                await asyncio.wait_for(_drain(receive), self.seconds)
                raise RefusedError(413, f"{size}; send a smaller file")
            return message

        return limited


def _foreign(headers: Headers, method: str) -> bool:
    """Whether another page's script, form or picture asks. Programs without a browser say nothing of it."""
    origin = headers.get("origin")
    if origin is not None and urlsplit(origin).netloc.lower() != headers.get("host", "").lower():
        return True
    site = headers.get("sec-fetch-site", "none")
    if headers.get("sec-fetch-mode") == "navigate" and method in ("GET", "HEAD"):
        return False  # a link that somebody follows
    return site not in ("same-origin", "none")


def _with_headers(send: Send) -> Send:
    """Answers with the guard's headers."""
    added = [(name.encode(), value.encode()) for name, value in HEADERS.items()]

    async def guarded(message: Message) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [*message["headers"], *added]
        await send(message)

    return guarded


async def _whole(receive: Receive) -> bytes:
    """All that is sent."""
    parts = []
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise RefusedError(400, "no message of the page")
        parts.append(message.get("body", b""))
        if not message.get("more_body", False):
            return b"".join(parts)


async def _drain(receive: Receive) -> None:
    """Read what is sent and forget it."""
    count = 0
    while count < DRAINED:
        message = await receive()
        if message["type"] == "http.disconnect" or not message.get("more_body", False):
            return
        count += len(message.get("body", b""))


def _again(body: bytes, receive: Receive) -> Receive:
    """What was read, as if it came now; then whatever comes."""
    waiting = [{"type": "http.request", "body": body, "more_body": False}]

    async def replayed() -> Message:
        return waiting.pop() if waiting else await receive()

    return replayed


def _of_length(scope: Any, length: int) -> Any:
    """A request whose body has another length."""
    other = [one for one in scope["headers"] if one[0] not in (b"content-length",)]
    return {**scope, "headers": [*other, (b"content-length", str(length).encode())]}
