"""The shared options: one spelling everywhere, each with its environment variable."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from sonar_cli.options import GenerationOptions, SummaryOptions

Function = TypeVar("Function", bound=Callable[..., Any])
Decorator = Callable[[Function], Function]

_DEFAULTS = GenerationOptions()
_SUMMARY_DEFAULTS = SummaryOptions()


class Option(click.Option):
    """An option with a section in `--help` and the environment variable SONAR_LLM_<OPTION>."""

    def __init__(self, *args: Any, section: str = "Options", **settings: Any) -> None:
        super().__init__(*args, **settings)
        self.section = section
        long = max(self.opts, key=len)
        self.envvar = "SONAR_LLM_" + long.lstrip("-").replace("-", "_").upper()


class Command(click.Command):
    """A command whose `--help` shows its options by section."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write one table of options for each section."""
        sections: dict[str, list[tuple[str, str]]] = {}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            if record is not None:
                section = getattr(parameter, "section", "Options")
                sections.setdefault(section, []).append(record)
        for section, records in sections.items():
            with formatter.section(section):
                formatter.write_dl(records)


def option(*names: str, section: str = "Options", **settings: Any) -> Decorator[Any]:
    """Declare an option of a command's own, as the shared ones are."""
    return click.option(*names, cls=Option, section=section, **settings)


def _together(*decorators: Decorator[Any]) -> Decorator[Any]:
    def decorate(function: Function) -> Function:
        for decorator in reversed(decorators):
            function = decorator(function)
        return function

    return decorate


def _count_or_auto(ctx: click.Context, param: click.Parameter, value: str) -> int | None:
    return None if value == "auto" else click.IntRange(1)(value, param, ctx)


def _percent(ctx: click.Context, param: click.Parameter, value: str | None) -> float | None:
    """Read a percentage as a share in (0, 1]."""
    if value is None:
        return None
    number = value.removesuffix("%")
    share = click.FloatRange(0, 100, min_open=True)(number, param, ctx) / 100
    if number == value:
        raise click.BadParameter(f"{value} of what? Write {value}%, or -n for a count.", ctx, param)
    return float(share)


def counts(name: str, default: str, help: str) -> Decorator[Any]:
    """Declare an option of counts parted by commas."""
    return option(
        name, default=default, show_default=True, metavar="N,N,...", callback=_counts, help=help
    )


def _counts(ctx: click.Context, param: click.Parameter, value: str) -> tuple[int, ...]:
    """Read counts of at least 1, parted by commas; none at all is allowed."""
    count = click.IntRange(1)
    return tuple(count(part, param, ctx) for part in value.split(",") if part.strip())


DTYPES = ("float32", "bfloat16", "float16", "int8")


def dtypes(ctx: click.Context, param: click.Parameter, value: str) -> tuple[str, ...]:
    """Read number formats parted by commas, or auto."""
    choice = click.Choice(["auto", *DTYPES])
    return tuple(choice(part.strip(), param, ctx) for part in value.split(","))


_MODEL = "Model"
_NAMES = "NAME|REPO|DIR|FILE"
_parts = _together(
    option(
        "--config", section=_MODEL, metavar="FILE",
        help="The JSON config that goes with a bare .pt checkpoint.",
    ),
    option("--encoder", section=_MODEL, metavar="PATH", help="A SONAR encoder instead."),
    option("--decoder", section=_MODEL, metavar="PATH", help="A SONAR decoder instead."),
    option(
        "--tokenizer", section=_MODEL, metavar="PATH",
        help="A SentencePiece file, or a folder that holds one.",
    ),
    option("--offline", section=_MODEL, is_flag=True, help="Never ask the network."),
)  # fmt: skip
model = _together(
    option(
        "-m", "--model", "model", section=_MODEL, default="mini", show_default=True, metavar=_NAMES,
        help="mini is in the package; 100m 300m 600m 900m 1.3b, any Hub repository or local path.",
    ),
    _parts,
    option(
        "--codec", section=_MODEL, default="native", show_default=True,
        type=click.Choice(["native", "sonar-space"]), help="Who encodes and decodes.",
    ),
)  # fmt: skip
measured = _together(
    option(
        "-m", "--model", "model", section=_MODEL, metavar=_NAMES,
        help="Measure this model's own weights (default: random ones).",
    ),
    _parts,
)  # fmt: skip

