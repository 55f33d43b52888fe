"""Compile the native libraries: command lines, cache, lock.

Needs neither torch nor the package to be imported: setup.py loads this file by its path.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import platform
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

SUFFIX = ".dylib" if sys.platform == "darwin" else ".so"

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

CUDA_FLAGS = ("-std=c++17", "-O3", "--extended-lambda", "--expt-relaxed-constexpr", "--threads=0")

ARCHITECTURES = "7.5;8.0;9.0+PTX"
"""GPUs compiled for by default, as TORCH_CUDA_ARCH_LIST writes them: each runs on its whole
generation, and newer ones compile the intermediate code once."""

LAUNCHERS = {"ccache", "sccache", "distcc", "icecc"}  # their first word is the compiler

LOCK_SECONDS = 300.0


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


@dataclass(frozen=True)
class Library:
    """A native library: its sources are csrc/`folder`, its operators torch.ops.`namespace`."""

    folder: str

    @property
    def namespace(self) -> str:
        return f"biofacenet_{self.folder}"

    @property
    def file(self) -> str:
        """Name of the file."""
        return f"lib{self.namespace}{SUFFIX}"

    def compilers(self) -> list[list[str]]:
        """Commands that compile it.

        Raises:
            BuildError: one is missing.
        """
        return [compiler()] if self is CPU else [cuda_compiler(), compiler()]


CPU = Library("cpu")
CUDA = Library("cuda")


def sources() -> Path:
    """Folder of the native sources, in a checkout as in an installation."""
    return Path(__file__).resolve().parent.parent / "csrc"


def prebuilt(library: Library) -> Path:
    """Where setup.py puts a library of a wheel."""
    return Path(__file__).resolve().parent / library.file


def _command(variable: str, usual: Sequence[str], none: str) -> list[str]:
    """A compiler, its path with or without blanks, and its words: as CXX="ccache g++ -m64" names them."""
    named = os.environ.get(variable, "").strip()
    try:
        choices = [[named], shlex.split(named)] if named else [[name] for name in usual]
    except ValueError as error:
        raise BuildError(f"{variable} is {named}, which is no command: {error}") from error
    for name, *words in choices:
        found = shutil.which(name)
        if found:
            return [found, *words]
    raise BuildError(
        f"{variable} names {choices[-1][0]}, which is no program here" if named else none
    )


def compiler() -> list[str]:
    """The C++ compiler, CXX or the first of the usual names, with the words it is called with.

    Raises:
        BuildError: there is none.
    """
    none = "no C++ compiler (looked for g++, clang++ and c++); install one or set CXX"
    return _command("CXX", ("g++", "clang++", "c++"), none)


def cuda_compiler() -> list[str]:
    """CUDA's compiler: CUDACXX, nvcc of CUDA_HOME, on the path, or where it usually is; and its words.

    Raises:
        BuildError: there is none.
    """
    home = os.environ.get("CUDA_HOME", "").strip() or "/usr/local/cuda"
    none = f"no nvcc (looked on the path and in {home}); install CUDA's compiler or set CUDACXX"
    return _command("CUDACXX", (str(Path(home) / "bin" / "nvcc"), "nvcc"), none)


def _host() -> tuple[str, list[str]]:
    """The C++ compiler for nvcc, which calls it without a program such as ccache; and its words."""
    program, *words = compiler()
    if words and Path(program).stem in LAUNCHERS and shutil.which(words[0]):
        program, *words = words
    return program, words


def architectures() -> list[str]:
    """Options of nvcc for the GPUs of TORCH_CUDA_ARCH_LIST, or for the usual ones; never probed.

    Raises:
        BuildError: the variable names something that is no compute capability.
    """
    listed = os.environ.get("TORCH_CUDA_ARCH_LIST", "").strip() or ARCHITECTURES
    options = []
    for entry in listed.replace(";", " ").split():
        match = re.fullmatch(r"(\d+)\.(\d[af]?)(\+PTX)?", entry)
        if match is None:
            raise BuildError(f"TORCH_CUDA_ARCH_LIST has {entry!r}; expected such as 8.0 or 9.0+PTX")
        number = match[1] + match[2]
        options.append(f"-gencode=arch=compute_{number},code=sm_{number}")
        if match[3]:
            options.append(f"-gencode=arch=compute_{number},code=compute_{number}")
    return options


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
    return done.stdout + done.stderr


def _quoted(path: str | Path) -> str:
    """A path in a build file."""
    return str(path).replace("$", "$$").replace(" ", "$ ").replace(":", "$:")


def _shell(path: str | Path) -> str:
    """A path in a command for a shell."""
    return '"' + str(path).replace("$", "$$") + '"'


def _joined(words: Sequence[str]) -> str:
    """A command for a shell, in a build file."""
    return shlex.join(words).replace("$", "$$")


def _cpu_ninja(torch: Torch) -> str:
    """One object for each instruction set, one for the library's face, and the link."""
    cxx, cpu = _joined(compiler()), sources() / CPU.folder
    x86 = "-DBIOFACENET_X86" if X86 else ""
    undefined = "-undefined dynamic_lookup" if sys.platform == "darwin" else ""
    objects = [f"{name}.o" for name in INSTRUCTION_SETS]
    lines = [
        "rule compile",
        f"  command = {cxx} {' '.join(FLAGS)} $flags -MMD -MF $out.d -c $in -o $out",
        "  depfile = $out.d",
        "rule link",
        f"  command = {cxx} -shared $in -o $out -L{_shell(torch.lib)} -ltorch_cpu -ltorch "
        f"-lc10 {undefined}",
    ]
    for name, flags in INSTRUCTION_SETS.items():
        lines += [
            f"build {name}.o: compile {_quoted(cpu / 'kernel.cpp')}",
            f"  flags = -DBIOFACENET_TARGET={name} {' '.join(flags)}",
        ]
    lines += [
        f"build library.o: compile {_quoted(cpu / 'library.cpp')}",
        f"  flags = {STABLE_ABI} {x86} -isystem {_shell(torch.include)}",
        f"build {CPU.file}: link {' '.join(objects)} library.o",
        "",
    ]
    return "\n".join(lines)


