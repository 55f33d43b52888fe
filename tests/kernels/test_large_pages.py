"""What the C++ kernel fills is asked for in large pages, which Linux gives in a fraction of the time."""

import sys
from pathlib import Path

import pytest
import torch
from torch import Tensor

import biofacenet
from biofacenet import Illuminant, kernels

LARGE_PAGES = Path("/sys/kernel/mm/transparent_hugepage/enabled")
SIDE = 1024


def flags_at(tensor: Tensor) -> list[str]:
    """Flags of the mapping that holds the middle of a tensor, as the system tells them."""
    address = tensor.data_ptr() + tensor.numel() * tensor.element_size() // 2
    inside = False
    for line in Path("/proc/self/smaps").read_text().splitlines():
        first, *rest = line.split()
        if first == "VmFlags:":
            if inside:
                return rest
        elif "-" in first and not first.endswith(":"):
            begin, end = (int(part, 16) for part in first.split("-"))
            inside = begin <= address < end
    return []


@pytest.mark.skipif(sys.platform != "linux", reason="of Linux alone")
@pytest.mark.skipif(not LARGE_PAGES.is_file(), reason="this system has no large pages")
@pytest.mark.skipif(kernels.available()["cpp"] is not None, reason="no C++ kernel here")
def test_large_results_are_asked_for_in_large_pages() -> None:
    leaf = torch.full((1, 1, SIDE, 2 * SIDE), 0.3)
    shading = torch.ones(1, 1, SIDE, 2 * SIDE)
    light, camera = Illuminant.standard("D65"), torch.zeros(1, 2)
    image = biofacenet.render(leaf, leaf, shading, shading, light, camera, backend="cpp")
    assert "hg" in flags_at(image)
