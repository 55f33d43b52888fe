"""Maps keep the skin that they are of: every function that takes or gives a decomposition.

The functions are found by their annotations; one that is new must get a case of its own here.
"""

from __future__ import annotations

import ast
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import biofacenet
from biofacenet import BioFaceNet, Decomposition, Illuminant, Renderer
from biofacenet.analysis import ByFitting, ByNetwork, Result, apply
from biofacenet.analysis.editing import edit_photo
from biofacenet.analysis.formats import planes, write_formats
from biofacenet.analysis.measuring.colours import colour_numbers, skin_colours
from biofacenet.analysis.measuring.numbers import deviations, skin_numbers
from biofacenet.analysis.video import Smooth, _steady
from biofacenet.analysis.video_white import with_level
from biofacenet.data import FacePairs, Faces, find_pairs, generate, read_truth, write_pairs
from biofacenet.decomposition import Edit
from biofacenet.decomposition.maps import edited
from biofacenet.evaluation import baselines, metrics
from biofacenet.evaluation.run import by_fit, by_network
from biofacenet.evaluation.sets import KnownFaces, fixed_faces
from biofacenet.evaluation.summary import collect
from biofacenet.fitting import enlarge, estimate, explain, fit
from biofacenet.fitting.absolute import absolute
from biofacenet.fitting.detail import share_out
from biofacenet.fitting.objective import Priors, Unknowns, objective_of
from biofacenet.fitting.uncertainty import slopes
from biofacenet.network import Deployed
from biofacenet.photos import Photo, choose_parts, seen_skin
from biofacenet.physics.names import SkinName
from biofacenet.physics.skin import SKINS, melanosome_fraction
from biofacenet.plotting.maps import albedo_image
from biofacenet.training import losses
from biofacenet.training.augment import Changes
from biofacenet.training.augment import apply as changed
from biofacenet.training.run import Trainee

OTHER = "measured"
SIDE = 16
SKIN_OF_MEASURED = Renderer(OTHER)
"""Renders by hand, without asking the maps which skin they are of."""


@pytest.fixture(scope="module")
def faces() -> Faces:
    return generate(range(2), seed=4, size=32, skin=OTHER)


@pytest.fixture(scope="module")
def maps(faces: Faces) -> Decomposition:
    return faces.known()


@pytest.fixture(scope="module")
def network() -> BioFaceNet:
    torch.manual_seed(0)
    return BioFaceNet("small", skin=OTHER).eval()


def by_hand(maps: Decomposition) -> Tensor:
    return SKIN_OF_MEASURED(*maps.arguments())


def as_published(maps: Decomposition) -> Decomposition:
    return replace(maps, skin="published")


# What gives a decomposition ------------------------------------------------------------------

Given = tuple[Decomposition, Faces, BioFaceNet, Path]


def written(given: Given) -> Decomposition:
    """From a truth file."""
    _, faces, _, folder = given
    with write_pairs(folder, "01", truth=True) as writer:
        writer.append(faces)
    (file,) = find_pairs(folder)
    raw = FacePairs([file], truth=True).read([1, 0])
    assert raw.truth is not None
    assert raw.truth.skin == read_truth(file, [0]).skin
    return read_truth(file, [0, 1])


def stored(given: Given) -> Decomposition:
    given[0].save(given[3] / "maps.npz")
    return Decomposition.load(given[3] / "maps.npz")


def followed(given: Given) -> Decomposition:
    """By a video: light and camera of another frame, maps that render to the same."""
    maps = given[0][0]
    light = Smooth(10.0)
    _steady(replace(maps, illuminant=Illuminant.standard("A")), light, 0.1)
    return _steady(maps, light, 0.1)


def usual(given: Given) -> baselines.Statistics:
    return baselines.Statistics.of(given[0], given[1].mask)


def image_of(given: Given) -> Tensor:
    return given[0].render()


def photo_of(given: Given) -> Photo:
    return Photo(Path("face.png"), given[1].image[0])


def found_by(method: Any, given: Given) -> Decomposition:
    photo = photo_of(given)
    result: Result = method(photo, choose_parts(photo, "whole")[0])
    torch.testing.assert_close(result.reconstruction, by_hand(result.decomposition))
    return result.decomposition


