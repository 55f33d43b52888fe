"""What the GPU kernels take of a chip, found by compiling them: no GPU is needed.

python -m benchmarks.resources
"""

from __future__ import annotations

import re
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.table import Table

from biofacenet import BioFaceNetError
from biofacenet.cli import parse, run
from biofacenet.kernels import build, native
from biofacenet.system.console import console

__all__ = ["Resources", "Settings", "cuda_resources", "triton_resources"]

THREADS_OF_WARP, REGISTERS = 32, 65536


@dataclass
class Settings:
    """Compile every GPU kernel, and list registers, spills and shared memory."""

    gpus: tuple[int, ...] = (80, 90)
    """Compute capabilities times ten."""


@dataclass(frozen=True)
class Resources:
    """One kernel on one GPU."""

    kernel: str
    gpu: int
    registers: int
    """Of a thread."""
    spilled: int
    """Bytes that a thread stores elsewhere, because registers ran out."""
    shared: int
    """Bytes of a block's shared memory, as far as the compiler knows it."""


def cuda_resources(gpus: tuple[int, ...]) -> tuple[list[Resources], str]:
    """All kernels of csrc/cuda, and everything that nvcc said.

    Raises:
        BuildError: no nvcc, or it failed.
    """
    with tempfile.TemporaryDirectory() as folder:
        said = build.cuda_report(native.this_torch(), gpus, Path(folder) / "library.o")
    pattern = re.compile(
        r"Compiling entry function '(\w+)' for 'sm_(\d+)'.*?"
        r"(\d+) bytes spill stores, (\d+) bytes spill loads.*?"
        r"Used (\d+) registers([^\n]*)",
        re.DOTALL,
    )
    found = []
    for name, gpu, stores, loads, registers, rest in pattern.findall(said):
        shared = re.search(r"(\d+) bytes smem", rest)
        found.append(
            Resources(
                _readable(name),
                int(gpu),
                int(registers),
                int(stores) + int(loads),
                int(shared[1]) if shared else 0,
            )
        )
    return found, said


def _readable(mangled: str) -> str:
    """Name and template arguments of one of our kernels: `render_backward bfloat16, 32, 1`."""
    # Itanium ABI: N10biofacenet4cuda<length><name>I<arguments>E.
    match = re.match(r"_ZN10biofacenet4cuda(\d+)(\w+)", mangled)
    if match is None:
        return mangled
    name, rest = match[2][: int(match[1])], match[2][int(match[1]) :]
    kinds = {
        "f": "float32",
        "d": "float64",
        "N3c104HalfE": "float16",
        "N3c108BFloat16E": "bfloat16",
    }
    arguments, rest = [], rest[1:]
    while rest and not rest.startswith("E"):
        number = re.match(r"L[ib](\d+)E", rest)
        again = re.match(r"S\d?_", rest)  # a type named before
        kind = next((kind for kind in kinds if rest.startswith(kind)), None)
        if number is not None:
            arguments.append(number[1])
            rest = rest[number.end() :]
        elif kind is not None:
            arguments.append(kinds[kind])
            rest = rest[len(kind) :]
        elif again is not None:
            rest = rest[again.end() :]
        else:
            break
    return f"{name} {', '.join(arguments)}"


def triton_resources(gpu: int) -> list[Resources]:
    """The Triton kernels in the shapes that they are launched in.

    Raises:
        BioFaceNetError: there is no Triton here.
    """
    try:
        from biofacenet.kernels.triton import fold, pixel, shapes
    except ImportError as error:
        raise BioFaceNetError(f"triton cannot be imported: {error}; pip install triton") from error
    found = []
    maps = dict.fromkeys(("MELANIN", "HAEMOGLOBIN", "DIFFUSE", "SPECULAR", "SUMS"), True)
    for components in (16, 32):
        for kind in ("fp32", "bf16", "fp64"):
            for backward in (False, True):
                shape = shapes.rule(components, backward)
                found.append(
                    _compiled(
                        f"{'backward' if backward else 'forward'} {kind}, {components}",
                        pixel.backward_kernel if backward else pixel.forward_kernel,
                        gpu,
                        shape.warps,
                        kind,
                        COMPONENTS=components,
                        PADDED=components,
                        TILE=shape.tile,
                        **(maps if backward else {}),
                    )
                )
    found.append(
        _compiled(
            "add_up fp32, 32",
            *(pixel.add_up_kernel, gpu, 4, "fp32"),
            COMPONENTS=32,
            ROWS=256,
            COLUMNS=16,
            WEIGHTS=True,
            HIGHLIGHT=True,
        )
    )
    light: dict[str, Any] = {"MIXED": True, "FIRST": 4000.0, "STEP": 1000.0, "HALF": 3.0}
    light |= {"COMPONENTS": 32, "PADDED": 32}
    light |= {name: getattr(fold, name) for name in ("BANDS", "PADDED_BANDS", "ILLUMINANTS")}
    wanted = {"OF_MIXTURE": True, "OF_CCT": True, "OF_GIVEN": False, "OF_CAMERA": True}
    found.append(_compiled("fold fp32, 32", fold.fold_kernel, gpu, 4, "fp32", **light))
    found.append(
        _compiled(
            "fold_backward fp32, 32", fold.fold_backward_kernel, gpu, 4, "fp32", **light, **wanted
        )
    )
    return found


