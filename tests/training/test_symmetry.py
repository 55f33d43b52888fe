"""Photographs without truth: what other views of them look like, and what maps owe to each other."""

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from subprocess import CompletedProcess

import pytest
import torch
from torch import Tensor

from biofacenet import Decomposition
from biofacenet.data.pairs import FaceBatch
from biofacenet.errors import DataError, ModelError
from biofacenet.physics.colour import WHITE_ROW_SUMS, luminance
from biofacenet.preparation.settings import SyntheticSettings
from biofacenet.preparation.synthetic import synthesize
from biofacenet.training import losses
from biofacenet.training.batches import faces_of_epoch
from biofacenet.training.distributed import join
from biofacenet.training.losses import FACE_TERMS, PHOTO_TERMS, TERMS
from biofacenet.training.photographs import photographs_of_step
from biofacenet.training.run import Run, set_up, write_checkpoint
from biofacenet.training.settings import Settings
from biofacenet.training.step import take_step
from biofacenet.training.symmetry import (
    CHANGED,
    FAINT,
    HIGHLIGHT,
    Change,
    Views,
    disagreements,
    draw_change,
    neutral,
    views,
)

COUNT, HEIGHT, WIDTH = 3, 16, 24


@pytest.fixture
def first(random_decomposition: Callable[..., Decomposition]) -> Decomposition:
    found = random_decomposition(COUNT, HEIGHT, WIDTH).to(dtype=torch.float64)
    found = found.map(torch.Tensor.detach)
    dim = 0.2 / float(found.render().max())
    return replace(found, diffuse=dim * found.diffuse, specular=dim * found.specular)


def still(side: float = 1.0) -> Tensor:
    """Places that leave everything where it is, or mirror it."""
    turn = torch.tensor([[side, 0.0, 0.0], [0.0, 1.0, 0.0]], dtype=torch.float64)
    size = [COUNT, 1, HEIGHT, WIDTH]
    return torch.nn.functional.affine_grid(turn.expand(COUNT, 2, 3), size, align_corners=False)


def change(side: float = 1.0) -> Change:
    drawn = draw_change(COUNT, HEIGHT, WIDTH, torch.Generator().manual_seed(3))
    highlight = torch.linspace(0.0, 0.3, WIDTH).expand(COUNT, 1, HEIGHT, WIDTH)
    return Change(drawn.light.double(), highlight.double(), still(side))


def seen(first: Decomposition, how: Change) -> Views:
    image = first.render(backend="reference")
    mask = torch.zeros_like(image[:, :1])
    mask[:, :, 2:-3, 4:-5] = 1.0
    flat = torch.zeros_like(image)
    return views(FaceBatch(image, mask, flat, mask, torch.zeros(COUNT, 3, 9)), how)


def moved(maps: Decomposition, how: Change) -> Decomposition:
    """What is true of the other view."""
    return replace(
        maps,
        melanin=how.moved(maps.melanin),
        haemoglobin=how.moved(maps.haemoglobin),
        diffuse=how.moved(how.light * maps.diffuse),
        specular=how.moved(how.light * maps.specular + how.highlight),
    )


@pytest.mark.parametrize("side", [1.0, -1.0], ids=["as it is", "mirrored"])
def test_another_view_is_what_its_maps_render_to(first: Decomposition, side: float) -> None:
    how = change(side)
    both = seen(first, how)
    second = moved(first, how)
    torch.testing.assert_close(second.render(backend="reference"), both.other, atol=1e-6, rtol=1e-6)
    assert both.other_mask.sum() == both.mask.sum()  # nothing is clipped here
    left, right = (both.mask, both.other_mask) if side > 0 else (both.mask.flip(3), both.other_mask)
    assert torch.equal(left, right)
    for value in disagreements(first, second, both, both.other_mask.sum()):
        assert float(value) < 1e-10


def test_each_map_answers_for_itself(first: Decomposition) -> None:
    how = change()
    both, second = seen(first, how), moved(first, how)
    pixels, mask = both.other_mask.sum(), both.other_mask
    other = replace(second, melanin=second.melanin + 0.1, haemoglobin=second.haemoglobin - 0.2)
    found = disagreements(first, other, both, pixels)
    assert [float(value) for value in found] == pytest.approx([0.05, 0.0, 0.0], abs=1e-9)
    found = disagreements(first, replace(second, diffuse=first.diffuse), both, pixels)
    expected = float((how.light.log().square() * mask).sum() / pixels)
    assert [float(value) for value in found] == pytest.approx([0.0, expected, 0.0], abs=1e-9)
    missing = replace(second, specular=second.specular - how.highlight)
    found = disagreements(first, missing, both, pixels)
    bright = (luminance(both.other) * mask).sum((1, 2, 3)) / mask.sum((1, 2, 3))
    share = float(WHITE_ROW_SUMS[1]) * how.highlight / bright.view(-1, 1, 1, 1)
    alike = float((share.square() * mask).sum() / pixels)
    assert alike > 1e-3
    assert [float(value) for value in found[:2]] == pytest.approx([0.0, 0.0], abs=1e-9)
    # What was added counts more than what was there.
    strongest = HIGHLIGHT / float(neutral().max())
    peak = float(how.highlight.max())
    more = 1.0 + CHANGED * (how.highlight / peak) * (strongest / peak)
    assert float(found[2]) == pytest.approx(float((more * share.square() * mask).sum() / pixels))


