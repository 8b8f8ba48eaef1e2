"""The cache of vectors: by content, bounded, and nothing that a broken file can stop."""

from __future__ import annotations

import sqlite3
import stat
from pathlib import Path

import pytest

from sonar_cli.errors import CacheError
from sonar_cli.summary import cache

BIG = 10**7


def _entries(count: int, start: int = 0, size: int = 400) -> dict[bytes, bytes]:
    return {bytes([*divmod(start + i, 256)]) * 8: bytes([i % 256]) * size for i in range(count)}


def test_what_is_put_is_found_by_another_run(tmp_path: Path) -> None:
    entries = _entries(1_200)
    with cache.opened(tmp_path, BIG) as one:
        one.put(entries)
    with cache.opened(tmp_path, BIG) as two:
        assert two.get([*entries, b"missing"]) == entries


def test_keys_tell_codec_language_and_text_apart() -> None:
    keys = {cache.key(*parts) for parts in [("a", "b", "c"), ("a", "c", "b"), ("ab", "", "c")]}
    assert len(keys) == 3
    assert cache.key("a", "b", "\ud800")


def test_it_stays_within_its_bound_and_the_longest_unused_go_first(tmp_path: Path) -> None:
    old, newer = _entries(300), _entries(300, start=300)
    with cache.opened(tmp_path, BIG) as one:
        one.put(old)
        full = one.info(tmp_path).bytes
    bound = int(1.5 * full)
    with cache.opened(tmp_path, bound) as two:
        two.put(newer)
    kept = list(old)[:50]
    with cache.opened(tmp_path, bound) as three:
        kept = list(three.get(kept))
        three.put(_entries(300, start=600))
        assert three.info(tmp_path).bytes <= bound
    with cache.opened(tmp_path, bound) as four:
        assert list(four.get(kept)) == kept
        assert len(four.get(list(_entries(300, start=600)))) == 300
        assert len(four.get(list(newer))) < 300


def test_a_write_that_fails_keeps_nothing_of_it(tmp_path: Path) -> None:
    with cache.opened(tmp_path, BIG) as one:
        with pytest.raises(Exception, match="NOT NULL"):
            one.put({b"a": b"1", b"b": None})  # type: ignore[dict-item]
        assert one.get([b"a"]) == {}


@pytest.mark.parametrize("broken", [b"this is no database, by far" * 50, b""])
def test_a_broken_file_is_made_anew(tmp_path: Path, broken: bytes) -> None:
    (tmp_path / cache.FILE).write_bytes(broken)
    with cache.opened(tmp_path, BIG) as one:
        one.put({b"a": b"1"})
        assert one.get([b"a"]) == {b"a": b"1"}


def test_another_format_is_made_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with cache.opened(tmp_path, BIG) as one:
        one.put({b"a": b"1"})
    monkeypatch.setattr(cache, "_FORMAT", 99)
    with cache.opened(tmp_path, BIG) as two:
        assert two.get([b"a"]) == {}


def test_two_runs_at_once(tmp_path: Path) -> None:
    with cache.opened(tmp_path, BIG) as one, cache.opened(tmp_path, BIG) as two:
        one.put({b"a": b"1"})
        two.put({b"b": b"2"})
        assert one.get([b"a", b"b"]) == two.get([b"a", b"b"]) == {b"a": b"1", b"b": b"2"}


def test_only_its_user_reads_it(tmp_path: Path) -> None:
    folder = tmp_path / "new"
    with cache.opened(folder, BIG):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert stat.S_IMODE((folder / cache.FILE).stat().st_mode) == 0o600


def test_info_and_clear(tmp_path: Path) -> None:
    assert cache.info(tmp_path) == cache.CacheInfo(str(tmp_path / cache.FILE), 0, 0)
    with cache.opened(tmp_path, BIG) as one:
        one.put(_entries(5))
    found = cache.info(tmp_path)
    assert found.vectors == 5
    assert found.bytes > 5 * 400
    assert cache.clear(tmp_path) > 0
    assert cache.clear(tmp_path) == 0
    assert list(tmp_path.iterdir()) == []


def test_files_are_told_apart_by_place_size_and_time(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    one.write_text("a")
    two.write_text("a")
    assert cache.files_identity(one) != cache.files_identity(two)
    before = cache.files_identity(tmp_path)
    two.write_text("ab")
    assert cache.files_identity(tmp_path) != before


def test_what_cannot_be_deleted_is_an_error_of_the_cache(tmp_path: Path) -> None:
    (tmp_path / cache.FILE).mkdir()
    with pytest.raises(CacheError, match=f"^{tmp_path / cache.FILE}: [A-Z]"):
        cache.clear(tmp_path)


def _told(folder: Path) -> list[str]:
    told: list[str] = []
    with cache.opened(folder, BIG, told.append) as one:
        one.put({b"a": b"1"})
        assert one.get([b"a"]) == {b"a": b"1"}
    return told


def test_a_file_that_is_damaged_is_made_anew_and_said(tmp_path: Path) -> None:
    file = tmp_path / cache.FILE
    assert _told(tmp_path) == []
    for damage in (b"this is no database, by far" * 50, file.read_bytes()[:5000]):
        file.write_bytes(damage)
        assert _told(tmp_path) == [f"{file} is damaged or no cache of vectors; it is made anew"]
        assert _told(tmp_path) == []


@pytest.mark.parametrize(
    "change",
    [
        "DROP TABLE vectors; CREATE TABLE vectors (a, b)",
        "UPDATE vectors SET used = 'now'",
        "UPDATE vectors SET used = 9223372036854775807",
        "UPDATE vectors SET used = -5",
    ],
)
def test_a_database_of_something_else_is_made_anew(tmp_path: Path, change: str) -> None:
    file = tmp_path / cache.FILE
    assert _told(tmp_path) == []
    with sqlite3.connect(file) as database:
        database.executescript(change)
    database.close()
    assert _told(tmp_path) == [f"{file} is damaged or no cache of vectors; it is made anew"]


def test_damage_that_comes_up_late_costs_one_run(tmp_path: Path) -> None:
    file = tmp_path / cache.FILE
    with cache.opened(tmp_path, BIG) as one:
        one.put(_entries(2_000))
    raw = bytearray(file.read_bytes())
    for page in range(4096, len(raw), 4096):
        if raw[page] == 0x0D:  # one of the table's rows, which opening it does not read
            raw[page : page + 4096] = b"\xff" * 4096
    file.write_bytes(raw)
    with cache.opened(tmp_path, BIG) as two, pytest.raises(CacheError, match="is damaged"):
        two.get(list(_entries(2_000)))
    assert not file.exists()
    assert _told(tmp_path) == []
