"""Train a tiny SONAR and SONAR-LLM with the original code, and write what that code answers.

Run it in an environment with sonar-space and transformers (oracle.sh makes one); it downloads
and installs nothing. See README.md for what it writes.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import time
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

import layouts
import numpy as np
import torch
import toy_codec
import toy_predictor
import toy_text
from torch import Tensor
from toy_codec import Hypothesis, ToyCodec
from toy_predictor import Predictor

CODEC_STEPS, PREDICTOR_STEPS = 400, 600
BEAMS = (1, 3, 5)
MAX_TOKENS = (256, 12, 6, 4, 3)
ODD_TEXTS = (
    "",
    " ",
    ".",
    "Lily",
    "lily took THE kite",
    "Zwölf Boxkämpfer jagen Viktor quer über den großen Sylter Deich.",
    "雪が降っている。☃ 🎈🎈",
    "Привет, мир!",
    "__eng_Latn__ </s> <pad> <unk> <s> <MINED_DATA>",
    "  Tom \t had\u00a0a\u2003hat .\n\nIt was lost… ﬁne ½ Ａ  ",
    "e\u0301 é \u200b\ufeff\u00ad",
    "a" * 70,
    "Lily took the kite to the lake. Tom found the ball and went home.",
    # Exactly at the encoder's limit of 514 tokens, near it, and far beyond it.
    "kite " * 511,
    "kite " * 512,
    "kite " * 513,
    "Anna had a boat. " * 120,
)


class Record:
    """What goes into expected.json, and the arrays that go into expected.npz."""

    def __init__(self) -> None:
        self.json: dict[str, Any] = {}
        self.arrays: dict[str, np.ndarray] = {}

    def array(self, name: str, tensor: Tensor) -> str:
        self.arrays[name] = tensor.detach().float().numpy().copy()
        return name

    def write(self, folder: Path) -> None:
        lines = []
        for key, value in self.json.items():
            if isinstance(value, list):
                rows = ",\n  ".join(json.dumps(row, ensure_ascii=False) for row in value)
                lines.append(f"{json.dumps(key)}: [\n  {rows}\n ]")
            else:
                lines.append(f"{json.dumps(key)}: {json.dumps(value, ensure_ascii=False)}")
        text = "{\n " + ",\n ".join(lines) + "\n}\n"
        (folder / "expected.json").write_text(text, encoding="utf-8")
        np.savez_compressed(folder / "expected.npz", **self.arrays)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, help="folder; replaced")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    # One thread: sums in one order, and no waiting for a busy second core.
    torch.set_num_threads(1)
    torch.manual_seed(args.seed)
    started = time.monotonic()

    def say(what: str) -> None:
        print(f"{time.monotonic() - started:5.0f} s  {what}", file=sys.stderr, flush=True)

    shutil.rmtree(args.out, ignore_errors=True)
    pieces = args.out / "tokenizer" / "sentencepiece.model"
    toy_codec.train_pieces(pieces)
    codec = toy_codec.build(pieces)
    loss = toy_codec.train(codec, CODEC_STEPS, args.seed)
    say(f"trained the codec, loss {loss:.3f}")
    layouts.write(codec, args.out)
    say("wrote and checked three layouts")

    record = Record()
    record.json["seed"] = args.seed
    names = ("sonar-space", "fairseq2", "transformers", "torch", "sentencepiece")
    record.json["versions"] = {name: version(name) for name in names}
    record.json["languages"] = toy_codec.languages()
    record.json["vocab_size"] = codec.tokenizer.vocab_info.size
    record_tokens(codec, record)
    record_vectors(codec, record)
    record_sentences(codec, record)
    kept, all_of_them = record_searches(codec, record)
    say(f"recorded the codec; {all_of_them - kept} of {all_of_them} searches too close to call")

    toy_predictor.check_branches()
    predictors = {
        name: toy_predictor.build(config, codec, PREDICTOR_STEPS, args.seed)
        for name, config in toy_predictor.CONFIGS.items()
    }
    toy_predictor.write(predictors, codec, args.out / "predictors")
    say("trained three predictors")
    record_predictions(predictors, codec, record)
    kept, all_of_them = record_loops(predictors, codec, record)
    say(f"recorded the loop; {all_of_them - kept} of {all_of_them} texts too close to call")
    record.write(args.out)
    size = sum(file.stat().st_size for file in args.out.rglob("*") if file.is_file())
    say(f"wrote {args.out}: {size / 1e6:.1f} MB")


def record_tokens(codec: ToyCodec, record: Record) -> None:
    """Token ids of the original tokenizer in both modes, and what it makes of them again."""
    rows = []
    decode = codec.tokenizer.create_decoder(skip_special_tokens=True)
    for number, text in enumerate([*ODD_TEXTS, *_texts(0)[:3], *_texts(1)[:3], *_texts(2)[:3]]):
        lang = ("eng_Latn", "fra_Latn", "spa_Latn", "ace_Arab", "zul_Latn")[number % 5]
        row: dict[str, Any] = {"text": text, "lang": lang}
        for mode in ("source", "target"):
            row[mode] = codec.tokenizer.create_encoder(lang=lang, mode=mode)(text).tolist()
        row["decoded"] = str(decode(torch.tensor(row["target"])))
        rows.append(row)
    record.json["tokens"] = rows


def record_vectors(codec: ToyCodec, record: Record) -> None:
    """Vectors of sentences of the toy world and of others, in several languages and batches."""
    rows = []
    for lang, texts in (
        ("eng_Latn", [*_texts(0)[:20], *ODD_TEXTS]),
        ("fra_Latn", _texts(1)[:12]),
        ("spa_Latn", _texts(2)[:12]),
        ("deu_Latn", [*ODD_TEXTS[:8], *_texts(0)[:4]]),
    ):
        for batch_size in (1, 5, 64):
            name = f"encode.{lang}.{batch_size}"
            vectors = codec.encode(texts, lang, batch_size)
            record.array(name, vectors)
            rows.append({"lang": lang, "batch_size": batch_size, "texts": texts, "vectors": name})
    record.json["encode"] = rows


def record_sentences(codec: ToyCodec, record: Record) -> None:
    """How good the codec is (the proof that it is trained), and logits of forced sentences."""
    texts = _texts(0)
    decoded, _ = codec.decode(codec.encode(texts, "eng_Latn"), "eng_Latn", 5, 256, 32)
    record.json["reconstructed"] = sum(a == b for a, b in zip(texts, decoded, strict=True)) / len(
        texts
    )
    rows = []
    for number, text in enumerate(texts[:4]):
        ids = codec.tokenizer.create_encoder(lang="eng_Latn", mode="target")(text).tolist()
        vector = codec.encode([texts[number + 1]], "eng_Latn")
        logits = codec.logits(vector, torch.tensor([ids]))[0]
        rows.append(
            {
                "ids": ids,
                "vector": record.array(f"forced.{number}.vector", vector[0]),
                "logits": record.array(f"forced.{number}.logits", logits),
            }
        )
    record.json["forced"] = rows


def record_searches(codec: ToyCodec, record: Record) -> tuple[int, int]:
    """Beam search over clear and unclear vectors; return how many were kept, and of how many.

    A search whose tokens change when the vector changes in its sixth digit cannot be asked of
    another implementation in float32: its place holds null.
    """
    vectors = _search_vectors(codec)
    record.array("decode.vectors", vectors)
    rows, kept = [], 0
    for lang, beam, max_tokens, batch_size in _settings(len(vectors)):
        texts, found = codec.decode(vectors, lang, beam, max_tokens, batch_size)
        firm = [True] * len(vectors)
        for _ in range(2):
            noise = 2e-6 * torch.randn_like(vectors) * vectors.abs().amax(dim=1, keepdim=True)
            _, again = codec.decode(vectors + noise, lang, beam, max_tokens, len(vectors))
            same = (_ids(a) == _ids(b) for a, b in zip(found, again, strict=True))
            firm = [a and b for a, b in zip(firm, same, strict=True)]
        kept += sum(firm)
        rows.append(
            {
                "lang": lang,
                "beam": beam,
                "max_tokens": max_tokens,
                "batch_size": batch_size,
                "found": [
                    {"text": text, "hypotheses": [_rounded(h) for h in hypotheses]} if ok else None
                    for text, hypotheses, ok in zip(texts, found, firm, strict=True)
                ],
            }
        )
    record.json["decode"] = rows
    return kept, len(rows) * len(vectors)


def record_predictions(predictors: dict[str, Predictor], codec: ToyCodec, record: Record) -> None:
    """Next vectors at every position: texts that make sense, and long ones that make none."""
    texts = [text for story in toy_text.stories()[::9] for text in story][:80]
    sense = codec.encode(texts, "eng_Latn")
    vectors = torch.stack([sense, sense.std() * torch.randn_like(sense)])
    record.array("predict.vectors", vectors)
    record.json["predict"] = [
        {
            "predictor": name,
            "config": toy_predictor.CONFIGS[name],
            "next": record.array(f"predict.{name}", predictor(vectors)),
        }
        for name, predictor in predictors.items()
    ]


def record_loops(
    predictors: dict[str, Predictor], codec: ToyCodec, record: Record
) -> tuple[int, int]:
    """The authors' loop over several openings; a text that hangs on the sixth digit is left out."""
    rows, everything = [], 0
    for name, opening, begin, threshold in _openings():
        sentences = [toy_text.BEGIN] * begin + opening
        everything += 1
        predictor = predictors[name]
        written, end = toy_predictor.continue_text(
            predictor, codec, sentences, threshold, lambda vector: vector
        )
        again = [
            toy_predictor.continue_text(predictor, codec, sentences, threshold, _disturbed)
            for _ in range(2)
        ]
        texts = [turn.text for turn in written]
        near = any(abs(turn.similarity - threshold) < 1e-3 for turn in [*written, end] if turn)
        if near or any([turn.text for turn in other] != texts for other, _ in again):
            continue
        rows.append(
            {
                "predictor": name,
                "sentences": opening,
                "begin": begin,
                "threshold": threshold,
                "written": [asdict(turn) for turn in written],
                "end": asdict(end) if end else None,
            }
        )
    record.json["loops"] = rows
    return len(rows), everything


