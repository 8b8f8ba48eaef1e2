"""The command `summarize`: what is asked for -> method, model, cache -> summaries."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from sonar_cli.cli import running
from sonar_cli.cli.running import Settings
from sonar_cli.errors import SonarError, UsageError
from sonar_cli.options import Method, ModelPaths, Summary, SummaryOptions
from sonar_cli.summary import cache

if TYPE_CHECKING:
    from sonar_cli.hub.store import Summarizer
    from sonar_cli.model.codec.native import Codec
    from sonar_cli.model.systems.sonar_llm import Predictor
    from sonar_cli.summary.cache import VectorCache
    from sonar_cli.summary.summarize import Document
    from sonar_cli.summary.vectors import Encoding
    from sonar_cli.text.documents import Passage

FAR_FROM_MINI = (
    "mini has learned to write small stories alone, and this text is far from them: "
    "its own sentences are chosen"
)
# Sentences that tell whether it is, of a long text.
_SAMPLE = 1_000


def run(names: list[str], settings: Settings) -> int:
    """Sum up the texts; return the exit status."""
    from sonar_cli import render

    if settings["sentences"] and settings["length"]:
        raise UsageError("-n and --length both say how long the summary is to be; give one")
    texts, failed = running.read_texts(names, settings["input_format"])
    if not texts:
        return 1
    summaries = _Summaries(settings)
    with running.output(settings["output"]) as out, _store(settings) as store:
        shown = render.Summaries(
            out,
            settings["format"],
            cite=settings["cite"],
            headings=settings["keep_headings"],
            langs=settings["target_langs"],
        )
        for name, text in texts.items():
            try:
                summary = summaries.of(name, text, store)
            except SonarError as error:
                if error.exit_status == UsageError.exit_status:
                    raise
                running.say(f"{name}: {error}")
                failed = True
            else:
                shown.write(name, summary)
    return 1 if failed else 0


class _Summaries:
    """Finds out once what the model can, loads what that takes, and sums up texts."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.said: set[str] = set()
        self.summarizer, self.paths = _look(settings)
        self.codec: Codec = running.codec_from(self.paths, settings)
        self.identity = _identity(self.paths, settings)
        self.options = _options(settings, self.summarizer, self.codec)
        self.predictor: Predictor | None = None

    def of(self, name: str, text: str, store: VectorCache | None) -> Summary:
        """Sum up one text."""
        from sonar_cli import render
        from sonar_cli.summary import summarize
        from sonar_cli.summary.vectors import Encoding

        lang, quiet = self.options.source_lang, self.settings["quiet"]
        encoding = Encoding(self.codec, lang, store, self.identity, self._say)
        with render.bar(len(text), "reading", quiet) as on_read:
            document = summarize.read(self._passages(name, text), encoding, on_read)
        if self.settings["verbose"]:
            self._verbose(document, encoding)
        options = replace(self.options, method=self._method(document))
        if options.method == "extractive":
            return summarize.summarize(document, self.codec, None, options)
        if self.predictor is None:
            self.predictor = running.load_predictor(self.paths, self.settings, self.codec)
        self._announce(document, options)

        def progress(parts: Iterable[range]) -> Iterable[range]:
            of = list(parts)
            return render.progress(of, len(of), "writing", quiet or len(of) == 1)

        return summarize.summarize(document, self.codec, self.predictor, options, progress)

    def _method(self, document: Document) -> Method:
        from sonar_cli.summary import summarize

        if len(document) <= summarize.wanted(document, self.options):
            return "extractive"  # it comes back whole: nothing is written, nothing is to be said
        asked: str = self.settings["method"]
        far = self.paths.embedded and asked != "extractive" and _is_far(document)
        if asked != "auto":
            if far and not self.settings["quiet"]:
                self._say(running.FAR_FROM_MINI)
            return asked  # type: ignore[return-value]
        if self.summarizer is None:
            self._say(
                f"{self.settings['model']} has not learned to write summaries: sentences of the "
                "text are chosen (--method extractive says so without this line)"
            )
            return "extractive"
        if far:
            self._say(FAR_FROM_MINI)
            return "extractive"
        if len(document) > self.options.context:
            self._say_long(
                document, "sentences of the text are chosen (--method hybrid writes part by part)"
            )
            return "extractive"
        return "hybrid"

    def _passages(self, name: str, text: str) -> Iterator[Passage]:
        from sonar_cli.text.documents import passages

        settings, tokenizer = self.settings, self.codec.tokenizer
        lang, given = settings["source_lang"], settings["input_format"]
        return passages(
            text,
            "text" if given == "jsonl" else given,
            settings["split"],
            lang,
            name,
            length=lambda sentence: len(tokenizer.source(sentence, lang)),
            limit=self.codec.max_len,
        )

    def _announce(self, document: Document, options: SummaryOptions) -> None:
        from sonar_cli.summary import summarize

        parts = summarize.reading_parts(document, options.context)
        if len(parts) > 1:
            count = summarize.wanted(document, options)
            self._say_long(
                document,
                f"{len(parts)} parts are summed up one by one, and of their summaries {count} "
                "sentences are chosen",
            )

    def _say_long(self, document: Document, so: str) -> None:
        context = self.options.context
        self._say(
            f"{len(document)} sentences are more than the model reads at once ({context}): {so}"
        )

    def _verbose(self, document: Document, encoding: Encoding) -> None:
        running.say(
            f"{len(document)} sentences to choose from, {encoding.found} vectors from the cache"
        )

    def _say(self, line: str) -> None:
        """Say a notice, each once a run."""
        if not self.settings["quiet"] and line not in self.said:
            self.said.add(line)
            running.say(line)


