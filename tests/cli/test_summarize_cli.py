"""`sonar-llm summarize` and `sonar-llm cache` as a user types them, with `mini` and the goldens."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from sonar_cli.world import stories as world
from tests.reference.toy_text import PATTERNS, PLACES, THINGS

GOLDENS = Path(__file__).parents[1] / "goldens"
TOY = [
    *("-m", str(GOLDENS / "predictors" / "wide-heads"), "--dtype", "float32"),
    *("--encoder", str(GOLDENS / "fairseq2" / "encoder.pt")),
    *("--decoder", str(GOLDENS / "fairseq2" / "decoder.pt")),
    *("--tokenizer", str(GOLDENS / "tokenizer")),
]
LANGUAGES = ("eng_Latn", "fra_Latn", "spa_Latn")
STORIES = list(world.stories(3, 77, held_out=True))
FAR = (
    "Quarterly revenue exceeded all expectations. Management attributes growth to exports. "
    "Analysts remain cautious about inflation. Shares climbed seven percent yesterday."
)


def _summarize(call, *arguments: str) -> list[str]:
    status, out, err = call("summarize", "--no-cache", *arguments)
    assert status == 0, err
    return out.splitlines()


@pytest.fixture
def story(tmp_path: Path) -> Path:
    file = tmp_path / "story.txt"
    file.write_text(" ".join(STORIES[0].sentences) + "\n")
    return file


@pytest.fixture
def toy(tmp_path: Path) -> Path:
    file = tmp_path / "toy.txt"
    file.write_text(" ".join(_toy(0)))
    return file


def _toy(lang: int) -> list[str]:
    """A story of the goldens' world in one of its three languages."""
    (a, the), place = THINGS[1][lang], PLACES[0][lang]
    slots = {"name": "Tom", "a": a, "the": the, "The": the[0].upper() + the[1:], "place": place}
    return [pattern[lang].format(**slots) for pattern in PATTERNS]


def test_a_line_a_sentence_and_nothing_else(call, story: Path) -> None:
    status, out, err = call("summarize", str(story), "-n", "3", "--method", "extractive")
    assert (status, err) == (0, "")
    lines = out.splitlines()
    assert len(lines) == 3
    assert set(lines) <= set(STORIES[0].sentences)


def test_five_sentences_unless_told_otherwise(call, story: Path) -> None:
    assert len(_summarize(call, str(story), "--method", "extractive")) == 5
    assert len(_summarize(call, str(story), "--method", "extractive", "--length", "20%")) == 3


def test_auto_is_hybrid_with_mini(call, story: Path) -> None:
    assert _summarize(call, str(story)) == _summarize(call, str(story), "--method", "hybrid")


def test_citations_are_numbers_counted_from_one(call, story: Path) -> None:
    lines = _summarize(call, str(story), "-n", "2", "--method", "extractive", "--cite")
    for line in lines:
        text, _, number = line.rpartition(" [")
        assert STORIES[0].sentences[int(number.rstrip("]")) - 1] == text


def test_json_lines_have_sources_with_offsets_and_cosines(call, story: Path) -> None:
    raw = story.read_text()
    for method in ("extractive", "abstractive", "hybrid"):
        lines = _summarize(call, str(story), "--method", method, "--format", "jsonl", "-n", "3")
        records = [json.loads(line) for line in lines]
        assert [list(record) for record in records] == [
            ["file", "index", "text", "method", "support", "sources"]
        ] * len(records)
        assert [record["index"] for record in records] == list(range(len(records)))
        for record in records:
            assert record["file"] == str(story)
            assert record["sources"]
            for source in record["sources"]:
                assert list(source) == ["index", "start", "end", "cosine"]
                of = raw[source["start"] : source["end"]]
                assert of == STORIES[0].sentences[source["index"]]
                assert (of == record["text"]) == (source["cosine"] > 0.9999)


