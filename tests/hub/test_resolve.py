"""Names, paths and downloads; the Hub is a server on loopback, the library is the real one."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from sonar_cli.errors import DownloadError, UsageError
from sonar_cli.hub.catalogue import SONAR_DECODER, SONAR_ENCODER, SONAR_LICENCE
from sonar_cli.hub.resolve import resolve
from sonar_cli.options import ModelRequest
from tests.hub.conftest import environment, run_models
from tests.hub_server import HubServer, serving

PREDICTOR = "raxtemur/sonar-llm-100m"
# The library writes 10 MB at a time; a part that is to be resumed must be larger.
SIZE = 25_000_000


def _repository(root: Path, name: str, files: dict[str, bytes]) -> None:
    for file, data in files.items():
        path = root / name / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


@pytest.fixture
def hub(tmp_path: Path):
    root = tmp_path / "hub"
    code = {"modeling.py": b"raise SystemExit", "README.md": b"#"}
    _repository(root, PREDICTOR, {"config.json": b"{}", "pytorch_model.bin": b"p" * SIZE, **code})
    _repository(
        root,
        SONAR_ENCODER,
        {
            "config.json": b"{}",
            "model.safetensors": b"e" * 99,
            "pytorch_model.bin": b"old",
            "sentencepiece.bpe.model": b"s",
            "tokenizer.json": b"{}",
            # Not {} again: the cache would take it for config.json's blob and never ask.
            "tokenizer_config.json": b'{"a": 1}',
        },
    )
    index = json.dumps({"weight_map": {"a": "model-1.safetensors", "b": "model-2.safetensors"}})
    _repository(
        root,
        SONAR_DECODER,
        {
            "config.json": b"{}",
            "model.safetensors.index.json": index.encode(),
            "model-1.safetensors": b"1",
            "model-2.safetensors": b"2",
            **code,
        },
    )
    with serving(root) as server:
        yield server


def test_pull_gets_only_what_is_read(tmp_path: Path, hub: HubServer) -> None:
    done = run_models(tmp_path, hub.url, "pull", "100m")
    assert (done.returncode, done.stderr) == (0, f"sonar-llm: {SONAR_LICENCE}\n")
    folder = Path(done.stdout.strip())
    assert (folder / "pytorch_model.bin").stat().st_size == SIZE
    assert hub.got() == {
        "config.json",
        "pytorch_model.bin",
        "model.safetensors",
        "sentencepiece.bpe.model",
        "tokenizer_config.json",
        "model.safetensors.index.json",
        "model-1.safetensors",
        "model-2.safetensors",
    }


def test_what_was_pulled_needs_no_network(tmp_path: Path, hub: HubServer) -> None:
    assert run_models(tmp_path, hub.url, "pull", "100m").returncode == 0
    before = len(hub.requests)
    found = run_models(tmp_path, hub.url, "path", "100m")
    assert found.returncode == 0
    paths = dict(line.split("\t") for line in found.stdout.splitlines())
    assert all(Path(path).exists() for path in paths.values())
    assert run_models(tmp_path, hub.url, "pull", "100m").returncode == 0
    assert len(hub.requests) == before
    listed = run_models(tmp_path, hub.url, "list").stdout
    assert [line.endswith(" here") for line in listed.splitlines()[:3]] == [True, True, False]


def test_a_broken_download_goes_on_where_it_stopped(tmp_path: Path, hub: HubServer) -> None:
    hub.break_after = 15_000_000
    for _ in range(3):
        done = run_models(tmp_path, hub.url, "pull", "100m")
        if done.returncode == 0:
            break
        assert len(done.stderr.splitlines()) >= 1
    assert done.returncode == 0
    weights = Path(done.stdout.strip()) / "pytorch_model.bin"
    assert weights.read_bytes() == b"p" * SIZE
    ranges = [asked for method, _, asked in hub.requests if method == "GET" and asked]
    assert any(int(asked.removeprefix("bytes=").split("-")[0]) > 0 for asked in ranges)


@pytest.mark.parametrize(
    ("endpoint", "arguments", "words"),
    [
        ("http://127.0.0.1:9", ["pull", "100m"], "the Hub cannot be reached"),
        (None, ["path", "100m"], "not in the cache"),
        (None, ["pull", "nobody/nothing"], "no repository nobody/nothing"),
    ],
)
def test_failures_are_one_line(
    tmp_path: Path, hub: HubServer, endpoint: str | None, arguments: list[str], words: str
) -> None:
    done = run_models(tmp_path, endpoint or hub.url, *arguments)
    assert done.returncode == 1
    assert words in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert done.stdout == ""


def test_the_librarys_own_offline_switch_asks_no_one(tmp_path: Path, hub: HubServer) -> None:
    done = run_models(tmp_path, hub.url, "pull", "100m", HF_HUB_OFFLINE="1")
    assert done.returncode == 1
    assert "HF_HUB_OFFLINE forbids" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert (hub.connections, hub.requests) == (0, [])


def test_a_tokenizer_comes_with_its_languages(tmp_path: Path, hub: HubServer) -> None:
    listed = b'{"additional_special_tokens": ["eng_Latn"]}'
    files = {"spiece.model": b"s", "special_tokens_map.json": listed, "tokenize.py": b"#"}
    _repository(hub.root, "some/tokenizer", files)
    code = (
        "from sonar_cli.hub.resolve import resolve; from sonar_cli.options import ModelRequest; "
        "print(resolve(ModelRequest(tokenizer='some/tokenizer')).tokenizer)"
    )

    def run() -> Path:
        done = subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True,
            text=True,
            env=environment(tmp_path, hub.url),
            timeout=120,
            cwd=Path(__file__).parents[2],
        )
        assert (done.returncode, done.stderr) == (0, "")
        return Path(done.stdout.strip())

    found = run()
    assert found.name == "spiece.model"
    assert (found.parent / "special_tokens_map.json").read_bytes() == listed
    assert hub.got() == {"spiece.model", "special_tokens_map.json"}
    before = len(hub.requests)
    assert run() == found
    assert len(hub.requests) == before


def test_names_and_near_names() -> None:
    paths = resolve()
    assert ModelRequest().embedded
    assert paths.predictor is not None and paths.predictor.is_dir()
    assert paths.encoder.is_dir()
    with pytest.raises(UsageError, match="900m"):
        resolve(ModelRequest("90m"))
    for name in ("a--b/c", "a/b..c"):  # which the Hub does not allow
        with pytest.raises(UsageError, match="unknown model"):
            resolve(ModelRequest(name))


@pytest.mark.parametrize("name", ["runs/nope", "./nope", "/no/pe", "~/nope", "a/b/c", "nope/"])
def test_a_place_that_is_not_there_is_no_repository(tmp_path: Path, monkeypatch, name: str) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs").mkdir()
    with pytest.raises(UsageError, match=f"^{name}: no such folder or file$"):
        resolve(ModelRequest(name, offline=True))
    with pytest.raises(UsageError, match=f"^--encoder {name}: no such file"):
        resolve(ModelRequest(encoder=name, offline=True))


def test_a_repository_is_one_beside_a_folder(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "cache"))
    (tmp_path / PREDICTOR.split("/")[0]).mkdir()
    for name in (PREDICTOR, "owner/name"):
        with pytest.raises(DownloadError, match="not in the cache"):
            resolve(ModelRequest(name, offline=True))


def test_local_models(tmp_path: Path) -> None:
    for part in ("predictor", "encoder", "decoder", "tokenizer"):
        (tmp_path / part).mkdir()
    (tmp_path / "predictor" / "config.json").write_text("{}")
    whole = resolve(ModelRequest(str(tmp_path)))
    assert (whole.predictor, whole.encoder) == (tmp_path / "predictor", tmp_path / "encoder")
    alone = resolve(ModelRequest(str(tmp_path / "predictor")))
    assert alone == whole
    assert not ModelRequest(str(tmp_path)).embedded
    bare = tmp_path / "checkpoint.pt"
    bare.touch()
    with pytest.raises(UsageError, match="--config"):
        resolve(ModelRequest(str(bare)))
    config = str(tmp_path / "predictor" / "config.json")
    assert resolve(ModelRequest(str(bare), config=config)).predictor_config == Path(config)
    with pytest.raises(UsageError, match=r"config\.json"):
        resolve(ModelRequest(str(tmp_path / "encoder")))
    with pytest.raises(UsageError, match="--encoder nowhere"):
        resolve(ModelRequest("mini", encoder="nowhere"))
    mixed = resolve(ModelRequest("mini", encoder=str(tmp_path / "encoder")))
    assert mixed.encoder == tmp_path / "encoder"
    assert not ModelRequest("mini", encoder="e").embedded
