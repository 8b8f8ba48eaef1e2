"""The bench: what it counts and how it is shown. How long things take is never tested."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import pytest
import torch

from sonar_cli.cli import run
from sonar_cli.evaluation.bench import engines
from sonar_cli.evaluation.bench import run as bench
from sonar_cli.evaluation.bench.run import NEXT_VECTOR, TOKEN_STEP, Plan, Timing
from sonar_cli.hub.store import EMBEDDED
from sonar_cli.model.codec.decoder import TextDecoder
from sonar_cli.model.formats import checkpoints
from sonar_cli.model.systems.sonar_llm import Predictor

CPU = torch.device("cpu")


def _engine(dtype: str = "float32", packed: bool = True) -> engines.NativeEngine:
    state = engines.random_state(TextDecoder, bench.TINY.decoder)
    return engines.native(bench.TINY.decoder, state, CPU, dtype, packed)


@pytest.mark.parametrize("texts", [1, 3])
@pytest.mark.parametrize("steps", [1, 7])
def test_a_search_takes_the_steps_asked_for(
    monkeypatch: pytest.MonkeyPatch, texts: int, steps: int
) -> None:
    engine = _engine()
    seen: list[tuple[int, ...]] = []
    step = TextDecoder.step

    def counting(self, ids, state):
        seen.append(tuple(ids.shape))
        return step(self, ids, state)

    monkeypatch.setattr(TextDecoder, "step", counting)
    engine.search(texts, 5, steps)
    assert seen == [(texts, 2)] + [(5 * texts, 1)] * (steps - 1)


def test_bytes_are_those_of_the_weights_read() -> None:
    state = engines.random_state(TextDecoder, bench.TINY.decoder)
    read = sum(
        tensor.numel()
        for name, tensor in state.items()
        if name.endswith("weight") and tensor.ndim == 2 and "vector_attn" not in name
    )
    assert engines.step_bytes(bench.TINY.decoder) == 4 * read
    assert engines.step_bytes(bench.TINY.decoder, "int8") == read
    config = bench.TINY.predictor
    state = engines.random_state(Predictor, config)
    predictor, bytes_read = engines.native_predictor(config, state, CPU, "bfloat16")
    assert bytes_read == 2 * sum(each.numel() for each in predictor.parameters())


def test_engines_share_their_weights() -> None:
    state = engines.random_state(TextDecoder, bench.TINY.decoder)
    ours = engines.native(bench.TINY.decoder, state, CPU, "float32", packed=False)
    assert ours.decoder.embed.weight.data_ptr() == state["embed.weight"].data_ptr()
    assert float(state["layers.0.ffn.up.weight"].std()) == pytest.approx(0.02, rel=0.1)


def test_medians_and_ratios() -> None:
    timings = [
        Timing("native", TOKEN_STEP, 1, (0.2, 0.1, 0.9), 10**9, 10e9),
        Timing("other", TOKEN_STEP, 1, (0.8,), 10**9, 10e9),
        Timing("native", TOKEN_STEP, 4, (0.4,), 10**9, 10e9),
        Timing("other", TOKEN_STEP, 4, (1.2,), 10**9, 10e9),
        Timing("native", NEXT_VECTOR, 10, (0.5,), 10**9, 10e9),
    ]
    one, _, four, their_four, vector = bench.records(timings, against="other")
    assert one["seconds"] == 0.2 and one["gb_per_second"] == pytest.approx(5.0)
    assert one["share_of_read_speed"] == pytest.approx(0.5)
    assert one["faster"] == one["faster_than_alone"] == pytest.approx(4.0)
    assert four["seconds_a_text"] == pytest.approx(0.1)
    assert four["texts_a_minute"] == pytest.approx(60 / (0.1 * bench.TEXT_STEPS))
    assert four["faster"] == pytest.approx(3.0) and four["faster_than_alone"] == pytest.approx(8.0)
    assert their_four["faster"] == 1.0
    assert "faster" not in vector
    table = "\n".join(bench.markdown([one, four, vector], "other"))
    assert "| native | 4 | 0.4000 | 0.1000 | 2.0 | 2.5 | 3.00 | 8.00 |" in table
    assert "| native | 10 | 0.5000 | 2.0 | 5.00 |" in table
    alone = bench.records(timings[:1], against=None)
    assert alone[0]["faster"] is None and alone[0]["faster_than_alone"] is None


def test_engines_take_turns() -> None:
    turns = []

    class Recording:
        bytes_read = 1

        def __init__(self, name: str) -> None:
            self.name = name

        def search(self, texts: int, beam_size: int, steps: int) -> None:
            turns.append((self.name, texts, steps))

    found = bench.token_steps(
        [Recording("a"), Recording("b")],
        2,
        bench.Memory(CPU, 0),
        beam_size=1,
        steps=9,
        rounds=2,
    )
    assert turns == [("a", 2, 3), ("b", 2, 3)] + [("a", 2, 9), ("b", 2, 9)] * 2
    assert [(each.engine, len(each.seconds)) for each in found] == [("a", 2), ("b", 2)]


def test_the_command_prints_tables_or_json(capsys: pytest.CaptureFixture[str]) -> None:
    small = ["bench", "--size", "tiny", "--texts", "1,2", "--rounds", "1", "--contexts", "3"]
    assert run([*small, "--against", "plain", "--format", "json", "--device", "cpu"]) == 0
    found = json.loads(capsys.readouterr().out)
    compared = ["native float32", "native int8", "plain float32"]
    assert [(each["engine"], each["what"], each["count"]) for each in found["timings"]] == [
        *((engine, TOKEN_STEP, count) for count in (1, 2) for engine in compared),
        ("native float32", NEXT_VECTOR, 3),
        ("native int8", NEXT_VECTOR, 3),
    ]
    assert found["read_gb_per_second"] > 0 and found["against"] == "plain"
    assert run([*small, "--dtype", "bfloat16"]) == 0
    out, err = capsys.readouterr()
    assert "random, tiny size" in out.splitlines()[0] and err == ""
    assert out.count("| native bfloat16 |") == 3


def test_the_loop_runs_from_files(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    files = tmp_path / "weights"
    small = ["bench", "--size", "tiny", "--texts", "", "--contexts", "", "--threads", "1"]
    small += ["--dtype", "float32", "--steps", "4", "--format", "json"]
    assert run([*small, "--files", str(files)]) == 0
    _check_loop(json.loads(capsys.readouterr().out)["loops"]["float32"])
    assert {each.name for each in files.iterdir()} == {"encoder", "decoder", "predictor"}
    (files / "decoder" / "model.safetensors").write_bytes(b"broken")
    assert run([*small, "--files", str(files)]) == 1
    assert "the loop from" in capsys.readouterr().err


def _check_loop(loop: dict) -> None:
    assert set(loop) == {"import_torch", "load", "first_step", "sentences", "peak_bytes"}
    assert len(loop["sentences"]) == 6
    assert 0 < loop["load"] < loop["first_step"] < loop["first_step"] + loop["sentences"][0]
    assert 10**8 < loop["peak_bytes"] < 10**9


def test_a_models_own_weights(capsys: pytest.CaptureFixture[str]) -> None:
    order = ["bench", "-m", "mini", "--texts", "1", "--contexts", "2", "--rounds", "1"]
    assert run([*order, "--threads", "1", "--dtype", "float32", "--format", "json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["weights"].endswith("predictor") and len(found["timings"]) == 2
    config, _ = checkpoints.read_decoder(EMBEDDED / "decoder")
    one = found["timings"][0]
    read = engines.step_bytes(config)
    assert one["gb_per_second"] * one["seconds"] * 1e9 == pytest.approx(read)
    _check_loop(found["loops"]["float32"])


def test_wrong_counts_and_a_missing_opponent(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["bench", "--texts", "1,x"]) == 2
    assert "--texts" in capsys.readouterr().err
    if importlib.util.find_spec("sonar") is None:
        assert run(["bench", "--size", "tiny", "--against", "sonar-space"]) == 1
        err = capsys.readouterr().err
        assert "sonar-llm[sonar-space]" in err and err.count("\n") == 1


def test_the_plan_is_the_commands() -> None:
    assert bench.SIZES["full"].decoder.vocab_size == 256_206
    assert Plan().texts == (1, 4, 8, 16)
