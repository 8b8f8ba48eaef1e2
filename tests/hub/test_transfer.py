"""Downloads that are killed, refused or altered; the Hub is a server on loopback."""

from __future__ import annotations

import hashlib
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from email.utils import formatdate
from pathlib import Path
from types import SimpleNamespace

import pytest

from sonar_cli.errors import DownloadError
from sonar_cli.hub import answers, store, transfer
from sonar_cli.hub.catalogue import SONAR_LICENCE
from tests.hub.conftest import ROOT, add, environment, run_models
from tests.hub_server import Answer, HubServer, commit, etag, serving

REPOSITORY, WEIGHTS = "some/predictor", "pytorch_model.bin"
# So that a part of it is here long before it is whole.
LARGE = 60_000_000


@pytest.fixture
def hub(here: HubServer, monkeypatch: pytest.MonkeyPatch) -> HubServer:
    """A predictor, and pauses too short to wait for."""
    add(here, REPOSITORY, {"config.json": b"{}", WEIGHTS: b"p" * 3_000_000})
    monkeypatch.setattr(answers, "PAUSES", (0.01,) * 4)
    return here


def _get(said: list[str] | None = None) -> Path:
    """Get the predictor's weights alone."""
    from sonar_cli.hub.download import Hub, Watcher

    hub = Hub(False, Watcher((said if said is not None else []).append))
    found = hub.model(REPOSITORY) / WEIGHTS
    hub.fetch()
    return found


