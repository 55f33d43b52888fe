"""Head models are read in both forms, and refused in one line where they are none."""

import json
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_heads import TinyModel, tiny_model

from biofacenet.data.pair_files import find_pairs
from biofacenet.data.pairs import FacePairs
from biofacenet.data.synthetic.faces import generate
from biofacenet.data.synthetic.heads import objects, packed
from biofacenet.data.synthetic.heads.model import LICENCE
from biofacenet.data.synthetic.heads.objects import NEUTRAL, read_objects
from biofacenet.data.synthetic.heads.packed import read_packed
from biofacenet.data.synthetic.heads.reading import find_model, read_heads
from biofacenet.errors import DataError
from biofacenet.preparation.settings import SyntheticSettings
from biofacenet.preparation.synthetic import synthesize
from biofacenet.system.settings import load_settings


def test_both_forms_hold_the_same_model(tmp_path: Path) -> None:
    model = tiny_model()
    one = read_packed(model.write_packed(tmp_path / "model.npz"))
    other = read_objects(model.write_objects(tmp_path / "FaceXModel"))
    for name in ("neutral", "identity", "uv"):
        ours, theirs = getattr(one, name), getattr(other, name)
        np.testing.assert_allclose(ours, theirs, atol=2e-5, equal_nan=True)
    assert set(one.expression) == set(other.expression) == {"jawOpen", "eyeLookUp_L"}
    for name, shape in one.expression.items():
        np.testing.assert_allclose(other.expression[name], shape, atol=2e-5)

    def corners(triangles: np.ndarray, material: np.ndarray) -> set[tuple]:
        return {
            (*map(int, corner), str(kind)) for corner, kind in zip(triangles, material, strict=True)
        }

    assert corners(one.triangles, one.material) == corners(other.triangles, other.material)
    assert np.array_equal(one.landmarks, other.landmarks)
    assert set(one.material) == {"face", "back", "eye"}  # no lashes


def test_a_model_is_found_by_any_of_its_names(tmp_path: Path) -> None:
    folder = tiny_model().write_objects(tmp_path / "FaceXModel")
    packed_in = tmp_path / "packed"
    packed_in.mkdir()
    file = tiny_model().write_packed(packed_in / "some.npz")
    assert find_model(folder) == find_model(tmp_path) == folder
    assert find_model(file) == find_model(packed_in) == file
    assert read_heads(file) is read_heads(str(file))  # once in a process


def changed(**arrays: object) -> Callable[[Path], Path]:
    """Other arrays in the packed form; without those that are None."""

    def write(folder: Path) -> Path:
        found = {**tiny_model().arrays(), **arrays}
        np.savez(folder / "model.npz", **{k: v for k, v in found.items() if v is not None})
        return folder / "model.npz"

    return write


def text_instead(name: str, text: str | bytes) -> Callable[[Path], Path]:
    """Another file in the folder form."""

    def write(folder: Path) -> Path:
        model = tiny_model().write_objects(folder / "FaceXModel")
        (model / name).write_bytes(text if isinstance(text, bytes) else text.encode())
        return model

    return write


def without(name: str) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        model = tiny_model().write_objects(folder / "FaceXModel")
        (model / name).unlink()
        return model

    return write


def file_of(content: bytes) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        (folder / "model.npz").write_bytes(content)
        return folder / "model.npz"

    return write


def cut(folder: Path) -> Path:
    path = tiny_model().write_packed(folder / "model.npz")
    path.write_bytes(path.read_bytes()[:-2000])
    return path


WHOLE = tiny_model()
ARRAYS = WHOLE.arrays()
COUNT = len(WHOLE.neutral)
NAN = np.full_like(ARRAYS["neutral"], np.nan)
PICKLED = np.array([{"a": 1}], dtype=object)

