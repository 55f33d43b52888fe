"""Baselines, photo pairs, and the evaluation from the command line to its files."""

import csv
import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from biofacenet import BioFaceNet
from biofacenet.cli import run
from biofacenet.data import Faces, generate
from biofacenet.errors import DataError
from biofacenet.evaluate import main
from biofacenet.evaluation.baselines import IndependentComponents, Statistics, constant_maps
from biofacenet.evaluation.metrics import COLUMNS, masked_mean, rank_correlation
from biofacenet.evaluation.polarised import find_pairs, polarised_faces
from biofacenet.evaluation.run import evaluate, evaluate_network
from biofacenet.evaluation.sets import KnownFaces, fixed_faces
from biofacenet.evaluation.settings import Settings, beside_earlier_results
from biofacenet.evaluation.tables import tables
from biofacenet.physics.colour import linear_to_srgb, luminance, srgb_to_linear


@pytest.fixture(scope="module")
def made() -> Faces:
    return generate(range(700, 724), skin="published")


@pytest.fixture(scope="module")
def usual(made: Faces) -> Statistics:
    return Statistics.of(made.truth, made.mask)


# Baselines -----------------------------------------------------------------------------------


def test_statistics_weigh_faces_alike(made: Faces, usual: Statistics) -> None:
    means, squares = [], []
    for melanin, mask in zip(made.truth.melanin, made.mask, strict=True):
        means.append(float(melanin[mask > 0].mean()))
    for melanin, mask in zip(made.truth.melanin, made.mask, strict=True):
        squares.append(float((melanin[mask > 0] - np.mean(means)).square().mean()))
    assert usual.melanin == pytest.approx((np.mean(means), np.sqrt(np.mean(squares))), abs=1e-5)
    assert usual.illuminant.weights.sum() == pytest.approx(1.0, abs=1e-5)


def test_constants_are_the_best_ones_and_meet_the_exposure(made: Faces, usual: Statistics) -> None:
    image = srgb_to_linear(made.image)
    found = constant_maps(image, made.mask, usual)
    assert found.melanin.std() < 1e-6
    assert found.diffuse.amax((1, 2, 3)).equal(found.diffuse.amin((1, 2, 3)))
    torch.testing.assert_close(
        masked_mean(luminance(found.render()), made.mask),
        masked_mean(luminance(image), made.mask),
        rtol=1e-4,
        atol=1e-5,
    )

    def error(melanin: float) -> float:
        return float(masked_mean((made.truth.melanin - melanin).square(), made.mask).mean())

    best = usual.melanin[0]
    assert error(best) < min(error(best - 0.01), error(best + 0.01))


def test_independent_components_separate_what_is_mixed(usual: Statistics) -> None:
    """Two pigments and a shading of no Gaussian distribution, mixed along the model's directions."""
    rng = np.random.default_rng(0)
    sources = rng.uniform(-1.0, 1.0, (3, 90, 100)) ** 3
    sources *= np.array([0.6, 0.5, 0.3])[:, None, None]
    mixing = np.array([[1.0, 1.0, 1.0], [-0.25, -0.46, -0.85], [-0.06, -0.72, -0.69]])
    logs = np.tensordot(mixing.T, sources, 1) + np.log([0.4, 0.25, 0.15])[:, None, None]
    image = torch.from_numpy(np.exp(logs)).float()[None]
    analysis = IndependentComponents.learn(image, torch.ones(1, 1, 90, 100), usual)
    found = analysis(image)
    for name, source in zip(("diffuse", "melanin", "haemoglobin"), sources, strict=True):
        ours = getattr(found, name).flatten()
        assert rank_correlation(ours, torch.from_numpy(source).flatten()) > 0.95, name
    mean, spread = float(found.melanin.mean()), float(found.melanin.std())
    assert (mean, spread) == pytest.approx(usual.melanin, abs=0.05)
    assert float(found.diffuse.log().std()) == pytest.approx(usual.log_diffuse[1], abs=0.02)
    assert found.specular.unique().tolist() == pytest.approx([usual.specular])


# Faces ---------------------------------------------------------------------------------------


