"""Synthetic faces: the same whatever the batch, consistent with their own truth, plausible."""

import time
from pathlib import Path

import pytest
import torch

from biofacenet.data import Faces, generate
from biofacenet.data.pair_files import find_pairs
from biofacenet.data.pairs import FacePairs, decode
from biofacenet.data.synthetic.covers import cloth_of
from biofacenet.data.synthetic.draws import Draws
from biofacenet.data.synthetic.eyes import eye_colour, mouth_colour
from biofacenet.data.synthetic.identity import draw_identity
from biofacenet.data.synthetic.light import draw_lights
from biofacenet.data.synthetic.parts import commonest, divide_into_parts
from biofacenet.data.synthetic.pigments import draw_pigments
from biofacenet.data.synthetic.shading import draw_shading
from biofacenet.data.synthetic.view import place_head
from biofacenet.data.truth import read_truth
from biofacenet.decomposition.veil import veil_of
from biofacenet.errors import BioFaceNetError
from biofacenet.physics.colour import linear_to_srgb
from biofacenet.physics.lighting import sh_shading
from biofacenet.preparation.settings import SyntheticSettings as Settings
from biofacenet.preparation.synthetic import synthesize
from biofacenet.training.losses import VEIL

COUNT = 48


@pytest.fixture(scope="module")
def faces() -> Faces:
    return generate(range(COUNT), seed=3, noise=False, skin="published")


def correlation(a: torch.Tensor, b: torch.Tensor) -> float:
    return float(torch.corrcoef(torch.stack((a, b)))[0, 1])


def parts(faces: Faces) -> list[torch.Tensor]:
    own = [faces.image, faces.normals, faces.mask, faces.coordinates, faces.lighting]
    return own + [torch.from_numpy(values) for values in faces.truth.arrays().values()]


def test_a_face_depends_on_seed_and_index_alone() -> None:
    together = generate([4, 9, 2], seed=1, skin="published")
    threads = torch.get_num_threads()
    torch.set_num_threads(threads + 1)
    try:
        alone = generate([9], seed=1, skin="published")
    finally:
        torch.set_num_threads(threads)
    for batch, single in zip(parts(together), parts(alone), strict=True):
        assert torch.equal(batch[1:2], single)
    assert not torch.equal(generate([9], seed=2, skin="published").image, alone.image)
    assert not torch.equal(together.image[0], together.image[1])


@pytest.mark.parametrize("size", [32, 96, 256])
def test_any_size(size: int) -> None:
    faces = generate([0, 1], size=size, skin="published")
    assert faces.image.shape == faces.normals.shape == (2, 3, size, size)
    assert faces.mask.shape == faces.truth.melanin.shape == (2, 1, size, size)


def test_ranges(faces: Faces) -> None:
    levels = 255 * faces.image
    torch.testing.assert_close(levels, levels.round(), atol=1e-3, rtol=0)
    assert ((faces.image >= 0) & (faces.image <= 1)).all()
    assert ((faces.mask == 0) | (faces.mask == 1)).all()
    share = faces.mask.mean(dim=(1, 2, 3))
    assert share.min() > 0.15
    assert share.max() < 0.75
    inside = faces.mask[:, 0] > 0
    lengths = faces.normals.norm(dim=1)
    torch.testing.assert_close(lengths[inside], torch.ones(int(inside.sum())), atol=1e-4, rtol=0)
    assert (lengths[~inside] == 0).all()
    assert (faces.coordinates.amin() >= 0) & (faces.coordinates.amax() <= 1)
    truth = faces.truth
    assert max(truth.melanin.abs().max(), truth.haemoglobin.abs().max()) <= 1
    assert min(truth.diffuse.min(), truth.specular.min()) > 0
    torch.testing.assert_close(truth.illuminant.weights.sum(dim=1), torch.ones(COUNT))
    assert ((truth.illuminant.cct >= 4000) & (truth.illuminant.cct <= 25000)).all()
    assert all(torch.isfinite(values).all() for values in parts(faces))


def test_the_image_is_the_rendered_truth(faces: Faces) -> None:
    """Exactly, but for 8-bit coding, in the whole mask of a picture without noise."""
    error = (faces.image - linear_to_srgb(faces.truth.render())).abs() * faces.mask
    assert error.max() < 0.5 / 255 + 1e-4
    noisy = generate(range(COUNT), seed=3, skin="published")
    error = (noisy.image - linear_to_srgb(noisy.truth.render())).abs()
    median = error[noisy.mask.expand_as(error) > 0].median()
    assert 0.25 / 255 < median < 0.03


