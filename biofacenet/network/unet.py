"""The network: one face image in, one `Decomposition` out.

A U-Net: an encoder, then one decoder for each map, as published, or one for all four, and a fully
connected branch for the light and the camera. One decoder for all gives normals and parts besides.

Source: BioFaceNet, section 4 and figure 2; the shared decoder, what it gives besides, padding and slope
are ours.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..decomposition import Calibration, Decomposition
from ..decomposition.parts import PART_NAMES
from ..physics.camera import COORDINATE_RANGE
from ..physics.colour import check_linear
from ..physics.illuminant import CCT_RANGE, ILLUMINANT_NAMES, Illuminant
from ..physics.lighting import unit
from ..physics.skin import SkinName, skin_name
from ..system.files import whole_directory
from . import folders, hub, pretrained
from .inputs import check_image, exposure, whole
from .layers import Decoder, Encoder
from .links import DIFFUSE, LINKS, PIGMENT, SPECULAR
from .sizes import MAP_NAMES, SIZES, USUAL_SHARES
from .surroundings import Modulation, Surroundings

__all__ = ["PUBLISHED_IMAGE_MEAN", "BioFaceNet", "RawOutputs"]

PUBLISHED_IMAGE_MEAN = (0.3506, 0.2167, 0.1679)
"""Mean linear R, G and B of the published Neural Face Editing set."""

VECTOR_LENGTH = len(ILLUMINANT_NAMES) + 1 + 2
"""14 illuminant weights, the colour temperature, two camera coordinates."""

DARKEST = 0.01
"""Added to linear light before its logarithm is taken: below it is noise."""

BEGINNING = (0.0, 0.0, math.log(2.0), math.log(0.02))
"""Raw maps of the untrained network: medium skin, well exposed, matt."""

RUN_AWAY = 2.0
"""How far beyond its range the mean of a raw map must lie for the map to begin again."""

POOLED = 4
"""Side of the bottom feature map that the vector branch sees, that of a 64 x 64 image."""


class RawOutputs(NamedTuple):
    """What the network says before it is bounded; see `biofacenet.network.links`."""

    maps: Tensor
    """(B, 4, H, W), in the order of `MAP_NAMES`."""
    vector: Tensor
    """(B, 17): logits of the illuminants, of the colour temperature and of the camera."""
    parts: Tensor | None = None
    """(B, 9, H, W), logits of `PART_NAMES`, of a network that tells parts."""


class BioFaceNet(hub.Pushed, nn.Module):
    """Linear sRGB face image to melanin, haemoglobin, shadings, light and camera.

    Args:
        size: ``small`` (1.7 M parameters) or ``paper`` (47 M, as published).
        image_mean: mean linear R, G and B of the training images; stored with the weights.
        skin: which constants of the skin model its maps are of, ``published`` or ``measured``.
        shaped: it also gives normals and parts; where its size allows that when not given.

    Raises:
        ValueError: there is no such size or skin, or the size has no one decoder to give normals and
            parts.

    Example:
        >>> network = BioFaceNet("small").eval()
        >>> decomposition = network(torch.rand(2, 3, 64, 64))
        >>> decomposition.melanin.shape
        torch.Size([2, 1, 64, 64])
    """

    image_mean: Tensor

    def __init__(
        self,
        size: str = "small",
        *,
        image_mean: Sequence[float] = PUBLISHED_IMAGE_MEAN,
        skin: SkinName = "published",
        shaped: bool | None = None,
    ) -> None:
        super().__init__()
        if size not in SIZES:
            raise ValueError(f"unknown network size {size!r}: choose one of {', '.join(SIZES)}")
        self.size = size
        self.skin = skin_name(skin)
        self.calibration: Calibration | None = None
        shape = SIZES[size]
        if shaped and not shape.shared:
            raise ValueError(f"a {size!r} network gives no normals and parts")
        mean = torch.tensor(image_mean, dtype=torch.get_default_dtype())  # as the weights
        self.register_buffer("image_mean", mean.reshape(1, 3, 1, 1))
        self.encoder = Encoder(shape)
        self.decoders = nn.ModuleDict(
            {"_".join(names): Decoder(shape, len(names)) for names in shape.groups}
        )
        self.ratios: nn.Conv2d | None = None
        if shape.ratios:
            self.ratios = nn.Conv2d(3, 2, 1, bias=False)
            nn.init.zeros_(self.ratios.weight)
        self.vector = nn.Sequential(
            nn.AdaptiveAvgPool2d(POOLED),
            nn.Flatten(),
            nn.Linear(shape.widths[-1] * POOLED**2, shape.hidden),
            nn.ReLU(inplace=True),
            nn.Linear(shape.hidden, shape.hidden),
            nn.ReLU(inplace=True),
            nn.Linear(shape.hidden, VECTOR_LENGTH),
        )
        self._start_at_a_plausible_face()
        self.shape: nn.Conv2d | None = None
        self.surroundings: Surroundings | None = None
        if shape.shared and shaped is not False:
            self.add_shape()

    def add_shape(self) -> None:
        """Give normals and parts too, of which this network has learned nothing yet."""
        decoder = cast(Decoder, next(iter(self.decoders.values())))
        before = decoder.head.weight
        self.shape = nn.Conv2d(decoder.head.in_channels, 3 + len(PART_NAMES), 1).to(before)
        assert self.shape.bias is not None
        with torch.no_grad():
            self.shape.weight.mul_(0.1)
            shares = torch.tensor([USUAL_SHARES[name] for name in PART_NAMES])
            self.shape.bias.copy_(F.pad(shares.log(), (3, 0)))
        self.surroundings = Surroundings(decoder.head.in_channels).to(before)

    def _start_at_a_plausible_face(self) -> None:
        """Outputs of the untrained network: medium skin, well exposed, matt, under daylight.

        From arbitrary outputs the exponential shadings and the flat ends of the sigmoids cost the
        first epochs.
        """
        cct = 6500.0
        share = (cct - CCT_RANGE[0]) / (CCT_RANGE[1] - CCT_RANGE[0])
        biases = dict(zip(MAP_NAMES, BEGINNING, strict=True))
        with torch.no_grad():
            for names in SIZES[self.size].groups:
                head = cast(Decoder, self.decoders["_".join(names)]).head
                assert head.bias is not None
                head.weight.mul_(0.1)
                head.bias.copy_(torch.tensor([biases[name] for name in names]))
            last = self.vector[-1]
            assert isinstance(last, nn.Linear)
            last.weight.mul_(0.1)
            last.bias.zero_()
            last.bias[ILLUMINANT_NAMES.index("D")] = 3.0
            last.bias[len(ILLUMINANT_NAMES)] = math.log(share / (1.0 - share))

    def train(self, mode: bool = True) -> BioFaceNet:
        """Turn training on or off; what trains becomes another network, and its calibration is gone."""
        self.calibration = None if mode else self.calibration
        return super().train(mode)

    def forward(self, image: Tensor) -> Decomposition:
        """Decompose a batch of images.

        Args:
            image: (B, 3, H, W), linear sRGB in 0..1, H and W divisible by 16, of the precision of the
                weights. Its values are not looked at, as that would wait for a GPU; `decompose` does.

        Returns:
            Maps in float32, whatever the precision of the network.

        Raises:
            ValueError: another shape or type.
        """
        decomposition, _ = self.with_raw_outputs(image)
        return decomposition

    def with_raw_outputs(self, image: Tensor) -> tuple[Decomposition, RawOutputs]:
        """The decomposition and what it was made of.

        Gradients of the raw outputs reach the last layers alone: pulling one map back into its range
        must not disturb the features that the others are made of.

        Args:
            image: as for `forward`.
        """
        check_image(image, weights=self.image_mean)
        image = whole(image)
        size = SIZES[self.size]
        light = exposure(image).float() if size.exposed else torch.ones_like(image[:, :1, :1, :1])
        if size.exposed:
            image = image / light
        seen = image - self.image_mean
        logs = image
        if size.logarithms:
            logs = (image.clamp(min=0.0) + DARKEST).log() - (self.image_mean + DARKEST).log()
            seen = torch.cat((seen, logs), dim=1)
        # Exposure and logarithms are whole; features are what the weights are.
        features = self.encoder(seen.to(next(self.encoder.parameters()).dtype))
        decoders = [cast(Decoder, decoder) for decoder in self.decoders.values()]
        last = [(decoder.head, decoder(features)) for decoder in decoders]
        normals, logits = self._shape_of(last[0][1])
        parts = None if logits is None else torch.softmax(logits, dim=1)
        around = None
        if self.surroundings is not None and parts is not None:
            around = self.surroundings(image, parts.detach())
            last = [(head, around.of(x)) for head, x in last]
        raw, alone = self._raw_of(last, logs, around)
        melanin, haemoglobin, diffuse, specular = raw.chunk(len(MAP_NAMES), dim=1)
        hidden = self.vector[:-1](features[-1])
        vector = self.vector[-1](hidden).float()
        weights, cct, camera = vector.split((len(ILLUMINANT_NAMES), 1, 2), dim=1)
        decomposition = Decomposition(
            melanin=2.0 * PIGMENT(melanin) - 1.0,
            haemoglobin=2.0 * PIGMENT(haemoglobin) - 1.0,
            diffuse=light * DIFFUSE(diffuse),
            specular=light * SPECULAR(specular),
            illuminant=Illuminant(
                # Only the weights: the temperature has its own range and its own gradient.
                weights=torch.softmax(weights, dim=1),
                cct=CCT_RANGE[0] + (CCT_RANGE[1] - CCT_RANGE[0]) * PIGMENT(cct.squeeze(1)),
            ),
            camera=COORDINATE_RANGE[1] * (2.0 * PIGMENT(camera) - 1.0),
            skin=self.skin,
            normals=normals,
            parts=parts,
        )
        if self.training:
            vector = self.vector[-1](hidden.detach()).float()
        return decomposition, RawOutputs(alone, vector, logits)

    def _raw_of(
        self,
        last: Sequence[tuple[nn.Module, Tensor]],
        logs: Tensor,
        around: Modulation | None,
    ) -> tuple[Tensor, Tensor]:
        """Raw maps (B, 4, H, W), and the same with gradients for the last layers alone.

        Args:
            last: heads, with the features that each sees.
            logs: (B, 3, H, W), logarithms of the image.
            around: what the surroundings of skin tell.
        """
        raw = alone = torch.cat([head(x) for head, x in last], dim=1).float()
        if self.training:
            alone = torch.cat([head(x.detach()) for head, x in last], dim=1).float()
        if self.ratios is None:
            return raw, alone
        ratios = logs - logs.mean(dim=1, keepdim=True)
        pigments = self.ratios(ratios.to(self.ratios.weight.dtype)).float()
        if around is not None:
            pigments = pigments + around.pigments(ratios.float())
        pigments = F.pad(pigments, (0, 0, 0, 0, 0, len(MAP_NAMES) - 2))
        return raw + pigments, alone + pigments

    def _shape_of(self, features: Tensor) -> tuple[Tensor | None, Tensor | None]:
        """Normals (B, 3, H, W), none of which points away, and logits of parts (B, 9, H, W)."""
        if self.shape is None:
            return None, None
        raw = self.shape(features).float()
        across, toward, logits = raw.split((2, 1, len(PART_NAMES)), dim=1)
        return unit(torch.cat((across, F.softplus(toward)), dim=1), dim=1), logits

    @torch.no_grad()
    def bring_back(self, means: Tensor) -> None:
        """Let maps that have run away begin again: their mean goes to where that of a new network is.

        Args:
            means: (4,), of the raw maps in the mask. Those that lie beyond their range by more than
                `RUN_AWAY` are set back, by the biases of the last layer.
        """
        shifts = [
            torch.where(
                (mean < link.low - RUN_AWAY) | (mean > link.high + RUN_AWAY), start - mean, 0.0
            )
            for mean, link, start in zip(means.unbind(), LINKS, BEGINNING, strict=True)
        ]
        shift = torch.stack(shifts)
        for names in SIZES[self.size].groups:
            head = cast(Decoder, self.decoders["_".join(names)]).head
            assert head.bias is not None
            head.bias += shift[: len(names)]
            shift = shift[len(names) :]

    @torch.no_grad()
    def decompose(self, image: Tensor) -> Decomposition:
        """Decompose images of any size from 16 x 16: their edge is repeated up to a multiple of 16.

        Each is seen as it is and mirrored, and what is found of both is averaged: a mirrored image has
        mirrored maps, and the same light and camera.

        Args:
            image: (B, 3, H, W), linear sRGB in 0..1. For photos, and for what other libraries hold, there
                is `biofacenet.analysis.decompose`.

        Raises:
            TypeError: no tensor.
            ValueError: another shape or type, or values on another scale, such as 0..255.
        """
        check_image(image, weights=self.image_mean, multiple=1)
        check_linear(image)
        count, _, height, width = image.shape
        both = torch.cat((image, image.flip(3)))
        maps: Decomposition = self(F.pad(both, (0, -width % 16, 0, -height % 16), mode="replicate"))

        def average(values: Tensor) -> Tensor:
            if values.ndim != 4:
                return (values[:count] + values[count:]) / 2.0
            values = values[..., :height, :width]
            return (values[:count] + values[count:].flip(3)) / 2.0

        if maps.normals is not None:
            side = maps.normals.new_tensor((-1.0, 1.0, 1.0)).view(3, 1, 1)
            turned = torch.cat((maps.normals[:count], side * maps.normals[count:]))
            maps = replace(maps, normals=turned)
        return maps.map(average).renormalised()

    def save_pretrained(self, path: str | Path, *, half: bool = False) -> None:
        """Write ``config.json`` and ``model.safetensors`` to a folder, whole or not at all.

        Args:
            path: the folder; of one that is there, these two files are replaced, and nothing else.
            half: store numbers of 16 bits, half the size, rounded by up to 5e-4 of themselves.
        """
        with whole_directory(path) as folder:
            self.write(folder, half=half)

    def write(self, folder: Path, *, half: bool = False) -> None:
        """Write the two files of `save_pretrained` into an existing folder."""
        earlier = self.shape is None and SIZES[self.size].shared
        pretrained.write(
            folder,
            self.state_dict(),
            size=self.size,
            skin=self.skin,
            calibration=self.calibration,
            half=half,
            shaped=not earlier,
        )

    @classmethod
    def from_pretrained(
        cls,
        path: str | Path,
        *,
        device: torch.device | str | None = None,
        revision: str | None = None,
        cache_dir: str | Path | None = None,
        token: str | bool | None = None,
    ) -> BioFaceNet:
        """A network from a folder that `save_pretrained` or training wrote, to evaluate, in float32.

        Args:
            path: the folder; ``small`` for the weights that come with the package; or
                ``owner/name`` of a model on the Hugging Face hub (needs the ``hub`` extra).
            device: where it shall be, such as ``cuda``; as torch's default says when not given.
            revision: branch, tag or commit of a model on the hub.
            cache_dir: folder for models of the hub; its own when not given.
            token: for models on the hub that are private; the one of ``hf auth login`` when not given.

        Raises:
            ModelError: nothing is there, or what is there is damaged or of another kind.
        """
        source = hub.Source(revision, cache_dir, token)
        stored = pretrained.read(folders.find(path, source), sizes=tuple(SIZES))
        shaped = stored.shaped and SIZES[stored.size].shared
        network = cls(stored.size, skin=stored.skin, shaped=shaped).float()
        weights = stored.weights()
        if network.surroundings is not None and not stored.compared:
            # Before it learns, it changes nothing.
            known = network.surroundings.state_dict(prefix="surroundings.")
            weights = known | weights
        network.load_weights(weights, where=str(stored.file))
        network.eval().calibration = stored.calibration
        return network if device is None else network.to(device)

    def load_weights(self, weights: dict[str, Tensor], *, where: str) -> None:
        """Load a state dict that must fit exactly.

        Raises:
            ModelError: it belongs to a network of another size or holds NaN.
        """
        pretrained.check_weights(self.state_dict(), weights, size=self.size, where=where)
        self.load_state_dict(weights)