MAPS = {
    *("melanin", "haemoglobin", "diffuse", "specular", "image", "gradient"),
    *("of_melanin", "of_haemoglobin", "of_diffuse", "of_specular"),
}
NUMBERS = ("pixels", "tiles", "programs", "steps", "grid")
DIVISIBLE = [["tt.divisibility", 16]]


def _compiled(
    label: str, kernel: Any, gpu: int, warps: int, maps: str, **constants: Any
) -> Resources:
    """Compile one kernel as its launcher does for aligned, contiguous maps."""
    import triton
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    signature, attributes, known = {}, {}, dict(constants)
    for place, name in enumerate(kernel.arg_names):
        if name in constants:
            signature[name] = "constexpr"
        elif name.endswith("_step"):
            signature[name], known[name] = "constexpr", 1
        elif name in NUMBERS or name.endswith(("_rows", "_batch", "_channel")):
            signature[name], attributes[(place,)] = "i32", DIVISIBLE
        else:
            signature[name] = f"*{maps if name in MAPS or maps == 'fp64' else 'fp32'}"
            attributes[(place,)] = DIVISIBLE
    places = {(kernel.arg_names.index(name),): value for name, value in known.items()}
    built = triton.compile(
        ASTSource(fn=kernel, signature=signature, constexprs=places, attrs=attributes),
        target=GPUTarget("cuda", gpu, THREADS_OF_WARP),
        options={"num_warps": warps, "enable_fp_fusion": True},
    )
    text = built.asm["ptx"]
    target = re.search(r"\.target (\w+)", text)
    said = _assemble(text, target[1] if target else f"sm_{gpu}", label)
    registers = re.search(r"Used (\d+) registers", said)
    spilled = re.findall(r"(\d+) bytes spill", said)
    if registers is None or not spilled:
        raise BioFaceNetError(f"ptxas said nothing of registers: {said[:200]}")
    return Resources(label, gpu, int(registers[1]), sum(map(int, spilled)), built.metadata.shared)


def _assemble(text: str, target: str, label: str) -> str:
    """What the assembler says of PTX; Triton brings several, of which the old do not know new PTX."""
    import triton

    said = "none came with Triton"
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "kernel.ptx").write_text(text, "utf-8")
        for assembler in sorted(
            (Path(triton.__file__).parent / "backends/nvidia/bin").glob("ptxas*")
        ):
            done = subprocess.run(
                [str(assembler), "-v", f"-arch={target}", "kernel.ptx", "-o", "kernel.cubin"],
                cwd=folder,
                capture_output=True,
                text=True,
                check=False,
            )
            said = done.stdout + done.stderr
            if done.returncode == 0:
                return said
    raise BioFaceNetError(f"ptxas failed on {label}: {said.strip()[:500]}")


def _table(title: str, found: list[Resources]) -> Table:
    table = Table(title=title, box=None, pad_edge=False, title_justify="left")
    table.add_column("kernel")
    for heading in ("sm", "registers", "spilled B", "shared B"):
        table.add_column(heading, justify="right")
    for one in sorted(found, key=lambda one: (one.kernel, one.gpu)):
        table.add_row(
            *(one.kernel, str(one.gpu), str(one.registers), str(one.spilled), str(one.shared))
        )
    return table


def report(settings: Settings) -> None:
    """Print what was found, and why not where a compiler is missing."""
    try:
        found = [one for gpu in settings.gpus for one in triton_resources(gpu)]
        console.print(_table("Triton kernels", found))
    except BioFaceNetError as error:
        console.print(f"Triton kernels: {error}", markup=False)
    console.print()
    try:
        console.print(_table("CUDA kernels", cuda_resources(settings.gpus)[0]))
        console.print("Tables in shared memory (64 KiB and a strip a warp) come on top.")
    except build.BuildError as error:
        console.print(f"CUDA kernels: {error}", markup=False)


def main() -> None:
    report(parse(Settings, program="benchmarks.resources"))


if __name__ == "__main__":
    run(main)
