"""The command `python -m benchmarks.gpu`."""

from __future__ import annotations

from biofacenet.cli import parse, run
from biofacenet.system.device import choose_device

from .launches import measure_launches
from .renderer import measure_renderer
from .report import report, versions, write
from .settings import Settings
from .training import measure_training


def main() -> None:
    """Measure a part and write it after each row, or put the parts together."""
    settings = parse(Settings, program="benchmarks.gpu")
    if settings.part == "report":
        report(settings)
        return
    device = choose_device(settings.device)
    parts = {
        "renderer": measure_renderer,
        "training": measure_training,
        "launches": measure_launches,
    }
    for found in parts[settings.part](settings, device):
        write(settings.out / f"{settings.part}.json", {"machine": versions(device), "found": found})


if __name__ == "__main__":
    run(main)
