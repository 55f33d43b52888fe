"""A Hugging Face hub on this computer: as much of its interface as its library asks of it here."""

import base64
import hashlib
import json
import re
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

__all__ = ["Hub"]


def commit_of(files: dict[str, bytes]) -> str:
    return hashlib.sha1(repr(sorted(files.items())).encode()).hexdigest()


class Hub(ThreadingHTTPServer):
    """Models by name, each with branches of files."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.models: dict[str, dict[str, dict[str, bytes]]] = {}
        self.asked: list[str] = []
        self.tokens: set[str | None] = set()
        Thread(target=self.serve_forever, daemon=True).start()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def add(self, name: str, folder: Path, branch: str = "main") -> None:
        files = {path.name: path.read_bytes() for path in folder.iterdir()}
        self.models.setdefault(name, {})[branch] = files


class Answer(BaseHTTPRequestHandler):
    server: Hub

    def log_message(self, *_: object) -> None:
        pass

    def say(self, found: Any, status: int = 200, **headers: str) -> None:
        body = found if isinstance(found, bytes) else json.dumps(found).encode()
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def missing(self, code: str) -> None:
        self.say({"error": code}, 404, X_Error_Code=code, X_Error_Message=code)

    def files(self, name: str, revision: str) -> dict[str, bytes] | None:
        """Of a branch, or of a commit; says what is missing itself."""
        branches = self.server.models.get(name)
        if branches is None:
            self.missing("RepoNotFound")
            return None
        for branch, files in branches.items():
            if revision in (branch, commit_of(files)):
                return files
        self.missing("RevisionNotFound")
        return None

    def do_GET(self) -> None:
        self.server.asked.append(f"{self.command} {self.path}")
        self.server.tokens.add(self.headers.get("Authorization"))
        path = self.path.partition("?")[0]
        if found := re.fullmatch(r"/api/models/([^/]+/[^/]+)/revision/(.+)", path):
            files = self.files(found[1], found[2])
            if files is not None:
                siblings = [{"rfilename": name} for name in files]
                self.say({"id": found[1], "sha": commit_of(files), "siblings": siblings})
        elif found := re.fullmatch(r"/api/models/([^/]+/[^/]+)/tree/([^/]+)", path):
            files = self.files(found[1], found[2])
            if files is not None:
                kinds = {"type": "file", "oid": "0" * 40}
                self.say([{**kinds, "path": n, "size": len(v)} for n, v in files.items()])
        elif found := re.fullmatch(r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", path):
            files = self.files(found[1], found[2])
            if files is not None and found[3] not in files:
                self.missing("EntryNotFound")
            elif files is not None:
                etag = hashlib.sha1(files[found[3]]).hexdigest()
                self.say(files[found[3]], ETag=f'"{etag}"', X_Repo_Commit=commit_of(files))
        elif path == "/api/models":
            tagged = [
                {"id": name, "tags": ["biofacenet"], "_id": name}
                for name, branches in self.server.models.items()
                if b"tags: [biofacenet]" in branches.get("main", {}).get("README.md", b"")
            ]
            self.say(tagged if "filter=biofacenet" in self.path else [])
        elif found := re.fullmatch(r"/api/models/([^/]+/[^/]+)", path):
            if (files := self.files(found[1], "main")) is not None:
                self.say({"id": found[1], "sha": commit_of(files), "siblings": []})
        else:
            self.missing("EntryNotFound")

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.asked.append(f"POST {self.path}")
        path = self.path.partition("?")[0]
        if not self.headers.get("Authorization"):
            self.say({"error": "Unauthorized"}, 401)
        elif path == "/api/repos/create":
            wanted = json.loads(body)
            owner = wanted.get("organization") or "somebody"
            self.server.models.setdefault(f"{owner}/{wanted['name']}", {"main": {}})
            self.say({"url": f"{self.server.address}/{owner}/{wanted['name']}", **wanted})
        elif found := re.fullmatch(r"/api/models/([^/]+/[^/]+)/branch/(.+)", path):
            branches = self.server.models[found[1]]
            branches.setdefault(found[2], dict(branches["main"]))
            self.say({})
        elif path == "/api/validate-yaml":
            self.say({"errors": [], "warnings": []})
        elif re.search(r"/preupload/", path):
            wanted = json.loads(body)["files"]
            kinds = {"uploadMode": "regular", "shouldIgnore": False}
            self.say({"files": [{"path": file["path"], **kinds} for file in wanted]})
        elif found := re.fullmatch(r"/api/models/([^/]+/[^/]+)/commit/(.+)", path):
            files = self.server.models[found[1]][found[2]]
            for line in body.splitlines():
                part = json.loads(line)
                if part["key"] == "file":
                    files[part["value"]["path"]] = base64.b64decode(part["value"]["content"])
            commit = commit_of(files)
            address = f"{self.server.address}/{found[1]}/commit/{commit}"
            self.say({"commitUrl": address, "commitOid": commit, "success": True})
        else:
            self.missing("EntryNotFound")
