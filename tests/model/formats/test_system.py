"""The four systems on disk: written, read, loaded and refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from sonar_cli import SonarLLM
from sonar_cli.errors import CheckpointError, UsageError
from sonar_cli.hub.catalogue import SummaryTraining, summary_training
from sonar_cli.hub.resolve import resolve
from sonar_cli.model.formats.system import OWN, kind_of, read_system, save_system
from sonar_cli.model.load import load_codec, load_system
from sonar_cli.model.shapes import LCMConfig, PredictorConfig, TokenLLMConfig, TwoTowerConfig
from sonar_cli.model.systems.lcm_diffusion import LCMDiffusionSystem, TwoTowerLCM
from sonar_cli.model.systems.lcm_mse import BaseLCM, LCMMSESystem
from sonar_cli.model.systems.sonar_llm import Predictor, SonarLLMSystem
from sonar_cli.model.systems.token_llm import TokenLLM, TokenLLMSystem
from sonar_cli.options import GenerationOptions, ModelPaths, ModelRequest, Runtime

SHAPE = {"hidden": 32, "ffn": 48, "layers": 1, "heads": 4, "kv_heads": 2, "head_dim": 8}
MINI = resolve()
VOCABULARY = load_codec(MINI, Runtime("cpu")).tokenizer.vocab_size
SYSTEMS = {
    "sonar-llm": SonarLLMSystem,
    "lcm-mse": LCMMSESystem,
    "lcm-diffusion": LCMDiffusionSystem,
    "llm": TokenLLMSystem,
}


def _network(kind: str) -> nn.Module:
    torch.manual_seed(0)
    made: nn.Module = {
        "sonar-llm": lambda: Predictor(PredictorConfig(embed_dim=256, **SHAPE)),
        "lcm-mse": lambda: BaseLCM(LCMConfig(embed_dim=256, **SHAPE)),
        "lcm-diffusion": lambda: TwoTowerLCM(
            TwoTowerConfig(embed_dim=256, denoiser_layers=1, diffusion_steps=20, **SHAPE)
        ),
        "llm": lambda: TokenLLM(TokenLLMConfig(vocab_size=VOCABULARY, **SHAPE)),
    }[kind]()
    return made.eval().requires_grad_(False)


def _paths(folder: Path) -> ModelPaths:
    return ModelPaths(MINI.encoder, MINI.decoder, MINI.tokenizer, folder)


@pytest.mark.parametrize("kind", SYSTEMS)
def test_written_and_loaded(tmp_path: Path, kind: str) -> None:
    network = _network(kind)
    save_system(network, tmp_path)
    assert json.loads((tmp_path / "config.json").read_text())["system"] == kind == kind_of(tmp_path)
    found = load_system(_paths(tmp_path), Runtime("cpu"))
    assert isinstance(found, SYSTEMS[kind])
    loaded = found.predictor if isinstance(found, SonarLLMSystem) else found.model
    assert loaded.config == network.config
    if kind in OWN:
        _, config, state = read_system(tmp_path)
        assert config == network.config
        assert all(torch.equal(state[name], each) for name, each in network.state_dict().items())


@pytest.mark.parametrize("kind", SYSTEMS)
@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "int8"])
def test_each_continues_a_text(tmp_path: Path, kind: str, dtype: str) -> None:
    save_system(_network(kind), tmp_path)
    parts = {part: str(getattr(MINI, part)) for part in ("encoder", "decoder", "tokenizer")}
    llm = SonarLLM.load(str(tmp_path), device="cpu", dtype=dtype, threads=1, **parts)
    options = GenerationOptions(
        sentences=2, stop_threshold=2.0, repeat_threshold=2.0 if "lcm" in kind else None,
        seed=1, max_tokens=12, diffusion_steps=4, beam_size=2,
    )  # fmt: skip
    steps = list(llm.continue_("One day Lily found a kite.", options))
    assert steps[-1].stop_reason in ("length", "end") and len(steps) <= 3
    if kind == "llm":
        with pytest.raises(UsageError, match="token-level"):
            llm.of_vectors()
    with pytest.raises(UsageError, match="--method extractive, or let it try with --force"):
        llm.summarize("Tom ran. Tom sat.", method="abstractive", sentences=1)


@pytest.mark.parametrize(
    ("kind", "temperature", "beams"),
    [*((kind, warm, 1) for kind in SYSTEMS for warm in (0, 1)), ("llm", 0, 2)],
)
def test_nan_ends_a_text_by_the_name_of_its_model(
    tmp_path: Path, kind: str, temperature: int, beams: int
) -> None:
    network = _network(kind)
    network.norm.weight[3] = float("nan")
    save_system(network, tmp_path)
    parts = {part: str(getattr(MINI, part)) for part in ("encoder", "decoder", "tokenizer")}
    llm = SonarLLM.load(str(tmp_path), device="cpu", threads=1, **parts)
    options = GenerationOptions(
        sentences=1, temperature=temperature, llm_beams=beams, seed=1, diffusion_steps=4
    )
    with pytest.raises(CheckpointError, match=f"^{tmp_path} gives NaN or infinite"):
        list(llm.continue_("One day Lily found a kite.", options))


@pytest.mark.parametrize("kind", OWN)
def test_a_config_from_before_the_cue_is_read(tmp_path: Path, kind: str) -> None:
    network = _network(kind)
    save_system(network, tmp_path)
    file = tmp_path / "config.json"
    raw = json.loads(file.read_text())
    del raw["summary_cue"], raw["trained_len"]
    file.write_text(json.dumps(raw))
    assert read_system(tmp_path)[1] == network.config
    assert summary_training("own", tmp_path) is None
    file.write_text(json.dumps({**raw, "summary_cue": "In short:", "trained_len": 9}))
    assert summary_training("own", tmp_path) == SummaryTraining("In short:", 9)
    assert read_system(tmp_path)[1].trained_len == 9


@pytest.mark.parametrize("kind", OWN)
def test_what_is_wrong_is_named(tmp_path: Path, kind: str) -> None:
    save_system(_network(kind), tmp_path)
    file, config = tmp_path / "model.safetensors", tmp_path / "config.json"
    whole = load_file(file)
    name = next(iter(whole))
    cases = {
        "lacks": {n: each for n, each in whole.items() if n != name},
        "does not have": {**whole, "more.weight": torch.zeros(2)},
        "has the shape": {**whole, name: torch.zeros(1, 2, 3)},
    }
    for words, tensors in cases.items():
        save_file(tensors, file)
        with pytest.raises(CheckpointError, match=words) as caught:
            read_system(tmp_path)
        assert (name in str(caught.value)) or "more.weight" in str(caught.value)
    raw = json.loads(config.read_text())
    config.write_text(json.dumps({**raw, "system": "hmm"}))
    with pytest.raises(CheckpointError, match="unknown system 'hmm'"):
        read_system(tmp_path)
    config.write_text(json.dumps({**raw, "rope_scaling": {"kind": "yarn"}}))
    with pytest.raises(CheckpointError, match=r"rope_scaling \{'kind': 'yarn'\}: .*'kind'"):
        read_system(tmp_path)
    config.write_text(json.dumps({k: v for k, v in raw.items() if k != "hidden"}))
    with pytest.raises(CheckpointError, match="lacks 'hidden'"):
        read_system(tmp_path)


def test_another_codec_is_refused(tmp_path: Path) -> None:
    save_system(BaseLCM(LCMConfig(embed_dim=64, **SHAPE)), tmp_path / "vectors")
    with pytest.raises(CheckpointError, match="64 numbers, the codec has 256"):
        load_system(_paths(tmp_path / "vectors"), Runtime("cpu"))
    save_system(TokenLLM(TokenLLMConfig(vocab_size=9, **SHAPE)), tmp_path / "tokens")
    with pytest.raises(CheckpointError, match="9 tokens but the tokenizer"):
        load_system(_paths(tmp_path / "tokens"), Runtime("cpu"))
    assert resolve(ModelRequest(str(tmp_path / "tokens"), **{
        part: str(getattr(MINI, part)) for part in ("encoder", "decoder", "tokenizer")
    })).predictor == tmp_path / "tokens"  # fmt: skip
