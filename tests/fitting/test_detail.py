"""Fine contrast goes where it belongs: faces with spots, wrinkles, highlights and noise that are known."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from biofacenet import Decomposition
from biofacenet.data import generate
from biofacenet.evaluation.metrics import albedo
from biofacenet.fitting import enlarge
from biofacenet.fitting.colour_noise import quiet_colour
from biofacenet.fitting.detail import share_out
from biofacenet.physics.colour import linear_to_srgb, srgb_to_linear
from biofacenet.physics.names import SkinName

SIDE, SMALL = 128, 32
PLACE = (44.0, 76.0)
"""On a cheek: across and down."""


def known(skin: SkinName, melanin: float) -> Decomposition:
    """A face whose maps are smooth, such as a network's are."""
    faces = generate([5], seed=11, size=SIDE, noise=False, skin=skin, melanin=melanin)
    smooth = faces.truth.map(lambda x: x if x.ndim < 4 else averaged(x))
    # No gloss and no beard, which would be detail of their own.
    return replace(smooth, specular=torch.full_like(smooth.specular, 0.005))


def averaged(values: Tensor) -> Tensor:
    small = F.adaptive_avg_pool2d(values, SMALL)
    return F.interpolate(small, size=(SIDE, SIDE), mode="bicubic").clamp(
        float(values.min()), float(values.max())
    )


def bump(deviation: float) -> Tensor:
    place = torch.arange(SIDE) + 0.5
    square = (place - PLACE[0]).square()[None, :] + (place - PLACE[1]).square()[:, None]
    return torch.exp(-0.5 * square / deviation**2)[None, None]


def found(maps: Decomposition, image: Tensor, shrunk: float = 0.25) -> Decomposition:
    """The large image's maps, from smooth ones in which all detail is shading, as a poor network has it."""
    small = F.adaptive_avg_pool2d(image, SMALL)
    rough = maps.map(lambda x: x if x.ndim < 4 else F.adaptive_avg_pool2d(x, SMALL))
    ratio = small.mean(dim=1, keepdim=True) / rough.render().mean(dim=1, keepdim=True).clamp(1e-3)
    rough = replace(rough, diffuse=rough.diffuse * ratio.clamp(0.1, 10.0))
    return enlarge(rough, small, image, shrunk=shrunk)


def share(change: Tensor, true: Tensor) -> float:
    """The factor that brings the truth nearest to a change, near the spot."""
    near = bump(8.0) > 0.1
    change, true = change * near, true * near
    return float((change * true).sum() / true.square().sum())


def logs(maps: Decomposition) -> Tensor:
    return albedo(maps).clamp(min=1e-4).log()


@pytest.mark.parametrize("deviation", [1.5, 4.0])
@pytest.mark.parametrize(
    ("pigment", "other", "melanin", "least"),
    [
        ("melanin", "haemoglobin", -0.4, 0.7),
        # The darker measured skin is, the less melanin changes its colour, and the more it could be shading.
        ("melanin", "haemoglobin", 0.0, 0.5),
        ("haemoglobin", "melanin", -0.4, 0.7),
        ("haemoglobin", "melanin", 0.0, 0.7),
    ],
)
def test_coloured_spots_are_pigment(
    deviation: float, pigment: str, other: str, melanin: float, least: float
) -> None:
    plain = known("measured", melanin)
    added = (0.15 if pigment == "melanin" else 0.35) * bump(deviation)
    spotted = replace(plain, **{pigment: getattr(plain, pigment) + added})
    before, after = (found(plain, maps.render()) for maps in (plain, spotted))
    true = logs(spotted) - logs(plain)
    own = replace(before, **{pigment: getattr(after, pigment)})
    strange = replace(before, **{other: getattr(after, other)})
    assert least < share(logs(after) - logs(before), true) < 1.2
    assert share(logs(own) - logs(before), true) > least
    assert abs(share(logs(strange) - logs(before), true)) < 0.25
    darker = (after.diffuse / before.diffuse).log()
    assert abs(share(darker.expand_as(true), true)) < 1.05 - least


@pytest.mark.parametrize("skin", ["published", "measured"])
@pytest.mark.parametrize("melanin", [-0.4, 0.1])
@pytest.mark.parametrize("deviation", [1.5, 4.0])
def test_uncoloured_contrast_is_shading(skin: SkinName, melanin: float, deviation: float) -> None:
    plain = known(skin, melanin)
    wrinkle = -0.3 * bump(deviation)
    creased = replace(plain, diffuse=plain.diffuse * wrinkle.exp())
    before, after = (found(plain, maps.render()) for maps in (plain, creased))
    assert 0.85 < share((after.diffuse / before.diffuse).log(), wrinkle) < 1.15
    assert abs(share((logs(after) - logs(before))[:, 1:2], wrinkle)) < 0.15