_MACHINE = "Machine"
device = _together(
    option(
        "--device", section=_MACHINE, default="auto", show_default=True,
        metavar="auto|cpu|cuda[:N]", help="Where the models run.",
    ),
    option(
        "--threads", section=_MACHINE, type=click.IntRange(1), metavar="N",
        help="CPU threads (default: torch's own choice).",
    ),
)  # fmt: skip
machine = _together(
    device,
    option(
        "--dtype", section=_MACHINE, default="auto", show_default=True,
        type=click.Choice(["auto", *DTYPES]),
        help="Number format of the weights; auto is float32.",
    ),
)  # fmt: skip

_TEXT = "Text"
text = _together(
    option(
        "--split", section=_TEXT, default="auto", show_default=True,
        type=click.Choice(["auto", "lines"]),
        help="lines: one sentence per line, nothing is split further.",
    ),
    option(
        "--source-lang", section=_TEXT, default="eng_Latn", show_default=True, metavar="CODE",
        help="FLORES-200 code of the text.",
    ),
)  # fmt: skip
beam_size = option(
    "--beam-size", section=_TEXT, default=_DEFAULTS.beam_size, show_default=True,
    type=click.IntRange(1), metavar="N", help="Beam of the decoder.",
)  # fmt: skip
target_lang = option(
    "--target-lang", section=_TEXT, default="eng_Latn", show_default=True, metavar="CODE",
    help="FLORES-200 code of what is written.",
)  # fmt: skip
target_langs = option(
    "--target-lang", "target_langs", section=_TEXT, multiple=True, metavar="CODE",
    help="FLORES-200 code of what is written (default: the text's own); may be given several "
    "times for the same text in several languages.",
)  # fmt: skip
decoding = _together(
    beam_size,
    option(
        "--max-tokens", section=_TEXT, default=_DEFAULTS.max_tokens, show_default=True,
        type=click.IntRange(3), metavar="N",
        help="Longest sentence written, two prefix tokens included.",
    ),
)  # fmt: skip

batch_size = option(
    "--batch-size", section=_MACHINE, default="auto", show_default=True, metavar="auto|N",
    callback=_count_or_auto,
    help="How many texts to write side by side; auto: 8 on the CPU, 32 on CUDA.",
)  # fmt: skip
several = _together(
    option(
        "--input-format", section=_TEXT, default="auto", show_default=True,
        type=click.Choice(["auto", "text", "jsonl"]),
        help='jsonl: a text a line, in objects with a "text"; auto: for *.jsonl.',
    ),
    batch_size,
)  # fmt: skip

