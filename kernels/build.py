"""Compile the native library: command lines, cache, lock.

Needs neither torch nor the package to be imported: setup.py loads this file by its path.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

__all__ = ["BuildError", "Torch", "build", "cached", "compiler", "prebuilt", "sources"]

SUFFIX = ".dylib" if sys.platform == "darwin" else ".so"
NAME = f"libbiofacenet_cpu{SUFFIX}"
FLAGS = (
    "-std=c++17",
    "-O3",
    "-fPIC",
    "-fvisibility=hidden",
    "-ffp-contract=fast",
    "-fno-math-errno",
    "-fno-trapping-math",
    "-Wall",
    "-Wextra",
)
STABLE_ABI = "-DTORCH_TARGET_VERSION=0x020b000000000000ULL"  # torch 2.11 and everything newer
X86 = platform.machine().lower() in ("x86_64", "amd64")
INSTRUCTION_SETS: dict[str, tuple[str, ...]] = {"baseline": ()}
if X86:
    INSTRUCTION_SETS |= {
        "avx2": ("-mavx2", "-mfma"),
        "avx512": (
            *("-mavx2", "-mfma", "-mavx512f", "-mavx512bw", "-mavx512dq", "-mavx512vl"),
            "-mprefer-vector-width=512",
        ),
    }
LOCK_SECONDS = 180.0


class BuildError(Exception):
    """The library cannot be built here; the message says why, in one line."""


@dataclass(frozen=True)
class Torch:
    """What the build needs to know of torch."""

    version: str
    include: Path
    lib: Path

    @classmethod
    def at(cls, version: str, package: str | Path) -> Torch:
        """The torch whose package folder this is."""
        return cls(version, Path(package) / "include", Path(package) / "lib")


def sources() -> Path:
    """Folder of the native sources, in a checkout as in an installation."""
    return Path(__file__).resolve().parent.parent / "csrc"


def prebuilt() -> Path:
    """Where setup.py puts the library of a wheel."""
    return Path(__file__).resolve().parent / NAME


def compiler() -> str:
    """The C++ compiler: CXX, or the first of the usual names.

    Raises:
        BuildError: there is none.
    """
    named = os.environ.get("CXX", "").strip()
    for name in [named] if named else ["g++", "clang++", "c++"]:
        found = shutil.which(name)
        if found:
            return found
    raise BuildError(
        f"CXX names {named}, which is no program here"
        if named
        else "no C++ compiler (looked for g++, clang++ and c++); install one or set CXX"
    )


def _ninja() -> str:
    try:
        import ninja

        return str(Path(ninja.BIN_DIR) / "ninja")
    except ImportError:
        found = shutil.which("ninja")
        if not found:
            raise BuildError("ninja is missing; pip install ninja") from None
        return found


def _run(command: list[str], folder: Path | None = None, seconds: float = 600.0) -> str:
    try:
        done = subprocess.run(
            command, cwd=folder, capture_output=True, text=True, timeout=seconds, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise BuildError(f"{command[0]} did not run: {error}") from error
    if done.returncode != 0:
        lines = [line for line in (done.stdout + done.stderr).splitlines() if line.strip()]
        first = next((line for line in lines if "error" in line.lower()), "no message")
        failure = BuildError(f"{Path(command[0]).name} failed: {first.strip()}")
        failure.__cause__ = RuntimeError("\n".join(lines))
        raise failure
    return done.stdout


def _ninja_file(cxx: str, torch: Torch) -> str:
    """One object for each instruction set, one for the library's face, and the link."""

    def quoted(path: str | Path) -> str:
        return str(path).replace("$", "$$").replace(" ", "$ ").replace(":", "$:")

    # Ninja runs a shell: quote what it expands into the command line.
    def shell(path: str | Path) -> str:
        return '"' + str(path).replace("$", "$$") + '"'

    cpu = sources() / "cpu"
    x86 = "-DBIOFACENET_X86" if X86 else ""
    undefined = "-undefined dynamic_lookup" if sys.platform == "darwin" else ""
    objects = [f"{name}.o" for name in INSTRUCTION_SETS]
    lines = [
        "rule compile",
        f"  command = {shell(cxx)} {' '.join(FLAGS)} $flags -MMD -MF $out.d -c $in -o $out",
        "  depfile = $out.d",
        "rule link",
        f"  command = {shell(cxx)} -shared $in -o $out -L{shell(torch.lib)} -ltorch_cpu -ltorch "
        f"-lc10 {undefined}",
    ]
    for name, flags in INSTRUCTION_SETS.items():
        lines += [
            f"build {name}.o: compile {quoted(cpu / 'kernel.cpp')}",
            f"  flags = -DBIOFACENET_TARGET={name} {' '.join(flags)}",
        ]
    lines += [
        f"build library.o: compile {quoted(cpu / 'library.cpp')}",
        f"  flags = {STABLE_ABI} {x86} -isystem {shell(torch.include)}",
        f"build {NAME}: link {' '.join(objects)} library.o",
        "",
    ]
    return "\n".join(lines)


