"""What is computed once and kept, whatever mode torch is in at that moment."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import torch

from .device import plain_defaults
from .undisturbed import undisturbed

__all__ = ["kept", "lasting", "with_gradients"]

Made = TypeVar("Made")


@contextmanager
def lasting() -> Iterator[None]:
    """What is made within can be used anywhere later: also in what is differentiated.

    Tensors made in `torch.inference_mode` cannot; one that is kept from there would spoil training.
    """
    with torch.inference_mode(False), torch.no_grad(), plain_defaults():
        yield


@contextmanager
def with_gradients() -> Iterator[None]:
    """Gradients within, also where a program has turned them off: fitting is made of them."""
    with torch.inference_mode(False), torch.enable_grad():
        yield


def kept(function: Callable[..., Made]) -> Callable[..., Made]:
    """A function whose results are kept, by its arguments, and made `undisturbed` and within `lasting`."""

    @functools.cache
    def made(*arguments: object) -> Made:
        def make() -> Made:
            with lasting():
                return function(*arguments)

        return make() if torch.compiler.is_compiling() else undisturbed(make)

    return functools.wraps(function)(made)
