"""How right melanosomes are where it is known what white is.

    python -m benchmarks.white --faces 300 --london faces/london --out benchmarks/results/white.json

Of rendered faces with a grey card beside them, in random light, through random cameras, with a white balance
that is off, noise and 8 bits, the truth is known. They are seen as linear light gives them, and once more as
a phone develops them, with a tone curve that nobody knows. People in the Face Research Lab London Set stand
before a grey wall: their order by melanosomes is compared with that by the individual typology angle of
cheeks and forehead, as read from the photo beside the wall.
"""

from __future__ import annotations

import argparse
import csv
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.stats import spearmanr
from torch import Tensor

from biofacenet import BioFaceNet
from biofacenet.analysis import ByNetwork, Result
from biofacenet.analysis.measuring.colours import ita
from biofacenet.analysis.measuring.regions import regions_of
from biofacenet.analysis.whitening import SITE, WithWhite, at_level
from biofacenet.cli import run
from biofacenet.data.records import Faces
from biofacenet.data.synthetic import faces as generator
from biofacenet.data.synthetic.draws import Draws
from biofacenet.data.synthetic.light import Lights
from biofacenet.data.synthetic.photograph import photograph
from biofacenet.errors import PhotoError
from biofacenet.fitting.absolute import WHITE
from biofacenet.photos.boxes import Box, Part
from biofacenet.photos.charts import NEUTRAL, PATCHES
from biofacenet.photos.framing import choose_parts
from biofacenet.photos.reading import Photo, read_photo
from biofacenet.photos.white import White, balanced, of_box, of_checker
from biofacenet.photos.white_choice import WhiteChoice
from biofacenet.physics.colour import XYZ_TO_SRGB, linear_to_srgb, srgb_to_linear
from biofacenet.physics.lighting import sh_shading
from biofacenet.physics.skin import SKINS, melanosome_fraction
from biofacenet.system.files import write_json

__all__ = ["Beside", "faces_with_card", "of_people", "of_rendered", "report"]

SEED = 20261126
"""Neither of training nor of the sets that constants were chosen on."""

SIDE, CARD = 96, 32
"""Of faces, and of the strip beside them that a card fills, in pixels."""

GREY = 0.18

GREYS = tuple(PATCHES[NEUTRAL[0]].mean(axis=1).tolist())
"""Of a ColorChecker, from white to black."""

BALANCE, NOISE = 0.15, 0.003
"""Standard deviations of the logarithm of R and B by a wrong white balance, and of linear light."""

TONES = {"to 2.5 %": 2.5, "to 4.5 %": 4.5, "to 10 %": 10.0, "more": math.inf}
"""Groups by the true melanosomes, percent."""

NEAR = 0.15

WALL = 0.65
"""What is taken for the wall's reflectance times its light beside that of the faces. Neither is published;
the order of people hardly depends on it."""

WALLS = (0.6, 0.65, 0.7)

STRIP = (15, 250, 50, 200)
"""Left, top, width and height of the wall beside a face; likewise at the right."""

HELD = frozenset(
    [
        "001",
        "012",
        "021",
        "032",
        "083",
        "097",
        "113",
        "123",
        "138",
        "006",
        "070",
        "024",
        "127",
        "036",
        "042",
        "114",
    ]
)
"""People on whom nothing was chosen."""


@dataclass(frozen=True)
class Beside:
    """A face with a grey card beside it."""

    photo: Photo
    part: Part
    box: str
    """Of the card."""
    greys: tuple[tuple[float, tuple[int, int, int, int]], ...]
    """Reflectance and box of the greys below the face, where there are some."""
    truth: Tensor
    """(H, W), true melanin map."""
    blood: Tensor
    """(H, W), true haemoglobin map."""
    mask: Tensor
    """(H, W), bool, where they are true."""
    shading: Tensor
    """(H, W), true diffuse shading, 1 where a surface faces the viewer as the card does."""


# Rendered faces ------------------------------------------------------------------------------


@contextmanager
def _lights() -> Iterator[list[Lights]]:
    """What the generator draws within."""
    seen: list[Lights] = []
    original = generator.draw_lights  # type: ignore[attr-defined]

    def drawn(draws: Draws) -> Lights:
        seen.append(original(draws))
        return seen[-1]

    generator.draw_lights = drawn  # type: ignore[attr-defined]
    try:
        yield seen
    finally:
        generator.draw_lights = original  # type: ignore[attr-defined]


def card_shading(lights: Lights) -> float:
    """Of a matt card that faces the viewer, as the generator shades skin."""
    ahead = torch.tensor([0.0, 0.0, 1.0])
    found = float(sh_shading(ahead.reshape(1, 3, 1, 1), lights.ambient[None]))
    for source in lights.sources:
        wrap = 0.25 * source.size
        found += source.strength * max(0.0, (float(source.direction[2]) + wrap) / (1.0 + wrap))
    return found


