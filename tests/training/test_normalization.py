"""How a codec's tokenizer writes text."""

from __future__ import annotations

import pytest

from sonar_cli.model.codec.tokenizer import Tokenizer
from sonar_cli.training.codec import share_exact, train_tokenizer
from sonar_cli.training.normalization import rules


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Tokenizer:
    texts = ['Tom said: "It\'s a kite, a red kite."', "She ran — and fell - at 7:30."] * 30
    return train_tokenizer(tmp_path_factory.mktemp("tokenizer"), texts, 310)


@pytest.mark.parametrize(
    ("given", "written"),
    [
        ("“It’s ‘red’,” he said.", "\"It's 'red',\" he said."),
        ("``So,'' she said. «Oui»", '"So," she said. "Oui"'),
        ("No--no—no --- or – 3‑4 − 5", "No—no—no — or - 3-4 - 5"),
        ("Well… café, cafe\u0301, ﬁne\u00a0print\u200b.", "Well... café, café, fine print."),
        ("a\tb\nc\u2028d  e", "a b c d e"),
        ("日本、한국, ἄνθρωπος, Ữ, ﷺ", "日本、한국, ἄνθρωπος, Ữ, صلى الله عليه وسلم"),
        ("U\u031b\u0303 and Ư\u0303 and \U0001f600", "Ữ and Ữ and 😀"),
    ],
)
def test_what_it_writes(tokenizer: Tokenizer, given: str, written: str) -> None:
    assert tokenizer.written(given) == written
    assert tokenizer.written(written) == written


def test_a_rule_gives_what_no_rule_changes(tokenizer: Tokenizer) -> None:
    table = rules()
    again = {
        source: (target, tokenizer.written(target))
        for source, target in table.items()
        if target.strip() and tokenizer.written(target) != target.strip()
    }
    # Arabic and Hebrew forms decompose into letters with more than one mark, in an order of theirs.
    assert len(again) < 0.02 * len(table), list(again.items())[:20]


def test_exact_means_as_it_is_written() -> None:
    class Quotes:
        def __init__(self) -> None:
            self.tokenizer = self

        def written(self, text: str) -> str:
            return text.replace("’", "'")

        def encode(self, texts: list[str]) -> list[str]:
            return texts

        def decode(self, vectors: list[str]) -> list[object]:
            return [type("Decoded", (), {"text": self.written(each)}) for each in vectors]

    assert share_exact(Quotes(), ["It’s.", "No."]) == 1.0  # type: ignore[arg-type]
