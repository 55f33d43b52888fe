"""Colour that a photo tells by number (ITU-T H.273) and not by a profile, as the codecs of phones do."""

from __future__ import annotations

import struct
from functools import cache
from typing import Any

from PIL import ImageCms

__all__ = ["profile_of"]

# Columns are the XYZ of red, green and blue under D50, as their ICC profiles have them.
DISPLAY_P3 = (
    (0.515102, 0.241182, -0.00104941),
    (0.291965, 0.692236, 0.0418818),
    (0.157153, 0.0665819, 0.784378),
)
BT_2020 = (
    (0.673459, 0.279033, -0.00193139),
    (0.165661, 0.675338, 0.0299794),
    (0.1251, 0.0456288, 0.797162),
)

SRGB_PRIMARIES = {0, 1, 2, 5, 6, 7}
"""BT.709, unspecified, and those of television, which come near it."""
WIDE = {9: BT_2020, 12: DISPLAY_P3}
ORDINARY = {0, 1, 2, 4, 6, 13, 14, 15}
"""Transfers that a screen shows as it shows sRGB."""
NAMES = {8: "linear light", 16: "PQ, for HDR", 18: "HLG, for HDR"}


def profile_of(numbers: dict[str, Any] | None) -> bytes:
    """An ICC profile that says the same; empty where that is sRGB, or nothing is said.

    Args:
        numbers: ``color_primaries`` and ``transfer_characteristics``, as `pillow_heif` gives them.

    Raises:
        ValueError: another kind of colour; says which.
    """
    if not numbers:
        return b""
    primaries = int(numbers.get("color_primaries", 2))
    transfer = int(numbers.get("transfer_characteristics", 2))
    if transfer not in ORDINARY:
        raise ValueError(f"transfer {transfer} ({NAMES.get(transfer, 'a rare one')})")
    if primaries in SRGB_PRIMARIES:
        return b""
    if primaries not in WIDE:
        raise ValueError(f"primaries {primaries}")
    return _matrix_profile(primaries)


@cache
def _matrix_profile(primaries: int) -> bytes:
    """The profile of sRGB with other primaries in it."""
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    (count,) = struct.unpack_from(">I", profile, 128)
    places = {}
    for number in range(count):
        name, place, _ = struct.unpack_from(">4sII", profile, 132 + 12 * number)
        places[name] = place
    for name, values in zip((b"rXYZ", b"gXYZ", b"bXYZ"), WIDE[primaries], strict=True):
        fixed = [round(65536 * value) for value in values]
        struct.pack_into(">3i", profile, places[name] + 8, *fixed)
    return bytes(profile)
