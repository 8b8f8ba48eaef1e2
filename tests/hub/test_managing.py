"""`models list`, `pull`, `verify` and `rm` on tiny models of a Hub on loopback."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from sonar_cli.cli import run
from sonar_cli.hub import lock, store
from sonar_cli.hub.catalogue import META_SONAR, SONAR_DECODER, SONAR_ENCODER, SONAR_LICENCE
from tests.hub_server import HubServer

GOLDENS = Path(__file__).parents[1] / "goldens"
OWN = "someone/predictor"
SMALL, MIDDLE = "raxtemur/sonar-llm-100m", "raxtemur/sonar-llm-300m"
Run = Callable[..., tuple[int, list[str], list[str]]]


@pytest.fixture
def hub(here: HubServer) -> HubServer:
    """Tiny trained models under published names; the decoder's repository has no tokenizer."""
    predictors = GOLDENS / "predictors"
    shutil.copytree(predictors / "wide-heads", here.root / SMALL)
    shutil.copytree(predictors / "grouped-heads", here.root / MIDDLE)
    shutil.copytree(predictors / "wide-heads", here.root / OWN)
    shutil.copytree(GOLDENS / "huggingface" / "encoder", here.root / SONAR_ENCODER)
    shutil.copytree(GOLDENS / "huggingface" / "decoder", here.root / SONAR_DECODER)
    (here.root / META_SONAR).mkdir(parents=True)
    tokenizer = here.root / META_SONAR / "sentencepiece.source.256000.model"
    shutil.copy(GOLDENS / "tokenizer" / "sentencepiece.model", tokenizer)
    return here