def build(torch: Torch, target: Path) -> None:
    """Compile the library and put it at `target`, whole or not at all.

    Raises:
        BuildError: no compiler, or it failed; the cause has the compiler's output.
    """
    cxx, ninja = compiler(), _ninja()
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".build-", dir=target.parent) as name:
        folder = Path(name)
        (folder / "build.ninja").write_text(_ninja_file(cxx, torch))
        _run([ninja, "-C", str(folder)])
        (folder / NAME).replace(target)


def _cache() -> Path:
    named = os.environ.get("BIOFACENET_CACHE")
    if named:
        return Path(named)
    home = os.environ.get("XDG_CACHE_HOME")
    return (Path(home) if home else Path.home() / ".cache") / "biofacenet"


def _key(torch: Torch) -> str:
    """Everything that the library depends on."""
    cxx = compiler()
    digest = hashlib.sha256()
    digest.update(_run([cxx, "--version"], seconds=30).encode())
    digest.update(_ninja_file(cxx, torch).encode())
    digest.update(f"{torch.version} {platform.machine()}".encode())
    for path in sorted(sources().rglob("*")):
        if path.suffix in (".h", ".cpp"):
            digest.update(path.read_bytes())
    return digest.hexdigest()[:20]


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    """One process at a time, where there are such locks; never waits for ever.

    The lock is the operating system's and ends with the process that holds it. Whoever waited too
    long builds as well: the result is put in place in one step, so that does no harm.
    """
    try:
        import fcntl
    except ImportError:
        yield
        return
    with path.open("w") as file:
        end = time.monotonic() + LOCK_SECONDS
        while time.monotonic() < end:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except OSError:
                time.sleep(0.1)
        yield


def cached(torch: Torch, *, retry: bool = False) -> Path:
    """The library of these sources, compiler and torch; built unless it is there.

    Args:
        torch: the torch that will load it.
        retry: build even if the same build has failed before.

    Raises:
        BuildError: it cannot be built. The compiler's output is kept beside where the library would
            be, and the same build is not tried again.
    """
    folder = _cache() / _key(torch)
    library, log = folder / NAME, folder / "error.txt"
    if library.is_file():
        return library
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with _locked(folder / "lock"):
            if library.is_file():
                return library
            if log.is_file() and not retry:
                first = (log.read_text().splitlines() or ["no message"])[0]
                raise BuildError(
                    f"{first} (kept in {log}; python -m biofacenet.doctor tries again)"
                )
            try:
                build(torch, library)
            except BuildError as error:
                log.write_text(f"{error}\n\n{error.__cause__ or ''}\n")
                raise
            log.unlink(missing_ok=True)
    except OSError as error:
        raise BuildError(
            f"{folder} cannot be written ({error}); name another folder in BIOFACENET_CACHE"
        ) from error
    return library
