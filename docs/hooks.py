"""What mkdocs cannot do by itself: pages made from the code and from results, equations as MathML.

A page asks for a part with a comment, such as <!-- commands -->; see `PARTS`.
"""

from __future__ import annotations

import csv
import html
import importlib
import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from latex2mathml.converter import convert
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # for mkdocs, which does not look where it is started

from biofacenet.cli.options import Option, options_of, summary_of  # noqa: E402

RESULTS = ROOT / "benchmarks" / "results"
ORDER = (
    *(
        "predict",
        "fit",
        "measure",
        "edit",
        "app",
        "train",
        "synthesize",
        "prepare",
        "evaluate",
        "export",
    ),
    *("skin_fit", "doctor", "rebuild", "completion"),
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
    return "\n\n".join(section(name) for name in command_modules())


def section(name: str) -> str:
    """What a command is called with, what it does, and its options."""
    settings = importlib.import_module(f"biofacenet.{name}").Settings
    options = list(options_of(settings))
    words = ["[OPTIONS]"] if any(not option.positional for option in options) else []
    words += [
        option.value if option.required else f"[{option.value}]"
        for option in options
        if option.positional
    ]
    spoken = name.replace("_", "-")
    usage = [" ".join([f"biofacenet {spoken}", *words])]
    usage += [" ".join([f"python -m biofacenet.{name}", *words])]
    paragraphs = summary_of(settings)
    lines = [f"## {spoken}", "```text\n" + "\n".join(usage) + "\n```", *paragraphs]
    if options:
        rows = [row(option) for option in options]
        lines.append("\n".join(["| option | meaning |", "|---|---|", *rows]))
    return "\n\n".join(lines)


def row(option: Option) -> str:
    """A row of the table of options."""
    shown = ", ".join(f"`{flag}`" for flag in option.flags or (option.value,))
    if not option.required:
        # Below the name: three columns are too many for a phone.
        shown += f"<br>default `{option.default_text(option.default)}`"
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in (shown, option.about)) + " |"


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


def codebook() -> str:
    """What `measure` writes beside its table, without its heading."""
    from biofacenet.analysis.measuring.codebook import codebook as whole

    text = whole()
    return text[text.index("## Columns") :].replace("## ", "### ")


def repeatability() -> str:
    """How far numbers of a person spread, from the table that `measure` judges differences by."""
    from biofacenet.analysis.measuring.compared import SHIPPED

    with SHIPPED.open(encoding="utf-8", newline="") as stream:
        rows = {(row["region"], row["quantity"]): row for row in csv.DictReader(stream)}
    lines = ["| region | melanosomes | blood | ITA |", "|---|---|---|---|"]
    for region in dict.fromkeys(region for region, _ in rows):
        cells = []
        for name, deviation, unit in (
            ("melanosomes_percent", "within_percent", "%"),
            ("blood_percent", "within_percent", "%"),
            ("ita_degrees", "within_sd", "degrees"),
        ):
            row = rows[region, name]
            cells.append(f"{float(row[deviation]):.1f} {unit}, {float(row['icc_3_1']):.2f}")
        lines.append(f"| {region} | {' | '.join(cells)} |")
    return "\n".join(lines)


def reliability() -> str:
    """What `measure --reliability` wrote, without its heading."""
    _, _, text = stored("reliability.md").rpartition("# How far the same face moves\n")
    return text.replace("## ", "### ")


def many() -> str:
    """Time and memory of `benchmarks.many`, in a sentence."""
    path = RESULTS / "many.json"
    if not path.is_file():
        return NOTHING
    found = json.loads(path.read_text("utf-8"))
    settings = found["settings"]
    per_photo, workers = found["cpu_s_per_photo"], settings["workers"]
    return (
        f"{settings['count']} photos of one megapixel, {workers} processes, without sheets, on a "
        f"{found['machine']} with {found['cores']} cores: {per_photo:.2f} s of CPU time a photo, which is "
        f"{workers / per_photo:.2f} photos a second where the {workers} cores are free (the machine did "
        f"other work, a mean of {found['load'][2]:.0f} at a time, and it took {found['wall_s']:.0f} s): "
        f"10,000 in {1e4 * per_photo / workers / 3600.0:.1f} hours. All processes together took at "
        f"most {found['peak_bytes'] / 1e9:.2f} GB: "
        f"{found['peak_bytes_first_half'] / 1e9:.2f} GB in the first half of the photos, "
        f"{found['peak_bytes_last_quarter'] / 1e9:.2f} GB in the last quarter."
    )


def killed() -> str:
    """What `benchmarks.killed` found, in a sentence."""
    path = RESULTS / "killed.json"
    if not path.is_file():
        return NOTHING
    found = json.loads(path.read_text("utf-8"))
    runs = [
        f"by {run['workers']} process{'es' if run['workers'] > 1 else ''}, killed after "
        f"{', '.join(map(str, run['photos_done_at_kills']))} photos: "
        + ("the same bytes" if run["same_bytes"] else "**other bytes**")
        for run in found["runs"]
    ]
    return (
        f"{found['settings']['count']} small photos were measured without a stop and then again, killed "
        f"{found['settings']['kills']} times at random; {'; '.join(runs)}."
    )


PARTS: dict[str, Callable[[], str]] = {
    "commands": commands,
    "evaluation": evaluation,
    "measured skin": measured_skin,
    "other skin": lambda: stored("other-skin.md"),
    "people": lambda: stored("people.md"),
    "heads": lambda: stored("people_before.md"),
    "lookalikes": lambda: stored("lookalikes.md"),
    "skin tones": skin_tones,
    "renderer": renderer_table,
    "measuring": lambda: stored("measuring.md").partition("\n")[2].replace("## ", "### "),
    "codebook": codebook,
    "repeatability": repeatability,
    "many": many,
    "killed": killed,
    "reliability": reliability,
    "white": lambda: stored("white.md"),
    "edits": lambda: stored("edits.md"),
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
