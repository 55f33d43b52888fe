"""What white is, on the page: levels that are absolute, boxes that are none, methods that disagree."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch

from biofacenet import BioFaceNet
from biofacenet.analysis import ByFitting, Result
from biofacenet.errors import BioFaceNetError
from biofacenet.photos.boxes import Box, Part
from biofacenet.photos.paths import EXAMPLE
from biofacenet.photos.reading import Photo, read_photo
from biofacenet.photos.white_choice import WhiteChoice
from biofacenet.physics.colour import linear_to_srgb, srgb_to_linear
from biofacenet.web.inbox import Inbox
from biofacenet.web.knobs import CARDS, USUAL, white_of
from biofacenet.web.replies import Replies
from biofacenet.web.sittings import Sitting
from biofacenet.web.studio import FITTING, NETWORK, Studio
from biofacenet.web.tiles import facts

BOX = "4,4,24,24"


@cache
def studio() -> Studio:
    model = BioFaceNet.from_pretrained("small")
    return Studio(model=model, size=96, refine=1, resolution=96)


def begun() -> str:
    """A sitting with the example that comes with the package, which has a card in its corner."""
    photo = read_photo(EXAMPLE)
    linear = srgb_to_linear(photo.pixels)
    linear[:, :32, :32] = 0.4 * torch.tensor([1.0, 0.9, 0.7])[:, None, None]
    pixels = linear_to_srgb(linear)
    photo = Photo(Path("face.png"), (255.0 * pixels).round() / 255.0)
    part = Part(Box(0, 0, 256), "face", "face found")
    return studio().sittings.add(Sitting((part,), waiting=photo))


def test_fields_stand_for_a_white() -> None:
    assert white_of() == white_of("  ", "grey") == WhiteChoice()
    assert white_of(" 4,4,24,24 ", USUAL) == WhiteChoice(BOX)
    for card in CARDS:
        assert white_of("auto", card).given
    for wrong in (("here", USUAL), (BOX, "gold"), (None, USUAL), (BOX, None), (["auto"], USUAL)):
        with pytest.raises(BioFaceNetError, match="expected"):
            white_of(*wrong)


def test_a_white_gives_levels_and_leaves_the_photo_that_came() -> None:
    name = begun()
    sitting = studio().sittings.get(name)
    came = sitting.photo().pixels.clone()
    plain = studio().look(name, 0, NETWORK)
    assert dict(facts(plain))["Level"].startswith("relative")
    opened = studio().look(name, 0, NETWORK, WhiteChoice(BOX))
    assert "absolute level, white by a box at 4,4,24,24" in dict(facts(opened))["Level"]
    assert opened.known.light == "white"
    # What is edited is balanced: the card is white there, and grey in what came.
    balanced = srgb_to_linear(opened.photo().pixels[:, 16, 16])
    assert balanced.tolist() == pytest.approx([0.9] * 3, abs=0.01)
    assert (sitting.photo().pixels - came).abs().max() < 0.003
    again = studio().look(name, 0, NETWORK)
    assert again.level == ""
    assert (again.photo().pixels - came).abs().max() < 0.003


def test_where_no_white_is_the_photo_waits_for_another_box(tmp_path: Path) -> None:
    reply = Replies(studio(), Inbox(tmp_path / "inbox"), 14)
    name = begun()
    refused = reply.again(NETWORK, name, "900,900,9,9", USUAL)  # nothing was looked at yet
    assert refused[0] == name
    studio().look(name, 0, NETWORK)
    for box, told in (
        ("900,900,9,9", "does not lie in the photo"),
        ("here", "LEFT,TOP,WIDTH,HEIGHT"),
    ):
        refused = reply.again(NETWORK, name, box, USUAL)
        assert refused[0] == name
        assert told in refused[1]
        assert "--" not in refused[1]
        assert len(refused) == len(reply.opened(name))
    found = reply.again(NETWORK, name, BOX, USUAL)
    assert found[0] == name
    assert "white by a box" in found[1]


def test_methods_that_exclude_each_other_are_told_of(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    name = begun()
    studio().look(name, 0, NETWORK)

    def darker(self: ByFitting, photo: Any, part: Any = None) -> Result:
        found = studio()._way(NETWORK)(photo, part)
        maps = found.decomposition
        more = replace(maps, melanin=(maps.melanin + 0.9).clamp(max=0.95))
        return replace(found, method="fit", decomposition=more)

    monkeypatch.setattr(ByFitting, "__call__", darker)
    opened = studio().look(name, 0, FITTING)
    assert opened.disagreement.startswith("fit and network, refined disagree beyond their 68 %")
    answer = Replies(studio(), Inbox(tmp_path / "inbox"), 14).opened(name)
    assert "Warning" in answer[1]
    assert opened.disagreement[:40] in answer[1]
    # Of another white nothing was tried yet.
    assert studio().look(name, 0, FITTING, WhiteChoice(BOX)).disagreement == ""
