"""Measures of summaries against values worked out by hand, baselines against sumy itself."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from sonar_cli.errors import UsageError
from sonar_cli.evaluation import metrics, wordnet
from sonar_cli.evaluation.baselines import SUMY, Words, baselines
from sonar_cli.evaluation.metrics import meteor, rouge_l
from sonar_cli.evaluation.report import Claim
from sonar_cli.evaluation.summaries import Score, claims, report, run, scores
from sonar_cli.evaluation.summarizers import ours
from sonar_cli.evaluation.wordnet import Lemma, Synset, WordNet
from sonar_cli.hub.catalogue import SummaryTraining
from sonar_cli.hub.resolve import resolve
from sonar_cli.model.load import load_system
from sonar_cli.options import Runtime
from sonar_cli.world import stories as world

TEXT = [
    "The old mill stands beside a narrow river in the north of the valley.",
    "For two hundred years the river turned the mill's great wooden wheel.",
    "Farmers from the whole valley brought their grain to the mill each autumn.",
    "Then a railway came, and cheap flour from the city came with it.",
    "One by one the farmers stopped growing grain, and the wheel stood still.",
    '"I couldn\'t watch it rot," says Anna Keller, a retired teacher.',
    "She bought the mill and repaired the well-known wheel with her own hands.",
    "Today the river turns the wheel again, and visitors buy flour ground in the mill.",
    "On 3 May the village holds a fair.",
]

# Lines of WordNet's data files: "afloat" has the mark of an adjective that stands behind its noun.
DATA = {
    "noun": ["00000001 03 n 03 child 0 kid 0 Eden 0 000 | a young person"],
    "verb": ["00000001 30 v 03 run 0 hasten 0 make_haste 0 000 | go fast"],
    "adj": [
        "00000001 00 s 02 glad 0 happy 0 001 & 00000002 a 0000 | feeling joy",
        "00000002 00 a 02 afloat(p) 0 floating 0 000 | borne on water",
    ],
    "adv": [],
}
IRREGULAR = {"noun": "children child\n", "verb": "ran run\n", "adj": "", "adv": ""}
# 4 of 4 tokens in one chunk, or 3 of 4 in two.
CHILD, KID = "The child ran.", "The kid ran."
WITH_SYNONYMS = 1 - 0.5 * (1 / 4) ** 3
WITHOUT_SYNONYMS = 0.75 * (1 - 0.5 * (2 / 3) ** 3)


@pytest.fixture(autouse=True)
def _found_anew() -> Iterator[None]:
    """Let each test look for WordNet and for rouge-score itself."""
    for cached in (wordnet.wordnet, metrics.rouge_scorer):
        cached.cache_clear()
    yield
    for cached in (wordnet.wordnet, metrics.rouge_scorer):
        cached.cache_clear()


@pytest.fixture
def no_wordnet(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import nltk.corpus

    def ensure_loaded() -> None:
        raise LookupError("no wordnet")

    monkeypatch.setattr(nltk.corpus, "wordnet", SimpleNamespace(ensure_loaded=ensure_loaded))
    monkeypatch.setattr(wordnet, "DEBIAN", tmp_path / "none")


@pytest.fixture
def small_wordnet(no_wordnet: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name, lines in DATA.items():
        text = "".join(f"{line}\n" for line in ["  1 A licence.", *lines])
        (tmp_path / f"data.{name}").write_text(text, encoding="utf-8")
        (tmp_path / f"{name}.exc").write_text(IRREGULAR[name], encoding="utf-8")
    monkeypatch.setattr(wordnet, "DEBIAN", tmp_path)


@pytest.mark.parametrize(
    ("reference", "summary", "expected"),
    [
        ("The dogs barked.", "the dog barks", 1.0),  # stems; neither case nor marks count
        ("A b c d.", "A c x d.", 0.75),  # the longest common run with gaps is "a c d"
        ("One two three four five.", "Two four.", 2 * (2 / 2) * (2 / 5) / (2 / 2 + 2 / 5)),
        ("One two.", "Two one.", 0.5),
        ("One.", "Two.", 0.0),
        ("One.", "", 0.0),
    ],
)
def test_rouge_l(reference: str, summary: str, expected: float) -> None:
    assert rouge_l(reference, summary) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("reference", "summary", "expected"),
    [
        # 6 matches in one chunk; a final full stop is a token of its own, inside the text as well.
        ("It rained. Tom ran.", "It rained. Tom ran.", 1 - 0.5 * (1 / 6) ** 3),
        # 2 of 2 tokens found, 2 of 5 covered, one chunk: F = P R / (0.9 P + 0.1 R).
        ("Once there lived two cats", "two cats", 0.4 / 0.94 * (1 - 0.5 * (1 / 2) ** 3)),
        # 3 of 3, 3 of 3, by stems, each a chunk.
        ("dogs barked loudly", "loudly barks dog", 0.5),
        ("one", "two", 0.0),
        ("One.", "", 0.0),
    ],
)
def test_meteor(no_wordnet: None, reference: str, summary: str, expected: float) -> None:
    assert meteor(reference, summary) == pytest.approx(expected)


def test_meteor_without_wordnet(no_wordnet: None) -> None:
    assert not wordnet.has_synonyms()
    assert meteor(CHILD, KID) == pytest.approx(WITHOUT_SYNONYMS)


def test_meteor_with_debians_files(small_wordnet: None) -> None:
    assert wordnet.has_synonyms()
    assert meteor(CHILD, KID) == pytest.approx(WITH_SYNONYMS)
    assert meteor(CHILD, "The dog ran.") == pytest.approx(WITHOUT_SYNONYMS)


def test_meteor_with_nltks_corpus(no_wordnet: None, monkeypatch: pytest.MonkeyPatch) -> None:
    import nltk.corpus

    child = Synset((Lemma("child"), Lemma("kid")))
    corpus = SimpleNamespace(ensure_loaded=lambda: None, synsets=lambda word: [child])
    monkeypatch.setattr(nltk.corpus, "wordnet", corpus)
    assert wordnet.has_synonyms()
    assert meteor(CHILD, KID) == pytest.approx(WITH_SYNONYMS)


def test_meteor_with_the_wordnet_of_this_machine() -> None:
    if not wordnet.has_synonyms():
        pytest.skip("no WordNet here")
    assert meteor(CHILD, KID) == pytest.approx(WITH_SYNONYMS)
    assert meteor(CHILD, "The dog ran.") == pytest.approx(WITHOUT_SYNONYMS)


@pytest.mark.parametrize(
    ("word", "synonyms"),
    [
        ("happy", {"glad", "happy"}),
        ("edens", {"child", "kid", "Eden"}),  # a regular form, of a word that has a capital
        ("children", {"child", "kid", "Eden"}),
        ("ran", {"run", "hasten", "make_haste"}),
        ("hastening", {"run", "hasten", "make_haste"}),
        ("afloat", {"afloat", "floating"}),
        ("unheard", set()),
    ],
)
def test_synonyms_of_inflected_words(small_wordnet: None, word: str, synonyms: set[str]) -> None:
    found = WordNet.read(wordnet.DEBIAN).synsets(word)
    assert {lemma.name() for synset in found for lemma in synset.lemmas()} == synonyms


@pytest.fixture
def sumy_tokenizer(monkeypatch: pytest.MonkeyPatch) -> Any:
    """sumy's own tokenizer, with a Punkt that needs no data."""
    import nltk.tokenize
    from nltk.tokenize.punkt import PunktSentenceTokenizer
    from sumy.nlp.tokenizers import Tokenizer

    for name in ("PunktTokenizer", "_get_punkt_tokenizer"):
        monkeypatch.setattr(nltk.tokenize, name, lambda language: PunktSentenceTokenizer())
    return Tokenizer("english")


