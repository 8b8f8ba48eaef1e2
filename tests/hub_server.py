"""A small server on loopback that speaks the Hub's endpoints for files, from a folder."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

COMMIT = "0123456789abcdef0123456789abcdef01234567"


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

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def got(self) -> set[str]:
        """Names of the files whose content was asked for."""
        return {
            path.rpartition("/")[2]
            for method, path, _ in self.requests
            if method == "GET" and "/resolve/" in path
        }

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
        repository, _, rest = self.path.strip("/").partition("/resolve/")
        name = rest.partition("/")[2]
        folder = self.server.root / repository
        if not folder.is_dir():
            return self._refuse(401 if not body else 404, "RepoNotFound", body)
        if not (folder / name).is_file():
            return self._refuse(404, "EntryNotFound", body)
        self._send((folder / name).read_bytes(), body)

    def _describe(self) -> None:
        """Answer what the library `datasets` asks: what files a data set has."""
        asked = parse_qs(self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode())
        self.server.requests.append((self.command, self.path, None))
        owner, name, *rest = self.path.partition("?")[0].split("/")[3:]
        folder = self.server.root / "datasets" / owner / name
        if not folder.is_dir():
            return self._refuse(404, "RepoNotFound", True)
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

    def _refuse(self, status: int, code: str, body: bool) -> None:
        self.send_response(status)
        self.send_header("X-Error-Code", code)
        self.send_header("X-Repo-Commit", COMMIT)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _send(self, data: bytes, body: bool) -> None:
        start = 0
        if wanted := self.headers.get("Range"):
            start = int(wanted.removeprefix("bytes=").partition("-")[0])
        self.send_response(206 if wanted else 200)
        if wanted:
            self.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
        self.send_header("ETag", f'"{hashlib.sha256(data).hexdigest()}"')
        self.send_header("X-Repo-Commit", COMMIT)
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Content-Length", str(len(data) - start))
        self.end_headers()
        if not body:
            return
        if self.server.break_after is not None and len(data) > self.server.break_after:
            self.wfile.write(data[start : start + self.server.break_after])
            self.wfile.flush()
            self.server.break_after = None
            self.close_connection = True
            self.connection.close()
            return
        self.wfile.write(data[start:])
