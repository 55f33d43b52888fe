"""Shapes and ranges of the network, and saving and loading it."""

import json
import math
import sys
from pathlib import Path

import pytest
import torch

import biofacenet
from biofacenet import Decomposition
from biofacenet.errors import ModelError
from biofacenet.network import SHIPPED
from biofacenet.network.unet import PUBLISHED_IMAGE_MEAN, BioFaceNet


@pytest.fixture(scope="module")
def network() -> BioFaceNet:
    torch.manual_seed(0)
    return BioFaceNet("small").eval()


@pytest.mark.parametrize("shape", [(1, 3, 16, 16), (2, 3, 64, 64), (1, 3, 48, 80)])
def test_maps_have_the_size_of_the_image_and_the_documented_ranges(
    network: BioFaceNet, shape: tuple[int, ...]
) -> None:
    with torch.no_grad():
        found = network(20 * torch.randn(shape, generator=torch.Generator().manual_seed(1)))
    batch, _, height, width = shape
    for pigment in (found.melanin, found.haemoglobin):
        assert pigment.shape == (batch, 1, height, width)
        assert pigment.abs().max() <= 1
    assert min(found.diffuse.min(), found.specular.min()) > 0
    assert found.illuminant.weights.min() >= 0
    torch.testing.assert_close(found.illuminant.weights.sum(dim=1), torch.ones(batch))
    assert ((found.illuminant.cct >= 4000) & (found.illuminant.cct <= 25000)).all()
    assert found.camera.shape == (batch, 2)
    assert found.camera.abs().max() <= 3


def test_sizes() -> None:
    counts = {
        size: sum(p.numel() for p in BioFaceNet(size).parameters()) for size in ("small", "paper")
    }
    assert counts["small"] <= 4_000_000
    assert 40_000_000 < counts["paper"] < 60_000_000


def test_every_parameter_gets_a_gradient() -> None:
    network = BioFaceNet("small").train()
    assert network.surroundings is not None
    torch.nn.init.normal_(network.surroundings.layers[-1].weight, std=0.01)  # zero in a new one
    found = network(torch.rand(2, 3, 32, 32))
    assert found.normals is not None
    assert found.parts is not None
    shape = found.normals[:, 0].mean() + found.parts[:, 2].square().mean()
    (found.render().square().mean() + shape).backward()
    without = [
        name
        for name, p in network.named_parameters()
        if p.grad is None or not p.grad.abs().sum() > 0
    ]
    assert without == []


def test_colour_temperature_is_no_part_of_the_softmax(network: BioFaceNet) -> None:
    """The pitfall: as a fifteenth softmax input it would move the weights."""
    last = network.vector[-1]
    image = torch.rand(1, 3, 32, 32)
    with torch.no_grad():
        before = network(image).illuminant
        last.bias[14] += 1.0
        after = network(image).illuminant
        last.bias[14] -= 1.0
    torch.testing.assert_close(before.weights, after.weights)
    assert (after.cct > before.cct + 100).all()


def test_starts_at_a_plausible_face(network: BioFaceNet) -> None:
    with torch.no_grad():
        found = network(torch.full((1, 3, 64, 64), 0.3))
        image = found.render()
    assert 0.05 < image.mean() < 0.9
    assert 5500 < found.illuminant.cct < 7500


@pytest.mark.parametrize("shape", [(1, 3, 60, 64), (1, 1, 64, 64), (3, 64, 64)])
def test_other_shapes_are_refused(network: BioFaceNet, shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="divisible by 16"):
        network(torch.zeros(shape))


def test_saved_network_gives_the_same_maps(network: BioFaceNet, tmp_path: Path) -> None:
    mean = (0.4, 0.3, 0.2)
    own = BioFaceNet("small", image_mean=mean).eval()
    own.save_pretrained(tmp_path / "model")
    again = BioFaceNet.from_pretrained(tmp_path / "model")
    image = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(own(image).melanin, again(image).melanin, atol=0, rtol=0)
    torch.testing.assert_close(again.image_mean.flatten(), torch.tensor(mean))
    torch.testing.assert_close(network.image_mean.flatten(), torch.tensor(PUBLISHED_IMAGE_MEAN))
    assert not again.training


def test_a_network_keeps_its_skin(tmp_path: Path) -> None:
    own = BioFaceNet("small", skin="measured").eval()
    own.save_pretrained(tmp_path / "model")
    again = BioFaceNet.from_pretrained(tmp_path / "model")
    assert again.skin == "measured"
    with torch.no_grad():
        assert again(torch.rand(1, 3, 64, 64)).skin == "measured"
    # One from before there were skins is of the published one.
    config = json.loads((tmp_path / "model" / "config.json").read_text())
    del config["skin"]
    (tmp_path / "model" / "config.json").write_text(json.dumps(config))
    assert BioFaceNet.from_pretrained(tmp_path / "model").skin == "published"
    with pytest.raises(ValueError, match="skin must be one of"):
        BioFaceNet("small", skin="other")  # type: ignore[arg-type]


