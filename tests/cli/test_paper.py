"""`evaluate paper`: what it refuses before anything is trained."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    return tmp_path / "runs"


@pytest.mark.parametrize(
    ("terms", "words", "told"),
    [
        ("", "--terms nope", "nope: no such terms; there are full, small, tiny"),
        ("", "--terms tiny --small", "give one of them"),
        ("", "--terms tiny --test DIR", "--test goes with --texts"),
        ("", "--terms tiny --seeds 0,0", "seeds is a list of different numbers"),
        ("", "--terms tiny --seeds x", "Invalid value for '--seeds'"),
        ("", "--terms tiny --seeds -1", "Invalid value for '--seeds'"),
        ("", "--terms tiny --codec-from nope", "unknown model 'nope'"),
        ("", "--terms tiny --texts DIR/nothing", "no file there"),
        ("size = [1]", "--terms FILE", "unknown key 'size'; did you mean 'sizes'?"),
        ("[data]\nstory = 1", "--terms FILE", "unknown key 'data.story'; did you mean"),
        ("steps = true", "--terms FILE", "steps is a whole number, not true"),
        ("steps = 0", "--terms FILE", "steps is at least 1, not 0"),
        ("steps =", "--terms FILE", "is not TOML"),
    ],
)
def test_what_nothing_can_be_compared_on(
    call, runs: Path, tmp_path: Path, terms: str, words: str, told: str
) -> None:
    file = tmp_path / "terms.toml"
    file.write_text(terms)
    given = words.replace("FILE", str(file)).replace("DIR", str(tmp_path)).split()
    status, out, err = call("evaluate", "paper", "--runs", str(runs), *given)
    assert (status, out) == (2, "")
    assert told in err and err.count("\n") == 1
    assert not runs.exists()
