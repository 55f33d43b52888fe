"""Uploads: few, for a while, in a private folder; no other file can be named; nothing is left behind."""

import io
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from biofacenet.errors import PhotoError
from biofacenet.web.inbox import Inbox, plain_name
from biofacenet.web.studio import Studio
from biofacenet.web.uploads import PREFIX, private_folder, remove_leftovers

SECRET = b"root:x:0:0:hunter2"


def test_only_what_was_uploaded_can_be_named(tmp_path: Path) -> None:
    inbox = Inbox(tmp_path / "uploads")
    kept = inbox.keep("../../face.png", io.BytesIO(b"pixels"))
    assert kept.read_bytes() == b"pixels"
    assert kept.name == "face.png"
    assert kept.parent.parent == inbox.folder
    assert inbox.taken(str(kept)) == kept
    (tmp_path / "secret.png").write_bytes(SECRET)
    (inbox.folder / "link.png").symlink_to(tmp_path / "secret.png")
    for path in (
        *("/etc/hostname", "/no/such/file", str(tmp_path / "secret.png"), "secret.png", "", "\0"),
        *(f"{kept.parent}/../../../secret.png", f"{kept.parent}/gone.png", str(kept.parent)),
        *(str(inbox.folder / "link.png"), f"file://{kept}", "http://127.0.0.1/a.png"),
        *(None, 7, ["/etc/hostname"], {"path": str(kept)}),
    ):
        assert not inbox.holds(path)
        with pytest.raises(PhotoError, match=r"^this file is no longer held; choose it again$"):
            inbox.taken(path)


def test_uploads_are_few_and_kept_for_a_while(tmp_path: Path) -> None:
    inbox = Inbox(tmp_path, most_files=3)
    kept = [inbox.keep("a.png", io.BytesIO(b"a")) for _ in range(5)]
    assert [inbox.holds(str(path)) for path in kept] == [False, False, True, True, True]
    assert len(list(tmp_path.iterdir())) == 3
    brief = Inbox(tmp_path / "brief", seconds=0.0)
    late = brief.keep("a.png", io.BytesIO(b"a"))
    brief.sweep()
    assert not late.parent.exists()


def test_an_upload_that_fails_leaves_nothing(tmp_path: Path) -> None:
    class Broken(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            raise OSError("the other side went away")

    with pytest.raises(OSError, match="went away"):
        Inbox(tmp_path).keep("a.png", Broken())
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        *(("a.png", "a.png"), ("C:\\photos\\a.png", "a.png"), ("..", "file"), ("", "file")),
        *(
            (".lock", "lock"),
            ("a\0\n.png", "a__.png"),
            ("a:b.png", "a_b.png"),
            ("ö ü.jpg", "ö ü.jpg"),
        ),
    ],
)
def test_names_are_those_of_plain_files(sent: str, kept: str) -> None:
    assert plain_name(sent) == kept
    assert len(plain_name("x" * 1000 + ".png")) == 100


def test_a_message_about_an_upload_holds_nothing_of_it(tmp_path: Path) -> None:
    photo = tmp_path / "passwd.png"
    photo.write_bytes(SECRET)
    with pytest.raises(PhotoError, match=r"^passwd\.png: not a photo") as caught:
        Studio().read(photo)
    assert "root" not in str(caught.value)
    assert "hunter2" not in str(caught.value)


# Folders of pages that were killed -----------------------------------------------------------

STARTS = """
import time
from biofacenet.web.uploads import private_folder
with private_folder() as folder:
    (folder / "uploads").mkdir()
    (folder / "uploads" / "face.png").write_bytes(b"pixels")
    print(folder, flush=True)
    time.sleep(600)
"""


def test_leftovers_of_a_killed_page_go_at_the_next_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    for name in ("GRADIO_TEMP_DIR", "HF_HUB_OFFLINE", "DO_NOT_TRACK"):
        monkeypatch.setenv(name, "")  # put back afterwards
    elsewhere = tmp_path / "photos"
    elsewhere.mkdir()
    (elsewhere / ".lock").touch()
    (tmp_path / f"{PREFIX}link").symlink_to(elsewhere, target_is_directory=True)
    (tmp_path / f"{PREFIX}unlocked").mkdir()
    page = subprocess.Popen([sys.executable, "-c", STARTS], stdout=subprocess.PIPE, text=True)
    try:
        assert page.stdout is not None
        folder = Path(page.stdout.readline().strip())
        assert (folder / "uploads" / "face.png").is_file()
        assert (folder.stat().st_mode & 0o777) == 0o700
        remove_leftovers()
        assert folder.is_dir()  # it runs
    finally:
        page.send_signal(signal.SIGKILL)
        page.wait(timeout=30)
        page.stdout.close()
    assert folder.is_dir()
    with private_folder() as mine:
        assert not folder.exists()
        assert mine.is_dir()
    assert not mine.exists()
    # Not a page's, or not one that can be told from one that starts now.
    assert (elsewhere / ".lock").exists()
    assert (tmp_path / f"{PREFIX}unlocked").is_dir()
