"""Settings files, one-line errors, and files written whole or not at all."""

import json
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pytest

from biofacenet.cli import given_names, parse, run
from biofacenet.errors import BackendUnavailableError, BioFaceNetError, DataError
from biofacenet.system.device import choose_device
from biofacenet.system.files import whole_directory, whole_file
from biofacenet.system.settings import load_settings, option, save_settings


@dataclass
class Settings:
    """Do something."""

    out: Path = Path("here")
    """Where."""
    rate: float = 0.5
    count: int | None = None
    names: tuple[str, ...] = ()
    pair: tuple[float, float] | None = None
    kind: Literal["a", "b"] = "a"
    quiet: bool = False


CHANGED = Settings(Path("there"), 2.0, 3, ("x", "y"), (0.1, 1.0), "b", True)


def test_settings_file_round_trip_and_overrides(tmp_path: Path) -> None:
    path = tmp_path / "settings.json"
    save_settings(CHANGED, path)
    assert load_settings(Settings, path) == CHANGED
    assert parse(Settings, ["--settings", str(path)], program="x") == CHANGED
    found = parse(Settings, [f"--settings={path}", "--rate", "7", "--kind", "a"], program="x")
    assert (found.rate, found.kind, found.count) == (7.0, "a", 3)
    assert parse(Settings, [], program="x") == Settings()


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (None, "No such file"),
        ("{", "not a settings file"),
        ("[1]", "list"),
        (json.dumps({"rat": 1}), "'rat'"),
        (json.dumps({"rate": "fast"}), "'rate'"),
        (json.dumps({"count": 1.5}), "'count'"),
        (json.dumps({"kind": "c"}), "'kind'"),
        (json.dumps({"pair": [1.0]}), "'pair'"),
        (json.dumps({"names": "xy"}), "'names'"),
        (json.dumps({"quiet": 1}), "'quiet'"),
    ],
)
def test_bad_settings_files_end_with_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: str | None, word: str
) -> None:
    path = tmp_path / "settings.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(SystemExit) as caught:
        parse(Settings, ["--settings", str(path)], program="x")
    assert caught.value.code == 2
    line = capsys.readouterr().err
    assert line.count("\n") == 1
    assert word in line
    assert str(path) in line


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--settings"], "--settings: expected a file"),
        (["--unknown"], "--unknown: no such option"),
        (["--cuont", "1"], "did you mean --count?"),
        (["--rate", "x"], "--rate x: expected a number, such as 0.5"),
        (["--rate"], "--rate: expected a number, such as 0.5, found no value"),
        (["--rate", "--quiet"], "found no value"),
        (["--count", "1.5"], "--count 1.5: expected a whole number"),
        (["--kind", "c"], "--kind c: expected a or b"),
        (["--pair", "1"], "--pair: expected 2 words, each a number, found 1"),
        (["--quiet=yes"], "--quiet takes no value"),
        (["word"], "word: one word too many"),
        (["-q"], "-q: no such option"),
    ],
)
def test_bad_arguments_end_with_one_line(
    arguments: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        parse(Settings, arguments, program="x")
    assert caught.value.code == 2
    captured = capsys.readouterr()
    assert captured.err.startswith("error: ")
    assert captured.err.endswith("see biofacenet x --help\n")
    assert captured.err.count("\n") == 1
    assert told in captured.err
    assert captured.out == ""


@dataclass
class Inner:
    """What is done to it."""

    light: str | None = option(None, shown="as it is")
    shift: float = 0.0


@dataclass
class Outer:
    """Do something to files."""

    files: tuple[Path, ...] = option(positional=True)
    """Files."""
    inner: Inner = field(default_factory=Inner)
    crop: str = "face"
    many: tuple[int, ...] = ()


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("a b", Outer((Path("a"), Path("b")))),
        ("a --crop whole b", Outer((Path("a"), Path("b")), crop="whole")),
        ("--many 1 2 -- a", Outer((Path("a"),), many=(1, 2))),
        ("--many 1 2 --crop -5,0,90 a", Outer((Path("a"),), many=(1, 2), crop="-5,0,90")),
        ("a --shift -1e-3", Outer((Path("a"),), Inner(shift=-1e-3))),
        ("a --shift=-2 --light D65", Outer((Path("a"),), Inner("D65", -2.0))),
        ("-- -a --crop", Outer((Path("-a"), Path("--crop")))),
        ("a --crop x --crop y", Outer((Path("a"),), crop="y")),
    ],
)
def test_words_become_settings(line: str, expected: Outer) -> None:
    assert parse(Outer, line.split(), program="x") == expected


