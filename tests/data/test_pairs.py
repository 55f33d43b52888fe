"""The pair reader against files written by hand, and everything that can be wrong with such files."""

import os
import pickle
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from biofacenet.data import Faces
from biofacenet.data.pair_files import find_pairs
from biofacenet.data.pairs import FacePairs, RawBatch, decode
from biofacenet.data.pairs_writing import write_pairs
from biofacenet.data.synthetic.faces import generate
from biofacenet.data.truth import read_truth
from biofacenet.decomposition import Decomposition
from biofacenet.errors import DataError
from biofacenet.physics.illuminant import Illuminant
from biofacenet.preparation.settings import SyntheticSettings
from biofacenet.preparation.synthetic import synthesize

SIZE = 16


def normals_at_random(rng: np.random.Generator, count: int) -> np.ndarray:
    normals = rng.normal(size=(count, 3, SIZE, SIZE))
    return normals / np.linalg.norm(normals, axis=1, keepdims=True)


def write_by_hand(
    folder: Path, number: str, count: int = 7, dtype: type = np.float64, seed: int = 0
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A pair of the published layout, written with h5py alone: channels, lighting, true normals."""
    rng = np.random.default_rng([seed, int(number)])
    normals = normals_at_random(rng, count)
    channels = np.concatenate(
        (
            rng.uniform(size=(count, 3, SIZE, SIZE)),
            (normals + 1) / 2,
            (rng.uniform(size=(count, 1, SIZE, SIZE)) > 0.4).astype(float),
            rng.uniform(size=(count, 3, SIZE, SIZE)),
        ),
        axis=1,
    )
    lighting = rng.normal(size=(count, 3, 9))
    stored = np.round(channels * 255) if dtype == np.uint8 else channels
    with h5py.File(folder / f"zx_7_d10_inmc_celebA_{number}.hdf5", "w") as file:
        file["zx_7"] = stored.astype(dtype)
    with h5py.File(folder / f"zx_7_d3_lrgb_celebA_{number}.hdf5", "w") as file:
        file["zx_7"] = lighting
    return channels, lighting, normals


def scalar_shading(normal: np.ndarray, lighting: np.ndarray) -> float:
    """Shading of one normal, written out from the quadratic form, mean of the channels."""
    c1, c2, c3, c4, c5 = 0.429043, 0.511664, 0.743125, 0.886227, 0.247708
    values = []
    for light in lighting:
        k = np.array(
            [
                [c1 * light[8], c1 * light[4], c1 * light[7], c2 * light[3]],
                [c1 * light[4], -c1 * light[8], c1 * light[5], c2 * light[1]],
                [c1 * light[7], c1 * light[5], c3 * light[6], c2 * light[2]],
                [c2 * light[3], c2 * light[1], c2 * light[2], c4 * light[0] - c5 * light[6]],
            ]
        )
        n = np.append(normal, 1.0)
        values.append(n @ k @ n)
    return max(0.0, float(np.mean(values)))


def test_reads_what_h5py_wrote_in_float64(tmp_path: Path) -> None:
    channels, lighting, normals = write_by_hand(tmp_path, "01")
    batch = decode(FacePairs(find_pairs(tmp_path)).read([3, 0, 3]))
    for place, row in enumerate([3, 0, 3]):
        mask = channels[row, 6:7] > 0.5
        image = channels[row, :3]
        linear = np.where(image <= 0.04045, image / 12.92, ((image + 0.055) / 1.055) ** 2.4)
        np.testing.assert_allclose(batch.image[place], linear, atol=1e-6)
        np.testing.assert_array_equal(batch.mask[place], mask)
        np.testing.assert_allclose(batch.normals[place], normals[row] * mask, atol=1e-6)
        for y, x in [(0, 0), (3, 9), (15, 15)]:
            expected = scalar_shading(normals[row, :, y, x], lighting[row]) * mask[0, y, x]
            assert float(batch.shading[place, 0, y, x]) == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize(
    ("dtype", "tolerance"), [(np.float32, 1e-6), (np.float16, 1e-3), (np.uint8, 1 / 255)]
)
def test_any_float_and_uint8(tmp_path: Path, dtype: type, tolerance: float) -> None:
    channels, _, _ = write_by_hand(tmp_path, "01", dtype=dtype)
    read = FacePairs(find_pairs(tmp_path)).read(range(7))
    np.testing.assert_allclose(read.channels, channels, atol=tolerance)


def test_many_files_are_one_set_in_order(tmp_path: Path) -> None:
    parts = {
        number: write_by_hand(tmp_path, number, count)
        for number, count in (("05", 3), ("20", 5), ("01", 4))
    }
    data = FacePairs(find_pairs(tmp_path))
    joined = np.concatenate([parts[number][0] for number in ("01", "05", "20")])
    assert len(data) == 12
    order = [11, 0, 4, 3, 6, 7, 0]
    np.testing.assert_allclose(data.read(order).channels, joined[order], atol=1e-6)
    middle = FacePairs(find_pairs(tmp_path), start=3, stop=8)
    np.testing.assert_allclose(middle.read(range(5)).channels, joined[3:8], atol=1e-6)


def test_files_are_chosen_by_number_with_or_without_zero(tmp_path: Path) -> None:
    for number in ("01", "05", "20"):
        write_by_hand(tmp_path, number, 2)
    assert [file.number for file in find_pairs(tmp_path, ("20", "5"))] == ["20", "05"]
    with pytest.raises(DataError, match=r"no file numbered '7'.*01, 05, 20"):
        find_pairs(tmp_path, ("7",))


@pytest.mark.parametrize("workers", [0, 2])
def test_loader_gives_every_sample_once_whatever_the_workers(tmp_path: Path, workers: int) -> None:
    first, second = write_by_hand(tmp_path, "01", 5)[0], write_by_hand(tmp_path, "02", 4)[0]
    data = FacePairs(find_pairs(tmp_path))
    data.read([0, 8])  # files already open in this process must not leak into the workers
    loader = DataLoader(
        data,
        batch_size=4,
        shuffle=True,
        num_workers=workers,
        collate_fn=FacePairs.collate,
        multiprocessing_context="fork" if workers else None,
        generator=torch.Generator().manual_seed(1),
    )
    read = torch.cat([batch.channels for batch in loader])
    expected = np.concatenate((first, second)).astype(np.float32)
    found = {sample.tobytes() for sample in read.numpy()}
    assert found == {sample.tobytes() for sample in expected}


def test_in_memory_equals_lazy_and_pickles_without_handles(tmp_path: Path) -> None:
    write_by_hand(tmp_path, "01")
    lazy = FacePairs(find_pairs(tmp_path), start=1)
    kept = FacePairs(find_pairs(tmp_path), start=1, in_memory=True)
    for order in ([0], [5, 2, 2]):
        torch.testing.assert_close(lazy.read(order).channels, kept.read(order).channels)
        torch.testing.assert_close(lazy.read(order).lighting, kept.read(order).lighting)
    again = pickle.loads(pickle.dumps(lazy))
    torch.testing.assert_close(again.read([1]).channels, lazy.read([1]).channels)


@pytest.mark.parametrize("chunked", [False, True])
def test_a_batch_is_read_not_the_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chunked: bool
) -> None:
    path = tmp_path / "zx_7_d10_inmc_celebA_01.hdf5"
    write_by_hand(tmp_path, "01", 50)
    if chunked:
        with h5py.File(path, "a") as file:
            values = file["zx_7"][:]
            del file["zx_7"]
            file.create_dataset("zx_7", data=values, chunks=(1, *values.shape[1:]))
    data = FacePairs(find_pairs(tmp_path))
    with h5py.File(path) as file:
        sample = file["zx_7"][0].nbytes
    bytes_read = {"past HDF5": 0, "through HDF5": 0}
    through, past = h5py.Dataset.read_direct, os.preadv

    def counted_through(self: h5py.Dataset, to: np.ndarray, rows: slice) -> None:
        through(self, to, rows)
        bytes_read["through HDF5"] += to.nbytes

    def counted_past(*arguments: object) -> int:
        count = past(*arguments)
        bytes_read["past HDF5"] += count
        return count

    monkeypatch.setattr(h5py.Dataset, "read_direct", counted_through)
    monkeypatch.setattr(os, "preadv", counted_past)
    data.read([40, 3, 17])
    lights = sum(bytes_read.values()) - 3 * sample
    assert lights == 3 * 27 * 8
    assert bytes_read["through HDF5" if chunked else "past HDF5"] >= 3 * sample


def test_order_and_repeats_within_several_files(tmp_path: Path) -> None:
    """Runs of neighbours, backwards, repeats, across files: each as if read alone."""
    write_by_hand(tmp_path, "01", 7)
    write_by_hand(tmp_path, "02", 5)
    data = FacePairs(find_pairs(tmp_path), start=2)
    for order in ([0, 1, 2, 3], [9, 8, 7], [4, 4, 5], [0, 9, 1, 8, 1], list(range(10))):
        batch = data.read(order)
        for place, index in enumerate(order):
            alone = data.read([index])
            assert torch.equal(batch.channels[place], alone.channels[0])
            assert torch.equal(batch.lighting[place], alone.lighting[0])


def test_a_file_cut_while_it_is_open(tmp_path: Path) -> None:
    write_by_hand(tmp_path, "01", 50)
    data = FacePairs(find_pairs(tmp_path))
    data.read([49])
    path = tmp_path / "zx_7_d10_inmc_celebA_01.hdf5"
    os.truncate(path, path.stat().st_size - 1000)
    with pytest.raises(DataError, match="damaged"):
        data.read([49])


def test_normals_as_stored_is_a_switch_and_gives_other_shading(tmp_path: Path) -> None:
    """The pitfall: stored normals lie in 0..1 and are no unit vectors."""
    channels, _, _ = write_by_hand(tmp_path, "01")
    raw = FacePairs(find_pairs(tmp_path)).read([0])
    right, wrong = decode(raw), decode(raw, normals_encoding="stored")
    inside = right.mask[0, 0] > 0
    torch.testing.assert_close(right.normals[0].norm(dim=0)[inside], torch.ones(int(inside.sum())))
    np.testing.assert_allclose(wrong.normals[0], channels[0, 3:6] * channels[0, 6], atol=1e-6)
    assert not torch.allclose(right.shading, wrong.shading, atol=0.05)


def test_shading_is_clamped_and_zero_outside_the_mask(tmp_path: Path) -> None:
    write_by_hand(tmp_path, "01")
    batch = decode(FacePairs(find_pairs(tmp_path)).read(range(7)))
    assert batch.shading.min() == 0
    assert (batch.shading[batch.mask == 0] == 0).all()
    assert (batch.shading > 0).any()


def test_written_pairs_read_back(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    count = 5
    normals = torch.from_numpy(normals_at_random(rng, count)).float()
    image = torch.rand(count, 3, SIZE, SIZE)
    mask = (torch.rand(count, 1, SIZE, SIZE) > 0.5).float()
    lighting = torch.randn(count, 3, 9)
    maps = [torch.rand(count, 1, SIZE, SIZE) for _ in range(4)]
    weights = torch.softmax(torch.randn(count, 14), dim=1)
    truth = Decomposition(
        *maps,
        Illuminant(weights, torch.full((count,), 6500.0)),
        torch.randn(count, 2).clamp(-2.9, 2.9),  # as far as files may go
    )
    with write_pairs(tmp_path, "07", truth=True) as writer:
        for part in (slice(0, 2), slice(2, 5)):
            writer.append(Faces(image, normals, mask, image, lighting, truth)[part])
        assert not list(tmp_path.glob("*d10*"))  # nothing to be seen before it is whole
    (file,) = find_pairs(tmp_path)
    raw = FacePairs([file]).read(range(count))
    torch.testing.assert_close(raw.channels[:, :3], image)
    torch.testing.assert_close(raw.lighting, lighting)
    torch.testing.assert_close(decode(raw).normals, normals * mask, atol=5e-5, rtol=0)
    order = [4, 1, 1]
    for read, written in zip(
        read_truth(file, order).arrays().values(), truth.arrays().values(), strict=True
    ):
        np.testing.assert_array_equal(read, written[order])


def test_a_failed_writer_leaves_earlier_files_alone(tmp_path: Path) -> None:
    write_by_hand(tmp_path, "01")
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(KeyboardInterrupt), write_pairs(tmp_path, "01", tag="celebA"):
        raise KeyboardInterrupt
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


# What can be wrong ---------------------------------------------------------------------------


def images_of(folder: Path) -> Path:
    return folder / "zx_7_d10_inmc_celebA_01.hdf5"


def lighting_of(folder: Path) -> Path:
    return folder / "zx_7_d3_lrgb_celebA_01.hdf5"


def replace_dataset(path: Path, values: np.ndarray) -> None:
    with h5py.File(path, "w") as file:
        file["zx_7"] = values


def truncate(path: Path, share: float) -> None:
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])


def rename_dataset(path: Path) -> None:
    with h5py.File(path, "a") as file:
        file.move("zx_7", "other")


def set_value(path: Path, value: float) -> None:
    with h5py.File(path, "a") as file:
        file["zx_7"][2, 0, 0] = value


DAMAGES = {
    "no folder": (
        lambda folder: [p.unlink() for p in folder.iterdir()] and folder.rmdir(),
        "no such folder",
    ),
    "empty folder": (lambda folder: [p.unlink() for p in folder.iterdir()], "no image files"),
    "half a pair": (lambda folder: lighting_of(folder).unlink(), "missing"),
    "truncated": (lambda folder: truncate(images_of(folder), 0.5), "truncated"),
    "truncated at the start": (lambda folder: truncate(images_of(folder), 0.0), "HDF5"),
    "not HDF5": (lambda folder: images_of(folder).write_text("hello"), "HDF5"),
    "no zx_7": (lambda folder: rename_dataset(images_of(folder)), "other"),
    "no zx_7 in lighting": (lambda folder: rename_dataset(lighting_of(folder)), "other"),
    "nine channels": (
        lambda folder: replace_dataset(images_of(folder), np.zeros((7, 9, 16, 16))),
        r"\(7, 9, 16, 16\)",
    ),
    "wrong lighting": (
        lambda folder: replace_dataset(lighting_of(folder), np.zeros((7, 27))),
        r"\(7, 27\)",
    ),
    "other count": (
        lambda folder: replace_dataset(lighting_of(folder), np.zeros((6, 3, 9))),
        "7.*6",
    ),
    "no samples": (
        lambda folder: replace_dataset(images_of(folder), np.zeros((0, 10, 16, 16))),
        "N > 0",
    ),
    "text values": (
        lambda folder: replace_dataset(images_of(folder), np.zeros((7, 10, 16, 16), "S3")),
        "floating point",
    ),
    "NaN in an image": (lambda folder: set_value(images_of(folder), np.nan), "sample 2.*NaN"),
    "NaN in lighting": (lambda folder: set_value(lighting_of(folder), np.inf), "sample 2.*NaN"),
    "0..255 floats": (lambda folder: set_value(images_of(folder), 255.0), "255"),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_damaged_files_are_told_in_one_line(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "set"
    folder.mkdir()
    write_by_hand(folder, "01")
    damage, pattern = DAMAGES[name]
    damage(folder)
    with pytest.raises(DataError, match=pattern) as caught:
        FacePairs(find_pairs(folder)).read(range(7))
    assert "\n" not in str(caught.value)
    assert str(folder) in str(caught.value)


def test_two_sets_in_one_folder_are_refused(tmp_path: Path) -> None:
    write_by_hand(tmp_path, "01")
    for path in (images_of(tmp_path), lighting_of(tmp_path)):
        path.with_name(path.name.replace("celebA", "other")).write_bytes(path.read_bytes())
    with pytest.raises(DataError, match="two image files have the number 01"):
        find_pairs(tmp_path)


def test_sizes_do_not_mix(tmp_path: Path) -> None:
    write_by_hand(tmp_path, "01")
    replace_dataset(tmp_path / "zx_7_d10_inmc_celebA_02.hdf5", np.zeros((2, 10, 32, 32)))
    replace_dataset(tmp_path / "zx_7_d3_lrgb_celebA_02.hdf5", np.zeros((2, 3, 9)))
    with pytest.raises(DataError, match="32 x 32"):
        FacePairs(find_pairs(tmp_path))


def test_decoding_follows_the_batch_dtype_and_device() -> None:
    raw = RawBatch(torch.rand(2, 10, 16, 16), torch.rand(2, 3, 9))
    batch = decode(raw)
    assert batch.truth is None
    for name in ("image", "mask", "normals", "shading", "lighting"):
        assert getattr(batch, name).dtype == torch.float32


@pytest.mark.parametrize("in_memory", [False, True])
def test_truth_comes_with_its_own_faces(tmp_path: Path, in_memory: bool) -> None:
    """Of several files, in any order, some of them twice."""
    synthesize(
        SyntheticSettings(out=tmp_path, count=5, holdout=0, per_file=3, size=16, seed=3, workers=0)
    )
    data = FacePairs(find_pairs(tmp_path), truth=True, in_memory=in_memory)
    order = [4, 1, 3, 3, 0]
    raw = data.read(order)
    expected = generate(order, 3, size=16, skin="measured")
    assert raw.truth is not None
    torch.testing.assert_close(raw.channels[:, :3], expected.image)
    for ours, true in zip(raw.truth.arguments(), expected.truth.arguments(), strict=True):
        if isinstance(ours, torch.Tensor):
            torch.testing.assert_close(ours, true)
        else:
            torch.testing.assert_close(ours.weights, true.weights)
            torch.testing.assert_close(ours.cct, true.cct)
    parts = decode(raw).split(5)
    assert torch.equal(parts[2].truth.melanin, raw.truth.melanin[2:3])
    assert FacePairs(find_pairs(tmp_path)).read([0]).truth is None


def test_truth_that_is_not_there_is_told_of(tmp_path: Path) -> None:
    synthesize(SyntheticSettings(out=tmp_path, count=2, holdout=0, size=16, workers=0))
    next(tmp_path.glob("zx_7_truth_*")).unlink()
    with pytest.raises(DataError, match=r"zx_7_truth_synthetic_01\.hdf5: no such file"):
        FacePairs(find_pairs(tmp_path), truth=True).read([0])
