"""Going on with a run: who may, from what, and with which settings."""

import contextlib
import errno
import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import fields, replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import h5py
import pytest
import torch

from biofacenet import BioFaceNet
from biofacenet.errors import BioFaceNetError, ModelError
from biofacenet.preparation.settings import SyntheticSettings
from biofacenet.preparation.synthetic import synthesize
from biofacenet.system import locks
from biofacenet.training import loop
from biofacenet.training.checkpoints import FILES, checkpoints, damage, discard
from biofacenet.training.distributed import Team
from biofacenet.training.loop import train
from biofacenet.training.losses import TERMS
from biofacenet.training.means import Means
from biofacenet.training.resuming import FIXED, make_free_folder, newest
from biofacenet.training.run import learning_rate, set_up
from biofacenet.training.settings import Settings, settings_of_run

pytestmark = pytest.mark.usefixtures("tiny_pictures", "one_thread")
Command = Callable[..., subprocess.CompletedProcess[str]]
SLOWLY = ("--epochs", "100000")


@pytest.fixture(scope="module")
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def make(folder: Path, **changes: Any) -> Path:
    settings = SyntheticSettings(out=folder, count=20, holdout=4, size=16, workers=0)
    synthesize(replace(settings, **changes))
    return folder


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make(tmp_path_factory.mktemp("faces") / "set")


def quick(data: Path, out: Path, **changes: object) -> Settings:
    """Two epochs of five steps, a checkpoint at every other."""
    settings = Settings(data=data, out=out, epochs=2, batch_size=4, device="cpu", seed=3)
    return replace(settings, **{"checkpoint_steps": 2, "log_steps": 2, **changes})


def stopped(settings: Settings, steps: int) -> Path:
    """A run that a signal has stopped after so many steps."""
    asked = 0

    @contextlib.contextmanager
    def stopping() -> Iterator[Callable[[], int]]:
        def ask() -> int:
            nonlocal asked
            asked += 1
            return signal.SIGINT if asked >= steps else 0

        yield ask

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop, "stopping", stopping)
        with pytest.raises(KeyboardInterrupt):
            train(settings)
    assert settings.out is not None
    return settings.out