def components(given: Given) -> Decomposition:
    pytest.importorskip("sklearn")
    learned = baselines.IndependentComponents.learn(image_of(given), given[1].mask, usual(given))
    return learned(image_of(given))


GIVES: dict[str, Callable[[Given], Decomposition]] = {
    "decomposition/maps.py:__getitem__": lambda g: g[0][1],
    "decomposition/maps.py:join": lambda g: Decomposition.join([g[0], g[0]]),
    "decomposition/maps.py:map": lambda g: g[0].map(torch.clone),
    "decomposition/maps.py:to": lambda g: g[0].to("cpu", torch.float64),
    "decomposition/maps.py:renormalised": lambda g: g[0].renormalised(),
    "decomposition/maps.py:detach": lambda g: g[0].detach(),
    "decomposition/maps.py:edit": lambda g: g[0].edit(melanin=0.1),
    "decomposition/maps.py:edited": lambda g: edited(g[0], Edit(melanin=0.1), None),
    "decomposition/maps.py:_lit": lambda g: g[0].edit(light="A"),
    "decomposition/maps.py:_seen": lambda g: g[0].edit(camera=(0.5, 0.5)),
    "decomposition/maps.py:load": stored,
    "data/records.py:known": lambda g: Faces.join([g[1], g[1][:1]]).known(),
    "data/truth.py:read": written,
    "data/truth.py:read_truth": written,
    "network/unet.py:forward": lambda g: g[2](torch.rand(1, 3, 32, 32)),
    "network/unet.py:with_raw_outputs": lambda g: g[2].with_raw_outputs(torch.rand(1, 3, 32, 32))[
        0
    ],
    "training/run.py:forward": lambda g: Trainee(g[2])(torch.rand(1, 3, 32, 32))[0],
    "network/unet.py:decompose": lambda g: g[2].decompose(torch.rand(1, 3, 20, 36)),
    "fitting/objective.py:decomposition": lambda g: Unknowns.of(g[0]).decomposition(),
    "fitting/objective.py:of": lambda g: Unknowns.of(g[0]).map(torch.clone).decomposition(),
    "fitting/objective.py:objective_of": lambda g: objective_of(
        Unknowns.of(g[0]), image_of(g), g[1].mask, g[1].mask, Priors.of(OTHER)
    )[1],
    "fitting/image.py:fit": lambda g: fit(image_of(g), steps=1, skin=OTHER).decomposition,
    "fitting/image.py:refined": lambda g: fit(image_of(g), start=g[0], steps=1).decomposition,
    "fitting/enlarging.py:explain": lambda g: explain(g[0], 0.9 * image_of(g), rounds=1),
    "fitting/enlarging.py:enlarge": lambda g: enlarge(g[0], image_of(g), torch.rand(2, 3, 48, 48)),
    "fitting/detail.py:share_out": lambda g: share_out(g[0], 0.9 * image_of(g)),
    "analysis/methods.py:ByNetwork": lambda g: found_by(ByNetwork(g[2], 16, resolution=24), g),
    "analysis/methods.py:refined": lambda g: found_by(ByNetwork(g[2], 16, refine=1), g),
    "analysis/methods.py:ByFitting": lambda g: found_by(ByFitting(16, 1, OTHER), g),
    "analysis/video.py:_steady": followed,
    "evaluation/baselines.py:decomposition": lambda g: usual(g).decomposition(
        *(plane for plane in g[0].arguments()[:4])
    ),
    "evaluation/baselines.py:constant_maps": lambda g: baselines.constant_maps(
        image_of(g), g[1].mask, usual(g)
    ),
    "evaluation/baselines.py:__call__": components,
    "evaluation/run.py:estimate": lambda g: by_network(g[2])(image_of(g), g[1].mask),
    "evaluation/run.py:by_fit": lambda g: by_fit(torch.device("cpu"), OTHER)(
        image_of(g)[:1, :, :16, :16], g[1].mask[:1, :, :16, :16]
    ),
    "evaluation/summary.py:collect": lambda g: collect(
        by_network(g[2]), KnownFaces("some", image_of(g), g[1].mask, g[0])
    )[1],
    "evaluation/sets.py:fixed_faces": lambda g: (
        fixed_faces(1, 3, size=16, skin=OTHER, cache=g[3]).truth
    ),
    "evaluation/sets.py:_kept": lambda g: [
        fixed_faces(1, 3, size=16, skin=OTHER, cache=g[3]).truth for _ in range(2)
    ][1],
}


