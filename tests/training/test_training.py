"""Training: batches, objectives held to the decoder itself, and runs that are stopped and go on."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sonar_cli.errors import CheckpointError, TrainingError, UsageError
from sonar_cli.model.codec.decoder import TextDecoder
from sonar_cli.model.codec.encoder import TextEncoder
from sonar_cli.model.codec.tokenizer import EOS, PAD
from sonar_cli.model.systems.sonar_llm import Predictor
from sonar_cli.training.batches import Batches, Rows, parts_of
from sonar_cli.training.loop import Shown, fit
from sonar_cli.training.loss import Loss
from sonar_cli.training.objectives import (
    blur,
    decoding_loss,
    next_sentence_loss,
    next_vector_loss,
    reconstruction_loss,
)
from sonar_cli.training.processes import Processes
from sonar_cli.training.record import digest
from sonar_cli.training.schedule import Schedule, step_seed
from sonar_cli.training.state import Means

LANG = 55
# [eos] [lang] pieces [eos], of different lengths
TARGETS = [[EOS, LANG, 7, 8, 9, EOS], [EOS, LANG, 10, EOS], [EOS, LANG, 11, 12, EOS]]


# data


def test_rows_are_padded_in_the_order_asked_for() -> None:
    rows = Rows.of([[4, 5, 6], [7], [8, 9]])
    assert len(rows) == 3
    assert rows.padded([1, 0]).tolist() == [[7, PAD, PAD, PAD], [4, 5, 6, PAD]]
    assert rows.padded([2]).dtype == torch.int64


def test_an_epoch_holds_every_row_once() -> None:
    batches = Batches(np.arange(1, 1201) % 17, batch_size=8, seed=3)
    assert batches.per_epoch == 150
    for epoch in range(2):
        seen = np.concatenate([batches.at(epoch * 150 + i) for i in range(150)])
        assert sorted(seen.tolist()) == list(range(1200))


def test_a_batch_depends_on_the_step_and_the_seed_alone() -> None:
    lengths = np.arange(500) % 13
    in_order = Batches(lengths, 8, seed=0)
    wanted = [in_order.at(step).tolist() for step in range(150)]
    # Another object, asked backwards, as after a resume somewhere in the middle.
    fresh = Batches(lengths, 8, seed=0)
    assert [fresh.at(step).tolist() for step in reversed(range(150))] == wanted[::-1]
    assert wanted[:62] != wanted[62:124], "the second epoch is shuffled otherwise"
    assert Batches(lengths, 8, seed=1).at(0).tolist() != wanted[0]


def test_batches_hold_rows_of_like_length() -> None:
    lengths = np.random.default_rng(0).integers(3, 40, 4000)
    batches = Batches(lengths, 32, seed=0)
    chosen = [lengths[batches.at(step)] for step in range(batches.per_epoch)]
    padded = sum(len(part) * part.max() for part in chosen)
    assert padded < 1.1 * lengths.sum()


def test_fewer_rows_than_a_batch() -> None:
    batches = Batches(np.array([2, 3, 1]), batch_size=8, seed=0)
    assert batches.per_epoch == 1
    assert sorted(batches.at(5).tolist()) == [0, 1, 2]


# objectives


def _by_hand(decoder: TextDecoder, vector: Tensor, target: list[int], labels: list[int]) -> Tensor:
    """Sum of the labels' negative log-probabilities, one sentence without padding."""
    ids = torch.tensor([target[: len(labels)]])
    logs = decoder(vector[None], ids).log_softmax(-1)[0]
    return -sum((logs[i, label] for i, label in enumerate(labels)), torch.tensor(0.0))


@pytest.mark.parametrize("double_eos", [False, True])
def test_decoding_loss_is_the_decoders_own(decoder: TextDecoder, double_eos: bool) -> None:
    vectors = torch.randn(3, 64)
    target = Rows.of(TARGETS).padded(range(3))
    # language token and eos count; the authors' labels count the eos twice
    labels = [row[1:] + [EOS] * double_eos for row in TARGETS]
    sums = [
        _by_hand(decoder, vector, row, wanted)
        for vector, row, wanted in zip(vectors, TARGETS, labels, strict=True)
    ]
    expected = sum(sums, torch.tensor(0.0)) / sum(map(len, labels))
    found = decoding_loss(decoder, vectors, target, double_eos)
    assert found.weight == found.tokens == sum(map(len, labels))
    assert found.mean == pytest.approx(expected.item(), abs=1e-5)


def test_padding_changes_no_loss(decoder: TextDecoder) -> None:
    vectors = torch.randn(3, 64)
    target = Rows.of(TARGETS).padded(range(3))
    wider = F.pad(target, (0, 4), value=PAD)
    for double_eos in (False, True):
        found, plain = (decoding_loss(decoder, vectors, t, double_eos) for t in (wider, target))
        assert found.mean == pytest.approx(plain.mean, rel=1e-6)


