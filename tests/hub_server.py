"""A small server on loopback that speaks the Hub's endpoints for files, from a folder.

As on the Hub, small files have git's SHA-1 as their ETag, and large ones their SHA-256, with a
redirect to another host that holds the contents and answers requests for a range.
"""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

COMMIT = "0123456789abcdef0123456789abcdef01234567"
_PIECE = 2**18


def commit(repository: str) -> str:
    """The one commit of a repository."""
    return hashlib.sha1(repository.encode()).hexdigest()


def etag(name: str, data: bytes) -> str:
    """The hash that the Hub states of a file."""
    if name.endswith(".json"):
        return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()
    return hashlib.sha256(data).hexdigest()


@dataclass(frozen=True)
class Answer:
    """An answer in place of the right one."""

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""


class HubServer(ThreadingHTTPServer):
    """Serves `root/owner/name/file` at /owner/name/resolve/REVISION/file."""

    daemon_threads = True

    def __init__(self, root: Path) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.root = root
        self.connections = 0
        self.requests: list[tuple[str, str, str | None]] = []
        # Break the connection after so many bytes of a file, once.
        self.break_after: int | None = None
        # Seconds of rest before each piece of a file.
        self.rest = 0.0
        # Requests for a range get the whole file.
        self.ignores_ranges = False
        # Answers in place of the next ones: (method, name of the file) -> in this order.
        self.instead: dict[tuple[str, str], list[Answer]] = {}
        # The names of the host under which requests with a token came.
        self.tokens: set[str] = set()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def got(self) -> set[str]:
        """Names of the files whose content was asked for."""
        return {
            path.rpartition("/")[2]
            for method, path, _ in self.requests
            if method == "GET" and ("/resolve/" in path or path.startswith("/cdn/"))
        }

    def ranges(self, name: str) -> list[int]:
        """Offsets from which a file's content was asked for, 0 without a range."""
        return [
            int((asked or "bytes=0-").removeprefix("bytes=").partition("-")[0])
            for method, path, asked in self.requests
            if method == "GET" and path.startswith("/cdn/") and path.endswith(f"/{name}")
        ]

    def get_request(self) -> Any:
        """Count a connection, even one that asks for nothing."""
        self.connections += 1
        return super().get_request()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A broken connection is what some tests are about."""


@contextmanager
def serving(root: Path) -> Iterator[HubServer]:
    server = HubServer(root)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    server: HubServer
    protocol_version = "HTTP/1.1"

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def do_GET(self) -> None:
        if self.path.startswith("/api/datasets/"):
            self._describe()
        else:
            self._answer(body=True)

    def do_POST(self) -> None:
        self._describe()

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def _answer(self, body: bool) -> None:
        self.server.requests.append((self.command, self.path, self.headers.get("Range")))
        if self.headers.get("Authorization"):
            self.server.tokens.add((self.headers.get("Host") or "").partition(":")[0])
        name = self.path.rpartition("/")[2]
        if waiting := self.server.instead.get((self.command, name)):
            return self._instead(waiting.pop(0), body)
        if self.path.startswith("/cdn/"):
            return self._send((self.server.root / self.path.removeprefix("/cdn/")).read_bytes())
        repository, _, rest = self.path.strip("/").partition("/resolve/")
        name = rest.partition("/")[2]
        folder = self.server.root / repository
        if not folder.is_dir():
            return self._refuse(401 if not body else 404, "RepoNotFound", repository)
        if not (folder / name).is_file():
            return self._refuse(404, "EntryNotFound", repository)
        data = (folder / name).read_bytes()
        if name.endswith(".json"):
            return self._state(200, repository, data, {"ETag": f'"{etag(name, data)}"'}, body)
        # Under another name of this host, as the Hub's contents lie on another host.
        there = f"http://localhost:{self.server.server_port}/cdn/{repository}/{name}"
        linked = {"X-Linked-Etag": f'"{etag(name, data)}"', "X-Linked-Size": str(len(data))}
        self._state(302, repository, b"", {"Location": there, **linked}, body)

    def _instead(self, answer: Answer, body: bool) -> None:
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        if body:
            self.wfile.write(answer.body)

    def _describe(self) -> None:
        """Answer what the library `datasets` asks: what files a data set has."""
        asked = parse_qs(self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode())
        self.server.requests.append((self.command, self.path, None))
        owner, name, *rest = self.path.partition("?")[0].split("/")[3:]
        folder = self.server.root / "datasets" / owner / name
        if not folder.is_dir():
            return self._refuse(404, "RepoNotFound", f"datasets/{owner}/{name}")
        files = {str(each.relative_to(folder)): each for each in folder.rglob("*")}
        about: Any = [
            {"type": "file", "path": path, "size": file.stat().st_size, "oid": COMMIT}
            for path, file in sorted(files.items())
            if file.is_file() and path in asked.get("paths", files)
        ]
        if not rest or rest[0] == "revision":
            siblings = [{"rfilename": each["path"]} for each in about]
            about = {"id": f"{owner}/{name}", "sha": COMMIT, "siblings": siblings}
        data = json.dumps(about).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def _refuse(self, status: int, code: str, repository: str) -> None:
        self._state(status, repository, b"", {"X-Error-Code": code}, True)

    def _state(
        self, status: int, repository: str, data: bytes, headers: dict[str, str], body: bool
    ) -> None:
        self.send_response(status)
        for name, value in {"X-Repo-Commit": commit(repository), **headers}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if body:
            self.wfile.write(data)

    def _send(self, data: bytes) -> None:
        """Send a file's content from where it is asked for, in pieces."""
        start = 0
        wanted = None if self.server.ignores_ranges else self.headers.get("Range")
        if wanted:
            start = int(wanted.removeprefix("bytes=").partition("-")[0])
        self.send_response(206 if wanted else 200)
        if wanted:
            self.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
        self.send_header("Content-Type", "application/octet-stream")
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Content-Length", str(len(data) - start))
        self.end_headers()
        limit, end = self.server.break_after, len(data)
        if limit is not None and len(data) - start > limit:
            end, self.server.break_after, self.close_connection = start + limit, None, True
        for at in range(start, end, _PIECE):
            time.sleep(self.server.rest)
            self.wfile.write(data[at : min(at + _PIECE, end)])