# Four sentences share the fourth place by sumy's LSA, so not 4 to 6.
@pytest.mark.parametrize("count", [1, 2, 3, 7])
@pytest.mark.parametrize("name", SUMY)
def test_baselines_choose_what_sumy_chooses(sumy_tokenizer: Any, name: str, count: int) -> None:
    from sumy.nlp.stemmers import Stemmer
    from sumy.parsers.plaintext import PlaintextParser
    from sumy.summarizers.lex_rank import LexRankSummarizer
    from sumy.summarizers.lsa import LsaSummarizer
    from sumy.summarizers.luhn import LuhnSummarizer
    from sumy.summarizers.text_rank import TextRankSummarizer
    from sumy.utils import get_stop_words

    kinds = LexRankSummarizer, TextRankSummarizer, LsaSummarizer, LuhnSummarizer
    summarizer = dict(zip(SUMY, kinds, strict=True))[name](Stemmer("english"))
    summarizer.stop_words = get_stop_words("english")
    document = PlaintextParser.from_string(" ".join(TEXT), sumy_tokenizer).document
    expected = [str(sentence) for sentence in summarizer(document, count)]
    assert len(expected) == count
    (found,) = baselines()[name]([TEXT], [count])
    assert list(found) == expected


def test_words_are_sumys(sumy_tokenizer: Any) -> None:
    told = next(world.stories(1, 1_000, held_out=True))
    for sentence in [*TEXT, *told.sentences, '"Stop it. Now!" she said.', "No 2nd x_y e-mail"]:
        assert Words().to_words(sentence) == sumy_tokenizer.to_words(sentence)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("name", list(baselines()))
