"""One who asks the page's server without a browser, as scripts and attackers do."""

from __future__ import annotations

import json
import secrets
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any


@dataclass
class Visitor:
    """A client with a session of its own."""

    page: str
    session: str = field(default_factory=lambda: secrets.token_hex(8))

    def ask(
        self, path: str, body: Any = None, method: str | None = None, **headers: str
    ) -> tuple[int, dict[str, str], bytes]:
        """Status, headers in lower case and body of an answer; a body that is no bytes is sent as JSON."""
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
            headers.setdefault("content_type", "application/json")
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        request = urllib.request.Request(self.page + path, body, named, method=method)
        try:
            with urllib.request.urlopen(request, timeout=120) as answer:
                return answer.status, _lower(answer.headers), answer.read()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, _lower(error.headers), error.read()

    @cached_property
    def config(self) -> dict[str, Any]:
        """What gradio tells of the page."""
        return json.loads(self.ask("/config")[2])

    def number(self, name: str, event: str) -> int:
        """Of the function that an event of an element leads to; the last, where there are several."""
        element = next(
            one["id"] for one in self.config["components"] if one["props"].get("elem_id") == name
        )
        return next(
            one["id"]
            for one in reversed(self.config["dependencies"])
            if [element, event] in [list(target) for target in one["targets"]]
        )

    def upload(self, *files: tuple[str, bytes]) -> tuple[int, bytes]:
        """Send files as the page does."""
        edge = secrets.token_hex(8)
        body = b"".join(
            f'--{edge}\r\nContent-Disposition: form-data; name="files"; filename="{name}"\r\n\r\n'.encode()
            + held
            + b"\r\n"
            for name, held in files
        )
        kind = f"multipart/form-data; boundary={edge}"
        sent = body + f"--{edge}--\r\n".encode()
        status, _, answer = self.ask("/gradio_api/upload", sent, content_type=kind)
        return status, answer

    def act(self, number: int, data: list[Any], *, at: str = "queue/join", **more: Any) -> Any:
        """Ask for a function; status and answer, which for those of the queue only says that it waits."""
        message = {"fn_index": number, "data": data, "session_hash": self.session, **more}
        status, _, body = self.ask(f"/gradio_api/{at}", message)
        return status, body

    def outcome(self) -> Any:
        """What came of the function that waits: the data of its answer."""
        address = f"{self.page}/gradio_api/queue/data?session_hash={self.session}"
        with urllib.request.urlopen(address, timeout=180) as events:
            for event in events:
                if event.startswith(b"data:"):
                    message = json.loads(event[5:])
                    if message["msg"] == "process_completed":
                        return message["output"]
        raise AssertionError("nothing came of it")


def given(path: str) -> dict[str, Any]:
    """A file as the page names it after its upload."""
    return {"path": path, "orig_name": path, "meta": {"_type": "gradio.FileData"}}


def _lower(headers: Any) -> dict[str, str]:
    return {name.lower(): value for name, value in dict(headers).items()}
