"""Keeping a decomposition: files, slices, joins, units."""

import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from biofacenet import Decomposition
from biofacenet.errors import DataError


def same(one: Decomposition, two: Decomposition) -> bool:
    pairs = zip(one.arrays().values(), two.arrays().values(), strict=True)
    return all(np.array_equal(a, b) and a.dtype == b.dtype for a, b in pairs)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_saved_and_loaded_is_the_same_and_renders_the_same(
    random_decomposition,
    tmp_path: Path,
    dtype: torch.dtype,  # type: ignore[no-untyped-def]
) -> None:
    d = random_decomposition(3, dtype=dtype)
    d.save(tmp_path / "maps.npz")
    again = Decomposition.load(tmp_path / "maps.npz")
    assert same(d, again)
    assert torch.equal(d.render(), again.render())


def test_a_decomposition_keeps_its_skin(random_decomposition, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    published = random_decomposition()
    d = replace(published, skin="measured")
    assert d[0].skin == d.to(dtype=torch.float32).skin == d.edit(melanin=0.1).skin == "measured"
    assert Decomposition.join([d[0], d[1]]).skin == "measured"
    d.save(tmp_path / "maps.npz")
    assert Decomposition.load(tmp_path / "maps.npz").skin == "measured"
    # Another table, and the same axes.
    assert not torch.allclose(d.render(), published.render(), atol=0.01)
    torch.testing.assert_close(d.trace().linear_srgb, d.render(), atol=1e-6, rtol=0)
    torch.testing.assert_close(d.melanosomes(), published.melanosomes())
    with pytest.raises(ValueError, match="different skins, measured, published"):
        Decomposition.join([d, published])
    with pytest.raises(ValueError, match="skin must be one of"):
        replace(d, skin="other")


def test_files_from_before_there_were_skins_are_of_the_published_one(
    random_decomposition,  # type: ignore[no-untyped-def]
    tmp_path: Path,
) -> None:
    path = tmp_path / "maps.npz"
    d = random_decomposition()
    replace(d, skin="measured").save(path)
    rewrite(path, format=np.array("biofacenet decomposition 1"), skin=None)
    assert Decomposition.load(path).skin == "published"
    assert same(Decomposition.load(path), d)


def test_slices_and_joins(random_decomposition) -> None:  # type: ignore[no-untyped-def]
    d = random_decomposition(4)
    assert len(d) == 4
    assert len(d[1]) == len(d[-1]) == 1
    assert torch.equal(d[-1].camera, d.camera[3:])
    assert same(Decomposition.join([d[0], d[1:3], d[3]]), d)
    torch.testing.assert_close(d[2].render(), d.render()[2:3])
    with pytest.raises(IndexError):
        d[4]


def test_physical_units(random_decomposition) -> None:  # type: ignore[no-untyped-def]
    d = random_decomposition()
    d.melanin.fill_(1.0)
    d.haemoglobin.fill_(-1.0)
    torch.testing.assert_close(d.melanosomes(), torch.full_like(d.melanin, 0.43))
    torch.testing.assert_close(d.blood(), torch.full_like(d.melanin, 0.07e-6))
    d.melanin.fill_(-1.0)
    d.haemoglobin.fill_(1.0)
    torch.testing.assert_close(d.melanosomes(), torch.full_like(d.melanin, 0.43e-6))
    torch.testing.assert_close(d.blood(), torch.full_like(d.melanin, 0.07))


def test_parts_must_fit_together(random_decomposition) -> None:  # type: ignore[no-untyped-def]
    d = random_decomposition()
    with pytest.raises(ValueError, match="diffuse"):
        Decomposition(
            d.melanin, d.haemoglobin, d.diffuse[..., :2], d.specular, d.illuminant, d.camera
        )


def rewrite(path: Path, **changes: object) -> None:
    with np.load(path) as file:
        arrays = {name: file[name] for name in file.files}
    arrays |= changes
    np.savez(path, **{name: value for name, value in arrays.items() if value is not None})


def one_array(path: Path) -> None:
    with path.open("wb") as stream:
        np.save(stream, np.zeros(3))


class Evil:
    def __reduce__(self) -> tuple[object, tuple[Path]]:
        return (Path.touch, (Path("/tmp/biofacenet-was-here"),))


def with_pickle(path: Path) -> None:
    rewrite(path, melanin=np.array([Evil()], dtype=object))


DAMAGES: dict[str, Callable[[Path], object]] = {
    "missing": lambda path: path.unlink(),
    "text": lambda path: path.write_text("hello"),
    "empty": lambda path: path.write_bytes(b""),
    "truncated": lambda path: path.write_bytes(path.read_bytes()[:-40]),
    "one array": one_array,
    "other zip": lambda path: zipfile.ZipFile(path, "w").close(),
    "no camera": lambda path: rewrite(path, camera=None),
    "other shape": lambda path: rewrite(path, diffuse=np.zeros((1, 1, 2, 2))),
    "whole numbers": lambda path: rewrite(path, melanin=np.zeros((2, 1, 4, 5), int)),
    "text values": lambda path: rewrite(path, melanin=np.array(["a"])),
    "pickled code": with_pickle,
    "other normals": lambda path: rewrite(path, normals=np.ones((2, 3, 4, 5), np.float32)),
    "normals elsewhere": lambda path: rewrite(path, normals=np.zeros((2, 3, 2, 2), np.float32)),
    "endless normals": lambda path: rewrite(path, normals=np.full((2, 3, 4, 5), np.nan)),
    "parts above 1": lambda path: rewrite(path, parts=np.ones((2, 9, 4, 5), np.float32)),
    "other parts": lambda path: rewrite(path, parts=np.full((2, 4, 4, 5), 0.25, np.float32)),
    "no skin": lambda path: rewrite(path, skin=None),
    "unknown skin": lambda path: rewrite(path, skin=np.array("other")),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_damaged_files_are_told_in_one_line(
    random_decomposition,
    tmp_path: Path,
    name: str,  # type: ignore[no-untyped-def]
) -> None:
    path = tmp_path / "maps.npz"
    random_decomposition().save(path)
    DAMAGES[name](path)
    with pytest.raises(DataError, match=r"maps\.npz") as caught:
        Decomposition.load(path)
    assert "\n" not in str(caught.value)
    assert not Path("/tmp/biofacenet-was-here").exists()


def test_a_failed_save_keeps_the_earlier_file(
    random_decomposition,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,  # type: ignore[no-untyped-def]
) -> None:
    d, path = random_decomposition(), tmp_path / "maps.npz"
    d.save(path)
    before = path.read_bytes()

    def full(stream, **_):  # type: ignore[no-untyped-def]
        stream.write(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez_compressed", full)
    with pytest.raises(OSError, match="No space"):
        d.save(path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_a_flipped_bit_is_told_or_harmless(random_decomposition, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    """Whatever byte is damaged, loading raises DataError or still gives the same values."""
    d, path = random_decomposition(1, 2, 3), tmp_path / "maps.npz"
    d.save(path)
    whole = path.read_bytes()
    told: list[str] = []
    for place in range(0, len(whole), 3):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 16]) + whole[place + 1 :])
        try:
            again = Decomposition.load(path)
        except DataError as error:
            told.append(str(error))
        else:
            assert same(again, d), place
    assert len(told) > len(whole) / 3 / 4
    assert all("maps.npz" in line and "\n" not in line for line in told)


def test_save_makes_folders_and_says_what_is_in_the_way(
    random_decomposition,  # type: ignore[no-untyped-def]
    tmp_path: Path,
) -> None:
    d, path = random_decomposition(), tmp_path / "new" / "maps.npz"
    d.save(path)
    assert same(Decomposition.load(path), d)
    with pytest.raises(OSError, match=r"maps\.npz"):
        d.save(path / "below")
    with pytest.raises(IsADirectoryError):
        d.save(path.parent)
    assert same(Decomposition.load(path), d)
    assert [item.name for item in tmp_path.rglob("*")] == ["new", "maps.npz"]


@pytest.mark.parametrize("edit", [{"melanin_scale": 20.0}, {"melanin": "+20%"}, {"melanin": 0.8}])
def test_edits_make_no_skin_darker_than_real_skin(random_decomposition, edit) -> None:  # type: ignore[no-untyped-def]
    """The measured skin turns grey beyond; what was darker before stays."""
    d = replace(random_decomposition(4), skin="measured")
    changed = d.edit(**edit).melanin
    assert float(changed[d.melanin < 0.5].max()) == pytest.approx(0.5)
    assert torch.equal(changed[d.melanin > 0.5], d.melanin[d.melanin > 0.5])
    published = replace(d, skin="published").edit(**edit).melanin
    assert float(published.max()) > 0.6
