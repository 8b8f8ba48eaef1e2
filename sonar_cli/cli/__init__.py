"""Click: arguments -> options -> pipeline -> render. Heavy imports live in function bodies."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sonar_cli import __version__
from sonar_cli.cli import options, running
from sonar_cli.errors import SonarError, UsageError
from sonar_cli.options import GenerationOptions

if TYPE_CHECKING:
    from sonar_cli.evaluation.report import Tables
    from sonar_cli.model.load import Model
    from sonar_cli.render import Writer

Settings = dict[str, Any]


def main() -> None:
    """Run the command line and exit with its status."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """Run the command line; the only place where exceptions become exit statuses."""
    try:
        with cli.make_context("sonar-llm", arguments) as context:
            status = cli.invoke(context)
        sys.stdout.flush()
        return int(status or 0)
    except BaseException as error:
        if os.environ.get("SONAR_LLM_DEBUG") == "1" and not isinstance(
            error, click.exceptions.Exit
        ):
            raise
        return _status(error)


def _status(error: BaseException) -> int:
    """Say in one line what went wrong, and return the exit status that goes with it."""
    if isinstance(error, click.exceptions.Exit):
        return error.exit_code
    if isinstance(error, BrokenPipeError):
        # Nobody reads any more; what Python flushes at exit must have somewhere to go.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    if isinstance(error, (KeyboardInterrupt, click.Abort)):
        running.say("interrupted")
        return 130
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        click.echo(error.format_message(), err=True)
        return 2
    if isinstance(error, click.ClickException):
        where = getattr(error, "ctx", None)
        hint = f" (see {where.command_path} --help)" if where else ""
        running.say(error.format_message() + hint)
        return error.exit_code
    if isinstance(error, SonarError):
        running.say(str(error))
        return error.exit_status
    if isinstance(error, MemoryError) or "out of memory" in str(error).lower():
        running.say("out of memory; try a smaller model, --dtype bfloat16 or fewer --candidates")
    elif isinstance(error, OSError):
        running.say(f"{error.filename or 'i/o'}: {error.strerror or error}")
    else:
        running.say(f"{type(error).__name__}: {error}; SONAR_LLM_DEBUG=1 shows where")
    return 1


@click.group(context_settings={"help_option_names": ["-h", "--help"]}, no_args_is_help=True)
@click.version_option(__version__, prog_name="sonar-llm")
def cli() -> None:
    """Generate text one sentence at a time with SONAR-LLM.

    The model `mini` is in the package and needs no network.
    """


@cli.command("continue", cls=options.Command)
@click.argument("files", nargs=-1, metavar="[FILE|-]...")
@options.generation
@options.text
@options.target_langs
@options.decoding
@options.several
@options.model
@options.machine
@options.format_
@options.output
@options.echo
@options.verbosity
def continue_(files: tuple[str, ...], **settings: Any) -> int:
    """Continue each text.

    In a pipe every new sentence is a line, and an empty line parts the texts of several files. On
    a terminal the text is shown dimmed and its continuation follows as it is made. With -o what
    was written stays when the run is interrupted.
    """
    from sonar_cli import render

    running.check_generation(settings)
    texts, failed = running.read_texts(running.names(files), settings["input_format"])
    if not texts:
        return 1
    paths = running.resolve(settings)
    if paths.embedded and not settings["quiet"] and running.far_from_mini(texts.values()):
        render.notice(running.FAR_FROM_MINI)
    model = running.load_model(paths, settings)
    with running.output(settings["output"]) as out:
        terminal = out is sys.stdout and out.isatty()
        langs = settings["target_langs"]
        writer = render.writer(
            out, settings["format"], settings["echo"], len(texts) > 1, terminal, langs
        )
        _continue_all(model, texts, settings, writer)
    return 1 if failed else 0


def _continue_all(model: Model, texts: dict[str, str], settings: Settings, writer: Writer) -> None:
    from sonar_cli import render
    from sonar_cli.pipeline import generate_many, in_order
    from sonar_cli.text.sentences import split

    chosen = GenerationOptions(
        **{name: settings[name] for name in GenerationOptions.__dataclass_fields__}
    )
    names = list(texts)
    how = (settings["split"], settings["source_lang"])
    prompts = [split(text, *how) for text in texts.values()]
    given = [[each.text for each in prompt] for prompt in prompts]
    size = settings["batch_size"] or (8 if model.codec.device.type == "cpu" else 32)
    cut: list[int] = []
    writer.begin(names[0], prompts[0])
    try:
        for number, step in in_order(generate_many(model, given, chosen, size, cut.append)):
            writer.step(step)
            if settings["verbose"] and step.text is not None:
                render.notice(f"{step.seconds:.2f} s, fidelity {step.fidelity:.3f}")
            if step.stop_reason and number + 1 < len(names):
                writer.finish()
                writer.begin(names[number + 1], prompts[number + 1])
    finally:
        writer.finish()
    running.report_cut(sum(cut), settings)


@cli.command(cls=options.Command)
@click.argument("files", nargs=-1, metavar="[FILE|-]...")
@options.summary
@options.document_format
@options.text
@options.target_langs
@options.decoding
@options.cache
@options.model
@options.machine
@options.batch_size
@options.format_
@options.output
@options.verbosity
def summarize(files: tuple[str, ...], **settings: Any) -> int:
    """Sum up each text in a few sentences.

    By default they are sentences of the text, or new ones that the text supports where the model
    has learned to write them. In a pipe every sentence is a line, and an empty line parts the
    summaries of several texts. A text that is no longer than its summary comes back whole.
    """
    from sonar_cli.cli import summarizing

    return summarizing.run(running.names(files), settings)


@cli.command(cls=options.Command)
@click.argument("file", default="-", metavar="[FILE|-]")
@options.text
@options.model
@options.machine
@options.format_
@options.output
@options.verbosity
def encode(file: str, **settings: Any) -> int:
    """Turn a text's sentences into vectors.

    Writes a float32 array (N, D) in NumPy's .npy format, a row a sentence, or with --format jsonl
    one object a sentence.
    """
    import json

    import numpy as np

    from sonar_cli.text.inputs import read_text
    from sonar_cli.text.sentences import split

    as_json = settings["format"] == "jsonl"
    if not (as_json or settings["output"]) and sys.stdout.isatty():
        raise UsageError("vectors are no text for a terminal; give -o FILE or --format jsonl")
    (name,) = running.names((file,))
    how = (settings["split"], settings["source_lang"])
    sentences = [each.text for each in split(read_text(name), *how)]
    codec = running.load_codec(settings)
    cut: list[int] = []
    array = np.concatenate(
        [
            codec.encode(piece, settings["source_lang"], on_truncated=cut.append).cpu().numpy()
            for piece in running.pieces(sentences, "encoding", settings["quiet"])
        ]
    )
    if as_json:
        records = (
            {"file": name, "index": index, "text": text, "vector": row.tolist()}
            for index, (text, row) in enumerate(zip(sentences, array, strict=True))
        )
        lines = "".join(json.dumps(each, ensure_ascii=False) + "\n" for each in records)
        running.write_whole(lines.encode(), settings["output"])
    else:
        running.write_whole(running.npy(array), settings["output"])
    running.report_cut(sum(cut), settings)
    return 0


@cli.command(cls=options.Command)
@click.argument("file", default="-", metavar="[FILE|-]")
@options.target_lang
@options.decoding
@options.model
@options.machine
@options.format_
@options.output
@options.verbosity
def decode(file: str, **settings: Any) -> int:
    """Turn vectors into sentences, a line a vector.

    Reads what `sonar-llm encode` wrote: a .npy array (N, D) or JSON Lines with a "vector".
    """
    import json

    from sonar_cli.text.inputs import read_vectors

    (name,) = running.names((file,))
    array = read_vectors(name)
    codec = running.load_codec(settings)
    import torch

    how = (settings["target_lang"], settings["beam_size"], settings["max_tokens"])
    decoded = [
        each
        for piece in running.pieces(torch.from_numpy(array), "decoding", settings["quiet"])
        for each in codec.decode(piece, *how)
    ]
    lines = [each.text for each in decoded]
    if settings["format"] == "jsonl":
        lines = [
            json.dumps(
                {"file": name, "index": index, "text": each.text, "score": each.score},
                ensure_ascii=False,
            )
            for index, each in enumerate(decoded)
        ]
    running.write_whole("".join(line + "\n" for line in lines).encode(), settings["output"])
    return 0


@cli.command(cls=options.Command)
@options.option(
    "--recipe",
    type=click.Choice(["mini"]),
    required=True,
    help="What to train: mini, from nothing.",
)
@options.option(
    "-o", "--output", default="runs/mini", show_default=True, metavar="DIR",
    type=click.Path(file_okay=False), help="Checkpoints, logs, and the model in DIR/model.",
)  # fmt: skip
@options.option("--seed", default=0, show_default=True, type=click.IntRange(0), metavar="N")
@options.option(
    "--resume/--no-resume", default=True, help="Go on where an earlier run stopped (default)."
)
@options.device
@options.quiet
def train(recipe: str, output: str, **settings: Any) -> int:
    """Train a model. A run that was stopped, however it was, goes on where it saved last."""
    from sonar_cli.mini import recipe as mini

    folder = mini.train(
        Path(output),
        device=settings["device"],
        seed=settings["seed"],
        threads=settings["threads"],
        progress=not settings["quiet"],
        resume=settings["resume"],
    )
    print(folder)
    return 0


@cli.command(cls=options.Command)
@click.argument(
    "what", type=click.Choice(["mini", "dtype", "summaries"]), metavar="mini|dtype|summaries"
)
@options.option(
    "--stories", default=300, show_default=True, type=click.IntRange(1), metavar="N",
    help="How many held-out stories.",
)  # fmt: skip
@options.model
@options.machine
@options.format_
@options.output
@options.quiet
def evaluate(what: str, **settings: Any) -> int:
    """Measure a model on held-out stories of the story world and print a table.

    mini: what it gives back and how it continues. dtype: what --dtype costs, beside float32.
    summaries: ROUGE-L and METEOR of its summaries, beside the first sentences and sumy's systems.
    """
    from sonar_cli import render

    measure = {"mini": _evaluate_mini, "dtype": _evaluate_dtype, "summaries": _evaluate_summaries}
    found = measure[what](settings)
    with running.output(settings["output"]) as out:
        render.print_tables(found, settings["format"], out)
    return 0


def _evaluate_mini(settings: Settings) -> Tables:
    from sonar_cli import render
    from sonar_cli.evaluation import mini
    from sonar_cli.evaluation.report import Tables, json_lines, markdown

    model = running.load_model(running.resolve(settings), settings)
    rows = mini.run(
        model,
        settings["stories"],
        progress=lambda told, total: render.progress(told, total, "stories", settings["quiet"]),
    )
    return Tables(markdown(rows), json_lines(rows))


def _evaluate_dtype(settings: Settings) -> Tables:
    from sonar_cli import render
    from sonar_cli.evaluation import mini, precision
    from sonar_cli.evaluation.report import Tables, json_lines, markdown

    if settings["dtype"] in ("auto", "float32"):
        raise UsageError("what is to be compared to float32? add --dtype int8, for one")
    if settings["codec"] != "native":
        raise UsageError("only our own codec is compared; leave out --codec sonar-space")
    paths, count = running.resolve(settings), settings["stories"]
    exact, other = (
        running.load_model(paths, {**settings, "dtype": dtype})
        for dtype in ("float32", settings["dtype"])
    )
    rows = precision.run(
        exact,
        other,
        mini.held_out(count),
        progress=lambda told: render.progress(told, count, "stories", settings["quiet"]),
    )
    return Tables(markdown(rows), json_lines(rows))


def _evaluate_summaries(settings: Settings) -> Tables:
    from sonar_cli import render
    from sonar_cli.evaluation import mini, summaries, systems
    from sonar_cli.evaluation.report import Tables
    from sonar_cli.hub import store

    others = summaries.baselines()
    paths = running.resolve(settings)
    summarizer = store.summarizer(settings["model"], paths.predictor)
    model = running.load_model(paths, settings)
    stories = mini.stories(settings["stories"])
    scores = summaries.run(
        {**others, **systems.ours(model, summarizer)},
        stories,
        progress=lambda of, total: render.progress(of, total, "summaries", settings["quiet"]),
    )
    checks = summaries.targets(scores)
    shown = f"{summaries.markdown(scores)}\n\n{summaries.markdown_of_targets(checks)}"
    return Tables(shown, summaries.json_lines([*scores, *checks]))


@cli.command(cls=options.Command)
@options.option(
    "--against",
    type=click.Choice(["sonar-space", "plain"]),
    help="An opponent: the original, or our decoder with its weights unpacked.",
)
@options.counts("--texts", "1,4,8,16", "How many texts together.")
@options.counts("--contexts", "10,100,1000", "Sentences before the one that the predictor writes.")
@options.option(
    "--steps",
    default=20,
    show_default=True,
    type=click.IntRange(1, 500),
    metavar="N",
    help="Token steps of a search.",
)
@options.option(
    "--rounds",
    default=3,
    show_default=True,
    type=click.IntRange(1),
    metavar="N",
    help="Turns of each engine; medians are shown.",
)
@options.option(
    "--size",
    default="full",
    show_default=True,
    type=click.Choice(["full", "tiny"]),
    help="full: SONAR's own size and the 900m predictor's, 8 GB of random weights.",
)
@options.option(
    "--files",
    metavar="DIR",
    type=click.Path(file_okay=False, path_type=Path),
    help="Also run the whole loop from weights in DIR, written there once (11 GB).",
)
@options.option(
    "--dtype",
    default="auto",
    show_default=True,
    metavar="NAME,NAME,...",
    callback=options.dtypes,
    help="Number formats, of float32, bfloat16, float16, int8; auto: float32,int8 on the CPU, "
    "bfloat16,float16 on CUDA.",
)
@options.beam_size
@options.measured
@options.device
@options.report
@options.output
@options.quiet
def bench(**settings: Any) -> int:
    """Measure how fast this machine is: token steps, sentences, memory.

    Weights are random, because the time does not depend on their values. Engines take turns.
    """
    import json

    from sonar_cli import render
    from sonar_cli.evaluation.bench import run as measure
    from sonar_cli.model.load import pick_device

    running.set_threads(settings["threads"])
    dtypes = settings.pop("dtype")
    if "auto" in dtypes:
        cpu = pick_device(settings["device"]).type == "cpu"
        dtypes = ("float32", "int8") if cpu else ("bfloat16", "float16")
    if settings["model"]:
        settings["model"] = running.resolve(settings)
    plan = measure.Plan(
        dtypes=dtypes,
        **{name: settings[name] for name in settings if name in measure.Plan.__dataclass_fields__},
    )
    found = measure.run(plan, lambda line: render.doing(line, settings["quiet"]))
    shown = json.dumps(found) if settings["format"] == "json" else measure.page(found)
    with running.output(settings["output"]) as out:
        out.write(shown + "\n")
    return 0


@cli.group()
def models() -> None:
    """List models and get their files."""


@models.command("list", cls=options.Command)
@options.format_
def models_list(format: str) -> int:
    """List the models that have names, and whether their files are here."""
    from sonar_cli import render
    from sonar_cli.hub import store

    render.print_models(store.known(), format)
    return 0


@models.command("pull", cls=options.Command)
@click.argument("model")
@options.quiet
def models_pull(model: str, quiet: bool) -> int:
    """Download a model and its codec; only the files that are read."""
    from sonar_cli.hub import store

    paths = store.resolve(model, progress=not quiet and sys.stderr.isatty())
    print(paths.predictor)
    return 0


@models.command("path", cls=options.Command)
@click.argument("model", default="mini")
def models_path(model: str) -> int:
    """Print where a model's files lie; nothing is downloaded."""
    from sonar_cli.hub import store

    paths = store.resolve(model, offline=True)
    for part in ("predictor", "encoder", "decoder", "tokenizer"):
        print(f"{part}\t{getattr(paths, part)}")
    return 0


@cli.group()
def cache() -> None:
    """Look at the cache of vectors that `summarize` keeps, or empty it."""


@cache.command("info", cls=options.Command)
@options.cache_dir
@options.format_
def cache_info(cache_dir: Path | None, format: str) -> int:
    """Print where the cache lies, how many vectors it holds and how large it is."""
    import json
    from dataclasses import asdict

    from sonar_cli.summary import cache as vectors

    found = vectors.info(cache_dir or vectors.default_folder())
    if format == "jsonl":
        print(json.dumps(asdict(found)))
    else:
        print(f"{found.path}\n{found.vectors} vectors, {found.bytes / 1e6:.1f} MB")
    return 0


@cache.command("clear", cls=options.Command)
@options.cache_dir
def cache_clear(cache_dir: Path | None) -> int:
    """Delete the cache; what is summarized next is encoded anew."""
    from sonar_cli.summary import cache as vectors

    freed = vectors.clear(cache_dir or vectors.default_folder())
    print(f"{freed / 1e6:.1f} MB freed")
    return 0
