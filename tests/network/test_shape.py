"""The outputs of normals and parts: what they promise, files with and without, mirrored images."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from biofacenet import Decomposition
from biofacenet.decomposition.parts import PART_NAMES
from biofacenet.errors import ModelError
from biofacenet.network.unet import BioFaceNet


@pytest.fixture(scope="module")
def network() -> BioFaceNet:
    """One whose shape is not flat."""
    torch.manual_seed(0)
    found = BioFaceNet("small").eval()
    assert found.shape is not None
    with torch.no_grad():
        found.shape.weight.mul_(30.0)
    return found


def image(*shape: int) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(1))


def shape_of(found: Decomposition) -> tuple[Tensor, Tensor]:
    assert found.normals is not None
    assert found.parts is not None
    return found.normals, found.parts


def test_normals_have_unit_length_and_point_to_the_viewer(network: BioFaceNet) -> None:
    with torch.no_grad():
        normals, parts = shape_of(network(image(2, 3, 32, 48)))
    assert normals.shape == (2, 3, 32, 48)
    assert parts.shape == (2, len(PART_NAMES), 32, 48)
    torch.testing.assert_close(normals.norm(dim=1), torch.ones(2, 32, 48))
    assert normals[:, 2].min() > 0
    assert normals[:, 0].std() > 0.05  # there is something to test
    torch.testing.assert_close(parts.sum(dim=1), torch.ones(2, 32, 48))
    assert parts.min() >= 0


def test_mirrored_images_have_mirrored_normals_and_parts(network: BioFaceNet) -> None:
    seen = image(1, 3, 40, 51)
    normals, parts = shape_of(network.decompose(seen))
    other, others = shape_of(network.decompose(seen.flip(3)))
    assert (normals - normals.flip(3)).abs().max() > 0.05
    torch.testing.assert_close(
        normals.flip(3) * torch.tensor([-1.0, 1.0, 1.0]).view(3, 1, 1), other
    )
    torch.testing.assert_close(parts.flip(3), others)
    torch.testing.assert_close(normals.norm(dim=1), torch.ones(1, 40, 51))
    torch.testing.assert_close(parts.sum(dim=1), torch.ones(1, 40, 51))


def test_the_other_outputs_do_not_depend_on_them(network: BioFaceNet) -> None:
    other = BioFaceNet("small", shaped=False).eval()
    weights = network.state_dict()
    other.load_state_dict({name: weights[name] for name in other.state_dict()})
    seen = image(1, 3, 32, 32)
    with torch.no_grad():
        one, two = network(seen), other(seen)
    assert two.normals is None
    assert two.parts is None
    assert torch.equal(one.melanin, two.melanin)
    assert torch.equal(one.render(), two.render())


def test_files_say_whether_a_network_has_them(network: BioFaceNet, tmp_path: Path) -> None:
    network.save_pretrained(tmp_path / "with")
    BioFaceNet("small", shaped=False).save_pretrained(tmp_path / "without")
    assert '"biofacenet network 5"' in (tmp_path / "with" / "config.json").read_text()
    # As networks were before there were normals and parts.
    assert '"biofacenet network 3"' in (tmp_path / "without" / "config.json").read_text()
    again = BioFaceNet.from_pretrained(tmp_path / "with")
    with torch.no_grad():
        assert torch.equal(
            shape_of(again(image(1, 3, 32, 32)))[0], shape_of(network(image(1, 3, 32, 32)))[0]
        )
    assert BioFaceNet.from_pretrained(tmp_path / "without").shape is None
    config = tmp_path / "without" / "config.json"
    config.write_text(config.read_text().replace("network 3", "network 5"))
    with pytest.raises(ModelError, match="do not fit"):
        BioFaceNet.from_pretrained(tmp_path / "without")


def test_the_published_network_has_none() -> None:
    with pytest.raises(ValueError, match="gives no normals and parts"):
        BioFaceNet("paper", shaped=True)


# In decompositions ---------------------------------------------------------------------------


@pytest.fixture
def maps(network: BioFaceNet) -> Decomposition:
    with torch.no_grad():
        return network(image(3, 3, 16, 32))


def test_they_travel_with_the_maps(maps: Decomposition, tmp_path: Path) -> None:
    normals, parts = shape_of(maps)
    maps.save(tmp_path / "maps.npz")
    stored = Decomposition.load(tmp_path / "maps.npz")
    joined = Decomposition.join([maps[0], maps[1:]])
    for found in (stored, joined, maps.detach(), maps.to(dtype=torch.float32), maps.edit()):
        assert torch.equal(shape_of(found)[0], normals)
        assert torch.equal(shape_of(found)[1], parts)
    assert torch.equal(shape_of(maps[2])[1], parts[2:])
    assert shape_of(maps.to(dtype=torch.float64))[0].dtype == torch.float64


def test_without_them_files_and_batches_are_as_before(maps: Decomposition, tmp_path: Path) -> None:
    bare = replace(maps, normals=None, parts=None)
    bare.save(tmp_path / "maps.npz")
    assert "normals" not in bare.arrays()
    assert Decomposition.load(tmp_path / "maps.npz").normals is None
    assert Decomposition.join([bare, maps]).parts is None
    assert bare.renormalised().normals is None


def test_they_must_fit_the_maps(maps: Decomposition) -> None:
    normals, parts = shape_of(maps)
    with pytest.raises(ValueError, match="normals must have shape"):
        replace(maps, normals=normals[:, :2])
    with pytest.raises(ValueError, match="parts must have shape"):
        replace(maps, parts=parts[..., :5])
