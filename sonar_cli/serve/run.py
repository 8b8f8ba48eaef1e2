"""Listening: a socket, uvicorn on it, and what it says."""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Callable

import uvicorn

from sonar_cli.api import SonarLLM
from sonar_cli.errors import SonarError
from sonar_cli.serve.app import application
from sonar_cli.serve.options import ServeOptions

# Connections that may wait to be accepted.
_BACKLOG = 2048


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
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP
        )[0]
        # Only of a socket that names its protocol does asyncio send small answers at once.
        listening = socket.socket(family, kind, protocol)
    except (OSError, OverflowError) as error:
        raise _unheard(host, port, error) from error
    try:
        if os.name == "posix":
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        listening.listen(_BACKLOG)
    except (OSError, OverflowError) as error:
        listening.close()
        raise _unheard(host, port, error) from error
    return listening


def _unheard(host: str, port: int, error: Exception) -> SonarError:
    reason = getattr(error, "strerror", None) or error
    return SonarError(f"cannot listen on {host}:{port}: {reason}; give another --host or --port")


class _Lines(logging.Handler):
    """Passes on each message as a line, without a traceback."""

    def __init__(self, say: Callable[[str], None]) -> None:
        super().__init__(logging.WARNING)
        self._say = say

    def emit(self, record: logging.LogRecord) -> None:
        """Pass on a message."""
        error = record.exc_info[1] if record.exc_info else None
        self._say(f"{record.getMessage()} {error or ''}".splitlines()[0].strip())
