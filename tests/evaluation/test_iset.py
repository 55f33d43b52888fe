"""ISET scenes: written by the tests, read, inverted, and photographed."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch
from scipy.io import savemat

from biofacenet import Decomposition, Tables
from biofacenet.data.synthetic.faces import generate
from biofacenet.errors import DataError
from biofacenet.evaluation.iset import iset_faces
from biofacenet.evaluation.iset_files import Scene, find_scenes, read_scene
from biofacenet.fitting.hyperspectral import invert
from biofacenet.physics.skin import look_up
from biofacenet.physics.spectra import WAVELENGTHS

SIDE = 20


def scene(wave: np.ndarray | None = None, *, mean: bool = True) -> dict[str, Any]:
    """Three smooth basis spectra, random coefficients, and the variables of a file."""
    rng = np.random.default_rng(0)
    wave = np.arange(400.0, 721.0, 10.0) if wave is None else wave
    u = (wave - 400.0) / 320.0
    variables = {
        "mcCOEF": rng.uniform(0.5, 1.0, (SIDE, SIDE + 4, 3)),
        "basis": {"basis": np.stack([1.0 + u, u**2, 1.5 - u], axis=1), "wave": wave[:, None]},
        "illuminant": {"wave": wave[:, None], "photons": (2.0 + u)[:, None]},
        "comment": "a face of the test",
    }
    return variables | ({"imgMean": (0.3 * u)[:, None]} if mean else {})


def expected(variables: dict[str, Any]) -> np.ndarray:
    """Reflectance on the file's own wavelengths: (H, W, N)."""
    photons = variables["mcCOEF"] @ variables["basis"]["basis"].T
    mean = variables.get("imgMean")
    photons = photons + (0.0 if mean is None else mean.ravel())
    return photons / variables["illuminant"]["photons"].ravel()


def write_5(path: Path, variables: dict[str, Any]) -> Path:
    savemat(path, variables, format="5")
    return path


def write_73(path: Path, variables: dict[str, Any]) -> Path:
    """As MATLAB does: a header of 512 bytes, structs as groups, arrays transposed, text as codes."""

    def put(group: h5py.Group, name: str, value: Any) -> None:
        if isinstance(value, dict):
            inner = group.create_group(name)
            inner.attrs["MATLAB_class"] = np.bytes_("struct")
            for key, one in value.items():
                put(inner, key, one)
        elif isinstance(value, str):
            codes = np.array([[ord(c)] for c in value], np.uint16)
            group.create_dataset(name, data=codes).attrs["MATLAB_class"] = np.bytes_("char")
        else:
            stored = group.create_dataset(name, data=np.asarray(value).T)
            stored.attrs["MATLAB_class"] = np.bytes_("double")

    with h5py.File(path, "w", userblock_size=512) as file:
        for name, value in variables.items():
            put(file, name, value)
        file.create_group("#refs#")
    with path.open("r+b") as stream:
        stream.write(b"MATLAB 7.3 MAT-file".ljust(128))
    return path


Write = Callable[[Path, dict[str, Any]], Path]


@pytest.mark.parametrize("write", [write_5, write_73])
@pytest.mark.parametrize("mean", [True, False])
def test_both_versions_with_and_without_a_mean(tmp_path: Path, write: Write, mean: bool) -> None:
    variables = scene(mean=mean)
    read = read_scene(write(tmp_path / "face.mat", variables))
    np.testing.assert_allclose(
        read.reflectance().permute(1, 2, 0).numpy(), expected(variables), rtol=1e-12
    )
    assert read.comment == "a face of the test"


@pytest.mark.parametrize("form", ["data", "data.photons"])
@pytest.mark.parametrize("write", [write_5, write_73])
def test_other_places_of_the_illuminant(tmp_path: Path, write: Write, form: str) -> None:
    variables = scene()
    photons = variables["illuminant"].pop("photons")
    variables["illuminant"]["data"] = photons if form == "data" else {"photons": photons}
    read = read_scene(write(tmp_path / "face.mat", variables))
    variables["illuminant"]["photons"] = photons
    np.testing.assert_allclose(
        read.reflectance().permute(1, 2, 0).numpy(), expected(variables), rtol=1e-12
    )


@pytest.mark.parametrize(
    "wave",
    [np.arange(380.0, 801.0, 4.0), np.arange(720.0, 399.0, -10.0), np.arange(415.0, 951.0, 5.0)],
)
def test_other_wavelengths_are_interpolated(tmp_path: Path, wave: np.ndarray) -> None:
    variables = scene(wave)
    read = read_scene(write_5(tmp_path / "face.mat", variables)).reflectance()
    truth = expected(variables)
    order = np.argsort(wave)
    # What is missing at an end is continued.
    at = np.interp(WAVELENGTHS, wave[order], truth[5, 7][order])
    np.testing.assert_allclose(read[:, 5, 7].numpy(), at, rtol=1e-3)


def without(*names: str) -> dict[str, Any]:
    variables = scene()
    place = variables
    for name in names[:-1]:
        place = place[name]
    del place[names[-1]]
    return variables


def changed(**changes: Any) -> dict[str, Any]:
    return scene() | changes


