"""Renderer backends: which there are, which run here, and which takes a given tensor."""

from .registry import BACKENDS, HALF, available, choose, kernel, select

__all__ = ["BACKENDS", "HALF", "available", "choose", "kernel", "select"]
