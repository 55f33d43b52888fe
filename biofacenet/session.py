"""One decomposed photo that is edited again and again: what the web page shows, without any page.

Everything that does not depend on the edit is computed once, so that a moved slider costs one rendering
and one JPEG.
"""

from __future__ import annotations

import base64
import io
import json
import secrets
import threading
from collections import OrderedDict
from dataclasses import asdict, dataclass, replace

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from matplotlib import colormaps
from PIL import Image
from torch import Tensor

from .decomposition import FORMAT, Decomposition
from .edit import combine, paste, soft
from .errors import BioFaceNetError
from .face import crop
from .fit import seen_skin
from .photo import Photo
from .physics.colour import linear_to_srgb, srgb_to_linear
from .physics.illuminant import ILLUMINANT_NAMES
from .physics.skin import from_axis, to_axis
from .pictures import PIGMENT_TICKS, albedo_image, display, eight_bit, map_image, pigment_colours
from .results import Result
from .uncertainty import Uncertainty, estimate, interval

__all__ = [
    "LIGHTS",
    "Edit",
    "Session",
    "Sessions",
    "Tile",
    "change",
    "data_uri",
    "facts",
    "jpeg",
    "tiles",
]

STAGE = 512
"""Side of the picture that follows the sliders, in pixels."""
TILE = 256
"""Longest side of a map on the page."""
TRUST_SIDE = 96
"""Side at which deviations are computed: they are smooth, and a few thousand pixels take no time."""
QUALITY = 90
"""Of JPEG, for what is shown; what is downloaded is PNG."""
AS_FOUND = "as found"
LIGHTS = (AS_FOUND, "D", "D50", "D55", "D65", "D75", "A", *(f"F{i}" for i in range(1, 13)))
"""Lights to choose from; D is daylight of the chosen temperature."""


@dataclass(frozen=True)
class Edit:
    """Where the sliders are."""

    melanin: float = 0.0
    """Added to the map."""
    melanin_scale: float = 1.0
    """Factor on the fraction of melanosomes; as for the others."""
    haemoglobin: float = 0.0
    haemoglobin_scale: float = 1.0
    diffuse_scale: float = 1.0
    specular_scale: float = 1.0
    light: str = AS_FOUND
    """One of `LIGHTS`."""
    cct: float = 6504.0
    """Kelvin, of light D."""
    b1: float | None = None
    """Camera coordinates; as found when None."""
    b2: float | None = None
    everywhere: bool = False
    """Change the whole square, not only what looks like skin."""

    def change(self, before: Decomposition, mask: Tensor | None = None) -> Decomposition:
        """A decomposition as the sliders have it.

        Raises:
            BioFaceNetError: a number is out of range, or the light is unknown.
        """
        if self.light not in LIGHTS:
            raise BioFaceNetError(f"light {self.light!r}: expected one of {', '.join(LIGHTS)}")
        found = before.camera[0].tolist()
        camera = tuple(
            value if chosen is None else float(chosen)
            for chosen, value in zip((self.b1, self.b2), found, strict=True)
        )
        try:
            return before.edit(
                melanin=self.melanin,
                haemoglobin=self.haemoglobin,
                melanin_scale=self.melanin_scale,
                haemoglobin_scale=self.haemoglobin_scale,
                diffuse_scale=self.diffuse_scale,
                specular_scale=self.specular_scale,
                light=None if self.light == AS_FOUND else self.light,
                cct=self.cct if self.light == "D" else None,
                camera=None if self.b1 is None and self.b2 is None else (camera[0], camera[1]),
                mask=mask,
            )
        except ValueError as error:
            raise BioFaceNetError(str(error)) from error

    def pigment(self, name: str, value: float) -> float:
        """A map value, of ``melanin`` or ``haemoglobin``, as the sliders change it."""
        before = torch.tensor(value, dtype=torch.float64)
        scaled = from_axis(to_axis(before) * getattr(self, f"{name}_scale") ** (1.0 / 3.0))
        return float((scaled + getattr(self, name)).clamp(-1.0, 1.0))