_SUMMARY = "What the summary is"
summary = _together(
    option(
        "-n", "--sentences", section=_SUMMARY, type=click.IntRange(1), metavar="N",
        help="How many sentences at most (default: 5).",
    ),
    option(
        "--length", section=_SUMMARY, metavar="P%", callback=_percent,
        help="Instead of -n: so much of the text's sentences.",
    ),
    option(
        "--method", section=_SUMMARY, default="auto", show_default=True,
        type=click.Choice(["auto", "extractive", "abstractive", "hybrid"]),
        help="extractive: sentences of the text. abstractive: new ones, from a model that has "
        "learned to. hybrid: new ones that the text supports. auto: hybrid where the model has "
        "learned to and can read the text at once, else extractive.",
    ),
    option(
        "--cite", section=_SUMMARY, is_flag=True,
        help="Add the numbers of the sentences that each comes from.",
    ),
    option(
        "--keep-headings", section=_SUMMARY, is_flag=True,
        help="Show the text's headings above what comes from under them.",
    ),
    option(
        "--support", section=_SUMMARY, default=_SUMMARY_DEFAULTS.support, show_default=True,
        type=click.FloatRange(0, 1.01), metavar="SHARE",
        help="hybrid: how much of a new sentence its nearest sentences in the text must say.",
    ),
    option(
        "--context", section=_SUMMARY, type=click.IntRange(1), metavar="N",
        help="How many sentences the model is shown at once (default: as it was trained).",
    ),
    option(
        "--cue", section=_SUMMARY, metavar="TEXT",
        help="The sentence that asks the model for a summary (default: the model's own).",
    ),
    option(
        "--force", section=_SUMMARY, is_flag=True,
        help="Let a model write that has not learned to.",
    ),
)  # fmt: skip
document_format = option(
    "--input-format", section=_TEXT, default="auto", show_default=True,
    type=click.Choice(["auto", "text", "markdown", "html", "mail", "jsonl"]),
    help='auto: by the name and the look of it. jsonl: a text a line, in objects with a "text".',
)  # fmt: skip
_CACHE = "Cache"
_cache_size = option(
    "--cache-size", section=_CACHE, default=1024, show_default=True, type=click.IntRange(1),
    metavar="MB", help="How large the cache of vectors may grow.",
)  # fmt: skip
cache_dir = option(
    "--cache-dir", section=_CACHE, type=click.Path(file_okay=False, path_type=Path), metavar="DIR",
    help="Where it lies (default: the user's cache folder).",
)  # fmt: skip
cache = _together(
    option(
        "--cache/--no-cache", section=_CACHE, default=True, show_default=True,
        help="Keep the sentences' vectors, so that they are not encoded again.",
    ),
    _cache_size,
    cache_dir,
)  # fmt: skip

_NEXT = "What comes next"
generation = _together(
    option(
        "-n", "--sentences", section=_NEXT, default=_DEFAULTS.sentences, show_default=True,
        type=click.IntRange(1), metavar="N", help="How many sentences to write at most.",
    ),
    option(
        "--begin/--no-begin", section=_NEXT, default=None,
        help='Put "Begin of text." in front (default: what the model\'s config says).',
    ),
    option(
        "--stop-threshold", section=_NEXT, default=_DEFAULTS.stop_threshold, show_default=True,
        type=click.FloatRange(-1, 2), metavar="COSINE",
        help="Cosine to the end-of-text sentence that ends the text.",
    ),
    option(
        "--repeat-threshold", section=_NEXT, type=click.FloatRange(-1, 1), metavar="COSINE",
        help="Stop when a meaning comes back (default: off).",
    ),
    option(
        "--temperature", section=_NEXT, default=_DEFAULTS.temperature, show_default=True,
        type=click.FloatRange(0), metavar="T",
        help="Size of the noise on the predicted meaning; 0 is deterministic.",
    ),
    option(
        "--candidates", section=_NEXT, default=_DEFAULTS.candidates, show_default=True,
        type=click.IntRange(1, 256), metavar="K",
        help="With a temperature: decode K noisy vectors and draw one.",
    ),
    option(
        "--top-p", section=_NEXT, default=_DEFAULTS.top_p, show_default=True,
        type=click.FloatRange(0, 1, min_open=True), metavar="P",
        help="Draw from the most likely candidates that hold this share.",
    ),
    option(
        "--seed", section=_NEXT, type=int, metavar="N",
        help="The same text every time on the same device.",
    ),
)  # fmt: skip

_OUTPUT = "Output"
format_ = option(
    "--format", section=_OUTPUT, default="text", show_default=True,
    type=click.Choice(["text", "jsonl"]), help="Plain text, or one JSON object a line.",
)  # fmt: skip
report = option(
    "--format", section=_OUTPUT, default="text", show_default=True,
    type=click.Choice(["text", "json"]), help="A Markdown table, or one JSON object.",
)  # fmt: skip
output = option(
    "-o", "--output", section=_OUTPUT, type=click.Path(dir_okay=False), metavar="FILE",
    help="Write there instead of stdout.",
)  # fmt: skip
echo = option(
    "--echo", section=_OUTPUT, is_flag=True, help="Write the given text first (plain text only)."
)
quiet = option("-q", "--quiet", section=_OUTPUT, is_flag=True, help="No notices, no progress.")
verbosity = _together(
    quiet,
    option("-v", "--verbose", section=_OUTPUT, is_flag=True, help="Say more on stderr."),
)