def test_a_spot_counts_more_than_the_skin_around(first: Decomposition) -> None:
    how = replace(change(), highlight=torch.zeros(COUNT, 1, HEIGHT, WIDTH, dtype=torch.float64))
    spot = torch.zeros(COUNT, 2, HEIGHT, WIDTH, dtype=torch.float64)
    spot[:, 0, 6:8, 9:11] = 0.4
    both = replace(seen(first, how), added=spot)
    pixels, second = both.other_mask.sum(), moved(first, how)

    def off(other: Decomposition) -> float:
        return float(disagreements(first, other, both, pixels)[0])

    right = replace(second, melanin=second.melanin + spot[:, :1])
    assert off(right) < 1e-10
    elsewhere = replace(right, melanin=right.melanin + 0.1 * spot[:, :1].roll(4, dims=3))
    within = replace(right, melanin=right.melanin + 0.1 * spot[:, :1])
    assert off(within) == pytest.approx(11.0 * off(elsewhere))


def test_a_highlight_counts_by_its_strength(first: Decomposition) -> None:
    """Squared errors alone would have one a quarter as strong count a sixteenth."""
    x = torch.linspace(-2.0, 2.0, WIDTH, dtype=torch.float64)
    bump = torch.exp(-x.square()).expand(COUNT, 1, HEIGHT, WIDTH)

    def missed(strength: float) -> float:
        how = replace(change(), highlight=strength / float(neutral().max()) * bump)
        both = seen(first, how)
        second = replace(
            first, diffuse=how.light * first.diffuse, specular=how.light * first.specular
        )
        # The mean luminance of a face has its highlight in it.
        bright = (luminance(both.other) * both.other_mask).sum() / both.other_mask.sum()
        return float(disagreements(first, second, both, both.other_mask.sum())[2] * bright**2)

    strong, weak = missed(HIGHLIGHT), missed(HIGHLIGHT / 4.0)
    assert 0.15 * strong < weak < 0.5 * strong
    assert missed(HIGHLIGHT / 2.0) < strong
    faint = missed(FAINT)
    assert missed(FAINT / 100.0) / faint < 0.01**2 * 1.01  # but what cannot be seen does not count


def test_maps_of_different_skins_are_not_compared(first: Decomposition) -> None:
    both = seen(first, change())
    with pytest.raises(ValueError, match="skin"):
        disagreements(first, replace(first, skin="measured"), both, both.other_mask.sum())


def test_clipped_pixels_are_left_out(first: Decomposition) -> None:
    bright = replace(first, diffuse=first.diffuse.clone())
    bright.diffuse[:, :, 5, 6] *= 40.0
    how = replace(change(), light=torch.full((COUNT, 1, HEIGHT, WIDTH), 0.3, dtype=torch.float64))
    both = seen(bright, how)
    assert both.mask[:, 0, 5, 6].eq(1).all()
    assert both.other_mask[:, 0, 5, 6].eq(0).all()


def test_changes_are_smooth_in_range_and_repeat() -> None:
    def drawn() -> Change:
        return draw_change(64, 32, 48, torch.Generator().manual_seed(0))

    one, other = drawn(), drawn()
    for name in ("light", "highlight", "places"):
        assert torch.equal(getattr(one, name), getattr(other, name))
    assert one.light.min() >= 0.25
    assert one.light.max() <= 1.0
    assert (one.light.diff(dim=3).abs().max()) < 0.15
    some = one.highlight.amax(dim=(1, 2, 3)) > 0
    assert 0.3 < some.float().mean() < 0.7
    mirrored = one.places[:, 16, -1, 0] < one.places[:, 16, 0, 0]
    assert 0.3 < mirrored.float().mean() < 0.7
    # A turn does not shear: pixels are square.
    step = torch.tensor([48 / 2, 32 / 2])
    across = (one.places[:, 5, 7] - one.places[:, 5, 6]) * step
    down = (one.places[:, 6, 6] - one.places[:, 5, 6]) * step
    torch.testing.assert_close((across * down).sum(1), torch.zeros(64), atol=1e-4, rtol=0.0)
    torch.testing.assert_close(across.norm(dim=1), down.norm(dim=1), atol=1e-4, rtol=0.0)
    assert across.norm(dim=1).log().abs().max() <= 0.151
    assert (across[:, 1] / across[:, 0]).atan().abs().max() < math.radians(30.0)


# In training ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("faces") / "set"
    synthesize(SyntheticSettings(out=folder, count=8, holdout=4, size=32, workers=0))
    return folder


