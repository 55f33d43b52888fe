"""What a step of training is: its length, what decays, and which network is validated and kept."""

import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from biofacenet import BioFaceNet
from biofacenet.data import FacePairs, decode, find_pairs
from biofacenet.preparation.settings import SyntheticSettings
from biofacenet.preparation.synthetic import synthesize
from biofacenet.training.batches import faces_of_epoch
from biofacenet.training.distributed import Team, join
from biofacenet.training.loop import validate
from biofacenet.training.losses import objective
from biofacenet.training.run import Run, make_optimiser, make_schedule, set_up
from biofacenet.training.settings import PRESETS, LossWeights, Settings
from biofacenet.training.step import take_step


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("faces") / "set"
    synthesize(SyntheticSettings(out=folder, count=4, holdout=2, size=16, workers=0))
    return folder


@pytest.fixture(scope="module")
def team() -> Iterator[Team]:
    with join("cpu") as alone:
        yield alone


@pytest.fixture
def run(data: Path, team: Team, tmp_path: Path) -> Run:
    """A run of four steps in two epochs, as it stands before the first."""
    settings = Settings(
        data=data, out=tmp_path / "run", epochs=2, batch_size=2, precision="float32", device="cpu"
    )
    return set_up(settings, team)


# The schedule --------------------------------------------------------------------------------


def rates(run: Run, steps: int, epochs: int, schedule: str = "cosine") -> list[float]:
    """Shares of the learning rate, before each step and after the last."""
    plan = replace(run.plan, epochs=epochs, schedule=schedule)
    optimiser = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    scheduled = make_schedule(replace(run, plan=plan, optimiser=optimiser))
    found = scheduled.get_last_lr()
    for _ in range(steps):
        optimiser.step()
        scheduled.step()
        found += scheduled.get_last_lr()
    return found


@pytest.mark.parametrize(
    ("epochs", "rise"),
    [(1, 1), (2, 2), (50, 50), (500, 100), (1500, 150), (6000, 500)],
)
def test_learning_rate_rises_and_falls_along_a_cosine_to_nothing(
    run: Run, epochs: int, rise: int
) -> None:
    """Rising over a twentieth of the run, 100 to 500 steps, or the first half of a short one."""
    steps = 2 * epochs
    assert run.steps == 2
    expected = [
        min((step + 1) / rise, 0.5 * (1 + math.cos(math.pi * step / steps)))
        for step in range(steps + 1)
    ]
    found = rates(run, steps, epochs)
    assert found == pytest.approx(expected, rel=1e-9, abs=1e-12)
    assert found[-1] == pytest.approx(0.0, abs=1e-12)
    assert max(found) > 0.49


def test_after_its_end_the_schedule_stays_at_nothing(run: Run) -> None:
    assert rates(run, 10, 2)[4:] == pytest.approx([0.0] * 7, abs=1e-12)


def test_published_learning_rate_is_constant(run: Run) -> None:
    assert PRESETS["paper"].schedule == "constant"
    assert rates(run, 10, 5, "constant") == [1.0] * 11


def test_every_step_takes_the_next_rate(run: Run) -> None:
    assert [group["lr"] for group in run.optimiser.param_groups] == [
        0.5 * run.plan.learning_rate
    ] * 2
    for batch in faces_of_epoch(run):
        take_step(run, batch)
    # A cosine half way down.
    for group in run.optimiser.param_groups:
        assert group["lr"] == pytest.approx(0.5 * run.plan.learning_rate)
    for batch in faces_of_epoch(run):
        take_step(run, batch)
    for group in run.optimiser.param_groups:
        assert group["lr"] == pytest.approx(0.0, abs=1e-12)


# The average ---------------------------------------------------------------------------------


@torch.no_grad()
def loss_of(network: BioFaceNet, run: Run) -> float:
    """The objective of the faces held out, which are one batch."""
    assert run.validation is not None
    batch = decode(run.validation.read((0, 1)))
    found, raw = network.eval().with_raw_outputs(batch.image)
    terms = objective(
        *(found, found.render(), batch.image, batch.mask, batch.shading, run.plan.weights),
        raw=raw,
        truth=batch.truth,
        geometry=batch.geometry,
    )
    return float(terms.total)


