"""`sonar-llm decode`."""

from __future__ import annotations

import click

from sonar_cli.cli import session
from sonar_cli.cli.declare import Command, argument, option
from sonar_cli.cli.options import TEXT, decoding, machine, model, output
from sonar_cli.errors import InputError
from sonar_cli.options import ENGLISH, ModelRequest, OutputOptions, Runtime


@click.command(cls=Command, short_help="Turn vectors into sentences, a line a vector.")
@argument("file", default="-", metavar="[FILE|-]", help="Vectors; - or nothing: standard input.")
@option(
    "--target-lang", section=TEXT, default=ENGLISH, show_default=True, metavar="CODE",
    envvar="SONAR_LLM_DECODE_TARGET_LANG", help="FLORES-200 code of what is written.",
)  # fmt: skip
@decoding
@model
@machine
@output
def decode(
    file: str,
    target_lang: str,
    beam_size: int,
    max_tokens: int,
    request: ModelRequest,
    runtime: Runtime,
    output: OutputOptions,
) -> int:
    """Turn vectors into sentences, a line a vector.

    Reads what `sonar-llm encode` wrote: a .npy array (N, D) or JSON Lines with a "vector".
    """
    from sonar_cli import render
    from sonar_cli.text.arrays import read_vectors

    (name,) = session.names((file,))
    array = read_vectors(name)
    with render.opened(output.path, session.read_by(request, file)) as out:
        llm = session.open_model(request, runtime, output, predictor=False)
        _require_width(name, array.shape[1], llm.codec.width)
        import torch

        decoded = [
            each
            for piece in render.pieces(torch.from_numpy(array), "decoding", output.quiet)
            for each in llm.decode(piece, target_lang, beam_size, max_tokens)
        ]
        for index, each in enumerate(decoded):
            record = {"file": name, "index": index, "text": each.text, "score": each.score}
            as_json = output.format == "jsonl"
            render.show(render.as_json(record, out) if as_json else each.text, out=out)
    return 0


def _require_width(name: str, width: int, taken: int) -> None:
    if width != taken:
        raise InputError(
            f"{name} has vectors of {width} numbers, the model takes {taken}; "
            "use the model that made them"
        )
