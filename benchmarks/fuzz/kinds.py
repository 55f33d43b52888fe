"""What is damaged, and what reads it."""

from __future__ import annotations

import importlib.util
import io
import json
import sys
import tempfile
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import scipy.io
import torch

from biofacenet import BioFaceNet, Decomposition, Illuminant, edit, fit, predict
from biofacenet.data.pair_files import find_pairs
from biofacenet.data.pairs import FacePairs
from biofacenet.data.spectra import read_spectra
from biofacenet.data.synthetic.heads.objects import read_objects
from biofacenet.data.synthetic.heads.packed import read_packed
from biofacenet.data.synthetic.heads.prepared import PreparedModel
from biofacenet.data.truth import RANGES, read_truth
from biofacenet.evaluation.iset_files import read_scene
from biofacenet.photos.reading import read_photo
from biofacenet.physics.names import ILLUMINANT_NAMES
from biofacenet.physics.rebuilding import read_camera_database
from biofacenet.physics.tables import Tables, read_mat
from biofacenet.preparation.people import read_folder
from biofacenet.system.settings import load_settings, save_settings
from biofacenet.training.settings import Settings

from .photos import photos

__all__ = ["KINDS", "Kind"]

Files = dict[str, bytes]
"""Of a folder, by name."""


@dataclass(frozen=True)
class Kind:
    """A kind of file."""

    wholes: Callable[[], dict[str, bytes]]
    """Whole files, one of which is damaged, by name."""
    read: Callable[[Path], object]
    """Reads the damaged one, given its path."""
    beside: Callable[[], Files] = dict
    """What lies beside it."""


