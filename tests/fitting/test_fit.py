"""Fitting without a network: what it finds on faces with known truth, and on a photo."""

import dataclasses
import json
import math
import subprocess
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
import torch
from PIL import Image
from skimage import data

from biofacenet import Decomposition, Illuminant, render
from biofacenet.analysis import ByFitting
from biofacenet.data import Faces, generate
from biofacenet.errors import BioFaceNetError, NoFaceError
from biofacenet.fitting.image import Fit, Start, fit
from biofacenet.fitting.objective import OUTSIDE, Priors
from biofacenet.fitting.objective import Unknowns as _Unknowns
from biofacenet.fitting.objective import objective_of as _objective
from biofacenet.photos import choose_parts
from biofacenet.photos.boxes import crop
from biofacenet.photos.reading import read_photo
from biofacenet.photos.skin_pixels import eyes_and_teeth, face_region, skin_mask
from biofacenet.physics.colour import srgb_to_linear

FACES = 16
Command = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def faces() -> Faces:
    """As they are rendered: what a photograph does to them no fit can know."""
    return generate(range(500_000, 500_000 + FACES), noise=False, skin="published")


@pytest.fixture(scope="module")
def found(faces: Faces) -> Fit:
    return fit(srgb_to_linear(faces.image), faces.mask, skin="published")


def rank_correlation(one: torch.Tensor, other: torch.Tensor) -> float:
    ranks = [values.argsort().argsort().double() for values in (one, other)]
    return float(torch.corrcoef(torch.stack(ranks))[0, 1])


def between(found: torch.Tensor, true: torch.Tensor, mask: torch.Tensor) -> float:
    """Of the faces' medians."""
    medians = [
        torch.stack([maps[i][mask[i] > 0].median() for i in range(len(mask))])
        for maps in (found, true)
    ]
    return rank_correlation(*medians)


def within(found: torch.Tensor, true: torch.Tensor, mask: torch.Tensor) -> float:
    """Mean over the faces."""
    each = [rank_correlation(found[i][mask[i] > 0], true[i][mask[i] > 0]) for i in range(len(mask))]
    return sum(each) / len(each)


def test_synthetic_faces_are_rendered_and_their_melanin_is_ordered(
    faces: Faces, found: Fit
) -> None:
    assert found.rmse.max() < 0.02
    assert found.rmse.square().mean().sqrt() < 0.01
    ours, true, mask = found.decomposition, faces.truth, faces.mask
    inside = mask > 0
    assert rank_correlation(ours.melanin[inside], true.melanin[inside]) > 0.5
    assert between(ours.melanin, true.melanin, mask) > 0.5
    # Within a face the photo says less: beards, lashes and spots share melanin with shade.
    assert within(ours.melanin, true.melanin, mask) > 0.25
    assert within(ours.haemoglobin, true.haemoglobin, mask) > 0.6
    assert within(ours.diffuse, true.diffuse, mask) > 0.8
    assert within(ours.specular, true.specular, mask) > 0.2


def test_fit_says_what_its_maps_render_to(faces: Faces, found: Fit) -> None:
    torch.testing.assert_close(found.reconstruction, found.decomposition.render())
    image = srgb_to_linear(faces.image)
    error = ((found.reconstruction - image) ** 2 * faces.mask).sum((1, 2, 3))
    expected = (error / (3 * faces.mask.sum((1, 2, 3)))).sqrt()
    torch.testing.assert_close(found.rmse, expected)


def test_fit_of_measured_skin() -> None:
    """Faces of that skin are rendered, and what is found renders to what is said."""
    faces = generate(range(500_000, 500_004), size=32, skin="measured")
    assert faces.truth.skin == "measured"
    image = srgb_to_linear(faces.image)
    found = fit(image, faces.mask, skin="measured", steps=40)
    assert found.decomposition.skin == "measured"
    torch.testing.assert_close(found.decomposition.render(), found.reconstruction)
    assert found.rmse.median() < 0.01
    again = fit(image, faces.mask, start=found.decomposition, steps=2)
    assert again.decomposition.skin == "measured"
    with pytest.raises(ValueError, match="skin must be one of"):
        fit(image, skin="other", steps=1)  # type: ignore[arg-type]


def test_images_of_a_batch_do_not_know_of_each_other(faces: Faces, found: Fit) -> None:
    alone = fit(srgb_to_linear(faces.image[3:4]), faces.mask[3:4], skin="published")
    for name in ("melanin", "diffuse"):
        theirs = getattr(found.decomposition, name)[3:4]
        torch.testing.assert_close(getattr(alone.decomposition, name), theirs, atol=2e-2, rtol=2e-2)


