"""What systems foretell at all places at once is what they propose after each by itself."""

from __future__ import annotations

import pytest
import torch

from sonar_cli.errors import UsageError
from sonar_cli.evaluation.paper.places import foretold, native_codec, pieces
from sonar_cli.model.sampling import generator
from sonar_cli.model.systems.lcm_diffusion import LCMDiffusionSystem
from sonar_cli.model.systems.sonar_llm import SonarLLMSystem
from tests.evaluation.paper.four import QUICK, TEXTS, codec, system


@pytest.mark.parametrize("begin", [False, True])
@pytest.mark.parametrize("kind", ["sonar-llm", "lcm-mse", "lcm-diffusion"])
def test_each_place_as_in_generation(kind: str, begin: bool) -> None:
    found = system(kind, begin)
    vectors = foretold(found, TEXTS, 1, generator(7), QUICK)  # type: ignore[arg-type]
    assert vectors.shape == (1, 3 + 2, codec().width)
    random, row = generator(7), 0
    for text in TEXTS:
        for count in range(1, len(text)):
            with torch.inference_mode():
                state = found.start(QUICK)  # type: ignore[union-attr]
                state.open([text[:count]])
                alone = state.propose([random])[0]
            torch.testing.assert_close(vectors[0, row], alone, atol=1e-4, rtol=1e-4)
            row += 1


def test_samples_differ_and_do_not_depend_on_the_batch() -> None:
    found = system("lcm-diffusion")
    assert isinstance(found, LCMDiffusionSystem)
    together = foretold(found, TEXTS, 3, generator(1), QUICK)
    random = generator(1)
    parts = [foretold(found, [text], 3, random, QUICK) for text in (TEXTS[0], TEXTS[2])]
    torch.testing.assert_close(together, torch.cat(parts, 1), atol=1e-4, rtol=1e-4)
    assert (together[0] - together[1]).abs().amax(1).min() > 1e-3
    assert foretold(found, [TEXTS[1]], 3, generator(1), QUICK).shape == (1, 0, codec().width)


def test_the_begin_sentence_is_read_as_asked() -> None:
    found = system("sonar-llm", begin=True)
    assert isinstance(found, SonarLLMSystem)
    without = foretold(system("sonar-llm"), TEXTS, 1, generator(0), QUICK)  # type: ignore[arg-type]
    with_it = foretold(found, TEXTS, 1, generator(0), QUICK)
    assert not torch.allclose(without, with_it, atol=1e-3)


def test_long_sentences_are_cut_and_other_codecs_refused() -> None:
    assert len(pieces(codec().tokenizer, "Tom ran. " * 600)) == 509
    found = SonarLLMSystem(object(), None)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="our own codec"):
        native_codec(found)