class Session:
    """A decomposed photo, ready to be edited.

    Args:
        result: from `biofacenet.fit.analyse` or `biofacenet.predict.decompose`.
        method: what it was decomposed with, in words.

    Attributes:
        found: the estimate, as the method left it.
        mask: (1, 1, H, W), 1 where skin is.
        trust: deviations of the estimate, at `TRUST_SIDE` pixels.
        edit: where the sliders were last.
    """

    def __init__(self, result: Result, *, method: str) -> None:
        self.method = method
        self.box, self.framing, self.rmse = result.box, result.framing, result.skin_rmse
        self.notes = result.photo.notes
        self.found = result.decomposition[0].detach()
        mask = seen_skin(result.image, result.framing) if result.mask is None else result.mask
        self.mask = mask
        self.reconstruction = result.reconstruction
        self.trust = _trust(self.found, mask)
        self.edit = Edit()
        # 8 bits: a photo waits here for its download, and float would take four times the memory.
        self._photo = replace(result.photo, pixels=result.photo.pixels[:, :0])
        self._pixels = eight_bit(result.photo.pixels)
        self.image = srgb_to_linear(crop(result.photo.pixels, self.box, STAGE))[None]
        self._maps = self.found.map(_to_stage)
        self._soft = soft(_to_stage(mask))
        self._rendered = self._maps.render()

    @property
    def name(self) -> str:
        """Name of the photo, without its ending."""
        return self._photo.path.stem

    @property
    def size(self) -> int:
        """Side of the square that was decomposed, in pixels."""
        return self.found.melanin.shape[-1]

    def photo(self) -> Photo:
        """The photo, in 8 bits a channel."""
        pixels = torch.from_numpy(self._pixels).permute(2, 0, 1).float() / 255.0
        return replace(self._photo, pixels=pixels)

    def picture(self, edit: Edit) -> Tensor:
        """The square of the photo under an edit: (1, 3, 512, 512), linear sRGB.

        As `biofacenet.edit.apply` has it: what the maps do not explain stays.
        """
        after = edit.change(self._maps).render()
        return combine(self.image, self._rendered, after, None if edit.everywhere else self._soft)

    def show(self, edit: Edit) -> bytes:
        """The same as JPEG, and the edit is kept for downloads."""
        shown = jpeg(_encoded(self.picture(edit)))
        self.edit = edit
        return shown

    def before(self) -> bytes:
        """The square as it is in the photo, as JPEG."""
        return jpeg(_encoded(self.image))

    def edited_photo(self) -> bytes:
        """The whole photo with its face as the sliders have it, as PNG; unchanged where they rest."""
        difference = (self.picture(self.edit) - self.image)[0]
        photo = self.photo()
        picture = eight_bit(paste(photo, self.box, difference))
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
            format=np.array(FORMAT),
            skin=np.array(self.found.skin),
            mask=self.mask.numpy(),
            **self.found.arrays(),
            **deviations,
        )
        return stream.getvalue()

    def settings_file(self) -> bytes:
        """The sliders as JSON that ``python -m biofacenet.edit PHOTO --settings FILE`` takes."""
        edit = asdict(self.edit)
        b1, b2, light = edit.pop("b1"), edit.pop("b2"), edit["light"]
        found = self.found.camera[0].tolist()
        camera = [found[0] if b1 is None else b1, found[1] if b2 is None else b2]
        settings = {
            "sources": [],
            **edit,
            "light": None if light == AS_FOUND else light,
            "cct": edit["cct"] if light == "D" else None,
            "camera": None if b1 is None and b2 is None else camera,
            "crop": f"{self.box.left},{self.box.top},{self.box.size}",
            "size": self.size,
        }
        return (json.dumps(settings, indent=2) + "\n").encode()

    def median(self, name: str) -> float:
        """Median over the skin of the ``melanin`` or ``haemoglobin`` map."""
        values: Tensor = getattr(self.found, name)
        return float(values[self.mask > 0.5].median())


def _trust(found: Decomposition, mask: Tensor) -> Uncertainty:
    """Deviations, at a size at which they take a tenth of a second."""
    side = min(TRUST_SIDE, found.melanin.shape[-1])
    small = found.map(lambda x: F.adaptive_avg_pool2d(x, side) if x.ndim == 4 else x)
    return estimate(small, (F.adaptive_avg_pool2d(mask, side) > 0.5).float())


def _to_stage(values: Tensor) -> Tensor:
    if values.ndim != 4:
        return values
    size = (STAGE, STAGE)
    return F.interpolate(values, size=size, mode="bilinear", align_corners=False)