def test_next_sentence_loss_is_one_text_after_the_other(
    predictor: Predictor, decoder: TextDecoder
) -> None:
    texts = [torch.randn(2, 64), torch.randn(1, 64)]  # two texts: 2 + 1 sentences to predict
    batch, mask = torch.zeros(2, 2, 64), torch.zeros(2, 2, dtype=torch.bool)
    for row, text in enumerate(texts):
        batch[row, : len(text)], mask[row, : len(text)] = text, True
    predicted = torch.cat([predictor(text[None])[0] for text in texts])
    sums = [_by_hand(decoder, v, row, row[1:]) for v, row in zip(predicted, TARGETS, strict=True)]
    expected = sum(sums, torch.tensor(0.0)) / sum(len(row) - 1 for row in TARGETS)
    target = Rows.of(TARGETS).padded(range(3))
    found = next_sentence_loss(predictor, decoder, batch, mask, target)
    assert found.mean == pytest.approx(expected.item(), abs=1e-5)
    # By text: the mean of each text's own mean, as the authors' micro-batches of one text have it.
    of_text = [(sums[0] + sums[1]) / 8, sums[2] / 4]
    by_text = next_sentence_loss(predictor, decoder, batch, mask, target, by_text=True)
    assert by_text.weight == 2
    assert by_text.mean == pytest.approx((sum(of_text) / 2).item(), abs=1e-5)


def test_next_vector_loss_is_a_share_of_the_variance(predictor: Predictor) -> None:
    texts = [torch.randn(2, 64), torch.randn(1, 64)]
    batch, mask = torch.zeros(2, 2, 64), torch.zeros(2, 2, dtype=torch.bool)
    for row, text in enumerate(texts):
        batch[row, : len(text)], mask[row, : len(text)] = text, True
    following = torch.randn(3, 64)
    predicted = torch.cat([predictor(text[None])[0] for text in texts])
    of_the_mean = (following - following.mean(0)).square().sum()
    expected = (predicted - following).square().sum() / of_the_mean
    variance = float(following.var(0, correction=0).mean())
    found = next_vector_loss(predictor, batch, mask, following, variance)
    assert found.mean == pytest.approx(expected.item(), rel=1e-5)


def test_only_the_predictor_learns(predictor: Predictor, decoder: TextDecoder) -> None:
    predictor.requires_grad_(True)
    mask = torch.ones(1, 3, dtype=torch.bool)
    target = Rows.of(TARGETS).padded(range(3))
    next_sentence_loss(predictor, decoder, torch.randn(1, 3, 64), mask, target).total.backward()
    assert all(p.grad is not None and p.grad.any() for p in predictor.parameters())
    assert all(p.grad is None for p in decoder.parameters())


