"""Hold `SonarSpaceCodec` to the goldens; only an environment with sonar-space can run it."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import torch

from sonar_cli.model.sonar_space import SonarSpaceCodec, load_sonar_space

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
    for name, (encoder, decoder) in LAYOUTS.items():
        codec = load_sonar_space(folder / encoder, folder / decoder, folder / "tokenizer", "cpu")
        check(codec, expected, arrays)
        print(f"sonar-space through sonar_cli agrees, layout {name}", file=sys.stderr)


def check(codec: SonarSpaceCodec, expected: dict, arrays: np.lib.npyio.NpzFile) -> None:
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