def test_short_and_odd_texts(name: str) -> None:
    system = baselines()[name]
    nothing_alike = ["Cats purr.", "Dogs bark.", "Birds sing."]
    stop_words = ["He was.", "She was not.", "It is.", "We are."]
    twice = ["Lily saw a red kite fly.", "It was a red kite.", "Lily saw a red kite fly."]
    texts = [["One dog."], ["One dog."], TEXT[:2], [], nothing_alike, stop_words, twice]
    found = list(system(texts, [1, 3, 9, 2, 2, 2, 2]))
    assert [list(each) for each in found[:4]] == [["One dog."], ["One dog."], TEXT[:2], []]
    assert list(found[4]) == nothing_alike[:2]
    assert list(found[5]) == stop_words[:2]
    assert len(found[6]) == 2
    assert list(system([], [])) == []


def test_sentences_are_never_split() -> None:
    odd = ["A mill stood. A river ran by. The mill's wheel turned.", "THE MILL", *TEXT]
    for system in baselines().values():
        (found,) = system([odd], [4])
        assert len(found) == 4
        assert [sentence for sentence in odd if sentence in found] == list(found)


@pytest.mark.parametrize("name", SUMY)
def test_the_first_of_equals_wins(name: str) -> None:
    equals = [
        "Cats purr loudly.",
        "Dogs bark softly.",
        "Birds sing gladly.",
        "Wolves howl sadly.",
        "Bees hum quietly.",
        "Frogs croak badly.",
    ]
    (found,) = baselines()[name]([equals], [3])
    assert list(found) == equals[:3]


@pytest.fixture
def three() -> list[SimpleNamespace]:
    return [
        SimpleNamespace(sentences=("It rained.", "Tom ran home."), summary=("Tom ran home.",)),
        SimpleNamespace(sentences=("A cat sat.", "It ate."), summary=("A cat sat.", "It ate.")),
        SimpleNamespace(sentences=("One.",), summary=("One two three four.",)),
    ]