def test_kept_faces_are_the_same_and_of_this_generator(tmp_path: Path) -> None:
    fresh = fixed_faces(3, size=16)
    made = generate(range(3), 20190909, size=16, skin="published")
    assert torch.equal(fresh.image, srgb_to_linear(made.image))
    done: list[int] = []
    for _ in range(2):
        kept = fixed_faces(3, size=16, cache=tmp_path, tick=done.append)
        assert torch.equal(kept.image, fresh.image)
        assert torch.equal(kept.mask, fresh.mask)
        for ours, theirs in zip(
            kept.truth.arrays().values(), fresh.truth.arrays().values(), strict=True
        ):
            assert np.array_equal(ours, theirs)
    assert sum(done) == 3
    (folder,) = tmp_path.iterdir()
    next(folder.glob("*inmc*")).write_bytes(b"damaged")
    assert torch.equal(fixed_faces(2, size=16, cache=tmp_path).image, fresh.image[:2])


def write_pair(folder: Path, made: Faces, index: int) -> None:
    """The crossed photo of a face, and the surface reflection at twice its exposure."""
    face = made.truth[index]
    surface = (face.render() - face.edit(specular_scale=0.0).render()) * made.mask[index]
    body = (srgb_to_linear(made.image[index : index + 1]) - surface).clamp(min=0.0)
    surface = 2.0 * surface
    for name, picture in (("diffuse", body), ("specular", surface)):
        pixels = (255 * linear_to_srgb(picture[0])).round().byte().permute(1, 2, 0).numpy()
        large = Image.fromarray(pixels).resize((128, 128), Image.Resampling.NEAREST)
        large.save(folder / f"{index}_{name}.png")


def test_photo_pairs_add_up(tmp_path: Path, made: Faces) -> None:
    for index in (1, 3):
        write_pair(tmp_path, made, index)
    faces = polarised_faces(tmp_path, size=64)
    assert len(faces) == 2
    assert len(faces[:1]) == 1
    torch.testing.assert_close(faces.image, (faces.diffuse + faces.specular).clamp(0, 1))
    assert faces.mask.sum((1, 2, 3)).min() > 200


def test_halves_of_photo_pairs(tmp_path: Path, made: Faces) -> None:
    with pytest.raises(DataError, match="no such folder"):
        find_pairs(tmp_path / "nowhere")
    with pytest.raises(DataError, match="no photo pair"):
        find_pairs(tmp_path)
    write_pair(tmp_path, made, 0)
    (tmp_path / "0_specular.png").rename(tmp_path / "0_specular.bmp")
    assert find_pairs(tmp_path) == [(tmp_path / "0_diffuse.png", tmp_path / "0_specular.bmp")]
    (tmp_path / "0_specular.png").touch()
    with pytest.raises(DataError, match="expected one of them"):
        find_pairs(tmp_path)
    (tmp_path / "0_specular.png").unlink()
    Image.new("RGB", (40, 50)).save(tmp_path / "0_specular.bmp")
    with pytest.raises(DataError, match="expected one size"):
        polarised_faces(tmp_path)
    (tmp_path / "0_specular.bmp").unlink()
    with pytest.raises(DataError, match=r"0_specular\.\* is missing"):
        find_pairs(tmp_path)


# Command line --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def evaluated(
    tmp_path_factory: pytest.TempPathFactory,
    in_process: Callable[..., subprocess.CompletedProcess[str]],
) -> Path:
    """A folder with an untrained network and what was written of it and of the baselines."""
    folder = tmp_path_factory.mktemp("evaluated")
    torch.manual_seed(1)
    BioFaceNet("small").save_pretrained(folder / "model")
    arguments = ["--count", "8", "--training-faces", "16", "--model", "model", "--device", "cpu"]
    done = in_process("biofacenet.evaluate", *arguments, cwd=folder)
    assert done.returncode == 0, done.stderr
    (folder / "output.txt").write_text(done.stdout, "utf-8")
    return folder


def test_figures_of_the_files_are_those_of_the_metrics(evaluated: Path) -> None:
    folder, out = evaluated, evaluated / "evaluation"
    results: dict[str, Any] = json.loads((out / "evaluation.json").read_text("utf-8"))
    assert list(results["methods"]) == ["network", "untrained", "constant", "ica", "fit"]
    made = generate(range(8), 20190909, skin="published")
    faces = KnownFaces("the same", srgb_to_linear(made.image), made.mask, made.truth)
    again = evaluate_network(BioFaceNet.from_pretrained(folder / "model"), faces)
    network = results["methods"]["network"]
    assert network["rmse"] == pytest.approx(again["rmse"], rel=1e-4)
    assert network["ssim"] == pytest.approx(again["ssim"], abs=1e-4)
    counts = [group["faces"] for group in network["by_skin_tone"].values()]
    assert sum(counts) == network["faces"] == 8

    with (out / "evaluation.csv").open(encoding="utf-8") as stream:
        rows = {row["method"]: row for row in csv.DictReader(stream)}
    text = (out / "evaluation.md").read_text("utf-8")
    for column in COLUMNS:
        value = results["methods"]["fit"]["rmse"][column]
        assert float(rows["fit"][f"rmse_{column}"]) == value
    shown = " | ".join(f"{results['methods']['fit']['rmse'][c]:.3f}" for c in COLUMNS)
    assert f"| fit | {shown} |" in text
    assert "0.597" in (folder / "output.txt").read_text("utf-8")
    for table in tables(results):
        assert all(len(row) == len(table.headings) for row in table.rows)
        assert table.title in text
    with (out / "skin_tones.csv").open(encoding="utf-8") as stream:
        assert len(list(csv.reader(stream))) == 1 + 5 * 6
    with Image.open(out / "cases.png") as sheet:
        assert sheet.width > 1500


