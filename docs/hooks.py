"""What mkdocs cannot do by itself: pages made from the code and from results, equations as MathML.

A page asks for a part with a comment, such as <!-- commands -->; see `PARTS`.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import griffe
from latex2mathml.converter import convert

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results"
ORDER = ("predict", "fit", "edit", "app", "train", "synthesize", "prepare", "evaluate", "export")
"""Command lines in the order of their use; others follow by name."""


# Command lines -------------------------------------------------------------------------------


def command_modules() -> list[str]:
    """Modules of the package that are command lines: they parse settings of their own."""
    found = [
        path.stem
        for path in (ROOT / "biofacenet").glob("*.py")
        if f'program="biofacenet.{path.stem}"' in path.read_text("utf-8")
    ]
    place = {name: i for i, name in enumerate(ORDER)}
    return sorted(found, key=lambda name: (place.get(name, len(ORDER)), name))


def commands() -> str:
    """A section for each command line, from the dataclass that it parses."""
    package = griffe.load("biofacenet", search_paths=[ROOT])
    sections = []
    for name in command_modules():
        settings = package[f"{name}.Settings"]
        summary, _, rest = (settings.docstring.value if settings.docstring else "").partition("\n")
        # Line breaks of the source are no line breaks here.
        paragraphs = "\n\n".join(" ".join(part.split()) for part in rest.split("\n\n"))
        rows = [option(field) for field in fields(settings)]
        positional = [field.name.upper() for field in fields(settings) if is_positional(field)]
        usage = " ".join([f"python -m biofacenet.{name}", *positional])
        lines = [f"## {name}", f"```text\n{usage} [options]\n```", summary, paragraphs]
        if rows:
            lines.append("\n".join(["| option | default | meaning |", "|---|---|---|", *rows]))
        sections.append("\n\n".join(line for line in lines if line.strip()))
    return "\n\n".join(sections)


def fields(settings: Any) -> Iterator[Any]:
    """The fields of a dataclass, in order."""
    for member in settings.members.values():
        if member.is_attribute and member.annotation is not None:
            yield member


def is_positional(field: Any) -> bool:
    """Whether it is given without a name."""
    return "Positional" in str(field.annotation)


def option(field: Any) -> str:
    """A row of the table of options."""
    annotation = str(field.annotation)
    dashed = field.name.replace("_", "-")
    if is_positional(field):
        shown = f"`{field.name.upper()}`"
    elif annotation.startswith("bool"):
        shown = f"`--{dashed}`, `--no-{dashed}`"
    else:
        shown = f"`--{dashed}`"
    default = "" if field.value is None else str(field.value)
    default = re.sub(r"Path\((.*?)\)", r"\1", default).replace("'", "").replace('"', "")
    default = {"None": "", "()": ""}.get(default, default)
    meaning = " ".join((field.docstring.value if field.docstring else "").split())
    cells = (shown, f"`{default}`" if default else "", meaning)
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


# Results -------------------------------------------------------------------------------------


def evaluation() -> str:
    """The tables that `biofacenet.evaluate` wrote."""
    path = RESULTS / "evaluation.md"
    if path.is_file():
        return path.read_text("utf-8")
    return "*No results are stored in this checkout.*"


def skin_tones() -> str:
    """Errors of each group of skin tones, from evaluation.json."""
    path = RESULTS / "evaluation.json"
    if not path.is_file():
        return "*No results are stored in this checkout.*"
    parts = []
    for method, found in json.loads(path.read_text("utf-8"))["methods"].items():
        groups = found.get("by_skin_tone")
        if not groups:
            continue
        columns = list(next(iter(groups.values()))["rmse"])
        lines = [["skin", "faces", *columns], ["---", *["---:"] * (1 + len(columns))]]
        for tone, group in groups.items():
            values = [group["rmse"][column] for column in columns]
            shown = ["–" if value is None else f"{value:.3f}" for value in values]
            lines.append([tone, str(group["faces"]), *shown])
        table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
        parts.append(f"**{method}**, RMSE in the mask:\n\n{table}")
    return "\n\n".join(parts)


def renderer_table() -> str:
    """Times of the renderers that `benchmarks.renderer` stored."""
    stored = json.loads((RESULTS / "renderer-cpu.json").read_text("utf-8"))
    lines = [
        "| images | renderer | forward, ms | forward and backward, ms | times the reference |",
        "|---|---|---:|---:|---:|",
    ]
    lines += [
        f"| {row['batch']} of {row['side']} x {row['side']} | {row['renderer']} | "
        f"{row['forward_ms']:.2f} | {row['forward_backward_ms']:.2f} | "
        f"{row['times_faster_than_eager']:.1f} |"
        for row in stored["results"]
    ]
    machine = stored["machine"]
    note = (
        f"{machine['processor']}, {machine['instruction_set']}, {machine['threads']} threads, "
        f"torch {machine['torch']}; medians."
    )
    return "\n".join(lines) + "\n\n" + note


def from_repository(name: str) -> Callable[[], str]:
    """A text file of the repository."""
    return lambda: (ROOT / name).read_text("utf-8")


PARTS: dict[str, Callable[[], str]] = {
    "commands": commands,
    "evaluation": evaluation,
    "skin tones": skin_tones,
    "renderer": renderer_table,
    "changelog": from_repository("CHANGELOG.md"),
}
"""Parts that a page may ask for."""


# What mkdocs calls ---------------------------------------------------------------------------


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Put the parts where a page asks for them; an unknown one is an error."""
    return re.sub(r"^<!-- (.+) -->$", lambda match: PARTS[match[1]](), markdown, flags=re.MULTILINE)


def on_page_content(content: str, **_: Any) -> str:
    """Equations as MathML, which browsers draw without scripts or fonts from elsewhere."""

    def mathml(match: re.Match[str]) -> str:
        display = "block" if match[1] == "div" else "inline"
        return convert(html.unescape(match[2]), display=display)

    pattern = r'<(span|div) class="arithmatex">\\[(\[](.*?)\\[)\]]</\1>'
    return re.sub(pattern, mathml, content, flags=re.DOTALL)
