"""The guard without a server: what is slow, too large or no message never reaches what it guards."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("starlette")

from biofacenet.web.guard import LARGEST_MESSAGE, MOST_UPLOADS, UPLOAD, Guard
from biofacenet.web.inbox import Inbox

PREDICT = "/gradio_api/run/predict"


class Behind:
    """What is guarded: keeps the bodies that reach it, and answers 200."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []
        self.hold: asyncio.Event | None = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        parts, more = [], True
        while more:
            message = await receive()
            parts.append(message.get("body", b""))
            more = message.get("more_body", False)
        if self.hold is not None:
            await self.hold.wait()
        self.bodies.append(b"".join(parts))
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})


async def asked(
    guard: Guard, path: str, *parts: bytes, length: int | None = None, delay: float = 0.0
) -> int:
    """Status of the answer to a body that comes in parts."""
    waiting = list(parts)
    headers = [(b"host", b"here")]
    if length is not None:
        headers.append((b"content-length", str(length).encode()))

    async def receive() -> dict[str, Any]:
        await asyncio.sleep(delay)
        body = waiting.pop(0) if waiting else b""
        return {"type": "http.request", "body": body, "more_body": bool(waiting)}

    statuses = []

    async def send(message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            statuses.append(message["status"])

    scope = {"type": "http", "method": "POST", "path": path, "headers": headers}
    await guard(scope, receive, send)
    assert len(statuses) == 1
    return statuses[0]


@pytest.fixture
def behind() -> Behind:
    return Behind()


@pytest.fixture
def guard(behind: Behind, tmp_path: Path) -> Guard:
    return Guard(behind, Inbox(tmp_path), most_bytes=2**20, seconds=0.5)


def test_what_is_too_large_does_not_reach_the_page(guard: Guard, behind: Behind) -> None:
    large = 2**20 + LARGEST_MESSAGE + 1
    assert asyncio.run(asked(guard, UPLOAD, b"x", length=large)) == 413
    # One that says nothing of its length, or lies.
    for length in (None, 10):
        assert asyncio.run(asked(guard, UPLOAD, *[b"x" * 2**19] * 3, length=length)) == 413
    assert asyncio.run(asked(guard, UPLOAD, b"x", length=-1)) == 413
    assert asyncio.run(asked(guard, PREDICT, b"[" + b"1," * LARGEST_MESSAGE + b"1]")) == 413
    assert behind.bodies == []
    assert asyncio.run(asked(guard, UPLOAD, b"x" * 2**20)) == 200


def test_what_is_slow_does_not_hold_the_page(guard: Guard, behind: Behind) -> None:
    for path in (UPLOAD, PREDICT):
        assert asyncio.run(asked(guard, path, *[b"1"] * 100, delay=0.02)) == 408
    assert behind.bodies == []


def test_few_uploads_come_in_at_a_time(guard: Guard, behind: Behind) -> None:
    async def crowd() -> list[int]:
        behind.hold = asyncio.Event()
        first = [asyncio.create_task(asked(guard, UPLOAD, b"x")) for _ in range(MOST_UPLOADS)]
        await asyncio.sleep(0.01)
        statuses = [await asked(guard, UPLOAD, b"x")]
        behind.hold.set()
        return [*statuses, *await asyncio.gather(*first), await asked(guard, UPLOAD, b"x")]

    assert asyncio.run(crowd()) == [503, *[200] * MOST_UPLOADS, 200]


def test_what_was_checked_is_what_is_read(guard: Guard, behind: Behind, tmp_path: Path) -> None:
    """Of a name that is given twice readers differ in which one they take."""
    mine = tmp_path / "a" / "b.png"
    mine.parent.mkdir()
    mine.touch()
    twice = f'{{"path": "/etc/hostname", "path": {json.dumps(str(mine))}}}'.encode()
    assert asyncio.run(asked(guard, PREDICT, twice)) == 200
    assert behind.bodies == [json.dumps({"path": str(mine)}).encode()]
    for body in (b"", b"{", b"\xff", b'{"a": NaN}', b"[" * 100_000, b'{"data": [{"path": 1}]}'):
        assert asyncio.run(asked(guard, PREDICT, body)) == 400
    assert len(behind.bodies) == 1


def test_web_sockets_are_refused(guard: Guard, behind: Behind) -> None:
    sent: list[dict[str, Any]] = []

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    asyncio.run(guard({"type": "websocket", "path": "/"}, None, send))  # type: ignore[arg-type]
    assert [message["type"] for message in sent] == ["websocket.close"]
    assert behind.bodies == []