def _openings() -> list[tuple[str, list[str], bool, float]]:
    """(predictor, sentences, with "Begin of text.", stop threshold)."""
    stories = toy_text.stories()
    found = [
        (name, stories[number][:count], begin, 0.98)
        for name in toy_predictor.CONFIGS
        for number, count in ((3, 1), (50, 2), (100, 3), (150, 2), (180, 5))
        for begin in (False, True)
    ]
    # Never to stop by itself: the limit of 32 ends the text.
    found += [(name, stories[77][:2], True, 1.1) for name in toy_predictor.CONFIGS]
    found += [("bare", stories[78][:1], False, 1.1)]
    found += [("wide-heads", ["Hello, world!", "Tom had a hat."], False, 0.9)]
    return found


def _disturbed(vector: Tensor) -> Tensor:
    return vector + 2e-6 * torch.randn_like(vector) * vector.abs().max()


def _search_vectors(codec: ToyCodec) -> Tensor:
    """Clear vectors, noisy ones, means of two, too short, too long, none at all: (N, D)."""
    texts = _texts(0)[:10]
    clear = codec.encode(texts, "eng_Latn")
    odd = codec.encode(["", "Привет, мир!", "Tom had a ball. Mia had a doll."], "eng_Latn")
    spread = clear.std()
    parts = [clear[:5], odd]
    parts += [clear[:2] + size * spread * torch.randn(2, clear.shape[1]) for size in (0.3, 0.7, 1)]
    parts += [(clear[:4] + clear[4:8]) / 2, clear[8:9] * 0.3, clear[9:10] * 3]
    parts += [torch.zeros(1, clear.shape[1]), spread * torch.randn(1, clear.shape[1])]
    return torch.cat(parts)


