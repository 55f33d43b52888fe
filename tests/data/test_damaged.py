"""Damaged inputs of training: one clear line, exit status 2, and every file as it was."""

import contextlib
import hashlib
import json
import random
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from biofacenet import cli
from biofacenet.data.pair_files import find_pairs
from biofacenet.data.pairs import FacePairs
from biofacenet.preparation.settings import SyntheticSettings
from biofacenet.preparation.synthetic import synthesize
from biofacenet.system.files import sha256
from biofacenet.train import main
from biofacenet.training.checkpoints import FILES, checkpoints
from biofacenet.training.loop import train
from biofacenet.training.settings import Settings

IMAGES, LIGHTING = "zx_7_d10_inmc_celebA_01.hdf5", "zx_7_d3_lrgb_celebA_01.hdf5"
PACKED = "zx_7_d10_inmc_celebA_02.hdf5"
SECONDS = 60


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A set as published, float64 in one piece, with a second pair in compressed chunks; and a run."""
    root = tmp_path_factory.mktemp("whole")
    made = root / "made"
    synthesize(SyntheticSettings(out=made, count=16, holdout=0, size=32, workers=0))
    raw = FacePairs(find_pairs(made)).read(range(16))
    data = root / "data"
    data.mkdir()
    for number, options in (("01", {}), ("02", {"chunks": (1, 10, 32, 32), "compression": "gzip"})):
        with h5py.File(data / IMAGES.replace("01", number), "w") as file:
            file.create_dataset("zx_7", data=raw.channels.double().numpy(), **options)
        with h5py.File(data / LIGHTING.replace("01", number), "w") as file:
            file["zx_7"] = raw.lighting.double().numpy()
    train(Settings(data=data, out=root / "run", epochs=2, batch_size=4, device="cpu"))
    return root


def contents(folder: Path) -> dict[str, str]:
    """Every file below a folder, by its name, with a digest."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@contextlib.contextmanager