def test_files_and_standard_input_follow_one_another(call, tmp_path: Path) -> None:
    files = []
    for number, each in enumerate(STORIES):
        files.append(tmp_path / f"{number}.txt")
        files[-1].write_text(" ".join(each.sentences))
    how = ["-n", "1", "--method", "extractive"]
    lines = _summarize(call, *map(str, files), *how)
    assert len(lines) == 5
    assert lines[1] == lines[3] == ""
    jsonl = tmp_path / "all.jsonl"
    texts = ({"text": " ".join(each.sentences)} for each in STORIES)
    jsonl.write_text("".join(json.dumps(text) + "\n" for text in texts))
    assert _summarize(call, str(jsonl), *how) == lines


def test_a_file_that_cannot_be_read_does_not_stop_the_others(call, story: Path) -> None:
    status, out, err = call("summarize", "nowhere.txt", str(story), "-n", "1")
    assert status == 1
    assert len(out.splitlines()) == 1
    assert err == "sonar-llm: nowhere.txt: no such file\n"


def test_markdown_is_summed_up_from_its_prose_under_its_headings(call, tmp_path: Path) -> None:
    file = tmp_path / "doc.md"
    parts = [" ".join(each.sentences) for each in STORIES[:2]]
    code = "```\nTom found a kite in the code.\n```\n"
    file.write_text(f"# First\n\n{parts[0]}\n\n{code}\n## Second\n\n{parts[1]}\n")
    how = ["--method", "extractive", "-n", "30", "--keep-headings"]
    lines = _summarize(call, str(file), *how)
    first, second = lines.index("First"), lines.index("Second")
    assert lines[first + 2 : second - 1] == list(STORIES[0].sentences)
    assert lines[second + 2 :] == list(STORIES[1].sentences)
    records = [json.loads(each) for each in _summarize(call, str(file), *how, "--format=jsonl")]
    assert {record["heading"] for record in records} == {"First", "Second"}
    raw = file.read_text()
    for record in records:
        (source,) = record["sources"]
        assert raw[source["start"] : source["end"]] == record["text"]
    assert "First" not in _summarize(call, str(file), "--method", "extractive", "-n", "30")


def test_an_over_long_sentence_is_cut_at_its_clauses_and_not_lost(call, tmp_path: Path) -> None:
    file = tmp_path / "long.txt"
    clauses = [" ".join(each.sentences).replace(".", ",").replace('"', "") for each in STORIES]
    file.write_text("Then " + "; ".join(clauses * 2) + ".")
    records = [
        json.loads(line)
        for line in _summarize(
            call, str(file), "-n", "50", "--format", "jsonl", "--method", "extractive"
        )
    ]
    assert len(records) > 1
    raw = file.read_text()
    spans = [(r["sources"][0]["start"], r["sources"][0]["end"]) for r in records]
    assert "".join(raw[a:b] for a, b in spans).replace(" ", "") == raw.replace(" ", "")
    status, _, err = call("summarize", str(file), "--method", "extractive")
    assert (status, err) == (0, "")


def test_a_summary_in_several_languages_is_one_summary(call, toy: Path) -> None:
    how = [*TOY, "-n", "2", "--method", "extractive"]
    own, fra, spa = [_summarize(call, str(toy), *how, "--target-lang", lang) for lang in LANGUAGES]
    assert own == _summarize(call, str(toy), *how)
    places = [_toy(0).index(text) for text in own]
    assert fra == [_toy(1)[i] for i in places]
    assert spa == [_toy(2)[i] for i in places]
    every = [part for lang in LANGUAGES for part in ("--target-lang", lang)]
    assert _summarize(call, str(toy), *how, *every) == [*own, "", *fra, "", *spa]
    lines = _summarize(call, str(toy), *how, *every, "--format", "jsonl")
    records = [json.loads(line) for line in lines]
    assert [record["lang"] for record in records] == [each for each in LANGUAGES for _ in own]
    assert [record["text"] for record in records] == [*own, *fra, *spa]
    assert records[0]["sources"] == records[2]["sources"] == records[4]["sources"]


def test_a_summary_of_a_text_in_another_language(call, tmp_path: Path) -> None:
    file = tmp_path / "french.txt"
    file.write_text(" ".join(_toy(1)))
    how = [*TOY, "-n", "2", "--method", "extractive", "--source-lang", "fra_Latn"]
    own = _summarize(call, str(file), *how)
    assert set(own) <= set(_toy(1))
    places = [_toy(1).index(text) for text in own]
    english = _summarize(call, str(file), *how, "--target-lang", "eng_Latn")
    assert english == [_toy(0)[i] for i in places]


