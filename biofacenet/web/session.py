"""One decomposed photo that is edited again and again: what the web page shows, without any page.

Everything that does not depend on the edit is computed once, so that a moved slider costs one rendering
and one JPEG.
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ..analysis.areas import MARGIN
from ..analysis.editing import paste, retouch, with_parts
from ..analysis.results import Result
from ..analysis.retouching import Retouch
from ..analysis.trust import knowledge, uncertainty
from ..decomposition import Edit
from ..decomposition.pigments import pigments_of
from ..errors import BioFaceNetError
from ..photos.boxes import Box, crop
from ..photos.framing import crop_text
from ..photos.reading import Photo
from ..physics.colour import linear_to_srgb, srgb_to_linear
from ..physics.measured import CameraCurves, Spectrum
from ..plotting.encoding import eight_bit, jpeg, png
from .keeping import KeptPhoto

__all__ = ["Session"]

NO_SIDES = (
    "light from another side needs what the network tells of the face; choose the method with it"
)

STAGE = 512
"""Side of the picture that follows the sliders, in pixels."""


class Session:
    """A decomposed photo, ready to be edited.

    Args:
        result: from `biofacenet.analysis.ByNetwork` or `ByFitting`.
        method: what it was decomposed with, in words.
        others: squares of other faces in the photo, whose skin stays.
        how: settings of the command `edit` that decompose likewise; fitting when not given.

    Attributes:
        part: what was looked at of the photo.
        found: the estimate, as the method left it.
        mask: (1, 1, H, W), 1 where skin is.
        counted: the skin that numbers are of.
        numbers: melanosomes and blood of it.
        level: by which white their level is absolute, in words; empty where none is known.
        disagreement: where another method that was tried excludes them, in words; empty where none does.
        trust: deviations of the estimate, at 96 pixels or so.
        known: what is known of light and camera.
        lamp: a measured light that goes before the page's knobs, if one was given.
        curves: a measured camera, likewise.
        edit: where the sliders were last.
        everywhere: whether they change the whole square, not only what looks like skin.
    """

    def __init__(
        self,
        result: Result,
        *,
        method: str,
        others: Sequence[Box] = (),
        how: Mapping[str, Any] | None = None,
    ) -> None:
        self.method, self._others = method, tuple(others)
        self._how = dict(how or {"model": "none", "size": result.image.shape[-1]})
        self.part, self.box, self.rmse = result.part, result.part.box, result.skin_rmse
        self.found = result.decomposition[0].detach()
        self.mask = result.skin()
        self.reconstruction = result.reconstruction
        self.trust, self.known = uncertainty(result), knowledge(result)
        self.counted, self.numbers = result.counted, result.numbers
        self.lamp: Spectrum | None = None
        self.curves: CameraCurves | None = None
        self.edit, self.everywhere = Edit(), False
        self.level, self.disagreement = result.level_words, ""
        # A photo waits here for its download.
        self._kept = KeptPhoto(result.photo)
        self.image = srgb_to_linear(crop(result.photo.pixels, self.box, STAGE))[None]
        known = with_parts(result)
        self._known = known.decomposition
        maps = known.decomposition.map(_to_stage).renormalised()
        # Without the photo, which is kept in 8 bits.
        self._result = replace(known, photo=self._kept.bare, image=self.image, decomposition=maps)
        self._faces: dict[bool, Retouch] = {}
        self._faces[False] = self._face(result.photo, everywhere=False, margin=0.0)

    def _face(self, photo: Photo, *, everywhere: bool, margin: float) -> Retouch:
        """Ready to be edited, with a margin in sides of the square."""
        result = replace(self._result, photo=photo)
        return retouch(result, others=self._others, everywhere=everywhere, margin=margin)

    @property
    def name(self) -> str:
        """Name of the photo, without its ending."""
        return self._kept.bare.path.stem

    @property
    def notes(self) -> tuple[str, ...]:
        """What was converted when the photo was read."""
        return self._kept.bare.notes

    @property
    def skinless(self) -> bool:
        """Whether no skin was found, and everything was taken for it."""
        return bool(self.mask.all())

    @property
    def size(self) -> int:
        """Side of the square that was decomposed, in pixels."""
        return self.found.melanin.shape[-1]

    def photo(self) -> Photo:
        """The photo, in 8 bits a channel."""
        return self._kept.photo()

    def picture(self, edit: Edit, *, everywhere: bool = False) -> Tensor:
        """The square of the photo under an edit: (1, 3, 512, 512), linear sRGB.

        As `biofacenet.analysis.retouching` has it: a pixel changes as the reflectance of skin does.

        Raises:
            BioFaceNetError: a number is out of range, the light is unknown, or it is to come from another
                side and no normals are known.
        """
        if edit.light_from is not None and self._known.normals is None:
            raise BioFaceNetError(NO_SIDES)
        if everywhere not in self._faces:
            self._faces[everywhere] = self._face(self.photo(), everywhere=everywhere, margin=0.0)
        try:
            edit.check()
            return self._faces[everywhere].edited(edit)
        except ValueError as error:
            raise BioFaceNetError(str(error)) from error

    def show(self, edit: Edit, *, everywhere: bool = False) -> bytes:
        """The same as JPEG, and the edit is kept for downloads."""
        shown = jpeg(_encoded(self.picture(edit, everywhere=everywhere)))
        self.edit, self.everywhere = edit, everywhere
        return shown

    def before(self) -> bytes:
        """The square as it is in the photo, as JPEG."""
        return jpeg(_encoded(self.image))

    def edited_photo(self) -> bytes:
        """The whole photo with its face as the sliders have it, as PNG; unchanged where they rest."""
        photo = self.photo()
        face = self._face(photo, everywhere=self.everywhere, margin=MARGIN)
        picture = eight_bit(paste(photo, face.frame.box, face.change(self.edit)))
        if photo.alpha is not None:
            opacity = (255.0 * photo.alpha).round().byte().permute(1, 2, 0).numpy()
            picture = np.concatenate((picture, opacity), axis=2)
        return png(picture)

    def maps_file(self) -> bytes:
        """The estimate as `Decomposition.save` writes it, with its deviations beside it."""
        deviations = {
            f"{name}_deviation": F.interpolate(
                getattr(self.trust, name), size=self.found.melanin.shape[2:], mode="bilinear"
            ).numpy()
            for name in ("melanin", "haemoglobin", "diffuse", "specular")
        }
        stream = io.BytesIO()
        np.savez_compressed(
            stream,
            allow_pickle=False,
            format=np.array(self.found.format),
            skin=np.array(self.found.skin),
            mask=self.mask.numpy(),
            **self.found.arrays(),
            **deviations,
        )
        return stream.getvalue()

    def settings_file(self) -> bytes:
        """The sliders as JSON that ``python -m biofacenet.edit PHOTO --settings FILE`` takes."""
        settings = {
            "sources": [],
            "edit": asdict(self.edit),
            "everywhere": self.everywhere,
            "crop": crop_text(self.box),
            **self._how,
        }
        return (json.dumps(settings, indent=2) + "\n").encode()

    def percents(self, edit: Edit) -> tuple[float, float]:
        """Melanosomes and blood of the face under an edit, in percent: medians of the skin.

        Raises:
            BioFaceNetError: a number is out of range.
        """
        try:
            edit.check()
            melanin, haemoglobin = pigments_of(self._known, edit.resolved())
        except ValueError as error:
            raise BioFaceNetError(str(error)) from error
        after = replace(self.found, melanin=melanin, haemoglobin=haemoglobin)
        inside = self.counted > 0.5
        melanosomes, blood = (
            100.0 * float(one[inside].median()) for one in (after.melanosomes(), after.blood())
        )
        return melanosomes, blood


def _to_stage(values: Tensor) -> Tensor:
    if values.ndim != 4:
        return values
    size = (STAGE, STAGE)
    return F.interpolate(values, size=size, mode="bilinear", align_corners=False)


# Pictures ------------------------------------------------------------------------------------

STEPS = 4096

CURVE = eight_bit(linear_to_srgb(torch.arange(STEPS + 1).reshape(1, 1, -1) / STEPS))[0, :, 0]
"""sRGB of evenly spaced linear light: half a level off at most, and far quicker than powers."""


def _encoded(linear: Tensor) -> np.ndarray:
    """Linear (1, 3, H, W) as an 8-bit sRGB picture (H, W, 3)."""
    light = linear[0].numpy()
    places = np.minimum(light * np.float32(STEPS) + np.float32(0.5), np.float32(STEPS))
    return cv2.merge(list(CURVE[places.astype(np.int16)]))
