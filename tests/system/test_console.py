"""Progress: a bar on a terminal, plain lines in a pipe, nothing where it is not wanted."""

import io
import time
from types import SimpleNamespace

import pytest
from rich.console import Console

from biofacenet.system.console import progress

CONSOLE = "biofacenet.system.console.console"


class Clock:
    """Time as a test tells it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 100.0
        clock = SimpleNamespace(monotonic=lambda: self.now)
        monkeypatch.setattr("biofacenet.system.console.time", clock)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


def lines(capsys: pytest.CaptureFixture[str]) -> list[str]:
    words = capsys.readouterr().out
    assert words.isprintable() or set(filter(lambda c: not c.isprintable(), words)) == {"\n"}
    return words.splitlines()


def test_a_pipe_gets_a_line_at_every_tenth(
    clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    with progress("epoch 2/2", 200, done=100, unit="steps") as bar:
        for done in range(101, 201):
            clock.now += 1.0
            bar.update(done=done, note="[shading] 0.5")
    found = lines(capsys)
    assert [line.split()[2] for line in found] == ["120", "140", "160", "180"]
    assert found[0] == (
        "epoch 2/2: 120 of 200 steps (60 %), 0:00:20 spent, 0:01:20 left  [shading] 0.5"
    )


def test_slow_work_gets_a_line_every_half_minute(
    clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    with progress("photos", 1000) as bar:
        for _ in range(9):
            clock.now += 10.0
            bar.advance()
    assert [line.split(",")[0] for line in lines(capsys)] == [
        "photos: 3 of 1000 (0 %)",
        "photos: 6 of 1000 (0 %)",
        "photos: 9 of 1000 (0 %)",
    ]


def test_work_of_unknown_length(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    with progress("film.mp4", None, unit="frames") as bar:
        for _ in range(31):
            clock.now += 1.0
            bar.advance()
    assert lines(capsys) == ["film.mp4: 30 frames, 0:00:30 spent"]


def test_quick_work_and_work_that_is_not_shown_are_silent(
    clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    for shown, seconds in ((True, 0.1), (False, 60.0)):
        with progress("faces", 10, shown=shown) as bar:
            for _ in range(10):
                clock.now += seconds
                bar.advance()
    assert lines(capsys) == []


@pytest.mark.parametrize("kind", ["xterm", "dumb"])
def test_a_terminal_gets_a_bar_if_it_can_draw_one(
    clock: Clock, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    shown = io.StringIO()
    environment = {"TERM": kind}
    terminal = Console(file=shown, force_terminal=True, soft_wrap=True, _environ=environment)
    monkeypatch.setattr(CONSOLE, terminal)
    with progress("faces", 10) as bar:
        clock.now += 60.0
        bar.advance(5)
    if kind == "dumb":
        assert shown.getvalue() == "faces: 5 of 10 (50 %), 0:01:00 spent, 0:01:00 left\n"
    else:
        assert "\x1b[" in shown.getvalue()
        assert "5/10" in shown.getvalue()


def test_a_single_long_step_is_told_of(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As one large photo is; with the clock on the wall."""
    monkeypatch.setattr("biofacenet.system.console.QUIET", 0.1)
    with progress("large.jpg", 1, unit="photos", watched=True):
        time.sleep(0.6)
    found = lines(capsys)
    assert 2 <= len(found) <= 6
    assert found[0].startswith("large.jpg: 0 of 1 photos (0 %), 0:00:0")
    time.sleep(0.3)
    assert lines(capsys) == []  # it is over
    with progress("large.jpg", 1, unit="photos"):
        time.sleep(0.3)
    assert lines(capsys) == []
