"""Skin beside what surrounds it: what the statistics tell, and that a network that has not learned it yet, or
of earlier files, gives the same as without."""

import json
import math
from pathlib import Path

import pytest
import torch
from torch import Tensor

from biofacenet.decomposition.parts import PART_NAMES
from biofacenet.errors import ModelError
from biofacenet.network.surroundings import COMPARED, STATISTICS, statistics
from biofacenet.network.unet import BioFaceNet

SIDE = 48


def face(skin: float, *, white: float = 0.5, eyes: bool = True) -> tuple[Tensor, Tensor]:
    """A picture of a brown square of a brightness, of eyes and of a wall, and its parts."""
    labels = torch.full((SIDE, SIDE), PART_NAMES.index("background"))
    labels[8:40, 8:40] = PART_NAMES.index("skin")
    if eyes:
        labels[18:22, 12:36] = PART_NAMES.index("eyes")
    image = torch.full((3, SIDE, SIDE), 0.3)
    brown = skin * torch.tensor([1.0, 0.6, 0.4])
    image = torch.where(labels == PART_NAMES.index("skin"), brown.view(3, 1, 1), image)
    image = torch.where(labels == PART_NAMES.index("eyes"), torch.tensor(white), image)
    parts = torch.stack([(labels == k).float() for k in range(len(PART_NAMES))])
    return image[None], parts[None]


def of(name: str, kind: int = 0) -> int:
    """Place of a statistic: its mean of logarithms, or a power mean of the same part."""
    return kind * len(COMPARED) + COMPARED.index(name)


def test_exposure_changes_no_statistic() -> None:
    image, parts = face(0.2)
    first = statistics(image, parts)
    assert first.shape == (1, STATISTICS)
    torch.testing.assert_close(statistics(0.3 * image, parts), first, atol=1e-4, rtol=0.0)


def test_eyes_and_walls_are_brighter_beside_dark_skin() -> None:
    light, dark = (statistics(*face(skin)) for skin in (0.4, 0.05))
    for name in ("eyes", "background"):
        rise = float(dark[0, of(name)] - light[0, of(name)])
        assert rise == pytest.approx(math.log(8.0), abs=0.25)
    # Of skin that is even, the logarithms of all means are the same.
    for kind in range(4):
        assert abs(float(dark[0, of("skin", kind)] - dark[0, of("skin")])) < 0.03


def test_colour_of_the_skin_is_told_and_that_of_a_wall_is_not() -> None:
    image, parts = face(0.3)
    redder = image * torch.tensor([1.2, 1.0, 1.0]).view(1, 3, 1, 1)
    moved = statistics(redder, parts) - statistics(image, parts)
    assert float(moved[0, -2]) == pytest.approx(math.log(1.2), abs=0.02)
    assert abs(float(moved[0, -1])) < 0.02
    wall = torch.where(parts[:, PART_NAMES.index("background")] > 0, redder, image)
    assert abs(float((statistics(wall, parts) - statistics(image, parts))[0, -2])) < 1e-5


def test_highlights_are_seen_in_the_higher_mean_alone() -> None:
    image, parts = face(0.1)
    shining = image.clone()
    shining[:, :, 10:13, 20:24] = 0.8
    rise = statistics(shining, parts) - statistics(image, parts)
    assert float(rise[0, of("skin", 2)]) > 1.0 > 0.2 > abs(float(rise[0, of("skin")]))


def test_a_part_that_is_not_there_is_taken_to_be_as_bright_as_the_skin() -> None:
    found = statistics(*face(0.2, eyes=False))
    for kind in range(4):
        assert float(found[0, of("eyes", kind)]) == pytest.approx(
            float(found[0, of("skin", kind)]), abs=1e-4
        )
    empty = statistics(torch.zeros(1, 3, 16, 16), torch.zeros(1, len(PART_NAMES), 16, 16))
    assert torch.isfinite(empty).all()


def test_a_new_network_compares_nothing_yet(tmp_path: Path) -> None:
    torch.manual_seed(3)
    network = BioFaceNet("small").eval()
    image = torch.rand(2, 3, 32, 48)
    before = network.decompose(image)
    surroundings, network.surroundings = network.surroundings, None
    assert torch.equal(network.decompose(image).melanin, before.melanin)
    assert surroundings is not None
    network.surroundings = surroundings
    with torch.no_grad():
        surroundings.layers[-1].bias.fill_(1.0)
    after = network.decompose(image)
    assert (after.melanin - before.melanin).abs().max() > 0.01
    network.save_pretrained(tmp_path)
    assert torch.equal(BioFaceNet.from_pretrained(tmp_path).decompose(image).melanin, after.melanin)


def test_files_from_before_are_read_as_they_were(tmp_path: Path) -> None:
    torch.manual_seed(4)
    network = BioFaceNet("small").eval()
    network.surroundings = None
    network.save_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    assert config["format"] == "biofacenet network 5"
    with pytest.raises(ModelError, match="do not fit"):
        BioFaceNet.from_pretrained(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps(config | {"format": "biofacenet network 4"}))
    again = BioFaceNet.from_pretrained(tmp_path)
    assert again.surroundings is not None
    image = torch.rand(1, 3, 32, 32)
    assert torch.equal(again.decompose(image).melanin, network.decompose(image).melanin)
    again.save_pretrained(tmp_path / "again")
    assert torch.equal(
        BioFaceNet.from_pretrained(tmp_path / "again").decompose(image).melanin,
        network.decompose(image).melanin,
    )


def test_a_network_learns_to_tell_dark_skin_by_what_is_around_it() -> None:
    """Pictures whose skin has one colour and one brightness beside its mean, as exposure takes it: only the
    rest tells which is dark."""
    torch.manual_seed(5)
    network = BioFaceNet("small")
    surroundings = network.surroundings
    assert surroundings is not None
    pairs = [face(skin) for skin in (0.5, 0.05)]
    seen = torch.stack([statistics(image, parts)[0] for image, parts in pairs])
    layers = surroundings.layers
    optimiser = torch.optim.Adam(layers.parameters(), 1e-2)
    wanted = torch.tensor([-1.0, 1.0])
    for _ in range(60):
        optimiser.zero_grad()
        loss = (layers(seen)[:, 0] - wanted).square().mean()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    assert float(loss.detach()) < 0.05
