"""Where results are written: whole or not at all, and nothing that was there is lost."""

from __future__ import annotations

import errno
import os
import resource
import stat
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path

import pytest

from sonar_cli import render
from sonar_cli.errors import UsageError
from sonar_cli.render.output import write_whole


@pytest.fixture
def old(tmp_path: Path) -> Path:
    file = tmp_path / "out.txt"
    file.write_text("old\n")
    file.chmod(0o640)
    return file


def _write(path: object, text: str = "new\n", inputs: Sequence[str] = ()) -> None:
    with render.opened(str(path), inputs) as out:
        out.write(text)


def _names(folder: Path) -> list[str]:
    return sorted(each.name for each in folder.iterdir())


def test_a_file_is_there_when_it_is_complete_with_the_mode_of_the_old(old: Path) -> None:
    with render.opened(str(old)) as out:
        out.write("new\n")
        out.flush()
        assert old.read_text() == "old\n" and len(_names(old.parent)) == 2
    assert old.read_text() == "new\n" and stat.S_IMODE(old.stat().st_mode) == 0o640
    assert _names(old.parent) == ["out.txt"]


def test_a_new_file_has_the_mode_of_any_new_file(tmp_path: Path) -> None:
    (tmp_path / "other").write_text("")
    _write(tmp_path / ("long " * 50))
    made = next(each for each in tmp_path.iterdir() if each.name != "other")
    assert (
        made.read_text() == "new\n" and made.stat().st_mode == (tmp_path / "other").stat().st_mode
    )


@pytest.mark.parametrize("target", ["out.txt", "missing.txt"])
def test_a_link_stays_and_its_target_is_written(old: Path, target: str) -> None:
    link = old.with_name("link")
    link.symlink_to(target)
    _write(link)
    assert link.is_symlink() and old.with_name(target).read_text() == "new\n"


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError, OSError])
def test_what_was_written_stays_when_the_work_ends_early(old: Path, error: type) -> None:
    with pytest.raises(error), render.opened(str(old)) as out:
        out.write("half\n")
        raise error("not of the file")
    assert old.read_text() == "half\n" and _names(old.parent) == ["out.txt"]


def test_where_nothing_was_written_the_old_file_stays(old: Path) -> None:
    for path in (old, old.with_name("new")):
        with pytest.raises(KeyboardInterrupt), render.opened(str(path)):
            raise KeyboardInterrupt
    assert old.read_text() == "old\n" and _names(old.parent) == ["out.txt"]
    _write(old, "")  # nothing to write is a result, too
    assert old.read_text() == ""


@pytest.mark.parametrize("flushed", [True, False])
def test_what_cannot_be_written_whole_leaves_the_old_file(old: Path, flushed: bool) -> None:
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, limits[1]))
    try:
        with pytest.raises(OSError) as caught, render.opened(str(old)) as out:
            out.write("new\n" * 100)
            if flushed:
                out.flush()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert (caught.value.errno, caught.value.filename) == (errno.EFBIG, str(old))
    assert old.read_text() == "old\n" and _names(old.parent) == ["out.txt"]


def test_a_place_that_is_not_there_is_named(tmp_path: Path) -> None:
    path = str(tmp_path / "nowhere" / "out.txt")
    with pytest.raises(FileNotFoundError) as caught:
        write_whole(b"new", path)
    assert caught.value.filename == path


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_file_that_may_not_be_written_is_not_replaced(old: Path) -> None:
    old.chmod(0o440)
    with pytest.raises(PermissionError) as caught:
        _write(old)
    assert caught.value.filename == str(old) and old.read_text() == "old\n"


def test_a_file_that_cannot_be_replaced_is_filled(
    old: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As one that is mounted, or that lies in a folder which takes no new files."""
    temporary = tmp_path_factory.mktemp("temporary")
    monkeypatch.setattr(tempfile, "gettempdir", lambda: str(temporary))
    monkeypatch.setattr(Path, "with_name", lambda self, name: Path("/nowhere", name))

    def replace(source: object, target: object) -> None:
        raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))

    monkeypatch.setattr(os, "replace", replace)
    identity = old.stat().st_ino
    _write(old)
    assert (old.read_text(), old.stat().st_ino) == ("new\n", identity)
    assert _names(temporary) == []


def test_an_input_is_not_overwritten(old: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    link, hard = old.with_name("link"), old.with_name("hard")
    link.symlink_to(old)
    os.link(old, hard)
    for path in (old, link, hard):
        with pytest.raises(UsageError, match="one of the files that are read"):
            _write(path, inputs=["missing", str(old)])
    identity = old.stat()
    with monkeypatch.context() as patched:
        patched.setattr(os, "fstat", lambda number: identity)  # as if it were standard input
        with pytest.raises(UsageError, match="give -o another"):
            _write(old, inputs=["-"])
    assert old.read_text() == "old\n"


def test_pipes_and_devices_are_written_to_as_they_are(tmp_path: Path) -> None:
    _write(os.devnull)
    assert stat.S_ISCHR(os.stat(os.devnull).st_mode)
    pipe, read = tmp_path / "pipe", []
    os.mkfifo(pipe)
    reader = threading.Thread(target=lambda: read.append(pipe.read_text()))
    reader.start()
    _write(pipe)
    reader.join(60)
    assert read == ["new\n"] and stat.S_ISFIFO(pipe.stat().st_mode) and _names(tmp_path) == ["pipe"]


@pytest.mark.skipif(not os.path.exists("/dev/fd"), reason="no names for open files here")
def test_what_is_open_already_goes_on_where_it_stands(tmp_path: Path) -> None:
    file, link = tmp_path / "out.txt", tmp_path / "link"
    with file.open("w") as out:
        out.write("first\n")
        out.flush()
        link.symlink_to(f"/dev/fd/{out.fileno()}")
        _write(f"/dev/fd/{out.fileno()}")
        _write(link)
        out.write("last\n")
    assert file.read_text() == "first\nnew\nnew\nlast\n"


def test_stdout_by_its_name_is_stdout(capsys: pytest.CaptureFixture[str]) -> None:
    for path in ("/dev/stdout", "/dev/fd/1"):
        if os.path.exists(path):
            _write(path)
            assert capsys.readouterr().out == "new\n"