def test_a_story_in_several_languages_is_one_story(call, toy: Path) -> None:
    toy.write_text(" ".join(_toy(0)[:2]))
    status, out, _ = call("continue", str(toy), *TOY, "-n", "2")
    assert status == 0
    own = out.splitlines()
    places = [_toy(0).index(text) for text in own]
    every = [part for lang in LANGUAGES for part in ("--target-lang", lang)]
    status, out, _ = call("continue", str(toy), *TOY, "-n", "2", *every)
    expected = [[_toy(lang)[i] for i in places] for lang in range(3)]
    assert out.splitlines() == [*expected[0], "", *expected[1], "", *expected[2]]
    _, out, _ = call("continue", str(toy), *TOY, "-n", "2", *every, "--format=jsonl")
    records = [json.loads(line) for line in out.splitlines()]
    assert [record["lang"] for record in records] == [e for e in LANGUAGES for _ in own]
    assert [record["text"] for record in records] == [text for each in expected for text in each]
    assert records[-1]["stop_reason"] in ("length", "end")
    assert "texts" not in records[0]


def test_mini_refuses_other_languages(call, story: Path) -> None:
    for option in ("--target-lang", "--source-lang"):
        status, out, err = call("summarize", str(story), option, "fra_Latn")
        assert (status, out) == (2, "")
        assert "fra_Latn" in err
        assert len(err.splitlines()) == 1


def test_a_model_that_has_not_learned_to_write_summaries_is_refused(call, toy: Path) -> None:
    for method in ("abstractive", "hybrid"):
        status, out, err = call("summarize", str(toy), *TOY, "--method", method)
        assert (status, out) == (2, "")
        assert "--method extractive" in err
        assert "--force" in err
    forced = [*TOY, "-n", "1", "--method", "abstractive", "--force", "--cue", "Begin of text."]
    assert len(_summarize(call, str(toy), *forced)) == 1


def test_auto_takes_extractive_for_it_and_says_so_once(call, toy: Path) -> None:
    status, out, err = call("summarize", str(toy), str(toy), *TOY, "-n", "2")
    assert status == 0
    assert len(err.splitlines()) == 1
    assert "has not learned" in err
    _, quiet, err = call("summarize", str(toy), str(toy), *TOY, "-n", "2", "--quiet")
    assert (quiet, err) == (out, "")


@pytest.mark.parametrize("model", ["900m", "raxtemur/sonar-llm-900m"])
def test_a_predictor_that_is_not_going_to_write_is_not_downloaded(call, model, toy) -> None:
    parts = TOY[4:]
    how = ["-m", model, "--offline", *parts, "-n", "1"]
    assert _summarize(call, str(toy), *how) == _summarize(
        call, str(toy), *how, "--method", "extractive"
    )
    status, _, err = call("summarize", str(toy), *how, "--method", "hybrid")
    assert (status, "has not learned" in err) == (2, True)


def test_auto_trusts_mini_with_its_own_world_alone(call, tmp_path: Path) -> None:
    file = tmp_path / "report.txt"
    file.write_text(FAR)
    status, out, err = call("summarize", str(file), "-n", "1")
    assert status == 0
    assert out.strip() in FAR
    assert len(err.splitlines()) == 1
    assert "small stories" in err


def test_markup_does_not_make_a_story_far(call, tmp_path: Path) -> None:
    page = tmp_path / "story.html"
    marked = (f'<p class="lead text-justify wide">{each}</p>' for each in STORIES[0].sentences)
    page.write_text("<html><body>" + "\n".join(marked))
    status, out, err = call("summarize", "--no-cache", str(page), "--format", "jsonl")
    assert (status, err) == (0, "")
    assert {json.loads(line)["method"] for line in out.splitlines()} == {"abstractive"}


def test_parts_are_announced(call, tmp_path: Path) -> None:
    file = tmp_path / "book.txt"
    file.write_text("\n\n".join(" ".join(each.sentences) for each in STORIES))
    status, out, err = call("summarize", str(file), "-n", "2", "--method", "abstractive")
    assert status == 0
    assert len(out.splitlines()) == 2
    assert "3 parts" in err


