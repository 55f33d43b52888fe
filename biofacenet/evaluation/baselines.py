"""Decomposition without learning to see: constants, and independent components of log RGB.

Both know the faces of the training distribution by a few numbers only, which `Statistics` holds.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import permutations

import numpy as np
import torch
from torch import Tensor

from ..decomposition import Decomposition
from ..errors import BioFaceNetError
from ..physics.colour import luminance
from ..physics.illuminant import Illuminant
from ..physics.names import SkinName
from ..rendering.renderer import render
from .metrics import masked_mean

__all__ = [
    "IndependentComponents",
    "Statistics",
    "constant_maps",
    "pigment_directions",
    "separate",
]

FLOOR = 1e-3
"""Least linear RGB that a logarithm is taken of."""

SAMPLES = 50_000
"""Pixels that independent components are sought in."""


@dataclass(frozen=True)
class Statistics:
    """What is usual of the maps, light and camera of some faces, inside their masks.

    Each face counts alike.
    """

    melanin: tuple[float, float]
    """Mean and standard deviation over all pixels, as the others."""
    haemoglobin: tuple[float, float]
    log_diffuse: tuple[float, float]
    specular: float
    """Mean."""
    illuminant: Illuminant
    """Mean weights and mean colour temperature, of one image."""
    camera: Tensor
    """(1, 2), mean."""
    skin: SkinName
    """Of the maps."""

    @classmethod
    def of(cls, truth: Decomposition, mask: Tensor) -> Statistics:
        """Those of faces whose maps are known."""

        def spread(values: Tensor) -> tuple[float, float]:
            mean = masked_mean(values, mask).mean()
            return float(mean), float(masked_mean((values - mean).square(), mask).mean().sqrt())

        light = truth.illuminant
        return cls(
            melanin=spread(truth.melanin),
            haemoglobin=spread(truth.haemoglobin),
            log_diffuse=spread(truth.diffuse.clamp(min=FLOOR).log()),
            specular=float(masked_mean(truth.specular, mask).mean()),
            illuminant=Illuminant(
                light.weights.mean(dim=0, keepdim=True), light.cct.mean(dim=0, keepdim=True)
            ),
            camera=truth.camera.mean(dim=0, keepdim=True),
            skin=truth.skin,
        )

    def decomposition(
        self, melanin: Tensor, haemoglobin: Tensor, diffuse: Tensor, specular: Tensor
    ) -> Decomposition:
        """Maps (B, 1, H, W) under the usual light, seen by the usual camera."""
        batch = len(melanin)
        return Decomposition(
            melanin=melanin,
            haemoglobin=haemoglobin,
            diffuse=diffuse,
            specular=specular,
            illuminant=Illuminant(
                self.illuminant.weights.to(melanin).expand(batch, -1).contiguous(),
                self.illuminant.cct.to(melanin).expand(batch).contiguous(),
            ),
            camera=self.camera.to(melanin).expand(batch, -1).contiguous(),
            skin=self.skin,
        )


def constant_maps(image: Tensor, mask: Tensor, usual: Statistics) -> Decomposition:
    """The same skin, highlights, light and camera for every face: the best constants.

    The mean minimises the squared error. Diffuse shading is one number for each face, from its
    exposure: the face's mean luminance is met.

    Args:
        image: (B, 3, H, W), linear sRGB.
        mask: (B, 1, H, W), 1 where skin is.
        usual: of the training distribution.
    """
    one = torch.ones_like(image[:, :1])
    flat = usual.decomposition(
        usual.melanin[0] * one, usual.haemoglobin[0] * one, one, usual.specular * one
    )
    bare = luminance(flat.edit(specular_scale=0.0).render())
    highlights = luminance(flat.render()) - bare
    wanted = masked_mean(luminance(image) - highlights, mask) / masked_mean(bare, mask).clamp(
        min=FLOOR
    )
    flat.diffuse = one * wanted.clamp(min=FLOOR).reshape(-1, 1, 1, 1)
    return flat


def pigment_directions(usual: Statistics) -> Tensor:
    """How log RGB changes with diffuse shading, melanin and haemoglobin: unit rows (3, 3).

    Along each map from the usual skin, under the usual light and camera, as the renderer has it.
    """
    step = 0.2
    middle = torch.tensor([usual.melanin[0], usual.haemoglobin[0]])
    moves = torch.tensor([[-step, 0.0], [step, 0.0], [0.0, -step], [0.0, step]])
    melanin, haemoglobin = (middle + moves).T.reshape(2, 1, 1, 1, 4)
    one = torch.ones_like(melanin)
    colours = render(
        *(melanin, haemoglobin, one, 0.0 * one),
        *(usual.illuminant, usual.camera.to(melanin)),
        skin=usual.skin,
    )
    logs = colours[0, :, 0].clamp(min=FLOOR).log()
    changes = torch.stack((torch.ones(3), logs[:, 1] - logs[:, 0], logs[:, 3] - logs[:, 2]))
    return changes / changes.norm(dim=1, keepdim=True)


@dataclass(frozen=True)
class IndependentComponents:
    """Independent component analysis of log RGB: melanin, haemoglobin and shading as three sources.

    Light that crosses pigments and is shaded multiplies, so that logarithms add: log RGB is taken to
    be a linear mixture of the amounts of melanin and haemoglobin and of the logarithm of the shading,
    which are taken to be independent. Which source is which, and its sign, follows from the direction
    that the skin model gives it; its mean and spread are those of the training distribution. There is
    no map of highlights: the usual value stands in.

    Source: Tsumura, Ojima, Sato, Shiraishi, Shimizu, Nabeshima, Akazaki, Hori and Miyake, Image-based
    skin color and texture analysis/synthesis by extracting hemoglobin and melanin information in the
    skin, SIGGRAPH 2003.
    """

    centre: Tensor
    """(3,), mean log RGB."""
    unmixing: Tensor
    """(3, 3), rows shading, melanin, haemoglobin: log RGB less its mean to sources of unit variance."""
    usual: Statistics

    @classmethod
    def learn(cls, image: Tensor, mask: Tensor, usual: Statistics) -> IndependentComponents:
        """Find the mixture in the pixels of the training faces; no map of them is looked at.

        Args:
            image: (B, 3, H, W), linear sRGB.
            mask: (B, 1, H, W), 1 where skin is.
            usual: of the training distribution.

        Raises:
            BioFaceNetError: scikit-learn is missing.
        """
        pixels = image.permute(0, 2, 3, 1)[mask[:, 0] > 0].clamp(min=FLOOR).log().double().numpy()
        chosen = np.random.default_rng(0).permutation(len(pixels))[:SAMPLES]
        centre, unmixing = separate(pixels[chosen])
        mixing = np.linalg.inv(unmixing)
        directions = pigment_directions(usual).double().numpy()
        cosines = directions @ (mixing / np.linalg.norm(mixing, axis=0))
        order = max(permutations(range(3)), key=lambda p: np.abs(cosines[range(3), p]).sum())
        signs = np.sign(cosines[range(3), order])
        return cls(
            torch.from_numpy(centre).float(),
            torch.from_numpy(signs[:, None] * unmixing[list(order)]).float(),
            usual,
        )

    def __call__(self, image: Tensor) -> Decomposition:
        """Maps of images (B, 3, H, W), linear sRGB."""
        logs = image.clamp(min=FLOOR).log() - self.centre.to(image).reshape(3, 1, 1)
        shading, melanin, haemoglobin = (
            torch.einsum("kc,bchw->bkhw", self.unmixing.to(image), logs).unsqueeze(2).unbind(dim=1)
        )

        def placed(source: Tensor, usual: tuple[float, float]) -> Tensor:
            return usual[0] + usual[1] * source

        return self.usual.decomposition(
            placed(melanin, self.usual.melanin).clamp(-1.0, 1.0),
            placed(haemoglobin, self.usual.haemoglobin).clamp(-1.0, 1.0),
            placed(shading, self.usual.log_diffuse).clamp(-4.0, 4.0).exp(),
            torch.full_like(melanin, self.usual.specular),
        )


def separate(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean of points (N, D) and the matrix (D, D) that turns what is left into independent sources.

    Raises:
        BioFaceNetError: scikit-learn is missing.
    """
    try:
        from sklearn.decomposition import FastICA
    except ImportError as error:
        raise BioFaceNetError(
            "independent component analysis needs scikit-learn: pip install 'biofacenet[evaluate]', or "
            "leave ica out of --methods"
        ) from error
    analysis = FastICA(
        points.shape[1],
        whiten="unit-variance",
        algorithm="parallel",
        max_iter=1000,
        tol=1e-4,
        random_state=0,
    )
    analysis.fit(points)
    return np.asarray(analysis.mean_), np.asarray(analysis.components_)