def test_each_summarizer_is_called_once(no_wordnet: None, three: list[Any]) -> None:
    calls: list[Any] = []

    def spy(write: Callable[[Any, int], Any]) -> Callable[..., Iterable[Any]]:
        def summarizer(texts: Any, counts: Any) -> Iterable[Any]:
            calls.append((list(texts), list(counts)))
            return (write(text, count) for text, count in zip(texts, counts, strict=True))

        return summarizer

    summarizers = {
        "first": spy(lambda text, count: text[:count]),
        "silent": spy(lambda text, count: ()),
    }
    first, silent = scores(summarizers, iter(three))
    assert calls == [([each.sentences for each in three], [1, 2, 1])] * 2
    # Of "One two three four." "One." has one of four words, or two of five tokens in two chunks.
    rouge = [0.0, 1.0, 2 * 1 * 0.25 / 1.25]
    # "It rained." and "Tom ran home." share the full stop alone: P = 1/3, R = 1/4.
    stop = (1 / 12) / (0.9 / 3 + 0.1 / 4) * 0.5
    meteors = [stop, 1 - 0.5 * (1 / 7) ** 3, 0.4 / (0.9 + 0.04) * 0.5]
    assert first.system == "first"
    assert (first.stories, first.synonyms) == (3, False)
    assert first.rouge_l == pytest.approx(sum(rouge) / 3)
    assert first.meteor == pytest.approx(sum(meteors) / 3)
    assert silent == Score("silent", 0.0, 0.0, 3, synonyms=False)


def test_progress_goes_over_all_summarizers(no_wordnet: None, three: list[Any]) -> None:
    seen: list[tuple[str, Any]] = []

    def progress(written: Any, total: int) -> Iterator[Any]:
        assert total == 6
        for each in written:
            seen.append((each.system, each.text))
            yield each

    lead = baselines()["lead-n"]
    found = run({"a": lead, "b": lead}, three, progress)
    assert [system for system, _ in seen] == ["a"] * 3 + ["b"] * 3
    assert [text for _, text in seen] == three * 2
    (table,) = found.tables
    assert [(row["system"], row["stories"]) for row in table.records] == [("a", 3), ("b", 3)]


def test_a_summarizer_keeps_to_the_number_of_sentences(three: list[Any]) -> None:
    with pytest.raises(ValueError, match="loud wrote 2 sentences, not 1"):
        run({"loud": lambda texts, counts: texts}, three)
    with pytest.raises(ValueError):
        scores({"lazy": lambda texts, counts: []}, three)


def test_no_stories(no_wordnet: None) -> None:
    assert scores({"a": baselines()["lead-n"]}, []) == [Score("a", 0.0, 0.0, 0, synonyms=False)]
    assert scores({}, []) == []


def test_the_references_themselves_reach_everything(no_wordnet: None) -> None:
    told = list(world.stories(2, 1_000, held_out=True))
    (score,) = scores({"reference": lambda texts, counts: [each.summary for each in told]}, told)
    assert score.rouge_l == 1.0
    assert score.meteor == pytest.approx(1.0, abs=1e-3)


def test_the_table() -> None:
    found = [Score("lead-n", 0.30101, 0.2, 300), Score("hybrid", 0.30099, 0.25, 300)]
    assert report(found).markdown().splitlines() == [
        "| system | ROUGE-L | METEOR | stories |",
        "| --- | ---: | ---: | ---: |",
        "| lead-n | **30.1 %** | 20.0 % | 300 |",
        "| hybrid | **30.1 %** | **25.0 %** | 300 |",
    ]
    exact = [Score("lead-n", 0.3, 0.2, 300, synonyms=False)]
    assert report(exact).markdown().splitlines() == [
        "| system | ROUGE-L | METEOR (no synonyms) | stories |",
        "| --- | ---: | ---: | ---: |",
        "| lead-n | **30.0 %** | **20.0 %** | 300 |",
    ]
    (empty,) = report([]).tables
    assert empty.markdown().splitlines()[0] == "| system | ROUGE-L | METEOR | stories |"
    lines = report([*found, *exact]).json_lines().splitlines()
    assert [json.loads(line) for line in lines] == [
        {"system": "lead-n", "rouge_l": 0.30101, "meteor": 0.2, "stories": 300, "synonyms": True},
        {"system": "hybrid", "rouge_l": 0.30099, "meteor": 0.25, "stories": 300, "synonyms": True},
        {"system": "lead-n", "rouge_l": 0.3, "meteor": 0.2, "stories": 300, "synonyms": False},
    ]


