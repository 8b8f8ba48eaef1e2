"""The shared options: one spelling everywhere, and the objects that are made from them."""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

import click

from sonar_cli.cli.declare import Decorator, group, option, together
from sonar_cli.cli.parameters import Whole, count_or_auto
from sonar_cli.options import (
    DTYPES,
    MOST_THREADS,
    GenerationOptions,
    InputFormat,
    InputOptions,
    ModelRequest,
    OutputFormat,
    OutputOptions,
    Runtime,
    SplitMode,
)

DEFAULTS = GenerationOptions()
# Far beyond what a search gains from, and not yet beyond what memory holds.
MOST_BEAMS = 100


MODEL = "Model"
NAMES = "NAME|REPO|DIR|FILE"
parts = together(
    option(
        "--config", section=MODEL, metavar="FILE",
        help="The JSON config that goes with a bare .pt checkpoint.",
    ),
    option("--encoder", section=MODEL, metavar="PATH", help="A SONAR encoder instead."),
    option("--decoder", section=MODEL, metavar="PATH", help="A SONAR decoder instead."),
    option(
        "--tokenizer", section=MODEL, metavar="PATH",
        help="A SentencePiece file or tokenizer.json, or a folder that holds one.",
    ),
    option("--offline", section=MODEL, is_flag=True, help="Never ask the network."),
)  # fmt: skip
model = group(
    "request",
    ModelRequest,
    option(
        "-m", "--model", "model", section=MODEL, default="mini", show_default=True, metavar=NAMES,
        help="mini is in the package; 100m 300m 600m 900m 1.3b, any Hub repository or local path.",
    ),
    parts,
    option(
        "--codec", section=MODEL, default="native", show_default=True,
        type=click.Choice(["native", "sonar-space"]), help="Who encodes and decodes.",
    ),
)  # fmt: skip
MACHINE = "Machine"
device = together(
    option(
        "--device", section=MACHINE, default="auto", show_default=True,
        metavar="auto|cpu|cuda[:N]|mps", help="Where the models run.",
    ),
    option(
        "--threads", section=MACHINE, type=Whole(1, MOST_THREADS), metavar="N",
        help="CPU threads (default: torch's own choice).",
    ),
)  # fmt: skip
machine = group(
    "runtime",
    Runtime,
    device,
    option(
        "--dtype", section=MACHINE, default="auto", show_default=True,
        type=click.Choice(["auto", *DTYPES]),
        help="Number format of the weights; auto is float32.",
    ),
)  # fmt: skip


def _reading(
    input_format: InputFormat, encoding: str | None, split: SplitMode, source_lang: str
) -> InputOptions:
    return InputOptions(input_format, split, source_lang, encoding)


NEXT = "What comes next"
TEXT = "Text"
input_format = option(
    "--input-format", section=TEXT, default="auto", show_default=True,
    type=click.Choice(get_args(InputFormat)),
    help="auto: by the name and the look of it. jsonl: a text a line, in objects with a "
    '"text".',
)  # fmt: skip
splitting = together(
    option(
        "--split", section=TEXT, default="auto", show_default=True,
        type=click.Choice(get_args(SplitMode)),
        help="lines: one sentence per line, nothing is split further. punkt: as NLTK's "
        "sent_tokenize. rules: our own rules. auto: what the model was trained with.",
    ),
    option(
        "--source-lang", section=TEXT, default="eng_Latn", show_default=True, metavar="CODE",
        help="FLORES-200 code of the text.",
    ),
)  # fmt: skip
text = group(
    "reading",
    _reading,
    input_format,
    option(
        "--encoding", section=TEXT, metavar="NAME",
        help="Character set of the file (default: UTF-8, or what its bytes declare).",
    ),
    splitting,
)  # fmt: skip
reencode = option(
    "--reencode/--no-reencode", section=NEXT, default=None,
    help="What goes on: the sentence that was written, encoded again (default for SONAR-LLM), or "
    "the predicted vector (default for LCMs).",
)  # fmt: skip
beam_size = option(
    "--beam-size", section=TEXT, default=DEFAULTS.beam_size, show_default=True,
    type=Whole(1, MOST_BEAMS), metavar="N", help="Beam of the decoder.",
)  # fmt: skip
target_langs = option(
    "--target-lang", "target_langs", section=TEXT, multiple=True, metavar="CODE",
    help="FLORES-200 code of what is written (default: the text's own); may be given several "
    "times for the same text in several languages.",
)  # fmt: skip
decoding = together(
    beam_size,
    option(
        "--max-tokens", section=TEXT, default=DEFAULTS.max_tokens, show_default=True,
        type=Whole(3), metavar="N",
        help="Longest sentence written, two prefix tokens included.",
    ),
)  # fmt: skip

batch_size = option(
    "--batch-size", section=MACHINE, default="auto", show_default=True, metavar="auto|N",
    callback=count_or_auto,
    help="How many texts to write side by side; auto: 8 on the CPU, 32 on CUDA.",
)  # fmt: skip
CACHE = "Cache"
cache_dir = option(
    "--cache-dir", section=CACHE, type=click.Path(file_okay=False, path_type=Path), metavar="DIR",
    help="Where it lies (default: the user's cache folder).",
)  # fmt: skip
OUTPUT = "Output"


def _output(
    output: str | None = None,
    format: OutputFormat = "text",
    quiet: bool = False,
    verbose: bool = False,
) -> OutputOptions:
    return OutputOptions(None if output == "-" else output, format, quiet, verbose)


def _format(formats: tuple[OutputFormat, ...], help: str, command: str = "") -> Decorator[Any]:
    """Declare --format; a command with formats of its own has a variable of its own as well."""
    own = [f"SONAR_LLM_{command}_FORMAT"] if command else []
    return option(
        "--format", section=OUTPUT, default="text", show_default=True,
        type=click.Choice(formats), help=help, envvar=[*own, "SONAR_LLM_FORMAT"],
    )  # fmt: skip


list_format = _format(
    ("text", "json", "jsonl"), "A table, one JSON object, or one JSON object a line.", "MODELS_LIST"
)
format_ = _format(("text", "jsonl"), "Plain text, or one JSON object a line.")
quiet = option("-q", "--quiet", section=OUTPUT, is_flag=True, help="No notices, no progress.")
file = option(
    "-o", "--output", section=OUTPUT, type=click.Path(dir_okay=False), metavar="FILE",
    help="Write there instead of stdout (-: stdout).",
)  # fmt: skip
verbose = option("-v", "--verbose", section=OUTPUT, is_flag=True, help="Say more on stderr.")
output = group("output", _output, format_, file, quiet, verbose)
notices = group("output", _output, quiet, verbose)


def report_format(command: str, help: str) -> Decorator[Any]:
    """Declare the --format of a report."""
    return _format(("text", "json", "jsonl"), help, command)


def report(command: str, file: Decorator[Any] = file) -> Decorator[Any]:
    """Declare where a report goes, and as what; `file` declares the option --output."""
    format_ = report_format(command, "Tables, one JSON object, or one JSON object a line.")
    return group("output", _output, format_, file, quiet)