@pytest.fixture(scope="module")
def begun(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Stopped in its second epoch, with three checkpoints."""
    return stopped(quick(data, tmp_path_factory.mktemp("runs") / "begun"), 8)


@pytest.fixture(scope="module")
def uninterrupted(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train(quick(data, tmp_path_factory.mktemp("runs") / "whole"))


@pytest.fixture
def run(begun: Path, tmp_path: Path) -> Path:
    shutil.copytree(begun, tmp_path / "run")
    return tmp_path / "run"


def again(run: Path, **changes: object) -> Settings:
    """Settings as the command line makes them of ``--resume`` and other options."""
    return settings_of_run(run, Settings(resume=run, **changes), {"resume", *changes})


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return BioFaceNet.from_pretrained(folder).state_dict()


def same(one: Path, other: Path) -> bool:
    ours, theirs = weights(one / "model"), weights(other / "model")
    return all(torch.equal(ours[name], theirs[name]) for name in ours)


def contents(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def names(run: Path) -> list[int]:
    return [int(path.name.removeprefix("step_")) for path in checkpoints(run)]


# One process at a time -----------------------------------------------------------------------


@pytest.mark.parametrize("resumed", [True, False])
def test_a_folder_that_another_process_trains_in_is_left_alone(
    data: Path, run: Path, resumed: bool
) -> None:
    if not resumed:
        shutil.rmtree(run / "checkpoints")
        (run / "checkpoints").mkdir()
    for folder in (run, run / "checkpoints"):
        (folder / ".partial-abc").write_text("being written")
    with locks.folder_lock(run, "trains on elsewhere-7.example"):
        before = contents(run)
        with pytest.raises(BioFaceNetError) as caught:
            train(again(run) if resumed else quick(data, run))
        assert contents(run) == before
    words = str(caught.value)
    assert words.startswith(f"{run}: process {os.getpid()} trains on elsewhere-7.example there; ")
    assert "\n" not in words


def test_a_second_command_is_told_and_a_kill_frees_the_folder(
    data: Path, tmp_path: Path, forked: Callable[..., Any], in_process: Command
) -> None:
    out = tmp_path / "run"
    options = ("--data", str(data), "--out", str(out), "--device", "cpu", "--batch-size", "4")
    # Processes that read outlive their parent by seconds, and must not keep its lock.
    first = forked("biofacenet.train", *options, *SLOWLY, "--workers", "2", "--log-steps", "1")
    command = partial(in_process, "biofacenet.train", cwd=tmp_path)
    try:
        while not checkpoints(out):
            assert first.poll() is None, first.communicate()
            time.sleep(0.01)
        for second in (command("--resume", str(out)), command(*options)):
            assert second.returncode == 2
            assert second.stderr.startswith(f"error: {out}: process {first.process.pid} trains on ")
            assert second.stderr.count("\n") == 1
        assert first.poll() is None
    finally:
        first.send_signal(signal.SIGKILL)
        first.process.join()
    done = command("--resume", str(out), "--epochs", "1", "--workers", "0")
    assert done.returncode == 0, done.stderr
    assert not (out / locks.LOCK_FILE).exists()


def test_all_processes_end_where_the_leader_finds_the_folder_taken(
    data: Path, run: Path, forked: Callable[..., Any], two_processes: Callable[..., Any]
) -> None:
    with locks.folder_lock(run, "trains on this host"):
        ended = [
            (process.communicate(timeout=60), process.returncode)
            for process in two_processes("biofacenet.train", "--resume", str(run))
        ]
    ((_, said), first), ((words, silent), second) = ended
    assert (first, second) == (2, 2), said + silent
    assert said.startswith(f"error: {run}: process {os.getpid()} trains on this host there")
    assert (words, silent, said.count("\n")) == ("", "", 1)


@pytest.mark.parametrize("kind", ["no locks there", "no such locks at all"])
def test_without_locks_there_is_a_warning_and_nothing_is_cleared(
    kind: str,
    run: Path,
    uninterrupted: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def flock(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    if kind == "no locks there":
        monkeypatch.setattr(locks.fcntl, "flock", flock)
    else:
        monkeypatch.setattr(locks, "fcntl", None)
    (run / ".partial-abc").write_text("another's")
    train(again(run))
    said = capsys.readouterr().out.splitlines()
    assert sum("warning" in line for line in said) == 1
    assert said[0].startswith(f"warning: {run} cannot be locked")
    assert (run / ".partial-abc").exists()
    assert same(run, uninterrupted)


def test_numbered_folders_are_given_out_once(tmp_path: Path) -> None:
    assert [make_free_folder(tmp_path / "runs").name for _ in range(3)] == ["001", "002", "003"]


def test_a_run_that_fails_leaves_no_folder(data: Path, tmp_path: Path) -> None:
    with pytest.raises(BioFaceNetError):
        train(quick(data, tmp_path / "some" / "where", holdout="7"))
    assert list(tmp_path.iterdir()) == []


# Leftovers -----------------------------------------------------------------------------------


@pytest.mark.parametrize("resumed", [True, False])
def test_leftovers_of_a_killed_run_go_at_the_next_start(
    data: Path, run: Path, resumed: bool
) -> None:
    if not resumed:
        shutil.rmtree(run / "checkpoints")
    for name in (".", "checkpoints", "grids", "best", "model"):
        (run / name).mkdir(exist_ok=True)
        (run / name / ".partial-abc.png").write_text("half")
        (run / name / ".partial-def").mkdir()
        (run / name / ".partial-def" / "model.safetensors").write_text("half")
    if not resumed:
        shutil.rmtree(run / "model")
    (run / locks.LOCK_FILE).write_text("process 1 trains on this host\n")  # ended long ago
    (run / "mine").mkdir()
    (run / "mine" / ".partial-abc").write_text("not of a run")
    train(again(run) if resumed else quick(data, run, epochs=1))
    assert list(run.rglob(".partial-*")) == [run / "mine" / ".partial-abc"]
    assert not (run / locks.LOCK_FILE).exists()


def test_what_others_left_in_a_folder_is_left_to_them(data: Path, tmp_path: Path) -> None:
    (tmp_path / ".partial-abc").write_text("not of a run")
    train(quick(data, tmp_path, epochs=1))
    assert list(tmp_path.rglob(".partial-*")) == [tmp_path / ".partial-abc"]


# Damaged checkpoints -------------------------------------------------------------------------


def flip(path: Path, bit: int) -> None:
    content = bytearray(path.read_bytes())
    content[bit // 8] ^= 1 << bit % 8
    path.write_bytes(content)


DAMAGE: dict[str, Callable[[Path], object]] = {
    "missing": Path.unlink,
    "empty": lambda path: path.write_bytes(b""),
    "cut": lambda path: path.write_bytes(path.read_bytes()[:-5]),
    "bit flipped": lambda path: flip(path, 8 * (path.stat().st_size // 2)),
    "longer": lambda path: path.write_bytes(path.read_bytes() + b"x"),
    "text": lambda path: path.write_text("hello"),
    "folder": lambda path: (path.unlink(), path.mkdir()),
}


@pytest.mark.parametrize("name", [*FILES, "training_state.json"])
@pytest.mark.parametrize("kind", DAMAGE)
def test_a_damaged_checkpoint_is_passed_over(
    name: str, kind: str, run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    *_, good, bad = checkpoints(run)
    DAMAGE[kind](bad / name)
    start = newest(run)
    assert start.checkpoint is not None
    assert (start.checkpoint.path, start.damaged) == (good, {bad})
    (said,) = capsys.readouterr().out.splitlines()
    assert said.startswith(f"warning: {bad} is damaged (")
    assert said.endswith(f"); going on from {good.name}")
    assert name in said


def spoilt_weights(folder: Path) -> None:
    network = BioFaceNet.from_pretrained(folder)
    with torch.no_grad():
        next(network.parameters()).fill_(float("nan"))
    network.write(folder)
    sign(folder)


def code_inside(folder: Path) -> None:
    torch.save({"epoch": Evil()}, folder / "training_state.pt")
    sign(folder)


class Evil:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (Path.touch, (Path("/tmp/biofacenet-was-here"),))


def incomplete(folder: Path) -> None:
    state = torch.load(folder / "training_state.pt", weights_only=True)
    del state["optimiser"]
    torch.save(state, folder / "training_state.pt")
    sign(folder)


def sign(folder: Path) -> None:
    """Digests that fit, so that only the content is wrong."""
    digests = {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in FILES}
    (folder / "training_state.json").write_text(json.dumps({"sha256": digests}))


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda folder: (shutil.rmtree(folder), folder.mkdir()), "training_state.json is missing"),
        (lambda folder: (shutil.rmtree(folder), folder.write_text("")), "Not a directory"),
        (lambda folder: BioFaceNet("paper").write(folder), "not what training_state.json was"),
        (lambda folder: (folder / "training_state.json").write_text("[" * 9999), "no list"),
        (lambda folder: (folder / "training_state.json").write_text('{"sha256": 1}'), "no list"),
        (spoilt_weights, "NaN"),
        (code_inside, "cannot be read"),
        (incomplete, "holds no optimiser"),
    ],
    ids=["no files", "a file", "other size", "deep", "no digests", "NaN", "code", "incomplete"],
)
def test_a_run_passes_over_a_spoilt_checkpoint_and_ends_with_the_same_bits(
    spoil: Callable[[Path], object],
    reason: str,
    run: Path,
    uninterrupted: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    bad = checkpoints(run)[-1]
    spoil(bad)
    train(again(run))
    warnings = [line for line in capsys.readouterr().out.splitlines() if "warning" in line]
    assert len(warnings) == 1
    assert str(bad) in warnings[0]
    assert reason in warnings[0]
    assert same(run, uninterrupted)
    assert names(run) == names(uninterrupted)
    assert not any(map(damage, checkpoints(run)))
    assert not Path("/tmp/biofacenet-was-here").exists()


def test_every_bit_counts(run: Path) -> None:
    folder = checkpoints(run)[-1]
    assert damage(folder) == ""
    numbers = random.Random(0)
    for path in sorted(folder.iterdir()):
        whole = path.read_bytes()
        for _ in range(8 if len(whole) > 1e5 else 100):
            bit = numbers.randrange(8 * len(whole))
            flip(path, bit)
            assert damage(folder), (path, bit)
            path.write_bytes(whole)


def test_damaged_checkpoints_are_not_kept_in_place_of_good_ones(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Three are kept; one in the middle and the newest are damaged."""
    assert names(run) == [5, 6, 8]
    for number in (6, 8):
        (run / "checkpoints" / f"step_{number:08d}" / "config.json").unlink()
    before = contents(run / "checkpoints")
    stopped(again(run, checkpoint_steps=1000), 1)  # writes step 6 anew, and no other
    assert names(run) == [5, 6]
    after = contents(run / "checkpoints")
    assert all(after[name] == before[name] for name in before if name.startswith("step_00000005"))
    assert not any(map(damage, checkpoints(run)))
    assert capsys.readouterr().out.count("warning: ") == 2


def test_of_good_checkpoints_the_newest_are_kept(run: Path) -> None:
    folder = checkpoints(run)[0].parent
    for name in ("step_00000009", "step_00000010", "step_copy"):
        shutil.copytree(checkpoints(run)[0], folder / name)
    assert names(run) == [5, 6, 8, 9, 10]  # and the copy is nobody's business
    discard(run, 2, {folder / "step_00000010", folder / "step_00000006"})
    assert names(run) == [8, 9]
    assert (folder / "step_copy").is_dir()


def test_no_good_checkpoint_is_one_clear_error(run: Path) -> None:
    for path in checkpoints(run):
        (path / "model.safetensors").unlink()
    before = contents(run)
    with pytest.raises(ModelError) as caught:
        train(again(run))
    assert str(caught.value) == (
        f"{run}: no checkpoint in it is good, the newest being step_00000008 (model.safetensors is "
        "missing); start a new run with another --out"
    )
    assert contents(run) == before


# Killed before the first checkpoint ----------------------------------------------------------


@pytest.mark.parametrize("resumed", [True, False])
def test_killed_before_its_first_checkpoint_a_run_begins_anew(
    data: Path,
    run: Path,
    uninterrupted: Path,
    resumed: bool,
    capsys: pytest.CaptureFixture[str],
) -> None:
    shutil.rmtree(run / "checkpoints")
    (run / "checkpoints" / ".partial-abc").mkdir(parents=True)  # it was just writing it
    train(again(run) if resumed else quick(data, run))
    assert ("so it begins anew" in capsys.readouterr().out) == resumed
    assert same(run, uninterrupted)
    assert (run / "steps.csv").read_bytes() == (uninterrupted / "steps.csv").read_bytes()


def test_a_run_that_has_lost_its_checkpoints_is_not_begun_anew(
    data: Path, uninterrupted: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    shutil.copytree(uninterrupted, run)
    shutil.rmtree(run / "checkpoints")
    before = contents(run)
    with pytest.raises(ModelError, match="no checkpoint in it, though 2 epochs have ended"):
        train(again(run))
    with pytest.raises(BioFaceNetError, match="already holds a run that has ended"):
        train(quick(data, run))
    shutil.rmtree(run / "model")
    with pytest.raises(ModelError, match="no checkpoint in it, though 2 epochs have ended"):
        train(again(run))
    assert contents(run).items() <= before.items()


# Settings ------------------------------------------------------------------------------------

REFUSED: dict[str, tuple[dict[str, Any], str, str]] = {
    "network": ({"network": "paper"}, "small", "paper"),
    "skin": ({"skin": "published"}, "measured", "published"),
    "optimiser": ({"optimiser": "sgd"}, "adamw", "sgd"),
    "average": ({"average": 0.0}, "0.99", "0"),
    "learn": ({"learn": "surroundings"}, "all", "surroundings"),
    "seed": ({"seed": 4}, "3", "4"),
    "batch_size": ({"batch_size": 5}, "4", "5"),
    "loss_weights": (
        {"loss_weights": (1.0, 0.5, 0.25, 2.0)},
        "0.003 0.001 0.1 1",
        "1 0.5 0.25 2",
    ),
    "truth_weight": ({"truth_weight": 0.5}, "1", "0.5"),
    "shape_weights": ({"shape_weights": (0.5, 0.1)}, "1 0.1", "0.5 0.1"),
    "normals": ({"normals": "stored"}, "offset", "stored"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused_resumes(name: str, run: Path) -> None:
    change, old, new = REFUSED[name]
    option = f"--{name.replace('_', '-')}"
    before = contents(run)
    with pytest.raises(ModelError) as caught:
        train(again(run, **change))
    assert str(caught.value) == (
        f"{run}: {option} was {old} and cannot be {new} when a run goes on; give {option} {old}, or start "
        "a new run with another --out, without --resume"
    )
    assert contents(run) == before


ALLOWED: dict[str, object] = {
    "epochs": 3,
    "accumulate": 2,
    "learning_rate": 1e-4,
    "flip": False,
    "exposure": 0.0,
    "variety": 0.5,
    "precision": "float32",
    "compile": True,
    "device": "auto",
    "workers": 1,
    "in_memory": True,
    "checkpoint_steps": 7,
    "log_steps": 3,
    "keep": 1,
    "sides": (16,),
    "tensorboard": True,
    "show": True,
    "dry_run": True,
    "profile": True,
}
"""To a value that it may change to."""

OF_THE_DATA = {"data", "files", "holdout", "photos"}


def test_each_setting_may_change_or_may_not() -> None:
    """A new one must be put into one of the tables: this is where that is noticed."""
    known = [*REFUSED, *ALLOWED, *OF_THE_DATA, "out", "resume", "preset", "from_"]
    assert sorted(known) == sorted(field.name for field in fields(Settings))
    assert set(REFUSED) == set(FIXED)


@pytest.fixture
def stay_cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("biofacenet.training.run.Trainee.compile", lambda _: None)


@pytest.mark.usefixtures("stay_cheap")
@pytest.mark.parametrize("name", [*ALLOWED, "average"])
def test_allowed_resumes(name: str, run: Path) -> None:
    value = ALLOWED.get(name, 0.5)  # an average of another decay is one
    changed = set_up(again(run, **{name: value}), Team(torch.device("cpu")))
    assert changed.taken == 8
    assert getattr(changed.settings, name) == value


def test_a_preset_is_named_where_it_changes_a_setting(run: Path) -> None:
    with pytest.raises(ModelError) as caught:
        train(again(run, preset="paper"))
    assert "--network was small and cannot be paper (by --preset paper)" in str(caught.value)
    assert "give --preset default, or" in str(caught.value)


def test_resuming_into_another_folder_is_refused(run: Path, tmp_path: Path) -> None:
    with pytest.raises(BioFaceNetError, match="leave --out away"):
        again(run, out=tmp_path / "other")
    assert again(run, out=run).out == run


def test_checkpoints_of_version_0_1_0_go_on(run: Path, uninterrupted: Path) -> None:
    """They say nothing of settings and data, and have one digest."""
    newest_one = checkpoints(run)[-1]
    state = torch.load(newest_one / "training_state.pt", weights_only=True)
    del state["fixed"]
    for part in ("epoch", "window"):
        state["means"][part]["sums"] = state["means"][part]["sums"][0]
    torch.save(state, newest_one / "training_state.pt")
    digest = hashlib.sha256((newest_one / "training_state.pt").read_bytes()).hexdigest()
    (newest_one / "training_state.json").write_text(json.dumps({"sha256": digest}))
    train(again(run))
    assert same(run, uninterrupted)
    assert (run / "steps.csv").read_bytes() == (uninterrupted / "steps.csv").read_bytes()
    with pytest.raises(ModelError, match="--seed"):
        train(again(run, seed=4))


def test_a_new_learning_rate_holds_from_the_next_step(run: Path) -> None:
    """The optimiser's own state would bring the old one back."""
    alone = Team(torch.device("cpu"))
    before = set_up(again(run), alone)
    changed = set_up(again(run, learning_rate=0.5 * before.plan.learning_rate), alone)
    assert learning_rate(changed) == 0.5 * learning_rate(before) > 0
    rates = [group["lr"] for group in changed.optimiser.param_groups]
    assert rates == [learning_rate(changed)] * 2


# Data ----------------------------------------------------------------------------------------


def test_data_may_move_and_be_stored_otherwise(data: Path, run: Path, tmp_path: Path) -> None:
    moved = tmp_path / "elsewhere"
    shutil.copytree(data, moved)
    for path in moved.glob("zx_7_d*"):
        with h5py.File(path) as file:
            values = file["zx_7"][()]
        with h5py.File(path, "w") as file:
            file.create_dataset("zx_7", data=values, chunks=values[:1].shape, compression="gzip")
    held_out = again(run, data=moved, holdout="20", files=("01", "20"))  # what auto chooses
    assert set_up(held_out, Team(torch.device("cpu"))).taken == 8


@pytest.mark.parametrize("what", ["seed", "count", "files", "holdout"])
def test_other_data_are_refused_by_name(what: str, data: Path, run: Path, tmp_path: Path) -> None:
    changes: dict[str, tuple[dict[str, Any], str, str]] = {
        "files": ({"files": ("01",)}, "all", "01"),
        "holdout": ({"holdout": "none"}, "auto", "none"),
    }
    if what in ("seed", "count"):
        other = make(tmp_path / "other", **{what: 25})
        changes[what] = ({"data": other}, str(data), str(other))
    change, old, new = changes[what]
    option = f"--{next(iter(change))}"
    before = contents(run)
    with pytest.raises(ModelError) as caught:
        train(again(run, **change))
    words = str(caught.value)
    assert words.startswith(f"{run}: {option} was {old} (20 + 4 faces of 16 x 16, digest ")
    assert f" and cannot be {new} (" in words
    assert f"; give {option} {old}, or start a new run" in words
    assert "\n" not in words
    assert contents(run) == before


@pytest.mark.parametrize("kind", ["lighting of one face", "images", "order", "name"])
def test_files_that_have_changed_in_place_are_noticed(
    kind: str, data: Path, run: Path, tmp_path: Path
) -> None:
    changed = tmp_path / "set"
    shutil.copytree(data, changed)
    images, lighting = (
        changed / f"zx_7_{half}_synthetic_01.hdf5" for half in ("d10_inmc", "d3_lrgb")
    )
    if kind == "name":
        for path in (images, lighting):
            path.rename(str(path).replace("_01.", "_02."))
    for path in (images, lighting) if kind == "order" else (images,) if kind == "images" else ():
        with h5py.File(path, "a") as file:
            file["zx_7"][...] = file["zx_7"][()][::-1]
    if kind == "lighting of one face":
        with h5py.File(lighting, "a") as file:
            file["zx_7"][13, 0, 0] += 1e-3
    settings = replace(again(run), data=changed)
    with pytest.raises(ModelError, match="cannot be"):
        set_up(settings, Team(torch.device("cpu")))
    changed.rename(tmp_path / "put in place")
    shutil.copytree(data, changed)
    aside = stopped(quick(changed, tmp_path / "another"), 2)
    shutil.rmtree(changed)
    (tmp_path / "put in place").rename(changed)
    with pytest.raises(ModelError, match=r"were others when the run began .*; bring them back, or"):
        train(again(aside))


# Tables --------------------------------------------------------------------------------------


def without_seconds(path: Path) -> list[bytes]:
    lines = [line.split(b",") for line in path.read_bytes().split(b"\n")]
    place = lines[0].index(b"seconds")
    return [b",".join(words[:place] + words[place + 1 :]) for words in lines]


@pytest.mark.parametrize("step", range(1, 10))
def test_tables_are_the_same_to_the_byte_wherever_a_run_was_stopped(
    step: int, data: Path, uninterrupted: Path, tmp_path: Path
) -> None:
    """Losses are logged at every other step, so a mean is of steps before and after."""
    run = stopped(quick(data, tmp_path / "run"), step)
    train(again(run))
    assert (run / "steps.csv").read_bytes() == (uninterrupted / "steps.csv").read_bytes()
    ours, theirs = (without_seconds(folder / "losses.csv") for folder in (run, uninterrupted))
    assert ours == theirs
    assert len(ours) == 4  # a header, two epochs, and nothing behind the last end of line


def test_seconds_are_those_of_the_parts_and_not_of_the_pause(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A clock that a look at it moves on by one second."""
    now = 0.0

    def look() -> float:
        nonlocal now
        now += 1.0
        return now

    monkeypatch.setattr(loop, "time", SimpleNamespace(perf_counter=look))
    monkeypatch.setattr(loop, "look_first", lambda _: None)
    settings = quick(data, tmp_path / "run", epochs=1, checkpoint_steps=100)
    run = stopped(settings, 3)
    now += 1e6
    train(again(run))
    with (run / "losses.csv").open() as stream:
        names, values = (line.strip().split(",") for line in stream)
    # Looks at the beginning, at the stop, and again at both.
    assert float(values[names.index("seconds")]) == 2.0


@pytest.mark.parametrize("size", [1, 2, 3])
def test_sums_of_losses_are_shared_out_among_another_number_of_processes(size: int) -> None:
    sums = torch.arange(2.0 * len(TERMS), dtype=torch.float64).reshape(2, len(TERMS))
    device, shares = torch.device("cpu"), []
    for rank in range(size):
        run: Any = SimpleNamespace(team=Team(device, rank, size))
        means = Means(run)
        means.restore({"sums": sums, "count": 7, "terms": [*TERMS]})
        shares.append(means.sums)
        assert means.count == 7
    assert torch.equal(sum(shares, torch.zeros(len(TERMS))), sums.sum(0))
    if size == 2:
        assert torch.equal(torch.stack(shares), sums)
