"""What mkdocs cannot do by itself: pages made from the code and from results, equations as MathML.

A page asks for a part with a comment, such as <!-- commands -->; see `PARTS`.
"""

from __future__ import annotations

import contextlib
import html
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import griffe
from latex2mathml.converter import convert
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results"
ORDER = (
    *("predict", "fit", "edit", "app", "train", "synthesize", "prepare", "evaluate", "export"),
    *("skin_fit", "doctor", "rebuild"),
)
"""Commands in the order of their use; others follow by name."""


# Commands ------------------------------------------------------------------------------------


def command_modules() -> list[str]:
    """Modules of the package that are commands: those that run when they are the program."""
    found = [
        path.stem
        for path in (ROOT / "biofacenet").glob("*.py")
        if not path.stem.startswith("_")
        and re.search(r"^if __name__ == .__main__.", path.read_text("utf-8"), re.MULTILINE)
    ]
    place = {name: i for i, name in enumerate(ORDER)}
    return sorted(found, key=lambda name: (place.get(name, len(ORDER)), name))


def commands() -> str:
    """A section for each command, from the dataclass that it parses."""
    package = griffe.load("biofacenet", search_paths=[ROOT])
    return "\n\n".join(section(package, name) for name in command_modules())


def section(package: Any, name: str) -> str:
    """What a command is called with, what it does, and its options."""
    module = package[name]
    settings = module.members.get("Settings")
    described = module if settings is None else settings
    members = [] if settings is None else list(fields(settings))
    summary, _, rest = (described.docstring.value if described.docstring else "").partition("\n")
    # Line breaks of the source are no line breaks here.
    paragraphs = "\n\n".join(" ".join(part.split()) for part in rest.split("\n\n"))
    words = [field.name.upper() for field in members if is_positional(field)]
    words += ["[options]"] if members else []
    spoken = name.replace("_", "-")
    usage = [" ".join([f"biofacenet {spoken}", *words])]
    usage += [" ".join([f"python -m biofacenet.{name}", *words])]
    lines = [f"## {spoken}", "```text\n" + "\n".join(usage) + "\n```", summary, paragraphs]
    if members:
        rows = [option(field) for field in members]
        lines.append("\n".join(["| option | meaning |", "|---|---|", *rows]))
    return "\n\n".join(line for line in lines if line.strip())


def fields(settings: Any) -> Iterator[Any]:
    """The fields of a dataclass, in order; those of a dataclass within it stand in its place."""
    for member in settings.members.values():
        if not member.is_attribute or member.annotation is None:
            continue
        inner = dataclass_of(member)
        if inner is None:
            yield member
        else:
            yield from fields(inner)


def dataclass_of(member: Any) -> Any:
    """The dataclass that a field is annotated with, or None."""
    annotation = member.annotation
    if not isinstance(annotation, griffe.ExprName):
        return None
    try:
        found = member.modules_collection[annotation.canonical_path]
        return found if found.is_class and "dataclass" in found.labels else None
    except (KeyError, griffe.AliasResolutionError):
        return None


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
    value = field.value
    if isinstance(value, griffe.ExprName):  # a constant: its number tells more than its name
        with contextlib.suppress(KeyError, griffe.AliasResolutionError):
            value = field.modules_collection[value.canonical_path].value
    default = "" if value is None else str(value)
    default = re.sub(r"Path\((.*?)\)", r"\1", default).replace("'", "").replace('"', "")
    default = {"None": "", "()": ""}.get(default, default)
    meaning = " ".join((field.docstring.value if field.docstring else "").split())
    # Below the name: three columns are too many for a phone.
    cells = (f"{shown}<br>default `{default}`" if default else shown, meaning)
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


# Results -------------------------------------------------------------------------------------

NOTHING = "*No results are stored in this checkout.*"


def stored(name: str) -> str:
    """A page that a benchmark wrote."""
    path = RESULTS / name
    return path.read_text("utf-8") if path.is_file() else NOTHING


def evaluation() -> str:
    """The tables that `biofacenet.evaluate` wrote."""
    return stored("evaluation.md")


def measured_skin() -> str:
    """Of the tables that `benchmarks.measured_skin` wrote: faces, the measured constants, then constants."""
    path = RESULTS / "measured-skin.md"
    if not path.is_file():
        return NOTHING
    parts = dict(part.split("\n", 1) for part in path.read_text("utf-8").split("\n## ")[1:])
    shown = ("Faces, measured constants", "Faces, published constants", "Constants")
    return "\n\n".join(f"**{title}**\n\n{parts[title].strip()}" for title in shown)


def skin_tones() -> str:
    """Errors of each group of skin tones, from evaluation.json."""
    path = RESULTS / "evaluation.json"
    if not path.is_file():
        return NOTHING
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
    "measured skin": measured_skin,
    "other skin": lambda: stored("other-skin.md"),
    "skin tones": skin_tones,
    "renderer": renderer_table,
    "changelog": from_repository("CHANGELOG.md"),
}
"""Parts that a page may ask for."""


# What mkdocs calls ---------------------------------------------------------------------------


def on_files(files: Files, config: Any, **_: Any) -> Files:
    """Take pictures of results in, which lie outside of the documentation."""
    for path in sorted(RESULTS.glob("*.png")):
        files.append(File.generated(config, f"results/{path.name}", abs_src_path=str(path)))
    return files


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Put the parts where a page asks for them; an unknown one is an error."""
    # As the page finds pictures of results in the repository, and as it finds them in the site.
    markdown = markdown.replace("../benchmarks/results/", "results/")
    return re.sub(r"^<!-- (.+) -->$", lambda match: PARTS[match[1]](), markdown, flags=re.MULTILINE)


def on_page_content(content: str, **_: Any) -> str:
    """Equations as MathML, which browsers draw without scripts or fonts from elsewhere."""

    def mathml(match: re.Match[str]) -> str:
        display = "block" if match[1] == "div" else "inline"
        return convert(html.unescape(match[2]), display=display)

    pattern = r'<(span|div) class="arithmatex">\\[(\[](.*?)\\[)\]]</\1>'
    return re.sub(pattern, mathml, content, flags=re.DOTALL)