def test_few_pixels_are_overexposed_and_faces_are_not_dark(faces: Faces) -> None:
    """On each face, not on average: a few burnt faces would hide among many good ones."""
    pixels = faces.mask.sum(dim=(1, 2, 3))
    burnt = ((faces.image.amax(dim=1, keepdim=True) == 1) * faces.mask).sum(dim=(1, 2, 3))
    assert ((burnt / pixels) < 0.05).float().mean() > 0.85
    assert (burnt / pixels).max() < 0.2  # those that are overexposed
    means = (faces.image * faces.mask).sum(dim=(1, 2, 3)) / (3 * pixels)
    assert means.min() > 0.03


def test_shading_of_normals_and_lighting_is_a_good_but_rough_proxy(faces: Faces) -> None:
    proxy = sh_shading(faces.normals, faces.lighting)
    inside = faces.mask > 0
    found = torch.tensor(
        [correlation(proxy[i][inside[i]], faces.truth.diffuse[i][inside[i]]) for i in range(COUNT)]
    )
    assert found.mean() > 0.9
    assert found.max() < 1.0  # folds and the chin throw shadows that normals cannot know


def test_lighting_has_the_scale_of_the_true_shading(faces: Faces) -> None:
    """The exposure is in both, and the light's tint has mean 1 over the channels."""
    proxy = sh_shading(faces.normals, faces.lighting).mean(dim=1, keepdim=True)
    shaded = (faces.truth.diffuse * faces.mask).sum(dim=(1, 2, 3))
    scale = shaded / (proxy * faces.mask).sum(dim=(1, 2, 3))
    assert scale.min() > 0.8  # cavities, shadows and hairs darken
    assert (
        scale.max() < 1.1
    )  # nine harmonics are near the cosine of a distant light, not equal to it


def test_cheeks_are_bare_up_to_the_ears(faces: Faces) -> None:
    """No beard, the darkest large area of a face, on the side of the cheek that a turn shows."""
    x, y, z = (2.6 * faces.coordinates - 1.3).unbind(dim=1)
    inside = faces.mask[:, 0] > 0
    side = inside & (x.abs() > 0.6) & (y.abs() < 0.1) & (z > 0.15)
    forehead = inside & (x.abs() < 0.25) & ((y - 0.42).abs() < 0.06)
    melanin = faces.truth.melanin[:, 0]
    darker = torch.stack(
        [
            melanin[i][side[i]].median() - melanin[i][forehead[i]].median()
            for i in range(COUNT)
            if side[i].sum() > 5 and forehead[i].any()
        ]
    )
    assert len(darker) > COUNT / 2
    assert darker.abs().max() < 0.3


def test_lips_are_redder_than_cheeks(faces: Faces) -> None:
    """By the pose-free coordinates: lips at y = -0.56, cheeks beside the nose."""
    x, y = 2.6 * faces.coordinates[:, 0] - 1.3, 2.6 * faces.coordinates[:, 1] - 1.3
    inside = faces.mask[:, 0] > 0
    lips = inside & (x.abs() < 0.12) & ((y + 0.6).abs() < 0.03)
    cheeks = inside & ((x.abs() - 0.42).abs() < 0.1) & ((y + 0.15).abs() < 0.1)
    haemoglobin = faces.truth.haemoglobin[:, 0]
    redder = [
        bool(haemoglobin[i][lips[i]].mean() > haemoglobin[i][cheeks[i]].mean())
        for i in range(COUNT)
        if lips[i].any() and cheeks[i].any()
    ]
    assert len(redder) > COUNT / 2
    assert sum(redder) > 0.9 * len(redder)


def test_skin_covers_the_human_range(faces: Faces) -> None:
    melanin = faces.truth.melanin
    medians = torch.stack([melanin[i][faces.mask[i] > 0].median() for i in range(COUNT)])
    assert medians.min() < -0.5
    assert medians.max() > 0.5
    fractions = faces.truth.melanosomes()
    assert fractions.min() < 0.01
    assert fractions.max() > 0.25


def test_highlights_are_sparse(faces: Faces) -> None:
    specular = faces.truth.specular[faces.mask > 0]
    assert specular.median() < 0.25 * specular.quantile(0.99)


def test_thousands_a_minute() -> None:
    start = time.process_time()  # other work on the machine does not count
    generate(range(64), skin="published")
    assert time.process_time() - start < 12.0


def test_synthesize_writes_pairs_with_truth_and_a_sheet(tmp_path: Path) -> None:
    settings = Settings(
        out=tmp_path / "set",
        count=5,
        holdout=2,
        per_file=3,
        size=32,
        workers=0,
        skin="published",
    )
    synthesize(settings)
    files = find_pairs(tmp_path / "set")
    assert [(file.number, file.count) for file in files] == [("01", 3), ("02", 2), ("20", 2)]
    assert (tmp_path / "set" / "sheet.png").stat().st_size > 1000
    made = generate(range(7), 0, size=32, skin="published")
    batch = decode(FacePairs(files).read(range(7)))
    torch.testing.assert_close(batch.mask, made.mask)
    torch.testing.assert_close(batch.normals, made.normals, atol=5e-5, rtol=0)
    torch.testing.assert_close(read_truth(files[1], [1]).melanin, made.truth.melanin[4:5])
    assert read_truth(files[1], [1]).skin == "published"


