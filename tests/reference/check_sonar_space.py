"""Hold `SonarSpaceCodec` to the goldens; only an environment with sonar-space can run it."""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import numpy as np
import torch

from sonar_cli.errors import DownloadError, UsageError
from sonar_cli.hub.resolve import resolve
from sonar_cli.model.codec.base import Codec
from sonar_cli.model.load import load_codec
from sonar_cli.options import ModelPaths, ModelRequest, Runtime

LAYOUTS = {
    "fairseq2": ("fairseq2/encoder.pt", "fairseq2/decoder.pt"),
    "fairseq": ("fairseq/encoder.pt", "fairseq/decoder.pt"),
    "huggingface": ("huggingface/encoder", "huggingface/decoder"),
}


def main() -> None:
    folder = Path(sys.argv[1])
    expected = json.loads((folder / "expected.json").read_text(encoding="utf-8"))
    arrays = np.load(folder / "expected.npz")
    torch.set_num_threads(1)
    check_cards(folder)  # first, because fairseq2 reads its environment once
    print("sonar-space through its cards agrees", file=sys.stderr)
    for name, (encoder, decoder) in LAYOUTS.items():
        codec = load(folder / encoder, folder / decoder, folder / "tokenizer")
        check(codec, expected, arrays)
        print(f"sonar-space through sonar_cli agrees, layout {name}", file=sys.stderr)


def load(encoder: Path, decoder: Path, tokenizer: Path, dtype: str = "auto") -> Codec:
    return load_codec(ModelPaths(encoder, decoder, tokenizer), Runtime("cpu", dtype), "sonar-space")


def check_cards(folder: Path) -> None:
    """Files that cards name are downloaded once, and are the same codec as the files themselves."""
    predictor = str(folder / "predictors" / "wide-heads")
    card = partial(ModelRequest, predictor, codec="sonar-space", encoder="toy_encoder")
    with tempfile.TemporaryDirectory() as made, cards(folder, Path(made)) as files:
        expect(
            DownloadError, "--offline", lambda: resolve(card(decoder="toy_decoder", offline=True))
        )
        expect(UsageError, "near: toy_decoder", lambda: resolve(card(decoder="toy_decoders")))
        resolve(card(decoder="toy_decoder"))
        paths = resolve(card(decoder="toy_decoder", offline=True))  # everything is in the cache now
        found = load(paths.encoder, paths.decoder, paths.tokenizer)
        wanted = load(*files, folder / "tokenizer")
        expect(UsageError, "int8", lambda: load(*files, Path(made), "int8"))
        texts = ["Mia found a red ball.", "Tom was happy."]
        vectors = found.encode(texts)
        assert torch.equal(vectors, wanted.encode(texts))
        assert found.decode(vectors) == wanted.decode(vectors)


@contextmanager
def cards(folder: Path, made: Path) -> Iterator[list[Path]]:
    """Let fairseq2 know two cards whose files a server on loopback has; yield the checkpoints."""
    files = [made / f"{half}.pt" for half in ("encoder", "decoder")]
    for file in files:  # without the config.json beside it, which no card has
        shutil.copy(folder / "fairseq2" / file.name, file)
    shutil.copy(folder / "tokenizer" / "sentencepiece.model", made)
    handler = partial(SimpleHTTPRequestHandler, directory=str(made))
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}"
    for file in files:
        lines = [f"name: toy_{file.stem}", f"checkpoint: {address}/{file.name}"]
        lines.append(f"tokenizer: {address}/sentencepiece.model")
        (made / f"{file.stem}.yaml").write_text("\n".join(lines) + "\n", encoding="utf-8")
    os.environ["FAIRSEQ2_USER_ASSET_DIR"] = str(made)
    os.environ["FAIRSEQ2_CACHE_DIR"] = str(made / "cache")
    yield files
    server.shutdown()


def expect(kind: type[Exception], words: str, call: Callable[[], object]) -> None:
    try:
        call()
    except kind as error:
        assert words in str(error), error
    else:
        raise AssertionError(f"no {kind.__name__} with {words!r}")


def check(codec: Codec, expected: dict, arrays: np.lib.npyio.NpzFile) -> None:
    for row in expected["encode"]:
        cut: list[int] = []
        vectors = codec.encode(row["texts"], row["lang"], row["batch_size"], cut.append)
        wanted = torch.from_numpy(arrays[row["vectors"]])
        torch.testing.assert_close(vectors, wanted, rtol=0, atol=1e-5)
        assert bool(cut) == any(len(text) > 2000 for text in row["texts"])
    vectors = torch.from_numpy(arrays["decode.vectors"])
    for row in expected["decode"]:
        found = codec.decode(
            vectors, row["lang"], row["beam"], row["max_tokens"], row["batch_size"]
        )
        for ours, theirs in zip(found, row["found"], strict=True):
            if theirs is not None:
                best = theirs["hypotheses"][0]
                assert list(ours.ids) == best["ids"], (row, ours, theirs)
                assert ours.text == theirs["text"]
                assert abs(ours.score - best["score"]) < 1e-4


if __name__ == "__main__":
    main()
