"""What is read is limited: after unpacking, in depth and in size; limits are named and can be raised."""

import io
import json
import zipfile
import zlib
from pathlib import Path

import h5py
import numpy as np
import pytest
import scipy.io
import torch
from PIL import Image

from biofacenet import BioFaceNet, Decomposition, Illuminant
from biofacenet.data.pair_files import find_pairs
from biofacenet.errors import BioFaceNetError, DataError, ModelError, PhotoError
from biofacenet.evaluation.iset_files import read_scene
from biofacenet.photos.reading import read_photo
from biofacenet.physics.tables import read_mat
from biofacenet.system.limits import GIGABYTES, MEGAPIXELS
from biofacenet.system.settings import load_settings
from biofacenet.training.settings import Settings

DEEP = "[" * 100_000 + "]" * 100_000


def one_line(error: pytest.ExceptionInfo[BioFaceNetError], path: Path, *words: str) -> None:
    message = str(error.value)
    assert "\n" not in message
    assert len(message) < 500
    assert all(word in message for word in (str(path), *words)), message


def decomposition() -> Decomposition:
    plane = torch.full((1, 1, 8, 8), 0.5)
    light = Illuminant.standard("D65")
    return Decomposition(
        plane, plane.clone(), plane.clone(), plane.clone(), light, torch.zeros(1, 2)
    )


# Nested deeply, or too long ------------------------------------------------------------------


@pytest.mark.parametrize("text", [DEEP, '{"a":' * 100_000, '["' + "x" * 2**24 + '"]'])
def test_json(tmp_path: Path, text: str) -> None:
    path = tmp_path / "settings.json"
    path.write_text(text)
    with pytest.raises(BioFaceNetError) as error:
        load_settings(Settings, path)
    one_line(error, path, "not a settings file")
    BioFaceNet("small").save_pretrained(tmp_path / "model")
    path = tmp_path / "model" / "config.json"
    path.write_text(text)
    with pytest.raises(ModelError) as found:
        BioFaceNet.from_pretrained(tmp_path / "model")
    one_line(found, path, "not JSON")


@pytest.mark.parametrize("value", [["small"], {"small": 1}, 3, None, True, [[]], "x" * 9])
@pytest.mark.parametrize("name", ["size", "skin", "format", "sha256"])
def test_a_network_described_in_values_of_other_kinds(
    tmp_path: Path, name: str, value: object
) -> None:
    if name == "sha256" and value is None:
        pytest.skip("of networks from before there was one")
    BioFaceNet("small").save_pretrained(tmp_path)
    path = tmp_path / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {name: value}))
    with pytest.raises(ModelError) as error:
        BioFaceNet.from_pretrained(tmp_path)
    one_line(error, tmp_path)


# Unpacked ------------------------------------------------------------------------------------


