"""What names on a command line mean: files, folders, patterns."""

from pathlib import Path

import pytest

from biofacenet.errors import BioFaceNetError, PhotoError
from biofacenet.photos.paths import PHOTO_ENDINGS, VIDEO_ENDINGS, expand, is_video
from biofacenet.photos.reading import read_photo


@pytest.fixture
def album(tmp_path: Path) -> Path:
    for name in (
        *("b/photo10.jpg", "b/photo2.JPG", "a.png", "notes.txt", ".hidden/x.png", ".y.png"),
        *("b/clip.mp4", "results/a/figure.png"),
    ):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    (tmp_path / "empty").mkdir()
    return tmp_path


def test_folders(album: Path) -> None:
    found = expand([album], without=album / "results")
    names = [str(path.relative_to(album)) for path in found]
    assert names == ["a.png", "b/photo2.JPG", "b/photo10.jpg"]
    both = expand([album / "b"], endings=PHOTO_ENDINGS | VIDEO_ENDINGS)
    assert [path.name for path in both] == ["clip.mp4", "photo2.JPG", "photo10.jpg"]
    assert [is_video(path) for path in both] == [True, False, False]
    assert len(expand([album])) == 4


def test_patterns(album: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert [path.name for path in expand([album / "b" / "photo*"])] == ["photo2.JPG", "photo10.jpg"]
    monkeypatch.chdir(album)
    assert expand([Path("**/*.jpg")]) == (Path("b/photo10.jpg"),)
    (album / "odd[1].jpg").write_bytes(b"x")
    assert expand([Path("odd[1].jpg")]) == (Path("odd[1].jpg"),)  # a name before a pattern


def test_files_stand_for_themselves_once(album: Path) -> None:
    named = [album / "missing.png", album / "notes.txt", album / "a.png", album / "a.png"]
    assert expand(named) == tuple(named[:3])


@pytest.mark.parametrize("name", ["empty", "*.bmp"])
def test_nothing_found_is_said(album: Path, name: str) -> None:
    with pytest.raises(BioFaceNetError) as error:
        expand([album / name])
    assert str(album / name) in str(error.value)
    assert "\n" not in str(error.value)


def test_links_that_lead_nowhere_are_found(album: Path) -> None:
    """Whoever reads them says what is wrong; one that leads to itself is no trap."""
    (album / "b" / "gone.jpg").symlink_to("nowhere.jpg")
    (album / "b" / "loop.jpg").symlink_to("loop.jpg")
    found = expand([album / "b"], without=[album / "results", album / "elsewhere"])
    assert {"gone.jpg", "loop.jpg"} < {path.name for path in found}
    assert expand([album / "b" / "g*.jpg"]) == (album / "b" / "gone.jpg",)
    with pytest.raises(PhotoError, match=r"gone\.jpg: a link to no file"):
        read_photo(expand([album / "b" / "gone.jpg"])[0])


def test_several_folders_are_left_out(album: Path) -> None:
    found = expand([album], without=[album / "results", album / "b"])
    assert [path.name for path in found] == ["a.png"]
