"""A comparison of tiny trainings: each is made once, and all are on the same terms."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest

from sonar_cli.errors import UsageError
from sonar_cli.evaluation.paper.comparison import Comparison
from sonar_cli.evaluation.paper.runs import Runs
from sonar_cli.evaluation.paper.tables import compared, report
from sonar_cli.evaluation.paper.terms import (
    SYSTEMS,
    CostTerms,
    NeedleTerms,
    Run,
    Terms,
    names,
    read,
)
from sonar_cli.evaluation.paper.texts import held_out, stories
from sonar_cli.training.place import Place
from sonar_cli.training.tables import Data, Model
from sonar_cli.training.texts import place_of
from sonar_cli.world import branching

TINY = Terms(
    data=Data("branching", stories=60, summaries=True, valid=0.1, test=0.1),
    sizes=(1_500_000,),
    layers=2,
    seeds=(0,),
    rates=(1e-3, 2e-3),
    steps=3,
    tried=2,
    batch=4,
    texts=2,
    sentences=2,
    needle=NeedleTerms(contexts=()),
    cost=CostTerms(contexts=(), random_contexts=()),
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("paper")


def _comparison(folder: Path, terms: Terms, told: list[str] | None = None) -> Comparison:
    tell = [].append if told is None else told.append
    return Comparison(Runs(terms, folder, Place("cpu", 1, progress=False), tell))


def test_everything_is_measured_and_found_again(folder: Path) -> None:
    told: list[str] = []
    found = compared(_comparison(folder, TINY, told))
    trained = [line for line in told if "seed" in line]
    # Of each system two rates are tried and one is trained for the steps; for the seconds as well,
    # where these make another number of steps.
    assert 4 * 3 <= len(trained) <= 4 * 4
    known = json.loads(found.json())
    assert [each["system"] for each in known["runs"]] == list(SYSTEMS)
    sizes = [each["parameters"] for each in known["runs"]]
    assert max(sizes) < 1.05 * min(sizes)
    assert all(each["nats"] > 0 for each in known["runs"])
    assert [each["system"] for each in known["rates"]] == list(SYSTEMS)
    for each in known["rates"]:
        assert each["tried"][str(each["rate"])] == min(each["tried"].values())
    assert {each["seed"] for each in known["quality_runs"]} == {0}
    assert all(0 <= each["rouge1"] <= 1 for each in known["summary_runs"])
    assert "| nats a token | 1,500,000 |" in found.markdown()
    # What the grammar tells of all sentences but the first, over the tokens of the same sentences.
    bits = [bit for each in branching.stories(2, 1_000, held_out=True) for bit in each.bits[1:]]
    tokens = known["runs"][0]["tokens"]
    assert known["entropy"]["nats_a_token"] == pytest.approx(sum(bits) * math.log(2) / tokens)
    assert f"tells {sum(bits) / len(bits):.2f} bits" in found.markdown()
    told.clear()
    again = compared(_comparison(folder, TINY, told))
    assert told == [] and json.loads(again.json()) == known
    assert report(known).markdown() == found.markdown()


def test_another_seed_trains_its_own_runs_alone(folder: Path) -> None:
    compared(_comparison(folder, TINY))
    told: list[str] = []
    sizes = _comparison(folder, replace(TINY, seeds=(0, 7)), told).sizes
    assert len(sizes) == 8
    assert [line for line in told if "seed" in line and "seed 7" not in line] == []
    assert sum("seed 7" in line for line in told) == 4


def test_measures_outlive_weights(folder: Path, tmp_path: Path) -> None:
    known = json.loads(compared(_comparison(folder, TINY)).json())
    for file in folder.rglob("*.json*"):
        if file.name in ("measures.json", "metrics.json", "log.jsonl", "tolerance.json"):
            copy = tmp_path / file.relative_to(folder)
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(file.read_bytes())
    told: list[str] = []
    again = compared(_comparison(tmp_path, TINY, told))
    assert told == [] and json.loads(again.json()) == known


def test_the_texts_are_one_corpus(folder: Path) -> None:
    compared(_comparison(folder, TINY))
    assert len(list((folder / "corpora").iterdir())) == 1


def test_held_out_texts() -> None:
    told = stories(TINY)
    assert held_out(TINY) == [list(each.sentences) for each in told]
    assert not {tuple(each) for each in held_out(TINY)} & {
        tuple(each) for each in held_out(TINY, "valid")
    }


def test_texts_of_files_are_cut_as_in_training(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text(" ".join(f"Tom saw {n} kites." for n in range(40)))
    terms = replace(TINY, data=Data(str(tmp_path)), test=str(tmp_path), texts=9)
    assert stories(terms) == []
    assert sorted(map(len, held_out(terms))) == [8, 32]
    with pytest.raises(UsageError, match="kept for test"):
        held_out(replace(terms, data=Data(str(tmp_path), test=1e-9), test=""))


def test_of_few_texts_the_one_of_the_lowest_hash_validates(tmp_path: Path) -> None:
    told = [["Tom ran.", f"Tom saw {number} kites."] for number in range(5)]
    for number, sentences in enumerate(told):
        (tmp_path / f"{number}.txt").write_text(" ".join(sentences))
    terms = replace(TINY, data=Data(str(tmp_path), valid=1e-9, test=0.5))
    assert held_out(terms, "valid") == [min(told, key=place_of)]


def test_terms_that_nothing_can_be_compared_on() -> None:
    changes = (
        *({"seeds": ()}, {"rates": (1e-3, 1e-3)}, {"steps": 0}),
        *({"needle": NeedleTerms(cases=0)}, {"needle": NeedleTerms(depths=(1.0,))}),
        *({"cost": CostTerms(ratio=0.9)}, {"cost": CostTerms(contexts=(0, 2))}),
    )
    for change in changes:
        with pytest.raises(UsageError):
            replace(TINY, **change)


def test_a_recipe_keeps_its_systems_optimizer() -> None:
    made = Run("lcm-mse", 1, 3, 5e-4, 100).recipe(TINY, Model())
    assert (made.train.lr, made.train.steps, made.train.seed, made.train.clip) == (5e-4, 100, 3, 25)
    assert made.data == TINY.data


def test_shipped_terms_are_those_that_they_say() -> None:
    full, small, tiny = map(read, names())
    assert (full.data.path, len(full.sizes), len(full.seeds)) == ("branching", 4, 3)
    assert full.needle.depths[-1] == 0.9 and full.needle.contexts[-1] == 1_024
    assert (min(full.cost.contexts), max(full.cost.contexts)) == (16, 16_384)
    assert small.data.path == "branching" and max(small.sizes) <= max(full.sizes)
    assert len(tiny.sizes) == 3 and tiny.needle.contexts and tiny.cost.random_contexts


def test_needles_are_another_training_with_the_same_codec(folder: Path) -> None:
    runs = _comparison(folder, TINY).runs
    other = runs.on(TINY.of_needle())
    run = Run("llm", 1_500_000, 0, 1e-3, 2)
    assert other.codec is runs.codec and other.shape("llm", 1_500_000) == runs.shape(
        "llm", run.size
    )
    assert other.recipe(run).data.path == "needle" and other.of(run) != runs.of(run)