@pytest.fixture
def models(hub: HubServer, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run `models ...`; return the status and the lines of stdout and stderr."""

    def called(*words: str) -> tuple[int, list[str], list[str]]:
        status = run(["models", *words])
        out, err = capsys.readouterr()
        return status, out.splitlines(), err.splitlines()

    return called


def _listed(models: Run) -> dict[str, dict[str, object]]:
    status, lines, said = models("list", "--format", "jsonl")
    assert (status, said) == (0, [])
    return {each["name"]: each for each in map(json.loads, lines)}


def test_several_are_pulled_at_once_and_their_codec_once(models: Run, hub: HubServer) -> None:
    status, out, err = models("pull", "300m", OWN, "100m")
    assert status == 0 and err == [f"sonar-llm: {SONAR_LICENCE}"]
    assert out == [str(store.snapshot(each)) for each in (MIDDLE, OWN, SMALL)]
    contents = [path for method, path, _ in hub.requests if method == "GET" and "/cdn/" in path]
    assert len(contents) == len(set(contents)) == 6
    before = len(hub.requests)
    assert models("pull", "100m", "300m") == (0, [out[2], out[0]], [])
    assert len(hub.requests) == before


def test_a_name_that_is_wrong_downloads_nothing(models: Run, hub: HubServer) -> None:
    assert models("pull", "100m", "nobody/nothing")[0] == 1
    assert not any("/cdn/" in path for _, path, _ in hub.requests)


def test_the_list_tells_what_is_here(models: Run, hub: HubServer) -> None:
    before = _listed(models)
    assert before["mini"]["present"] and before["mini"]["licence"] == "MIT"
    assert before["100m"] == {
        **before["100m"],
        "present": False,
        "here": [],
        "on_disk": 0,
        "licence": "CC-BY-NC-4.0 (codec)",
    }
    assert models("pull", "100m")[0] == 0
    hub.requests.clear()
    after = _listed(models)
    files = [each for root in (SMALL, SONAR_ENCODER, SONAR_DECODER) for each in _stored(hub, root)]
    expected = {each.read_bytes(): each.stat().st_size for each in files}
    tokenizer = sum(each.stat().st_size for each in _stored(hub, META_SONAR))
    assert after["100m"]["present"] and after["100m"]["to_download"] == 0
    assert after["100m"]["on_disk"] == sum(expected.values()) + tokenizer
    assert after["300m"]["here"] == ["encoder", "decoder", "tokenizer"]
    assert after["300m"]["to_download"] == 1_205_000_000
    (one,) = (json.loads(line) for line in models("list", "--format", "json")[1])
    assert {each["name"]: each for each in one["models"]} == after
    lines = models("list")[1]
    assert lines[1].endswith(" here")
    assert lines[2].endswith(" partly here: encoder, decoder, tokenizer")
    assert hub.requests == []


def _stored(hub: HubServer, repository: str) -> list[Path]:
    return list((hub.root / repository).iterdir())


def test_what_was_pulled_is_locked(models: Run, hub: HubServer) -> None:
    models("pull", "100m")
    files = json.loads(lock.path().read_text())["files"]
    assert files.keys() == {SMALL, SONAR_ENCODER, SONAR_DECODER, META_SONAR}
    (commit,) = files[SMALL]
    assert store.snapshot(SMALL).name == commit
    weights = files[SMALL][commit]["pytorch_model.bin"]
    assert weights["size"] == (hub.root / SMALL / "pytorch_model.bin").stat().st_size
    assert weights["sha256"] == (store.snapshot(SMALL) / "pytorch_model.bin").resolve().name
    assert len(files[SMALL][commit]["config.json"]["sha256"]) == 64


def _cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-100])


def _alter(file: Path) -> None:
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)


@pytest.mark.parametrize("locked", [True, False])
@pytest.mark.parametrize("harm", [_cut, _alter])
@pytest.mark.parametrize(
    ("repository", "name"),
    [
        (SMALL, "pytorch_model.bin"),
        (SMALL, "config.json"),
        (SONAR_ENCODER, "model.safetensors"),
        (META_SONAR, "sentencepiece.source.256000.model"),
    ],
)
def test_what_was_harmed_is_named_and_repaired(
    models: Run,
    hub: HubServer,
    repository: str,
    name: str,
    harm: Callable[[Path], None],
    locked: bool,
) -> None:
    models("pull", "100m", "300m")
    status, out, err = models("verify", "100m")
    assert (status, err) == (0, [])
    assert out[0] == "good: 7 files from the Hub are what it stated"
    if not locked:
        lock.path().unlink()
    file = store.snapshot(repository) / name
    harm(file.resolve())
    before = len(hub.requests)
    status, out, err = models("verify", "100m", "--offline")
    assert status == 1 and len(out) == len(err) == 1
    assert out[0].startswith(f"wrong: {file} has ")
    assert str(file) in err[0] and "`sonar-llm models pull --repair 100m`" in err[0]
    assert len(hub.requests) == before
    command = err[0].split("`")[1].split()
    status, _, err = models(*command[2:])
    assert status == 0 and len(err) == 1 and err[0].endswith("; it comes again")
    assert models("verify", "100m", "--offline")[0] == 0
    assert file.read_bytes() == (hub.root / repository / name).read_bytes()


def test_a_codec_goes_with_the_last_model_that_needs_it(models: Run, hub: HubServer) -> None:
    models("pull", "100m", OWN)
    size = sum(each.stat().st_size for each in _stored(hub, SMALL))
    status, out, err = models("rm", "100m", "-y")
    assert status == 0 and out == [f"{size / 1e3:.0f} kB freed"]
    assert err[-1] == f"sonar-llm: the codec stays: {OWN} needs it"
    assert not store.folder(SMALL).exists() and store.folder(SONAR_ENCODER).exists()
    (store.folder(SONAR_DECODER) / "blobs" / "0.incomplete").write_bytes(b"part")
    assert models("rm", OWN, "-y")[0] == 0
    assert [each.name for each in store.cache().glob("models--*")] == []
    assert json.loads(lock.path().read_text())["files"] == {}
    assert models("pull", "100m")[0] == 0


def test_other_files_of_metas_repository_stay(models: Run, hub: HubServer) -> None:
    models("pull", "100m")
    other = store.snapshot(META_SONAR) / "finetuned_decoder.pt"
    other.write_bytes(b"of another use")
    assert models("rm", "100m", "--yes")[0] == 0
    assert other.exists() and not store.folder(SONAR_DECODER).exists()


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (["mini", "-y"], 2, "mini is inside the package and cannot be removed"),
        (["100m", "mini", "-y"], 2, "mini is inside the package and cannot be removed"),
        (["100m"], 2, "there is no terminal to ask on; add -y"),
        (["300m", "-y"], 1, f"{MIDDLE} is not in the cache; there is nothing to remove"),
        (["nothing", "-y"], 2, "unknown model 'nothing'"),
        (["tests", "-y"], 2, "tests is a file or folder of yours; remove it yourself"),
    ],
)
def test_what_cannot_be_removed(
    models: Run, monkeypatch: pytest.MonkeyPatch, words: list[str], status: int, said: str
) -> None:
    monkeypatch.chdir(Path(__file__).parents[2])
    models("pull", "100m", OWN)
    found, out, err = models("rm", *words)
    assert (found, out) == (status, []) and said in err[-1]
    assert store.folder(SMALL).exists()


@pytest.mark.parametrize(("answer", "stays"), [("n\n", True), ("y\n", False)])
def test_removing_asks(
    models: Run, monkeypatch: pytest.MonkeyPatch, answer: str, stays: bool
) -> None:
    import io

    models("pull", "100m")
    terminal = io.StringIO(answer)
    terminal.isatty = lambda: True  # type: ignore[method-assign]
    monkeypatch.setattr("sys.stdin", terminal)
    assert models("rm", "100m")[0] == int(stays)
    assert store.folder(SMALL).exists() == stays