@pytest.mark.parametrize("method", ["auto", "hybrid", "abstractive"])
def test_of_a_text_that_comes_back_whole_nothing_is_said(call, tmp_path: Path, method) -> None:
    file = tmp_path / "two.txt"
    file.write_text("\n".join(" ".join(each.sentences) for each in STORIES[:2]))
    status, out, err = call("summarize", str(file), "-n", "99", "--method", method)
    assert (status, err) == (0, "")
    assert out.splitlines() == [*STORIES[0].sentences, *STORIES[1].sentences]


def test_auto_takes_extractive_beyond_what_the_model_reads_at_once(call, tmp_path: Path) -> None:
    file = tmp_path / "two.txt"
    text = "\n".join(" ".join(each.sentences) for each in STORIES[:2])
    file.write_text(text)
    status, out, err = call("summarize", str(file), "-n", "3")
    assert status == 0
    assert all(line in text for line in out.splitlines())
    assert len(err.splitlines()) == 1
    assert "--method hybrid" in err
    status, out, err = call("summarize", str(file), "-n", "2", "--context", "40", "-q")
    assert (status, err) == (0, "")
    assert not all(line in text for line in out.splitlines())


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["-n", "2", "--length", "10%"], "give one"),
        (["--length", "10"], "10%"),
        (["--length", "0%"], "--length"),
        (["--length", "120%"], "--length"),
        (["--length", "many%"], "--length"),
        (["-n", "0"], "--help"),
        (["--method", "best"], "--help"),
    ],
)
def test_wrong_usage_is_one_line(call, story: Path, arguments: list[str], words: str) -> None:
    status, out, err = call("summarize", str(story), *arguments)
    assert (status, out) == (2, "")
    assert words in err
    assert len(err.splitlines()) == 1


def test_the_cache_keeps_vectors_and_tells_of_them(call, story: Path, tmp_path: Path) -> None:
    how = ["--cache-dir", str(tmp_path / "vectors")]
    _, first, err = call("summarize", str(story), *how, "-v")
    assert "0 vectors from the cache" in err
    _, again, err = call("summarize", str(story), *how, "-v")
    assert again == first
    assert f"{len(STORIES[0].sentences)} vectors from the cache" in err
    _, out, _ = call("cache", "info", *how, "--format", "jsonl")
    assert json.loads(out)["vectors"] == len(STORIES[0].sentences)
    _, out, _ = call("cache", "clear", *how)
    assert "freed" in out
    _, out, _ = call("cache", "info", *how)
    assert "0 vectors" in out


def test_no_cache_leaves_nothing_behind(call, story: Path, tmp_path: Path) -> None:
    folder = tmp_path / "vectors"
    call("summarize", str(story), "--cache-dir", str(folder), "--no-cache")
    assert not folder.exists()


def test_a_cache_that_cannot_be_had_is_said_and_does_not_matter(call, story: Path) -> None:
    expected = _summarize(call, str(story))
    nowhere = str(story / "under-a-file")
    status, out, err = call("summarize", str(story), "--cache-dir", nowhere)
    assert (status, out.splitlines()) == (0, expected)
    reason = "Not a directory"  # in words, without its number
    assert err == f"sonar-llm: no cache of vectors in {nowhere} ({reason}); going on without it\n"


def test_on_a_terminal_it_is_a_panel_with_dim_citations(story: Path) -> None:
    ours, theirs = pty.openpty()
    done = subprocess.run(
        [sys.executable, "-m", "sonar_cli", "summarize", str(story), "-n", "2"],
        stdin=subprocess.DEVNULL,
        stdout=theirs,
        stderr=subprocess.PIPE,
        env={**os.environ, "TERM": "xterm-256color", "COLUMNS": "60", "OMP_NUM_THREADS": "1"},
        timeout=120,
    )
    os.close(theirs)
    shown = b""
    try:
        while piece := os.read(ours, 65536):
            shown += piece
    except OSError:  # the terminal's other side is closed
        pass
    os.close(ours)
    text = shown.decode()
    assert done.returncode == 0
    assert "╭" in text
    assert "% of the text" in text
    assert "\x1b[2m [" in text
