"""The journal of long work: nothing that was done is lost, and nothing else is taken for done."""

import os
from pathlib import Path

import pytest

from biofacenet.errors import DataError
from biofacenet.system.journal import Journal

HEADING = {"photos": ["a.jpg", "caf\udce9.jpg"]}


def journal(path: Path, count: int = 3) -> bytes:
    with Journal(path, HEADING) as made:
        for key in range(count):
            made.add(key, [0.1 * key, None, "=1+1\n"])
    return path.read_bytes()


def test_what_was_written_is_read(tmp_path: Path) -> None:
    journal(tmp_path / "j")
    with Journal.opened(tmp_path / "j") as again:
        assert again.heading == HEADING
        assert [again[key] for key in range(3)] == [[0.1 * k, None, "=1+1\n"] for k in range(3)]
        again.add(7, "seven")
        assert again[7] == "seven"
        assert 7 in again
        assert 3 not in again
        assert len(again) == 4


def test_a_line_cut_off_anywhere_is_not_done_and_work_goes_on(tmp_path: Path) -> None:
    whole = journal(tmp_path / "j")
    start = whole.rindex(b"\n", 0, -1) + 1
    for end in range(start, len(whole)):
        (tmp_path / "j").write_bytes(whole[:end])
        with Journal.opened(tmp_path / "j") as again:
            assert 2 not in again
            assert len(again) == 2
            again.add(2, "again")
        with Journal.opened(tmp_path / "j") as again:
            assert again[2] == "again"
            assert again[1] == [0.1, None, "=1+1\n"]


def test_damaged_lines_are_not_done(tmp_path: Path) -> None:
    lines = journal(tmp_path / "j").splitlines(keepends=True)
    for bad in (b"\n", b"\xff\n", lines[2].replace(b"0.1", b"0.9"), b"00000000 [1,2]\n"):
        (tmp_path / "j").write_bytes(lines[0] + lines[1] + bad + lines[3])
        with Journal.opened(tmp_path / "j", writing=False) as again:
            assert [key for key in range(5) if key in again] == [0, 2]
            assert again.damaged == 1


def test_without_its_heading_it_is_refused(tmp_path: Path) -> None:
    whole = journal(tmp_path / "j")
    for text in (b"", whole[1:], b"face,region\n", b"\x00" * 100):
        (tmp_path / "j").write_bytes(text)
        with pytest.raises(DataError, match=r"j: damaged.*remove it"):
            Journal.opened(tmp_path / "j")
        assert (tmp_path / "j").read_bytes() == text


def test_a_line_that_does_not_fit_leaves_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = journal(tmp_path / "j")
    with Journal.opened(tmp_path / "j") as again:
        write = os.write
        monkeypatch.setattr("os.write", lambda file, text: write(file, text[:10]))
        with pytest.raises(OSError, match="No space left"):
            again.add(3, "no room")
        monkeypatch.undo()
        assert 3 not in again
    assert (tmp_path / "j").read_bytes() == whole


def test_values_that_are_no_json_are_refused(tmp_path: Path) -> None:
    with Journal(tmp_path / "j", HEADING) as made, pytest.raises(ValueError, match="JSON"):
        made.add(0, float("nan"))