def asked(data: Path, out: Path, **changes: object) -> Settings:
    settings = Settings(data=data, photos=data, out=out, device="cpu", precision="float32")
    return replace(settings, **{"batch_size": 8, **changes})


def begun(settings: Settings) -> Run:
    with join("cpu") as alone:
        return set_up(settings, alone)


def test_a_step_sees_half_as_many_photographs_and_tells_their_losses(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(losses, "VEIL", 0.001)  # which a network that knows nothing exceeds
    run = begun(asked(data, tmp_path / "run"))
    photos = photographs_of_step(run)
    assert photos is not None
    assert [len(part.image) for part in photos.parts] == [4]
    batch = faces(run)
    shares = dict(zip(TERMS, take_step(run, batch).tolist(), strict=True))
    alone = begun(asked(data, tmp_path / "run", photos=None))
    assert photographs_of_step(alone) is None
    without = dict(zip(TERMS, take_step(alone, batch).tolist(), strict=True))
    for name in set(PHOTO_TERMS) - {"photo_person"}:
        assert shares[name] > 0  # parts too, which the faces that stand for photographs have
    assert shares["photo_person"] == 0  # nobody knows who is on them
    for name in PHOTO_TERMS:
        assert without[name] == 0
    for name in FACE_TERMS[1:]:
        assert shares[name] == pytest.approx(without[name], rel=1e-5, abs=1e-9)
    weights = run.plan.weights
    expected = weights.appearance * shares["photo_appearance"] + weights.photos * (
        4.0 * shares["photo_pigments"] + shares["photo_diffuse"] + shares["photo_specular"]
    )
    expected += weights.parts * shares["photo_parts"]
    expected += weights.veil * shares["photo_veil"]
    assert shares["total"] - without["total"] == pytest.approx(expected, rel=1e-4)


def faces(run: Run) -> FaceBatch:
    return next(faces_of_epoch(run))


def test_photographs_in_parts_are_those_of_the_whole(data: Path, tmp_path: Path) -> None:
    whole = begun(asked(data, tmp_path / "run"))
    parts = begun(asked(data, tmp_path / "run", accumulate=2))
    batch = faces(whole)
    one, other = take_step(whole, batch), take_step(parts, batch)
    torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-7)
    for (name, ours), theirs in zip(
        whole.network.named_parameters(), parts.network.parameters(), strict=True
    ):
        assert ours.grad is not None
        close = torch.linalg.vector_norm(ours.grad - theirs.grad)
        assert close <= 1e-3 * torch.linalg.vector_norm(ours.grad) + 1e-7, name


def test_each_step_has_its_own_photographs(data: Path, tmp_path: Path) -> None:
    run = begun(asked(data, tmp_path / "run"))
    first, again = photographs_of_step(run), photographs_of_step(run)
    run.step += 1
    later = photographs_of_step(run)
    assert first is not None
    assert again is not None
    assert later is not None
    assert torch.equal(first.parts[0].other, again.parts[0].other)
    assert not torch.equal(first.parts[0].other, later.parts[0].other)


@pytest.mark.slow
def test_views_of_a_photograph_come_to_agree(data: Path, tmp_path: Path) -> None:
    """By the terms of photographs alone: those of synthetic faces bring views together, too."""
    run = begun(asked(data, tmp_path / "run", from_="small"))
    torch.manual_seed(0)
    with torch.no_grad():  # what it has learned of views before is forgotten
        for weights in run.model.parameters():
            weights += 0.1 * weights.std(correction=0) * torch.randn_like(weights)

    def look(step: int) -> tuple[Tensor, Tensor]:
        run.step = step
        photos = photographs_of_step(run)
        assert photos is not None
        loss, terms = photos.losses(run.model.train(), photos.parts[0])
        return loss, terms[1]

    with torch.no_grad():
        before = float(look(1000)[1])
    optimiser = torch.optim.Adam(run.model.parameters(), lr=5e-4)
    for step in range(40):
        optimiser.zero_grad()
        look(step)[0].backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    with torch.no_grad():
        after = float(look(1000)[1])
    assert after < 0.7 * before


def test_other_photographs_are_refused_when_a_run_goes_on(data: Path, tmp_path: Path) -> None:
    run = begun(asked(data, tmp_path / "run"))
    write_checkpoint(run)
    go_on = replace(run.settings, resume=tmp_path / "run")
    begun(go_on)
    with pytest.raises(ModelError, match=r"--photos was .*set .* and cannot be none .*; give"):
        begun(replace(go_on, photos=None))


def test_photographs_must_be_there(data: Path, tmp_path: Path, in_process) -> None:
    done: CompletedProcess[str] = in_process(
        "biofacenet.train",
        *("--photos", str(tmp_path / "nowhere"), "--data", str(data)),
        cwd=tmp_path,
    )
    assert done.returncode == 2
    assert "nowhere: no such folder; expected one with" in done.stderr
    odd = tmp_path / "odd"
    odd.mkdir()
    with pytest.raises(DataError):
        begun(asked(data, tmp_path / "run", photos=odd))