def test_what_is_outside_the_mask_hardly_matters(faces: Faces) -> None:
    image, mask = srgb_to_linear(faces.image[:2]), faces.mask[:2]
    other = image * mask + (1 - mask) * torch.tensor([0.05, 0.3, 0.9]).reshape(1, 3, 1, 1)
    one, two = (fit(pixels, mask).decomposition for pixels in (image, other))
    assert (one.camera - two.camera).abs().max() < 0.2
    assert ((one.melanin - two.melanin) * mask).abs().mean() < 0.03


def test_refining_the_truth_stays_there_and_gets_better(faces: Faces) -> None:
    image, mask = srgb_to_linear(faces.image[:4]), faces.mask[:4]
    truth = faces.truth[slice(0, 4)]
    refined = fit(image, mask, start=truth, steps=30)
    weight = mask + OUTSIDE * (1 - mask)
    before, _, _ = _objective(_Unknowns.of(truth), image, mask, weight, Priors())
    assert (refined.objective < before).all()
    assert refined.rmse.max() < 0.01
    moved = (refined.decomposition.melanin - truth.melanin.clamp(-0.97, 0.97)) * mask
    assert moved.abs().mean() < 0.15


def constant(melanin: float = 0.1, size: int = 20) -> Decomposition:
    one = torch.ones(1, 1, size, size, dtype=torch.float64)
    light = Illuminant.standard("D65")
    return Decomposition(
        melanin=melanin * one,
        haemoglobin=-0.33 * one,
        diffuse=1.5 * one,
        specular=0.25 * one,
        illuminant=Illuminant(light.weights.double(), light.cct.double()),
        camera=torch.zeros(1, 2, dtype=torch.float64),
    )


def test_objective_of_a_perfect_flat_face_is_its_highlights() -> None:
    """Everything else is as usual: 4 times 0.25, and what daylight of 6504 K costs."""
    flat = constant()
    mask = torch.ones_like(flat.melanin)
    image = _Unknowns.of(flat).decomposition().render(accuracy="fast")
    objective, _, _ = _objective(_Unknowns.of(flat), image, mask, mask, Priors())
    assert float(objective[0]) == pytest.approx(4 * 0.25, abs=2e-3)


def test_dim_light_costs_where_only_brightness_tells_dark_skin() -> None:
    flat = constant()
    mask = torch.ones_like(flat.melanin)
    image = _Unknowns.of(flat).decomposition().render(accuracy="fast")
    priors = dataclasses.replace(Priors(), brightness=0.0)
    without, _, _ = _objective(_Unknowns.of(flat), image, mask, mask, priors)
    for weight in (1.0, 3.0):
        priors = dataclasses.replace(Priors(), brightness=weight, usual_brightness=math.log(2.0))
        cost, _, _ = _objective(_Unknowns.of(flat), image, mask, mask, priors)
        off = float(flat.diffuse.log().mean()) - math.log(2.0)
        assert abs(off) > 0.1
        assert float(cost[0] - without[0]) == pytest.approx(weight * off**2, rel=1e-4)
    assert Priors.of("measured").brightness == 1.0
    assert Priors.of("published").brightness == 0.0


def test_objective_counts_an_edge_by_its_length() -> None:
    flat, mask = constant(), torch.ones(1, 1, 20, 20, dtype=torch.float64)
    flat.melanin[..., 10:] = 0.5
    image = _Unknowns.of(flat).decomposition().render(accuracy="fast")
    with_edge, _, _ = _objective(_Unknowns.of(flat), image, mask, mask, Priors())
    # One of 19 differences across is 0.4, in an image of 20 / 64 of the usual width.
    expected = 1.0 + Priors().pigments * (20 / 64) * ((0.4**2 + 0.02**2) ** 0.5 - 0.02) / 19
    assert float(with_edge[0]) == pytest.approx(expected, abs=1e-3)


def test_gradient_of_the_objective() -> None:
    generator = torch.Generator().manual_seed(0)
    unknowns = _Unknowns.of(constant(size=4)).map(
        lambda x: (
            x + 0.2 * torch.rand(x.shape, generator=generator, dtype=x.dtype)
        ).requires_grad_()
    )
    image = torch.rand(1, 3, 4, 4, generator=generator, dtype=torch.float64)
    mask = torch.ones(1, 1, 4, 4, dtype=torch.float64)

    def objective(*values: torch.Tensor) -> torch.Tensor:
        return _objective(_Unknowns(*values), image, mask, mask, Priors())[0]

    assert torch.autograd.gradcheck(objective, tuple(unknowns.tensors.values()), rtol=1e-3)


@pytest.mark.parametrize(("height", "width"), [(16, 16), (40, 100), (97, 33)])
def test_any_shape(height: int, width: int) -> None:
    image = render(*constant(size=1).map(lambda x: x.float()).arguments()).expand(
        1, 3, height, width
    )
    ticks: list[tuple[int, int]] = []
    found = fit(image, steps=20, progress=lambda *both: ticks.append(both))
    assert found.reconstruction.shape == (1, 3, height, width)
    assert found.rmse < 0.01
    assert [done for done, _ in ticks] == list(range(1, ticks[0][1] + 1))