def test_noise_is_in_units_of_the_vectors_size(
    encoder: TextEncoder, decoder: TextDecoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = Rows.of([row[1:] for row in TARGETS]).padded(range(3))
    target = Rows.of(TARGETS).padded(range(3))
    vectors = encoder(source, source != PAD)
    clean = reconstruction_loss(encoder, decoder, source, target)
    assert clean.mean == pytest.approx(decoding_loss(decoder, vectors, target).mean)
    monkeypatch.setattr(torch, "randn_like", torch.ones_like)
    moved = vectors + 0.5 * vectors.square().mean(1, keepdim=True).sqrt()
    noisy = reconstruction_loss(encoder, decoder, source, target, noise=0.5)
    assert noisy.mean == pytest.approx(decoding_loss(decoder, moved, target).mean)
    assert abs(noisy.mean - clean.mean) > 1e-4


@pytest.mark.parametrize("doubt", [0.1, 0.5, 0.9])
def test_a_blurred_vector_is_the_mean_of_those_that_it_may_be(doubt: float) -> None:
    """So the line through the origin that fits best, from blurred vectors to theirs, is y = x."""
    draw = torch.Generator().manual_seed(0)
    vectors, noise = torch.randn(2, 200_000, 1, generator=draw)
    blurred = blur(vectors, torch.tensor([[doubt]]), noise)
    slope = (blurred * vectors).sum() / blurred.square().sum()
    assert slope.item() == pytest.approx(1, abs=0.03)
    assert blurred.square().mean().item() == pytest.approx(1 - doubt**2, abs=0.02)


def test_a_share_of_the_vectors_is_blurred(
    encoder: TextEncoder, decoder: TextDecoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = Rows.of([row[1:] for row in TARGETS]).padded(range(3))
    target = Rows.of(TARGETS).padded(range(3))
    vectors = encoder(source, source != PAD)
    drawn = torch.tensor([[0.36, 0.36, 0.36], [0.1, 0.4, 0.9]]).unsqueeze(2)
    monkeypatch.setattr(torch, "rand", lambda *size, device: drawn)
    monkeypatch.setattr(torch, "randn_like", torch.zeros_like)
    wanted = vectors * torch.tensor([[0.64], [0.64], [1.0]])
    found = reconstruction_loss(encoder, decoder, source, target, blurred=0.5)
    assert found.mean == pytest.approx(decoding_loss(decoder, wanted, target).mean)


def test_the_encoder_learns_from_whole_vectors_alone(
    encoder: TextEncoder, decoder: TextDecoder
) -> None:
    source = Rows.of([row[1:] for row in TARGETS]).padded(range(3))
    target = Rows.of(TARGETS).padded(range(3))
    for module in (encoder, decoder):
        module.requires_grad_(True)
    reconstruction_loss(encoder, decoder, source, target, blurred=1.0).total.backward()
    assert not any(each.grad is not None and each.grad.any() for each in encoder.parameters())
    assert any(each.grad is not None and each.grad.any() for each in decoder.parameters())


# loop

# A complete little training, to be imported here and run in a process that kills itself.
TOY = """
import torch
from torch import nn
from sonar_cli.training.loop import Shown, fit
from sonar_cli.training.loss import Loss
from sonar_cli.training.schedule import Schedule

torch.set_num_threads(1)
SCHEDULE = Schedule(steps=30, lr=1e-2, warmup=5, log_every=4, evaluate_every=10, save_seconds=0.0)

def toy(folder, before=lambda step: None, schedule=SCHEDULE, width=8, freeze=False, **more):
    torch.manual_seed(7)
    model = nn.Sequential(nn.Linear(4, width), nn.ReLU(), nn.Linear(width, 1))
    model[0].bias.requires_grad_(not freeze)
    def loss(step, part):
        before(step)
        x = torch.randn(16, 4)  # drawn from the step's own seed
        return Loss((model(x)[:, 0] - x.sum(1)).square().sum(), 16)
    more.setdefault("shown", Shown(progress=False))
    fit({"model": model}, loss, schedule, folder, **more)
    return model
"""
_toy: dict[str, Callable[..., nn.Module]] = {}
exec(TOY, _toy)
toy = _toy["toy"]
SCHEDULE = Schedule(steps=30, lr=1e-2, warmup=5, log_every=4, evaluate_every=10, save_seconds=0.0)
QUIET = Shown(progress=False)
RECIPE = {"batch": 16, "noise": 0.1, "model": {"layers": 2, "act": "relu"}}
ADVICE = "another folder, or --no-resume to start anew"


def _log(folder: Path) -> list[dict[str, float]]:
    """Return the log without what a clock wrote."""
    lines = (folder / "log.jsonl").read_text().splitlines()
    return [{k: v for k, v in json.loads(line).items() if k != "seconds"} for line in lines]


def _assert_same(one: nn.Module, other: nn.Module) -> None:
    for name, tensor in one.state_dict().items():
        assert torch.equal(tensor, other.state_dict()[name]), name


def test_rate_warms_up_and_falls_to_nothing() -> None:
    schedule = Schedule(steps=100, lr=2.0, warmup=10)
    rates = [schedule.rate(step) for step in range(100)]
    assert rates[0] == pytest.approx(0.2) and max(rates) == rates[9] == 2.0
    assert rates[9:] == sorted(rates[9:], reverse=True)
    assert schedule.rate(55) == pytest.approx(1.0) and 0 < rates[-1] < 0.01


def _draws(folder: Path, steps: int, seed: int) -> list[float]:
    """Return the first random number that each step of a run draws."""
    drawn: list[float] = []
    schedule = Schedule(steps=steps, lr=1e-2, warmup=5, seed=seed)
    toy(folder, lambda step: drawn.append(torch.rand(()).item()), schedule)
    return drawn


def test_draws_depend_on_the_seed_and_the_step_alone(tmp_path: Path) -> None:
    short = _draws(tmp_path / "short", steps=30, seed=0)
    long = _draws(tmp_path / "long", steps=60, seed=0)
    other = _draws(tmp_path / "other", steps=30, seed=1)
    assert long[:30] == short
    assert len({*long, *other}) == 60 + 30


@pytest.mark.parametrize("seed", [0, 1, -1, 2**32, 2**64])
def test_the_seeds_of_steps_are_distinct_where_the_cpu_reads_them(seed: int) -> None:
    steps = [*range(100_000), 2**31, 2**32 - 1]
    seeds = [step_seed(seed, step) for step in steps]
    assert min(seeds) >= 0 and max(seeds) < 2**64
    # torch's CPU generator takes the low 32 bits of a seed
    assert len({each % 2**32 for each in seeds}) == len(steps)
    torch.manual_seed(seeds[0])
    drawn = torch.rand(3)
    torch.manual_seed(seeds[0] % 2**32)
    assert torch.equal(torch.rand(3), drawn)


def test_neighbouring_seeds_share_no_step() -> None:
    one, other = ({step_seed(seed, step) for step in range(50_000)} for seed in (0, 1))
    assert not one & other


def test_killed_and_resumed_is_as_if_nothing_had_been(tmp_path: Path) -> None:
    whole = toy(tmp_path / "whole")
    killed = tmp_path / "killed"
    script = f"""{TOY}
import os, sys, signal
from pathlib import Path
toy(Path(sys.argv[1]), lambda step: step == 17 and os.kill(os.getpid(), signal.SIGKILL))
"""
    done = subprocess.run([sys.executable, "-c", script, str(killed)], timeout=120)
    assert done.returncode == -signal.SIGKILL
    resumed: list[int] = []
    model = toy(killed, resumed.append)
    assert resumed == list(range(17, 30))
    _assert_same(whole, model)
    assert _log(killed) == _log(tmp_path / "whole")


def test_resumed_from_a_checkpoint_older_than_the_log(tmp_path: Path) -> None:
    whole = toy(tmp_path / "whole")
    folder = tmp_path / "cut"
    _stop(folder, at=9)
    saved = (folder / "checkpoint.pt").read_bytes()
    _stop(folder, at=21)
    (folder / "checkpoint.pt").write_bytes(saved)
    with (folder / "log.jsonl").open("a") as log:
        log.write('{"step": 24, "lo')  # the line that the kill cut off
    _assert_same(whole, toy(folder))
    assert _log(folder) == _log(tmp_path / "whole")


def _stop(folder: Path, at: int, **more: object) -> None:
    """Train up to a step and press Ctrl-C there; nothing but that saves."""

    def before(step: int) -> None:
        if step == at:
            raise KeyboardInterrupt

    seldom = Schedule(steps=30, lr=1e-2, warmup=5, log_every=4, save_seconds=1e9)
    with pytest.raises(KeyboardInterrupt):
        toy(folder, before, seldom, **more)


def test_interrupt_saves_the_last_whole_step(tmp_path: Path) -> None:
    _stop(tmp_path / "stopped", at=12)
    resumed: list[int] = []
    model = toy(tmp_path / "stopped", resumed.append)
    assert resumed[0] == 12
    _assert_same(toy(tmp_path / "whole"), model)


def test_interrupt_within_an_update_is_not_saved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = torch.optim.AdamW.step
    updates = iter(range(30))

    def step(self: torch.optim.AdamW) -> None:
        plain(self)
        if next(updates) == 12:
            raise KeyboardInterrupt

    monkeypatch.setattr(torch.optim.AdamW, "step", step)
    with pytest.raises(KeyboardInterrupt):
        toy(tmp_path / "stopped")
    monkeypatch.undo()
    resumed: list[int] = []
    model = toy(tmp_path / "stopped", resumed.append)
    assert resumed[0] == 12
    _assert_same(toy(tmp_path / "whole"), model)


def test_random_numbers_go_on_alike_after_a_finished_run(tmp_path: Path) -> None:
    toy(tmp_path)
    after = torch.randn(3)
    toy(tmp_path)  # nothing left to do
    assert torch.equal(torch.randn(3), after)


def test_a_save_that_fails_leaves_the_one_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _stop(tmp_path, at=5)

    def full_disk(state: object, file: Path) -> None:
        file.write_bytes(b"half")
        raise OSError("no space left")

    monkeypatch.setattr(torch, "save", full_disk)
    with pytest.raises(TrainingError, match="no space"):
        toy(tmp_path)
    monkeypatch.undo()
    resumed: list[int] = []
    model = toy(tmp_path, resumed.append)
    assert resumed[0] == 5
    _assert_same(toy(tmp_path / "whole"), model)


def _files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def _assert_refused(folder: Path, message: str, **more: object) -> None:
    """Resume and see one line, nothing trained, and the files as they were."""
    before, steps = _files(folder), list[int]()
    with pytest.raises(UsageError) as refused:
        toy(folder, steps.append, **more)
    assert str(refused.value) == message
    assert "\n" not in message and not steps
    assert _files(folder) == before


@pytest.mark.parametrize(
    ("change", "different"),
    [
        ({"steps": 60}, "steps 30, not 60"),
        ({"lr": 2e-3}, "lr 0.01, not 0.002"),
        ({"warmup": 4}, "warmup 5, not 4"),
        ({"weight_decay": 0.0}, "weight_decay 0.001, not 0.0"),
        ({"clip": 2.0}, "clip 1.0, not 2.0"),
        ({"seed": 1}, "seed 0, not 1"),
        ({"lr": 2e-3, "steps": 60}, "steps 30, not 60; lr 0.01, not 0.002"),
    ],
)
def test_another_schedule_is_refused(
    tmp_path: Path, change: dict[str, Any], different: str
) -> None:
    _stop(tmp_path, at=9)
    message = f"{tmp_path}/checkpoint.pt was made with {different}: give the same recipe, {ADVICE}"
    _assert_refused(tmp_path, message, schedule=replace(SCHEDULE, **change))


def test_a_finished_run_is_refused_too(tmp_path: Path) -> None:
    toy(tmp_path)
    message = f"{tmp_path}/checkpoint.pt was made with steps 30, not 20"
    message += f": give the same recipe, {ADVICE}"
    _assert_refused(tmp_path, message, schedule=replace(SCHEDULE, steps=20))


def test_how_often_it_logs_evaluates_and_saves_may_change(tmp_path: Path) -> None:
    _stop(tmp_path / "stopped", at=9)
    other = replace(SCHEDULE, log_every=3, evaluate_every=2, save_seconds=5.0)
    steps: list[int] = []
    model = toy(tmp_path / "stopped", steps.append, other, evaluate=lambda step: {"exact": 0.5})
    assert steps[0] == 9
    _assert_same(toy(tmp_path / "whole"), model)


@pytest.mark.parametrize(
    ("recipe", "different"),
    [
        (RECIPE | {"noise": 0.2}, "noise 0.1, not 0.2"),
        (RECIPE | {"model": {"layers": 3, "act": "relu"}}, "model.layers 2, not 3"),
        (RECIPE | {"model": {"layers": 2, "act": "a\nb"}}, "model.act relu, not a\\nb"),
        (RECIPE | {"model": {"layers": 2}}, "model.act relu, now left out"),
        (RECIPE | {"words": ["ö", "b"], "batch": 8}, 'batch 16, not 8; no words, now ["ö", "b"]'),
        ({}, "batch 16, now left out; noise 0.1, now left out; model.layers 2, now left out; "
             "and 1 more"),
        (RECIPE | {"batch": 8, "system": "llm"}, "no system, now llm"),
    ],
)  # fmt: skip
def test_another_recipe_is_refused(tmp_path: Path, recipe: dict[str, Any], different: str) -> None:
    _stop(tmp_path, at=9, recipe=RECIPE)
    message = f"{tmp_path}/checkpoint.pt was made with {different}: give the same recipe, {ADVICE}"
    _assert_refused(tmp_path, message, recipe=recipe)


def test_the_same_recipe_goes_on(tmp_path: Path) -> None:
    """Neither the order of its values nor a tuple in place of a list makes another one."""
    _stop(tmp_path, at=9, recipe={"sizes": (1, 2), **RECIPE})
    steps: list[int] = []
    toy(tmp_path, steps.append, recipe={**RECIPE, "sizes": [1, 2]})
    assert steps[0] == 9


def test_a_recipe_that_is_not_json_fails_before_training(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="JSON"):
        toy(tmp_path, recipe={"noise": torch.tensor(0.1)})
    assert not _files(tmp_path)


@pytest.mark.parametrize(
    ("change", "different"),
    [
        ({"width": 6}, "model.0.weight [8, 4] float32, not [6, 4] float32; "
                       "model.0.bias [8] float32, not [6] float32; "
                       "model.2.weight [1, 8] float32, not [1, 6] float32"),
        ({"freeze": True}, "model.0.bias [8] float32, not [8] float32 frozen"),
    ],
)  # fmt: skip
def test_other_weights_are_refused(tmp_path: Path, change: dict[str, Any], different: str) -> None:
    _stop(tmp_path, at=9)
    message = f"{tmp_path}/checkpoint.pt was made with {different}: give the same recipe, {ADVICE}"
    _assert_refused(tmp_path, message, **change)


def test_of_many_other_weights_the_first_are_named(tmp_path: Path) -> None:
    schedule = Schedule(steps=1, lr=1e-2, warmup=1)

    def run(*widths: int) -> nn.Sequential:
        model = nn.Sequential(*(nn.Linear(width, 1) for width in widths))
        before = {name: tensor.clone() for name, tensor in model.state_dict().items()}

        def loss(step: int, part: int) -> Loss:
            return Loss(model[0](torch.ones(widths[0])).sum(), 1)

        try:
            fit({"m": model}, loss, schedule, tmp_path)
        except UsageError:
            assert all(torch.equal(model.state_dict()[name], old) for name, old in before.items())
            raise
        return model

    run(2, 2)
    with pytest.raises(UsageError) as refused:
        run(3, 3, 3)
    assert str(refused.value).endswith(
        "made with m.0.weight [1, 2] float32, not [1, 3] float32; "
        "m.1.weight [1, 2] float32, not [1, 3] float32; "
        f"no m.2.weight, now [1, 3] float32; and 1 more: give the same recipe, {ADVICE}"
    )


def test_the_order_of_the_modules_does_not_matter(tmp_path: Path) -> None:
    """The optimizer's state must come back to the parameter it is of."""

    def run(folder: str, stop: int, names: str) -> list[Tensor]:
        torch.manual_seed(3)
        models = {name: nn.Linear(3, 1) for name in "ab"}

        def loss(step: int, part: int) -> Loss:
            if step == stop:
                raise KeyboardInterrupt
            x = torch.randn(4, 3)
            error = (models["a"](x) - 5 * x[:, :1]).square().mean() + models["b"](x).square().mean()
            return Loss(error, 1)

        schedule = Schedule(steps=12, lr=1e-2, warmup=2)
        chosen = {name: models[name] for name in names}
        try:
            fit(chosen, loss, schedule, tmp_path / folder, shown=QUIET)
        except KeyboardInterrupt:
            assert stop == 6
        return [p for name in "ab" for p in models[name].parameters()]

    whole = run("whole", 99, "ab")
    run("stopped", 6, "ab")
    resumed = run("stopped", 99, "ba")
    assert all(torch.equal(one, other) for one, other in zip(whole, resumed, strict=True))


def test_a_checkpoint_without_a_record_is_refused(tmp_path: Path) -> None:
    toy(tmp_path)
    state = torch.load(tmp_path / "checkpoint.pt")
    del state["made_with"]
    torch.save(state, tmp_path / "checkpoint.pt")
    message = f"nothing tells what {tmp_path}/checkpoint.pt was made with: give {ADVICE}"
    _assert_refused(tmp_path, message)


@pytest.mark.parametrize("content", [b"", b"no checkpoint", b"PK\x03\x04 cut off", None])
def test_a_broken_checkpoint_is_one_line(tmp_path: Path, content: bytes | None) -> None:
    if content is None:
        torch.save([1, 2], tmp_path / "checkpoint.pt")
    else:
        (tmp_path / "checkpoint.pt").write_bytes(content)
    with pytest.raises(CheckpointError) as refused:
        toy(tmp_path)
    path = tmp_path / "checkpoint.pt"
    assert str(refused.value) == f"{path} is truncated or not a checkpoint: give {ADVICE}"
    toy(tmp_path, resume=False)


def test_a_log_that_cannot_be_cut_stays_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _stop(tmp_path, at=9)
    before = (tmp_path / "log.jsonl").read_bytes()

    def full_disk(self: Path, text: str, encoding: str) -> None:
        self.write_bytes(b"half")
        raise OSError("no space left")

    monkeypatch.setattr(Path, "write_text", full_disk)
    with pytest.raises(OSError, match="no space"):
        toy(tmp_path)
    assert (tmp_path / "log.jsonl").read_bytes() == before
    monkeypatch.undo()
    toy(tmp_path)
    assert not list(tmp_path.glob("*.partial"))


def test_a_digest_is_the_same_in_every_process() -> None:
    script = """
import numpy as np
from sonar_cli.training.processes import Processes
from sonar_cli.training.record import digest
from sonar_cli.training.schedule import Schedule, step_seed
from sonar_cli.training.state import Means
print(digest(["One day", "ö", np.arange(6, dtype=np.int32).reshape(2, 3)]))
"""
    found = {
        subprocess.run(
            [sys.executable, "-c", script],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert found == {digest(["One day", "ö", np.arange(6, dtype=np.int32).reshape(2, 3)]) + "\n"}


def test_a_digest_tells_parts_orders_types_and_shapes_apart() -> None:
    numbers = np.arange(6, dtype=np.int32)
    data: list[list[Any]] = [
        [], [""], ["atext b"], ["a", "b"], ["ab", "c"], ["a", "bc"], ["c", "ab"],
        [numbers], [numbers, numbers], [numbers[::-1]],
        [numbers.astype(np.int64)], [numbers.astype(np.float16)], [numbers.reshape(2, 3)],
        [numbers.reshape(2, 3).T], [numbers[:3], numbers[3:]],
    ]  # fmt: skip
    assert len({digest(parts) for parts in data}) == len(data)
    assert digest([numbers[::2]]) == digest([numbers[::2].copy()])


def test_without_resume_another_recipe_starts_anew(tmp_path: Path) -> None:
    toy(tmp_path / "used", schedule=replace(SCHEDULE, seed=5), recipe=RECIPE)
    model = toy(tmp_path / "used", recipe={"noise": 1}, resume=False)
    _assert_same(toy(tmp_path / "fresh"), model)
    assert _log(tmp_path / "used") == _log(tmp_path / "fresh")


def test_without_resume_the_checkpoint_is_gone_at_once(tmp_path: Path) -> None:
    """A kill before the new run's first save must not bring the old one back."""
    toy(tmp_path)
    found: list[bool] = []
    seldom = replace(SCHEDULE, save_seconds=1e9)
    toy(
        tmp_path,
        lambda step: found.append((tmp_path / "checkpoint.pt").exists()),
        seldom,
        resume=False,
    )
    assert not any(found)


def test_an_evaluation_moves_no_random_numbers(tmp_path: Path) -> None:
    whole = toy(tmp_path / "plain")
    after = torch.rand(3)
    model = toy(tmp_path / "evaluated", evaluate=lambda step: {"draw": torch.rand(()).item()})
    assert torch.equal(torch.rand(3), after)
    _assert_same(whole, model)


def test_without_resume_it_starts_anew(tmp_path: Path) -> None:
    whole = toy(tmp_path)
    steps: list[int] = []
    model = toy(tmp_path, steps.append, resume=False)
    assert steps == list(range(30))
    _assert_same(whole, model)


def test_log_holds_losses_rates_and_evaluations(tmp_path: Path) -> None:
    toy(tmp_path, evaluate=lambda step: {"exact": 0.5})
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [4, 8, 10, 12, 16, 20, 24, 28, 30]
    assert [line["step"] for line in lines if "exact" in line] == [10, 20, 30]
    assert all({"loss", "lr", "seconds"} <= set(line) for line in lines if line["step"] % 4 == 0)
    assert lines[-1]["loss"] < lines[0]["loss"]


def test_evaluation_is_in_eval_mode_and_frozen_stays_frozen(tmp_path: Path) -> None:
    model = nn.Linear(2, 1)
    model.bias.requires_grad_(False)
    before, modes = model.bias.clone(), []

    def evaluate(step: int) -> dict[str, float]:
        modes.append(model.training)
        return {}

    schedule = Schedule(steps=4, lr=0.1, warmup=1, evaluate_every=2)
    data = torch.ones(3, 2)
    fit(
        {"model": model},
        lambda step, part: Loss(model(data).square().mean(), 1),
        schedule,
        tmp_path,
        evaluate=evaluate,
        shown=QUIET,
    )
    assert modes == [False, False] and model.training
    assert torch.equal(model.bias, before)


def test_a_codec_and_a_predictor_learn(
    encoder: TextEncoder, decoder: TextDecoder, predictor: Predictor, tmp_path: Path
) -> None:
    torch.set_num_threads(1)
    source, target = (
        Rows.of(rows).padded(range(3)) for rows in ([r[1:] for r in TARGETS], TARGETS)
    )
    for module in (encoder, decoder, predictor):
        module.requires_grad_(True)
    schedule = Schedule(steps=60, lr=3e-3, warmup=5, log_every=10)
    fit(
        {"encoder": encoder, "decoder": decoder},
        lambda step, part: reconstruction_loss(encoder, decoder, source, target, noise=0.1),
        schedule,
        tmp_path / "codec",
        shown=QUIET,
    )
    losses = [line["loss"] for line in _log(tmp_path / "codec")]
    assert losses[-1] < 0.2 * losses[0]
    decoder.requires_grad_(False)
    with torch.no_grad():
        vectors = encoder(source, source != PAD)[None, :2]
    fit(
        {"predictor": predictor},
        lambda step, part: next_sentence_loss(
            predictor, decoder, vectors, torch.ones(1, 2, dtype=torch.bool), target[1:]
        ),
        schedule,
        tmp_path / "predictor",
        shown=QUIET,
    )
    losses = [line["loss"] for line in _log(tmp_path / "predictor")]
    assert losses[-1] < 0.2 * losses[0]


# parts, averages, checkpoints


def _learned(folder: Path, parts: int, **changes: Any) -> nn.Module:
    """Train on fixed data whose batches are computed in parts; return the model."""
    torch.manual_seed(3)
    model = nn.Linear(4, 2)
    x = torch.randn(12, 4)

    def loss(step: int, part: int) -> Loss:
        mine = x[part::parts]
        return Loss((model(mine) - mine[:, :2]).square().sum(), len(mine), tokens=3 * len(mine))

    schedule = Schedule(steps=8, lr=1e-2, warmup=2, log_every=2, **changes)
    fit({"model": model}, loss, schedule, folder, shown=QUIET, means=Means(Processes(), parts))
    return model


def test_parts_of_a_batch_are_the_batch(tmp_path: Path) -> None:
    """Five parts are of unequal sizes; each row counts the same all the same."""
    whole, parts = _learned(tmp_path / "one", 1), _learned(tmp_path / "five", 5)
    for name, each in whole.state_dict().items():
        torch.testing.assert_close(parts.state_dict()[name], each, atol=1e-6, rtol=1e-5)
    one, five = _log(tmp_path / "one"), _log(tmp_path / "five")
    assert [line["tokens"] for line in five] == [72, 144, 216, 288]
    assert [line["loss"] for line in one] == pytest.approx([line["loss"] for line in five])


def test_numbers_of_parts() -> None:
    assert [parts_of(24, micro, 1) for micro in (0, 24, 5, 1)] == [1, 1, 5, 24]
    assert parts_of(5, 1, 2) == 4 and parts_of(8, 0, 4) == 4
    with pytest.raises(UsageError, match="at least the number of processes, 4"):
        parts_of(3, 0, 4)


def test_an_average_of_the_weights_is_kept(tmp_path: Path) -> None:
    decay, seen = 0.9, []
    model = nn.Linear(1, 1, bias=False)
    average = model.weight.detach().clone()

    def loss(step: int, part: int) -> Loss:
        if step:
            rate = min(decay, step / (9 + step))
            average.lerp_(model.weight.detach(), 1 - rate)
        return Loss((model(torch.ones(1, 1)) - 5).square().sum(), 1)

    def evaluate(step: int) -> dict[str, float]:
        seen.append(model.weight.item())
        return {}

    schedule = Schedule(steps=6, lr=0.5, warmup=1, ema=decay, evaluate_every=5)
    fit({"m": model}, loss, schedule, tmp_path, shown=QUIET, evaluate=evaluate)
    assert seen == [pytest.approx(average.item())], "as it was after five steps"
    state = torch.load(tmp_path / "checkpoint.pt")
    assert torch.equal(state["average"]["m.weight"], model.weight)
    assert not torch.equal(state["modules"]["m.weight"], model.weight)


def test_an_average_resumes(tmp_path: Path) -> None:
    schedule = Schedule(steps=30, lr=1e-2, warmup=5, log_every=4, save_seconds=0.0, ema=0.9)
    whole = toy(tmp_path / "whole", schedule=schedule)
    with pytest.raises(KeyboardInterrupt):
        toy(tmp_path / "cut", lambda step: step == 11 and _press(), schedule)
    _assert_same(whole, toy(tmp_path / "cut", schedule=schedule))


def _press() -> None:
    raise KeyboardInterrupt


def test_the_last_checkpoints_are_kept(tmp_path: Path) -> None:
    three = Schedule(steps=30, lr=1e-2, warmup=5, save_seconds=0.0, keep=3)
    toy(tmp_path, schedule=three)
    names = sorted(file.name for file in tmp_path.glob("*.pt"))
    assert names == [*(f"checkpoint-{step:08}.pt" for step in (28, 29, 30)), "checkpoint.pt"]
    assert torch.load(tmp_path / names[1])["step"] == 29
    # A broken newest one can be replaced, and what came after it goes.
    whole = torch.load(tmp_path / "checkpoint.pt")["modules"]
    (tmp_path / "checkpoint.pt").unlink()
    (tmp_path / "checkpoint.pt").write_bytes(b"broken")
    with pytest.raises(
        CheckpointError, match=r"rename checkpoint-00000030.pt to checkpoint.pt, or"
    ):
        toy(tmp_path, schedule=three)
    os.replace(tmp_path / names[0], tmp_path / "checkpoint.pt")
    model = toy(tmp_path, schedule=three)
    assert all(torch.equal(whole[f"model.{k}"], v) for k, v in model.state_dict().items())


def test_killed_within_a_save(tmp_path: Path) -> None:
    whole = toy(tmp_path / "whole")
    script = f"""{TOY}
import os, sys, signal
from pathlib import Path
save, saves = torch.save, iter(range(99))
def dying(state, file):
    save(state, file)
    if next(saves) == 9:
        with open(file, "r+b") as half: half.truncate(500)
        os.kill(os.getpid(), signal.SIGKILL)
torch.save = dying
toy(Path(sys.argv[1]))
"""
    done = subprocess.run([sys.executable, "-c", script, str(tmp_path / "cut")], timeout=120)
    assert done.returncode == -signal.SIGKILL and (tmp_path / "cut/checkpoint.partial").exists()
    _assert_same(whole, toy(tmp_path / "cut"))


def test_a_disk_too_small_is_said_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=100))
    steps: list[int] = []
    with pytest.raises(TrainingError, match=r"the disk has 0\.00 GB free: make room"):
        toy(tmp_path, steps.append)
    assert steps == [] and not (tmp_path / "checkpoint.pt").exists()


def test_a_gradient_that_is_no_number_changes_nothing(tmp_path: Path) -> None:
    model = nn.Linear(1, 1)
    before = model.weight.clone()

    def loss(step: int, part: int) -> Loss:
        return Loss((model(torch.zeros(1, 1)) - model.bias).sum().sqrt(), 1)  # 0, gradient infinite

    with pytest.raises(TrainingError, match="gradient's norm of step 1 is nan"):
        fit({"m": model}, loss, Schedule(steps=3, lr=1, warmup=1), tmp_path, shown=QUIET)
    assert torch.equal(model.weight, before)


def test_figures_for_tensorboard(tmp_path: Path) -> None:
    accumulate = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    toy(tmp_path, shown=Shown(progress=False, log_to="tensorboard"))
    events = accumulate.EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    found = [(each.step, each.value) for each in events.Scalars("loss")]
    assert found == [(line["step"], pytest.approx(line["loss"])) for line in _log(tmp_path)]
