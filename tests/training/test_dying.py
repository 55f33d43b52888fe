"""Maps at their ends: each comes back, and is told of while it is there."""

import copy
from collections.abc import Iterator
from dataclasses import replace

import pytest
import torch

from biofacenet.data import FaceBatch
from biofacenet.decomposition import Decomposition
from biofacenet.network.layers import Decoder
from biofacenet.network.sizes import MAP_NAMES
from biofacenet.network.unet import RawOutputs
from biofacenet.preparation.settings import SyntheticSettings
from biofacenet.preparation.synthetic import synthesize
from biofacenet.training.batches import faces_of_epoch
from biofacenet.training.distributed import join
from biofacenet.training.losses import bounds_loss
from biofacenet.training.run import Run, set_up
from biofacenet.training.settings import Settings
from biofacenet.training.step import take_step
from biofacenet.training.watch import FADED, Watch, liveliness

STEPS = 200


def endless(run: Run) -> Iterator[FaceBatch]:
    """Batches, counted as the loop counts them."""
    while True:
        for batch in faces_of_epoch(run):
            yield batch
            run.step += 1
        run.epoch, run.step = run.epoch + 1, 0


@pytest.fixture(scope="module")
def healthy(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run after fifty steps, at its highest learning rate."""
    folder = tmp_path_factory.mktemp("faces")
    synthesize(SyntheticSettings(out=folder / "set", count=16, holdout=4, size=32, workers=0))
    asked = Settings(
        data=folder / "set", out=folder / "run", batch_size=4, precision="float32", device="cpu"
    )
    with join("cpu") as alone:
        run = set_up(asked, alone)
    run.schedule = torch.optim.lr_scheduler.LambdaLR(
        run.optimiser, lambda step: min(1.0, (step + 1) / 50)
    )
    for batch, _ in zip(endless(run), range(50), strict=False):
        take_step(run, batch)
    return run


LEAST = 0.05
"""Share of the life it had from which on a map is alive again."""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "push"),
    [
        *((name, push) for name in MAP_NAMES for push in (-24.0, 24.0)),
        ("specular", -4.0),
        ("specular", -6.0),
        ("specular", -12.0),
    ],
)
def test_a_map_that_was_pushed_to_its_end_comes_back(healthy: Run, name: str, push: float) -> None:
    """Lowered or raised by hand in a healthy network, where exp(-24) is 4e-11."""
    run = copy.deepcopy(healthy)
    decoder = next(iter(run.network.decoders.values()))
    assert isinstance(decoder, Decoder)
    assert decoder.head.bias is not None
    number = MAP_NAMES.index(name)
    faces = endless(run)
    before = life(run, next(faces))[number]
    with torch.no_grad():
        decoder.head.bias[number] += push
    pushed = life(run, next(faces))[number]
    assert not LEAST * before < pushed < 5.0 * before
    for step, batch in zip(range(STEPS), faces, strict=False):
        take_step(run, batch)
        if step % 10 == 9 and LEAST * before < life(run, batch)[number] < 5.0 * before:
            return
    pytest.fail(
        f"{name} was {before:.3g}, {pushed:.3g} and after {STEPS} steps still is "
        f"{life(run, batch)[number]:.3g}"
    )


@torch.no_grad()
def life(run: Run, batch: FaceBatch) -> list[float]:
    found: list[float] = liveliness(run.network(batch.image), batch.mask).tolist()
    return found


@pytest.mark.parametrize("far", [1.0, 20.0, 300.0])
def test_the_pull_is_the_same_at_every_distance_and_none_inside(far: float) -> None:
    mask = torch.zeros(2, 1, 4, 4)
    mask[:, :, 1:3, 1:3] = 1.0
    maps, vector = torch.zeros(2, 4, 4, 4), torch.zeros(2, 17)
    maps[:, 3] = -3.0
    assert float(bounds_loss(RawOutputs(maps, vector), mask)) == 0.0
    maps[:, 3] = -7.0 - far
    vector[1, 16] = 6.0 + far
    raw = RawOutputs(maps.requires_grad_(), vector.requires_grad_())
    pull = RawOutputs(*torch.autograd.grad(bounds_loss(raw, mask), raw[:2]))
    assert (pull.maps[:, :3] == 0).all()
    torch.testing.assert_close(pull.maps[:, 3:], -mask / mask.sum())
    assert (pull.vector[0] == 0).all()
    assert pull.vector[1].tolist() == [0.0] * 16 + [0.5]


# The watch -----------------------------------------------------------------------------------


@pytest.fixture
def maps(random_decomposition) -> Decomposition:  # type: ignore[no-untyped-def]
    found: Decomposition = random_decomposition(batch=1, height=16, width=16)
    return found


@pytest.mark.parametrize(
    ("name", "value"),
    [("specular", 1e-4), ("diffuse", 1e-3), ("melanin", 0.999), ("haemoglobin", -0.999)],
)
def test_a_map_that_fades_is_named_once_with_what_to_do(
    maps: Decomposition, name: str, value: float
) -> None:
    mask = torch.ones(1, 1, 16, 16, dtype=torch.float64)
    dead = replace(maps, **{name: torch.full_like(maps.melanin, value)})
    watch = Watch()

    def after(step: int, found: Decomposition) -> list[str]:
        for _ in range(3):
            watch.see(found, mask)
        return list(watch.warnings(step))

    assert after(10, maps) == []
    (warning,) = after(20, dead)
    assert f"the {name} map is dying: by step 20" in warning
    assert "--learning-rate" in warning
    assert after(30, dead) == []
    assert after(40, maps) == []
    assert len(after(50, dead)) == 1


def test_what_lies_outside_the_mask_does_not_count(maps: Decomposition) -> None:
    mask = torch.zeros(1, 1, 16, 16, dtype=torch.float64)
    mask[..., :8] = 1.0
    specular = maps.specular.clone()
    specular[..., 8:] = 100.0
    found = liveliness(replace(maps, specular=specular), mask)
    assert float(found[3]) == pytest.approx(float(maps.specular[..., :8].mean()))
    assert FADED < 1.0
