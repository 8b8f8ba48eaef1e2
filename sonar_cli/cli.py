"""Click: arguments -> options -> pipeline -> render. Heavy imports live in function bodies."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import click

from sonar_cli import __version__, options
from sonar_cli.config import GenerationOptions, ModelPaths
from sonar_cli.errors import SonarError, UsageError

if TYPE_CHECKING:
    from sonar_cli.evaluation.tables import Row
    from sonar_cli.model.codec import Codec
    from sonar_cli.model.load import Model
    from sonar_cli.render import Writer

Settings = dict[str, Any]

# Sentences between two moves of a progress bar: eight batches.
_PIECE = 256

FAR_FROM_MINI = (
    "mini knows only small stories, and this text is far from them; "
    "-m 900m gets a real model (once, several GB)"
)


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
        _say("interrupted")
        return 130
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        click.echo(error.format_message(), err=True)
        return 2
    if isinstance(error, click.ClickException):
        where = getattr(error, "ctx", None)
        hint = f" (see {where.command_path} --help)" if where else ""
        _say(error.format_message() + hint)
        return error.exit_code
    if isinstance(error, SonarError):
        _say(str(error))
        return error.exit_status
    if isinstance(error, MemoryError) or "out of memory" in str(error).lower():
        _say("out of memory; try a smaller model, --dtype bfloat16 or fewer --candidates")
    elif isinstance(error, OSError):
        _say(f"{error.filename or 'i/o'}: {error.strerror or error}")
    else:
        _say(f"{type(error).__name__}: {error}; SONAR_LLM_DEBUG=1 shows where")
    return 1


def _say(line: str) -> None:
    print("sonar-llm: " + " ".join(line.split()), file=sys.stderr, flush=True)


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

    _check_generation(settings)
    texts, failed = _read_texts(_names(files), settings["input_format"])
    if not texts:
        return 1
    paths = _resolve(settings)
    if paths.embedded and not settings["quiet"] and _far_from_mini(texts.values()):
        render.notice(FAR_FROM_MINI)
    model = _load_model(paths, settings)
    with _output(settings["output"]) as out:
        terminal = out is sys.stdout and out.isatty()
        writer = render.writer(out, settings["format"], settings["echo"], len(texts) > 1, terminal)
        _continue_all(model, texts, settings, writer)
    return 1 if failed else 0


def _continue_all(model: Model, texts: dict[str, str], settings: Settings, writer: Writer) -> None:
    from sonar_cli import render
    from sonar_cli.pipeline import generate_many, in_order
    from sonar_cli.sentences import split

    chosen = GenerationOptions(
        **{name: settings[name] for name in GenerationOptions.__dataclass_fields__}
    )
    names = list(texts)
    prompts = [split(text, settings["split"]) for text in texts.values()]
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
    _report_cut(sum(cut), settings)


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

    from sonar_cli.inputs import read_text
    from sonar_cli.sentences import split

    as_json = settings["format"] == "jsonl"
    if not (as_json or settings["output"]) and sys.stdout.isatty():
        raise UsageError("vectors are no text for a terminal; give -o FILE or --format jsonl")
    (name,) = _names((file,))
    sentences = [each.text for each in split(read_text(name), settings["split"])]
    codec = _load_codec(settings)
    cut: list[int] = []
    array = np.concatenate(
        [
            codec.encode(piece, settings["source_lang"], on_truncated=cut.append).cpu().numpy()
            for piece in _pieces(sentences, "encoding", settings["quiet"])
        ]
    )
    if as_json:
        records = (
            {"file": name, "index": index, "text": text, "vector": row.tolist()}
            for index, (text, row) in enumerate(zip(sentences, array, strict=True))
        )
        lines = "".join(json.dumps(each, ensure_ascii=False) + "\n" for each in records)
        _write_whole(lines.encode(), settings["output"])
    else:
        _write_whole(_npy(array), settings["output"])
    _report_cut(sum(cut), settings)
    return 0


@cli.command(cls=options.Command)
@click.argument("file", default="-", metavar="[FILE|-]")
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

    from sonar_cli.inputs import read_vectors

    (name,) = _names((file,))
    array = read_vectors(name)
    codec = _load_codec(settings)
    import torch

    how = (settings["target_lang"], settings["beam_size"], settings["max_tokens"])
    decoded = [
        each
        for piece in _pieces(torch.from_numpy(array), "decoding", settings["quiet"])
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
    _write_whole("".join(line + "\n" for line in lines).encode(), settings["output"])
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
@click.argument("what", type=click.Choice(["mini", "dtype"]), metavar="mini|dtype")
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
    """
    from sonar_cli import render

    rows = {"mini": _evaluate_mini, "dtype": _evaluate_dtype}[what](settings)
    with _output(settings["output"]) as out:
        render.print_rows(rows, settings["format"], out)
    return 0


