"""Normals of photographs by a network: what is taken of them, and from which networks."""

import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import h5py
import pytest
import torch
from PIL import Image
from skimage import data
from torch import Tensor

from biofacenet import Decomposition
from biofacenet.data.labels import read_persons
from biofacenet.data.pair_files import find_pairs
from biofacenet.data.synthetic.surface import rotation
from biofacenet.decomposition.parts import PART_NAMES, part_index
from biofacenet.errors import ModelError
from biofacenet.network.unet import BioFaceNet
from biofacenet.physics.lighting import unit
from biofacenet.preparation.network_shape import network_with_shape, shape_of_network
from biofacenet.preparation.photos import plan_of, prepare
from biofacenet.preparation.settings import PhotoSettings

SEEN = 96


def planted(yaw: float, pitch: float = 0.0, *, upper: str = "skin") -> BioFaceNet:
    """A network that sees the ellipsoid of a turned head in everything, and another part above."""
    steps = (torch.arange(SEEN) + 0.5) / SEEN * 2.0 - 1.0
    x, y = steps[None, :].expand(SEEN, SEEN), -steps[:, None].expand(SEEN, SEEN)
    z = (1.0 - 0.8 * (x * x + y * y)).clamp(min=0.01).sqrt()
    front = unit(torch.stack((0.6 * x, 0.6 * y, z)))
    normals = torch.einsum("ij,jhw->ihw", rotation(yaw, pitch, 0.0), front)[None]
    parts = torch.zeros(1, len(PART_NAMES), SEEN, SEEN)
    inside = (x * x + y * y) < 0.7
    parts[0, part_index("skin")] = inside.float()
    parts[0, part_index("background")] = 1.0 - inside.float()
    parts[0, :, :20] = 0.0
    parts[0, part_index(upper), :20] = 1.0
    network = BioFaceNet("small").eval()

    def decompose(image: Tensor) -> Decomposition:
        found = BioFaceNet.decompose(network, image)
        assert image.shape == (1, 3, SEEN, SEEN)
        return replace(found, normals=normals, parts=parts)

    network.decompose = decompose  # type: ignore[method-assign]
    return network


@pytest.mark.parametrize("size", [32, 128])
def test_normals_are_taken_where_the_face_has_a_surface(size: int) -> None:
    shape = shape_of_network(torch.rand(3, 64, 64), size, planted(0.0, upper="hair"))
    assert shape.normals.shape == (3, size, size)
    inside = shape.covered[0] > 0
    assert 0.3 < inside.float().mean() < 0.6
    assert not inside[: size // 6].any()  # hair
    lengths = shape.normals.norm(dim=0)
    torch.testing.assert_close(lengths[inside], torch.ones(int(inside.sum())))
    assert (lengths[~inside] == 0).all()
    assert (shape.coordinates[:, ~inside] == 0).all()
    assert shape.turned < 6.0
    assert shape.certainty > 0.9


@pytest.mark.parametrize("yaw", [-0.5, 0.3])
def test_a_turned_head_is_seen_turned_and_its_places_turn_back(yaw: float) -> None:
    straight = shape_of_network(torch.rand(3, 64, 64), 64, planted(0.0))
    turned = shape_of_network(torch.rand(3, 64, 64), 64, planted(yaw))
    assert turned.turned == pytest.approx(abs(yaw) * 57.3, abs=4.0)
    # The middle of the picture shows the side of the face that is turned towards the camera.
    middle = [2.6 * float(shape.coordinates[0, 32, 32]) - 1.3 for shape in (straight, turned)]
    assert middle[0] == pytest.approx(0.0, abs=0.03)
    assert middle[1] * yaw < -0.05


def test_what_is_no_face_is_not_certain() -> None:
    shape = shape_of_network(torch.rand(3, 64, 64), 64, BioFaceNet("small").eval())
    assert shape.certainty < 0.5


def test_only_networks_that_tell_normals_can_be_asked(tmp_path: Path) -> None:
    BioFaceNet("small", shaped=False).save_pretrained(tmp_path / "flat")
    with pytest.raises(ModelError, match=r"flat: a network that tells no normals; name one"):
        network_with_shape(str(tmp_path / "flat"))


def test_another_network_makes_other_parts(tmp_path: Path) -> None:
    names = []
    for number in range(2):
        torch.manual_seed(number)
        BioFaceNet("small").save_pretrained(tmp_path / str(number))
        settings = PhotoSettings(
            (tmp_path,), out=tmp_path, normals="network", model=str(tmp_path / str(number))
        )
        names.append(plan_of(settings).folder.name)
    assert names[0] != names[1]


def test_prepare_takes_normals_from_a_network_and_keeps_who_is_on_photos(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, in_process: Callable[..., object]
) -> None:
    album = tmp_path / "album"
    album.mkdir()
    picture = Image.fromarray(data.astronaut())
    picture.save(album / "eileen_1.png")
    picture.resize((480, 480)).save(album / "eileen_2.png")
    (album / "people.csv").write_text("id,group\neileen,x\n")
    BioFaceNet("small").save_pretrained(tmp_path / "model")
    model = planted(0.1)
    monkeypatch.setattr("biofacenet.preparation.sample.network_with_shape", lambda _: model)
    settings = PhotoSettings(
        (album,), out=tmp_path / "set", size=32, workers=0, normals="network", holdout=0.0
    )
    prepare(replace(settings, model=str(tmp_path / "model")))
    (file,) = find_pairs(tmp_path / "set")
    assert read_persons([file]).tolist() == [0, 0]
    with h5py.File(file.images) as stored:
        channels = torch.from_numpy(stored["zx_7"][0].astype("float32")) / 65535.0
    inside = channels[6] > 0
    normals = (2.0 * channels[3:6] - 1.0)[:, inside]
    torch.testing.assert_close(
        normals.norm(dim=0), torch.ones(int(inside.sum())), atol=1e-3, rtol=0
    )
    assert normals[0].mean() > 0.02  # turned to the right
    index = (tmp_path / "set" / "index.csv").read_text()
    assert "album/eileen" in index
    assert ",network," in index


def test_a_network_without_normals_is_told_in_a_line(
    tmp_path: Path, in_process: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    Image.fromarray(data.astronaut()).save(tmp_path / "a.png")
    BioFaceNet("small", shaped=False).save_pretrained(tmp_path / "flat")
    done = in_process(
        "biofacenet.prepare",
        *("a.png", "--normals", "network", "--model", "flat", "--out", "set"),
        cwd=tmp_path,
    )
    assert done.returncode == 2
    assert "flat: a network that tells no normals" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
