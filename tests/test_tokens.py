"""The token-level story, with a small Llama that knows a few stories by heart."""

from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional as F

from sonar_cli.errors import UsageError
from sonar_cli.hub.resolve import resolve
from sonar_cli.model.codec.tokenizer import BOS, EOS, PAD, Tokenizer
from sonar_cli.model.shapes import TokenLLMConfig
from sonar_cli.model.systems.token_llm import TokenLLM, TokenLLMSystem
from sonar_cli.options import GenerationOptions
from sonar_cli.pipeline import in_order
from sonar_cli.tokens import generate_many
from sonar_cli.training.objectives import next_token_loss
from sonar_cli.world import stories as world

STORIES = [story.sentences[:5] for story in world.stories(4, 3)]
GREEDY = GenerationOptions()


@pytest.fixture(scope="module")
def system() -> TokenLLMSystem:
    torch.manual_seed(0)
    tokenizer = Tokenizer.load(resolve().tokenizer)
    config = TokenLLMConfig(
        vocab_size=tokenizer.vocab_size, hidden=64, ffn=128, layers=2, heads=4, kv_heads=2,
        head_dim=16, rope_scaling=None,
    )  # fmt: skip
    made = TokenLLMSystem(tokenizer, TokenLLM(config))
    rows = [torch.tensor(made.document(story)) for story in STORIES]
    ids = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=PAD)
    optimizer = torch.optim.AdamW(made.model.parameters(), lr=5e-3)
    for _ in range(120):
        optimizer.zero_grad()
        loss = next_token_loss(made.model, ids)
        (loss.total / loss.weight).backward()
        optimizer.step()
    assert loss.mean < 0.1
    made.model.eval().requires_grad_(False)
    return made


def _written(system: TokenLLMSystem, texts, options=GREEDY, batch_size=1) -> list[list[str | None]]:
    found: list[list[str | None]] = [[] for _ in texts]
    for number, step in in_order(generate_many(system, texts, options, batch_size)):
        found[number].append(step.text)
    return found


def test_stories_known_by_heart_are_told_sentence_by_sentence(system: TokenLLMSystem) -> None:
    for story in STORIES:
        *steps, ended = (step for _, step in generate_many(system, [story[:1]]))
        assert [step.text for step in steps] == list(story[1:])
        assert [step.index for step in steps] == [0, 1, 2, 3]
        assert all(step.fidelity is None and step.similarity_to_end is None for step in steps)
        assert (ended.text, ended.stop_reason) == (None, "end")


def test_a_sentence_is_yielded_when_the_next_begins(system: TokenLLMSystem) -> None:
    steps = generate_many(system, [STORIES[0][:1]], GenerationOptions(sentences=2))
    assert [step.text for _, step in steps] == [*STORIES[0][1:3], None]
    *_, (_, ended) = generate_many(system, [STORIES[0][:1]], GenerationOptions(sentences=2))
    assert ended.stop_reason == "length"


def test_texts_side_by_side_are_as_alone(system: TokenLLMSystem) -> None:
    texts = [story[: 1 + number % 3] for number, story in enumerate(STORIES)] + [STORIES[1][:4]]
    alone = [_written(system, [text])[0] for text in texts]
    for size in (2, 3, 5):
        assert _written(system, texts, batch_size=size) == alone


def test_the_cache_changes_no_token(system: TokenLLMSystem) -> None:
    """Greedy writing equals reading everything anew for every token."""
    ids = system.prompt(STORIES[2][:1])
    start = len(ids)
    while ids[-1] != EOS and len(ids) < 200:
        ids.append(int(system.model(torch.tensor([ids]))[0, -1].argmax()))
    text = system.tokenizer.decode(ids[start:])
    assert text == " ".join(filter(None, _written(system, [STORIES[2][:1]])[0]))


