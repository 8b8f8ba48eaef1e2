"""Hostile files: each is refused in one line that names it, in time, and nothing of it is run."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from sonar_cli.cli import run
from sonar_cli.errors import SonarError
from sonar_cli.model.codec.tokenizer import Tokenizer
from sonar_cli.model.files import read_tensors
from sonar_cli.model.formats.predictor import read_predictor
from sonar_cli.text.arrays import read_vectors
from tests import hostile

KINDS = list(hostile.kinds())
READABLE = list(hostile.readable())
# Seconds for a kind, of which each takes a small part of one on an idle machine.
LIMIT = 60


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return hostile.good(tmp_path_factory.mktemp("good"))


@pytest.fixture(autouse=True)
def _in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")


def _run(arguments: list[str], capfd: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        warnings.simplefilter("ignore", ResourceWarning)  # of what is left to Python to close
        status = run(arguments)
    captured = capfd.readouterr()
    assert [str(each.message) for each in warned] == []
    return status, captured.out, captured.err


@pytest.mark.timeout(LIMIT)
@pytest.mark.parametrize("command", ["ENCODE", "CONTINUE", "SUMMARIZE", "DECODE"])
def test_the_files_that_are_changed_are_good(good: Path, tmp_path: Path, capfd, command) -> None:
    """Were they not, every refusal below could be for another reason."""
    kind = hostile.Kind("none", "", getattr(hostile, command), lambda file: None, "")
    status, out, err = _run(kind.make(good, tmp_path / "files"), capfd)
    assert (status, err) == (0, "") and out


@pytest.mark.timeout(LIMIT)
@pytest.mark.parametrize("kind", KINDS, ids=[kind.name for kind in KINDS])
def test_a_hostile_file_is_refused(kind: hostile.Kind, good: Path, tmp_path: Path, capfd) -> None:
    arguments = kind.make(good, tmp_path / "files")
    status, out, err = _run(arguments, capfd)
    assert (status in (1, 2), out) == (True, ""), (status, out, err)
    assert err.count("\n") == 1 and err.endswith("\n"), err
    assert err.startswith("sonar-llm: ") and "\x1b" not in err
    assert str(tmp_path / "files" / kind.named) in err
    assert len(err) < 600 and not any(word in err for word in FOREIGN), err
    assert list(Path.cwd().iterdir()) == []  # where what is run leaves a file


# name -> what makes another file of the cache's, which was whole; what is said of it
CACHES: dict[str, tuple[Callable[[Path, bytes], object], str]] = {
    "no database": (lambda file, whole: file.write_bytes(b"x" * 5_000), "it is made anew"),
    "cut": (lambda file, whole: file.write_bytes(whole[:6_000]), "it is made anew"),
    "a directory": (lambda file, whole: file.mkdir(), "going on without it"),
    "a FIFO": (lambda file, whole: os.mkfifo(file), "going on without it"),
    "a device": (lambda file, whole: file.symlink_to("/dev/zero"), "going on without it"),
    "a loop of links": (lambda file, whole: file.symlink_to(file.name), "going on without it"),
}


@pytest.mark.timeout(LIMIT)
@pytest.mark.parametrize("name", CACHES)
def test_a_hostile_cache_costs_a_notice(
    good: Path, tmp_path: Path, capfd, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv("SONAR_LLM_CACHE_DIR", str(tmp_path / "cache"))
    arguments = hostile.Kind("", "", hostile.SUMMARIZE, Path.exists, "").make(good, tmp_path)
    _, expected, _ = _run(arguments, capfd)
    file = tmp_path / "cache" / "vectors.sqlite"
    whole = file.read_bytes()
    file.unlink()
    damage, said = CACHES[name]
    damage(file, whole)
    status, out, err = _run(arguments, capfd)
    assert (status, out) == (0, expected)
    assert err.count("\n") == 1 and str(file.parent) in err and said in err


# What only a message of somebody else's has: names of Python's exceptions, and torch's advice.
FOREIGN = (
    *("Error:", "Traceback", "weights_only", "allow_pickle", "Exception", "frame #", ".cc", ".cpp"),
    *("NoneType", "object is not", "codec can't", "SONAR_LLM_DEBUG", "line 1 column", "max_header"),
)


@pytest.mark.timeout(LIMIT)
@pytest.mark.parametrize("case", READABLE, ids=[name for name, *_ in READABLE])
def test_a_strange_text_is_read(case, good: Path, tmp_path: Path, capfd) -> None:
    _, name, content = case
    file = tmp_path / name
    file.write_bytes(content)
    status, out, err = _run(
        ["encode", "-m", str(good / "model"), str(file), "-o", "out.npy"], capfd
    )
    assert (status, out) == (0, "") and "Traceback" not in err
    assert all(line.startswith("sonar-llm: cut ") for line in err.splitlines()), err
    assert Path("out.npy").stat().st_size > 128


@contextmanager
def _nobody() -> Iterator[None]:
    """Run as a user who may read only what all may."""
    if os.geteuid():
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.mark.timeout(LIMIT)
@pytest.mark.parametrize(
    ("file", "command"),
    [
        (hostile.CONFIG, hostile.CONTINUE),
        (hostile.PREDICTOR, hostile.CONTINUE),
        (hostile.ENCODER, hostile.ENCODE),
        (hostile.TOKENIZER, hostile.ENCODE),
        (hostile.VECTORS, hostile.DECODE),
        (hostile.TEXT, hostile.ENCODE),
    ],
)
def test_what_may_not_be_read_is_refused(good: Path, capfd, file: str, command: str) -> None:
    with TemporaryDirectory() as folder:  # pytest's own is closed to others
        kind = hostile.Kind("", file, command, lambda path: path.chmod(0), file)
        arguments = kind.make(good, Path(folder) / "files")
        for each in (Path(folder), Path(folder) / "files"):
            each.chmod(0o755)
        run([*hostile.ENCODE.split()[:2], str(good / "model"), str(good / hostile.TEXT)])
        capfd.readouterr()  # all that a run imports is there now
        with _nobody():
            status, out, err = _run(arguments, capfd)
    assert (status, out) == (1, "")
    assert err.count("\n") == 1 and str(Path(folder) / "files" / file) in err
    assert "no permission to read it" in err


# ending of a file -> what reads it
READERS: dict[str, Callable[[Path], object]] = {
    "safetensors": read_tensors,
    "pt": read_tensors,
    "old.pt": read_tensors,
    "config.json": lambda file: read_predictor(file.parent / "weights", file),
    "tokenizer.model": Tokenizer.load,
    "npy": lambda file: read_vectors(str(file)),
}


def _whole(good: Path, file: Path) -> None:
    """Write a small good file of a kind."""
    tensors = {"a.weight": torch.ones(4, 3), "b": torch.ones(2)}
    if file.name.endswith(".pt"):
        old = {"_use_new_zipfile_serialization": False} if "old" in file.name else {}
        torch.save({"model": tensors}, file, **old)
    elif file.suffix == ".safetensors":
        save_file(tensors, file)
    elif file.suffix == ".npy":
        np.save(file, np.ones((3, 4), np.float32))
    else:
        kind = hostile.CONFIG if file.suffix == ".json" else hostile.TOKENIZER
        file.write_bytes((good / kind).read_bytes())
        weights = file.parent / "weights"
        weights.mkdir()
        (weights / "model.safetensors").symlink_to(good / hostile.PREDICTOR)


@pytest.mark.timeout(LIMIT)
@pytest.mark.parametrize("kind", READERS)
def test_any_damage_is_an_error_of_ours_or_none(good: Path, tmp_path: Path, kind: str) -> None:
    """Cut anywhere, or with a few bits turned, a file is read or refused, and nothing else."""
    file = tmp_path / f"file.{kind}"
    _whole(good, file)
    whole, random = file.read_bytes(), np.random.default_rng(0)
    cut = [whole[:size] for size in random.integers(0, len(whole), 60)]
    turned = []
    for count in random.integers(1, 4, 140):
        raw = bytearray(whole)
        # Most of what is read is at the ends: headers, tables, the pickle.
        for at in random.integers(0, len(raw), count) if count == 1 else _ends(random, raw, count):
            raw[at] ^= 1 << int(random.integers(8))
        turned.append(bytes(raw))
    refused = 0
    for raw in (*cut, *turned):
        file.write_bytes(raw)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            try:
                READERS[kind](file)
            except SonarError as error:
                refused += 1
                assert str(file) in str(error) and "\n" not in str(error)
    assert refused >= len(cut)


def _ends(random: np.random.Generator, raw: bytes, count: int) -> list[int]:
    near = random.integers(0, min(2_000, len(raw)), count)
    return [int(at) if random.integers(2) else len(raw) - 1 - int(at) for at in near]
