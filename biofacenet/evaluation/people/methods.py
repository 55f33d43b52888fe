"""What is measured: decompositions, and plain indices of colour beside them."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ...decomposition import Decomposition
from ...errors import BioFaceNetError
from ...fitting.enlarging import enlarge
from ...fitting.image import fit
from ...network.unet import BioFaceNet
from ...photos.skin_pixels import eyes_and_teeth, face_region, skin_mask
from ...physics.skin import SkinName
from ..baselines import pigment_directions, separate
from ..metrics import individual_typology_angle, lab
from .changes import usual_skin

__all__ = ["INDICES", "Found", "Method", "by_fit", "by_network", "components", "indices"]

FLOOR = 1e-5
"""Least linear RGB that a logarithm is taken of: below the last step of 8 bits."""

BATCH = 16


@dataclass(frozen=True)
class Found:
    """What a method says of some images."""

    melanin: Tensor | None
    """(B, 1, H, W), on the method's own scale, more in darker skin; None where it has no such map."""
    haemoglobin: Tensor | None
    """(B, 1, H, W), more in redder skin."""
    decomposition: Decomposition | None = None
    """All of it, of a method that decomposes."""

    def __getitem__(self, index: int) -> Found:
        """Of one image, still as a batch."""
        part = slice(index, index + 1)
        return Found(
            None if self.melanin is None else self.melanin[part],
            None if self.haemoglobin is None else self.haemoglobin[part],
            None if self.decomposition is None else self.decomposition[part],
        )


Method = Callable[[Tensor], Found]
"""Images (B, 3, S, S), linear sRGB, framed as `biofacenet.photos.choose_parts` does, to maps."""

# Decompositions ------------------------------------------------------------------------------


def _whole(decomposition: Decomposition) -> Found:
    return Found(decomposition.melanin, decomposition.haemoglobin, decomposition)


def by_network(network: BioFaceNet, *, size: int | None = None, shrunk: float = 1.0) -> Method:
    """What a network finds, on its own device, as `predict` has it.

    Args:
        network: in evaluation mode.
        size: side of what it sees of larger images; with it, maps are brought to the side of the images,
            with all that these show.
        shrunk: pixels of the images for a pixel of the photo.
    """

    def look(image: Tensor) -> Decomposition:
        if size is None or image.shape[-1] <= size:
            return network.decompose(image)
        small = F.adaptive_avg_pool2d(image, size)
        return enlarge(network.decompose(small), small, image, shrunk=shrunk)

    def method(image: Tensor) -> Found:
        device = network.image_mean.device
        with torch.no_grad():
            parts = [
                look(image[start : start + BATCH].to(device)).to("cpu")
                for start in range(0, len(image), BATCH)
            ]
        return _whole(Decomposition.join(parts))

    return method


def by_fit(device: torch.device, skin: SkinName) -> Method:
    """What fitting finds, where it sees skin, as the command `fit` has it."""

    def method(image: Tensor) -> Found:
        mask = skin_mask(image, region=face_region(*image.shape[2:]), skin=skin)
        mask = mask * (1.0 - eyes_and_teeth(image, mask))
        few = mask.mean(dim=(1, 2, 3), keepdim=True) < 0.02
        mask = torch.where(few, torch.ones_like(mask), mask)
        found = fit(image.to(device), mask.to(device), skin=skin).decomposition
        return _whole(found.detach().to("cpu"))

    return method


# Indices -------------------------------------------------------------------------------------

INDICES = {
    "-ln R": "-ln R",
    "ln R/G": "ln R/G",
    "ln G/B": "ln G/B",
    "-ITA": "-ITA",
    "projection": "projection",
    "components": "independent components",
}
"""Names of indices, and the same for people."""


def _logs(image: Tensor) -> Tensor:
    return image.clamp(min=FLOOR).log()


def _darkness(image: Tensor) -> Found:
    return Found(-_logs(image)[:, :1], None)


def _redness(image: Tensor) -> Found:
    logs = _logs(image)
    return Found(None, logs[:, :1] - logs[:, 1:2])


def _yellowness(image: Tensor) -> Found:
    logs = _logs(image)
    return Found(logs[:, 1:2] - logs[:, 2:3], None)


def _tone(image: Tensor) -> Found:
    """The individual typology angle of each pixel, in degrees; darker skin has less of it."""
    flat = image.permute(0, 2, 3, 1).reshape(-1, 3)
    angle = individual_typology_angle(lab(flat)).reshape(image.shape[0], 1, *image.shape[2:])
    return Found(-angle.to(image), None)


def _projection(image: Tensor) -> Found:
    """Log RGB along the two pigments' directions, after what shading does to it was taken out.

    With l = a shading + b melanin + c haemoglobin of the model's three directions, b and c do not change
    when shading (1, 1, 1) does.
    """
    unmixing = torch.linalg.inv(pigment_directions(usual_skin()).T.double()).to(image)
    amounts = torch.einsum("kc,bchw->bkhw", unmixing, _logs(image))
    return Found(amounts[:, 1:2], amounts[:, 2:3])


def indices() -> dict[str, Method]:
    """The fixed ones, by name."""
    return {
        "-ln R": _darkness,
        "ln R/G": _redness,
        "ln G/B": _yellowness,
        "-ITA": _tone,
        "projection": _projection,
    }


PLANE = torch.tensor([[1.0, -1.0, 0.0], [1.0, 1.0, -2.0]], dtype=torch.float64)
"""Two directions of log RGB that shading does not change."""

SAMPLES = 50_000


def components(images: Sequence[Tensor], masks: Sequence[Tensor]) -> Method | None:
    """Two independent components of log RGB without shading, learned from the photos themselves.

    Which is melanin, and the signs, follow from the directions that the skin model gives.

    Source: Tsumura et al., Image-based skin color and texture analysis/synthesis by extracting hemoglobin
    and melanin information in the skin, SIGGRAPH 2003.

    Args:
        images: (1, 3, S, S) each, linear sRGB.
        masks: (1, 1, S, S) each, 1 where skin is.

    Returns:
        None where scikit-learn is missing.
    """
    plane = PLANE / PLANE.norm(dim=1, keepdim=True)
    pixels = torch.cat(list(images)).permute(0, 2, 3, 1)[torch.cat(list(masks))[:, 0] > 0]
    points = (_logs(pixels).double() @ plane.T).numpy()
    chosen = np.random.default_rng(0).permutation(len(points))[:SAMPLES]
    try:
        with warnings.catch_warnings():  # nearly Gaussian ones turn on: any is as good then
            warnings.filterwarnings("ignore", message="FastICA did not converge")
            _, unmixing = separate(points[chosen])
    except BioFaceNetError:
        return None
    mixing = np.linalg.inv(unmixing)
    expected = pigment_directions(usual_skin())[1:].double().numpy() @ plane.numpy().T
    cosines = expected @ (mixing / np.linalg.norm(mixing, axis=0))
    cosines /= np.linalg.norm(expected, axis=1, keepdims=True)
    order = max(((0, 1), (1, 0)), key=lambda p: np.abs(cosines[range(2), p]).sum())
    signs = np.sign(cosines[range(2), order])
    matrix = torch.from_numpy(signs[:, None] * unmixing[list(order)]) @ plane

    def method(image: Tensor) -> Found:
        amounts = torch.einsum("kc,bchw->bkhw", matrix.to(image), _logs(image))
        return Found(amounts[:, :1], amounts[:, 1:])

    return method
