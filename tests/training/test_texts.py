"""Where texts come from: files of every kind, rows, data sets; which part each belongs to."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pyarrow
import pytest
from pyarrow import parquet

from sonar_cli.errors import UsageError
from sonar_cli.model.systems.base import SUMMARY_CUE
from sonar_cli.training import texts as t
from sonar_cli.training.recipe import Recipe
from sonar_cli.training.tables import Data
from sonar_cli.world import stories as world
from tests.hub_server import serving

TWO = "Tom ran. Tom sat."


def _rows(path: Path, **columns: list[object]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    parquet.write_table(pyarrow.table(columns), path, row_group_size=2)


def _read(data: Data | str | Path) -> tuple[list[list[str]], list[str]]:
    told: list[str] = []
    asked = data if isinstance(data, Data) else Data(str(data))
    found = list(t.documents(asked, told.append))
    assert all("\n" not in line for line in told)
    return found, told


def _refused(data: Data) -> str:
    with pytest.raises(UsageError) as caught:
        _read(data)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_mixed_folder_with_bad_files_among_good_ones(tmp_path: Path) -> None:
    """Every bad file costs one line, and nothing else is lost."""
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "tale.txt").write_text("Ann ran. Ann sat.")
    (tmp_path / "a" / "page.htm").write_text("<html><body><p>Bea ran. Bea sat.</p></body></html>")
    (tmp_path / "b.md").write_text("# Cleo\n\nCleo *ran*.\n")
    (tmp_path / "c.eml").write_text("From: a@b\nSubject: Dan\n\nDan ran. Dan sat.\n")
    (tmp_path / "d.jsonl").write_text('{"text": "Eva ran. Eva sat."}\nno json\n{"text": 3}\n\n')
    _rows(tmp_path / "e.parquet", text=["Fay ran. Fay sat.", None, "Gus ran. Gus sat."])
    _rows(tmp_path / "f.parquet", story=["Not this. Not that."])
    (tmp_path / "g.parquet").write_bytes(b"PAR1 or not")
    (tmp_path / "h.txt").write_text(" \n\t\n")
    (tmp_path / "i.txt").write_bytes(b"\x00\x01\x02")
    (tmp_path / "j.eml").write_text(
        "Content-Type: multipart/mixed; boundary=x\n\n--x\nContent-Type: image/png\n\nzz\n--x--\n"
    )
    (tmp_path / "k.png").write_bytes(b"\x89PNG")
    found, told = _read(tmp_path)
    assert found == [
        *([f"{name} ran.", f"{name} sat."] for name in ("Bea", "Ann")),
        ["Cleo", "Cleo ran."],
        *([f"{name} ran.", f"{name} sat."] for name in ("Dan", "Eva", "Fay", "Gus")),
    ]
    assert len(told) == 7
    for line, words in zip(
        told,
        [
            ("d.jsonl: 2 rows without text in 'text' left out, the first is number 2",),
            ("e.parquet: 1 row without text",),
            ("f.parquet has no column 'text'", "one of: story"),
            ("g.parquet cannot be read as Parquet",),
            ("h.txt is empty",),
            ("i.txt is not a text", "NUL"),
            ("j.eml: the mail holds no text",),
        ],
        strict=True,
    ):
        assert all(each in line for each in words), line


def test_files_are_in_the_order_of_their_paths(tmp_path: Path) -> None:
    for name in ("b.txt", "a/z.txt", "a/b/c.txt", "a.txt", "c/d.TXT"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(TWO)
    found = list(t.find_files(str(tmp_path), print))
    assert found == sorted(tmp_path.rglob("*.[tT]*")) and len(found) == 5
    assert list(t.find_files(str(tmp_path / "*.txt"), print)) == sorted(tmp_path.glob("*.txt"))
    assert list(t.find_files(str(tmp_path / "**/*.txt"), print)) == sorted(tmp_path.rglob("*.txt"))


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root reads all")
def test_a_folder_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text(TWO)
    (tmp_path / "closed").mkdir(mode=0)
    found, told = _read(tmp_path)
    assert len(found) == 1 and len(told) == 1 and "closed" in told[0]


@pytest.mark.parametrize("kind", ["jsonl", "parquet"])
def test_a_column_of_another_name(tmp_path: Path, kind: str) -> None:
    file = tmp_path / f"a.{kind}"
    if kind == "jsonl":
        file.write_text("".join(json.dumps({"id": n, "story": TWO}) + "\n" for n in range(2)))
    else:
        _rows(file, id=[0, 1], story=[TWO, TWO])
    assert _read(Data(str(file), column="story"))[0] == [["Tom ran.", "Tom sat."]] * 2
    assert f"{file} has no column 'text'; give data.column, one of: id, story" in _refused(
        Data(str(file))
    )


def test_a_single_file_that_cannot_be_read_is_the_error_itself(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UsageError, match="UTF-16"):
        _read(tmp_path)


def test_json_lines_with_what_utf8_cannot_write(tmp_path: Path) -> None:
    lines = [r'{"text": "A \ud800 ran. B."}', '{"text": "Lo\u2028ng\x85 one. Two."}', "[" * 99999]
    (tmp_path / "a.jsonl").write_text("\n".join(lines), encoding="utf-8")
    (tmp_path / "b.jsonl").write_bytes(b'{"text": "\xff"}\n{"text": "Tom ran. Tom sat."}\n')
    found, told = _read(tmp_path)
    assert [len(each) for each in found] == [2, 2]
    assert "2 rows without text" in told[0] and "1 row without text" in told[1]


def test_a_library_that_is_not_there(tmp_path: Path, monkeypatch) -> None:
    _rows(tmp_path / "a.parquet", text=[TWO])
    (tmp_path / "b.txt").write_text(TWO)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    monkeypatch.setitem(sys.modules, "datasets", None)
    for path in (str(tmp_path), f"hub:{tmp_path}"):
        with pytest.raises(UsageError, match=r"pip install 'sonar-llm\[train\]'"):
            _read(path)


def test_a_data_set_in_a_local_folder(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))
    folder = tmp_path / "set"
    _rows(folder / "train-0.parquet", story=[TWO, None, "Ben ran. Ben sat."], id=[1, 2, 3])
    _rows(folder / "test-0.parquet", story=["Ann ran. Ann sat."], id=[4])
    found, told = _read(Data(f"hub:{folder}", column="story"))
    assert found == [["Tom ran.", "Tom sat."], ["Ben ran.", "Ben sat."]]
    assert len(told) == 1 and "1 row without text in 'story'" in told[0]
    assert _read(Data(f"hub:{folder}", column="story", split="test"))[0] == [
        ["Ann ran.", "Ann sat."]
    ]
    assert "no column 'text'; give data.column, one of: story, id" in _refused(
        Data(f"hub:{folder}")
    )
    assert "Bad split: dev. Available splits" in _refused(Data(f"hub:{folder}", split="dev"))
    assert f"hub:{tmp_path}/none" in _refused(Data(f"hub:{tmp_path}/none"))
    lines = tmp_path / "lines"
    lines.mkdir()
    (lines / "a.jsonl").write_text(json.dumps({"text": TWO}) + "\n")
    assert _read(f"hub:{lines}")[0] == [["Tom ran.", "Tom sat."]]


def test_a_data_set_of_the_hub_is_trained_on(tmp_path: Path) -> None:
    """From a server on loopback that speaks the Hub's endpoints."""
    texts = [f"Tom saw {n} birds. Tom ran." for n in range(8)]
    _rows(tmp_path / "datasets" / "owner" / "tales" / "train.parquet", story=texts, id=[*range(8)])
    order = ["data.column=story", "train.steps=1", "train.batch=2", "model.hidden=32"]

    def train(name: str, *more: str) -> tuple[int, str]:
        words = ["train", "lcm-mse", f"data.path=hub:{name}", *order, *more, "--device", "cpu"]
        environment = os.environ | {"HF_ENDPOINT": hub.url, "HF_HOME": str(tmp_path / "home")}
        folder = str(tmp_path / " ".join([name, *more]))
        done = subprocess.run(
            [sys.executable, "-m", "sonar_cli", *words, "-o", folder],
            env=environment, capture_output=True, text=True, timeout=120,
        )  # fmt: skip
        return done.returncode, done.stderr

    with serving(tmp_path) as hub:
        assert train("owner/tales") == (0, "")
        status, told = train("owner/none")
        assert status == 2 and told.count("\n") == 1 and "'owner/none' doesn't exist" in told
        made = json.loads((tmp_path / "owner" / "tales" / "corpus" / "corpus.json").read_text())
        assert made["texts"]["read"] == 8
        status, told = train("owner/tales", "data.split=dev")
        assert status == 2 and told.count("\n") == 1 and "Available splits: ['train']" in told