class Sessions:
    """Open sessions by a name that nobody guesses; of too many, the one idle longest is forgotten.

    Args:
        most: how many are kept. Each holds its photo, 3 bytes a pixel, and about 15 MB.
    """

    def __init__(self, most: int = 8) -> None:
        self._most = most
        self._open: OrderedDict[str, Session] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._open)

    def add(self, session: Session) -> str:
        """Keep a session; its name."""
        name = secrets.token_urlsafe(24)
        with self._lock:
            self._open[name] = session
            while len(self._open) > self._most:
                self._open.popitem(last=False)
        return name

    def get(self, name: str) -> Session:
        """The session of a name.

        Raises:
            BioFaceNetError: there is none, or it was forgotten.
        """
        with self._lock:
            if name not in self._open:
                raise BioFaceNetError("this photo is no longer held; choose it again")
            self._open.move_to_end(name)
            return self._open[name]

    def drop(self, name: str) -> None:
        """Forget a session, if it is there."""
        with self._lock:
            self._open.pop(name, None)


# Pictures ------------------------------------------------------------------------------------

STEPS = 4096
CURVE = eight_bit(linear_to_srgb(torch.arange(STEPS + 1).reshape(1, 1, -1) / STEPS))[0, :, 0]
"""sRGB of evenly spaced linear light: half a level off at most, and far quicker than powers."""


def _encoded(linear: Tensor) -> np.ndarray:
    """Linear (1, 3, H, W) as an 8-bit sRGB picture (H, W, 3)."""
    light = linear[0].numpy()
    places = np.minimum(light * np.float32(STEPS) + np.float32(0.5), np.float32(STEPS))
    return cv2.merge(list(CURVE[places.astype(np.int16)]))


def jpeg(picture: np.ndarray) -> bytes:
    """An 8-bit picture (H, W, 3) as JPEG, without subsampling of colour: pigments are colour."""
    options = [
        *(cv2.IMWRITE_JPEG_QUALITY, QUALITY),
        *(cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444),
    ]
    _, stored = cv2.imencode(".jpg", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), options)
    return stored.tobytes()


def png(picture: np.ndarray) -> bytes:
    """An 8-bit picture as PNG, quickly packed."""
    stream = io.BytesIO()
    Image.fromarray(picture).save(stream, format="PNG", compress_level=1)
    return stream.getvalue()


def data_uri(stored: bytes, kind: str = "jpeg") -> str:
    """A picture inside an address, so that showing it needs no second request and no file."""
    return f"data:image/{kind};base64,{base64.b64encode(stored).decode()}"


# Maps ----------------------------------------------------------------------------------------

FRACTIONS = {
    "melanin": ("melanosomes", "of epidermis"),
    "haemoglobin": ("blood", "of dermis"),
}
"""What a pigment's map says in percent, and of what."""


@dataclass(frozen=True)
class Tile:
    """A map as the page shows it."""

    title: str
    unit: str
    picture: np.ndarray
    """8-bit (H, W, 3)."""
    value: str = ""
    """What is typical of the skin, in words."""
    colours: tuple[str, ...] = ()
    """Of its bar, from left to right, as CSS has them; none without a bar."""
    ticks: tuple[tuple[float, str], ...] = ()
    """Places along the bar, 0..1, and what stands there."""


def percent(fraction: float) -> str:
    """A fraction as a percentage of two digits that mean something."""
    return f"{100 * fraction:.{0 if fraction >= 0.1 else 1 if fraction >= 0.01 else 2}f} %"


def level(session: Session, name: str) -> str:
    """Melanosomes or blood of the face, with the half width of the 68 % interval, in words."""
    fraction, _ = PIGMENT_TICKS[name]
    middle = session.median(name)
    low, high = interval(name, middle, getattr(session.trust, f"face_{name}"))
    value = float(fraction(torch.tensor(middle, dtype=torch.float64)))
    # Both with the decimals of the value.
    decimals = 0 if value >= 0.1 else 1 if value >= 0.01 else 2
    return f"{100 * value:.{decimals}f} % ± {100 * (high - low) / 2:.{decimals}f}"


def change(session: Session, name: str, edit: Edit) -> str:
    """Melanosomes or blood of the face before and after an edit, in words."""
    fraction, _ = PIGMENT_TICKS[name]
    before = session.median(name)
    ends = torch.tensor([before, edit.pigment(name, before)], dtype=torch.float64)
    one, other = (percent(float(value)) for value in fraction(ends))
    return one if one == other else f"{one} → {other}"


