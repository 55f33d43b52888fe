"""Training on small synthetic sets: results, resuming, splits, and everything that can be wrong."""

import csv
import json
import math
import subprocess
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import h5py
import pytest
import torch
from PIL import Image

from biofacenet import BioFaceNet
from biofacenet import train as door
from biofacenet.data.pair_files import find_pairs
from biofacenet.data.pairs import FacePairs, decode
from biofacenet.data.truth import read_truth
from biofacenet.errors import BioFaceNetError, DataError, ModelError
from biofacenet.preparation.settings import SyntheticSettings
from biofacenet.preparation.synthetic import synthesize
from biofacenet.training.checkpoints import checkpoints
from biofacenet.training.data import image_mean, load_data
from biofacenet.training.loop import train
from biofacenet.training.settings import PRESETS, LossWeights, Settings, resolve, settings_of_run
from biofacenet.training.step import follow

# Only the pictures of the fixture `finished` are looked at here, which has them whole.
pytestmark = pytest.mark.usefixtures("tiny_pictures")
Command = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("faces") / "set"
    synthesize(SyntheticSettings(out=folder, count=20, holdout=6, size=32, workers=0))
    return folder


def quick(data: Path, out: Path, **changes: object) -> Settings:
    return replace(Settings(data=data, out=out, epochs=2, batch_size=8, device="cpu"), **changes)


@pytest.fixture(scope="module")
def finished(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train(quick(data, tmp_path_factory.mktemp("runs") / "whole"))


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "losses.csv").open(newline="") as stream:
        return list(csv.DictReader(stream))


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return BioFaceNet.from_pretrained(folder).state_dict()


def test_every_epoch_leaves_checkpoint_line_and_picture(finished: Path) -> None:
    assert [path.name for path in checkpoints(finished)] == ["step_00000002", "step_00000004"]
    lines = rows(finished)
    assert [line["epoch"] for line in lines] == ["1", "2"]
    for part in ("train", "validation"):
        for term in ("total", "appearance", "camera", "specular", "shading"):
            assert all(float(line[f"{part}_{term}"]) >= 0 for line in lines)
    for epoch in (1, 2):
        with Image.open(finished / "grids" / f"epoch_{epoch:04d}.png") as picture:
            assert picture.width > 800
            assert len(picture.convert("RGB").getcolors(1 << 24) or []) > 500
    assert weights(finished / "model").keys() == weights(checkpoints(finished)[-1]).keys()
    assert not list(finished.rglob(".partial-*"))
    assert not (finished / "steps.csv").exists()  # fewer than ten steps


def test_training_lowers_the_loss(data: Path, tmp_path: Path) -> None:
    folder = train(quick(data, tmp_path / "run", epochs=8, batch_size=5))
    lines = rows(folder)
    assert float(lines[-1]["train_total"]) < 0.5 * float(lines[0]["train_total"])


