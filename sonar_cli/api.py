"""The face of the package: what a notebook and the command line both call.

>>> from sonar_cli import SonarLLM
>>> llm = SonarLLM.load("mini")
>>> steps = llm.continue_("One day Lily found a kite.", sentences=2)
>>> [step.text is not None for step in steps]
[True, True, False]
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from sonar_cli.errors import SonarError, UsageError, counted
from sonar_cli.hub.catalogue import FAR_FROM_MINI, SummaryTraining, summary_training
from sonar_cli.hub.download import Display, Watcher, unseen
from sonar_cli.hub.resolve import resolve
from sonar_cli.model.codec.base import Codec, Decoded, OnTruncated
from sonar_cli.model.load import AnySystem, load_codec, load_system, pack_weights
from sonar_cli.model.systems.base import System
from sonar_cli.model.systems.sonar_llm import SonarLLMSystem
from sonar_cli.model.systems.token_llm import TokenLLMSystem
from sonar_cli.options import (
    ENGLISH,
    MINI,
    PLAIN,
    CodecKind,
    Drawing,
    GenerationOptions,
    InputOptions,
    ModelPaths,
    ModelRequest,
    Runtime,
    Step,
    Summary,
    SummaryOptions,
)
from sonar_cli.pipeline import Batch, write_many
from sonar_cli.summary import ahead
from sonar_cli.summary.cache import files_identity
from sonar_cli.summary.document import Document, OnRead, read_together
from sonar_cli.summary.plan import Plan, make_plan, reading_parts, too_long, untrained
from sonar_cli.summary.summarize import summarize
from sonar_cli.summary.vectors import Encoding, Store
from sonar_cli.summary.writing import Progress
from sonar_cli.text.documents import Passage
from sonar_cli.text.inputs import Text
from sonar_cli.trained import as_trained, without_loops
from sonar_cli.world.stories import far

Notify = Callable[[str], None]

# Sentences by which a long text is judged.
_SAMPLE = 1_000


def _sample(sentences: int) -> range:
    """Return the numbers of up to `_SAMPLE` sentences from all over a text."""
    return range(0, sentences, 1 + sentences // _SAMPLE)


def _silent(line: str) -> None:
    pass


class SonarLLM:
    """A model: it continues and sums up texts, and turns sentences into vectors and back."""

    def __init__(
        self,
        request: ModelRequest,
        runtime: Runtime,
        paths: ModelPaths,
        codec: Codec,
        notify: Notify = _silent,
        detail: Notify = _silent,
    ) -> None:
        self.request = request
        self.runtime = runtime
        self.paths = paths
        self.codec = codec
        self.notify = notify
        self.detail = detail

    @classmethod
    def load(
        cls,
        model: str = MINI,
        *,
        config: str | None = None,
        encoder: str | None = None,
        decoder: str | None = None,
        tokenizer: str | None = None,
        offline: bool = False,
        codec: CodecKind = "native",
        device: str = "auto",
        dtype: str = "auto",
        threads: int | None = None,
        batch_size: int | None = None,
        notify: Notify = _silent,
    ) -> SonarLLM:
        """Find a model's files, downloading what is not here, and load its codec.

        `ModelRequest` and `Runtime` say what the arguments mean; the predictor is loaded when it
        is needed. `notify` is told what a user should know, a line each. Raises UsageError for
        what cannot be asked for, DownloadError and CheckpointError for files that cannot be had
        or read.
        """
        request = ModelRequest(model, config, encoder, decoder, tokenizer, offline, codec)
        return cls.open(request, Runtime(device, dtype, threads, batch_size), notify=notify)

    @classmethod
    def open(
        cls,
        request: ModelRequest,
        runtime: Runtime,
        *,
        predictor: bool = True,
        display: Display = unseen,
        notify: Notify = _silent,
        detail: Notify = _silent,
    ) -> SonarLLM:
        """Load what `request` names; see `load`.

        Without `predictor` only the codec's files are made sure of; the predictor's are then
        looked for when they are needed. `display` shows downloads. `detail` is told
        what only a curious user wants to know.
        """
        paths = resolve(request, predictor=predictor, watcher=Watcher(notify, display))
        if runtime.threads:
            torch.set_num_threads(runtime.threads)
        codec = load_codec(paths, runtime, request.codec, notify)
        detail(f"codec {paths.encoder}: vectors of {codec.width} numbers on {codec.device}")
        return cls(request, runtime, paths, codec, notify, detail)

    @cached_property
    def system(self) -> AnySystem:
        """The codec with what predicts in its space, loaded at first use."""
        if self.paths.predictor is None:
            self.paths = resolve(self.request, watcher=Watcher(self.notify))
        return load_system(self.paths, self.runtime, self.codec, self.notify)

    @property
    def drawing(self) -> Drawing:
        """How the model draws its sentences by itself."""
        system = self.system
        return system.predictor.config.drawing if isinstance(system, SonarLLMSystem) else PLAIN

    def pack(self) -> None:
        """Pack all weights now that are packed after some use: for many texts.

        Packed weights may round otherwise, so what is computed then depends on nothing before it.
        """
        pack_weights(self.codec)
        if "system" in vars(self):
            pack_weights(self.system)

    def of_vectors(self) -> System:
        """Return the system where it is one of vectors; UsageError for a token-level model."""
        if isinstance(self.system, TokenLLMSystem):
            raise UsageError(f"{self.request.model} is a token-level model; it has no vectors")
        return self.system

    @property
    def batch_size(self) -> int:
        """How many texts are written side by side."""
        return self.runtime.batch_size or (8 if self.codec.device.type == "cpu" else 32)

    def continue_(
        self,
        text: str | Sequence[str] | Text,
        options: GenerationOptions | None = None,
        on_truncated: OnTruncated | None = None,
        **changes: Any,
    ) -> Iterator[Step]:
        """Continue a text: yield a Step a sentence as it is made, then one that says why it ended.

        A string is split into sentences, a list is taken as sentences. `changes` are fields of
        `GenerationOptions` by name, such as `sentences=3`.
        """
        options = replace(options or GenerationOptions(), **changes)
        steps = self.continue_many([text], options, on_truncated)
        return (step for _, step in steps)

    def continue_many(
        self,
        texts: Iterable[str | Sequence[str] | Text],
        options: GenerationOptions | None = None,
        on_truncated: OnTruncated | None = None,
        **changes: Any,
    ) -> Iterator[tuple[int, Step]]:
        """Continue many texts, `batch_size` of them side by side: yield (number of the text, Step).

        Texts are taken as places become free. `pipeline.in_order` lets them follow one another.
        """
        options = replace(options or GenerationOptions(), **changes)
        options = without_loops(options, self.request.model, self.paths)
        prompts = (self.sentences(text, options.source_lang) for text in texts)
        return write_many(self.system, prompts, options, self.batch_size, on_truncated)

    def batch(
        self, options: GenerationOptions | None = None, on_truncated: OnTruncated | None = None
    ) -> Batch:
        """Return a batch without texts, for texts that come and go as it is written.

        Raises UsageError for a token-level model.
        """
        options = without_loops(options or GenerationOptions(), self.request.model, self.paths)
        return Batch(self.of_vectors(), options, on_truncated)

    def sentences(self, text: str | Sequence[str] | Text, lang: str = ENGLISH) -> Sequence[str]:
        """Return a text's sentences, and say so where it is far from all that the model knows."""
        if isinstance(text, str):
            text = Text("text", text, InputOptions(lang=lang))
        if isinstance(text, Text):
            found = [each.text for each in self.as_trained(text).sentences()]
        else:
            found = list(text)
        if self.request.embedded:
            some = " ".join(found[row] for row in _sample(len(found)))
            if self.codec.tokenizer.is_strange(some):
                self.notify(FAR_FROM_MINI)
        return found

    def summarize(
        self,
        text: str | Text | Document,
        options: SummaryOptions | None = None,
        *,
        cache: Store | None = None,
        on_read: OnRead | None = None,
        progress: Progress | None = None,
        **changes: Any,
    ) -> Summary:
        """Sum up a text in a few sentences, each with the sentences that it comes from.

        A text may have been read before (`read`). `changes` are fields of `SummaryOptions` by name,
        such as `sentences=3`. `cache` keeps the vectors of sentences (`summary.cache.opened`).
        `on_read` is told the offset in the text up to which it is read; `progress` may wrap the
        parts that the predictor reads one by one. Raises UsageError for a method that the model has
        not learned.
        """
        options = replace(options or SummaryOptions(), **changes)
        training = self.summary_training(options)
        document: Document | SonarError
        if isinstance(text, Document):
            document = text
        else:
            (document,) = self.read([text], options, cache=cache, on_read=on_read)
        if isinstance(document, SonarError):
            raise document
        plan = make_plan(
            document,
            options,
            training,
            self.request.model,
            far=lambda: self._is_far(document),
            notify=self.notify,
        )
        if plan.method == "extractive":
            return summarize(document, self.codec, None, plan, options)
        self._announce(document, plan)
        return summarize(
            document, self.codec, self.system, plan, options, self.batch_size, progress
        )

    def read(
        self,
        texts: Sequence[str | Text],
        options: SummaryOptions | None = None,
        *,
        cache: Store | None = None,
        on_read: OnRead | None = None,
    ) -> list[Document | SonarError]:
        """Split texts and encode their sentences together, to be summed up with these options.

        In the place of a text that cannot be summed up is what `summarize` raises for it. `on_read`
        is told the offset in all texts, one after the other.
        """
        options = options or SummaryOptions()
        lang = options.source_lang
        writes = options.method != "extractive" and bool(
            options.force or self.summary_training(options)
        )
        files = files_identity(self.paths.encoder, self.paths.tokenizer)
        # What makes the vectors: the files, who runs them, and in which number format.
        identity = f"{files}|{self.request.codec}|{self.runtime.dtype}"
        encoding = Encoding(self.codec, lang, cache, identity, self.notify)
        passages = (self._passages(text, lang, writes) for text in texts)
        found = read_together(passages, encoding, on_read)
        sentences = sum(len(each) for each in found if isinstance(each, Document))
        self.detail(
            f"{counted(sentences, 'sentence')} to choose from, "
            f"{counted(encoding.found, 'vector')} from the cache"
        )
        return found

    def encode(
        self,
        sentences: Sequence[str],
        lang: str = ENGLISH,
        on_truncated: OnTruncated | None = None,
    ) -> Tensor:
        """Return the sentences' vectors (N, D), float32, on the CPU."""
        return self.codec.encode(sentences, lang, on_truncated=on_truncated).cpu()

    def decode(
        self, vectors: Tensor, lang: str = ENGLISH, beam_size: int = 5, max_tokens: int = 256
    ) -> list[Decoded]:
        """Return the most likely sentence of each vector (N, D)."""
        return self.codec.decode(vectors, lang, beam_size, max_tokens)

    def load_predictor(self) -> None:
        """Load the predictor now, and not only when it is needed."""
        _ = self.system

    def count_tokens(self, sentence: str) -> int:
        """Return the number of a sentence's tokens, those of the codec that stand for its words."""
        return len(self.codec.tokenizer.pieces(sentence))

    def check_languages(self, *langs: str) -> None:
        """Raise UsageError, with near codes, for a language that the codec does not have."""
        for lang in langs:
            self.codec.tokenizer.lang_id(lang)

    def summary_training(self, options: SummaryOptions) -> SummaryTraining | None:
        """Return what the model was trained with to write summaries, None where it was not.

        Raises UsageError where the options need a model that was.
        """
        found = summary_training(self.request.model, self.paths.predictor)
        writes = options.method in ("abstractive", "hybrid") and not options.force
        if found is None and writes:
            raise UsageError(untrained(self.request.model))
        return found

    def as_trained(self, text: Text) -> Text:
        """Return the text, to be split as the model's training texts where that is left open."""
        return as_trained(text, self.request.model, self.paths, self.notify)

    def _passages(self, text: str | Text, lang: str, writes: bool) -> Iterator[Passage]:
        """Yield a text's sentences, split as the model was trained where it `writes` from them."""
        if not isinstance(text, Text):
            text = Text("text", text, InputOptions(lang=lang))
        if writes or text.options.split == "punkt":
            text = self.as_trained(text)
        order = ahead.Order(text, self.paths.tokenizer, lang, self.codec.max_len)
        return ahead.passages(order, self.codec.tokenizer)

    def _is_far(self, document: Document) -> bool:
        rows = _sample(len(document))
        return self.request.embedded and far(" ".join(document.text(row) for row in rows))

    def _announce(self, document: Document, plan: Plan) -> None:
        parts = reading_parts(document, plan.context)
        if len(parts) > 1:
            self.notify(
                too_long(
                    document,
                    plan.context,
                    f"{len(parts)} parts are summed up one by one, and of their summaries "
                    f"{plan.count} sentences are chosen",
                )
            )