def test_faces_of_measured_skin(tmp_path: Path) -> None:
    settings = Settings(
        out=tmp_path / "set", count=2, holdout=0, size=32, workers=0, skin="measured"
    )
    synthesize(settings)
    (file,) = find_pairs(tmp_path / "set")
    assert read_truth(file, [0]).skin == "measured"
    one, other = (generate(range(6), size=32, skin=skin) for skin in ("measured", "published"))  # type: ignore[arg-type]
    torch.testing.assert_close(one.normals, other.normals)
    assert (one.image - other.image).abs().max() > 0.02
    # Each within the range of its own skin: measured faces are darker and redder on their axes.
    assert one.truth.haemoglobin.mean() > other.truth.haemoglobin.mean() + 0.3
    level = [faces.truth.melanin.mean(dim=(1, 2, 3)) for faces in (one, other)]
    assert level[0].max() - level[0].min() < level[1].max() - level[1].min()


def test_synthesize_gives_the_same_files_with_more_workers(tmp_path: Path) -> None:
    for name, workers in (("one", 0), ("two", 2)):
        synthesize(Settings(out=tmp_path / name, count=40, holdout=0, size=32, workers=workers))
    one, two = (FacePairs(find_pairs(tmp_path / name)).read(range(40)) for name in ("one", "two"))
    assert torch.equal(one.channels, two.channels)


@pytest.mark.parametrize(
    "change", [{"count": 0}, {"size": 50}, {"holdout": -1}, {"per_file": 0}, {"workers": -1}]
)
def test_settings_out_of_range_are_told(tmp_path: Path, change: dict[str, int]) -> None:
    with pytest.raises(BioFaceNetError, match=next(iter(change))):
        synthesize(Settings(out=tmp_path / "set", **change))
    assert not (tmp_path / "set").exists()


def test_other_files_are_not_mixed_in(tmp_path: Path) -> None:
    (tmp_path / "zx_7_d10_inmc_celebA_05.hdf5").write_text("somebody's")
    with pytest.raises(BioFaceNetError, match="zx_7_d10_inmc_celebA_05"):
        synthesize(Settings(out=tmp_path, count=1, holdout=0))
    assert [path.name for path in tmp_path.iterdir()] == ["zx_7_d10_inmc_celebA_05.hdf5"]


def test_generated_faces_can_be_learned_from() -> None:
    made = generate([1], size=16, skin="published")
    truth = made.known()
    truth.melanin.requires_grad_()
    truth.render().sum().backward()
    assert truth.melanin.grad is not None
    assert truth.melanin.grad.abs().sum() > 0
    assert not any(values.is_inference() for values in (made.image, made.normals, truth.camera))


def test_a_pixel_is_of_the_part_that_most_of_its_samples_show() -> None:
    labels = torch.randint(0, 9, (32, 32), generator=torch.Generator().manual_seed(0)).byte()
    labels[:16] %= 2  # with many ties
    samples = labels.unfold(0, 2, 2).unfold(1, 2, 2).reshape(-1, 4).long()
    counts = torch.nn.functional.one_hot(samples, 9).sum(dim=1)
    first = [next(i for i, n in enumerate(row) if n == max(row)) for row in counts.tolist()]
    assert commonest(labels).flatten().tolist() == first


def test_rows_are_painted_as_in_the_whole_picture() -> None:
    rows, every = slice(8, 24), slice(None)

    def painted(chosen: slice) -> list[torch.Tensor]:
        draws = Draws(3, 5)
        who = draw_identity(draws, "measured")
        view = place_head(draws, who, 16)
        parts = divide_into_parts(view, torch.zeros_like(view.surface.hit))
        pigments = draw_pigments(draws, who, view, parts)
        shading = draw_shading(draws, view, draw_lights(draws), pigments)
        fine = draws.grain(view.x)
        return [
            eye_colour(draws, who, view, parts, shading, fine, chosen),
            mouth_colour(draws, view, parts, shading, chosen),
            cloth_of(draws, view, chosen),
        ]

    for some, whole in zip(painted(rows), painted(every), strict=True):
        assert torch.equal(some, whole[:, rows])


def test_hardly_any_face_has_more_veil_than_training_asks_of_photographs() -> None:
    found = generate(range(64), seed=12, size=48, noise=False)
    truth = found.known()
    veils = veil_of(truth.diffuse, truth.specular, found.mask)
    assert float(veils.min()) > 0.0
    assert float((veils < VEIL).float().mean()) > 0.95
    assert float(veils.max()) < 2.0 * VEIL
