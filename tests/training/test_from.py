"""Going on from weights there are: what holds, what is refused, and what a short run leaves of them."""

import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from subprocess import CompletedProcess

import pytest
import torch

from biofacenet import BioFaceNet
from biofacenet.data import FacePairs, decode, find_pairs
from biofacenet.errors import BioFaceNetError, ModelError
from biofacenet.preparation.photos import prepare
from biofacenet.preparation.settings import PhotoSettings, SyntheticSettings
from biofacenet.preparation.synthetic import synthesize
from biofacenet.training.distributed import join
from biofacenet.training.loop import train
from biofacenet.training.run import Run, set_up
from biofacenet.training.settings import PRESETS, Settings, settings_of_run

pytestmark = pytest.mark.usefixtures("tiny_pictures")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("faces") / "set"
    synthesize(SyntheticSettings(out=folder, count=8, holdout=4, size=32, workers=0))
    return folder


@pytest.fixture(scope="module")
def origin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(5)
    folder = tmp_path_factory.mktemp("origin") / "model"
    BioFaceNet("small", image_mean=(0.5, 0.4, 0.3), skin="measured").save_pretrained(folder)
    return folder


def asked(data: Path, out: Path, origin: Path | str, **changes: object) -> Settings:
    settings = Settings(data=data, out=out, from_=str(origin), skin="measured", device="cpu")
    return replace(settings, **{"batch_size": 4, **changes})


def begun(settings: Settings) -> Run:
    with join("cpu") as alone:
        return set_up(settings, alone)


def test_what_surrounds_skin_can_be_learned_alone(data: Path, origin: Path, tmp_path: Path) -> None:
    settings = asked(data, tmp_path / "run", origin, learn="surroundings", epochs=1)
    network = BioFaceNet.from_pretrained(train(settings) / "model")
    before = BioFaceNet.from_pretrained(origin).state_dict()
    assert network.surroundings is not None
    assert network.surroundings.layers[-1].weight.abs().max() > 0
    for name, values in network.state_dict().items():
        if not name.startswith("surroundings."):
            torch.testing.assert_close(values, before[name], rtol=0, atol=0)


def test_surroundings_that_cannot_be_learned_alone(data: Path, tmp_path: Path) -> None:
    with pytest.raises(BioFaceNetError, match="--learn surroundings leaves the rest as it is"):
        train(Settings(data=data, out=tmp_path / "run", learn="surroundings", device="cpu"))
    BioFaceNet("small", skin="measured", shaped=False).save_pretrained(tmp_path / "model")
    settings = asked(data, tmp_path / "run", tmp_path / "model", learn="surroundings")
    with pytest.raises(BioFaceNetError, match="does not compare skin"):
        train(replace(settings, shape_weights=(0.0, 0.0)))


def test_weights_mean_and_size_are_those_that_are_named(
    data: Path, origin: Path, tmp_path: Path
) -> None:
    run = begun(asked(data, tmp_path / "run", origin))
    stored = BioFaceNet.from_pretrained(origin).state_dict()
    for name, values in run.network.state_dict().items():
        torch.testing.assert_close(values, stored[name], rtol=0, atol=0)
    assert run.average is not None
    assert torch.equal(run.average.image_mean, stored["image_mean"])
    assert run.settings.network == run.plan.network == "small"
    assert all(parameter.requires_grad for parameter in run.network.parameters())


def test_learning_rate_is_a_tenth_unless_it_is_given(
    data: Path, origin: Path, tmp_path: Path
) -> None:
    usual = PRESETS["default"].learning_rate
    run = begun(asked(data, tmp_path / "run", origin))
    assert run.plan.learning_rate == pytest.approx(0.1 * usual)
    run = begun(asked(data, tmp_path / "run", origin, learning_rate=3e-3))
    assert run.plan.learning_rate == 3e-3


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"network": "paper"}, r"a 'small' network; leave out --network paper"),
        ({"skin": "published"}, r"a network of measured skin; leave out --skin published"),
        ({"from_": "nowhere"}, r"nowhere: no such folder"),
    ],
)
def test_what_does_not_fit_is_refused_and_nothing_is_left(
    data: Path, origin: Path, tmp_path: Path, changes: dict[str, str], message: str
) -> None:
    with pytest.raises(ModelError, match=message):
        train(asked(data, tmp_path / "run", origin, **changes))
    assert not (tmp_path / "run").exists()