def test_what_is_validated_is_the_average_that_is_kept(run: Run) -> None:
    for batch in faces_of_epoch(run):
        take_step(run, batch)
    assert run.average is not None
    assert run.result is run.average
    of_average, of_last = loss_of(run.average, run), loss_of(run.network, run)
    assert abs(of_last - of_average) > 1e-3 * of_average  # so that the two can be told apart
    assert validate(run)["total"] == pytest.approx(of_average, rel=1e-4)
    # Without an average, the network itself.
    without = replace(run, average=None)
    assert validate(without)["total"] == pytest.approx(of_last, rel=1e-4)


@torch.no_grad()
def test_faces_of_a_last_smaller_batch_count_as_the_others_do(run: Run, data: Path) -> None:
    """The camera's term is a mean over faces: of three in batches of two, the third counts once."""
    three = FacePairs(find_pairs(data, ("01",)), stop=3)
    each = run.result.eval()(decode(three.read([0, 1, 2])).image).camera.square().sum(dim=1)
    by_batch = (each[:2].mean() + each[2]) / 2
    assert abs(float(by_batch - each.mean())) > 1e-3 * float(each.mean())
    found = validate(replace(run, validation=three))["camera"]
    assert found == pytest.approx(float(each.mean()), rel=1e-4)


# The optimiser -------------------------------------------------------------------------------


@pytest.mark.parametrize("optimiser", ["adamw", "sgd"])
def test_weights_decay_and_biases_and_norms_do_not(optimiser: str) -> None:
    """A step without any gradient takes the same share of every weight, and nothing of the others."""
    plan = replace(PRESETS["default"], optimiser=optimiser, learning_rate=0.5, weight_decay=0.1)
    network = BioFaceNet("small")
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.fill_(2.0)
            parameter.grad = torch.zeros_like(parameter)
    make_optimiser(network, plan, torch.device("cpu")).step()
    kinds = {True: 0, False: 0}
    for module in network.modules():
        weighs = isinstance(module, torch.nn.Conv2d | torch.nn.ConvTranspose2d | torch.nn.Linear)
        for name, value in module.named_parameters(recurse=False):
            decays = weighs and name == "weight"
            low, high = (float(end) for end in value.detach().aminmax())
            expected = 2.0 * (1.0 - 0.5 * 0.1) if decays else 2.0
            assert low == pytest.approx(expected, rel=1e-6), (module, name)
            assert high == pytest.approx(expected, rel=1e-6), (module, name)
            kinds[decays] += 1
    assert all(kinds.values())
    assert sum(kinds.values()) == len(list(network.parameters()))


@pytest.mark.parametrize("clip", [1.0, 0.25])
def test_no_step_is_longer_than_rate_times_clip(run: Run, clip: float) -> None:
    """Gradient descent on losses a thousand times as steep as usual."""
    plan = replace(
        run.plan,
        optimiser="sgd",
        learning_rate=0.1,
        weight_decay=0.0,
        clip=clip,
        weights=LossWeights(appearance=3.0, camera=1.0, specular=100.0, shading=1000.0),
    )
    run = replace(run, plan=plan, optimiser=make_optimiser(run.network, plan, run.team.device))
    run.schedule = make_schedule(run)
    (rate, _) = run.schedule.get_last_lr()
    before = [parameter.detach().clone() for parameter in run.network.parameters()]
    take_step(run, next(faces_of_epoch(run)))
    moved = [
        (after.detach() - was).double().square().sum()
        for after, was in zip(run.network.parameters(), before, strict=True)
    ]
    assert math.sqrt(sum(moved)) == pytest.approx(rate * clip, rel=1e-3)


def test_the_published_step_is_as_long_as_its_gradient(run: Run) -> None:
    assert math.isinf(PRESETS["paper"].clip)
    plan = replace(
        run.plan, clip=math.inf, weights=LossWeights(*[1e3 * w for w in (3e-3, 1e-3, 0.1, 1.0)])
    )
    run = replace(run, plan=plan)
    take_step(run, next(faces_of_epoch(run)))
    square = sum(float(p.grad.double().square().sum()) for p in run.network.parameters())
    assert math.sqrt(square) > 10.0