@pytest.mark.parametrize(
    "arguments",
    [
        {"image": torch.zeros(3, 64, 64)},
        {"image": torch.zeros(1, 3, 8, 64)},
        {"image": torch.zeros(1, 3, 64, 64), "mask": torch.zeros(1, 64, 64)},
        {"image": torch.zeros(1, 3, 64, 64), "mask": torch.zeros(1, 1, 32, 64)},
        {"image": torch.zeros(1, 3, 64, 64), "steps": 0},
        {"image": torch.zeros(1, 3, 64, 64), "starts": ()},
    ],
)
def test_shapes_that_do_not_fit(arguments: dict[str, torch.Tensor]) -> None:
    with pytest.raises(ValueError, match=r"must have shape|at least one"):
        fit(**arguments)


@pytest.mark.parametrize("level", [0.0, 1.0])
def test_black_and_white_images_end_finite(level: float) -> None:
    found = fit(torch.full((1, 3, 32, 32), level), steps=20, starts=(Start(),))
    assert all(plane.isfinite().all() for plane in found.decomposition.arguments()[:4])


# Skin ----------------------------------------------------------------------------------------


def test_every_skin_is_skin_and_other_colours_are_not() -> None:
    line = torch.linspace(-0.95, 0.8, 64)
    melanin, haemoglobin = (x[None, None] for x in torch.meshgrid(line, line, indexing="ij"))
    for light, shading in (("D65", 1.0), ("D65", 0.4), ("D50", 1.5)):
        skin = render(
            melanin,
            haemoglobin,
            torch.full_like(melanin, shading),
            torch.full_like(melanin, 0.02),
            Illuminant.standard(light),
            torch.zeros(1, 2),
        )
        # One brightness each, so that only the colour decides.
        skin = 0.4 * skin / skin.amax(dim=1, keepdim=True)
        assert skin_mask(skin, skin="published").mean() > 0.98
    for colour in ((0.1, 0.5, 0.1), (0.1, 0.2, 0.7), (0.5, 0.1, 0.5), (0.3, 0.6, 0.6)):
        image = torch.tensor(colour).reshape(1, 3, 1, 1).expand(1, 3, 64, 64)
        assert skin_mask(image).sum() == 0


def test_mask_of_synthetic_faces(faces: Faces) -> None:
    found = skin_mask(srgb_to_linear(faces.image), region=faces.mask, skin="published")
    both = (found * faces.mask).sum()
    assert both / faces.mask.sum() > 0.75
    assert both / found.sum() > 0.6  # necks and ears are skin too


def test_what_does_not_hang_together_with_the_face_is_not_it() -> None:
    image = torch.tensor((0.1, 0.3, 0.8)).reshape(1, 3, 1, 1).repeat(1, 1, 128, 128)
    skin = torch.tensor((0.5, 0.3, 0.2)).reshape(1, 3, 1, 1)
    image[..., 40:90, 40:90] = skin
    image[..., 100:120, 4:30] = skin  # a hand
    assert skin_mask(image)[..., 100:120, 4:30].mean() > 0.9
    found = skin_mask(image, region=face_region(128, 128))
    assert found[..., 100:120, 4:30].sum() == 0
    assert found[..., 42:88, 42:88].mean() == 1


def test_shadows_are_filled_in_and_what_is_paler_is_not() -> None:
    """A hole of a more saturated colour is skin, one that is nearly white is an eye or a tooth."""
    image = torch.tensor((0.1, 0.3, 0.8)).reshape(1, 3, 1, 1).repeat(1, 1, 128, 128)
    image[..., 30:110, 30:100] = torch.tensor((0.5, 0.3, 0.2)).reshape(1, 3, 1, 1)
    shadow, white = (slice(90, 96), slice(50, 70)), (slice(50, 56), slice(50, 70))
    image[:, :, shadow[0], shadow[1]] = torch.tensor((0.2, 0.09, 0.045)).reshape(1, 3, 1, 1)
    image[:, :, white[0], white[1]] = torch.tensor((0.4, 0.38, 0.37)).reshape(1, 3, 1, 1)
    found = skin_mask(image, region=face_region(128, 128))[0, 0]
    assert found[shadow].mean() == 1
    assert found[52:54, 54:66].mean() == 0