def test_earlier_results_stay(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each kind by its own file, and a line says where results go instead; nothing is computed here."""
    monkeypatch.chdir(tmp_path)
    kinds = {
        "evaluation.json": Settings(),
        "people.json": Settings(photos=tmp_path),
        "calibration.json": Settings(calibrate=True),
    }
    for name, settings in kinds.items():
        assert beside_earlier_results(settings).out == Path("evaluation")
        for number in (2, 3):
            folder = beside_earlier_results(settings).out
            folder.mkdir(exist_ok=True)
            (folder / name).touch()
            assert beside_earlier_results(settings).out == Path(f"evaluation-{number}")
        assert "evaluation: earlier results are there and stay" in capsys.readouterr().out
        assert beside_earlier_results(replace(settings, overwrite=True)).out == Path("evaluation")
        assert capsys.readouterr().out == ""


def test_methods_are_in_their_place(evaluated: Path) -> None:
    """What knows more is nearer to the truth."""
    results = json.loads((evaluated / "evaluation" / "evaluation.json").read_text("utf-8"))
    error = {name: of["rmse"] for name, of in results["methods"].items()}
    assert error["fit"]["reconstruction"] < 0.02 < error["constant"]["reconstruction"]
    assert error["ica"]["diffuse"] < 0.8 * error["constant"]["diffuse"]
    within = results["methods"]["constant"]["rank_within"]
    assert within == dict.fromkeys(within, 0.0)


def test_photo_pairs_are_evaluated(evaluated: Path, tmp_path: Path, made: Faces) -> None:
    (tmp_path / "pairs").mkdir()
    write_pair(tmp_path / "pairs", made, 1)
    settings = Settings(
        polarised=tmp_path / "pairs",
        methods="constant,fit",
        training_faces=16,
        cache=evaluated / "data" / "evaluation",
        out=tmp_path / "out",
        device="cpu",
    )
    results = evaluate(settings)
    assert results == json.loads((tmp_path / "out" / "evaluation.json").read_text("utf-8"))
    fitted, constant = (results["methods"][name]["rmse"] for name in ("fit", "constant"))
    assert set(fitted) == {"body reflection", "surface reflection", "reconstruction"}
    assert fitted["reconstruction"] < 0.02
    assert fitted["body reflection"] < constant["body reflection"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--methods", "network,magic"), "unknown method 'magic'"),
        (("--methods", ","), "no method"),
        (("--count", "0"), "at least 1"),
        (("--iset", "nowhere.mat", "--methods", "fit"), "no such file"),
        (("--polarised", "nowhere", "--methods", "fit"), "no such folder"),
        (("--training-faces", "0"), "at least 1"),
        (("--iset", "a", "--polarised", "b"), "one at a time"),
        (("--photos", "a", "--polarised", "b"), "one at a time"),
        (("--photos", "nowhere"), "no such folder"),
        (("--photos", ".", "--size", "90"), "multiple of 16"),
        (("--photos", ".", "--methods", "ica"), "network, fit, indices with --photos"),
        (("--photos", "."), "no such table"),
        (("--people", "001"), "--photos FOLDER"),
        (("--methods", "indices"), "unknown method 'indices'"),
        (("--count", "1", "--model", "no/where/at/all"), "no such folder"),
    ],
)
def test_what_is_wrong_is_one_line(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: tuple[str, ...],
    words: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["evaluate", *arguments])
    with pytest.raises(SystemExit) as caught:
        run(main)
    assert caught.value.code == 2
    line = capsys.readouterr().err
    assert line.startswith("error: ")
    assert line.count("\n") == 1
    assert words in line
    assert list(tmp_path.iterdir()) == []
