"""`biofacenet predict` called alone: a synthetic face that comes with the package."""

import json
from pathlib import Path

import pytest

from biofacenet.photos import find_faces, read_photo
from biofacenet.photos.paths import EXAMPLE, expand
from biofacenet.predict import main


def test_the_photo_that_comes_with_the_package_shows_a_face() -> None:
    photo = read_photo(EXAMPLE)
    assert (photo.height, photo.width) == (256, 256)
    assert len(find_faces(photo.pixels)) == 1
    assert EXAMPLE.stat().st_size < 100_000


def test_predict_called_alone_takes_it_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    main(["--size", "64", "--resolution", "64"])
    told = " ".join(capsys.readouterr().out.split())
    assert "a synthetic face that comes with the package" in told
    assert "biofacenet predict portrait.jpg" in told
    folder = tmp_path / "predictions" / "example"
    assert json.loads((folder / "summary.json").read_text())
    assert (folder / "figure.png").is_file()


def test_one_missing_photo_of_several_stops_nobody(tmp_path: Path) -> None:
    missing = tmp_path / "missing.jpg"
    assert expand([missing, EXAMPLE]) == (missing, EXAMPLE)