@pytest.mark.parametrize("name", GIVES)
def test_what_is_given_is_of_the_skin(
    name: str, maps: Decomposition, faces: Faces, network: BioFaceNet, tmp_path: Path
) -> None:
    given = GIVES[name]((maps, faces, network, tmp_path))
    assert given.skin == OTHER
    torch.testing.assert_close(given.render(), by_hand(given))


# What takes one ------------------------------------------------------------------------------


def test_deviations_are_those_of_its_rendering(maps: Decomposition) -> None:
    """Both derivatives, by differences of renderings by hand."""
    one = (
        maps[0]
        .map(lambda x: x[..., :4, :4].contiguous() if x.ndim == 4 else x)
        .to(dtype=torch.float64)
    )
    # In the middle between two nodes of the table, at which the slope jumps.
    nodes = (one.melanin + 1.0) / 2.0 * 255.0
    one = replace(one, melanin=(nodes.floor() + 0.5) / 255.0 * 2.0 - 1.0)
    found = slopes(one)
    step = 1e-5

    def colours(moved: Decomposition) -> Tensor:
        return Renderer(OTHER, accuracy="fast")(*moved.arguments())[0].flatten(1).T

    up, down = (replace(one, melanin=one.melanin + sign * step) for sign in (1, -1))
    expected = (colours(up) - colours(down)) / (2 * step)
    torch.testing.assert_close(found.pixel[:, :, 0], expected, rtol=1e-3, atol=1e-5)
    b1 = torch.tensor([[step, 0.0]], dtype=torch.float64)
    up, down = (replace(one, camera=one.camera + sign * b1) for sign in (1, -1))
    expected = (colours(up) - colours(down)) / (2 * step)
    torch.testing.assert_close(found.image[:, :, 15], expected, rtol=1e-3, atol=1e-5)
    assert estimate(one).skin == OTHER


def test_albedo_tone_and_baselines_are_of_the_skin(maps: Decomposition, faces: Faces) -> None:
    one = torch.ones_like(maps.diffuse)
    bare = by_hand(replace(maps, diffuse=one, specular=0 * one)) / metrics.WHITE
    torch.testing.assert_close(metrics.albedo(maps), bare)
    assert (
        metrics.skin_tones(maps, faces.mask) - metrics.skin_tones(as_published(maps), faces.mask)
    ).abs().min() > 1.0
    assert np.abs(albedo_image(maps).astype(int) - albedo_image(as_published(maps))).max() > 5


def test_maps_of_different_skins_are_not_compared(maps: Decomposition, faces: Faces) -> None:
    image = maps.render()
    for compare in (
        lambda one, other: metrics.measure(one, other, image, faces.mask),
        lambda one, other: losses.truth_loss(one, other, faces.mask),
        lambda one, other: Decomposition.join([one, other]),
    ):
        compare(maps, maps)
        with pytest.raises(ValueError, match="measured"):
            compare(maps, as_published(maps))


def test_training_faces_keep_it(maps: Decomposition, faces: Faces, tmp_path: Path) -> None:
    from biofacenet.data import decode

    with write_pairs(tmp_path, "01", truth=True) as writer:
        writer.append(faces)
        with pytest.raises(ValueError, match="published skin among those of measured"):
            writer.append(replace(faces, truth=as_published(maps)))
    batch = decode(FacePairs(find_pairs(tmp_path), truth=True).read([0, 1]))
    changes = Changes(torch.tensor([True, False]), torch.tensor([0.9, 1.1]))
    for one in (*batch.split(2), changed(batch, changes)):
        assert one.truth is not None
        assert one.truth.skin == OTHER
        torch.testing.assert_close(one.truth.render(), by_hand(one.truth))