def _partials(cache: Path) -> list[Path]:
    return list(cache.rglob("*.incomplete"))


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGKILL])
def test_a_killed_download_goes_on_with_a_range(tmp_path: Path, end: signal.Signals) -> None:
    data = random.Random(0).randbytes(LARGE)
    cache = tmp_path / "cache"
    with serving(tmp_path / "hub") as hub:
        for each in ("cointegrated/SONAR_200_text_encoder", "raxtemur/SONAR_200_text_decoder"):
            files = {"config.json": b"{}", "model.safetensors": each.encode()}
            add(hub, each, {**files, "sentencepiece.bpe.model": b"s"})
        add(hub, REPOSITORY, {"config.json": b"{}", WEIGHTS: data})
        hub.rest = 0.02
        running = subprocess.Popen(
            [sys.executable, "-m", "sonar_cli", "models", "pull", REPOSITORY],
            env=environment(tmp_path, hub.url),
            cwd=ROOT,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        _wait(lambda: any(each.stat().st_size > 2_000_000 for each in _partials(cache)))
        running.send_signal(end)
        assert running.wait(30) == -end
        (partial,) = _partials(cache)
        kept = partial.stat().st_size
        assert 2_000_000 < kept < LARGE and partial.read_bytes() == data[:kept]
        hub.rest = 0
        done = run_models(tmp_path, hub.url, "pull", REPOSITORY)
        # Nothing of the codec had come yet.
        assert (done.returncode, done.stderr) == (0, f"sonar-llm: {SONAR_LICENCE}\n")
        assert hub.ranges(WEIGHTS) == [0, kept]
    weights = Path(done.stdout.strip()) / WEIGHTS
    assert weights.read_bytes() == data
    assert weights.resolve().name == hashlib.sha256(data).hexdigest()
    assert _partials(cache) == []


def _wait(until: Callable[[], bool]) -> None:
    for _ in range(1200):
        if until():
            return
        time.sleep(0.05)
    raise AssertionError("it never came")


def test_a_partial_file_of_another_name_goes_after_a_day(hub: HubServer) -> None:
    blobs = store.folder(REPOSITORY) / "blobs"
    blobs.mkdir(parents=True)
    for name, age in (("0.abcdef12.incomplete", 2), ("1.abcdef12.incomplete", 0.5)):
        (blobs / name).write_bytes(b"part")
        then = time.time() - age * 86_400
        os.utime(blobs / name, (then, then))
    _get()
    assert [each.name for each in _partials(blobs)] == ["1.abcdef12.incomplete"]


def test_a_server_that_cannot_go_on_is_said(hub: HubServer) -> None:
    hub.break_after, hub.ignores_ranges = 2_500_000, True
    said: list[str] = []
    weights = _get(said)
    assert weights.read_bytes() == b"p" * 3_000_000
    assert said == [
        f"{WEIGHTS} of {REPOSITORY}: the server cannot go on at a given place; it starts over"
    ]
    assert hub.ranges(WEIGHTS)[0] == 0 < hub.ranges(WEIGHTS)[1]


def test_an_altered_part_is_begun_anew(hub: HubServer) -> None:
    wrong = store.folder(REPOSITORY) / "blobs" / f"{etag(WEIGHTS, b'p' * 3_000_000)}.incomplete"
    wrong.parent.mkdir(parents=True)
    wrong.write_bytes(b"q" * 1_000_000)
    said: list[str] = []
    assert _get(said).read_bytes() == b"p" * 3_000_000
    assert len(said) == 1 and "other bytes than the Hub states; it starts over" in said[0]
    assert hub.ranges(WEIGHTS) == [1_000_000, 0]


def test_what_always_comes_altered_is_not_kept(hub: HubServer) -> None:
    other = Answer(200, {"Content-Type": "application/octet-stream"}, b"q" * 3_000_000)
    hub.instead["GET", WEIGHTS] = [other] * 2
    with pytest.raises(DownloadError, match="other bytes than the Hub states, twice"):
        _get()
    assert _partials(store.cache()) == [] and store.cached(REPOSITORY, WEIGHTS) is None


def test_a_token_goes_to_the_hub_alone(hub: HubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    _get()
    assert hub.tokens == {"127.0.0.1"}  # and not localhost, where the contents lie


GATED = {"X-Error-Code": "GatedRepo", "X-Error-Message": "Access is restricted."}
PAGE = Answer(200, {"Content-Type": "text/html"}, b"<html>Log in to this network</html>")


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (Answer(401, GATED), f"{REPOSITORY} is gated: ask for access on its page, http"),
        (Answer(403, GATED), f"{REPOSITORY} is gated: ask for access on its page, http"),
        (Answer(401, {"X-Error-Message": "Invalid credentials"}), "HTTP 401: it needs a log-in"),
        (Answer(403, {"X-Error-Message": "no"}), "HTTP 403: it is forbidden for you (no); ask for"),
        (Answer(404, {"X-Error-Code": "RepoNotFound"}), f"there is no repository {REPOSITORY}"),
        (Answer(410), "HTTP 410: it was removed from the Hub for good; name another model"),
        (Answer(429, {"Retry-After": "3600"}), "too often from here; try again in 60 minutes"),
        (Answer(451), "HTTP 451: it is withheld for legal reasons"),
        (PAGE, "the answer is a web page, not the file; log in to this network"),
    ],
)
def test_a_refusal_says_what_to_do(hub: HubServer, answer: Answer, words: str) -> None:
    hub.instead["HEAD", WEIGHTS] = [answer]
    with pytest.raises(DownloadError) as caught:
        _get()
    message = str(caught.value)
    assert words in message and "\n" not in message
    assert sum(method == "HEAD" and WEIGHTS in path for method, path, _ in hub.requests) == 1
    if answer.status in (401, 403):
        assert "HF_TOKEN" in message or "token" in message


@pytest.mark.parametrize("answer", [Answer(403), Answer(410), PAGE])
def test_the_content_may_be_refused_as_well(hub: HubServer, answer: Answer) -> None:
    hub.instead["GET", WEIGHTS] = [answer]
    with pytest.raises(DownloadError, match="web page" if answer is PAGE else str(answer.status)):
        _get()
    assert store.cached(REPOSITORY, WEIGHTS) is None


@pytest.mark.parametrize("method", ["HEAD", "GET"])
@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_a_failing_hub_is_asked_again(hub: HubServer, method: str, status: int) -> None:
    hub.instead[method, WEIGHTS] = [Answer(status)] * 3
    assert _get().stat().st_size == 3_000_000
    assert hub.instead[method, WEIGHTS] == []


