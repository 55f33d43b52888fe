"""What a run shows: its report, TensorBoard, samples, a dry run, a profile."""

import csv
import gzip
import html.parser
import json
import sys
import webbrowser
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from biofacenet.errors import BioFaceNetError
from biofacenet.preparation.settings import SyntheticSettings
from biofacenet.preparation.synthetic import synthesize
from biofacenet.training.journal import Journal
from biofacenet.training.loop import train
from biofacenet.training.losses import TERMS
from biofacenet.training.settings import Settings, settings_of_run


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("faces") / "set"
    synthesize(SyntheticSettings(out=folder, count=16, holdout=4, size=32, workers=0))
    return folder


def quick(data: Path, out: Path, **changes: object) -> Settings:
    settings = Settings(data=data, out=out, epochs=2, batch_size=4, log_steps=2, device="cpu")
    return replace(settings, **changes)


class Page(html.parser.HTMLParser):
    """Text and references of a page, and whether its elements are closed."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.words: list[str] = []
        self.sources: list[str] = []
        self.open: list[str] = []
        self.feed(path.read_text("utf-8"))
        self.close()

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        if tag not in ("meta", "img"):
            self.open.append(tag)
        self.sources += [value or "" for name, value in attributes if name in ("src", "href")]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, words: str) -> None:
        self.words.append(words.strip())


def test_report_stands_alone_and_says_what_was_done(data: Path, tmp_path: Path) -> None:
    run = train(quick(data, tmp_path / "<b>&amp"))
    page = Page(run / "report.html")
    assert page.open == []
    assert len(page.sources) == 1 + 2  # losses, and two grids
    assert all(source.startswith("data:image/") for source in page.sources)
    assert "<b>&amp" in page.words
    with (run / "losses.csv").open(newline="") as stream:
        last = list(csv.DictReader(stream))[-1]
    for term in TERMS:
        assert f"{float(last[f'validation_{term}']):.4g}" in page.words
    assert "16 of 32 x 32, 4 held out" in page.words
    assert "batch size" in page.words


def test_report_without_faces_held_out(data: Path, tmp_path: Path) -> None:
    run = train(quick(data, tmp_path / "run", holdout="none", epochs=1))
    assert "Training faces, last epoch" in " ".join(
        " ".join(Page(run / "report.html").words).split()
    )


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
    assert "convolution_backward" in capsys.readouterr().out
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
