"""`sonar-llm encode`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

import click

from sonar_cli.cli import session
from sonar_cli.cli.declare import Command, argument
from sonar_cli.cli.options import machine, model, output, text
from sonar_cli.errors import InputError, UsageError
from sonar_cli.options import InputOptions, ModelRequest, OutputOptions, Runtime

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from sonar_cli.text.inputs import Text


@click.command(cls=Command, short_help="Turn a text's sentences into vectors.")
@argument("file", default="-", metavar="[FILE|-]", help="The text; - or nothing: standard input.")
@text
@model
@machine
@output
def encode(
    file: str, request: ModelRequest, runtime: Runtime, reading: InputOptions, output: OutputOptions
) -> int:
    """Turn a text's sentences into vectors.

    Writes a float32 array (N, D) in NumPy's .npy format, a row a sentence, or with --format jsonl
    one object a sentence.
    """
    import numpy as np

    from sonar_cli import render
    from sonar_cli.text.arrays import npy
    from sonar_cli.text.inputs import read_texts

    as_json = output.format == "jsonl"
    texts = list(read_texts(session.names((file,)), reading))
    with render.opened(output.path, session.read_by(request, file)) as out:
        if not as_json and out.isatty():
            raise UsageError("vectors are no text for a terminal; give -o FILE or --format jsonl")
        llm = session.open_model(request, runtime, output, predictor=False)
        sentences = list(_sentences(llm.as_trained(each) for each in texts))
        cut: list[int] = []
        pieces = render.pieces([each for *_, each in sentences], "encoding", output.quiet)
        array = np.concatenate(
            [llm.encode(piece, reading.lang, cut.append).numpy() for piece in pieces]
        )
        if as_json:
            render.show(
                *(render.as_json(each, out) for each in _objects(sentences, array)), out=out
            )
        else:
            out.buffer.write(npy(array))
    session.report_cut(sum(cut), output)
    return 0


def _sentences(texts: Iterable[Text]) -> Iterator[tuple[str, int, str]]:
    """Yield every sentence with the name of its text and its place in it.

    Raises InputError for a text without any.
    """
    for each in texts:
        found = each.sentences()
        if not found:
            raise InputError(f"{each.name}: there is no sentence in the text; nothing to encode")
        for index, sentence in enumerate(found):
            yield each.name, index, sentence.text


def _objects(
    sentences: list[tuple[str, int, str]], array: npt.NDArray[np.float32]
) -> Iterator[dict[str, Any]]:
    for (name, index, sentence), row in zip(sentences, array, strict=True):
        yield {"file": name, "index": index, "text": sentence, "vector": row.tolist()}
