"""Each check of the doctor, on machines and installations that lack something."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from packaging.requirements import Requirement

from sonar_cli.doctor import data, environment, machine, packages, places, trial
from sonar_cli.doctor.checks import checks
from sonar_cli.doctor.findings import Check, Finding, examine
from sonar_cli.model.codec.base import Decoded


def _one(found: Iterable[Finding]) -> Finding:
    (finding,) = found
    return finding


def test_a_check_that_fails_is_a_finding_and_ends_none() -> None:
    def leaves() -> Iterable[Finding]:
        yield Finding("first", "good", "")
        raise SystemExit("a package that exits")

    found = list(examine([Check("a", "check", leaves), Check("b", "next", leaves)]))
    assert [(section, each.name, each.state) for section, each in found] == [
        ("a", "first", "good"), ("a", "check", "wrong"),
        ("b", "first", "good"), ("b", "next", "wrong"),
    ]  # fmt: skip
    assert found[1][1].found == "SystemExit: a package that exits" and found[1][1].remedy


def test_what_needs_a_broken_package_is_not_looked_at() -> None:
    def broken() -> Iterable[Finding]:
        yield Finding("torch", "wrong", "it is broken")

    found = [each for _, each in examine([
        Check("a", "packages", broken), Check("a", "GPUs", broken, needs=("nltk", "torch")),
    ])]  # fmt: skip
    assert [(each.name, each.state) for each in found] == [("torch", "wrong"), ("GPUs", "missing")]
    assert found[1].found == "not looked at, because torch cannot be used"


def test_what_checks_need_are_names_of_packages() -> None:
    names = {each.name for each in packages._requirements("")}
    assert names >= {name for each in checks(None, list) for name in each.needs}


@pytest.mark.parametrize(
    ("text", "found", "remedy"),
    [
        ("torch>=99", f"{torch.__version__}, but >=99 is needed", "pip install 'torch>=99'"),
        ("no-such>=1", "not installed; >=1 is needed", "pip install 'no-such>=1'"),
    ],
)
def test_packages_that_are_missing_or_out_of_range(text: str, found: str, remedy: str) -> None:
    finding = packages._package(Requirement(text))
    assert (finding.state, finding.found, finding.remedy) == ("wrong", found, remedy)


@pytest.mark.parametrize("error", [ImportError("libc10.so: no"), OSError("x"), SystemExit(3)])
def test_a_package_that_cannot_be_imported(monkeypatch, error: BaseException) -> None:
    def fails(name: str) -> None:
        raise error

    monkeypatch.setattr(packages, "import_module", fails)
    finding = packages._package(Requirement("torch>=2"))
    assert finding.state == "wrong" and "cannot be imported" in finding.found
    assert type(error).__name__ in finding.found and "--force-reinstall" in finding.remedy


def test_torchs_build(monkeypatch: pytest.MonkeyPatch) -> None:
    for cuda, hip, name in ((None, None, "the CPU"), ("12.4", None, "CUDA 12.4"),
                            (None, "6.1", "ROCm 6.1")):  # fmt: skip
        monkeypatch.setattr("torch.version.cuda", cuda)
        monkeypatch.setattr("torch.version.hip", hip, raising=False)
        found = packages._package(Requirement("torch"))
        assert (found.state, found.values["build"]) == ("good", name)


def test_this_installation_is_good() -> None:
    for check in (packages.program, packages.python, packages.needed):
        assert {each.state for each in check()} == {"good"}


def test_another_python(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.python_version", lambda: "3.9.1")
    finding = _one(packages.python())
    assert finding.state == "wrong" and ">=3.10" in finding.remedy


def test_without_metadata_the_program_still_tells(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packages, "NAME", "no-such-program")
    assert [each.state for each in packages.program()] == ["good", "missing"]
    assert list(packages.needed()) == []
    assert _one(packages.python()).state == "good"


def test_extras(monkeypatch: pytest.MonkeyPatch) -> None:
    held = {"Provides-Extra": ["train"], "Requires-Dist": [
        'torch>=2; extra == "train"', 'no-such; extra == "train"', "click>=8",
        'nltk<1; extra == "train"', 'also-no; extra == "dev"',
    ]}  # fmt: skip
    monkeypatch.setattr(packages, "_all", held.__getitem__)
    finding = list(packages.extras())[-1]
    assert (finding.name, finding.state) == ("train", "missing")
    first, second = finding.values["lacks"]
    assert first == "no-such" and second.startswith("nltk<1 (but ")
    assert finding.remedy == "pip install 'sonar-llm[train]'"
    held["Requires-Dist"] = ['torch>=2; extra == "train"']
    assert list(packages.extras())[-1].state == "good"


def test_every_extra_says_what_it_is_for() -> None:
    toml = importlib.import_module("tomllib" if sys.version_info >= (3, 11) else "tomli")
    project = toml.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    assert packages.EXTRAS.keys() == project["optional-dependencies"].keys()


def test_memory_of_linux_and_of_others(monkeypatch, tmp_path: Path) -> None:
    info, limit = tmp_path / "meminfo", tmp_path / "memory.max"
    monkeypatch.setattr(machine, "_MEMINFO", info)
    monkeypatch.setattr(machine, "_LIMIT", limit)
    info.write_text("MemTotal:  4000000 kB\nMemFree: 5 kB\nMemAvailable: 1000000 kB\n")
    limit.write_text("max\n")
    assert _one(machine.memory()).found == "4.1 GB, 1.0 GB free"
    limit.write_text("2000000000\n")
    found = _one(machine.memory())
    assert found.found == "4.1 GB, 1.0 GB free, of which this container may take 2.0 GB"
    assert found.values["limit_bytes"] == 2_000_000_000
    info.write_text("nonsense\n")
    monkeypatch.setattr("os.sysconf", lambda name: 100_000, raising=False)
    found = _one(machine.memory())
    assert (found.values["total_bytes"], found.values["free_bytes"]) == (10**10, None)
    monkeypatch.delattr("os.sysconf", raising=False)
    assert _one(machine.memory()).state == "missing"


def test_the_cpu_names_its_instruction_sets(monkeypatch: pytest.MonkeyPatch) -> None:
    for flag in ("_is_avx2_supported", "_is_vnni_supported"):
        monkeypatch.setattr(torch.cpu, flag, lambda: True)
    for flag in ("_is_avx512_supported", "_is_avx512_bf16_supported", "_is_amx_tile_supported"):
        monkeypatch.setattr(torch.cpu, flag, lambda: False, raising=False)
    assert _one(machine.cpu()).found.endswith(": AVX2, VNNI")


def _with_gpus(monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    fakes: dict[str, Callable[..., object]] = {
        "is_available": lambda: count > 0,
        "device_count": lambda: count,
        "get_device_name": lambda number: f"GPU {number}",
        "mem_get_info": lambda number: (3 * 10**9, 8 * 10**9),
        "is_bf16_supported": lambda including_emulation: False,
    }
    for name, fake in fakes.items():
        monkeypatch.setattr(torch.cuda, name, fake)


def test_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.backends.mps.is_available", lambda: True)
    _with_gpus(monkeypatch, 2)
    *cuda, mps = machine.gpus()
    assert [each.name for each in cuda] == ["cuda:0", "cuda:1"]
    assert cuda[1].found == "GPU 1, 8.0 GB, 3.0 GB free, no bfloat16: take --dtype float16"
    assert mps.state == "unused"


def test_a_gpu_that_torch_cannot_use(monkeypatch: pytest.MonkeyPatch) -> None:
    _with_gpus(monkeypatch, 0)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr("shutil.which", lambda name: f"/usr/bin/{name}")
    for cuda, words in ((None, "built for the CPU"), ("12.4", "for CUDA 12.4, does not find it")):
        monkeypatch.setattr("torch.version.cuda", cuda)
        found = {each.name: each for each in machine.gpus()}
        assert found["CUDA"].state == "missing" and words in found["NVIDIA GPU"].found
        assert found["NVIDIA GPU"].state == "unused" and found["NVIDIA GPU"].remedy


def test_a_cache_is_measured_and_not_made(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "cache"
    found = _one(places.vectors(folder))
    assert found.state == "good" and found.found.startswith(f"{folder}: 0 vectors, 0.0 MB; ")
    assert list(tmp_path.iterdir()) == []


def test_a_cache_that_cannot_be_written_to(tmp_path: Path) -> None:
    """A file stands where the folder would be, which no user, not even root, can write into."""
    (tmp_path / "file").write_text("")
    found = _one(places.vectors(tmp_path / "file" / "cache"))
    assert found.state == "wrong" and "cannot be written to" in found.found
    assert "--cache-dir" in found.remedy


def test_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda path: SimpleNamespace(free=1_000_000))
    for check in (lambda: places.vectors(tmp_path), places.int8, places.hub):
        found = _one(check())
        assert found.state == "wrong" and "the disk is full, 1.0 MB are free" in found.found
        assert found.remedy.startswith("free some space")


def test_the_hubs_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    assert _one(places.hub()).values["place"] == str(tmp_path)
    monkeypatch.setattr(places, "_unwritable", lambda folder: "Read-only file system")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    assert _one(places.hub()).state == "wrong"
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    assert "for reading alone" in _one(places.hub()).found


def test_punkt(monkeypatch: pytest.MonkeyPatch) -> None:
    for there, state in ((True, "good"), (False, "missing")):
        monkeypatch.setattr("sonar_cli.text.sent_tokenize.has_data", lambda there=there: there)
        found = _one(data.punkt())
        assert found.state == state and ("nltk.download" in found.remedy) is not there


def test_variables_without_their_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    monkeypatch.setenv("HF_ENDPOINT", "https://lily:secret@mirror.example")
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    found = {each.name: each.found for each in environment.others()}
    assert found["OMP_NUM_THREADS"] == "3" and "mirror.example" in found["HF_ENDPOINT"]
    assert "secret" not in "".join(found.values())


def test_the_trial_knows_a_wrong_result(monkeypatch: pytest.MonkeyPatch) -> None:
    threads = torch.get_num_threads()
    try:
        assert [each.state for each in trial.mini()] == ["good", "good"]
        wrong = Decoded("Tom had a boat.", (), 0.0)
        monkeypatch.setattr("sonar_cli.api.SonarLLM.decode", lambda *_: [wrong])
        monkeypatch.setattr("sonar_cli.api.SonarLLM.continue_", lambda *_, **__: [])
        back, written = trial.mini()
        assert back.state == written.state == "wrong" and back.remedy
        assert back.found.endswith('comes back as "Tom had a boat."')
    finally:
        torch.set_num_threads(threads)