def _evaluate_mini(settings: Settings) -> list[Row]:
    from sonar_cli import render
    from sonar_cli.evaluation import mini

    model = _load_model(_resolve(settings), settings)
    return mini.run(
        model,
        settings["stories"],
        progress=lambda told, total: render.progress(told, total, "stories", settings["quiet"]),
    )


def _evaluate_dtype(settings: Settings) -> list[Row]:
    from sonar_cli import render
    from sonar_cli.evaluation import mini, precision

    if settings["dtype"] in ("auto", "float32"):
        raise UsageError("what is to be compared to float32? add --dtype int8, for one")
    if settings["codec"] != "native":
        raise UsageError("only our own codec is compared; leave out --codec sonar-space")
    paths, count = _resolve(settings), settings["stories"]
    exact, other = (
        _load_model(paths, {**settings, "dtype": dtype}) for dtype in ("float32", settings["dtype"])
    )
    return precision.run(
        exact,
        other,
        mini.held_out(count),
        progress=lambda told: render.progress(told, count, "stories", settings["quiet"]),
    )


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
    from sonar_cli.evaluation import bench as measure
    from sonar_cli.model.load import pick_device

    _set_threads(settings["threads"])
    dtypes = settings.pop("dtype")
    if "auto" in dtypes:
        cpu = pick_device(settings["device"]).type == "cpu"
        dtypes = ("float32", "int8") if cpu else ("bfloat16", "float16")
    if settings["model"]:
        settings["model"] = _resolve(settings)
    plan = measure.Plan(
        dtypes=dtypes,
        **{name: settings[name] for name in settings if name in measure.Plan.__dataclass_fields__},
    )
    found = measure.run(plan, lambda line: render.doing(line, settings["quiet"]))
    shown = json.dumps(found) if settings["format"] == "json" else measure.page(found)
    with _output(settings["output"]) as out:
        out.write(shown + "\n")
    return 0


@cli.group()
def models() -> None:
    """List models and get their files."""


@models.command("list", cls=options.Command)
@options.format_
def models_list(format: str) -> int:
    """List the models that have names, and whether their files are here."""
    from sonar_cli import render, store

    render.print_models(store.known(), format)
    return 0


@models.command("pull", cls=options.Command)
@click.argument("model")
@options.quiet
def models_pull(model: str, quiet: bool) -> int:
    """Download a model and its codec; only the files that are read."""
    from sonar_cli import store

    paths = store.resolve(model, progress=not quiet and sys.stderr.isatty())
    print(paths.predictor)
    return 0


@models.command("path", cls=options.Command)
@click.argument("model", default="mini")
def models_path(model: str) -> int:
    """Print where a model's files lie; nothing is downloaded."""
    from sonar_cli import store

    paths = store.resolve(model, offline=True)
    for part in ("predictor", "encoder", "decoder", "tokenizer"):
        print(f"{part}\t{getattr(paths, part)}")
    return 0


def _names(files: tuple[str, ...]) -> list[str]:
    names = list(files or ("-",))
    if "-" in names and sys.stdin.isatty():
        raise UsageError("give a FILE, or pipe a text in")
    return names