def deadline() -> Iterator[None]:
    """What takes longer hangs."""

    def stop(number: int, frame: object) -> None:
        pytest.fail(f"still running after {SECONDS} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(SECONDS)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def refused(
    arguments: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> str:
    """The one line that the command says of what is wrong."""
    monkeypatch.setattr(sys, "argv", ["biofacenet.train", *arguments, "--device", "cpu"])
    capsys.readouterr()
    with deadline(), pytest.raises(SystemExit) as ended:
        cli.run(main)
    said = capsys.readouterr().err
    assert ended.value.code == 2, said
    assert said.startswith("error: ")
    assert said.count("\n") == 1
    assert "Traceback" not in said
    return said


# Data ----------------------------------------------------------------------------------------


def cut(name: str, seed: int) -> Callable[[Path], None]:
    """The file ends at a random byte."""

    def damage(data: Path) -> None:
        path = data / name
        length = random.Random(seed).randrange(path.stat().st_size)
        path.write_bytes(path.read_bytes()[:length])

    return damage


def flip_packed(seed: int) -> Callable[[Path], None]:
    """A byte of a compressed sample has other bits."""

    def damage(data: Path) -> None:
        numbers = random.Random(seed)
        with h5py.File(data / PACKED) as file:
            chunk = file["zx_7"].id.get_chunk_info(numbers.randrange(16))
        flip(data / PACKED, chunk.byte_offset + numbers.randrange(chunk.size))

    return damage


def flip(path: Path, place: int) -> None:
    stored = bytearray(path.read_bytes())
    stored[place] ^= 0xFF
    path.write_bytes(stored)


def stored(name: str, make: Callable[[np.ndarray], object]) -> Callable[[Path], None]:
    """Other values in the place of the right ones."""

    def damage(data: Path) -> None:
        with h5py.File(data / name, "a") as file:
            values = file["zx_7"][:]
            del file["zx_7"]
            file["zx_7"] = make(values)

    return damage


def one(value: float) -> Callable[[np.ndarray], np.ndarray]:
    def make(values: np.ndarray) -> np.ndarray:
        values.reshape(len(values), -1)[7, 5] = value
        return values

    return make


def group(data: Path) -> None:
    with h5py.File(data / IMAGES, "a") as file:
        del file["zx_7"]
        file.create_group("zx_7")


def renamed(data: Path) -> None:
    with h5py.File(data / IMAGES, "a") as file:
        file.move("zx_7", "images")


def folder_instead(data: Path) -> None:
    (data / LIGHTING).unlink()
    (data / LIGHTING).mkdir()


def twice(data: Path) -> None:
    for name in (IMAGES, LIGHTING):
        shutil.copy(data / name, data / name.replace("celebA", "other"))


def pair(data: Path) -> None:
    for name in (IMAGES, LIGHTING):
        (data / name).unlink()


RECORD = np.dtype([("a", "f4"), ("b", "f4")])

DATA: dict[str, Callable[[Path], object]] = {
    **{f"images cut {seed}": cut(IMAGES, seed) for seed in range(8)},
    **{f"lighting cut {seed}": cut(LIGHTING, seed) for seed in range(4)},
    **{f"packed cut {seed}": cut(PACKED, seed) for seed in range(4)},
    **{f"packed flipped {seed}": flip_packed(seed) for seed in range(6)},
    "signature flipped": lambda data: flip(data / IMAGES, 1),
    "empty": lambda data: (data / IMAGES).write_bytes(b""),
    "text": lambda data: (data / IMAGES).write_text("not found, sorry"),
    "lighting missing": lambda data: (data / LIGHTING).unlink(),
    "lighting a folder": folder_instead,
    "renamed inside": renamed,
    "a group": group,
    "two sets": twice,
    "strings": stored(IMAGES, lambda values: np.full(len(values), b"face")),
    "integers": stored(IMAGES, lambda values: values.astype(np.int32)),
    "complex": stored(IMAGES, lambda values: values.astype(complex)),
    "records": stored(LIGHTING, lambda values: np.zeros(values.shape, RECORD)),
    "lighting integers": stored(LIGHTING, lambda values: values.astype(np.int64)),
    "a number": stored(IMAGES, lambda values: 5.0),
    "nine channels": stored(IMAGES, lambda values: values[:, :9]),
    "no samples": stored(IMAGES, lambda values: values[:0]),
    "one sample less": stored(LIGHTING, lambda values: values[:-1]),
    "lighting on its side": stored(LIGHTING, lambda values: values.transpose(0, 2, 1)),
    "another size": stored(IMAGES, lambda values: values[:, :, :16, :16]),
    "NaN": stored(IMAGES, one(np.nan)),
    "infinite": stored(IMAGES, one(-np.inf)),
    "lighting NaN": stored(LIGHTING, one(np.nan)),
    "0 to 255": stored(IMAGES, lambda values: 255.0 * values),
    "negative": stored(IMAGES, one(-1.0)),
}


@pytest.mark.parametrize("name", DATA)
def test_damaged_data(
    name: str,
    whole: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    data = tmp_path / "data"
    shutil.copytree(whole / "data", data)
    DATA[name](data)
    before = contents(data)
    options = ["--data", str(data), "--out", str(tmp_path / "run"), "--batch-size", "4"]
    said = refused([*options, "--epochs", "1"], monkeypatch, capsys)
    assert str(data) in said
    assert contents(data) == before


@pytest.mark.parametrize("name", [IMAGES, LIGHTING, PACKED])
def test_flipped_bytes_are_told_or_harmless(name: str, whole: Path, tmp_path: Path) -> None:
    """HDF5 has no checksum of most of its bytes: what is still a face may be trained on."""
    script = tmp_path / "read.py"
    script.write_text(
        "import sys\n"
        "from biofacenet import BioFaceNetError\n"
        "from biofacenet.data.pairs import FacePairs, decode\n"
        "from biofacenet.data.pair_files import find_pairs\n"
        "def main():\n"
        "    for folder in sys.argv[1:]:\n"
        "        try:\n"
        "            pairs = FacePairs(find_pairs(folder))\n"
        "            assert decode(pairs.read(range(len(pairs)))).image.isfinite().all()\n"
        "            print('harmless')\n"
        "        except BioFaceNetError as error:\n"
        "            assert chr(10) not in str(error)\n"
        "            print('told')\n"
        "main()\n"
    )
    numbers = random.Random(name)
    folders = []
    for count in range(12):
        folder = tmp_path / str(count)
        shutil.copytree(whole / "data", folder)
        # Half of them among the first bytes, which say where and what everything is.
        size = (folder / name).stat().st_size
        flip(folder / name, numbers.randrange(2048 if count % 2 else size))
        folders.append(str(folder))
    done = subprocess.run(
        [sys.executable, str(script), *folders], capture_output=True, text=True, timeout=SECONDS
    )
    assert done.returncode == 0, done.stderr
    answers = done.stdout.split()
    assert len(answers) == len(folders)
    assert "told" in answers


# Earlier runs --------------------------------------------------------------------------------


def settings_with(**changes: object) -> Callable[[Path], None]:
    def damage(run: Path) -> None:
        path = run / "settings.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | changes))

    return damage


def each(name: str, damage: Callable[[Path], object]) -> Callable[[Path], object]:
    """In all checkpoints; one that is good would be enough."""
    return lambda run: [damage(path / name) for path in checkpoints(run)]


def half(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def middle(path: Path) -> None:
    flip(path, path.stat().st_size // 2)


def spoilt_weights(path: Path) -> None:
    """Not by accident: the digest fits."""
    weights = load_file(path)
    next(iter(weights.values())).view(-1)[0] = float("nan")
    save_file(weights, path)
    config = path.with_name("config.json")
    config.write_text(json.dumps(json.loads(config.read_text()) | {"sha256": sha256(path)}))
    sign(path.parent)


def sign(folder: Path) -> None:
    """Digests that fit."""
    digests = {name: sha256(folder / name) for name in FILES}
    (folder / "training_state.json").write_text(json.dumps({"sha256": digests}))


def without(key: str) -> Callable[[Path], None]:
    def damage(path: Path) -> None:
        state = torch.load(path, weights_only=True)
        del state[key]
        torch.save(state, path)
        sign(path.parent)

    return damage


RUNS: dict[str, Callable[[Path], object]] = {
    "settings cut": lambda run: half(run / "settings.json"),
    "settings binary": lambda run: (run / "settings.json").write_bytes(bytes(range(128, 256))),
    "settings a list": lambda run: (run / "settings.json").write_text("[1, 2]"),
    "settings missing": lambda run: (run / "settings.json").unlink(),
    "unknown setting": settings_with(speed="fast"),
    "setting of another type": settings_with(epochs="many"),
    "setting out of range": settings_with(average=1.5),
    "data moved": settings_with(data="/nowhere/at/all"),
    "no checkpoint": lambda run: shutil.rmtree(run / "checkpoints"),
    "state cut": each("training_state.pt", half),
    "state flipped": each("training_state.pt", middle),
    "digest of the state missing": each("training_state.json", Path.unlink),
    "digest of the state cut": each("training_state.json", half),
    "state missing": each("training_state.pt", Path.unlink),
    "state without optimiser": each("training_state.pt", without("optimiser")),
    "state without average": each("training_state.pt", without("average")),
    "weights cut": each("model.safetensors", half),
    "weights' header flipped": each("model.safetensors", lambda path: flip(path, 12)),
    "weights flipped": each("model.safetensors", middle),
    "weights NaN": each("model.safetensors", spoilt_weights),
    "config cut": each("config.json", half),
    "config of another size": each(
        "config.json", lambda path: path.write_text(path.read_text().replace("small", "paper"))
    ),
    "config missing": each("config.json", Path.unlink),
}


@pytest.mark.parametrize("name", RUNS)
def test_damaged_run(
    name: str,
    whole: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    run = tmp_path / "run"
    shutil.copytree(whole / "run", run)
    RUNS[name](run)
    before = contents(run)
    said = refused(["--resume", str(run), "--epochs", "3"], monkeypatch, capsys)
    assert str(run) in said or "--average" in said or "/nowhere/at/all" in said
    assert contents(run) == before


@pytest.mark.parametrize("lines", ["", "step,epo", "step\n1\n", "hello\n\x00\n,,,\n"])
def test_damaged_step_table_is_mended(whole: Path, tmp_path: Path, lines: str) -> None:
    run = tmp_path / "run"
    shutil.copytree(whole / "run", run)
    (run / "steps.csv").write_text(lines)
    train(Settings(data=whole / "data", out=run, resume=run, epochs=3, batch_size=4, device="cpu"))
    assert (run / "report.html").is_file()


# Output --------------------------------------------------------------------------------------


@pytest.mark.parametrize("place", ["file", "file/below", "/proc/biofacenet", "/dev/null/run"])
def test_output_that_cannot_be_written(
    place: str,
    whole: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "file").write_text("precious")
    out = tmp_path / place
    options = ["--data", str(whole / "data"), "--batch-size", "4", "--epochs", "1"]
    said = refused([*options, "--out", str(out)], monkeypatch, capsys)
    in_the_way = {"file/below": tmp_path / "file", "/dev/null/run": Path("/dev/null")}
    assert str(in_the_way.get(place, out)) in said
    assert (tmp_path / "file").read_text() == "precious"


@pytest.mark.usefixtures("tiny_pictures")
@pytest.mark.parametrize("size", [100, 20_000, 300_000, 5_000_000, 20_000_000])
def test_full_disk(size: int, whole: Path, tmp_path: Path, forked: Callable[..., Any]) -> None:
    """No file may become larger than this, wherever that meets the run."""
    run = tmp_path / "run"
    shutil.copytree(whole / "run", run)
    before = contents(run)

    done = forked("biofacenet.train", "--resume", str(run), "--epochs", "3", largest=size)
    _, errors = done.communicate(timeout=SECONDS)
    assert done.returncode == 2, errors
    assert errors.startswith("error: ")
    assert errors.count("\n") == 1
    after = contents(run)
    kept = [name for name in before if name.startswith(("checkpoints", "model"))]
    assert all(after[name] == before[name] for name in kept)
    assert not list(run.rglob(".partial-*"))
    # It can go on once there is space.
    train(Settings(data=whole / "data", out=run, resume=run, epochs=3, batch_size=4, device="cpu"))
