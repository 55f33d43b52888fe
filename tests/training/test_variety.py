"""Other surroundings leave the skin as it is; spots change it as the skin model has it."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from biofacenet import Decomposition, Illuminant
from biofacenet.data.geometry import Geometry
from biofacenet.data.pairs import FaceBatch
from biofacenet.decomposition.parts import PART_NAMES, UNLABELLED, part_index
from biofacenet.errors import BioFaceNetError
from biofacenet.preparation.settings import SyntheticSettings
from biofacenet.preparation.synthetic import synthesize
from biofacenet.training.batches import faces_of_epoch
from biofacenet.training.distributed import Team
from biofacenet.training.photographs import photographs_of_step
from biofacenet.training.run import Run, set_up
from biofacenet.training.settings import Settings, check
from biofacenet.training.symmetry import Change, disagreements, views
from biofacenet.training.variety import Variety, draw_variety, spotted, surrounded, varied

SIZE = 32


def skin(melanin: float) -> Decomposition:
    """Two even faces."""
    one = torch.ones(2, 1, SIZE, SIZE)
    return Decomposition(
        melanin=melanin * one,
        haemoglobin=0.0 * one,
        diffuse=0.5 * one,
        specular=0.01 * one,
        illuminant=Illuminant.standard("D65", 2),
        camera=torch.zeros(2, 2),
        skin="measured",
    )


def labels() -> torch.Tensor:
    """A face of skin before a wall, with hair above and cloth below."""
    parts = torch.full((2, 1, SIZE, SIZE), part_index("background"), dtype=torch.uint8)
    parts[..., 10:22, 8:24] = part_index("skin")
    parts[..., 4:10, 8:24] = part_index("hair")
    parts[..., 22:, 8:24] = part_index("cloth")
    return parts


def faces(melanin: float = 0.0) -> FaceBatch:
    truth = skin(melanin)
    parts = labels()
    geometry = replace(Geometry.unknown(2, SIZE, SIZE), parts=parts)
    image = torch.where(parts == part_index("skin"), truth.render(), 0.6)
    mask = torch.zeros(2, 1, SIZE, SIZE)
    mask[..., 12:20, 10:22] = 1.0
    return FaceBatch(
        image=image,
        mask=mask,
        normals=torch.zeros(2, 3, SIZE, SIZE),
        shading=mask,
        lighting=torch.zeros(2, 3, 9),
        truth=truth,
        geometry=geometry,
    )


def nothing() -> Variety:
    drawn = draw_variety(2, 0.0, torch.Generator().manual_seed(0))
    assert not drawn.other.any()
    assert not drawn.spots[..., 3:].any()
    return drawn


def spot(melanin: float, haemoglobin: float) -> Variety:
    """One in the middle of each face."""
    spots = torch.zeros(2, 3, 5)
    spots[:, :, 2] = 0.06
    spots[:, 0] = torch.tensor([0.5, 0.5, 0.06, melanin, haemoglobin])
    return replace(nothing(), spots=spots)


def test_without_chance_nothing_changes() -> None:
    batch = faces()
    found = varied(batch, nothing())
    torch.testing.assert_close(found.image, batch.image)
    assert batch.truth is not None
    assert found.truth is not None
    torch.testing.assert_close(found.truth.melanin, batch.truth.melanin)


def test_another_wall_leaves_no_rim_of_the_old_one_and_skin_as_it_is() -> None:
    batch = faces()
    black = replace(nothing(), wall=torch.full((2, 3, 3, 3), 0.01), other=torch.tensor([1.0, 0.0]))
    found = varied(batch, black).image
    torch.testing.assert_close(found * batch.mask, batch.image * batch.mask)
    wall = labels()[0, 0] == part_index("background")
    assert found[0][:, wall].max() < 0.05
    torch.testing.assert_close(found[1], batch.image[1])
    middle_of_hair = found[0, :, 6:8, 12:20]
    torch.testing.assert_close(middle_of_hair, batch.image[0, :, 6:8, 12:20])


@pytest.mark.parametrize("name", ["hair", "cloth"])
def test_a_part_alone_becomes_darker(name: str) -> None:
    batch, drawn = faces(), nothing()
    drawn.gains[:, part_index(name)] = 0.5
    found = varied(batch, drawn).image
    place = {"hair": slice(6, 8), "cloth": slice(25, 30)}
    for part, rows in place.items():
        factor = 0.5 if part == name else 1.0
        inside = (..., rows, slice(12, 20))
        torch.testing.assert_close(found[inside], factor * batch.image[inside])


def test_what_nobody_knows_stays() -> None:
    """Photographs are labelled here and there; faces without truth have no spots."""
    batch = faces()
    assert batch.geometry is not None
    unknown = torch.full_like(batch.geometry.parts, UNLABELLED)
    batch = replace(batch, truth=None, geometry=replace(batch.geometry, parts=unknown))
    drawn = draw_variety(2, 1.0, torch.Generator().manual_seed(0))
    assert torch.equal(varied(batch, drawn).image, batch.image)
    assert varied(replace(batch, geometry=None), drawn).image is batch.image


@pytest.mark.parametrize(("melanin", "most"), [(-0.3, 2), (0.5, 0)])
def test_spots_are_what_their_maps_render_to(melanin: float, most: int) -> None:
    """More melanin darkens blue most in light skin, and red most where there is much of it already."""
    batch = faces(melanin)
    found = varied(batch, spot(0.2, 0.0))
    assert found.truth is not None
    inside = batch.mask.expand_as(found.image) > 0
    torch.testing.assert_close(found.image[inside], found.truth.render()[inside])
    fall = (found.image / batch.image).log()[0, :, 16, 16]
    assert int(fall.argmin()) == most
    assert fall.min() < -0.2
    assert torch.equal(found.image[~inside], batch.image[~inside])


def test_spots_of_blood_leave_melanin() -> None:
    batch = faces(-0.3)
    assert batch.truth is not None
    image, maps = spotted(batch.image, batch.mask, batch.truth, spot(0.0, 0.5))
    assert torch.equal(maps.melanin, batch.truth.melanin)
    fall = (image / batch.image).log()[0, :, 16, 16]
    assert fall[1] < 3.0 * fall[0] < 0.0


def test_views_with_spots_agree_where_maps_have_them(
    random_decomposition: Callable[..., Decomposition],
) -> None:
    first = random_decomposition(2, SIZE, SIZE).map(torch.Tensor.detach)
    added = 0.1 * torch.rand(2, 2, SIZE, SIZE, dtype=torch.float64)
    turn = torch.tensor([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]], dtype=torch.float64).expand(2, 2, 3)
    still = torch.nn.functional.affine_grid(turn, [2, 1, SIZE, SIZE], align_corners=False)
    flat = torch.ones(2, 1, SIZE, SIZE, dtype=torch.float64)
    mask = torch.zeros_like(flat)
    mask[..., 4:-4, 4:-4] = 1.0
    image = 0.3 * flat.expand(-1, 3, -1, -1)
    photos = FaceBatch(image, mask, image, flat, torch.zeros(2, 3, 9))
    seen = views(photos, Change(flat, 0.0 * flat, still), other=0.9 * image, added=added)
    torch.testing.assert_close(seen.other, 0.9 * image)
    second = replace(
        first,
        melanin=first.melanin + added[:, :1],
        haemoglobin=first.haemoglobin + added[:, 1:],
    )
    pixels = seen.other_mask.sum()
    for maps, right in ((second, True), (first, False)):
        pigments, *_ = disagreements(first, maps, seen.split(1)[0], pixels)
        assert (float(pigments) < 1e-12) is right
    # Surroundings as they are tell more than other ones: the photo as taken is not moved toward those.
    example = replace(first, melanin=first.melanin.clone().requires_grad_())
    follower = replace(first, melanin=first.melanin.clone().requires_grad_())
    pigments, *_ = disagreements(example, follower, seen, pixels)
    pigments.backward()
    assert example.melanin.grad is None
    assert follower.melanin.grad is not None


def test_draws_keep_their_ranges_and_their_chance() -> None:
    drawn = draw_variety(4000, 0.5, torch.Generator().manual_seed(1))
    assert 0.45 < drawn.other.mean() < 0.55
    assert 0.003 * 0.5 * 0.3 < drawn.wall.min() < 0.01
    assert drawn.wall.max() == 1.0
    changed = (drawn.gains != 1.0).float().mean(0)
    for name in PART_NAMES:
        share = {"cloth": 0.5, "hair": 0.5}.get(name, 0.0)
        assert abs(float(changed[part_index(name)]) - share) < 0.05, name
    melanin, haemoglobin = drawn.spots[..., 3], drawn.spots[..., 4]
    assert not (melanin * haemoglobin).any()
    assert 0.45 < ((melanin + haemoglobin) != 0).float().mean() < 0.55
    assert 0.03 < (melanin[melanin != 0] < 0).float().mean() < 0.07
    assert melanin.max() <= 0.6
    part = drawn.part(slice(8, 12))
    assert torch.equal(part.spots, drawn.spots[8:12])
    assert torch.equal(part.wall, drawn.wall[8:12])


def test_surroundings_stay_light() -> None:
    """However bright a part becomes, a camera cuts it off at 1."""
    parts = torch.nn.functional.one_hot(labels()[:, 0].long(), len(PART_NAMES))
    drawn = nothing()
    drawn.gains[:] = 8.0
    found = surrounded(
        torch.full((2, 3, SIZE, SIZE), 0.5),
        parts.permute(0, 3, 1, 2).float(),
        torch.zeros(2, 1, SIZE, SIZE),
        drawn,
    )
    assert found.max() == 1.0


@pytest.mark.parametrize("share", [-0.1, 1.5, float("nan")])
def test_a_chance_lies_between_0_and_1(share: float, tmp_path: Path) -> None:
    with pytest.raises(BioFaceNetError, match=r"--variety must lie in \[0, 1\], got"):
        check(Settings(data=tmp_path, variety=share))


# In training ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("faces") / "set"
    synthesize(SyntheticSettings(out=folder, count=8, holdout=0, size=32, workers=0))
    return folder


def begun(data: Path, out: Path, team: Team | None = None, **changes: object) -> Run:
    settings = Settings(data=data, photos=data, out=out, from_="small", holdout="none")
    settings = replace(settings, batch_size=8, flip=False, exposure=0.0, device="cpu")
    return set_up(replace(settings, **changes), team or Team(torch.device("cpu")))


def test_faces_and_photographs_are_varied_alike_in_each_step(data: Path, tmp_path: Path) -> None:
    plain, run = (begun(data, tmp_path, variety=chance) for chance in (0.0, 1.0))
    batch, other = next(faces_of_epoch(plain)), next(faces_of_epoch(run))
    assert not torch.equal(other.image, batch.image)
    assert torch.equal(next(faces_of_epoch(run)).image, other.image)
    before, after, again = (photographs_of_step(one) for one in (plain, run, run))
    assert before is not None
    assert after is not None
    assert again is not None
    (before_,), (after_,), (again_,) = before.parts, after.parts, again.parts
    assert torch.equal(after_.image, before_.image)
    assert not torch.equal(after_.other, before_.other)
    assert torch.equal(after_.other, again_.other)
    assert before_.added is None
    assert after_.added is not None
    assert (after_.added.abs().amax(dim=(2, 3)) > 0.02).any(dim=0).all()
    # The network is sure of the wall of most of these faces, and another one is there.
    wall = photos_wall(after_.image, run)
    moved = (after_.other - before_.other).abs().amax(dim=1, keepdim=True)
    assert wall.any()
    assert (moved > 0.02).float().mean() > 0.1


def photos_wall(image: torch.Tensor, run: Run) -> torch.Tensor:
    parts = run.network.eval().decompose(image).parts
    assert parts is not None
    return parts[:, :1] > 0.5


def test_variety_does_not_depend_on_processes(data: Path, tmp_path: Path) -> None:
    whole = next(faces_of_epoch(begun(data, tmp_path, variety=1.0)))
    for rank in range(2):
        run = begun(data, tmp_path, variety=1.0)
        run.team = replace(run.team, rank=rank, size=2)
        share = next(faces_of_epoch(run))
        torch.testing.assert_close(share.image, whole.image[4 * rank : 4 * rank + 4])
