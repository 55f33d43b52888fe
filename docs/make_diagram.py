"""Draw the forward pass of training, from an image to the losses: python docs/make_diagram.py.

Nothing is trained, and nothing needed but matplotlib. The picture is taller than wide and its letters are
large, so that it can be read on a phone.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

OUT = Path(__file__).parent / "images" / "forward.png"

LEFT, RIGHT, BOTTOM, TOP = 0.0, 100.0, -26.0, 174.0
"""Ends of the drawing, in units of a twentieth of an inch."""
INK, QUIET, PAPER = "#1f2328", "#57606a", "#ffffff"
FILLS = {
    "data": "#e6eefb",
    "network": "#ddd6f3",
    "maps": "#f8e6d2",
    "renderer": "#dcf0df",
    "loss": "#fae1e1",
}
IMAGE, MAPS, PAIR = "#2f6fd0", "#b3661a", "#57606a"
"""Colours of the lines that lead past other boxes."""
LARGE, SMALL, STEP = 13.0, 10.5, 4.3
ROW, BETWEEN, FIRST_ROW = 7.4, 1.6, 33.0
TERMS = (
    ("appearance", "rendered face and image"),
    ("shading", "diffuse and proxy shading"),
    ("specular", "highlights are rare"),
    ("camera", "near the mean camera"),
    ("truth", "true maps, light, camera"),
    ("bounds", "raw outputs in range"),
)


def frame(axes: Axes, place: tuple[float, float, float, float], kind: str) -> None:
    """An empty box at left, bottom, width, height."""
    left, bottom, width, height = place
    shape = "round,pad=0,rounding_size=1.5"
    axes.add_patch(
        FancyBboxPatch(
            (left, bottom), width, height, boxstyle=shape, fc=FILLS[kind], ec=INK, lw=1.0, zorder=3
        )
    )


def box(axes: Axes, place: tuple[float, float, float, float], kind: str, *lines: str) -> None:
    """A box with lines in its middle, the first of which is its name."""
    frame(axes, place, kind)
    left, bottom, width, height = place
    for i, line in enumerate(lines):
        axes.text(
            left + width / 2.0,
            bottom + height / 2.0 + STEP * ((len(lines) - 1) / 2.0 - i),
            line,
            ha="center",
            va="center",
            fontsize=SMALL if i else LARGE,
            fontweight="normal" if i else "bold",
            color=INK,
            zorder=4,
        )


def lead(axes: Axes, *points: tuple[float, float], colour: str = INK) -> None:
    """A line through points, with a head at its end."""
    if len(points) > 2:
        across, down = zip(*points[:-1], strict=True)
        axes.plot(across, down, color=colour, lw=1.6, solid_joinstyle="round", zorder=1)
    head: dict[str, Any] = {"arrowstyle": "-|>", "mutation_scale": 11, "shrinkA": 0, "shrinkB": 0}
    axes.add_patch(FancyArrowPatch(points[-2], points[-1], color=colour, lw=1.6, zorder=2, **head))


def row(number: int) -> float:
    """Where the middle of a loss is."""
    return FIRST_ROW + ROW / 2.0 - number * (ROW + BETWEEN)


def losses(axes: Axes) -> None:
    """The terms of the objective, one below the other."""
    for number, (name, meaning) in enumerate(TERMS):
        middle = row(number)
        frame(axes, (9, middle - ROW / 2.0, 82, ROW), "loss")
        text: dict[str, Any] = {"va": "center", "color": INK, "zorder": 4}
        axes.text(11.5, middle, name, fontsize=LARGE, fontweight="bold", **text)
        axes.text(89, middle, meaning, fontsize=SMALL, ha="right", **text)


def draw(axes: Axes) -> None:
    """The whole picture."""
    box(axes, (9, 156, 40, 16), "data", "image", "linear sRGB")
    box(axes, (53, 156, 38, 16), "data", "its pair", "mask, normals, light;", "true maps, if known")
    box(axes, (9, 134, 40, 13), "network", "network", "U-Net")
    box(
        axes,
        (9, 96, 40, 28),
        "maps",
        *("maps", "melanin", "haemoglobin", "diffuse shading", "specular shading"),
    )
    box(
        axes,
        (53, 96, 38, 28),
        "maps",
        *("light, camera", "14 weights", "and a temperature;", "b1 and b2"),
    )
    box(
        axes,
        (9, 67, 82, 19),
        "renderer",
        *("renderer", "skin table, light, camera,", "white balance: nothing to learn"),
    )
    box(axes, (26, 46, 48, 13), "data", "rendered face", "linear sRGB")
    losses(axes)

    lead(axes, (29, 156), (29, 147))
    lead(axes, (29, 134), (29, 124))
    lead(axes, (49, 140.5), (72, 140.5), (72, 124))
    lead(axes, (29, 96), (29, 86))
    lead(axes, (72, 96), (72, 86))
    lead(axes, (50, 67), (50, 59))
    lead(axes, (50, 46), (50, row(0) + ROW / 2.0))

    lead(axes, (9, 164), (2, 164), (2, row(0)), (9, row(0)), colour=IMAGE)
    for number in (1, 2):
        lead(axes, (9, 110), (5.5, 110), (5.5, row(number)), (9, row(number)), colour=MAPS)
    for number in (4, 5):
        lead(axes, (5.5, row(2)), (5.5, row(number)), (9, row(number)), colour=MAPS)
    lead(axes, (91, 110), (94.5, 110), (94.5, row(3)), (91, row(3)), colour=MAPS)
    lead(axes, (91, 164), (98, 164), (98, row(1)), (91, row(1)), colour=PAIR)
    lead(axes, (98, row(1)), (98, row(4)), (91, row(4)), colour=PAIR)

    axes.text(
        50,
        (row(len(TERMS) - 1) - ROW / 2.0 + BOTTOM) / 2.0,
        "all in the mask of the face; gradients go back\nthrough the renderer into the network",
        ha="center",
        va="center",
        fontsize=SMALL,
        color=QUIET,
        linespacing=1.3,
    )


def main() -> None:
    """Write the picture."""
    size = ((RIGHT - LEFT) / 20.0, (TOP - BOTTOM) / 20.0)
    figure = Figure(figsize=size, dpi=200, facecolor=PAPER)
    FigureCanvasAgg(figure)
    axes = figure.add_axes((0.0, 0.0, 1.0, 1.0))
    axes.set_xlim(LEFT, RIGHT)
    axes.set_ylim(BOTTOM, TOP)
    axes.axis("off")
    draw(axes)
    figure.savefig(OUT)
    print(OUT)


if __name__ == "__main__":
    main()