def test_a_hub_that_fails_for_good(hub: HubServer) -> None:
    hub.instead["HEAD", WEIGHTS] = [Answer(503)] * 9
    with pytest.raises(DownloadError, match="HTTP 503: it failed on the Hub's own side, several"):
        _get()
    assert len(hub.instead["HEAD", WEIGHTS]) == 4


def test_a_short_wait_is_waited(hub: HubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[float] = []
    monkeypatch.setattr(transfer, "time", SimpleNamespace(sleep=waited.append))
    hub.instead["HEAD", WEIGHTS] = [
        Answer(429, {"Retry-After": "30"}),
        Answer(429, {"RateLimit": '"resolvers";r=0;t=7'}),
    ]
    said: list[str] = []
    _get(said)
    assert waited == [30, 7]
    assert said == ["the Hub is asked too often and wants 30 seconds of rest"]


def test_a_wait_until_a_time() -> None:
    error = answers.Refused(429, {"Retry-After": formatdate(time.time() + 40, usegmt=True)})
    assert 35 < (answers.pause(error, 1) or 0) <= 41


def test_no_network_is_said(hub: HubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    transfer._network.cache_clear()
    with pytest.raises(DownloadError, match="the Hub cannot be reached"):
        _get()
    assert hub.requests == []


def test_a_connection_that_breaks_again_and_again(
    hub: HubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transfer, "_head", _broken)
    with pytest.raises(DownloadError) as caught:
        _get()
    message = f"could not get config.json of {REPOSITORY} (reset by peer); run it again to go on"
    assert str(caught.value).startswith(message)


def _broken(asked: answers.Asked) -> store.Stated:
    raise answers.BrokenOff("reset by peer\nsecond line")


def test_the_library_finds_what_was_put_there(hub: HubServer) -> None:
    from huggingface_hub import hf_hub_download, scan_cache_dir

    weights = _get()
    before = len(hub.requests)
    assert hf_hub_download(REPOSITORY, WEIGHTS, local_files_only=True) == str(weights)
    assert len(hub.requests) == before
    (repository,) = scan_cache_dir(store.cache()).repos
    (revision,) = repository.revisions
    assert (repository.repo_id, revision.commit_hash) == (REPOSITORY, commit(REPOSITORY))
    assert {file.file_name for file in revision.files} == {"config.json", WEIGHTS}
    assert set(revision.refs) == {"main"}


def test_one_display_shows_all_files(hub: HubServer) -> None:
    from sonar_cli.hub.download import Hub, Watcher

    add(hub, "some/other", {"config.json": b"{}", WEIGHTS: b"o" * 2_000_000})
    totals: list[int] = []
    told: list[tuple[str, int]] = []

    @contextmanager
    def display(total: int) -> Iterator[Callable[[str, int], None]]:
        totals.append(total)
        yield lambda name, done: told.append((name, done))

    both = Hub(False, Watcher(display=display))
    for each in (REPOSITORY, "some/other"):
        both.model(each)
    both.fetch()
    assert totals == [5_000_000]
    assert [name for name, _ in told] == sorted((name for name, _ in told), reverse=True)
    assert {name for name, _ in told} == {f"{WEIGHTS} of {REPOSITORY}", f"{WEIGHTS} of some/other"}
    done = [bytes_here for _, bytes_here in told]
    assert done == sorted(done) and (done[0], done[-1]) == (0, 5_000_000)


def test_a_full_disk_is_told_before(hub: HubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    from sonar_cli.hub import space

    usage = SimpleNamespace(disk_usage=lambda place: SimpleNamespace(free=2_000_000))
    monkeypatch.setattr(space, "shutil", usage)
    with pytest.raises(DownloadError) as caught:
        _get()
    assert str(caught.value) == (
        f"4.0 MB are to be downloaded, but only 2.0 MB are free in {store.cache()}; make room, or "
        "set HF_HOME to a folder on a larger disk"
    )
    assert hub.ranges(WEIGHTS) == []