def test_highlights_stay_where_they_are_and_smooth() -> None:
    plain = known("measured", -0.2)
    glossy = replace(plain, specular=plain.specular + 0.2 * bump(8.0))
    noise = torch.Generator().manual_seed(0)
    image = glossy.render()
    grainy = image * (1.0 + 0.03 * torch.randn(image.shape, generator=noise))
    # The network saw three quarters of the highlight.
    seen = replace(plain, specular=plain.specular + 0.15 * bump(8.0))
    result = found(seen, grainy)
    assert share(result.specular - plain.specular, 0.2 * bump(8.0)) > 0.73

    def rough(values: Tensor) -> float:
        """RMS of second differences across."""
        return float(values.diff(n=2, dim=3)[..., 8:-8, 8:-8].square().mean().sqrt())

    assert rough(result.specular) < 2.0 * rough(glossy.specular)
    assert rough(share_out(seen, grainy).diffuse) > 5.0 * rough(glossy.diffuse)


# Noise of colour -------------------------------------------------------------------------------


def stored(image: Tensor, quality: int) -> Tensor:
    """After JPEG with colour at half the resolution."""
    picture = (255.0 * linear_to_srgb(image[0]).clamp(0, 1)).round().byte()
    bgr = np.ascontiguousarray(picture.permute(1, 2, 0).numpy()[..., ::-1])
    options = [
        *(cv2.IMWRITE_JPEG_QUALITY, quality),
        *(cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_420),
    ]
    read = cv2.imdecode(cv2.imencode(".jpg", bgr, options)[1], cv2.IMREAD_COLOR)
    assert read is not None
    back = torch.from_numpy(np.ascontiguousarray(read[..., ::-1])).permute(2, 0, 1)
    return srgb_to_linear(back[None].float() / 255.0)


def blocks(values: Tensor) -> float:
    """By how much steps across are larger between blocks of 16 pixels than within, in the middle."""
    steps = values[..., 32:96, 24:104].diff(dim=3).abs()
    between = torch.zeros(79, dtype=torch.bool)
    between[7::16] = True
    return float(steps[..., between].mean() - steps[..., ~between].mean())


@pytest.mark.parametrize("melanin", [-0.4, 0.0])
def test_maps_have_no_blocks_of_jpeg(melanin: float) -> None:
    plain = known("measured", melanin)
    noise = torch.Generator().manual_seed(1)
    image = plain.render()
    image = stored(image * (1.0 + 0.03 * torch.randn(image.shape, generator=noise)), 60)
    quiet, loud = found(plain, image, shrunk=1.0), found(plain, image, shrunk=0.01)
    for name in ("melanin", "haemoglobin"):
        assert blocks(getattr(quiet, name)) < 0.5 * blocks(getattr(loud, name))
        assert blocks(getattr(quiet, name)) < 0.02


def test_quieting_leaves_brightness_and_strong_colours() -> None:
    generator = torch.Generator().manual_seed(2)
    base = torch.tensor([0.3, 0.15, 0.1]).reshape(1, 3, 1, 1).expand(1, 3, SIDE, SIDE)
    noisy = base * (0.03 * torch.randn(1, 3, SIDE, SIDE, generator=generator)).exp()
    red = (bump(3.0) * torch.tensor([0.0, -0.4, -0.3]).reshape(1, 3, 1, 1)).exp()
    image = noisy * red
    quiet = quiet_colour(image, 8)
    shares = torch.tensor([0.299, 0.587, 0.114]).reshape(1, 3, 1, 1)

    def parts(picture: Tensor) -> tuple[Tensor, Tensor]:
        logs = (picture + 0.01).log()
        return (logs * shares).sum(1), logs[:, :1] - logs[:, 1:2]

    (before, colour), (after, quieter) = parts(image), parts(quiet)
    torch.testing.assert_close(after, before, atol=1e-5, rtol=0)
    assert quieter[..., :40].std() < 0.25 * colour[..., :40].std()
    middle = (..., slice(75, 78), slice(43, 46))
    spot = parts(base * red)[1][middle].mean() - parts(base)[1].mean()
    assert quieter[middle].mean() - quieter[..., :40].mean() > 0.75 * spot
    assert torch.equal(quiet_colour(image, 0), image)