REFUSED: dict[str, tuple[Callable[[Path], Path], str]] = {
    "nothing": (lambda folder: folder / "none", "no such file or folder"),
    "an empty folder": (lambda folder: folder, "holds no head model"),
    "a text": (file_of(b"hello"), "not a readable head model"),
    "an empty file": (file_of(b""), "not a readable head model"),
    "cut": (cut, "not a readable head model"),
    "other arrays": (changed(neutral=None), "not a head model: .*neutral"),
    "pickled": (changed(material_names=PICKLED), "not a readable head model"),
    "text for numbers": (changed(neutral=np.array([["a"]])), "neutral holds <U1"),
    "flat": (changed(neutral=ARRAYS["neutral"][:, 0]), "neutral holds float32 of shape"),
    "NaN": (changed(neutral=NAN), "neutral holds NaN"),
    "huge": (changed(neutral=1e6 * ARRAYS["neutral"]), "NaN, infinite or huge"),
    "another count": (changed(neutral=ARRAYS["neutral"][:-3]), "polygons names rows"),
    "two columns": (changed(identity=ARRAYS["identity"][:, :, :2]), "identity 0 has shape"),
    "no names": (changed(expression_names=np.array(["a"])), "sizes do not fit"),
    "polygons": (changed(polygons=ARRAYS["polygons"] + COUNT), "polygons names rows"),
    "gaps": (changed(polygons=np.roll(ARRAYS["polygons"], 1, axis=1)), "polygons names rows"),
    "material": (changed(material=ARRAYS["material"] + 9), "material names rows"),
    "landmarks": (changed(landmarks68=ARRAYS["landmarks68"] + COUNT), "landmarks name vert"),
    "five landmarks": (changed(landmarks68=ARRAYS["landmarks68"][:5]), "5 landmarks"),
    "another model": (changed(material_names=np.array(list("abcde"))), "no polygon of material"),
    "neutral missing": (without(NEUTRAL), "holds no head model"),
    "indices missing": (without("vertex_indices.json"), "vertex_indices.json: missing"),
    "no indices": (text_instead("vertex_indices.json", "{}"), "no list idx_to_landmark_verts"),
    "words as indices": (
        text_instead("vertex_indices.json", json.dumps({"idx_to_landmark_verts": ["a"]})),
        "no list idx_to_landmark_verts",
    ),
    "words as numbers": (text_instead(NEUTRAL, "v a b c\nf 1 2 3\n"), "cannot be read"),
    "no polygons": (text_instead(NEUTRAL, "v 0 0 0\n"), "no polygons"),
    "a pentagon": (text_instead(NEUTRAL, "v 0 0 0\nf 1 1 1 1 1\n"), "line 2 .*5 corners"),
    "a short line": (text_instead(NEUTRAL, "v 0 0 0\nusemtl\nf 1 1 1\n"), "line 2 cannot"),
    "bytes": (text_instead("jawOpen.obj", b"v \xff\n"), "jawOpen.obj: cannot be read"),
    "a shape of others": (text_instead("jawOpen.obj", "v 0 0 0\n"), "1 vertices; expected"),
    "half a vertex": (text_instead("jawOpen.obj", "v 0 0\n"), "jawOpen.obj: cannot be read"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_head_model_is_refused_in_a_line(name: str, tmp_path: Path) -> None:
    write, cause = REFUSED[name]
    with pytest.raises(DataError, match=cause) as told:
        read_heads(write(tmp_path))
    assert "\n" not in str(told.value)
    assert str(told.value).startswith(str(tmp_path))


def test_an_archive_that_unpacks_to_much_is_not_unpacked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "model.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("neutral.npy", bytes(8 * 1024**2))
    monkeypatch.setattr(packed, "MOST_BYTES", 4 * 1024**2)
    monkeypatch.setattr(np, "load", pytest.fail)
    with pytest.raises(DataError, match="unpacks to 8 MB; a head model takes less than 4"):
        read_packed(path)


def test_a_file_of_a_folder_that_is_large_is_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tiny_model().write_objects(tmp_path / "FaceXModel")
    monkeypatch.setattr(objects, "MOST_BYTES", 1000)
    with pytest.raises(DataError, match="a file of a head model has less"):
        read_objects(folder)


def test_textures_need_not_be_of_vertices(tmp_path: Path) -> None:
    """Polygons have texture coordinates of their own, in another order."""
    arrays = tiny_model().arrays()
    back = arrays["uv"][::-1]
    corners = arrays["polygons"]
    arrays |= {"uv": back, "polygon_uv": np.where(corners >= 0, COUNT - 1 - corners, -1)}
    np.savez(tmp_path / "model.npz", **arrays)
    found = read_packed(tmp_path / "model.npz").uv
    face = np.unique(corners[arrays["material"] == 0])
    face = face[face >= 0]
    np.testing.assert_allclose(found[face], WHOLE.uv[face], atol=1e-6)


def test_a_model_without_movements_is_read(tmp_path: Path) -> None:
    model: TinyModel = replace(tiny_model(), expression={"jawOpen": np.zeros((COUNT, 3))})
    assert len(read_heads(model.write_packed(tmp_path / "model.npz")).expression) == 1


def test_the_licence_of_a_model_is_named_where_it_is_used(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = tiny_model().write_packed(tmp_path / "model.npz")
    out = tmp_path / "set"
    settings = SyntheticSettings(
        out=out, count=2, holdout=1, size=16, heads=model, skin="measured", workers=0
    )
    synthesize(settings)
    assert LICENCE in capsys.readouterr().out.replace("\n", " ")
    assert json.loads((out / "settings.json").read_text())["notes"] == {"heads": LICENCE}
    assert load_settings(SyntheticSettings, out / "settings.json") == settings
    geometry = FacePairs(find_pairs(out), geometry=True).read([0, 1, 2]).geometry
    assert geometry is not None
    expected = generate([0, 1, 2], size=16, heads=model, skin="measured").geometry
    assert expected is not None
    assert torch.equal(geometry.parts[:2], expected.parts[:2])
    torch.testing.assert_close(geometry.landmarks, expected.landmarks)


def test_a_refused_model_leaves_no_folder(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such file or folder"):
        synthesize(SyntheticSettings(out=tmp_path / "set", heads=tmp_path / "none"))
    assert not (tmp_path / "set").exists()