def _is_far(document: Document) -> bool:
    """Tell whether a document is none of mini's stories, by sentences from all over it."""
    rows = range(0, len(document), 1 + len(document) // _SAMPLE)
    return running.far_from_mini([" ".join(document.text(row) for row in rows)])


def _look(settings: Settings) -> tuple[Summarizer | None, ModelPaths]:
    """Find the model's files, and whether it was trained to write summaries.

    The predictor is not fetched where it is not going to write.
    """
    from sonar_cli.hub import store

    model, method = settings["model"], settings["method"]
    known = store.summarizer(model)
    never = store.published(model) and known is None and not settings["force"]
    if never and method in ("abstractive", "hybrid"):
        raise UsageError(_untrained(model))
    needed = method != "extractive" and not (never and method == "auto")
    paths = running.resolve(settings, predictor=needed)
    found = known or store.summarizer(model, paths.predictor if needed else None)
    if found is None and method in ("abstractive", "hybrid") and not settings["force"]:
        raise UsageError(_untrained(model))
    return found, paths


def _untrained(model: str) -> str:
    return (
        f"{model} has not learned to write summaries; use --method extractive, or let it try with "
        "--force (and --cue, the sentence to answer to)"
    )


def _options(settings: Settings, summarizer: Summarizer | None, codec: Codec) -> SummaryOptions:
    defaults = SummaryOptions()
    learned = summarizer.context if summarizer else None
    share = settings["length"]
    return SummaryOptions(
        sentences=None if share else settings["sentences"] or defaults.sentences,
        share=share or defaults.share,
        source_lang=settings["source_lang"],
        target_langs=settings["target_langs"],
        cue=settings["cue"] or (summarizer.cue if summarizer else defaults.cue),
        context=settings["context"] or learned or defaults.context,
        support=settings["support"],
        beam_size=settings["beam_size"],
        max_tokens=settings["max_tokens"],
        batch_size=settings["batch_size"] or (8 if codec.device.type == "cpu" else 32),
    )


def _identity(paths: ModelPaths, settings: Settings) -> str:
    """Name what makes the vectors: the encoder's and tokenizer's files, who runs them and how."""
    files = cache.files_identity(paths.encoder, paths.tokenizer)
    return f"{files}|{settings['codec']}|{settings['dtype']}"


@contextmanager
def _store(settings: Settings) -> Iterator[VectorCache | None]:
    """Open the cache, or go on without one where it is not wanted or cannot be had."""
    if not settings["cache"]:
        yield None
        return
    folder = settings["cache_dir"] or cache.default_folder()
    with ExitStack() as stack:
        store = None
        try:
            store = stack.enter_context(cache.opened(folder, settings["cache_size"] << 20))
        except (sqlite3.Error, OSError) as error:
            if not settings["quiet"]:
                running.say(f"no cache of vectors in {folder} ({error}); going on without it")
        yield store
