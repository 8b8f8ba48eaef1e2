"""Listening: a socket, uvicorn on it, and what it says."""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable

import uvicorn

from sonar_cli.api import SonarLLM
from sonar_cli.errors import SonarError
from sonar_cli.serve.app import application
from sonar_cli.serve.options import ServeOptions


def serve(
    llm: SonarLLM,
    options: ServeOptions,
    notify: Callable[[str], None],
    complain: Callable[[str], None],
) -> None:
    """Serve a model until a signal comes, which is then raised again, as uvicorn does.

    `notify` is told where the server listens, `complain` what went wrong. Raises SonarError where
    the address cannot be had.
    """
    listening = listen(options.host, options.port)
    llm.load_predictor()
    llm.of_vectors()
    llm.pack()
    host, port = listening.getsockname()[:2]
    shown = f"[{host}]" if ":" in host else host
    log = logging.getLogger("uvicorn.error")
    log.propagate = False
    log.handlers = [_Lines(complain)]
    config = uvicorn.Config(
        application(llm, options, complain),
        log_config=None,
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=options.grace,
    )
    notify(f"listening on http://{shown}:{port}")
    with listening:
        uvicorn.Server(config).run([listening])


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens. Raises SonarError where that address cannot be had."""
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family, backlog=2048)
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or error
        raise SonarError(
            f"cannot listen on {host}:{port}: {reason}; give another --host or --port"
        ) from error


class _Lines(logging.Handler):
    """Passes on each message as a line, without a traceback."""

    def __init__(self, say: Callable[[str], None]) -> None:
        super().__init__(logging.WARNING)
        self._say = say

    def emit(self, record: logging.LogRecord) -> None:
        """Pass on a message."""
        error = record.exc_info[1] if record.exc_info else None
        self._say(f"{record.getMessage()} {error or ''}".splitlines()[0].strip())
