"""Both LCMs: what they see, what they learn, and that the cache changes nothing."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from sonar_cli.model.shapes import LCMConfig, TwoTowerConfig
from sonar_cli.model.systems import lcm_diffusion
from sonar_cli.model.systems.denoiser import DenoiserLayer, TimeEmbedding
from sonar_cli.model.systems.diffusion import add_noise
from sonar_cli.model.systems.lcm_diffusion import LCMDiffusionSystem, TwoTowerLCM
from sonar_cli.model.systems.lcm_mse import BaseLCM, LCMMSESystem
from sonar_cli.model.systems.state import lcm_stop
from sonar_cli.options import GenerationOptions
from sonar_cli.pipeline import generate, generate_many, in_order
from tests.model.systems.test_base import BOOK, BookCodec

D = len(BOOK)
SHAPE = {"hidden": 32, "ffn": 48, "layers": 2, "heads": 4, "kv_heads": 4, "head_dim": 8}


def _mse() -> BaseLCM:
    model = BaseLCM(LCMConfig(embed_dim=D, **SHAPE)).eval().requires_grad_(False)
    model.scaler.fit(torch.randn(50, D))
    return model


def _two_towers() -> TwoTowerLCM:
    model = TwoTowerLCM(TwoTowerConfig(embed_dim=D, denoiser_layers=2, **SHAPE)).eval()
    model.scaler.fit(torch.randn(50, D))
    for layer in model.denoiser.layers:  # as after training: zeros would hide what is inside
        torch.nn.init.normal_(layer.modulation.weight, std=0.3)
    return model.requires_grad_(False)


# Base-LCM


def test_a_cache_changes_no_prediction() -> None:
    model, vectors = _mse(), torch.randn(2, 7, D)
    cache = model.new_cache()
    parts = [model(vectors[:, :3], cache)]
    parts += [model(vectors[:, i : i + 1], cache) for i in range(3, 7)]
    torch.testing.assert_close(torch.cat(parts, 1), model(vectors), atol=1e-5, rtol=1e-5)


def test_regression_loss_by_hand() -> None:
    """Of texts of three and two sentences two and one are targets; padding counts nothing."""
    model, vectors = _mse(), torch.randn(2, 3, D)
    mask = torch.tensor([[True, True, True], [True, True, False]])
    scaled = model.scaler.normalize(vectors)
    errors = 0.0
    for text, length in ((0, 3), (1, 2)):
        predicted = model.scaler.normalize(model(vectors[text : text + 1, : length - 1]))[0]
        errors += float((predicted - scaled[text, 1:length]).square().sum())
    assert float(model.errors(vectors, mask).mean()) == pytest.approx(errors / 3, rel=1e-4)
    vectors[1, 2] = 1e4
    assert float(model.errors(vectors, mask).mean()) == pytest.approx(errors / 3, rel=1e-4)


def test_other_targets_by_hand() -> None:
    """What is read stays what it is; only what is wanted at a place changes."""
    model, vectors, targets = _mse(), torch.randn(2, 4, D), torch.randn(2, 4, D)
    mask = torch.tensor([[True] * 4, [True] * 3 + [False]])
    expected = []
    for text, place in ((0, 1), (0, 2), (0, 3), (1, 1), (1, 2)):
        new = model.scaler.normalize(model(vectors[text : text + 1, :place])[0, -1])
        wanted = model.scaler.normalize(targets[text, place])
        expected.append((new - wanted).square().sum())
    found = model.errors(vectors, mask, targets)
    torch.testing.assert_close(found, torch.stack(expected), atol=1e-4, rtol=1e-4)
    assert torch.equal(model.errors(vectors, mask, vectors), model.errors(vectors, mask))


# two towers


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_denoising_by_hand(monkeypatch: pytest.MonkeyPatch, share: float) -> None:
    """Each target by itself, with the contexts of what was read before it, or with none."""
    monkeypatch.setattr(lcm_diffusion, "NO_CONTEXT", share)
    model, vectors, targets = _two_towers(), torch.randn(2, 4, D), torch.randn(2, 4, D)
    mask = torch.tensor([[True] * 4, [True] * 3 + [False]])
    torch.manual_seed(2)
    found = model.errors(vectors, mask, targets)
    torch.manual_seed(2)
    assert torch.equal(model.errors(vectors, mask, targets), found)
    torch.manual_seed(2)
    times, noise = torch.randint(100, mask.shape), torch.randn(2, 4, D)
    expected = []
    for text, place in mask.nonzero().tolist():
        one, time = slice(text, text + 1), times[text, place].view(1, 1)
        clean = model.scaler.normalize(targets[text, place])
        noisy = add_noise(clean, noise[text, place], model.signal[time[0, 0]])
        before = vectors[one, : 0 if share else place]
        contexts = model.hidden(before) if before.shape[1] else torch.zeros(1, 0, 32)
        seen = torch.ones(1, 1, 1 + contexts.shape[1], dtype=torch.bool)
        new = model.denoiser(noisy.view(1, 1, D), time, contexts, seen)[0, 0]
        expected.append((new - clean).square().sum())
    torch.testing.assert_close(found, torch.stack(expected), atol=1e-4, rtol=1e-4)
    torch.manual_seed(2)
    same = model.errors(vectors, mask, vectors)
    torch.manual_seed(2)
    assert torch.equal(model.errors(vectors, mask), same)


def test_a_target_sees_only_what_is_before_it() -> None:
    model, vectors = _two_towers(), torch.randn(1, 5, D)

    def denoised(vectors: Tensor) -> Tensor:
        torch.manual_seed(1)
        contexts = model.hidden(vectors)[:, :-1]
        mask = torch.ones(5, 5, dtype=torch.bool).tril()[None]
        return model.denoiser(torch.randn(1, 5, D), torch.full((1, 5), 50), contexts, mask)

    before = denoised(vectors)
    for changed in range(5):
        other = vectors.clone()
        other[0, changed] += 1.0
        same = (denoised(other) - before).abs().amax(-1)[0] < 1e-6
        assert same.tolist() == [place <= changed for place in range(5)]


def test_a_noisy_vector_sees_no_other_noisy_vector() -> None:
    model, noisy = _two_towers(), torch.randn(1, 4, D)
    contexts, mask = torch.randn(1, 3, 32), torch.ones(1, 4, 4, dtype=torch.bool)
    times = torch.tensor([[10, 90, 50, 0]])
    together = model.denoiser(noisy, times, contexts, mask)
    for place in range(4):
        one = slice(place, place + 1)
        alone = model.denoiser(noisy[:, one], times[:, one], contexts, mask[:, one])
        torch.testing.assert_close(alone, together[:, one], atol=1e-5, rtol=1e-5)


def test_an_untrained_layer_passes_its_input_on() -> None:
    layer = DenoiserLayer(TwoTowerConfig(embed_dim=D, denoiser_layers=1, **SHAPE))
    x = torch.randn(2, 3, 32)
    time, contexts = torch.randn(2, 3, 32), torch.randn(2, 4, 32)
    assert torch.equal(layer(x, time, contexts, torch.ones(1, 3, 4, dtype=torch.bool)), x)


def test_times_are_cosines_and_sines() -> None:
    embedding = TimeEmbedding(256)
    torch.nn.init.eye_(embedding.up.weight)
    torch.nn.init.zeros_(embedding.up.bias)
    torch.nn.init.eye_(embedding.down.weight)
    torch.nn.init.zeros_(embedding.down.bias)
    rates = 10_000.0 ** (-torch.arange(128) / 128)
    waves = torch.cat([(7 * rates).cos(), (7 * rates).sin()])
    torch.testing.assert_close(embedding(torch.tensor(7)), F.silu(waves))


def test_guidance_leaves_the_context_out_or_in() -> None:
    """At scale 0 no context matters, at 1 the network alone decides."""
    model, noise = _two_towers(), torch.randn(2, D)
    contexts, lengths = torch.randn(2, 3, 32), torch.tensor([3, 2])

    def found(contexts: Tensor, guidance: float) -> Tensor:
        return model.sample(model.keys(contexts), lengths, noise, 10, guidance)

    moved = contexts + torch.randn(2, 3, 32)
    assert not torch.allclose(found(contexts, 1.0), found(moved, 1.0), atol=1e-3)
    # What is behind a text's length is padding.
    padded = contexts.clone()
    padded[1, 2] = 99.0
    torch.testing.assert_close(found(padded, 1.0), found(contexts, 1.0))
    lengths = torch.zeros_like(lengths)
    torch.testing.assert_close(found(moved, 1.0), found(contexts, 1.0))
    torch.testing.assert_close(found(moved, 1.0), found(contexts, 0.0), atol=1e-3, rtol=1e-3)


def test_contexts_that_were_read_before_change_nothing() -> None:
    model, noisy = _two_towers(), torch.randn(2, 4, D)
    contexts, mask = torch.randn(2, 3, 32), torch.rand(2, 4, 4) < 0.5
    mask[..., 0] = True
    times = torch.randint(100, (2, 4))
    keys = F.pad(model.keys(contexts), (0, 0, 1, 0))
    found = model.denoiser(noisy, times, [(k, v) for k, v in keys], mask)
    torch.testing.assert_close(found, model.denoiser(noisy, times, contexts, mask))


@pytest.mark.parametrize("kind", ["mse", "diffusion"])
def test_it_learns_what_follows_what(kind: str) -> None:
    """Which of six vectors follows which, from 64 random walks of five."""
    torch.manual_seed(3)
    model = _mse() if kind == "mse" else _two_towers()
    model.requires_grad_(True).train()
    vectors = torch.eye(D) + 0.01 * torch.randn(64, D, D).mean(0)
    starts = torch.randint(D, (64,))
    walks = vectors[(starts[:, None] + torch.arange(5)) % D]
    model.scaler.fit(walks.flatten(0, 1) + 0.3 * torch.randn(320, D))
    mask = torch.ones(64, 5, dtype=torch.bool)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    losses = []
    for _ in range(120):
        optimizer.zero_grad()
        loss = model.errors(walks, mask).mean()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert sum(losses[-10:]) < 0.7 * sum(losses[:10])
    assert all(each.grad is not None for each in model.parameters())


# in the loop


def test_a_text_ends_as_metas_do() -> None:
    a, b = torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 1.0]])
    options = GenerationOptions()
    assert lcm_stop(a, 0.95, [], options) is None, "not at the first sentence"
    assert lcm_stop(a, 0.95, [b], options) == "end"
    assert lcm_stop(a, 0.89, [b], options) is None
    assert lcm_stop(a, 0.0, [b, a], options) == "repetition"
    assert lcm_stop(a, 0.0, [a, b], options) is None, "only the vector before counts"
    assert lcm_stop(a, 0.95, [b], GenerationOptions(stop_threshold=0.97)) is None
    assert lcm_stop(a, 0.0, [a], GenerationOptions(repeat_threshold=1.0)) == "repetition"


class _Codec(BookCodec):
    def encode(self, sentences, lang="eng_Latn", batch_size=32, on_truncated=None) -> Tensor:
        known = ["The end." if each == "End of text." else each for each in sentences]
        return super().encode(known, lang, batch_size, on_truncated)


OPTIONS = GenerationOptions(
    sentences=4, stop_threshold=2.0, repeat_threshold=2.0, seed=5, diffusion_steps=10
)


def test_the_predicted_vector_goes_on() -> None:
    model, codec = _mse(), _Codec()
    vectors = codec.encode(["Once.", "One."])
    expected = []
    for _ in range(4):
        new = model(vectors.unsqueeze(0))[0, -1:]
        expected.append(codec.decode(new)[0].text)
        vectors = torch.cat([vectors, new])
    steps = list(generate(LCMMSESystem(codec, model), ["Once.", "One."], OPTIONS))
    assert [step.text for step in steps] == [*expected, None]
    assert all(step.fidelity is None for step in steps)


@pytest.mark.parametrize("kind", ["mse", "diffusion"])
def test_side_by_side_as_alone(kind: str) -> None:
    codec = _Codec()
    system = (
        LCMMSESystem(codec, _mse()) if kind == "mse" else LCMDiffusionSystem(codec, _two_towers())
    )
    texts = [["Once."], ["One.", "Two.", "Three."], ["Two."], ["Four.", "One."]]
    alone = [[step.text for step in generate(system, text, OPTIONS)] for text in texts]
    together: dict[int, list[str | None]] = {}
    for number, step in in_order(generate_many(system, texts, OPTIONS, 3)):
        together.setdefault(number, []).append(step.text)
    assert list(together.values()) == alone


def test_a_seed_decides_the_noise() -> None:
    system = LCMDiffusionSystem(_Codec(), _two_towers())

    def vectors(seed: int) -> Tensor:
        state = system.start(OPTIONS)
        state.open([["Once."]])
        return state.propose([torch.Generator().manual_seed(seed)])

    assert torch.equal(vectors(1), vectors(1))
    assert not torch.allclose(vectors(1), vectors(2))


def test_sampling_follows_the_whole_text() -> None:
    """What was read step by step gives the contexts of the whole text read at once."""
    model = _two_towers()
    vectors = torch.randn(4, D)
    state = LCMDiffusionSystem(_Codec(), model).start(OPTIONS)
    state.open([vectors[:2]])
    for new in vectors[2:]:
        state.read(new[None])
    whole = model.keys(model.hidden(vectors[None])).squeeze(2)
    torch.testing.assert_close(state.keys[0], whole, atol=1e-5, rtol=1e-5)