def test_what_has_no_default_must_be_named(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse(Outer, ["--crop", "whole"], program="x")
    assert capsys.readouterr().err.startswith("error: FILES is missing: Files; see ")


def test_settings_within_settings_start_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "settings.json"
    before = Outer((Path("a"),), Inner("D65", 1.0), many=(3,))
    save_settings(before, path)
    found = parse(Outer, ["--settings", str(path), "--shift", "2", "--light", "None"], program="x")
    assert found == Outer((Path("a"),), Inner(None, 2.0), many=(3,))
    assert load_settings(Outer, path) == before


def test_names_may_be_joined_by_underscores() -> None:
    @dataclass
    class Long:
        two_words: int = 1

    assert parse(Long, ["--two_words", "2"], program="x") == parse(
        Long, ["--two-words", "2"], program="x"
    )
    assert given_names(Long, ["--two_words", "1"]) == {"two_words"}


@pytest.mark.parametrize(
    ("error", "status", "text"),
    [
        (DataError("file.hdf5: bad\nin two lines"), 2, "error: file.hdf5: bad in two lines\n"),
        (PermissionError(13, "Permission denied", "out"), 2, "error: out: Permission denied"),
        (OSError(28, "No space left on device"), 2, "error: No space left on device"),
        (FileNotFoundError(2, "No such file", "a.npz"), 2, "error: a.npz: No such file"),
        (BackendUnavailableError("backend 'cuda' cannot run"), 2, "error: backend 'cuda'"),
        (KeyboardInterrupt(), 130, "stopped\n"),
    ],
)
def test_errors_become_one_line(
    capsys: pytest.CaptureFixture[str], error: BaseException, status: int, text: str
) -> None:
    def main() -> None:
        raise error

    with pytest.raises(SystemExit) as caught:
        run(main)
    assert caught.value.code == status
    line = capsys.readouterr().err
    assert line.startswith(text)
    assert line.count("\n") == 1


def test_programming_errors_keep_their_traceback() -> None:
    def main() -> None:
        raise RuntimeError("a bug")

    with pytest.raises(RuntimeError):
        run(main)


def test_devices() -> None:
    assert choose_device("cpu").type == "cpu"
    assert choose_device("auto").type in ("cpu", "cuda")
    with pytest.raises(BioFaceNetError, match="abacus"):
        choose_device("abacus")


def test_files_are_whole_or_not_there(tmp_path: Path) -> None:
    path = tmp_path / "new" / "file.txt"
    with whole_file(path) as temporary:
        temporary.write_text("one")
        assert temporary.suffix == ".txt"
        assert not path.exists()
    with pytest.raises(KeyboardInterrupt), whole_file(path) as temporary:
        temporary.write_text("half")
        raise KeyboardInterrupt
    assert path.read_text() == "one"
    assert [item.name for item in path.parent.iterdir()] == ["file.txt"]


def test_directories_are_whole_or_not_there(tmp_path: Path) -> None:
    path = tmp_path / "folder"
    for content in ("one", "two"):
        with whole_directory(path) as temporary:
            (temporary / "file").write_text(content)
    with pytest.raises(KeyboardInterrupt), whole_directory(path) as temporary:
        (temporary / "file").write_text("half")
        raise KeyboardInterrupt
    assert (path / "file").read_text() == "two"
    assert [item.name for item in tmp_path.iterdir()] == ["folder"]


def test_a_reader_that_went_away_ends_quietly(capsys: pytest.CaptureFixture[str]) -> None:
    def main() -> None:
        raise BrokenPipeError(32, "Broken pipe")

    with pytest.raises(SystemExit) as caught:
        run(main)
    assert caught.value.code == 141
    assert capsys.readouterr().err == ""


def test_numbers_and_truths_are_not_mixed_up(tmp_path: Path) -> None:
    path = tmp_path / "settings.json"
    for values in ({"rate": True}, {"count": True}, {"kind": ["a"]}, {"out": None}):
        path.write_text(json.dumps(values))
        with pytest.raises(BioFaceNetError, match=next(iter(values))):
            load_settings(Settings, path)
    path.write_text('{"rate": 3}')
    assert isinstance(load_settings(Settings, path).rate, float)


def test_a_value_in_the_file_can_be_taken_back(tmp_path: Path) -> None:
    path = tmp_path / "settings.json"
    save_settings(CHANGED, path)
    options = ["--count", "None", "--pair", "None", "--names", "z", "--no-quiet"]
    found = parse(Settings, ["--settings", str(path), *options], program="x")
    assert (found.count, found.pair, found.names, found.quiet) == (None, None, ("z",), False)
    assert (found.out, found.rate, found.kind) == (CHANGED.out, CHANGED.rate, CHANGED.kind)


@pytest.fixture
def usual_umask() -> Iterator[None]:
    before = os.umask(0o022)
    yield
    os.umask(before)


@pytest.mark.usefixtures("usual_umask")
def test_others_may_read_what_was_written(tmp_path: Path) -> None:
    """Temporary files are private; finished ones have the permissions of any new file."""
    with whole_file(tmp_path / "file") as temporary:
        temporary.write_text("one")
    with whole_directory(tmp_path / "folder"):
        pass
    modes = [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("file", "folder")]
    assert modes == [0o644, 0o755]


def test_a_file_is_not_replaced_by_a_directory_nor_the_reverse(tmp_path: Path) -> None:
    file, folder = tmp_path / "file", tmp_path / "folder"
    file.write_text("one")
    folder.mkdir()
    with pytest.raises(OSError, match="directory"), whole_directory(file):
        pass
    with pytest.raises(IsADirectoryError), whole_file(folder) as temporary:
        temporary.write_text("two")
    assert file.read_text() == "one"
    assert sorted(item.name for item in tmp_path.iterdir()) == ["file", "folder"]