@cache
def _canvas(index: int, seed: int, greys: bool = False) -> tuple[Faces, Tensor, Tensor]:
    """A face, linear RGB of it beside the card, and its shading beside that of the card; below it the greys
    of a ColorChecker, if wanted.
    """
    with _lights() as seen:
        faces = generator.generate([index], seed, size=SIDE, noise=False, skin="measured")
    lights = seen[-1]
    exposure = float(faces.lighting[0].mean(dim=0)[0] / lights.lighting.mean(dim=0)[0])
    assert faces.truth is not None
    rendered = faces.truth.render()[0]
    # Hair, eyes and background as they were stored; skin as it was rendered.
    face = torch.where(faces.mask[0] > 0.5, rendered, srgb_to_linear(faces.image[0]))
    ahead = exposure * card_shading(lights)
    card = GREY * WHITE * ahead
    canvas = torch.full((3, SIDE + CARD, SIDE + CARD), card)
    canvas[:, :SIDE, :SIDE] = face
    for number, share in enumerate(GREYS if greys else ()):
        left = number * SIDE // len(GREYS)
        canvas[:, SIDE:, left : left + SIDE // len(GREYS)] = card * share / GREY
    return faces, canvas, faces.truth.diffuse[0, 0] / ahead


def faces_with_card(
    index: int, seed: int = SEED, *, phone: bool = False, greys: bool = False
) -> Beside:
    """A face of the generator and a card in the same light, exposure and camera.

    Args:
        index: of the face.
        seed: of the set.
        phone: develop the photo with a tone curve, saturation, blur and JPEG; else it is linear light
            with noise, stored in 8 bits.
        greys: those of a ColorChecker are there, too.
    """
    faces, canvas, shading = _canvas(index, seed, greys)
    assert faces.truth is not None
    rng = np.random.default_rng([seed, index, 2])
    gains = np.exp(BALANCE * rng.standard_normal(3)) * (1.0, 0.0, 1.0) + (0.0, 1.0, 0.0)
    canvas = canvas * torch.tensor(gains, dtype=torch.float32)[:, None, None]
    if phone:
        pixels = photograph(Draws(seed, index + 10**6), canvas)
    else:
        noise = torch.from_numpy(rng.standard_normal(tuple(canvas.shape)).astype(np.float32))
        pixels = linear_to_srgb((canvas + NOISE * noise).clamp(0.0, 1.0))
        pixels = (255.0 * pixels).round() / 255.0
    return Beside(
        photo=Photo(Path(f"face-{index}"), pixels, linear=not phone),
        part=Part(Box(0, 0, SIDE), "face"),
        box=f"{SIDE + 4},8,{CARD - 8},{SIDE - 16}",
        greys=_greys() if greys else (),
        truth=faces.truth.melanin[0, 0],
        blood=faces.truth.haemoglobin[0, 0],
        mask=faces.mask[0, 0] > 0.5,
        shading=shading,
    )


def _greys() -> tuple[tuple[float, tuple[int, int, int, int]], ...]:
    wide = SIDE // len(GREYS)
    return tuple(
        (share, (number * wide + wide // 4, SIDE + CARD // 4, wide // 2, CARD // 2))
        for number, share in enumerate(GREYS)
    )


def result_of(face: Beside, method: ByNetwork) -> Result:
    """A face by its card, or by the greys.

    Raises:
        PhotoError: they are overexposed, or dark.
    """
    if not face.greys:
        return WithWhite(method, WhiteChoice(face.box, None, str(GREY)))(face.photo, face.part)
    white = of_checker(face.photo, face.greys)
    return at_level(method(balanced(face.photo, white), face.part), white)


def _percent(value: float) -> float:
    return 100.0 * float(melanosome_fraction(torch.tensor(value), SKINS["measured"]))


def of_rendered(
    model: BioFaceNet, count: int, seed: int = SEED, *, phone: bool = False, greys: bool = False
) -> dict[str, Any]:
    """Errors of melanosomes over the skin of rendered faces, with the card and without, and how often
    intervals hold the truth.
    """
    method = ByNetwork(model, SIDE)
    true, known, alone, held, blood_held, refused = [], [], [], [], [], 0
    for index in range(count):
        face = faces_with_card(index, seed, phone=phone, greys=greys)
        try:
            result = result_of(face, method)
        except PhotoError as error:  # overexposed cards and the like
            print(error)
            refused += 1
            continue
        assert result.known is not None
        inside = face.mask
        melanin, blood = float(face.truth[inside].median()), float(face.blood[inside].median())
        true.append(_percent(melanin))
        known.append(_percent(result.known.melanin))
        alone.append(method(face.photo, face.part).numbers.melanosomes.median)
        low, high = result.known.melanin_ends
        held.append(low <= melanin <= high)
        low, high = result.known.haemoglobin_ends
        blood_held.append(low <= blood <= high)
    least = 0.0
    groups = {}
    for name, most in TONES.items():
        inside_tone = [least < value <= most for value in true]
        groups[name] = _errors(true, known, alone, held, inside_tone)
        least = most
    return {
        "faces": count,
        "refused": refused,
        "all": _errors(true, known, alone, held, [True] * len(true)),
        "by_true_melanosomes": groups,
        "blood_intervals_hold": round(float(np.mean(blood_held)), 3),
    }


def _errors(
    true: list[float], known: list[float], alone: list[float], held: list[bool], which: list[bool]
) -> dict[str, Any]:
    chosen = np.array(which, bool)
    if not chosen.any():
        return {"faces": 0}
    truth, ours, without = (np.array(x)[chosen] for x in (true, known, alone))
    off, off_without = ours / truth - 1.0, without / truth - 1.0
    return {
        "faces": int(chosen.sum()),
        "within_15_percent": round(float(np.mean(np.abs(off) <= NEAR)), 3),
        "without_white_within_15_percent": round(float(np.mean(np.abs(off_without) <= NEAR)), 3),
        "median_error": round(float(np.median(off)), 3),
        "median_absolute_error": round(float(np.median(np.abs(off))), 3),
        "intervals_hold": round(float(np.mean(np.array(held)[chosen])), 3),
    }


# People --------------------------------------------------------------------------------------


def of_people(model: BioFaceNet, folder: Path, size: int = SIDE) -> dict[str, Any]:
    """Order of people by melanosomes beside that by the typology angle, with the wall as white."""
    method = ByNetwork(model, size)
    with (folder / "people.csv").open(encoding="utf-8") as text:
        people = list(csv.DictReader(text))
    found = []
    for person in people:
        photo = read_photo(folder / f"{person['id']}_neutral.jpg")
        part = choose_parts(photo, face="largest")[0]
        wall = _wall(photo)
        result = method(balanced(photo, _scaled(wall, 1.0 / WALL)), part)
        alone = method(photo, part)
        # Without their photos, of which all would fill the memory.
        found.append((person["id"], person["group"], wall, _light(result), _light(alone)))
    rows = {str(reflectance): _people_rows(found, reflectance) for reflectance in WALLS}
    told = {name: _ordered(each) for name, each in rows.items()}
    return {
        "wall": WALL,
        **told[str(WALL)],
        "other_walls": {name: each for name, each in told.items() if name != str(WALL)},
        "held_aside": _ordered([row for row in rows[str(WALL)] if row[0] in HELD]),
    }


def _light(result: Result) -> Result:
    return replace(
        result, photo=replace(result.photo, pixels=result.photo.pixels[:, :1, :1].clone())
    )


def _wall(photo: Photo) -> White:
    """The wall at both sides of a face: their mean."""
    left, top, width, height = STRIP
    both = [of_box(photo, (x, top, width, height), 1.0) for x in (left, photo.width - left - width)]
    red, green, blue = (
        sum(each) / 2.0 for each in zip(*(white.light for white in both), strict=True)
    )
    return replace(both[0], light=(red, green, blue))


def _scaled(white: White, factor: float) -> White:
    red, green, blue = (factor * value for value in white.light)
    return replace(white, light=(red, green, blue))


Row = tuple[str, str, float, float, float]
"""Person, group, typology angle, melanosomes with the wall as white and without, percent."""


def _people_rows(
    found: Sequence[tuple[str, str, White, Result, Result]], reflectance: float
) -> list[Row]:
    rows = []
    for person, group, wall, result, alone in found:
        seen = replace(result, image=result.image * (reflectance / WALL))
        level = at_level(seen, wall)
        assert level.absolute is not None
        site = _site(result)
        colour = seen.image[0][:, site[0, 0] > 0.5].median(dim=1).values
        angle = typology_angle(colour)
        melanin = level.absolute.known(site).melanin
        plain = 100.0 * float(alone.decomposition.melanosomes()[_site(alone) > 0.5].median())
        rows.append((person, group, angle, _percent(melanin), plain))
    return rows


def _site(result: Result) -> Tensor:
    masks = regions_of(result).masks
    return torch.stack([masks[name] for name in SITE]).amax(dim=0)


def typology_angle(colour: Tensor) -> float:
    """Degrees, of linear sRGB (3,) in which white is 1, under D65."""
    to_xyz = torch.linalg.inv(XYZ_TO_SRGB)
    _, y, z = ((to_xyz @ colour.double()) / to_xyz.sum(dim=1)).tolist()

    def root(value: float) -> float:
        return value ** (1 / 3) if value > (6 / 29) ** 3 else value * (29 / 6) ** 2 / 3 + 4 / 29

    return ita(116.0 * root(y) - 16.0, 200.0 * (root(y) - root(z)))


def _ordered(rows: Sequence[Row]) -> dict[str, Any]:
    groups = sorted({row[1] for row in rows})
    told: dict[str, Any] = {"people": len(rows), "all": _correlation(rows)}
    told["groups"] = {
        name: _correlation(those)
        for name in groups
        if len(those := [row for row in rows if row[1] == name]) >= 10
    }
    told["medians_percent"] = {
        name: round(float(np.median([row[3] for row in rows if row[1] == name])), 2)
        for name in groups
    }
    told["least_percent"] = round(min(row[3] for row in rows), 2)
    told["most_percent"] = round(max(row[3] for row in rows), 2)
    return told


def _correlation(rows: Sequence[Row]) -> dict[str, float]:
    """Spearman's, of less melanosomes with a larger angle."""
    angle = [-row[2] for row in rows]
    return {
        "spearman": round(float(spearmanr(angle, [row[3] for row in rows])[0]), 3),
        "spearman_without_white": round(float(spearmanr(angle, [row[4] for row in rows])[0]), 3),
    }


# Telling -------------------------------------------------------------------------------------


def report(told: dict[str, Any]) -> str:
    """The numbers as Markdown."""
    lines: list[str] = []
    for key, words in (
        ("rendered", "rendered faces beside a grey card, linear light"),
        ("developed", "the same, as phones develop them"),
        ("greys", "as phones develop them, beside the greys of a ColorChecker"),
    ):
        if key not in told:
            continue
        lines += [
            f"**{words}** ({told[key]['refused']} of {told[key]['faces']} cards refused)",
            "",
            "| true melanosomes | faces | within 15 % | without white | median error | intervals hold |",
            "| --- | ---: | ---: | ---: | ---: | ---: |",
        ]
        for name, row in {"all": told[key]["all"], **told[key]["by_true_melanosomes"]}.items():
            if row["faces"]:
                lines.append(
                    f"| {name} | {row['faces']} | {row['within_15_percent']:.0%} | "
                    f"{row['without_white_within_15_percent']:.0%} | {row['median_error']:+.1%} | "
                    f"{row['intervals_hold']:.0%} |"
                )
        lines += ["", f"Intervals of blood hold {told[key]['blood_intervals_hold']:.0%}.", ""]
    if "people" in told:
        lines += _people_lines(told["people"])
    return "\n".join(lines)


def _people_lines(told: dict[str, Any]) -> list[str]:
    lines = [
        "**People, with the grey wall as white**: Spearman correlation of melanosomes with the angle",
        "",
        "| people | number | with the wall | without a white |",
        "| --- | ---: | ---: | ---: |",
    ]
    for name, each in (("all", told), ("held aside", told["held_aside"])):
        lines.append(_people_line(name, each["people"], each["all"]))
        lines += [
            _people_line(f"{name}: {group}", "", row) for group, row in each["groups"].items()
        ]
    medians = ", ".join(f"{name} {value:g}" for name, value in told["medians_percent"].items())
    lines += [
        "",
        f"Medians, %: {medians}; {told['least_percent']:g} to {told['most_percent']:g}.",
        "",
    ]
    return lines


def _people_line(name: str, count: object, row: dict[str, float]) -> str:
    return f"| {name} | {count} | {row['spearman']:.3f} | {row['spearman_without_white']:.3f} |"


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print and store."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--faces", type=int, default=300, help="rendered faces; 0 for none")
    parser.add_argument("--london", type=Path, help="folder of the London set")
    parser.add_argument("--model", default="small")
    parser.add_argument("--out", type=Path, help="JSON file; a Markdown one is written beside it")
    settings = parser.parse_args(arguments)
    model = BioFaceNet.from_pretrained(settings.model).eval()
    told: dict[str, Any] = {}
    if settings.faces:
        told["rendered"] = of_rendered(model, settings.faces)
        told["developed"] = of_rendered(model, settings.faces, phone=True)
        told["greys"] = of_rendered(model, settings.faces, phone=True, greys=True)
    if settings.london:
        told["people"] = of_people(model, settings.london)
    print(report(told))
    if settings.out:
        write_json(settings.out, told)
        settings.out.with_suffix(".md").write_text(report(told), encoding="utf-8")


if __name__ == "__main__":
    run(main)
