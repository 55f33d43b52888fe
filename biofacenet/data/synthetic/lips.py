"""Pigments of lips, bare or painted."""

from __future__ import annotations

from .draws import Draws
from .identity import Identity

__all__ = ["draw_lips"]


def draw_lips(draws: Draws, who: Identity, *, made_up: bool) -> tuple[float, float]:
    """What lips add to melanin and haemoglobin: those of light skin hold less melanin."""
    if who.modelled and who.skin == "measured":
        melanin, blood = _photographed(draws, who)
        painted = 0.35
    else:
        melanin = draws.uniform(-0.22, -0.03) * who.light
        melanin = melanin + draws.uniform(-0.06, 0.12) * (1.0 - who.light)
        blood = draws.uniform(0.35, 0.95)
        painted = 0.6
    if made_up and draws.chance(painted):
        melanin, blood = melanin + draws.uniform(-0.1, 0.25), draws.uniform(0.6, 1.3)
    return melanin, blood


def _photographed(draws: Draws, who: Identity) -> tuple[float, float]:
    """As in photographs of the Face Research Lab London Set: lips of all people hold little melanin and
    much blood, so that those of dark skin are brighter than their cheeks; some are as dark as the skin.
    """
    dark = min(max((who.melanin - 0.1) / 0.2, 0.0), 1.0)
    follows = draws.uniform(0.3 - 0.3 * dark, 0.95 - 0.6 * dark)
    level = -0.47 - 0.09 * dark + draws.gaussian(0.07) + follows * max(who.melanin + 0.2, 0.0)
    if draws.chance(0.15 * (1.0 - who.light)):
        level = who.melanin + draws.uniform(-0.1, 0.12)
    level = max(level, who.melanin - 0.85)
    blood = draws.uniform(1.0, 1.45) if draws.chance(0.85) else draws.uniform(0.5, 0.95)
    return min(level, who.melanin + 0.1) - who.melanin, blood - who.haemoglobin
