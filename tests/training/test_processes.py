"""Several processes train one model: DDP and FSDP on the CPU, started by Accelerate."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from sonar_cli.cli import run
from sonar_cli.errors import UsageError
from sonar_cli.training.processes import find_processes
from tests.training.dying import program

pytest.importorskip("accelerate")

ROOT = Path(__file__).parents[2]
# AdamW divides by the gradient's own size: where a gradient is nearly nothing, what is left of it
# is the order of a sum's terms, and with the usual eps of 1e-8 that would move a weight by a step.
SMALL = [
    "train.eps=1e-3",
    "data.stories=40", "model.hidden=32", "model.ffn=48", "model.layers=2", "model.heads=2",
    "model.dropout=0", "train.batch=4", "train.steps=6", "train.warmup=2",
    "train.precision=float32", "train.validate_every=3", "objective.vector_steps=2",
    "train.save_seconds=0",
]  # fmt: skip
HOW = ["--device", "cpu", "--threads", "1"]
# Accelerate's own words for two processes; the device is ours to say.
DDP = ["--multi_gpu"]
FSDP = ["--use_fsdp"]


def _launch(kind: list[str], what: list[str], *arguments: str) -> subprocess.CompletedProcess[str]:
    words = [*kind, "--num_processes", "2", "--num_machines", "1", "--mixed_precision", "no",
             "--dynamo_backend", "no", "--main_process_port", "0", *what]  # fmt: skip
    return subprocess.run(
        [sys.executable, "-m", "accelerate.commands.accelerate_cli", "launch", *words, *arguments],
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=200,
    )


def _train(kind: list[str], folder: Path, *recipe: str) -> None:
    done = _launch(kind, ["-m", "sonar_cli"], "train", *recipe, *HOW, "-o", str(folder))
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{folder / 'model'}\n", "only the first process speaks"


def _losses(folder: Path) -> list[float]:
    lines = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    return [line[name] for line in lines for name in ("loss", "valid_loss")]


def _weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "model" / "predictor" / "model.safetensors")


def _assert_close(one: Path, other: Path) -> None:
    assert _losses(one) == pytest.approx(_losses(other), rel=1e-5)
    torch.testing.assert_close(_weights(one), _weights(other), atol=1e-5, rtol=1e-4)


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("alone")
    assert run(["train", "sonar-llm", *SMALL, *HOW, "-o", str(folder)]) == 0
    return folder


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pair")
    _train(DDP, folder, "sonar-llm", *SMALL)
    return folder


def test_two_processes_are_as_one(alone: Path, pair: Path) -> None:
    _assert_close(alone, pair)
    assert len((pair / "samples.jsonl").read_text().splitlines()) == 2
    assert sorted(each.name for each in pair.iterdir()) == sorted(
        each.name for each in alone.iterdir()
    )


def test_divided_weights_are_as_whole_ones(alone: Path, tmp_path: Path) -> None:
    """In micro-batches of one text, and with layers computed again."""
    more = ["train.micro_batch=1", "train.gradient_checkpointing=true"]
    _train(FSDP, tmp_path, "sonar-llm", *SMALL, *more)
    _assert_close(alone, tmp_path)
    # One process goes on from what two have saved, and finds nothing left to do.
    assert run(["train", "sonar-llm", *SMALL, *more, *HOW, "-o", str(tmp_path)]) == 0


@pytest.mark.parametrize("kind", [DDP, FSDP], ids=["ddp", "fsdp"])
def test_killed_and_resumed(kind: list[str], pair: Path, tmp_path: Path) -> None:
    script = tmp_path / "dying.py"
    words = ["train", "sonar-llm", *SMALL, *HOW, "-o", str(tmp_path / "run")]
    script.write_text(program(words, "number == 4 and self.processes.rank"))
    assert _launch(kind, [str(script)]).returncode != 0
    assert torch.load(tmp_path / "run" / "checkpoint.pt")["step"] == 4
    _train(kind, tmp_path / "run", "sonar-llm", *SMALL)
    if kind == DDP:
        for name, each in _weights(pair).items():
            assert torch.equal(each, _weights(tmp_path / "run")[name]), name
    _assert_close(pair, tmp_path / "run")


def test_without_accelerate_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setitem(sys.modules, "accelerate", None)
    with pytest.raises(UsageError, match=r"pip install 'sonar-llm\[train\]'"):
        find_processes("cpu")


def test_an_average_of_divided_weights_is_refused(tmp_path: Path) -> None:
    words = ["train", "lcm-mse", *SMALL, "train.ema=0.9", *HOW, "-o", str(tmp_path / "run")]
    done = _launch(FSDP, ["-m", "sonar_cli"], *words)
    assert done.returncode != 0 and "train.ema=0 with FSDP" in done.stderr