def _pigment(session: Session, name: str) -> Tile:
    fraction, percents = PIGMENT_TICKS[name]
    what, of = FRACTIONS[name]
    values = torch.linspace(-1.0, 1.0, 2001, dtype=torch.float64)
    reached = fraction(values).numpy()
    places = [float(np.interp(one / 100, reached, np.linspace(0.0, 1.0, 2001))) for one in percents]
    return Tile(
        title=name.capitalize(),
        unit=f"{what}, % {of}",
        picture=map_image(session.found, name),
        value=f"{what} {level(session, name)}",
        colours=_css(pigment_colours(name)(np.linspace(0, 1, 9))),
        ticks=tuple((place, f"{one:g}") for place, one in zip(places, percents, strict=True)),
    )


def _css(colours: np.ndarray) -> tuple[str, ...]:
    return tuple("#" + bytes(round(255 * c) for c in one[:3]).hex() for one in colours)


def _shading(session: Session, name: str, unit: str) -> Tile:
    values: Tensor = getattr(session.found, name)
    most = max(float(values.quantile(0.995)), 1e-6)
    usual = float(values[session.mask > 0.5].median())
    factor = getattr(session.trust, f"face_{name}")
    return Tile(
        title=f"{name.capitalize()} shading",
        unit=unit,
        picture=map_image(session.found, name),
        value=f"{usual:.2g}, within a factor {np.exp(factor):.2g}",
        colours=("#000000", "#ffffff"),
        ticks=tuple((place, f"{place * most:.2g}") for place in (0.0, 0.5, 1.0)),
    )


def _deviation(session: Session, name: str) -> Tile:
    what, _ = FRACTIONS[name]
    widths = {"melanin": session.trust.melanosomes, "haemoglobin": session.trust.blood}
    side = session.trust.melanin.shape[-1]
    width = widths[name](F.adaptive_avg_pool2d(getattr(session.found, name), side))
    skin = F.adaptive_avg_pool2d(session.mask, side) > 0.5
    inside = width[skin] if skin.any() else width.flatten()
    most = max(float(inside.quantile(0.99)), 1e-6)
    shades = (255 * (width[0, 0] / most).clamp(0, 1)).byte().numpy()
    coloured = (255 * colormaps["cividis"](shades)[..., :3]).round().astype(np.uint8)
    larger = cv2.resize(coloured, (TILE, TILE), interpolation=cv2.INTER_LINEAR)
    return Tile(
        title=f"{name.capitalize()} ±",
        unit=f"{what}, % points",
        picture=larger,
        value=f"± {100 * float(inside.median()):.2g} for a single pixel",
        colours=_css(colormaps["cividis"](np.linspace(0, 1, 9))),
        ticks=tuple((place, f"{100 * place * most:.2g}") for place in (0.0, 0.5, 1.0)),
    )


def tiles(session: Session) -> list[Tile]:
    """Everything that is known of a photo, as pictures with their units."""
    shown = display(session.reconstruction[0])
    edges, _ = cv2.findContours(
        session.mask[0, 0].byte().numpy(), cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE
    )
    shown = cv2.drawContours(shown.copy(), edges, -1, (120, 200, 255), 1)
    error = "" if session.rmse is None else f"error {session.rmse:.3f} in linear RGB"
    return [
        _pigment(session, "melanin"),
        _pigment(session, "haemoglobin"),
        _shading(session, "diffuse", "body reflection"),
        _shading(session, "specular", "surface reflection"),
        Tile("Albedo", "skin without shading", albedo_image(session.found)),
        Tile("Reconstruction", "skin outlined", shown, error),
        _deviation(session, "melanin"),
        _deviation(session, "haemoglobin"),
    ]


def facts(session: Session) -> list[tuple[str, str]]:
    """What is known of the face, the light and the camera, each with its 68 % interval, in words."""
    light, trust = session.found.illuminant, session.trust
    weights = zip(ILLUMINANT_NAMES, light.weights[0].tolist(), strict=True)
    largest = sorted(weights, key=lambda one: -one[1])[:3]
    mixture = ", ".join(f"{100 * share:.0f} % {name}" for name, share in largest if share >= 0.05)
    b1, b2 = session.found.camera[0].tolist()
    return [
        ("Melanosomes", f"{level(session, 'melanin')} of the epidermis (median of the skin)"),
        ("Blood", f"{level(session, 'haemoglobin')} of the dermis (median of the skin)"),
        ("Light", mixture),
        ("Daylight", f"{float(light.cct[0]):.0f} ± {trust.cct:.0f} K"),
        ("Camera", f"b1 {b1:.2f} ± {trust.camera[0]:.2f}, b2 {b2:.2f} ± {trust.camera[1]:.2f}"),
    ]