def test_chance_follows_the_seed(system: TokenLLMSystem) -> None:
    def write(**more) -> list[str | None]:
        return _written(system, [["Tom"]], GenerationOptions(sentences=2, max_tokens=30, **more))[0]

    assert write(temperature=1.5, seed=4) == write(temperature=1.5, seed=4)
    assert len({tuple(write(temperature=1.5, seed=seed)) for seed in range(6)}) > 1
    narrow = {tuple(write(temperature=1.5, top_p=1e-6, seed=seed)) for seed in range(4)}
    assert narrow == {tuple(write())}


def _log_probability(system: TokenLLMSystem, prompt: list[int], ids: list[int]) -> float:
    logits = system.model(torch.tensor([prompt + ids]))[0].log_softmax(-1)
    return sum(float(logits[len(prompt) - 1 + i, each]) for i, each in enumerate(ids)) / len(ids)


def test_beams_find_at_least_what_greed_finds(system: TokenLLMSystem) -> None:
    for prompt in (story[:2] for story in STORIES):
        options = GenerationOptions(sentences=2, llm_beams=4, max_tokens=40)
        *searched, ended = (step for _, step in generate_many(system, [prompt], options))
        assert ended.stop_reason in ("end", "length") and len(searched) <= 2
        greedy = [t for t in _written(system, [prompt], GenerationOptions(sentences=2))[0] if t]
        start = system.prompt(prompt)
        texts = [" ".join(filter(None, (s.text for s in searched))), " ".join(greedy)]
        found = [_log_probability(system, start, system.tokenizer.pieces(t)) for t in texts]
        assert found[0] >= found[1] - 1e-3
    options = GenerationOptions(llm_beams=3)
    *steps, _ = (step for _, step in generate_many(system, [STORIES[0][:1]], options))
    assert [step.text for step in steps] == list(STORIES[0][1:])


def test_an_endless_sentence_ends_its_text(system: TokenLLMSystem) -> None:
    options = GenerationOptions(max_tokens=3)
    *steps, ended = (step for _, step in generate_many(system, [STORIES[0][:1]], options))
    assert ended.stop_reason == "length" and len(steps) == 1
    assert STORIES[0][1].startswith((steps[0].text or "").rstrip("."))


def test_loss_is_the_mean_over_tokens(system: TokenLLMSystem) -> None:
    rows = [[BOS, 9, 10, EOS], [BOS, 11, EOS, PAD]]
    logits = system.model(torch.tensor(rows)).log_softmax(-1)
    targets = [(0, 0, 9), (0, 1, 10), (0, 2, EOS), (1, 0, 11), (1, 1, EOS)]
    expected = -sum(float(logits[target]) for target in targets) / len(targets)
    found = next_token_loss(system.model, torch.tensor(rows))
    assert (found.weight, found.tokens) == (5, 5)
    assert found.mean == pytest.approx(expected, rel=1e-4)
    untrained = TokenLLM(system.model.config)
    uniform = next_token_loss(untrained, torch.tensor(rows)).mean
    assert uniform == pytest.approx(math.log(system.model.config.vocab_size), abs=0.3)


def test_the_output_projection_is_the_embedding(system: TokenLLMSystem) -> None:
    ids = torch.tensor([[BOS, 9]])
    hidden = system.model.run(system.model.embed(ids))
    torch.testing.assert_close(system.model(ids), F.linear(hidden, system.model.embed.weight))


def test_what_cannot_be(system: TokenLLMSystem) -> None:
    with pytest.raises(UsageError, match="not vectors"):
        list(generate_many(system, [torch.zeros(1, 4)]))
    with pytest.raises(UsageError, match="not vectors"):
        list(generate_many(system, [torch.zeros(1, 4)], GenerationOptions(llm_beams=2)))
    with pytest.raises(ValueError, match="no sentence"):
        list(generate_many(system, [[]]))
    with pytest.raises(UsageError, match="--temperature"):
        GenerationOptions(llm_beams=2, temperature=1.0)
