"""The environment that a compiler is found in: arguments, launchers, no home, folders that are closed."""

import os
import subprocess
from pathlib import Path

import pytest

from biofacenet.kernels import build

TORCH = build.Torch("2.11", Path("/torch/include"), Path("/torch/lib"))


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with programs on the path: compilers, a launcher, and one with a blank in its name."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in ("g++", "ccache", "my g++", "nvcc", "nice"):
        (folder / name).write_text('#!/bin/sh\necho "$0 $@"\n')
        (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    monkeypatch.setenv("BIOFACENET_CACHE", str(tmp_path / "cache"))
    return folder


@pytest.mark.parametrize(
    ("cxx", "words"),
    [
        ("g++ -O2 -march=native", ["g++", "-O2", "-march=native"]),
        ("ccache g++", ["ccache", "g++"]),
        ("  g++  ", ["g++"]),
        ("my g++", ["my g++"]),
        ("g++ -I'/a folder'", ["g++", "-I/a folder"]),
        ("", ["g++"]),
    ],
)
def test_compilers_may_have_words_after_them(
    programs: Path, monkeypatch: pytest.MonkeyPatch, cxx: str, words: list[str]
) -> None:
    monkeypatch.setenv("CXX", cxx)
    assert build.compiler() == [str(programs / words[0]), *words[1:]]
    (command,) = (
        line.removeprefix("  command = ").split(" -std=")[0]
        for line in build._ninja_file(build.CPU, TORCH).splitlines()
        if "-std=" in line
    )
    said = subprocess.run(command, shell=True, capture_output=True, text=True, check=True).stdout
    assert said.split() == [str(programs / words[0]), *words[1:]] or " " in "".join(words)
    assert build._key(build.CPU, TORCH)  # asked for its version, with its words


def test_words_are_part_of_what_a_library_depends_on(
    programs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = set()
    for cxx in ("g++", "g++ -O2", "ccache g++"):
        monkeypatch.setenv("CXX", cxx)
        keys.add(build._key(build.CPU, TORCH))
    assert len(keys) == 3


def test_nvcc_calls_the_compiler_without_its_launcher(
    programs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CXX", "ccache g++ -m64")
    monkeypatch.setenv("CUDACXX", "nvcc -allow-unsupported-compiler")
    command = build._cuda_compile(TORCH)
    assert command[:2] == [str(programs / "nvcc"), "-allow-unsupported-compiler"]
    place = command.index("-ccbin")
    assert command[place + 1 : place + 4] == ["g++", "-Xcompiler", "-m64"]


@pytest.mark.parametrize(
    ("cxx", "said"),
    [
        ("no-such-compiler -O2", "CXX names no-such-compiler, which is no program here"),
        ("g++ 'never closed", "CXX is g++ 'never closed, which is no command"),
    ],
)
def test_what_is_no_compiler_is_one_reason(
    programs: Path, monkeypatch: pytest.MonkeyPatch, cxx: str, said: str
) -> None:
    monkeypatch.setenv("CXX", cxx)
    with pytest.raises(build.BuildError) as error:
        build.cached(build.CPU, TORCH)
    assert str(error.value).startswith(said)


def test_without_a_home_the_remedy_is_said(programs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a container that runs as a user whom it does not know."""
    for name in ("HOME", "BIOFACENET_CACHE", "XDG_CACHE_HOME", "CXX"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)  # says Python then
    with pytest.raises(build.BuildError, match="name a folder in BIOFACENET_CACHE"):
        build.cached(build.CPU, TORCH)


@pytest.mark.parametrize("number", [1, 13, 30])
def test_a_closed_cache_is_one_reason(
    programs: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """Also one in which nothing may be looked at."""
    monkeypatch.delenv("CXX", raising=False)

    def refuse(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    for method in ("is_file", "mkdir"):
        with monkeypatch.context() as patch:
            patch.setattr(Path, method, refuse)
            patch.setattr(build, "_key", lambda *_: "key")
            with pytest.raises(build.BuildError, match="BIOFACENET_CACHE"):
                build.cached(build.CPU, TORCH)