def test_resumed_run_equals_the_uninterrupted_one(
    data: Path, finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The pitfall: with the weights alone, momentum, schedule and order of samples start anew."""
    out = tmp_path / "run"

    class StopError(Exception):
        pass

    def stop_after_checkpoint(*_: object) -> str:
        raise StopError

    with monkeypatch.context() as patch:
        patch.setattr("biofacenet.training.loop.summary", stop_after_checkpoint)
        with pytest.raises(StopError):
            train(quick(data, out))
    assert len(rows(out)) == 1
    train(settings_of_run(out, changed=Settings(resume=out), given={"resume"}))
    one, two = weights(finished / "model"), weights(out / "model")
    assert all(torch.equal(one[name], two[name]) for name in one)
    assert [line["train_total"] for line in rows(out)] == [
        line["train_total"] for line in rows(finished)
    ]


def test_checkpoint_holds_optimiser_average_and_random_state(finished: Path) -> None:
    state = torch.load(checkpoints(finished)[-1] / "training_state.pt", weights_only=True)
    assert (state["epoch"], state["step"]) == (2, 0)
    kept, last = weights(finished / "model"), weights(checkpoints(finished)[-1])
    assert all(torch.equal(kept[name], tensor) for name, tensor in state["average"].items())
    assert not all(torch.equal(kept[name], last[name]) for name in kept)
    moments = state["optimiser"]["state"]
    assert len(moments) == len(list(BioFaceNet("small").parameters()))
    assert all("exp_avg_sq" in moment for moment in moments.values())
    assert state["random"].dtype == torch.uint8


def test_average_soon_forgets_where_it_began() -> None:
    """Constant weights: after ten steps, 10! 9! / 19! of the beginning is left."""
    network, average = BioFaceNet("small"), BioFaceNet("small")
    begin = [parameter.detach().clone() for parameter in average.parameters()]
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.fill_(1.0)
    for step in range(10):
        follow(average, network, decay=0.99, step=step)
    left = math.factorial(10) * math.factorial(9) / math.factorial(19)
    for old, now in zip(begin, average.parameters(), strict=True):
        torch.testing.assert_close(now.detach(), left * old + 1 - left)


def test_a_finished_run_goes_on_with_more_epochs(finished: Path, tmp_path: Path) -> None:
    import shutil

    out = tmp_path / "more"
    shutil.copytree(finished, out)
    settings = settings_of_run(
        out, changed=Settings(resume=out, epochs=3), given={"resume", "epochs"}
    )
    assert settings.batch_size == 8  # from the run, not from the defaults
    train(settings)
    assert [line["epoch"] for line in rows(out)] == ["1", "2", "3"]


def test_only_the_newest_checkpoints_are_kept(data: Path, tmp_path: Path) -> None:
    out = train(quick(data, tmp_path / "run", epochs=3, keep=1))
    assert [path.name for path in checkpoints(out)] == ["step_00000006"]


def test_settings_file_reproduces_the_run(finished: Path) -> None:
    stored = json.loads((finished / "settings.json").read_text())
    assert (stored["epochs"], stored["batch_size"], stored["seed"]) == (2, 8, 0)
    again = settings_of_run(finished, changed=Settings(), given=set())
    assert again.data == Path(stored["data"])


def test_an_option_at_its_default_counts_on_resume(
    finished: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The run was on the CPU; ``--device auto`` is the default, and wanted all the same."""
    started: list[Settings] = []
    monkeypatch.setattr("biofacenet.training.loop.train", started.append)
    door.main(["--resume", str(finished), "--device", "auto", "--no-compile", "--seed=0"])
    door.main(["--resume", str(finished)])
    assert [settings.device for settings in started] == ["auto", "cpu"]
    assert all(settings.batch_size == 8 for settings in started)  # from the run
    assert all(settings.out == finished for settings in started)


def test_same_seed_same_weights_other_seed_other_weights(
    data: Path, finished: Path, tmp_path: Path
) -> None:
    same = weights(train(quick(data, tmp_path / "same")) / "model")
    other = weights(train(quick(data, tmp_path / "other", seed=1)) / "model")
    first = weights(finished / "model")
    assert all(torch.equal(first[name], same[name]) for name in first)
    assert any(not torch.equal(first[name], other[name]) for name in first)


def test_image_mean_is_of_the_linear_training_images(data: Path, finished: Path) -> None:
    training, _ = load_data(quick(data, data / "unused"))
    expected = decode(training.read(range(20))).image.mean(dim=(0, 2, 3))
    torch.testing.assert_close(torch.tensor(image_mean(training)), expected)
    torch.testing.assert_close(weights(finished / "model")["image_mean"].flatten(), expected)


@pytest.mark.parametrize(
    ("files", "holdout", "sizes"),
    [
        ((), "auto", (20, 6)),
        (("01",), "auto", (19, 1)),
        (("20",), "auto", (6, None)),
        ((), "none", (26, None)),
        ((), "1", (6, 20)),
    ],
)
def test_split(
    data: Path, files: tuple[str, ...], holdout: str, sizes: tuple[int, int | None]
) -> None:
    """File 20 is held out when it is not the only one; else the last twentieth."""
    training, validation = load_data(quick(data, data / "unused", files=files, holdout=holdout))
    assert (len(training), None if validation is None else len(validation)) == sizes


def test_paper_preset_is_the_published_setting() -> None:
    plan = resolve(Settings(preset="paper"))
    assert (plan.network, plan.optimiser, plan.learning_rate) == ("paper", "sgd", 1e-5)
    assert (plan.batch_size, plan.epochs, plan.schedule) == (64, 200, "constant")
    assert plan.weights == LossWeights(1e-3, 1e-4, 1e-5, 1e-5)
    changed = resolve(Settings(preset="paper", epochs=3, loss_weights=(1, 2, 3, 4)))
    assert changed == replace(PRESETS["paper"], epochs=3, weights=LossWeights(1, 2, 3, 4))


@pytest.mark.parametrize(
    "change",
    [{"preset": "paper", "epochs": 1, "network": "small"}, {"workers": 2}, {"in_memory": True}],
)
def test_other_ways_to_train(data: Path, tmp_path: Path, change: dict[str, object]) -> None:
    folder = train(quick(data, tmp_path / "run", **{"epochs": 1, **change}))
    assert float(rows(folder)[0]["train_total"]) > 0


def test_reading_options_do_not_change_the_result(
    data: Path, finished: Path, tmp_path: Path
) -> None:
    with_workers = train(quick(data, tmp_path / "a", workers=2))
    in_memory = train(quick(data, tmp_path / "b", in_memory=True))
    assert rows(finished)[1]["train_total"] == rows(with_workers)[1]["train_total"]
    assert rows(finished)[1]["train_total"] == rows(in_memory)[1]["train_total"]


def test_without_data_synthetic_faces_are_made_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    made = []

    def few(settings: SyntheticSettings) -> None:
        made.append(settings.out)
        synthesize(replace(settings, count=8, holdout=2, size=32, workers=0))

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("biofacenet.training.data.synthesize", few)
    for run in (1, 2):
        train(Settings(epochs=1, device="cpu"))
        assert (tmp_path / "runs" / f"00{run}" / "model" / "config.json").is_file()
        assert "no --data given" in capsys.readouterr().out
    assert made == [Path("data/synthetic")]


def test_true_maps_are_learned_where_they_are_given(data: Path, tmp_path: Path) -> None:
    """By themselves, without a look at what they render to."""
    alone = {
        "loss_weights": (0.0, 0.0, 0.0, 0.0),
        "truth_weight": 1.0,
        "shape_weights": (0.0, 0.0),
    }
    told = rows(train(quick(data, tmp_path / "told", epochs=24, sides=(32, 16), **alone)))
    learned = [float(row["train_truth"]) for row in told]
    assert 0.0 < learned[-1] < 0.7 * learned[0]
    losses = [float(row["validation_truth"]) for row in told]
    assert losses[-1] < losses[0]
    assert [float(row["validation_total"]) for row in told] == losses
    untold = rows(train(quick(data, tmp_path / "untold", epochs=1, truth_weight=0.0)))
    assert float(untold[0]["validation_truth"]) == 0


def test_the_shipped_recipe_asks_for_truth_and_for_faces_of_its_own() -> None:
    plan = resolve(Settings(preset="shipped"))
    assert plan.weights.truth > 0
    assert plan.faces.out != PRESETS["default"].faces.out
    assert resolve(Settings(truth_weight=0.5)).weights.truth == 0.5
    assert resolve(Settings(preset="shipped", loss_weights=(1, 2, 3, 4))).weights.truth == 1.0
    with pytest.raises(BioFaceNetError, match="--sides must be multiples of 16, got 40"):
        train(Settings(sides=(40,)))
    with pytest.raises(BioFaceNetError, match="--truth-weight"):
        train(Settings(truth_weight=-1.0))


@pytest.mark.slow
def test_short_training_finds_shading_and_colour_without_seeing_true_maps(tmp_path: Path) -> None:
    """Half a minute on two cores; the shading term alone could not colour the skin."""
    folder = tmp_path / "set"
    synthesize(SyntheticSettings(out=folder, count=192, holdout=32, skin="published"))
    unseen: dict[str, Any] = {"skin": "published", "truth_weight": 0.0}
    run = train(Settings(data=folder, out=tmp_path / "run", epochs=5, device="cpu", **unseen))
    network = BioFaceNet.from_pretrained(run / "model")
    (file,) = find_pairs(folder, ("20",))
    batch, truth = decode(FacePairs([file]).read(range(32))), read_truth(file, range(32))
    with torch.no_grad():
        found = network(batch.image)
    inside = batch.mask > 0

    def correlation(name: str) -> torch.Tensor:
        ours, true = getattr(found, name), getattr(truth, name)
        each = [
            torch.corrcoef(torch.stack((ours[i][inside[i]], true[i][inside[i]])))[0, 1]
            for i in range(32)
        ]
        return torch.stack(each).mean()

    error = ((found.render() - batch.image).square() * batch.mask).sum() / (3 * batch.mask.sum())
    assert error.sqrt() < 0.05
    assert correlation("diffuse") > 0.85
    medians = [
        torch.stack([maps.melanin[i][inside[i]].median() for i in range(32)])
        for maps in (found, truth)
    ]
    assert torch.corrcoef(torch.stack(medians))[0, 1] > 0.7


@pytest.mark.parametrize("seed", range(3))
def test_first_steps_keep_everything_in_range(data: Path, tmp_path: Path, seed: int) -> None:
    """Steps that are too long make highlights vanish for good, or exponentials overflow."""
    run = train(quick(data, tmp_path / "run", epochs=8, batch_size=4, seed=seed, log_steps=1))
    with (run / "steps.csv").open(newline="") as stream:
        lines = [{k: float(v) for k, v in line.items()} for line in csv.DictReader(stream)]
    assert len(lines) == 8 * 5
    assert all(line["specular"] > 0.1 * lines[0]["specular"] for line in lines)
    errors = [float(line["train_appearance"]) for line in rows(run)]
    assert errors[-1] < 0.5 * errors[0]
    rates = [line["learning_rate"] for line in lines]
    assert rates.index(max(rates)) > 10
    assert rates == sorted(rates[: rates.index(max(rates))]) + sorted(
        rates[rates.index(max(rates)) :], reverse=True
    )


# What can be wrong ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "change",
    [
        {"epochs": 0},
        {"batch_size": -1},
        {"keep": 0},
        {"learning_rate": 0.0},
        {"learning_rate": float("nan")},
        {"workers": -1},
        {"device": "abacus"},
        {"holdout": "7"},
    ],
)
def test_settings_out_of_range(data: Path, tmp_path: Path, change: dict[str, object]) -> None:
    with pytest.raises(BioFaceNetError) as caught:
        train(quick(data, tmp_path / "run", **change))
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "run").exists()


