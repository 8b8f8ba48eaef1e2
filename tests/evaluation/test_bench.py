"""The bench: what it counts and how it is shown. How long things take is never tested."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path

import pytest
import torch

from sonar_cli.cli import run
from sonar_cli.errors import SonarError, UsageError
from sonar_cli.evaluation.bench import engines, startup, tables, weights
from sonar_cli.evaluation.bench import run as bench
from sonar_cli.evaluation.bench.ctranslate2_engine import CTranslate2Engine
from sonar_cli.evaluation.bench.run import Plan
from sonar_cli.evaluation.bench.timing import (
    NEXT_VECTOR,
    TOKEN_STEP,
    Memory,
    Timing,
    token_steps,
)
from sonar_cli.evaluation.bench.weights import TINY, random_state
from sonar_cli.evaluation.report import Report
from sonar_cli.hub.catalogue import EMBEDDED
from sonar_cli.model.codec.decoder import TextDecoder
from sonar_cli.model.codec.search import Search
from sonar_cli.model.formats.codec import read_decoder
from sonar_cli.model.formats.layouts import State
from sonar_cli.model.systems.sonar_llm import Predictor
from sonar_cli.options import ModelPaths

CPU = torch.device("cpu")
NOTES = ["machine", "weights", "beam_size", "read_gb_per_second", "against"]


def _engine(dtype: str = "float32", packed: bool = True) -> engines.NativeEngine:
    state = random_state(TextDecoder, TINY.decoder)
    return engines.native(TINY.decoder, state, CPU, dtype, packed)


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
    state = random_state(TextDecoder, TINY.decoder)
    read = sum(
        tensor.numel()
        for name, tensor in state.items()
        if name.endswith("weight") and tensor.ndim == 2 and "vector_attn" not in name
    )
    assert engines.step_bytes(TINY.decoder) == 4 * read
    assert engines.step_bytes(TINY.decoder, "int8") == read
    config = TINY.predictor
    state = random_state(Predictor, config)
    predictor, bytes_read = engines.native_predictor(config, state, CPU, "bfloat16")
    assert bytes_read == 2 * sum(each.numel() for each in predictor.parameters())


def test_engines_share_their_weights() -> None:
    state = random_state(TextDecoder, TINY.decoder)
    ours = engines.native(TINY.decoder, state, CPU, "float32", packed=False)
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
    opponents = {"native": "other", "other": "other"}
    one, _, four, their_four, vector = tables.records(timings, opponents)
    assert one["seconds"] == 0.2 and one["gb_per_second"] == pytest.approx(5.0)
    assert one["share_of_read_speed"] == pytest.approx(0.5)
    assert one["faster"] == one["faster_than_alone"] == pytest.approx(4.0)
    assert four["seconds_a_text"] == pytest.approx(0.1)
    assert four["texts_a_minute"] == pytest.approx(60 / (0.1 * tables.TEXT_STEPS))
    assert four["faster"] == pytest.approx(3.0) and four["faster_than_alone"] == pytest.approx(8.0)
    assert their_four["faster"] == 1.0
    assert "faster" not in vector
    table = Report(tables.timing_tables([one, four, vector], "other")).markdown()
    assert "| x other with as many | x other alone |" in table
    assert "| native | 4 | 0.4000 | 0.1000 | 2.0 | 2.5 | 3.00 | 8.00 |" in table
    assert "| native | 10 | 0.5000 | 2.0 | 5.00 |" in table
    alone = tables.records(timings[:1])
    assert alone[0]["faster"] is None and alone[0]["faster_than_alone"] is None


def test_engines_take_turns() -> None:
    turns = []

    class Recording:
        bytes_read = 1

        def __init__(self, name: str) -> None:
            self.name = name

        def search(self, texts: int, beam_size: int, steps: int) -> None:
            turns.append((self.name, texts, steps))

    found = token_steps(
        [Recording("a"), Recording("b")],
        2,
        Memory(CPU, 0),
        beam_size=1,
        steps=9,
        rounds=2,
    )
    assert turns == [("a", 2, 3), ("b", 2, 3)] + [("a", 2, 9), ("b", 2, 9)] * 2
    assert [(each.engine, len(each.seconds)) for each in found] == [("a", 2), ("b", 2)]


def test_a_report_of_random_weights() -> None:
    plan = Plan("tiny", texts=(1,), contexts=(3,), rounds=2, steps=4, against="plain", device="cpu")
    told: list[str] = []
    report = bench.run(plan, told.append)
    assert told[0] == "preparing weights" and told[-1] == "the predictor in float32"
    assert list(report.notes) == NOTES and report.notes["weights"] == "random, tiny size"
    steps, vectors, loops = report.tables
    assert [each["engine"] for each in steps.records] == ["native float32", "plain float32"]
    assert [len(each["rounds"]) for each in (*steps.records, *vectors.records)] == [2, 2, 2]
    assert steps.records[1]["faster"] == 1.0
    assert loops.records == []
    line, *shown = report.markdown().split("\n\n")
    assert line.startswith(report.notes["machine"]) and line.endswith(" GB/s.")
    assert [each.count("\n") for each in shown] == [3, 2]
    found = json.loads(report.json())
    assert list(found) == [*NOTES, "timings", "loops"]
    assert found["timings"] == [*steps.records, *vectors.records] and found["loops"] == {}
    lines = [json.loads(line) for line in report.json_lines().splitlines()]
    assert lines == found["timings"]


def test_nothing_to_time_leaves_the_line() -> None:
    report = bench.run(Plan("tiny", texts=(), contexts=(), device="cpu"))
    assert report.markdown() == report.line
    assert json.loads(report.json())["timings"] == []


def test_the_table_of_loops() -> None:
    loop = {
        "import_torch": 0.84,
        "load": 0.27,
        "first_step": 1.68,
        "sentences": [5.59, 3.0, 2.28],
        "peak_bytes": 9_700_000_000,
    }
    report = Report([tables.loop_table({"float32": loop, "int8": loop})])
    assert report.markdown().splitlines() == [
        "| the loop from files, second start | float32 | int8 |",
        "| --- | ---: | ---: |",
        "| torch's import | 0.84 s | 0.84 s |",
        "| loading, after that | 0.27 s | 0.27 s |",
        "| the first token step, after torch's import | 1.68 s | 1.68 s |",
        "| the first sentence, after loading | 5.59 s | 5.59 s |",
        "| the sixth sentence | 2.28 s | 2.28 s |",
        "| peak memory | 9.70 GB | 9.70 GB |",
    ]
    assert json.loads(report.json()) == {"loops": {"float32": loop, "int8": loop}}


def test_a_codec_alone_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        Plan(model=ModelPaths(tmp_path, tmp_path, tmp_path))


def test_int8_is_refused_on_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench, "pick_device", torch.device)
    with pytest.raises(UsageError, match="--device cpu"):
        bench.run(Plan("tiny", dtypes=("float16", "int8"), device="cuda"))


def test_the_measured_process(tmp_path: Path) -> None:
    paths = weights.write_weights(tmp_path, TINY)
    assert not paths.tokenizer.exists()
    _check_loop(startup.measure(paths, "cpu", "int8", 1, 4))
    written = paths.decoder / "model.safetensors"
    before = written.stat().st_mtime_ns
    assert weights.write_weights(tmp_path, TINY) == paths
    assert written.stat().st_mtime_ns == before
    written.write_bytes(b"broken")
    with pytest.raises(SonarError, match="the loop from"):
        startup.measure(paths, "cpu", "float32", 1, 4)


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
    assert list(found) == [*NOTES, "timings", "loops"] and found["loops"] == {}
    # Every engine is held against our own decoder with its weights unpacked.
    steps = [each for each in found["timings"] if each["what"] == TOKEN_STEP]
    assert all(each["faster"] > 0 and each["faster_than_alone"] > 0 for each in steps)
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
    config, _ = read_decoder(EMBEDDED / "decoder")
    one = found["timings"][0]
    read = engines.step_bytes(config)
    assert one["gb_per_second"] * one["seconds"] * 1e9 == pytest.approx(read)
    _check_loop(found["loops"]["float32"])


def _ctranslate2(state: State, dtype: str) -> CTranslate2Engine:
    pytest.importorskip("ctranslate2")
    return CTranslate2Engine(TINY.decoder, state, dtype)


def test_ctranslate2_has_our_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    """It writes what we write, but that our search ends each sentence with the end."""
    monkeypatch.setattr(engines, "_DEVIATION", 100.0)  # so that sentences differ
    state = random_state(TextDecoder, TINY.decoder)
    ours = engines.native(TINY.decoder, state, CPU, "float32", packed=False)
    theirs = _ctranslate2(state, "float32")
    prefix, end, steps = torch.tensor(engines.PREFIX), engines.END, 7
    with torch.inference_mode():
        found = Search(ours.decoder)(
            theirs.vectors[:4], prefix, 1, len(prefix) + steps, eos=end, pad=end
        )
    wanted = [[*engines.PREFIX, *each[0].ids[:-1]] for each in found]
    assert [each[:-1] for each in theirs.translate(4, 1, steps)] == wanted
    assert len({tuple(each) for each in wanted}) > 1


@pytest.mark.parametrize("dtype", ["float32", "int8"])
@pytest.mark.parametrize("steps", [1, 6])
def test_ctranslate2_takes_the_steps_asked_for(dtype: str, steps: int) -> None:
    state = random_state(TextDecoder, TINY.decoder)
    found = _ctranslate2(state, dtype).translate(3, 5, steps)
    assert [len(each) for each in found] == [len(engines.PREFIX) + steps] * 3


def test_each_format_has_its_own_opponent(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("ctranslate2")
    words = "--size tiny --against ctranslate2 --texts 1,2 --contexts 10 --steps 2 --rounds 1"
    assert run(["bench", *words.split(), "--dtype", "float32,int8", "--format", "json"]) == 0
    steps = [
        each for each in json.loads(capsys.readouterr().out)["timings"] if "seconds_a_text" in each
    ]
    taken = {(each["engine"], each["count"]): each["seconds_a_text"] for each in steps}
    for each in steps:
        _, dtype = each["engine"].split()
        theirs = taken[f"ctranslate2 {dtype}", each["count"]]
        assert each["faster"] == pytest.approx(theirs / each["seconds_a_text"])
    assert len(steps) == 8


def test_wrong_counts_and_a_missing_opponent(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run(["bench", "--texts", "1,x"]) == 2
    assert "--texts" in capsys.readouterr().err
    if importlib.util.find_spec("sonar") is None:
        assert run(["bench", "--size", "tiny", "--against", "sonar-space"]) == 1
        err = capsys.readouterr().err
        assert "sonar-llm[sonar-space]" in err and err.count("\n") == 1
    monkeypatch.setitem(sys.modules, "ctranslate2", None)
    assert run(["bench", "--size", "tiny", "--against", "ctranslate2"]) == 1
    err = capsys.readouterr().err
    assert "sonar-llm[bench]" in err and err.count("\n") == 1


def test_the_plan_is_the_commands() -> None:
    assert weights.SIZES["full"].decoder.vocab_size == 256_206
    assert Plan().texts == (1, 4, 8, 16)
