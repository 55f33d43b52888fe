"""What the numbers of a run are, and in which unit: for its report, its plots and its messages."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

__all__ = [
    "COLUMNS",
    "TERM_MEANINGS",
    "meaning_of",
    "unit_of",
    "used_terms",
]

TERM_MEANINGS = {
    "total": ("weighted sum", "what training lowers: the terms times their weights, added up"),
    "appearance": (
        "squared levels of 255",
        "rendered face and image, both linear from 0 to 255: squared differences of R, G and B added "
        "up, mean over the pixels of the mask",
    ),
    "camera": (
        "squared deviations",
        "squared length of the two camera coordinates, each in standard deviations of real cameras, "
        "mean over the faces",
    ),
    "specular": (
        "factor of the light",
        "specular shading, mean over the pixels of the mask",
    ),
    "shading": (
        "squared proxy shading",
        "diffuse shading, scaled to the proxy shading of its image, and that: squared difference, mean "
        "over the pixels of the mask",
    ),
    "bounds": (
        "raw outputs",
        "how far raw outputs of the network lie outside their ranges: those of maps, mean over the "
        "pixels of the mask, and those of light and camera, mean over the faces",
    ),
    "truth": (
        "squared, no unit",
        "maps and their true ones: pigments from -1 to 1, shadings relative to the face's mean; with a "
        "twentieth of those of light and camera",
    ),
    "normals": (
        "1 - cosine",
        "of the angle between normals and the true ones, mean over the pixels of the head",
    ),
    "parts": (
        "nats",
        "cross entropy of the parts, mean over the labelled pixels, of which those of rare parts weigh "
        "more",
    ),
    "photo_appearance": (
        "squared levels of 255",
        "of photographs and other views of them, as appearance is of faces",
    ),
    "photo_pigments": (
        "squared, no unit",
        "melanin and haemoglobin, from -1 to 1, of two views of a photograph: squared differences, mean "
        "over the pixels of the mask",
    ),
    "photo_diffuse": (
        "squared logarithms",
        "logarithm of diffuse shading of two views, less that of the change of light: squared "
        "difference, mean over the pixels of the mask",
    ),
    "photo_specular": (
        "squared shares of the light",
        "what highlights add to two views, less what was added, relative to the face's mean luminance: "
        "squared difference, mean over the pixels of the mask",
    ),
    "photo_parts": ("nats", "of photographs with landmarks, as parts is of faces"),
    "photo_person": (
        "squared, no unit",
        "mean melanin and haemoglobin, from -1 to 1, of two photographs of a person: squared differences, "
        "mean over the pairs",
    ),
    "photo_veil": (
        "squared shares of the limit",
        "specular by diffuse shading of the less shining half of a photographed face, as far as it is over "
        "what skin's surface returns, by that: squared, mean over the photographs",
    ),
}
"""Unit and meaning of each term of the losses."""

COLUMNS = {
    "epoch": ("from 1", "passes over the faces"),
    "learning_rate": (
        "per step",
        "step size of the optimiser: in losses.csv in the epoch's first step, in steps.csv in the step "
        "that follows",
    ),
    "step": ("steps", "steps of the optimiser since the run began"),
    "seconds": ("s", "wall time of the epoch and its validation, without pictures and checkpoint"),
}
"""Unit and meaning of the other columns of losses.csv and steps.csv."""


def unit_of(column: str) -> str:
    """The unit of a column of losses.csv or steps.csv, in a few words."""
    return _described(column)[0]


def meaning_of(column: str) -> str:
    """What such a column holds."""
    return _described(column)[1]


def _described(column: str) -> tuple[str, str]:
    part, _, term = column.partition("_")
    term = term if part in ("train", "validation") else column
    return TERM_MEANINGS.get(term) or COLUMNS.get(term) or ("", "")


def used_terms(terms: Iterable[str], records: Iterable[Mapping[str, float]]) -> list[str]:
    """Terms that are not 0 throughout the records of losses.csv or steps.csv."""
    records = list(records)
    ways = ("", "train_", "validation_")
    return [
        term
        for term in terms
        if any(record.get(f"{way}{term}", 0.0) for record in records for way in ways)
    ]
