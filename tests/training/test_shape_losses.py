"""Normals and parts: their terms against cases by hand, and a network that learns them."""

import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from biofacenet.data.geometry import Geometry
from biofacenet.data.pairs_writing import write_pairs
from biofacenet.data.records import Faces
from biofacenet.data.synthetic.faces import generate
from biofacenet.decomposition.parts import PART_NAMES, UNLABELLED, part_index
from biofacenet.errors import BioFaceNetError, ModelError
from biofacenet.network.unet import BioFaceNet
from biofacenet.training.batches import faces_of_epoch
from biofacenet.training.distributed import join
from biofacenet.training.losses import TERMS
from biofacenet.training.means import EARLIER_TERMS, Means
from biofacenet.training.run import Run, set_up, write_checkpoint
from biofacenet.training.settings import Settings, check
from biofacenet.training.shape_losses import BALANCE, Known, normals_loss, parts_loss
from biofacenet.training.step import take_step

SKIN, BACKGROUND = part_index("skin"), part_index("background")


def turned(degrees: float) -> Tensor:
    """A normal that is turned from the viewer to the right: (1, 3, 1, 1)."""
    angle = math.radians(degrees)
    return torch.tensor([math.sin(angle), 0.0, math.cos(angle)]).view(1, 3, 1, 1)


def test_normals_are_compared_by_their_angle_where_they_are_known() -> None:
    true = torch.cat((turned(0.0).expand(1, 3, 2, 2), torch.zeros(1, 3, 2, 2)), dim=3)
    found = turned(60.0).expand(1, 3, 2, 4)
    assert float(normals_loss(found, true)) == pytest.approx(0.5)
    assert float(normals_loss(true, true)) == pytest.approx(0.0, abs=1e-6)
    assert float(normals_loss(found, torch.zeros_like(found))) == 0.0


def test_what_is_learned_of_parts_are_their_probabilities_though_rare_ones_weigh_more() -> None:
    labels = torch.full((1, 1, 10, 10), SKIN, dtype=torch.uint8)
    labels[..., 0, :3] = part_index("lips")
    labels[..., 1, :] = UNLABELLED
    shares = torch.full((len(PART_NAMES),), 1e-9)
    shares[SKIN], shares[part_index("lips")] = 87 / 90, 3 / 90

    def slope(logits: Tensor) -> Tensor:
        logits = logits.clone().requires_grad_()
        image = logits.view(1, -1, 1, 1).expand(1, -1, 10, 10)
        return torch.autograd.grad(parts_loss(image, labels), logits)[0]

    torch.testing.assert_close(slope(shares.log()), torch.zeros(9), atol=1e-5, rtol=0.0)
    other = shares.log()
    other[part_index("lips")] += 0.5
    assert float(slope(other)[part_index("lips")]) > 0.01
    # A lost pixel of lips costs as many times more as they are rarer.
    ratio = BALANCE[part_index("lips")] / BALANCE[SKIN]
    assert ratio == pytest.approx(7.3, rel=0.05)


def test_parts_of_a_batch_add_up_to_it() -> None:
    numbers = torch.Generator().manual_seed(0)
    logits = torch.randn(4, len(PART_NAMES), 5, 6, generator=numbers)
    labels = torch.randint(0, len(PART_NAMES), (4, 1, 5, 6), generator=numbers).to(torch.uint8)
    labels[0] = UNLABELLED
    normals = torch.nn.functional.normalize(torch.randn(4, 3, 5, 6, generator=numbers), dim=1)
    normals[1] = 0.0
    found = torch.nn.functional.normalize(torch.randn(4, 3, 5, 6, generator=numbers), dim=1)
    whole = Geometry.unknown(4, 5, 6)
    whole.parts, whole.normals = labels, normals
    head, labelled = Known.of(whole, logits)
    assert float(head) == 90
    parts = sum(
        parts_loss(logits[i : i + 1], labels[i : i + 1], labelled)
        + normals_loss(found[i : i + 1], normals[i : i + 1], head)
        for i in range(4)
    )
    torch.testing.assert_close(parts, parts_loss(logits, labels) + normals_loss(found, normals))
    assert float(parts_loss(logits[:1], labels[:1])) == 0.0


# In training ---------------------------------------------------------------------------------


def shaped(faces: Faces) -> Faces:
    """Faces with a geometry: skin and background, and the normals of the mask."""
    geometry = Geometry.unknown(len(faces), *faces.image.shape[2:])
    geometry.normals = faces.normals
    geometry.parts = torch.where(faces.mask > 0, SKIN, BACKGROUND).to(torch.uint8)
    return replace(faces, geometry=geometry)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("shaped")
    with write_pairs(folder, "01", truth=True) as writer:
        writer.append(shaped(generate(range(8), size=32, skin="published")))
    return folder


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("plain")
    with write_pairs(folder, "01", truth=True) as writer:
        writer.append(replace(generate(range(8), size=32, skin="published"), geometry=None))
    return folder


