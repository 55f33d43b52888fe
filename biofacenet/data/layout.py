"""The layout of the Neural Face Editing files, as names and shapes.

A set is a folder of numbered pairs of HDF5 files, each with a data set ``zx_7``:

- ``zx_7_d10_inmc_<tag>_XX.hdf5``, (N, 10, H, W): sRGB image in 0..1, surface normal stored as
  (n + 1) / 2, face mask, face coordinates;
- ``zx_7_d3_lrgb_<tag>_XX.hdf5``, (N, 3, 9): spherical harmonic lighting per colour channel.

Source: Shu et al., Neural Face Editing with Intrinsic Image Disentangling, CVPR 2017.
"""

from __future__ import annotations

import re
from typing import Literal

__all__ = [
    "DATASET",
    "IMAGE_CHANNELS",
    "IMAGE_NAME",
    "LANDMARKS",
    "LAYOUT",
    "LIGHTING_SHAPE",
    "NORMALS",
    "OCCLUSION",
    "PARTS",
    "SKIN",
    "TRUTH_VERSION",
    "VERSION",
    "NormalsEncoding",
]

DATASET = "zx_7"

IMAGE_CHANNELS = 10

LIGHTING_SHAPE = (3, 9)

SKIN = "skin"
"""Attribute of truth files: which skin the maps are of; the published one where there is none."""

VERSION, TRUTH_VERSION = "version", 2
"""Attribute of truth files, and the newest value of it: 1, or none, holds maps, light and camera; 2 may
also hold the geometry."""

NORMALS, PARTS, OCCLUSION, LANDMARKS = "normals", "parts", "occlusion", "landmarks"
"""Data sets of a truth file that hold the geometry, all or none of them."""

IMAGE_NAME = re.compile(r"zx_7_d10_inmc_(?P<tag>.+)_(?P<number>\d+)\.hdf5")

LAYOUT = "zx_7_d10_inmc_celebA_XX.hdf5 beside zx_7_d3_lrgb_celebA_XX.hdf5"

NormalsEncoding = Literal["offset", "stored"]
"""``offset``: normals are stored as (n + 1) / 2, the published form. ``stored``: take the numbers as
they are, as some earlier readers did; for comparison with their results only."""