def _read_texts(names: list[str], format: str) -> tuple[dict[str, str], bool]:
    """Read what can be read; each file that cannot is said in a line of its own."""
    from sonar_cli.inputs import read_texts

    texts: dict[str, str] = {}
    failed = False
    for name in names:
        try:
            texts |= read_texts(name, format)
        except SonarError as error:
            _say(str(error))
            failed = True
    return texts, failed


def _check_generation(settings: Settings) -> None:
    if settings["candidates"] > 1 and settings["temperature"] == 0:
        raise UsageError("--candidates needs noise to differ; add --temperature 0.3")


def _resolve(settings: Settings, predictor: bool = True) -> ModelPaths:
    from sonar_cli import store

    return store.resolve(
        settings["model"],
        config=settings["config"],
        encoder=settings["encoder"],
        decoder=settings["decoder"],
        tokenizer=settings["tokenizer"],
        offline=settings["offline"],
        progress=not settings["quiet"] and sys.stderr.isatty(),
        predictor=predictor,
        codec=settings.get("codec", "native"),
    )


def _load_model(paths: ModelPaths, settings: Settings) -> Model:
    from sonar_cli.model.load import Model, check_width, load_predictor

    codec = _codec_from(paths, settings)
    predictor = load_predictor(
        paths.predictor,
        paths.predictor_config,
        settings["device"],
        settings["dtype"],
        None if settings["quiet"] else _say,
    )
    check_width(codec, predictor, paths.predictor)
    return Model(codec, predictor)


def _load_codec(settings: Settings) -> Codec:
    return _codec_from(_resolve(settings, predictor=False), settings)


def _codec_from(paths: ModelPaths, settings: Settings) -> Codec:
    from sonar_cli.model.load import load_codec, pick_device

    pick_device(settings["device"])
    # The embedded model's matrices are too small to be shared: threads would mostly wait for one
    # another, and much longer where another process has their core.
    _set_threads(settings["threads"] or (1 if paths.embedded else None))
    files = (paths.encoder, paths.decoder, paths.tokenizer)
    how = (settings["device"], settings["dtype"])
    if settings["codec"] == "sonar-space":
        from sonar_cli.model.sonar_space import load_sonar_space

        codec: Any = load_sonar_space(*files, *how)
    else:
        codec = load_codec(*files, *how, None if settings["quiet"] else _say)
    for option in ("source_lang", "target_lang"):
        if option in settings:
            codec.tokenizer.lang_id(settings[option])
    if settings.get("verbose"):
        _say(f"codec {paths.encoder}: vectors of {codec.width} numbers on {codec.device}")
    return codec


def _set_threads(count: int | None) -> None:
    if count:
        import torch

        torch.set_num_threads(count)


def _far_from_mini(texts: Any) -> bool:
    """More than a third of the words are none of the story world's."""
    from sonar_cli.mini.world import far

    return any(far(text) for text in texts)


def _pieces(items: Any, label: str, quiet: bool) -> Iterator[Any]:
    """Cut long work into pieces of some batches each, with a progress bar over them."""
    from sonar_cli import render

    starts = range(0, len(items), _PIECE)
    for start in render.progress(starts, len(starts), label, quiet):
        yield items[start : start + _PIECE]


def _report_cut(count: int, settings: Settings) -> None:
    if count and not settings["quiet"]:
        _say(f"{count} sentences were longer than the encoder reads and were cut")


@contextmanager
def _output(path: str | None) -> Iterator[TextIO]:
    if path is None:
        yield sys.stdout
    else:
        with open(path, "w", encoding="utf-8") as out:
            yield out


def _write_whole(data: bytes, path: str | None) -> None:
    """Write a result in one go: to stdout, or into place once it is complete."""
    if path is None:
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
        return
    partial = f"{path}.partial"
    with open(partial, "wb") as out:
        out.write(data)
    os.replace(partial, path)


def _npy(array: Any) -> bytes:
    import io

    import numpy as np

    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()
