"""What is turned away before it is read: other hosts' names, no token, too large, no JSON."""

from __future__ import annotations

import hmac
from typing import Any

from fastapi.exceptions import HTTPException
from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sonar_cli.serve.failures import Refused
from sonar_cli.serve.options import ServeOptions

# What is no secret: the page, which asks for the token, and whether the server works.
OPEN = ("/", "/healthz")
_LOCAL = {"localhost", "127.0.0.1", "[::1]"}


def refused(error: Refused) -> JSONResponse:
    """Return the answer to a request that is refused."""
    return JSONResponse(error.body(), error.status, error.headers)


class Guard:
    """An ASGI application around another."""

    def __init__(self, app: ASGIApp, options: ServeOptions) -> None:
        self._app = app
        self._options = options
        self._names = {*_LOCAL, options.host}
        self._token = options.token.encode() if options.token else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on what may pass, with a limit on its size."""
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        try:
            self._check(scope, Headers(scope=scope))
        except Refused as error:
            return await refused(error)(scope, receive, send)
        await self._app(scope, self._limited(receive), send)

    def _check(self, scope: Scope, headers: Headers) -> None:
        """Raise Refused for what may not pass."""
        host = _name(headers.get("host", ""))
        # A page of another site may have its name lead here, and would then read what we answer.
        if self._options.is_local and not self._token and host not in self._names:
            raise Refused(403, f"this server is 127.0.0.1 or localhost, not {host}")
        given = headers.get("authorization", "").partition(" ")
        if self._token and scope["path"] not in OPEN:
            right = hmac.compare_digest(given[2].strip().encode(), self._token)
            if not (right and given[0].lower() == "bearer"):
                raise Refused(
                    401, "a token is needed: Authorization: Bearer TOKEN",
                    code="invalid_api_key", headers={"WWW-Authenticate": "Bearer"},
                )  # fmt: skip
        if scope["method"] == "POST":
            self._check_body(headers)

    def _check_body(self, headers: Headers) -> None:
        # A page of another site can send other types without being asked.
        kind = headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind != "application/json":
            raise Refused(415, "the body is JSON: Content-Type: application/json")
        length = headers.get("content-length", "")
        if length.isdigit() and int(length[:20]) > self._options.max_body:
            raise Refused(413, self._too_large)

    @property
    def _too_large(self) -> str:
        return f"a request has at most {self._options.max_body} bytes"

    def _limited(self, receive: Receive) -> Receive:
        """Return a `receive` that ends with 413 beyond the most bytes of a body."""
        got = 0

        async def limited() -> Message:
            nonlocal got
            message: dict[str, Any] = dict(await receive())
            got += len(message.get("body", b""))
            if got > self._options.max_body:  # FastAPI takes no other exception for an answer
                raise HTTPException(413, self._too_large)
            return message

        return limited


def _name(host: str) -> str:
    """Return the name in a Host header, without the port.

    >>> _name("localhost:8000"), _name("[::1]"), _name("[::1]:80"), _name("Example.org")
    ('localhost', '[::1]', '[::1]', 'example.org')
    """
    name = host if host.endswith("]") else host.rpartition(":")[0] or host
    return name.lower()