def test_edits_of_photos_are_of_the_skin(
    maps: Decomposition, network: BioFaceNet, tmp_path: Path
) -> None:
    """The skin's own mask, and both renderings."""
    matt = replace(maps, specular=torch.zeros_like(maps.specular))
    image, after = 1.1 * matt.render(), matt.edit(melanin=0.2)
    expected = image * by_hand(after) / by_hand(matt)
    seen = apply(image, matt, after)
    torch.testing.assert_close(seen, expected)
    photo = Photo(Path("face.png"), generate([3], seed=4, size=64, skin=OTHER).image[0])
    (part,) = choose_parts(photo, "whole")
    result = ByNetwork(network, 32)(photo, part)
    assert torch.equal(result.skin(), seen_skin(result.image, part, skin=OTHER))
    edit_photo(photo, [result], biofacenet.decomposition.Edit(melanin=0.2), tmp_path)
    assert Decomposition.load(tmp_path / "maps.npz").skin == OTHER


def test_files_for_other_programs_hold_its_fractions(maps: Decomposition, tmp_path: Path) -> None:
    found = planes(maps)
    np.testing.assert_array_equal(found["melanosomes"], maps.melanosomes()[0, 0])
    np.testing.assert_array_equal(found["blood"], maps.blood()[0, 0])
    assert write_formats(maps, tmp_path, ()) == {}


def test_the_deployed_network_renders_its_skin(network: BioFaceNet) -> None:
    image = torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        found = Deployed(network, encoding="linear")(image)["reconstruction"]
        expected = by_hand(network(image))
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("skin", ["published", "measured"])
def test_numbers_are_of_the_skin_that_maps_are_of(maps: Decomposition, skin: SkinName) -> None:
    found = replace(maps[:1], skin=skin)
    mask = torch.ones_like(found.melanin)
    numbers = skin_numbers(found, mask, deviations(found, mask))
    expected = 100.0 * melanosome_fraction(found.melanin.median(), SKINS[skin])
    assert numbers.melanosomes.median == pytest.approx(float(expected), rel=1e-3)
    low, high = numbers.melanosomes.interval
    assert low < numbers.melanosomes.median < high
    colours = colour_numbers(found, found.render(), mask[0, 0] > 0.5)
    lightness = skin_colours(found.melanin.flatten(), found.haemoglobin.flatten(), skin)[0].median()
    assert colours["lab_l"] == pytest.approx(float(lightness), rel=1e-3)


def test_a_white_is_looked_at_with_the_skin_that_maps_are_of(maps: Decomposition) -> None:
    found, mask = maps[:1], torch.ones_like(maps[:1].melanin)
    seen = {
        skin: absolute(replace(found, skin=skin), found.render() / 2.0)
        for skin in ("published", "measured")
    }
    for skin in seen:
        assert with_level(replace(found, skin=skin), mask, 0.1, 0.2).skin == skin
    assert {skin: one.decomposition.skin for skin, one in seen.items()} == {
        "published": "published",
        "measured": "measured",
    }
    assert seen["published"].known(mask).melanin != pytest.approx(
        seen["measured"].known(mask).melanin, abs=1e-3
    )


# All of them ---------------------------------------------------------------------------------