def test_a_failed_save_keeps_the_earlier_network(
    network: BioFaceNet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    network.save_pretrained(tmp_path / "model")
    before = {path.name: path.read_bytes() for path in (tmp_path / "model").iterdir()}

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("biofacenet.network.pretrained.save", full)
    with pytest.raises(OSError, match="No space"):
        network.save_pretrained(tmp_path / "model")
    assert {path.name: path.read_bytes() for path in (tmp_path / "model").iterdir()} == before
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def config_of(folder: Path, **changes: object) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def poison(folder: Path) -> None:
    network = BioFaceNet("small")
    next(network.parameters()).data[0] = float("nan")
    network.write(folder)


DAMAGES = {
    "missing folder": (lambda f: f.rename(f.with_name("gone")), "no such folder"),
    "no weights": (lambda f: (f / "model.safetensors").unlink(), "missing"),
    "no config": (lambda f: (f / "config.json").unlink(), "missing"),
    "config not JSON": (lambda f: (f / "config.json").write_text("{"), "not JSON"),
    "config of something else": (lambda f: (f / "config.json").write_text("[]"), "form"),
    "other format": (lambda f: config_of(f, format="x"), "form"),
    "unknown size": (lambda f: config_of(f, size="huge"), "'huge'"),
    "unknown skin": (lambda f: config_of(f, skin="other"), "'other'"),
    "other size": (lambda f: config_of(f, size="paper"), "do not fit"),
    "truncated weights": (
        lambda f: (f / "model.safetensors").write_bytes(
            (f / "model.safetensors").read_bytes()[:5000]
        ),
        "damaged",
    ),
    "weights are text": (lambda f: (f / "model.safetensors").write_text("hello"), "damaged"),
    "NaN weights": (poison, "NaN"),
    "Git LFS pointer": (
        lambda f: (f / "model.safetensors").write_text(
            "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 3480244\n"
        ),
        "git lfs pull",
    ),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_damaged_networks_are_told_in_one_line(
    network: BioFaceNet, tmp_path: Path, name: str
) -> None:
    folder = tmp_path / "model"
    network.save_pretrained(folder)
    damage, pattern = DAMAGES[name]
    damage(folder)
    with pytest.raises(ModelError, match=pattern) as caught:
        BioFaceNet.from_pretrained(folder)
    assert "\n" not in str(caught.value)
    assert str(folder) in str(caught.value)


def test_a_hub_name_without_the_hub_package_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(ModelError, match=r"owner/name.*biofacenet\[hub\]"):
        BioFaceNet.from_pretrained("owner/name")


def test_a_tilde_is_the_home_folder(
    network: BioFaceNet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    network.save_pretrained(tmp_path / "model")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert BioFaceNet.from_pretrained("~/model").size == "small"
    with pytest.raises(ModelError, match="no such folder"):
        BioFaceNet.from_pretrained("~/none/at/all")
    with pytest.raises(ModelError, match="no such folder"):
        BioFaceNet.from_pretrained("~no_such_person/none/at")


def test_others_may_read_what_is_saved(network: BioFaceNet, tmp_path: Path) -> None:
    (tmp_path / "usual").touch()
    network.save_pretrained(tmp_path / "model")
    modes = {path.stat().st_mode & 0o777 for path in (tmp_path / "model").iterdir()}
    assert modes == {(tmp_path / "usual").stat().st_mode & 0o777}


def test_half_the_size_and_nearly_the_same_numbers(tmp_path: Path) -> None:
    network = BioFaceNet("small").eval()
    network.save_pretrained(tmp_path / "whole")
    network.save_pretrained(tmp_path / "half", half=True)
    sizes = [(tmp_path / kind / "model.safetensors").stat().st_size for kind in ("whole", "half")]
    assert sizes[1] == pytest.approx(sizes[0] / 2, rel=0.01)
    again = BioFaceNet.from_pretrained(tmp_path / "half")
    for (name, ours), other in zip(
        network.state_dict().items(), again.state_dict().values(), strict=True
    ):
        assert other.dtype == torch.float32
        torch.testing.assert_close(ours, other, rtol=5e-4, atol=1e-7, msg=name)


def test_weights_that_come_with_the_package() -> None:
    network = BioFaceNet.from_pretrained("small")
    assert network.size == "small"
    assert not network.training
    assert SHIPPED["small"].is_relative_to(Path(biofacenet.__file__).parent)
    assert (SHIPPED["small"] / "model.safetensors").stat().st_size < 10e6


@pytest.mark.parametrize("shape", [(2, 3, 32, 48), (1, 3, 37, 50)])
def test_decompose_takes_any_size(network: BioFaceNet, shape: tuple[int, ...]) -> None:
    image = torch.rand(shape, generator=torch.Generator().manual_seed(2))
    found = network.decompose(image)
    assert found.melanin.shape == (shape[0], 1, *shape[2:])
    height, width = (-(-side // 16) * 16 for side in shape[2:])

    def alone(image: torch.Tensor) -> Decomposition:
        wide = image[:, :, :, [min(i, shape[3] - 1) for i in range(width)]]
        with torch.no_grad():
            return network(wide[:, :, [min(i, shape[2] - 1) for i in range(height)]])

    seen, mirrored = alone(image), alone(image.flip(3))
    other = mirrored.diffuse[..., : shape[2], : shape[3]].flip(3)
    mean = (seen.diffuse[..., : shape[2], : shape[3]] + other) / 2
    torch.testing.assert_close(found.diffuse, mean)
    torch.testing.assert_close(found.camera, (seen.camera + mirrored.camera) / 2)


@pytest.mark.parametrize("width", [48, 50, 51])
def test_mirrored_images_have_mirrored_maps(width: int) -> None:
    image = torch.rand(1, 3, 40, width, generator=torch.Generator().manual_seed(2))
    network = BioFaceNet.from_pretrained("small")
    one, other = network.decompose(image), network.decompose(image.flip(3))
    assert (one.melanin - one.melanin.flip(3)).abs().max() > 1e-2  # there is something to mirror
    for name in ("melanin", "haemoglobin", "diffuse", "specular"):
        torch.testing.assert_close(getattr(one, name).flip(3), getattr(other, name))
    torch.testing.assert_close(one.spectrum(), other.spectrum())


@pytest.mark.parametrize("factor", [0.5, 0.1, 1.7])
def test_other_exposures_have_other_shadings_alone(factor: float) -> None:
    image = 0.1 + 0.4 * torch.rand(1, 3, 48, 48, generator=torch.Generator().manual_seed(2))
    network = BioFaceNet.from_pretrained("small")
    one, other = network.decompose(image), network.decompose(factor * image)
    for name in ("melanin", "haemoglobin"):
        torch.testing.assert_close(getattr(one, name), getattr(other, name))
    for name in ("diffuse", "specular"):
        torch.testing.assert_close(factor * getattr(one, name), getattr(other, name))
    torch.testing.assert_close(factor * one.render(), other.render())


@pytest.mark.parametrize("size", ["small", "paper"])
def test_maps_that_have_run_away_begin_again_and_others_stay(size: str) -> None:
    network, new = BioFaceNet(size).eval(), BioFaceNet(size).eval()
    new.load_state_dict(network.state_dict())
    heads = [decoder.head for decoder in network.decoders.values()]
    with torch.no_grad():
        for head in heads:
            head.bias += torch.tensor([0.0, 30.0, 1.0, -30.0])[: len(head.bias)]
        if size == "paper":
            for head, push in zip(heads, (0.0, 30.0, 1.0, -30.0), strict=True):
                head.bias.fill_(push)
    before = torch.cat([head.bias.detach().clone() for head in heads])
    begin = torch.tensor([0.0, 0.0, math.log(2.0), math.log(0.02)])
    network.bring_back(before)
    after = torch.cat([head.bias.detach() for head in heads])
    torch.testing.assert_close(after[[1, 3]], begin[[1, 3]])
    torch.testing.assert_close(after[[0, 2]], before[[0, 2]], rtol=0, atol=0)


def test_matt_faces_are_left_at_the_end_of_the_range() -> None:
    """Photos through crossed polarisers have no highlights; that is no reason to begin again."""
    network = BioFaceNet("small")
    (decoder,) = network.decoders.values()
    before = decoder.head.bias.detach().clone()
    network.bring_back(torch.tensor([0.0, 0.0, 0.7, math.log(1e-3) - 1.0]))
    assert torch.equal(decoder.head.bias, before)


@pytest.mark.parametrize(
    ("number", "remedy"), [(1, r"train anew, or install biofacenet 0\.1"), (2, "train anew$")]
)
def test_a_small_network_of_an_earlier_version_is_told(
    network: BioFaceNet, tmp_path: Path, number: int, remedy: str
) -> None:
    network.save_pretrained(tmp_path / "model")
    config_of(tmp_path / "model", format=f"biofacenet network {number}")
    with pytest.raises(ModelError, match=f"small network of an earlier version.*{remedy}"):
        BioFaceNet.from_pretrained(tmp_path / "model")


def test_a_paper_network_of_an_earlier_version_is_read(tmp_path: Path) -> None:
    paper = BioFaceNet("paper").eval()
    paper.save_pretrained(tmp_path / "model")
    config_of(tmp_path / "model", format="biofacenet network 1")
    again = BioFaceNet.from_pretrained(tmp_path / "model").state_dict()
    assert all(torch.equal(values, again[name]) for name, values in paper.state_dict().items())


def test_maps_have_no_frame() -> None:
    """An even picture gives even maps, up to the edge."""
    torch.manual_seed(3)
    network = BioFaceNet("small").eval()
    with torch.no_grad():
        for parameter in network.decoders.parameters():
            parameter *= 1.5
        found = network(torch.tensor([0.4, 0.3, 0.2]).view(1, 3, 1, 1).expand(1, 3, 64, 64))
    for values in (found.melanin, found.haemoglobin, found.diffuse, found.specular):
        middle = values[..., 32, 32].view(1, 1, 1, 1).expand_as(values)
        torch.testing.assert_close(values, middle, rtol=1e-3, atol=1e-4)