def test_an_earlier_run_is_not_overwritten(data: Path, finished: Path) -> None:
    with pytest.raises(BioFaceNetError, match="--resume"):
        train(quick(data, finished))


@pytest.mark.parametrize("folder", ["nowhere", "."])
def test_resuming_what_is_no_run(tmp_path: Path, folder: str) -> None:
    with pytest.raises(ModelError, match="not the folder of a run"):
        settings_of_run(tmp_path / folder, changed=Settings(), given=set())


def test_diverging_training_stops_with_advice(data: Path, tmp_path: Path) -> None:
    with pytest.raises(BioFaceNetError, match="lower --learning-rate"):
        train(
            quick(
                data,
                tmp_path / "run",
                preset="paper",
                network="small",
                learning_rate=1e6,
                epochs=20,
            )
        )


@pytest.mark.parametrize("workers", [0, 1])
def test_nan_in_the_data_is_told_also_from_a_worker(
    data: Path, tmp_path: Path, workers: int
) -> None:
    import shutil

    bad = tmp_path / "bad"
    shutil.copytree(data, bad)
    with h5py.File(bad / "zx_7_d10_inmc_synthetic_01.hdf5", "a") as file:
        values = file["zx_7"][()] / 65535.0  # integers have no NaN
        values[13, 0, 0, 0] = float("nan")
        del file["zx_7"]
        file["zx_7"] = values
    with pytest.raises(DataError) as caught:
        train(quick(bad, tmp_path / "run", workers=workers))
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith(str(bad))
    assert "sample 13" in str(caught.value)