def _cuda_compile(torch: Torch) -> list[str]:
    """CUDA's compiler and its options for a source file, all but the GPUs to compile for."""
    host, words = _host()
    return [
        *(*cuda_compiler(), *CUDA_FLAGS, STABLE_ABI, "-ccbin", host),
        *(option for word in words for option in ("-Xcompiler", word)),
        *("-Xcompiler", "-fPIC,-fvisibility=hidden", "-isystem", str(torch.include)),
    ]


def cuda_report(torch: Torch, gpus: Sequence[int], target: Path) -> str:
    """Compile the CUDA kernels for some GPUs; what the assembler says of each.

    Args:
        torch: whose headers to use.
        gpus: compute capabilities times ten.
        target: object file to write.

    Raises:
        BuildError: no nvcc, or it failed.
    """
    generated = [f"-gencode=arch=compute_{gpu},code=sm_{gpu}" for gpu in gpus]
    source = sources() / CUDA.folder / "library.cu"
    command = [*_cuda_compile(torch), *generated, "-Xptxas", "-v", "-c", str(source)]
    return _run([*command, "-o", str(target)])


def _cuda_ninja(torch: Torch) -> str:
    """One object for all GPUs, and the link with CUDA's runtime in it."""
    source = _quoted(sources() / CUDA.folder / "library.cu")
    command = " ".join(map(_shell, [*_cuda_compile(torch), *architectures()]))
    lines = [
        "rule compile",
        f"  command = {command} -MMD -MF $out.d -c $in -o $out",
        "  depfile = $out.d",
        "rule link",
        f"  command = {_joined(cuda_compiler())} -shared -cudart static -ccbin {_shell(_host()[0])} "
        f"$in -o $out -L{_shell(torch.lib)} -ltorch_cpu -ltorch -lc10",
        f"build library.o: compile {source}",
        f"build {CUDA.file}: link library.o",
        "",
    ]
    return "\n".join(lines)


def _ninja_file(library: Library, torch: Torch) -> str:
    return _cpu_ninja(torch) if library is CPU else _cuda_ninja(torch)


def build(library: Library, torch: Torch, target: Path) -> None:
    """Compile a library and put it at `target`, whole or not at all.

    Raises:
        BuildError: no compiler, or it failed; the cause has the compiler's output.
    """
    ninja, text = _ninja(), _ninja_file(library, torch)
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".build-", dir=target.parent) as name:
        folder = Path(name)
        (folder / "build.ninja").write_text(text)
        _run([ninja, "-C", str(folder)])
        (folder / library.file).replace(target)


def _cache() -> Path:
    if named := os.environ.get("BIOFACENET_CACHE"):
        return Path(named)
    try:
        home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    except RuntimeError as error:  # neither HOME nor an entry among the users, as in containers
        raise BuildError("no home folder; name a folder in BIOFACENET_CACHE") from error
    return Path(home) / "biofacenet"


def _key(library: Library, torch: Torch) -> str:
    """Everything that the library depends on."""
    digest = hashlib.sha256()
    for command in library.compilers():
        digest.update(_run([*command, "--version"], seconds=30).encode())
    digest.update(_ninja_file(library, torch).encode())
    digest.update(f"{torch.version} {platform.machine()}".encode())
    for path in sorted([*sources().glob("*.h"), *(sources() / library.folder).iterdir()]):
        if path.suffix in (".h", ".cpp", ".cu", ".cuh"):
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


def cached(library: Library, torch: Torch, *, retry: bool = False) -> Path:
    """A library of these sources, compilers and torch; built unless it is there.

    Args:
        library: which.
        torch: the torch that will load it.
        retry: build even if the same build has failed before.

    Raises:
        BuildError: it cannot be built. The compiler's output is kept beside where the library would
            be, and the same build is not tried again.
    """
    folder = _cache() / _key(library, torch)
    file, log = folder / library.file, folder / "error.txt"
    try:
        if file.is_file():
            return file
        folder.mkdir(parents=True, exist_ok=True)
        with _locked(folder / "lock"):
            if file.is_file():
                return file
            if log.is_file() and not retry:
                first = (log.read_text().splitlines() or ["no message"])[0]
                raise BuildError(
                    f"{first} (kept in {log}; python -m biofacenet.doctor tries again)"
                )
            try:
                build(library, torch, file)
            except BuildError as error:
                log.write_text(f"{error}\n\n{error.__cause__ or ''}\n")
                raise
            log.unlink(missing_ok=True)
    except OSError as error:
        raise BuildError(
            f"{folder} cannot be written ({error}); name another folder in BIOFACENET_CACHE"
        ) from error
    return file