def test_eyes_and_teeth_are_where_a_framed_face_has_them() -> None:
    skin = torch.tensor((0.5, 0.3, 0.2)).reshape(1, 3, 1, 1).repeat(1, 1, 100, 100)
    enamel = torch.tensor((0.6, 0.58, 0.5)).reshape(1, 3, 1, 1)
    everywhere = torch.ones(1, 1, 100, 100)
    assert eyes_and_teeth(skin, everywhere).sum() == 0
    for rows, columns in ((slice(39, 43), slice(33, 41)), (slice(64, 69), slice(42, 58))):
        face = skin.clone()
        face[..., rows, columns] = enamel
        found = eyes_and_teeth(face, everywhere)
        assert found[..., rows, columns].mean() > 0.8
        assert found.sum() < 1.3 * (rows.stop - rows.start) * (columns.stop - columns.start)
    cheek = skin.clone()
    cheek[..., 52:56, 25:35] = enamel
    assert eyes_and_teeth(cheek, everywhere).sum() == 0


def test_region_is_an_ellipse_in_the_middle() -> None:
    region = face_region(200, 100)
    assert region.shape == (1, 1, 200, 100)
    assert 0.15 < region.mean() < 0.22
    assert torch.equal(region, region.flip(3))


# Photos --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def astronaut(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("photo") / "astronaut.png"
    Image.fromarray(data.astronaut()).save(path)
    return path


def test_portrait(astronaut: Path) -> None:
    result = ByFitting()(read_photo(astronaut))
    assert result.part.kind == "face"
    assert result.mask is not None
    assert 0.15 < result.mask.mean() < 0.4
    assert result.skin_rmse is not None
    assert result.skin_rmse < 0.02

    def mean(values: torch.Tensor, places: list[tuple[int, int, int, int]]) -> float:
        marked = torch.zeros(3, 512, 512)
        for left, top, right, bottom in places:
            marked[:, top:bottom, left:right] = 1.0
        return float(values[0, 0][crop(marked, result.part.box, 256)[0] > 0.5].mean())

    lips = [(214, 140, 236, 142), (214, 150, 233, 154)]
    cheeks = [(190, 123, 198, 131), (249, 121, 259, 131)]
    haemoglobin = result.decomposition.haemoglobin
    assert mean(haemoglobin, lips) > mean(haemoglobin, cheeks) + 0.05


def test_no_face_and_no_skin(tmp_path: Path) -> None:
    path = tmp_path / "meadow.png"
    Image.new("RGB", (90, 60), (40, 160, 50)).save(path)
    photo = read_photo(path)
    with pytest.raises(NoFaceError):
        ByFitting(32, 5)(photo)
    result = ByFitting(32, 5)(photo, choose_parts(photo, "whole")[0])
    assert any("no skin found" in remark for remark in result.remarks)


@pytest.mark.parametrize(("size", "steps"), [(15, 10), (4096, 10), (64, 0)])
def test_settings_out_of_range(astronaut: Path, size: int, steps: int) -> None:
    with pytest.raises(BioFaceNetError):
        ByFitting(size, steps)


@pytest.fixture(scope="module")
def command(in_process: Command) -> Command:
    return partial(in_process, "biofacenet.fit")


def test_command_line(astronaut: Path, tmp_path: Path, command: Command) -> None:
    text = tmp_path / "text.jpg"
    text.write_text("no photo")
    done = command(
        *(str(astronaut), str(text), "--size", "64", "--steps", "10", "--device", "cpu"),
        *("--skin", "measured"),
        cwd=tmp_path,
    )
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert str(text) in done.stderr
    folder = tmp_path / "fits" / "astronaut"
    summary = json.loads((folder / "summary.json").read_text("utf-8"))
    assert summary["method"].startswith("fitted")
    assert 0 < summary["rmse_linear_rgb_of_skin"] < 0.1
    with Image.open(folder / "mask.png") as mask:
        assert mask.size == (64, 64)
    stored = Decomposition.load(folder / "maps.npz")
    with Image.open(folder / "reconstruction.png") as picture:
        assert picture.size == (64, 64)
    assert stored.melanin.shape == (1, 1, 64, 64)
    assert stored.skin == "measured"


@pytest.mark.parametrize(
    "arguments", [(), ("--size", "7"), ("x.jpg", "--crop", "1,2"), ("nowhere.jpg",)]
)
def test_command_line_errors_are_one_line(
    tmp_path: Path, arguments: tuple[str, ...], command: Command
) -> None:
    done = command(*arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("error: ")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_fit_finds_its_gradients_where_none_are_kept(mode) -> None:  # type: ignore[no-untyped-def]
    """The same as outside, also for an image that was made there, and a start of it."""
    with mode():
        image = torch.full((1, 3, 16, 16), 0.3) * torch.tensor([1.2, 0.9, 0.7])[:, None, None]
        found = fit(image, steps=2)
        again = fit(image, start=found.decomposition, steps=1)
    outside = fit(image.clone(), steps=2)
    assert torch.equal(found.reconstruction, outside.reconstruction)
    assert not again.reconstruction.isnan().any()