def test_a_run_that_began_so_goes_on_without_its_origin(
    data: Path, origin: Path, tmp_path: Path
) -> None:
    copied = Path(shutil.copytree(origin, tmp_path / "copy"))
    run = train(asked(data, tmp_path / "run", copied, epochs=1))
    shutil.rmtree(copied)
    changed = Settings(resume=run, epochs=2)
    train(settings_of_run(run, changed, {"resume", "epochs"}))
    assert len((run / "losses.csv").read_text().splitlines()) == 3
    with pytest.raises(BioFaceNetError, match="--from begins a new run, and --resume"):
        settings_of_run(run, changed, {"resume", "from_"})


def test_the_option_is_called_from(
    in_process: Callable[..., CompletedProcess[str]], tmp_path: Path
) -> None:
    (tmp_path / "faces").mkdir()
    arguments = ("--data", "faces", "--from", "nobody/nothing here")
    done = in_process("biofacenet.train", *arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert "from-" not in in_process("biofacenet.train", "--help", cwd=tmp_path).stdout


# Real photographs ----------------------------------------------------------------------------


@torch.no_grad()
def figures_of(network: BioFaceNet, pairs: FacePairs) -> dict[str, float]:
    """Figures of which each is better when it is greater."""
    batch = decode(pairs.read(range(len(pairs))))
    found = network(batch.image)
    inside = batch.mask.sum()
    error = ((found.render() - batch.image).square() * batch.mask).sum() / (3 * inside)
    figures = {"reconstruction": -float(error.sqrt())}
    if batch.truth is not None:
        for name in ("melanin", "haemoglobin", "diffuse", "specular"):
            ours, true = getattr(found, name), getattr(batch.truth, name)
            orders = [
                _order(one[mask > 0.5], other[mask > 0.5])
                for one, other, mask in zip(ours, true, batch.mask, strict=True)
            ]
            figures[name] = float(torch.stack(orders).mean())
    return figures


def _order(one: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
    return torch.corrcoef(torch.stack((one, other)))[0, 1]


@pytest.mark.slow
def test_an_epoch_on_twenty_photographs_leaves_maps_no_worse(tmp_path: Path) -> None:
    """Judged on other people's photographs, and by the truth of synthetic faces."""
    folder = os.environ.get("BIOFACENET_FACES_DIR")
    if not folder:
        pytest.skip("BIOFACENET_FACES_DIR does not name the photographs")
    photos = sorted((Path(folder) / "london").rglob("*.jpg"))
    prepare(
        PhotoSettings(photos=tuple(photos[:20]), out=tmp_path / "photos", holdout=0.0, workers=0)
    )
    prepare(
        PhotoSettings(photos=tuple(photos[40:60]), out=tmp_path / "others", holdout=0.0, workers=0)
    )
    synthesize(SyntheticSettings(out=tmp_path / "faces", count=20, holdout=0, seed=9, workers=0))
    run = train(
        Settings(
            data=tmp_path / "photos", out=tmp_path / "run", from_="small", epochs=1, device="cpu"
        )
    )
    judges = [
        FacePairs(find_pairs(tmp_path / "others")),
        FacePairs(find_pairs(tmp_path / "faces"), truth=True),
    ]
    for judge in judges:
        before = figures_of(BioFaceNet.from_pretrained("small"), judge)
        after = figures_of(BioFaceNet.from_pretrained(run / "model"), judge)
        assert not all(
            torch.equal(torch.tensor(before[name]), torch.tensor(after[name])) for name in before
        )
        for name in before:
            assert after[name] >= before[name] - 0.02 * abs(before[name]), (name, before, after)
