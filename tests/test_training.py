"""Training: batches, objectives, resuming; nothing here trains longer than seconds."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sonar_cli.model.tokenizer import EOS, PAD
from sonar_cli.training.data import Batches, Rows
from sonar_cli.training.loop import Schedule, fit
from sonar_cli.training.objectives import decoding_loss, next_sentence_loss, reconstruction_loss

TARGET = torch.tensor([[EOS, 9, 12, 13, EOS], [EOS, 9, 14, EOS, PAD]])


def test_rows_are_padded() -> None:
    rows = Rows.of([[5, 6, 7], [8], [9, 10]])
    assert len(rows) == 3
    assert rows.padded([2, 0]).tolist() == [[9, 10, PAD], [5, 6, 7]]


def test_batches_cover_an_epoch_once_and_repeat() -> None:
    lengths = np.random.default_rng(0).integers(1, 30, 1_000)
    batches = Batches(lengths, 8, seed=3)
    epoch = np.concatenate([batches.at(step) for step in range(batches.per_epoch)])
    assert sorted(epoch.tolist()) == list(range(1_000))
    again = Batches(lengths, 8, seed=3)
    assert again.at(200).tolist() == batches.at(200).tolist()
    assert batches.at(0).tolist() == again.at(0).tolist()
    other = Batches(lengths, 8, seed=4)
    assert other.at(0).tolist() != batches.at(0).tolist()
    assert batches.at(batches.per_epoch).tolist() != batches.at(0).tolist()


def test_batches_waste_little() -> None:
    lengths = np.random.default_rng(0).integers(1, 30, 4_000)
    batches = Batches(lengths, 16, seed=0)
    spread = [np.ptp(lengths[batches.at(step)]) for step in range(batches.per_epoch)]
    assert np.mean(spread) < 4


def test_decoding_loss_by_hand(decoder) -> None:
    vectors = torch.randn(2, 64)
    logits = decoder(vectors, TARGET[:, :-1])
    terms = [
        -F.log_softmax(logits[row, place], 0)[TARGET[row, place + 1]]
        for row, place in [(0, 0), (0, 1), (0, 2), (0, 3), (1, 0), (1, 1), (1, 2)]
    ]
    torch.testing.assert_close(decoding_loss(decoder, vectors, TARGET), torch.stack(terms).mean())


def test_double_eos_counts_the_end_twice(decoder) -> None:
    vectors = torch.randn(2, 64)
    logits = decoder(vectors, TARGET)
    labels = [[9, 12, 13, EOS, EOS], [9, 14, EOS, EOS]]
    terms = [
        -F.log_softmax(logits[row, place], 0)[label]
        for row, line in enumerate(labels)
        for place, label in enumerate(line)
    ]
    loss = decoding_loss(decoder, vectors, TARGET, double_eos=True)
    torch.testing.assert_close(loss, torch.stack(terms).mean())


def test_next_sentence_goes_through_the_frozen_decoder(decoder, predictor) -> None:
    predictor.requires_grad_(True)
    vectors = torch.randn(1, 3, 64)
    mask = torch.tensor([[True, True, False]])
    loss = next_sentence_loss(predictor, decoder, vectors, mask, TARGET)
    torch.testing.assert_close(loss, decoding_loss(decoder, predictor(vectors)[0, :2], TARGET))
    loss.backward()
    assert all(parameter.grad is None for parameter in decoder.parameters())
    assert predictor.reverse_proj.weight.grad.abs().sum() > 0


def test_noise_only_with_noise(encoder, decoder) -> None:
    plain = [reconstruction_loss(encoder, decoder, TARGET, TARGET).item() for _ in range(2)]
    noisy = [reconstruction_loss(encoder, decoder, TARGET, TARGET, 0.5).item() for _ in range(2)]
    assert plain[0] == plain[1]
    assert noisy[0] != noisy[1]


def _task(model: nn.Module) -> object:
    def loss(step: int) -> Tensor:
        # Data and noise from the step's own random numbers, as in a real recipe.
        x = torch.randn(8, 4)
        return (model(x) - x.sum(1, keepdim=True)).square().mean()

    return loss


def _weights(model: nn.Module) -> Tensor:
    return torch.cat([parameter.detach().flatten() for parameter in model.parameters()])


def _model() -> nn.Module:
    torch.manual_seed(5)
    return nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 1))


def test_the_loss_goes_down_and_is_logged(tmp_path: Path) -> None:
    model = _model()
    schedule = Schedule(steps=300, lr=1e-2, warmup=10, log_every=50, evaluate_every=100)
    figures = iter([0.1, 0.2, 0.3])
    fit({"m": model}, _task(model), schedule, tmp_path, evaluate=lambda: {"exact": next(figures)})
    log = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [line["step"] for line in log] == [50, 100, 150, 200, 250, 300]
    assert [line["exact"] for line in log if "exact" in line] == [0.1, 0.2, 0.3]
    assert log[-1]["loss"] < log[0]["loss"] / 3
    assert log[-1]["lr"] < log[1]["lr"]


@pytest.mark.parametrize("stop", ["interrupt", "kill"])
def test_resuming_ends_with_the_same_weights(tmp_path: Path, stop: str) -> None:
    schedule = Schedule(steps=40, lr=1e-2, warmup=5, log_every=10, save_seconds=0.0)
    whole = _model()
    fit({"m": whole}, _task(whole), schedule, tmp_path / "whole")

    model = _model()
    task = _task(model)

    def interrupted(step: int) -> Tensor:
        if step == 23:
            if stop == "kill":  # what a kill leaves: an older checkpoint, a cut log
                (tmp_path / "saved").write_bytes((tmp_path / "part/checkpoint.pt").read_bytes())
            raise KeyboardInterrupt
        return task(step)

    with pytest.raises(KeyboardInterrupt):
        fit({"m": model}, interrupted, schedule, tmp_path / "part")
    if stop == "kill":
        (tmp_path / "saved").replace(tmp_path / "part/checkpoint.pt")
        with (tmp_path / "part/log.jsonl").open("a") as log:
            log.write('{"step": 30, "lo')
    resumed = _model()
    fit({"m": resumed}, _task(resumed), schedule, tmp_path / "part")
    assert torch.equal(_weights(resumed), _weights(whole))
    steps = [json.loads(line) for line in (tmp_path / "part/log.jsonl").read_text().splitlines()]
    assert [line["step"] for line in steps] == [10, 20, 30, 40]
    again = _model()
    fit({"m": again}, interrupted, schedule, tmp_path / "part")  # done: no step is taken
    assert torch.equal(_weights(again), _weights(whole))


def test_frozen_parameters_stay(tmp_path: Path) -> None:
    model = _model()
    model[0].requires_grad_(False)
    before = model[0].weight.clone()
    fit({"m": model}, _task(model), Schedule(20, 1e-2, 2), tmp_path)
    assert torch.equal(model[0].weight, before)