def begun(data: Path, out: Path, **changes: object) -> Run:
    settings = Settings(
        data=data, out=out, device="cpu", precision="float32", holdout="none", skin="published"
    )
    settings = replace(settings, **{"batch_size": 8, "shape_weights": (0.5, 0.1), **changes})
    check(settings)
    with join("cpu") as alone:
        return set_up(settings, alone)


def terms(shares: Tensor) -> dict[str, float]:
    return dict(zip(TERMS, shares.tolist(), strict=True))


def test_a_network_learns_normals_and_parts_where_they_are_known(
    data: Path, tmp_path: Path
) -> None:
    run = begun(
        data, tmp_path / "run", learning_rate=2e-3, loss_weights=(0.0,) * 4, truth_weight=0.0
    )
    run.schedule = torch.optim.lr_scheduler.LambdaLR(run.optimiser, lambda _: 1.0)
    batch = next(faces_of_epoch(run))
    first = terms(take_step(run, batch))
    for _ in range(60):
        last = terms(take_step(run, batch))
    assert 0.0 < last["normals"] < 0.7 * first["normals"]
    assert 0.0 < last["parts"] < 0.7 * first["parts"]
    with torch.no_grad():
        found = run.network.eval()(batch.image)
    assert found.parts is not None
    seen = found.parts.argmax(dim=1, keepdim=True) == SKIN
    both = (seen & (batch.mask > 0)).sum() / (seen | (batch.mask > 0)).sum()
    assert both > 0.7


def test_both_count_in_the_total_by_their_weights(data: Path, tmp_path: Path) -> None:
    one = begun(data, tmp_path / "run")
    other = begun(data, tmp_path / "run", shape_weights=(1.5, 0.3))
    batch = next(faces_of_epoch(one))
    ours, theirs = terms(take_step(one, batch)), terms(take_step(other, batch))
    assert ours["normals"] == pytest.approx(theirs["normals"])
    expected = ours["normals"] + 0.2 * ours["parts"]
    assert theirs["total"] - ours["total"] == pytest.approx(expected, rel=1e-4)


def test_in_parts_they_are_those_of_the_whole(data: Path, tmp_path: Path) -> None:
    whole, parts = begun(data, tmp_path / "run"), begun(data, tmp_path / "run", accumulate=4)
    batch = next(faces_of_epoch(whole))
    torch.testing.assert_close(
        take_step(whole, batch), take_step(parts, batch), rtol=1e-4, atol=1e-7
    )
    assert whole.network.shape is not None
    assert parts.network.shape is not None
    torch.testing.assert_close(
        whole.network.shape.weight.grad, parts.network.shape.weight.grad, rtol=1e-3, atol=1e-6
    )


def test_without_truth_of_them_a_network_does_not_tell_them(
    data: Path, plain: Path, tmp_path: Path
) -> None:
    for folder, weights in ((plain, (0.5, 0.1)), (data, (0.0, 0.0))):
        run = begun(folder, tmp_path / "run", shape_weights=weights)
        found = terms(take_step(run, next(faces_of_epoch(run))))
        assert run.network.shape is None
        assert found["normals"] == found["parts"] == 0.0
    # Nor does one that knew them, and would forget them with nothing to learn them from.
    BioFaceNet("small").save_pretrained(tmp_path / "model")
    assert begun(plain, tmp_path / "run", from_=str(tmp_path / "model")).network.shape is None
    again = begun(data, tmp_path / "run", from_=str(tmp_path / "model"))
    assert again.network.shape is not None


def test_a_network_without_them_can_learn_them(data: Path, tmp_path: Path) -> None:
    BioFaceNet("small", shaped=False).save_pretrained(tmp_path / "model")
    run = begun(data, tmp_path / "run", from_=str(tmp_path / "model"))
    assert run.network.shape is not None
    assert terms(take_step(run, next(faces_of_epoch(run))))["parts"] > 0


def test_the_weights_stay_when_a_run_goes_on(data: Path, tmp_path: Path) -> None:
    run = begun(data, tmp_path / "run")
    write_checkpoint(run)
    assert begun(data, tmp_path / "run", resume=tmp_path / "run").network.shape is not None
    with pytest.raises(ModelError, match=r"--shape-weights was 0.5 0.1 and cannot be 1 0.1 when"):
        begun(data, tmp_path / "run", resume=tmp_path / "run", shape_weights=(1.0, 0.1))
    with pytest.raises(BioFaceNetError, match="--shape-weights must be at least 0, got -1"):
        begun(data, tmp_path / "run", shape_weights=(-1.0, 0.1))


def test_means_of_an_earlier_checkpoint_keep_their_names(plain: Path, tmp_path: Path) -> None:
    run = begun(plain, tmp_path / "run")
    means = Means(run)
    earlier = {"sums": torch.arange(11.0, dtype=torch.float64)[None], "count": 1}
    means.restore(earlier)
    found = means.values()
    assert [found[name] for name in EARLIER_TERMS] == list(range(11))
    assert found["parts"] == found["photo_person"] == 0.0
    own = means.state()
    means.restore(own)
    assert means.values() == found