TAKES = {
    # Tested above.
    *("fitting/uncertainty.py:slopes", "fitting/uncertainty.py:estimate"),
    *("fitting/uncertainty.py:_pixel_slopes", "fitting/uncertainty.py:_image_slopes"),
    *("evaluation/metrics.py:albedo", "evaluation/metrics.py:skin_tones"),
    *("evaluation/metrics.py:measure", "evaluation/metrics.py:_compared"),
    *("evaluation/baselines.py:of", "plotting/maps.py:albedo_image"),
    *("training/losses.py:truth_loss", "training/losses.py:_without_highlights"),
    "training/symmetry.py:disagreements",  # tests/training/test_symmetry.py
    "training/variety.py:spotted",  # tests/training/test_variety.py; by `Decomposition.render`
    *("decomposition/maps.py:check_same_skin", "analysis/editing.py:apply"),
    # What they render goes through `Decomposition.render`.
    *(f"analysis/retouching.py:{name}" for name in ("body", "gloss", "change_of", "_of_person")),
    *(f"analysis/retouching.py:{name}" for name in ("steadied", "__init__", "_smaller", "_smooth")),
    *("analysis/retouching.py:maps_under", "analysis/retouching.py:_glossier"),
    *("decomposition/maps.py:_shadings", "decomposition/maps.py:_check_balance"),
    *("analysis/formats.py:planes", "analysis/formats.py:write_formats"),
    # What they render goes through `Decomposition.render`, and nothing else of the skin matters.
    *("training/losses.py:objective", "evaluation/people/numbers.py:_surface"),
    "evaluation/people/numbers.py:_log_albedo",  # by metrics.albedo
    *(
        "fitting/image.py:_fit",
        "fitting/enlarging.py:_exposed",
        "evaluation/calibration.py:_logs",
        "evaluation/calibration.py:_vector",
        "fitting/enlarging.py:_values",
        "fitting/enlarging.py:_decomposition",
        "fitting/enlarging.py:_unexplained",
    ),
    # Parts of share_out.
    *(f"fitting/detail.py:{name}" for name in ("_strips", "_values", "_maps", "_slopes", "_solve")),
    # Pictures, tables and means of maps, light and camera as they are.
    *("training/watch.py:see", "training/watch.py:liveliness"),
    *("training/symmetry.py:person_loss", "training/shape_losses.py:shape_losses"),
    *("plotting/figures.py:decomposition_figure", "plotting/figures.py:map_figure"),
    "plotting/figures.py:_panels",
    # Tested above; the rest of measuring looks at maps and parts as they are.
    *("analysis/measuring/colours.py:colour_numbers", "analysis/measuring/numbers.py:_percent"),
    *(f"analysis/measuring/numbers.py:{name}" for name in ("deviations", "skin_numbers")),
    *(
        f"fitting/absolute.py:{name}"
        for name in (
            "absolute",
            "_level",
            "_light",
            "_shared_out",
            "skin_of",
            "_seen",
            "_learned_level",
        )
    ),
    # tests/fitting/test_shading.py
    *(
        f"fitting/shading.py:{name}"
        for name in ("clues_of", "light_of", "_weight", "_basis", "_shrunk")
    ),
    *("analysis/whitening.py:_with_shape", "analysis/video_white.py:with_level"),
    "analysis/video.py:_at_level",
    *(f"analysis/measuring/photo.py:{name}" for name in ("_asymmetry", "_pigments", "_turned")),
    *("analysis/measuring/photo.py:_surface_light", "analysis/measuring/numbers.py:skin_of_parts"),
    *(f"analysis/measuring/regions.py:{name}" for name in ("_beside_eyes", "_by_parts", "_lips")),
    *(f"analysis/measuring/regions.py:{name}" for name in ("_usable", "place")),
    *("plotting/regions.py:regions_sheet", "evaluation/people/methods.py:look"),
    *("plotting/shape.py:normals_image", "plotting/shape.py:parts_image"),
    *("plotting/grids.py:training_grid", "plotting/grids.py:_training_row"),
    *("plotting/grids.py:cases_sheet", "plotting/maps.py:plane_of", "plotting/maps.py:map_image"),
    *("plotting/grids.py:changes_sheet", "evaluation/people/methods.py:_whole"),
    *(f"plotting/light.py:{name}" for name in ("light_note", "camera_note", "draw_light")),
    *(f"plotting/light.py:{name}" for name in ("draw_camera", "light_plot", "camera_plot")),
    *("plotting/light.py:light_csv", "plotting/light.py:camera_csv", "evaluation/run.py:sheet"),
    *(f"analysis/video.py:{name}" for name in ("_row", "_summary", "_pictures")),
}


def annotated() -> set[str]:
    """Functions with a decomposition among what they take or give."""
    package = Path(biofacenet.__file__).parent
    found = set()
    for path in package.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.FunctionDef):
                args = (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)
                types = [arg.annotation for arg in args] + [node.returns]
                if any("Decomposition" in ast.unparse(one) for one in types if one is not None):
                    found.add(f"{path.relative_to(package).as_posix()}:{node.name}")
    return found


def test_every_function_has_a_case() -> None:
    known = TAKES | set(GIVES)
    assert annotated() - known == set(), "new ones: add a case to GIVES or a test to TAKES"
    assert TAKES - annotated() == set(), "gone ones"