@pytest.mark.parametrize("write", [write_5, write_73])
@pytest.mark.parametrize(
    ("variables", "words"),
    [
        (without("mcCOEF"), "no mcCOEF"),
        (without("basis"), "no basis"),
        (without("basis", "wave"), "no basis.wave"),
        (without("illuminant"), "no illuminant"),
        (without("illuminant", "photons"), "no illuminant.data"),
        (changed(mcCOEF="text"), "no numbers"),
        (changed(mcCOEF=np.full((20, 20, 3), np.nan)), "NaN"),
        (changed(mcCOEF=np.ones((20, 20, 2))), r"expected \(H, W, 3\)"),
        (changed(mcCOEF=np.ones((20, 3))), r"expected \(H, W, 3\)"),
        (changed(mcCOEF=np.ones((4, 20, 3))), "at least"),
        (changed(imgMean=np.ones(7)), "imgMean has 7"),
        (changed(basis={"basis": np.ones((5, 3)), "wave": np.arange(4.0)}), "4 wavelengths"),
        (changed(basis={"basis": np.ones((33, 3)), "wave": np.ones(33)}), "does not rise"),
        (scene(np.linspace(0.4, 0.72, 33)), "nanometres"),
        (scene(np.arange(450.0, 651.0, 10.0)), "from 450 to 650"),
        (changed(illuminant={"wave": np.arange(400.0, 721), "photons": np.zeros(321)}), "no light"),
        (changed(illuminant={"wave": np.arange(3.0), "photons": np.ones(4)}), "4 values for 3"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(
    tmp_path: Path, write: Write, variables: dict[str, Any], words: str
) -> None:
    path = write(tmp_path / "face.mat", variables)
    with pytest.raises(DataError, match=words) as caught:
        read_scene(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("write", [write_5, write_73])
def test_damaged_files(tmp_path: Path, write: Write) -> None:
    path = write(tmp_path / "face.mat", scene())
    whole = path.read_bytes()
    for content in (b"", b"no matrix", whole[: len(whole) // 2], whole[:600]):
        path.write_bytes(content)
        with pytest.raises(DataError, match=r"face\.mat") as caught:
            read_scene(path)
        assert "\n" not in str(caught.value)


def test_places_without_scenes(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no \.mat file"):
        find_scenes(tmp_path)
    with pytest.raises(DataError, match="no such file"):
        read_scene(find_scenes(tmp_path / "face.mat")[0])


def spectra(maps: Decomposition) -> torch.Tensor:
    """Reflectance that shading and highlights leave of the skin: (33, H, W)."""
    skin = look_up(Tables.computed().skin, maps.melanin.double(), maps.haemoglobin.double())
    return (maps.diffuse * skin + maps.specular)[0]


def test_inversion_recovers_maps() -> None:
    face = generate([3], skin="published")
    maps, inside = face.truth, face.mask[0] > 0
    maps.diffuse.mul_(0.3)
    maps.specular.mul_(0.3)
    found = invert(spectra(maps))
    assert found.error[0][inside].max() < 1e-3
    for name, within in (("melanin", 0.01), ("haemoglobin", 0.01)):
        difference = (getattr(found, name) - getattr(maps, name))[0][inside].abs()
        assert difference.quantile(0.99) < within, name
    for name in ("diffuse", "specular"):
        true = getattr(maps, name)[0][inside]
        assert ((getattr(found, name)[0][inside] - true).abs() < 0.01 * true + 1e-3).all(), name


def test_inversion_stays_in_range_on_what_is_no_skin() -> None:
    generator = torch.Generator().manual_seed(0)
    noise = torch.rand(33, 8, 9, generator=generator)
    noise[:, 0] = 0.0
    noise[:, 1] = torch.linspace(1, 0, 33)[:, None]
    found = invert(noise)
    assert found.melanin.shape == (1, 1, 8, 9)
    for name in ("melanin", "haemoglobin"):
        assert getattr(found, name).abs().max() <= 1
    assert min(found.diffuse.min(), found.specular.min()) >= 0
    assert all(plane.isfinite().all() for plane in vars(found).values())
    with pytest.raises(ValueError, match="must have shape"):
        invert(noise[:5])


def test_simulated_multispectral_face(tmp_path: Path) -> None:
    """A face of the model, stored as a scene, is photographed and inverted as it is."""
    maps = generate([5], skin="published").truth
    reflectance = spectra(maps).flatten(1)
    basis, values, coefficients = torch.linalg.svd(reflectance, full_matrices=False)
    kept = (values[:12, None] * coefficients[:12]).reshape(12, 64, 64).permute(1, 2, 0)
    light = np.linspace(1.0, 3.0, 33)
    path = write_73(
        tmp_path / "face.mat",
        {
            "mcCOEF": kept.numpy(),
            "basis": {
                "basis": (basis[:, :12] * torch.from_numpy(light)[:, None]).numpy(),
                "wave": np.array(WAVELENGTHS, float)[:, None],
            },
            "illuminant": {"wave": np.array(WAVELENGTHS, float)[:, None], "photons": light},
        },
    )
    assert isinstance(read_scene(path), Scene)
    ticks: list[int] = []
    faces = iset_faces([path], size=48, tick=ticks.append)
    assert len(faces) == len(ticks) == 1
    rendered = faces.truth.render().clamp(0, 1)
    error = ((rendered - faces.image) * faces.mask).abs()
    # Where a brow ends, a pixel's mean of two skins is not quite a skin.
    assert error.max() < 0.03
    assert error.flatten().quantile(0.98) < 2e-3
    assert faces.mask.mean() > 0.2
