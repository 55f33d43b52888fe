"""Renderer backends: which there are, which run here, and which takes a given tensor."""

from . import cpp, cuda, triton  # each registers itself; none loads or builds anything yet
from .registry import (
    BACKENDS,
    HALF,
    Backend,
    Kernels,
    available,
    choose,
    constant_for_compile,
    kernel,
    register,
    select,
)

__all__ = [
    "BACKENDS",
    "HALF",
    "Backend",
    "Kernels",
    "available",
    "choose",
    "constant_for_compile",
    "cpp",
    "cuda",
    "kernel",
    "register",
    "select",
    "triton",
]
