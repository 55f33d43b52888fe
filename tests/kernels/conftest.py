"""Fixtures of the tests of the GPU kernels."""

import os
from collections.abc import Iterator
from dataclasses import replace

import pytest
import torch

from biofacenet import kernels
from tests.kernels.gpu_scenes import BACKENDS, INTERPRETED, MODE


@pytest.fixture(autouse=True)
def _same_numbers_each_time() -> None:
    torch.manual_seed(0)


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    if MODE == "imitation":
        torch.ops.load_library(os.environ["BIOFACENET_TEST_LIBRARY"])
        monkeypatch.setattr(kernels.cuda, "unavailable", lambda: None)
        with kernels.register("imitation", kernels.cuda, device="cpu", half=True) as imitation:
            yield imitation.name
        return
    if (reason := kernels.available()[request.param]) is not None:
        if os.environ.get("BIOFACENET_REQUIRE_NATIVE"):
            pytest.fail(reason)
        pytest.skip(reason)
    yield request.param


@pytest.fixture
def _three_programs_an_image(backend: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the interpreter each program goes over several tiles, as it does in large images."""
    if INTERPRETED:
        from biofacenet.kernels.triton import launch, shapes

        by_rule = shapes.rule
        monkeypatch.setattr(shapes, "rule", lambda *of: replace(by_rule(*of), programs=3))
        monkeypatch.setattr(launch, "LEAST_STEPS", 1)