def _settings(count: int) -> list[tuple[str, int, int, int]]:
    """(language, beam size, max tokens, batch size), each list varied around the default."""
    chosen = [("eng_Latn", beam, most, count) for beam in BEAMS for most in MAX_TOKENS]
    chosen += [("eng_Latn", beam, 256, size) for beam in (1, 5) for size in (1, 4)]
    chosen += [("eng_Latn", 5, 6, 1), ("eng_Latn", 2, 9, 7), ("eng_Latn", 12, 30, count)]
    for lang in ("fra_Latn", "spa_Latn"):
        chosen += [(lang, beam, 256, count) for beam in BEAMS]
    # A language token that was never trained.
    return [*chosen, ("zul_Latn", 5, 40, count)]


def _texts(language: int) -> list[str]:
    """Every 7th sentence of the toy world, the frame sentences first."""
    facts = toy_text.facts()
    return [fact[language] for fact in (*facts[:2], *facts[2::7])]


def _ids(hypotheses: list[Hypothesis]) -> list[list[int]]:
    return [hypothesis.ids for hypothesis in hypotheses]


def _rounded(hypothesis: Hypothesis) -> dict[str, Any]:
    return {**asdict(hypothesis), "score": round(hypothesis.score, 6)}


if __name__ == "__main__":
    main()
