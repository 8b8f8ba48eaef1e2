"""The costs of all systems: what was measured once is kept. How long it takes is never tested."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from sonar_cli.evaluation.paper.costs import Costs, Subject, random_subjects
from sonar_cli.evaluation.paper.flops import token_level
from sonar_cli.evaluation.paper.networks import Networks
from sonar_cli.evaluation.paper.parts import PARTS, cost_of
from sonar_cli.evaluation.paper.terms import SYSTEMS, CostTerms

TERMS = CostTerms(tokens=3, writes=1, ratio=2.0, size="tiny")


def _costs(folder: Path, told: list[str], machine: str = "a machine") -> Costs:
    return Costs(TERMS, folder / "new" / "costs.json", machine, told.append)


def _without_weights(subjects: list[Subject]) -> list[Subject]:
    """Return the subjects, none of which can be measured."""

    def make() -> Networks:
        raise AssertionError("this was measured before")

    return [replace(each, make=make) for each in subjects]


def test_a_cost_is_measured_once(tmp_path: Path) -> None:
    subjects, told = random_subjects(TERMS, "cpu"), []  # type: ignore[var-annotated]
    records = _costs(tmp_path, told).by_context(subjects, (2, 6))
    of = [(each["system"], each["sentences"], each["weights"]) for each in records]
    assert sorted(of) == sorted((each, n, "random") for each in SYSTEMS for n in (2, 6))
    assert len(told) == len(records) and all(each["parameters"] > 0 for each in records)
    told.clear()
    # No networks are left in memory, and none are made again.
    none = _without_weights(subjects)
    assert _costs(tmp_path, told).by_context(none, (2, 6)) == records and told == []
    for costs, contexts in ((_costs(tmp_path, told), (4,)), (_costs(tmp_path, told, "b"), (2,))):
        with pytest.raises(AssertionError, match="measured before"):
            costs.by_context(none, contexts)


def test_crossings_are_of_the_costs_that_are_in_the_records(tmp_path: Path) -> None:
    subjects, costs = random_subjects(TERMS, "cpu"), _costs(tmp_path, [])
    found = costs.crossovers(subjects, (2, 6))
    assert [(each["unit"], each["part"]) for each in found] == [
        (unit, part) for unit in ("seconds", "flops") for part in PARTS
    ]
    known = {each.system: each for each in _without_weights(subjects)}
    for each in found:
        for end, side in (("low", "before"), ("high", "after")):
            taken = {
                system: cost_of(costs.at(known[system], each[end]), each["part"], each["unit"])
                for system in ("sonar-llm", "llm")
            }
            assert each[side] == min(taken, key=taken.__getitem__)
            assert each[f"{end}_tokens"] == 3 * each[end]
        assert each["found"] == (each["before"] != each["after"])
    assert costs.crossovers(subjects, (2,)) == []


def test_flops_are_the_counted_ones() -> None:
    (llm,) = (each for each in random_subjects(TERMS, "cpu") if each.system == "llm")
    found = llm.flops(7, 3)
    assert found == {
        "encode_flops": 0,
        "read_flops": token_level(llm.config, 7, 3).read,  # type: ignore[arg-type]
        "write_flops": token_level(llm.config, 7, 3, cached=True).total,  # type: ignore[arg-type]
    }