def _files(write: Callable[[Path], object]) -> Files:
    """What something writes into an empty folder."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write(folder)
        return {path.name: path.read_bytes() for path in sorted(folder.iterdir()) if path.is_file()}


# Pairs and truth -----------------------------------------------------------------------------

COUNT, SIDE = 3, 16
IMAGES, LIGHTING = "zx_7_d10_inmc_celebA_01.hdf5", "zx_7_d3_lrgb_celebA_01.hdf5"
TRUTH = "zx_7_truth_celebA_01.hdf5"


def _channels() -> np.ndarray:
    values = np.random.default_rng(1).uniform(size=(COUNT, 10, SIDE, SIDE))
    values[:, 6] = values[:, 6] > 0.4
    return values


def _hdf5(name: str, values: np.ndarray, **options: object) -> bytes:
    def write(folder: Path) -> None:
        with h5py.File(folder / name, "w") as file:
            file.create_dataset("zx_7", data=values, **options)

    return _files(write)[name]


@cache
def _pairs() -> Files:
    one = (1, 10, SIDE, SIDE)
    stored = {
        "plain": _hdf5(IMAGES, _channels()),
        "packed": _hdf5(
            IMAGES, _channels().astype("f4"), chunks=one, compression="gzip", shuffle=True
        ),
        "checked": _hdf5(
            IMAGES, _channels().astype("f4"), chunks=one, compression="lzf", fletcher32=True
        ),
        "whole": _hdf5(IMAGES, (65535 * _channels()).astype("u2")),
        "other_end": _hdf5(IMAGES, _channels().astype(">f4")),
    }
    # The name says which of them it is; all are called the same when they are read.
    return {f"{name}/{IMAGES}": content for name, content in stored.items()} | {
        f"lighting/{LIGHTING}": _hdf5(LIGHTING, np.zeros((COUNT, 3, 9)))
    }


def _beside_pairs() -> Files:
    return {IMAGES: _hdf5(IMAGES, _channels()), LIGHTING: _hdf5(LIGHTING, np.zeros((COUNT, 3, 9)))}


def _read_pairs(path: Path) -> object:
    return FacePairs(find_pairs(path.parent)).read([2, 0, 1])


@cache
def _truths() -> Files:
    shapes: dict[str, tuple[int, ...]] = dict.fromkeys(RANGES, (COUNT, 1, SIDE, SIDE))
    shapes |= {
        "illuminant_weights": (COUNT, len(ILLUMINANT_NAMES)),
        "cct": (COUNT,),
        "camera": (COUNT, 2),
    }

    def write(folder: Path, kind: str) -> None:
        with h5py.File(folder / TRUTH, "w") as file:
            file.attrs["skin"] = "measured"
            for name, shape in shapes.items():
                value = {"cct": 6500.0, "illuminant_weights": 1 / len(ILLUMINANT_NAMES)}.get(
                    name, 0.5
                )
                file.create_dataset(name, data=np.full(shape, value, kind))

    return {f"{kind}/{TRUTH}": _files(partial(write, kind=kind))[TRUTH] for kind in ("f4", "f8")}


def _read_truth(path: Path) -> object:
    return read_truth(find_pairs(path.parent)[0], [2, 0, 1])


# Networks, maps, settings --------------------------------------------------------------------


@cache
def _network() -> Files:
    torch.manual_seed(0)
    found = _files(BioFaceNet("small").save_pretrained)
    config = json.loads(found["config.json"])
    del config["sha256"]  # else no damage would be met but by that
    return found | {"config.json": json.dumps(config).encode()}


def _maps() -> Files:
    plane = torch.full((1, 1, 12, 10), 0.5)
    four = (plane, plane.clone(), plane.clone(), plane.clone())
    maps = Decomposition(*four, Illuminant.standard("D65"), torch.zeros(1, 2))
    found = _files(lambda folder: maps.save(folder / "maps.npz"))

    def write(folder: Path) -> None:
        arrays: dict[str, Any] = {"format": np.array("biofacenet decomposition 1"), **maps.arrays()}
        np.savez(folder / "plain.npz", **arrays)

    return {name: _undated(content) for name, content in (found | _files(write)).items()}


def _undated(archive: bytes) -> bytes:
    """A ZIP archive with the same members, of one date: damage is then the same another day."""
    found = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(archive)) as old, zipfile.ZipFile(found, "w") as new:
        for member in old.infolist():
            dateless = zipfile.ZipInfo(member.filename)
            new.writestr(dateless, old.read(member), compress_type=member.compress_type)
    return found.getvalue()


PHOTO = (Path("a.png"),)

COMMANDS = {
    "train": Settings(),
    "predict": predict.Settings(),
    "fit": fit.Settings(photos=PHOTO),
    "edit": edit.Settings(sources=PHOTO),
}


def _settings() -> Files:
    def write(folder: Path) -> None:
        for name, settings in COMMANDS.items():
            save_settings(settings, folder / f"{name}.json")

    return _files(write)


def _read_settings(path: Path) -> object:
    name = path.name.removesuffix(".json")
    return load_settings(type(COMMANDS[name]), path)


# Tables --------------------------------------------------------------------------------------


POINTS = 189


def _tables() -> Files:
    waves = range(400, 730, 10)
    lines = ["wavelength,anna cheek,ben cheek", "group,light,dark"]
    lines += [f"{wave},{0.2 + wave / 4000:.3f},{wave / 5000:.3f}" for wave in waves]
    points = ["image", *(f"{axis}{number}" for number in range(POINTS) for axis in "xy")]
    return {
        "spectra.csv": "\n".join(lines).encode(),
        "spectra.tsv": "\n".join(lines).replace(",", "\t").encode(),
        "people.csv": b"id,group,age\n001,white,30\n002,black,41\n",
        "photos.csv": b"id,photo,expression\n001,a.png,neutral\n002,a.png,smiling\n",
        "landmarks.csv": f"{','.join(points)}\na,{','.join(['3.5'] * (2 * POINTS))}\n".encode(),
        "cameras.txt": b"\n".join(
            [
                b"Camera %d\n" % n + b"\n".join([b" ".join([b"0.%d" % n] * 33)] * 3)
                for n in range(1, 5)
            ]
        ),
    }


def _read_table(path: Path) -> object:
    if path.name.startswith("spectra"):
        return read_spectra(path)
    if path.name == "cameras.txt":
        return read_camera_database(path)
    return read_folder(path.parent)


def _beside_tables() -> Files:
    found = _tables()
    return {name: found[name] for name in ("people.csv", "photos.csv", "landmarks.csv")} | {
        "a.png": photos()["a.png"]
    }


# MATLAB --------------------------------------------------------------------------------------


@cache
def _matlab() -> Files:
    wave, random = np.arange(390.0, 740.0, 10.0), np.random.default_rng(0)
    light = {"wave": wave, "photons": np.full(len(wave), 1e15), "comment": "D65"}
    scene: dict[str, Any] = {
        "mcCOEF": random.uniform(size=(16, 18, 2)),
        "basis": {"basis": random.uniform(size=(len(wave), 2)), "wave": wave},
        "imgMean": np.full(len(wave), 0.1),
        "illuminant": light,
        "comment": "a face",
    }

    def write(folder: Path) -> None:
        scipy.io.savemat(folder / "scene.mat", scene)
        scipy.io.savemat(folder / "scene_packed.mat", scene, do_compression=True)
        scipy.io.savemat(folder / "scene_old.mat", {"mcCOEF": np.ones((16, 18))}, format="4")
        scipy.io.savemat(folder / "camera.mat", {"mu": np.ones((99, 1)), "PC": np.ones((99, 2))})
        scipy.io.savemat(folder / "light.mat", {"illumA": np.ones((1, 33))}, do_compression=True)
        cells = np.empty((1, 3), object)
        for number in range(3):
            cells[0, number] = random.uniform(size=(33, 28))
        scipy.io.savemat(folder / "cells.mat", {"rgbCMF": cells}, do_compression=True)
        with h5py.File(folder / "scene_73.mat", "w", userblock_size=512) as file:
            file["mcCOEF"] = scene["mcCOEF"].T
            for name in ("basis", "illuminant"):
                for key, value in scene[name].items():
                    if isinstance(value, np.ndarray):
                        file[f"{name}/{key}"] = value.T

    return _files(write)


def _read_matlab(path: Path) -> object:
    if path.name.startswith("scene"):
        return read_scene(path)
    if path.name == "cells.mat":
        return read_camera_database(path)
    if path.name == "camera.mat":
        return Tables.from_mat(camera=path)
    read_mat(path)
    return Tables.from_mat(illuminant_a=path)


# Head models ---------------------------------------------------------------------------------

TINY = Path(__file__).resolve().parents[2] / "tests" / "data" / "tiny_heads.py"
"""The model that tests make up."""


@cache
def _heads() -> Files:
    spec = importlib.util.spec_from_file_location("tiny_heads", TINY)
    assert spec is not None
    assert spec.loader is not None
    tiny = importlib.util.module_from_spec(spec)
    sys.modules["tiny_heads"] = tiny
    spec.loader.exec_module(tiny)
    model = tiny.tiny_model()

    def write(folder: Path) -> None:
        model.write_packed(folder / PACKED)
        for path in list(model.write_objects(folder / "objects").iterdir()):
            path.rename(folder / path.name)

    return _files(write)


PACKED = "packed.npz"


def _read_heads(path: Path) -> object:
    """As `read_heads` does, which reads a path only once."""
    return PreparedModel.of(read_packed(path) if path.name == PACKED else read_objects(path.parent))


# All -----------------------------------------------------------------------------------------


def _only(files: Callable[[], Mapping[str, bytes]], name: str) -> Callable[[], Files]:
    return lambda: {name: files()[name]}


def _without(files: Callable[[], Mapping[str, bytes]], name: str) -> Callable[[], Files]:
    return lambda: {key: value for key, value in files().items() if key != name}


KINDS = {
    "photos": Kind(photos, read_photo),
    "pairs": Kind(_pairs, _read_pairs, _beside_pairs),
    "truth": Kind(_truths, _read_truth, _beside_pairs),
    "weights": Kind(
        _only(_network, "model.safetensors"),
        lambda path: BioFaceNet.from_pretrained(path.parent),
        _without(_network, "model.safetensors"),
    ),
    "config": Kind(
        _only(_network, "config.json"),
        lambda path: BioFaceNet.from_pretrained(path.parent),
        _without(_network, "config.json"),
    ),
    "maps": Kind(_maps, Decomposition.load),
    "settings": Kind(_settings, _read_settings),
    "tables": Kind(_tables, _read_table, _beside_tables),
    "matlab": Kind(_matlab, _read_matlab),
    "heads": Kind(_heads, _read_heads, _without(_heads, PACKED)),
}