@pytest.fixture(scope="module")
def command(in_process: Command) -> Command:
    return partial(in_process, "biofacenet.train")


def test_command_line(data: Path, tmp_path: Path, command: Command) -> None:
    done = command(
        *("--data", str(data), "--epochs", "1", "--batch-size", "10", "--device", "cpu"),
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "runs" / "001" / "model" / "model.safetensors").is_file()
    assert "runs/001/model" in done.stdout
    again = command("--resume", "runs/001", "--epochs", "2", cwd=tmp_path)
    assert again.returncode == 0, again.stderr
    assert len(rows(tmp_path / "runs" / "001")) == 2
    other = command(
        "--settings", "runs/001/settings.json", "--out", "runs/copy", "--epochs", "1", cwd=tmp_path
    )
    assert other.returncode == 0, other.stderr
    first, copied = rows(tmp_path / "runs" / "001")[0], rows(tmp_path / "runs" / "copy")[0]
    assert first["epoch"] == copied["epoch"]


@pytest.mark.parametrize(
    "arguments",
    [
        ("--data", "nowhere"),
        ("--data", "."),
        ("--resume", "nowhere"),
        ("--settings", "nowhere.json"),
        ("--epochs", "0"),
    ],
)
def test_command_line_errors_are_one_line_and_status_2(
    tmp_path: Path, arguments: tuple[str, ...], command: Command
) -> None:
    done = command(*arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("error: ")
    assert list(tmp_path.iterdir()) == []


def test_help_is_for_newcomers(tmp_path: Path, command: Command) -> None:
    done = command("--help", cwd=tmp_path)
    assert done.returncode == 0
    for word in (
        "--data",
        "--files",
        "--epochs",
        "--preset",
        "--resume",
        "--settings",
        "synthetic",
    ):
        assert word in done.stdout


def test_one_pair_of_files_can_be_trained_on(data: Path, tmp_path: Path) -> None:
    """FacePairs and find_pairs together, as a library user would call them."""
    pairs = FacePairs(find_pairs(data, ("01",)))
    batch = decode(pairs.read([0, 1]))
    network = BioFaceNet("small").train()
    network(batch.image).render().mean().backward()
