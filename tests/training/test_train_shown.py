"""What a run shows: its report, TensorBoard, samples, a dry run, a profile."""

import csv
import gzip
import html.parser
import json
import shlex
import sys
import webbrowser
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image

from biofacenet import BioFaceNet
from biofacenet.errors import BioFaceNetError
from biofacenet.preparation.settings import SyntheticSettings
from biofacenet.preparation.synthetic import synthesize
from biofacenet.training.journal import Journal
from biofacenet.training.loop import train
from biofacenet.training.losses import PHOTO_TERMS, TERMS
from biofacenet.training.meanings import meaning_of, unit_of
from biofacenet.training.settings import Settings, settings_of_run
from biofacenet.training.starts import command_line, note_start, starts


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("faces") / "set"
    synthesize(SyntheticSettings(out=folder, count=16, holdout=4, size=32, workers=0))
    return folder


def quick(data: Path, out: Path, **changes: object) -> Settings:
    settings = Settings(data=data, out=out, epochs=2, batch_size=4, log_steps=2, device="cpu")
    return replace(settings, **changes)


UNUSED = {"bounds", *PHOTO_TERMS}
"""Terms that are 0 throughout a short run on faces alone."""


class Page(html.parser.HTMLParser):
    """Text and references of a page, and whether its elements are closed."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.words: list[str] = []
        self.sources: list[str] = []
        self.pictured: list[str] = []
        self.open: list[str] = []
        self.feed(path.read_text("utf-8"))
        self.close()

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        if tag not in ("meta", "img"):
            self.open.append(tag)
        self.pictured += [value or "" for name, value in attributes if name == "alt"]
        self.sources += [value or "" for name, value in attributes if name in ("src", "href")]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, words: str) -> None:
        self.words.append(words.strip())


def test_report_stands_alone_and_says_what_was_done(data: Path, tmp_path: Path) -> None:
    run = train(quick(data, tmp_path / "<b>&amp"))
    page = Page(run / "report.html")
    assert page.open == []
    plots = [name for name in (*TERMS, "learning rate") if name not in UNUSED]
    assert len(page.sources) == len(plots) + 2  # and two grids
    assert [words.partition(",")[0] for words in page.pictured][: len(plots)] == plots
    assert all(source.startswith("data:image/") for source in page.sources)
    assert "<b>&amp" in page.words
    with (run / "losses.csv").open(newline="") as stream:
        last = list(csv.DictReader(stream))[-1]
    for term in plots[:-1]:
        value = float(last[f"validation_{term}"])
        # The table rounds once more.
        assert {f"{value * (1.0 + off):.4g}" for off in (-1e-5, 0.0, 1e-5)} & {*page.words}
        assert page.words.count(unit_of(term)) == 2 + 2  # last numbers, meanings, two columns
    unused = {"photo_pigments", "train photo_pigments", "validation photo_pigments"}
    assert not unused & {*page.words}
    assert "16 of 32 x 32 pixels, 4 held out" in page.words
    assert page.words[page.words.index("exposure") + 1] == "0.1 stops"


def test_report_of_an_epoch_without_faces_held_out_has_nothing_empty(
    data: Path, tmp_path: Path
) -> None:
    """No plot of a point, no caption of what is not there; the same without its pictures."""
    run = train(quick(data, tmp_path / "run", holdout="none", epochs=1, log_steps=10))
    assert not (run / "steps.csv").exists()
    page = Page(run / "report.html")
    said = " ".join(" ".join(page.words).split())
    assert "Training faces, last epoch" in said
    assert len(page.sources) == 1  # the grid
    said = said.replace("none held out", "")
    for absent in (
        "held out",
        "alidation",
        "Losses",
        "Earlier",
        "the best",
        "mean of",
        "steps.csv",
    ):
        assert absent not in said
    for grid in (run / "grids").iterdir():
        grid.unlink()
    train(settings_of_run(run, changed=Settings(resume=run), given={"resume"}))
    page = Page(run / "report.html")
    assert page.sources == []
    assert not {"Faces", "Faces held out", "Losses"} & {*page.words}


def test_every_column_has_a_unit_and_a_meaning_in_the_documentation(
    data: Path, tmp_path: Path
) -> None:
    run = train(quick(data, tmp_path / "run", epochs=1))
    said = (Path(__file__).parents[2] / "docs" / "training.md").read_text("utf-8")
    rows = [line.split("|") for line in said.splitlines() if line.startswith("|")]
    units = {cells[1].strip(" `"): cells[2].strip() for cells in rows}
    for name in ("losses.csv", "steps.csv"):
        for column in (run / name).read_text("utf-8").splitlines()[0].split(","):
            assert meaning_of(column), column
            column = column.removeprefix("train_").removeprefix("validation_")
            assert units.get(column) == unit_of(column), column


def test_terminal_says_units(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    train(quick(data, tmp_path / "run", epochs=1))
    said = capsys.readouterr().out
    for words in (
        "16 of 32 x 32 pixels",
        "adamw at 0.0025 per step",
        "appearance in squared levels of 255",
        " s  validation: appearance",
    ):
        assert words in said
    assert "photo" not in said


# Starts --------------------------------------------------------------------------------------


def test_report_has_each_start_to_copy_and_paste(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, folder = tmp_path / "it's" / "run", tmp_path / "here & there"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setenv("SECRET", "xyzzy")
    first = ["python", "-m", "biofacenet.train", "--data", str(data), "--out", str(run)]
    monkeypatch.setattr(sys, "orig_argv", first)
    train(quick(data, run, epochs=1))
    second = ["python", "-m", "biofacenet", "train", "--resume", str(run), "--epochs", "2"]
    monkeypatch.setattr(sys, "orig_argv", second)
    changed = Settings(resume=run, epochs=2)
    train(settings_of_run(run, changed=changed, given={"resume", "epochs"}))
    page = Page(run / "report.html")
    found = [words for words in page.words if words.startswith("cd ")]
    assert [shlex.split(words) for words in found] == [
        ["cd", str(folder), *first],
        ["cd", str(folder), *second],
    ]
    assert "after 0 steps" in " ".join(page.words)
    assert "after 4 steps" in " ".join(page.words)
    assert "xyzzy" not in (run / "report.html").read_text("utf-8")
    (repeat,) = [words for words in page.words if words.endswith("--out NEW")]
    assert shlex.split(repeat)[4] == str(run / "settings.json")


@pytest.mark.parametrize(
    ("own", "parent", "command"),
    [
        ("python -m biofacenet.train --epochs 2", "bash", "python -m biofacenet.train --epochs 2"),
        ("python3 /opt/bin/biofacenet train", "bash", "/opt/bin/biofacenet train"),
        ("python -m pytest tests", "bash", ""),
        (
            "python -u -m biofacenet.train --seed 1",
            "python /opt/bin/torchrun --nproc-per-node 2 -m biofacenet.train --seed 1",
            "/opt/bin/torchrun --nproc-per-node 2 -m biofacenet.train --seed 1",
        ),
        (
            "python -u -m biofacenet.train",
            "python3 -m torch.distributed.run --standalone -m biofacenet.train",
            "python3 -m torch.distributed.run --standalone -m biofacenet.train",
        ),
        (
            "python -m biofacenet.train",
            "timeout 9 python -m biofacenet.train",
            "python -m biofacenet.train",
        ),
    ],
)
def test_command_as_it_was_given(own: str, parent: str, command: str) -> None:
    assert command_line(own.split(), parent.split()) == command


def test_programs_in_the_path_go_by_their_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = tmp_path / "biofacenet"
    script.touch(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    words = ["/usr/bin/python3", str(script), "train", "--out", "a b"]
    assert command_line(words) == "biofacenet train --out 'a b'"
    monkeypatch.setenv("PATH", "/nowhere")
    assert command_line(words) == f"{script} train --out 'a b'"


def test_starts_forget_what_is_no_line_of_theirs(tmp_path: Path) -> None:
    note_start(tmp_path, 0)
    (first,) = starts(tmp_path)
    assert (first.step, first.folder, first.to_paste) == ("0", str(Path.cwd()), "")
    with (tmp_path / "starts.csv").open("ab") as stream:
        stream.write(b'\0,1\n2,many,3,4\nnow,7,"half')
    note_start(tmp_path, 9)
    assert [start.step for start in starts(tmp_path)] == ["0", "9"]


def test_tensorboard_has_every_number_once(data: Path, tmp_path: Path) -> None:
    accumulators = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    run = train(quick(data, tmp_path / "run", tensorboard=True))
    train(settings_of_run(run, changed=Settings(resume=run, epochs=3), given={"resume", "epochs"}))
    events = accumulators.EventAccumulator(str(run / "tensorboard")).Reload()
    with (run / "steps.csv").open(newline="") as stream:
        steps = list(csv.DictReader(stream))
    assert [int(line["step"]) for line in steps] == [2, 4, 6, 8, 10, 12]
    for term in TERMS:
        scalars = events.Scalars(f"steps/{term}")
        assert [scalar.step for scalar in scalars] == [int(line["step"]) for line in steps]
        assert [scalar.value for scalar in scalars] == pytest.approx(
            [float(line[term]) for line in steps], rel=1e-6
        )
        assert [scalar.step for scalar in events.Scalars(f"validation/{term}")] == [4, 8, 12]
    assert len(events.Images("grid")) == 3


def test_tensorboard_that_is_not_installed(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(BioFaceNetError, match="pip install"):
        Journal(tmp_path, tensorboard=True)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(BioFaceNetError, match="pip install"):
        train(quick(data, tmp_path / "run", tensorboard=True))
    assert not (tmp_path / "run").exists()


def test_journal_forgets_what_no_checkpoint_knows(tmp_path: Path) -> None:
    means = dict.fromkeys(TERMS, 1.5)
    with Journal(tmp_path) as journal:
        for step in (10, 20, 30):
            journal.step(step, 1, 0.1, means)
    with (tmp_path / "steps.csv").open("a") as stream:
        stream.write("40,1,0.1,1.5")  # killed while writing
    Journal(tmp_path, step=20).step(30, 2, 0.1, means)
    lines = (tmp_path / "steps.csv").read_text().splitlines()
    assert [line.split(",")[:2] for line in lines[1:]] == [["10", "1"], ["20", "1"], ["30", "2"]]


def test_samples_are_shown_and_nothing_is_left_in_the_run(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    opened: list[str] = []
    monkeypatch.setattr(webbrowser, "open", opened.append)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setenv("DISPLAY", ":0")
    train(quick(data, tmp_path / "run", show=True))
    (path,) = tmp_path.rglob("samples.png")
    assert opened == [path.as_uri()]
    assert str(path) in capsys.readouterr().out
    with Image.open(path) as picture:
        assert picture.height > 4 * 140  # a row for each of four faces
    assert not (tmp_path / "run").exists()
    monkeypatch.delenv("DISPLAY")
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    train(quick(data, tmp_path / "run", show=True))
    if sys.platform == "linux":
        assert len(opened) == 1  # no browser of text in somebody's terminal


def test_dry_run_goes_through_everything_and_leaves_nothing(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    train(quick(data, tmp_path / "run", dry_run=True, accumulate=2))
    said = capsys.readouterr().out
    for words in ("4 x 3 x 32 x 32", "rendered", "GiB at the peak", "4 steps x 2 epochs"):
        assert words in said
    assert not (tmp_path / "run").exists()


@pytest.mark.filterwarnings("ignore")  # torch's own, of its profiler
def test_profile_leaves_a_trace_and_no_network(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    train(quick(data, tmp_path / "run", profile=True))
    assert "conv" in capsys.readouterr().out
    with gzip.open(tmp_path / "run" / "trace.json.gz", "rt") as stream:
        names = {event.get("name") for event in json.load(stream)["traceEvents"]}
    assert {"step", "read and decode"} <= names
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["trace.json.gz"]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # torch's own, of compiling
@pytest.mark.usefixtures("little_network")
def test_compiled_network_trains_alike(data: Path, tmp_path: Path) -> None:
    lines = []
    for compiled in (False, True):
        asked = quick(data, tmp_path / str(compiled), compile=compiled, epochs=1, log_steps=1)
        run = train(replace(asked, precision="float32"))
        with (run / "steps.csv").open(newline="") as stream:
            lines.append([float(line["total"]) for line in csv.DictReader(stream)])
    assert lines[0] == pytest.approx(lines[1], rel=1e-3)
    with pytest.raises(BioFaceNetError, match="leave one of them out"):
        train(quick(data, tmp_path / "none", compile=True, precision="bfloat16"))


# The first look ------------------------------------------------------------------------------


@pytest.mark.parametrize("holdout", ["auto", "none"])
def test_a_first_look_says_and_shows_how_it_goes_and_changes_nothing(
    data: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    holdout: str,
) -> None:
    """A run of some seconds has none; with no time to wait it comes after the first step, once."""
    asked = replace(quick(data, tmp_path / "without", holdout=holdout), precision="float32")
    without = train(asked)
    assert "first look" not in capsys.readouterr().out
    assert not (without / "grids" / "first_look.png").exists()
    monkeypatch.setattr("biofacenet.training.loop.FIRST_LOOK", 0.0)
    run = train(replace(asked, out=tmp_path / "with"))
    (line,) = [line for line in capsys.readouterr().out.splitlines() if "first look" in line]
    assert line.startswith("first look, step 1/")
    assert ("validation: appearance" in line) == (holdout == "auto")
    assert line.endswith(str(run / "grids" / "first_look.png"))
    assert (run / "grids" / "first_look.png").is_file()
    assert (run / "steps.csv").read_bytes() == (without / "steps.csv").read_bytes()
    one, other = (BioFaceNet.from_pretrained(folder / "model") for folder in (run, without))
    for ours, theirs in zip(one.parameters(), other.parameters(), strict=True):
        assert torch.equal(ours, theirs)


def test_the_first_look_is_in_the_report(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("biofacenet.training.loop.FIRST_LOOK", 0.0)
    page = Page(train(quick(data, tmp_path / "run", epochs=1)) / "report.html")
    assert "first look" in page.words


def test_a_map_that_fades_is_told_of_while_training_goes_on(
    data: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("biofacenet.training.watch.FADED", 2.0)  # nothing is lively enough
    train(quick(data, tmp_path / "run"))
    said = [line for line in capsys.readouterr().out.splitlines() if "map is dying" in line]
    assert len(said) == 4


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_both_precisions_learn_and_keep_every_map(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], precision: str
) -> None:
    asked = replace(quick(data, tmp_path / "run", epochs=4), precision=precision)
    run = train(replace(asked, learning_rate=1e-3))
    assert "dying" not in capsys.readouterr().out
    with (run / "losses.csv").open(newline="") as stream:
        totals = [float(line["train_total"]) for line in csv.DictReader(stream)]
    assert totals[-1] < 0.7 * totals[0]
