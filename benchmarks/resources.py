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
        from biofacenet.kernels.triton import light, pixel, shapes
    except ImportError as error:
        raise BioFaceNetError(f"triton cannot be imported: {error}; pip install triton") from error
    found = []
    wanted: dict[str, Any] = dict.fromkeys(("FIXED", "FOLDED", "DIFFUSE", "SPECULAR", "SUMS"), True)
    for kind, p, q in (("fp32", 6, 14), ("bf16", 6, 14), ("fp32", 14, 22), ("fp64", 14, 22)):
        few = p <= 6
        rows: dict[str, Any] = {"FEW": few, "PADDED_P": 16, "ROW": 8 if few else 16}
        for backward in (False, True):
            shape = shapes.rule(p, few, backward)
            options: dict[str, Any] = {"TILE": shape.tile, **rows}
            if backward:
                options |= wanted | {"Q": q, "PADDED_Q": 16 if few else 32}
            found.append(
                _compiled(
                    f"{'backward' if backward else 'forward'} {kind}, {p}",
                    pixel.backward_kernel if backward else pixel.forward_kernel,
                    *(gpu, shape.warps, kind),
                    **options,
                )
            )
    found.append(
        _compiled("add_up fp32", pixel.add_up_kernel, gpu, 4, "fp32", ROWS=256, COLUMNS=16)
    )
    constants: dict[str, Any] = {"MIXED": True, "GIVEN": False, "FIRST": 4000.0, "STEP": 1000.0}
    constants |= {"HALF": 3.0, "P": 6, "Q": 14, "PADDED_Q": 16, "ROW": 8}
    constants |= {name: getattr(light, name) for name in ("BANDS", "PADDED_BANDS", "ILLUMINANTS")}
    for kind in ("fp32", "fp64"):
        found.append(
            _compiled(
                f"table {kind}, 6",
                *(light.table_kernel, gpu, 8, kind),
                PADDED_P=16,
                NODES=256,
                **constants,
            )
        )
        found.append(
            _compiled(
                f"light_gradients {kind}, 6",
                light.light_gradients_kernel,
                gpu,
                8,
                kind,
                **constants,
            )
        )
    return found


MAPS = {
    *("fixed", "folded", "diffuse", "specular", "image", "gradient"),
    *("of_fixed", "of_folded", "of_diffuse", "of_specular"),
}
OF_LIGHT = "daylights"
"""An argument by which the kernels of light are known, whose `fixed` are illuminants and no map."""
DIVISIBLE = [["tt.divisibility", 16]]


def _compiled(
    label: str, kernel: Any, gpu: int, warps: int, maps: str, **constants: Any
) -> Resources:
    """Compile one kernel as its launcher does."""
    import triton
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    signature, attributes = {}, {}
    planes = set() if OF_LIGHT in kernel.arg_names else MAPS
    for place, (name, parameter) in enumerate(zip(kernel.arg_names, kernel.params, strict=True)):
        if name in constants:
            signature[name] = "constexpr"
        elif parameter.annotation_type:
            signature[name] = parameter.annotation_type
        else:
            signature[name] = f"*{maps if name in planes or maps == 'fp64' else 'fp32'}"
            if not parameter.do_not_specialize_on_alignment:
                attributes[(place,)] = DIVISIBLE
    places = {(kernel.arg_names.index(name),): value for name, value in constants.items()}
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
        console.print(
            "Tables in shared memory (80 to 160 KiB, and strips of 6 KiB a warp) come on top."
        )
    except build.BuildError as error:
        console.print(f"CUDA kernels: {error}", markup=False)


def main() -> None:
    report(parse(Settings, program="benchmarks.resources"))


if __name__ == "__main__":
    run(main)
