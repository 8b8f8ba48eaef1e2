"""`sonar-llm serve`."""

from __future__ import annotations

import signal
from importlib.util import find_spec

import click

from sonar_cli.cli import session, signals
from sonar_cli.cli.declare import Command, group, option
from sonar_cli.cli.options import batch_size, machine, model, notices
from sonar_cli.cli.parameters import Whole
from sonar_cli.errors import UsageError
from sonar_cli.options import ModelRequest, OutputOptions, Runtime
from sonar_cli.serve.options import ServeOptions

SERVER = "Server"
LIMITS = "Limits"
DEFAULTS = ServeOptions()
server = group(
    "options",
    ServeOptions,
    option(
        "--host", section=SERVER, default=DEFAULTS.host, show_default=True, metavar="ADDRESS",
        help="Where to listen; another address than this machine's own needs a token.",
    ),
    option(
        "--port", section=SERVER, default=DEFAULTS.port, show_default=True,
        type=Whole(0, 65535), metavar="N", help="0: any that is free.",
    ),
    option(
        "--token", section=SERVER, metavar="TOKEN", instead_of="no_token", is_secret=True,
        help="What clients must send as their API key. Better in SONAR_LLM_TOKEN, since others "
        "on the machine can see command lines.",
    ),
    option(
        "--no-token", section=SERVER, is_flag=True, instead_of="token",
        help="Let all in who can reach the address.",
    ),
    option(
        "--grace", section=SERVER, default=DEFAULTS.grace, show_default=True, type=Whole(0),
        metavar="SECONDS", help="How long running requests may go on when the server is ended.",
    ),
    option(
        "--queue", section=LIMITS, default=DEFAULTS.queue, show_default=True, type=Whole(1),
        metavar="N", help="How many texts may wait; further ones are refused with status 429.",
    ),
    option(
        "--max-sentences", "sentences", section=LIMITS, default=DEFAULTS.sentences,
        show_default=True, type=Whole(1), metavar="N",
        help="How many sentences a text is continued by at most.",
    ),
    option(
        "--max-chars", section=LIMITS, default=DEFAULTS.max_chars, show_default=True,
        type=Whole(1), metavar="N", help="A longer text is refused with status 422.",
        envvar="SONAR_LLM_SERVE_MAX_CHARS",
    ),
    option(
        "--max-body", section=LIMITS, default=DEFAULTS.max_body, show_default=True,
        type=Whole(1), metavar="BYTES", help="A larger request is refused with status 413.",
    ),
)  # fmt: skip


@click.command(cls=Command, short_help="Serve a model over HTTP.")
@server
@batch_size
@machine
@model
@notices
def serve(
    request: ModelRequest, runtime: Runtime, options: ServeOptions, output: OutputOptions
) -> int:
    """Serve a model over HTTP, with OpenAI's requests for completions and embeddings.

    Needs the extra [serve]. Texts of all clients are written side by side. The page at / continues
    and sums up text in a browser. SIGTERM ends the server with status 0, Ctrl-C with 130; what
    runs is finished first.
    """
    from sonar_cli import render

    if missing := [each for each in ("fastapi", "uvicorn") if find_spec(each) is None]:
        raise UsageError(f"serve needs {' and '.join(missing)}; pip install 'sonar-llm[serve]'")
    from sonar_cli.serve.run import serve as run

    llm = session.open_model(request, runtime, output)
    try:
        run(llm, options, render.Notices(not output.quiet), render.say)
    except signals.Stopped as stopped:
        if stopped.number != signal.SIGTERM:
            raise
    return 0