def test_maps_that_unpack_to_much(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A small file of many zeros: refused before it is unpacked."""
    path = tmp_path / "maps.npz"
    decomposition().save(path)
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        header, {"descr": "<f4", "fortran_order": False, "shape": (1, 1, 4000, 4000)}
    )
    parts["melanin.npy"] = header.getvalue() + bytes(4 * 4000 * 4000)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    assert path.stat().st_size < 200_000
    monkeypatch.setenv(GIGABYTES, "0.05")
    with pytest.raises(DataError) as error:
        Decomposition.load(path)
    one_line(error, path, "0.064 GB", GIGABYTES)
    monkeypatch.setenv(GIGABYTES, "0.1")
    with pytest.raises(DataError, match="not a readable decomposition"):  # read, and of odd shapes
        Decomposition.load(path)


def mat(path: Path, *, hdf5: bool) -> Path:
    values = np.zeros((1000, 1000))
    if hdf5:
        with h5py.File(path, "w") as file:
            file.create_dataset("x", data=values, compression="gzip")
    else:
        scipy.io.savemat(path, {"x": values}, do_compression=True)
    return path


@pytest.mark.parametrize("hdf5", [False, True])
def test_matlab_files_that_unpack_to_much(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hdf5: bool
) -> None:
    path = mat(tmp_path / "a.mat", hdf5=hdf5)
    assert path.stat().st_size < 100_000
    assert read_mat(path)["x"].shape == (1000, 1000)
    monkeypatch.setenv(GIGABYTES, "0.005")
    for read in (read_mat, read_scene):
        with pytest.raises(DataError) as error:
            read(path)
        one_line(error, path, "GB", GIGABYTES)


def test_matlab_files_with_a_lie_about_their_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What counts is what comes out, not what a header says."""
    path = mat(tmp_path / "a.mat", hdf5=False)
    content = path.read_bytes()
    inner = bytearray(zlib.decompress(content[136:]))
    inner[4:8] = (56).to_bytes(4, "little")
    packed = zlib.compress(bytes(inner))
    path.write_bytes(content[:132] + len(packed).to_bytes(4, "little") + packed)
    monkeypatch.setenv(GIGABYTES, "0.005")
    with pytest.raises(DataError, match=GIGABYTES):
        read_mat(path)


@pytest.mark.parametrize("side", [8192, 10**6])
def test_samples_of_pairs(tmp_path: Path, side: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is read of a sample that would take gigabytes."""
    images = tmp_path / "zx_7_d10_inmc_celebA_01.hdf5"
    with h5py.File(images, "w") as file:
        shape = (1, 10, side, side)
        small = side < 10**4  # then one chunk, of which a byte is there
        chunks = shape if small else (1, 10, 8, 8)
        whole = file.create_dataset("zx_7", shape, "u1", chunks=chunks)
        if small:
            whole.id.write_direct_chunk((0, 0, 0, 0), bytes(1))
    with h5py.File(tmp_path / "zx_7_d3_lrgb_celebA_01.hdf5", "w") as file:
        file["zx_7"] = np.zeros((1, 3, 9))
    with pytest.raises(DataError) as error:
        find_pairs(tmp_path)
    one_line(error, images)
    if side == 8192:
        assert f"{side} x {side}" in str(error.value)
        monkeypatch.setenv(GIGABYTES, "3")
        assert find_pairs(tmp_path)[0].width == side


def test_photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.png"
    Image.new("RGB", (400, 300)).save(path)
    monkeypatch.setenv(MEGAPIXELS, "0.1")
    with pytest.raises(PhotoError) as error:
        read_photo(path)
    one_line(error, path, "400 x 300", "100000 pixels", MEGAPIXELS)
    monkeypatch.setenv(MEGAPIXELS, "0.12")
    assert read_photo(path).width == 400


@pytest.mark.parametrize("text", ["much", "0", "-1", "nan", "inf"])
def test_a_limit_that_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    path = tmp_path / "a.png"
    Image.new("RGB", (400, 300)).save(path)
    monkeypatch.setenv(MEGAPIXELS, text)
    with pytest.raises(BioFaceNetError, match=f"{MEGAPIXELS}={text}: expected a number"):
        read_photo(path)


# Values --------------------------------------------------------------------------------------


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
@pytest.mark.parametrize("name", ["melanin", "specular", "cct", "camera", "illuminant_weights"])
def test_maps_that_hold_no_numbers(tmp_path: Path, name: str, bad: float) -> None:
    path = tmp_path / "maps.npz"
    decomposition().save(path)
    with np.load(path) as file:
        stored = {key: file[key].copy() for key in file.files}
    stored[name].flat[0] = bad
    np.savez(path, **stored)
    with pytest.raises(DataError) as error:
        Decomposition.load(path)
    one_line(error, path, name, "NaN")


def test_maps_of_integers(tmp_path: Path) -> None:
    path = tmp_path / "maps.npz"
    decomposition().save(path)
    with np.load(path) as file:
        stored = {key: file[key] for key in file.files}
    np.savez(path, **(stored | {"melanin": stored["melanin"].astype(np.int64)}))
    with pytest.raises(DataError, match="no floating point"):
        Decomposition.load(path)