def test_every_second_story_has_its_summary() -> None:
    plain, told = (list(t.documents(Data(stories=6, summaries=s), print)) for s in (False, True))
    for number, story in enumerate(world.stories(6)):
        assert plain[number] == [*story.sentences]
        summary = [SUMMARY_CUE, *story.summary] if number % 2 else []
        assert told[number] == [*story.sentences, *summary]
        assert t.place_of(told[number]) == t.place_of(plain[number]), "it stays in its part"


def test_the_world_beside_own_texts(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text(TWO)
    own = Data(str(tmp_path))
    both = Data(str(tmp_path), world=True, stories=3, summaries=True)
    alone = Data(stories=3, summaries=True)
    assert list(t.documents(both, print)) == [
        *t.documents(own, print),
        *t.documents(alone, print),
    ]
    assert len(list(t.documents(Data(world=True, stories=3), print))) == 3, "never twice"
    assert t.fingerprint(both) == t.fingerprint(own)
    with pytest.raises(UsageError, match=r"add data\.world=true"):
        Recipe("sonar-llm", data=Data(str(tmp_path), summaries=True))
    Recipe("sonar-llm", data=both)


def test_the_fingerprint_is_that_of_the_files(tmp_path: Path) -> None:
    data = Data(str(tmp_path))
    (tmp_path / "a.txt").write_text(TWO)
    before = t.fingerprint(data)
    assert before == t.fingerprint(data) != ""
    (tmp_path / "other.png").write_bytes(b"")
    assert t.fingerprint(data) == before
    os.utime(tmp_path / "a.txt", ns=(0, 1))
    touched = t.fingerprint(data)
    (tmp_path / "b.txt").write_text(TWO)
    assert len({before, touched, t.fingerprint(data)}) == 3
    assert t.fingerprint(Data()) == t.fingerprint(Data("hub:owner/name")) == ""
    assert t.fingerprint(Data(f"hub:{tmp_path}")) == t.fingerprint(data)


def test_parts_by_place() -> None:
    data = Data(valid=0.1, test=0.2)
    parts = [t.part_of(t.place_of([f"Text {n}."]), data) for n in range(2000)]
    assert 150 < parts.count("valid") < 250 and 300 < parts.count("test") < 500
