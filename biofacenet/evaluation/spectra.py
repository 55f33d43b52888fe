"""How well the skin model explains measured spectra, by group."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ..data.spectra import Spectra
from ..fitting.spectra import SpectraFit

__all__ = [
    "HEADINGS",
    "Summary",
    "markdown",
    "sample_rows",
    "summarise",
]

# Summary -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Summary:
    """How near the model comes to the spectra of a group."""

    group: str
    count: int
    median_rms: float
    mean_rms: float
    rms_95: float
    """95 % of the spectra are nearer."""
    median_rms_scaled: float
    """With free scale and offset."""
    median_difference: float
    """CIEDE2000 under D65."""
    difference_95: float
    at_end: float
    """Share of spectra with a map value at an end of its axis."""

    def cells(self) -> list[str]:
        """The numbers as text, in the order of `HEADINGS`."""
        return [
            self.group,
            str(self.count),
            *(f"{x:.4f}" for x in (self.median_rms, self.mean_rms, self.rms_95)),
            f"{self.median_rms_scaled:.4f}",
            f"{self.median_difference:.2f}",
            f"{self.difference_95:.2f}",
            f"{100.0 * self.at_end:.0f} %",
        ]


HEADINGS = (
    "group",
    "spectra",
    "RMS median",
    "mean",
    "95 %",
    "scaled, median",
    "dE00 median",
    "95 %",
    "at an end",
)


def summarise(found: SpectraFit, groups: Sequence[str] | None = None) -> list[Summary]:
    """A summary of all spectra, and of each group in the order of their names."""
    labels = np.array(groups if groups is not None else [])
    parts = {"all": torch.ones(len(found.rms), dtype=torch.bool)}
    parts |= {str(name): torch.from_numpy(labels == name) for name in np.unique(labels)}
    return [_summary(name, found, chosen) for name, chosen in parts.items() if chosen.any()]


def _summary(name: str, found: SpectraFit, chosen: Tensor) -> Summary:
    rms, difference = found.rms[chosen], found.colour_difference[chosen]
    return Summary(
        group=name,
        count=int(chosen.sum()),
        median_rms=float(rms.quantile(0.5)),
        mean_rms=float(rms.mean()),
        rms_95=float(rms.quantile(0.95)),
        median_rms_scaled=float(found.rms_scaled[chosen].quantile(0.5)),
        median_difference=float(difference.quantile(0.5)),
        difference_95=float(difference.quantile(0.95)),
        at_end=float(found.at_end[chosen].double().mean()),
    )


def markdown(summaries: Iterable[Summary]) -> str:
    """The summaries as a Markdown table."""
    lines = [list(HEADINGS), ["---"] * len(HEADINGS), *(each.cells() for each in summaries)]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


def sample_rows(spectra: Spectra, found: SpectraFit) -> list[list[str]]:
    """A heading and a row for each sample."""
    heading = ["sample", "group", "melanin", "haemoglobin", "rms", "rms_scaled", "ciede2000"]
    numbers = torch.stack(
        (
            found.melanin,
            found.haemoglobin,
            found.rms,
            found.rms_scaled,
            found.colour_difference,
        ),
        dim=1,
    )
    groups = spectra.groups or ("",) * len(spectra.names)
    return [
        heading,
        *(
            [name, group, *(f"{x:.6f}" for x in row)]
            for name, group, row in zip(spectra.names, groups, numbers.tolist(), strict=True)
        ),
    ]
