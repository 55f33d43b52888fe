"""The tool that rebuilds the figure files gives the files that ship."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from biofacenet.errors import DataError
from biofacenet.physics.rebuilding import FIGURES, Camera, Chromophores, Cie, read_camera_database
from biofacenet.physics.spectra import WAVELENGTHS


def columns(path: Path) -> dict[str, list[float]]:
    lines = [line for line in path.read_text().splitlines() if not line.startswith("#")]
    names = lines[0].split(",")
    values = zip(*([float(word) for word in line.split(",")] for line in lines[1:]), strict=True)
    return dict(zip(names, map(list, values), strict=True))


def test_camera_figures_from_the_database(authors: Path, tmp_path: Path) -> None:
    Camera(authors / "rgbCMF.mat", tmp_path)()
    rebuilt, shipped = columns(tmp_path / "camera_pca.csv"), columns(FIGURES / "camera_pca.csv")
    assert rebuilt.keys() == shipped.keys()
    for name in shipped:
        assert rebuilt[name] == pytest.approx(shipped[name], abs=2e-8)


def test_chromophores_from_the_release(authors: Path, tmp_path: Path) -> None:
    Chromophores(authors / "skinmodel", tmp_path)()
    assert columns(tmp_path / "chromophores.csv") == columns(FIGURES / "chromophores.csv")


def test_cie_figures_from_colour_science(tmp_path: Path) -> None:
    pytest.importorskip("colour", reason="colour-science is not installed")
    Cie(tmp_path)()
    for name in ("illuminants", "daylight", "observer"):
        assert columns(tmp_path / f"{name}.csv") == columns(FIGURES / f"{name}.csv")


def test_published_text_form_of_the_database(tmp_path: Path) -> None:
    curves = torch.rand(4, 3, 33, dtype=torch.float64)
    lines = []
    for i, camera in enumerate(curves):
        lines.append(f"Camera {i}")
        lines += ["\t".join(f"{value:.17g}" for value in channel) for channel in camera.tolist()]
    path = tmp_path / "camspec_database.txt"
    path.write_text("\n".join(lines) + "\n")
    torch.testing.assert_close(read_camera_database(path), curves)
    path.write_text("\n".join(lines[:-1]))
    with pytest.raises(DataError, match=r"camspec_database\.txt.*33 numbers"):
        read_camera_database(path)


def test_every_figure_file_names_its_source() -> None:
    files = sorted(FIGURES.glob("*.csv"))
    assert len(files) == 5
    for path in files:
        heading = [line for line in path.read_text().splitlines() if line.startswith("#")]
        assert "Source" in " ".join(heading), path.name
        assert columns(path)["wavelength_nm"] == list(WAVELENGTHS)


def test_command_line_errors(
    tmp_path: Path, in_process: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    done = in_process("biofacenet.rebuild", "camera", "nowhere.txt", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "nowhere.txt" in done.stderr