def test_claims() -> None:
    names = ["lead-n", *SUMY, "extractive", "abstractive", "hybrid"]
    rouge = [0.30, 0.31, 0.32, 0.33, 0.25, 0.33, 0.33, 0.9]
    found = [Score(name, value, 0.5, 300) for name, value in zip(names, rouge, strict=True)]
    promised = claims(found)
    assert promised[:6] == [
        Claim("abstractive beats lead-n in ROUGE-L", 0.33, 0.30, True),
        Claim("abstractive beats LexRank (sumy) in ROUGE-L", 0.33, 0.31, True),
        Claim("abstractive beats TextRank (sumy) in ROUGE-L", 0.33, 0.32, True),
        Claim("abstractive beats LSA (sumy) in ROUGE-L", 0.33, 0.33, False),
        Claim("abstractive beats Luhn (sumy) in ROUGE-L", 0.33, 0.25, True),
        Claim("extractive is at least the best of sumy in ROUGE-L", 0.33, 0.33, True),
    ]
    assert [claim.met for claim in promised[6:]] == [False] * 5 + [True]
    assert all(claim.claim.endswith(" in METEOR") for claim in promised[6:])
    assert claims(found[:5]) == []
    assert claims(found[5:]) == []


def test_the_report_ends_with_the_claims() -> None:
    found = [Score(name, 0.33, 0.5, 300) for name in ("LSA (sumy)", "abstractive", "extractive")]
    told = report(found)
    assert told.markdown().split("\n\n")[1].splitlines()[:4] == [
        "| target | ours | theirs | met |",
        "| --- | ---: | ---: | --- |",
        "| abstractive beats LSA (sumy) in ROUGE-L | 33.0 % | 33.0 % | no |",
        "| extractive is at least the best of sumy in ROUGE-L | 33.0 % | 33.0 % | yes |",
    ]
    records = [json.loads(line) for line in told.json_lines().splitlines()]
    keys = ["system", "rouge_l", "meteor", "stories", "synonyms"]
    assert [list(each) for each in records[:3]] == [keys] * 3
    assert [list(each) for each in records[3:]] == [["claim", "ours", "theirs", "met"]] * 4
    assert json.loads(told.json()) == {"scores": records[:3], "claims": records[3:]}


def test_our_own_summarizers() -> None:
    system = load_system(resolve(), Runtime("cpu"))
    assert list(ours(system.codec, system, None)) == ["extractive"]
    told = list(world.stories(2, 1_000, held_out=True))
    texts = [each.sentences for each in told]
    for name, summarizer in ours(system.codec, system, SummaryTraining()).items():
        one, none_left_out = summarizer(texts, [1, 99])
        assert len(one) == 1
        assert (one[0] in texts[0]) == (name == "extractive")
        assert tuple(none_left_out) == texts[1]
    methods = ["extractive", "abstractive", "hybrid"]
    assert list(ours(system.codec, system, SummaryTraining())) == methods


def test_a_missing_package_is_told(monkeypatch: pytest.MonkeyPatch, three: list[Any]) -> None:
    def never(texts: Any, counts: Any) -> Any:
        raise AssertionError("worked before it looked")

    for module in [name for name in sys.modules if name.split(".")[0] in ("rouge_score", "sumy")]:
        monkeypatch.delitem(sys.modules, module)
    for module in ("rouge_score", "sumy"):
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(UsageError) as told:
        run({"never": never}, three)
    assert str(told.value) == "this needs the package rouge-score: pip install 'sonar-llm[dev]'"
    with pytest.raises(UsageError) as told:
        baselines()
    assert str(told.value) == "this needs the package sumy: pip install 'sonar-llm[dev]'"
