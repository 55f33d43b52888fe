"""The running page under attack: files of the computer, other pages, floods, needless functions."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from biofacenet.photos.paths import EXAMPLE
from biofacenet.web.studio import FITTING
from tests.web.visitor import Visitor, given

pytest.importorskip("gradio")
pytestmark = pytest.mark.slow

TABLE = b"".join(b"%d,%d\n" % (nm, 720 - nm) for nm in range(400, 720, 10))


@pytest.fixture(scope="module")
def visitor(web_page: str) -> Visitor:
    return Visitor(web_page)


@pytest.fixture(scope="module")
def opened(visitor: Visitor) -> Any:
    """What the page answers to a photo that was uploaded."""
    status, answer = visitor.upload(("face.png", EXAMPLE.read_bytes()))
    assert status == 200
    (path,) = json.loads(answer)
    shown = visitor.ask(f"/gradio_api/file={path}")
    assert shown[0] == 200
    assert shown[2] == EXAMPLE.read_bytes()
    status, _ = visitor.act(
        visitor.number("upload", "input"), [given(path), FITTING, None, "", "usual"]
    )
    assert status == 200
    return visitor.outcome()


def knobs(visitor: Visitor, opened: Any) -> list[Any]:
    """Values of the knobs as the page would send them."""
    function = next(
        one
        for one in visitor.config["dependencies"]
        if one["id"] == visitor.number("upload", "input")
    )
    return opened["data"][len(function["outputs"]) - len(opened["data"]) :][10:-2]


def test_a_photo_is_looked_at(visitor: Visitor, opened: Any) -> None:
    status = opened["data"][1]
    assert "face: face found" in status
    assert any("/edited.png" in str(one) for one in opened["data"])


def test_files_of_the_computer_are_no_uploads(visitor: Visitor, tmp_path: Path) -> None:
    """Nobody learns whether a file is there, let alone what is in it."""
    photo = tmp_path / "private.png"
    Image.new("RGB", (64, 64)).save(photo)
    answers = set()
    for event, name in (("input", "upload"), ("upload", "light-file"), ("upload", "camera-file")):
        number = visitor.number(name, event)
        for path in (str(photo), "/etc/hostname", "/no/such/file", "http://127.0.0.1:1/a.png"):
            bare = {"path": path}
            for file in (given(path), bare, [bare], {"image": {"path": path}}):
                rest = [FITTING, None, "", "usual"] if name == "upload" else [None] * 14
                data = [file, *rest] if name == "upload" else [None, file, *rest]
                for at in ("queue/join", "run/predict"):
                    answers.add(visitor.act(number, data, at=at))
    assert answers == {(400, b"that file was not uploaded; choose it again\n")}


def test_files_of_the_computer_are_not_shown(visitor: Visitor, web_page: str) -> None:
    _, answer = visitor.upload(("a.png", b"a"))
    mine = Path(json.loads(answer)[0])
    places = [
        *("/etc/hostname", "/no/such/file", f"{mine.parent}/../../.lock", str(mine.parent)),
        *(web_page, "http://127.0.0.1:1/", f"{mine}/../../../../etc/hostname", "requirements.txt"),
    ]
    for place in places:
        for path in (f"file={place}", f"file/{place}", f"proxy={place}", f"stream/{place}"):
            assert visitor.ask(f"/gradio_api/{path}")[0] == 404, path
    assert visitor.ask("/static/../../../../etc/hostname")[0] == 404


def test_a_drawing_is_saved_and_not_run(visitor: Visitor) -> None:
    _, answer = visitor.upload(("a.svg", b"<svg xmlns='http://www.w3.org/2000/svg'/>"))
    status, headers, _ = visitor.ask(f"/gradio_api/file={json.loads(answer)[0]}")
    assert status == 200
    assert headers["content-type"] == "application/octet-stream"
    assert headers["content-disposition"] == "attachment"
    assert headers["x-content-type-options"] == "nosniff"


def test_messages_hold_nothing_of_a_file(visitor: Visitor, opened: Any) -> None:
    secrets = (
        *(b"root:x:0:0:hunter2\n", TABLE + b"720,hunter2\n", TABLE + b"hunter2,1,1\n"),
        *(b"wavelength,hunter2,hunter2,hunter2\n400,1,1,1\n410,1,1,1\n",),
    )
    values = knobs(visitor, opened)
    said = []
    for held in secrets:
        for name in ("light-file", "camera-file"):
            path = json.loads(visitor.upload(("lamp.csv", held))[1])[0]
            number = visitor.number(name, "upload")
            status, body = visitor.act(number, [None, given(path), *values], at="run/predict")
            assert status == 200, body
            said.append(body.decode())
        path = json.loads(visitor.upload(("face.png", held))[1])[0]
        number = visitor.number("upload", "input")
        guest = Visitor(visitor.page)
        assert guest.act(number, [given(path), FITTING, None, "", "usual"])[0] == 200
        said.append(json.dumps(guest.outcome()))
    for answer in said:
        assert "Error: " in answer
        assert "hunter2" not in answer
        assert "root" not in answer
        assert "biofacenet-page-" not in answer


def test_other_pages_may_not_ask(visitor: Visitor) -> None:
    number = visitor.number("reset", "click")
    message = {"fn_index": number, "data": [None], "session_hash": "abc"}
    host = visitor.page.removeprefix("http://")
    for headers, allowed in (
        ({"origin": "http://attacker.example"}, False),
        ({"origin": "null"}, False),
        ({"origin": "http://127.0.0.1:1"}, False),
        ({"origin": f"http://{host}.attacker.example"}, False),
        ({"sec_fetch_site": "cross-site"}, False),
        ({"sec_fetch_site": "same-site"}, False),
        ({"sec_fetch_site": "cross-site", "sec_fetch_mode": "navigate"}, False),
        ({"origin": visitor.page, "sec_fetch_site": "same-origin"}, True),
        ({}, True),
    ):
        for path in ("/gradio_api/run/predict", "/gradio_api/queue/join", "/gradio_api/upload"):
            status = visitor.ask(path, message, **headers)[0]
            assert (status != 403) is allowed, (path, headers)
    assert visitor.ask("/", origin="http://attacker.example")[0] == 403
    assert visitor.ask("/config", sec_fetch_site="cross-site")[0] == 403
    # A link that somebody follows.
    assert visitor.ask("/", sec_fetch_site="cross-site", sec_fetch_mode="navigate")[0] == 200
    # A name of the attacker's that leads to this computer.
    assert visitor.ask("/", host="attacker.example")[0] == 400


def test_uploads_are_limited_in_size_and_number(visitor: Visitor) -> None:
    status, told = visitor.upload(("a.png", bytes(41 * 2**20)))
    assert (status, told) == (413, b"larger than 40 MB; send a smaller file\n")
    assert visitor.upload(("a.png", b"a"), ("b.png", b"b"))[0] == 400
    assert visitor.upload()[0] == 400
    paths = [json.loads(visitor.upload((f"{i}.png", b"a"))[1])[0] for i in range(20)]
    kept = [visitor.ask(f"/gradio_api/file={path}")[0] == 200 for path in paths]
    assert kept == [False] * 4 + [True] * 16
    folders = [one for one in Path(paths[0]).parent.parent.iterdir() if len(one.name) == 32]
    assert len(folders) == 16
    for body in (b"x" * 300_000, b"[" * 100_000, b"{", b"\xff", b'{"a": NaN}'):
        status, _, _ = visitor.ask("/gradio_api/run/predict", body, content_type="application/json")
        assert status in (400, 413)


def test_only_what_the_page_needs_is_there(visitor: Visitor) -> None:
    functions = visitor.config["dependencies"]
    assert {one["api_visibility"] for one in functions} == {"private"}
    api = "/gradio_api"
    for path in (
        *(f"{api}/info", f"{api}/openapi.json", f"{api}/runs", f"{api}/user", f"{api}/token"),
        *(f"{api}/startup-events", f"{api}/queue/status", "/monitoring", "/docs", "/openapi.json"),
        *(f"{api}/vibe-code/", f"{api}/app_id", "/login_check", "/pwa_icon", "/custom_component/x"),
        *("/download/unknown/maps.npz", "/download/unknown/passwords", "/nowhere"),
    ):
        assert visitor.ask(path)[0] == 404, path
    for path in (
        *("call/show", "call/file", "run/show", "run/file", "api/file", "api/predict", "reset"),
        *("component_server", "process_recording", "vibe-edit/", "login", "stream/x", "cancel"),
    ):
        assert visitor.ask(f"{api}/{path}", {"data": []})[0] == 404, path
    for method in ("PUT", "DELETE", "PATCH", "OPTIONS"):
        assert visitor.ask("/config", method=method)[0] == 404


def test_answers_load_nothing_from_elsewhere(visitor: Visitor) -> None:
    status, headers, body = visitor.ask("/")
    assert status == 200
    assert "default-src 'self'" in headers["content-security-policy"]
    assert "http" not in headers["content-security-policy"]
    assert headers["cross-origin-resource-policy"] == "same-origin"
    assert b"fonts.googleapis" not in body
    assert visitor.config["analytics_enabled"] is False
    assert not visitor.config.get("run_history")
    # Examples need no question of their own.
    assert len(re.findall(rb"Example \d: ", body)) >= 3


def test_what_no_page_would_send_breaks_nothing(visitor: Visitor, opened: Any) -> None:
    """It is answered in one line; that no traceback was logged is seen when the server ends."""
    values = knobs(visitor, opened)
    number = visitor.number("light", "input")
    good, body = visitor.act(number, [None, *values], at="run/predict")
    assert good == 200
    assert b"data:image/jpeg" in body
    for wrong in (*({"a": 1}, "1e99", {"a": []}, None, 1e9, True, [], "x" * 10_000),):
        _, body = visitor.act(number, [None, wrong, *values[1:]], at="run/predict")
        assert b"Error: " in body
        assert len(body) < 1000
    pressed = visitor.number("examples", "click")
    for event in (None, {}, {"index": "first"}, {"index": None}, [1]):
        guest = Visitor(visitor.page)
        assert guest.act(pressed, ["no method", None], event_data=event)[0] == 200
        assert "no such method" in guest.outcome()["data"][1]
    assert visitor.ask("/")[0] == 200


BEHIND = """
import sys
from pathlib import Path
from biofacenet.web.uploads import private_folder

with private_folder() as folder:
    from biofacenet.errors import PhotoError
    from biofacenet.web.inbox import Inbox
    from biofacenet.web.layout import build
    from biofacenet.web.replies import Replies
    from biofacenet.web.studio import FITTING, Studio

    inbox, studio = Inbox(folder / "uploads"), Studio()
    print(build(studio, inbox).has_launched)
    replies = Replies(studio, inbox, knobs=14)
    for path in sys.argv[1:]:
        print(replies.file(path, FITTING, "")[1])
        try:
            replies._measured(None, path)
        except PhotoError as error:
            print(error)
"""


def test_behind_the_guard_files_of_the_computer_are_refused_as_well() -> None:
    """By gradio, which must know that the page has begun, and again where files are read."""
    paths = [str(EXAMPLE), "/etc/hostname", "/no/such/file"]
    told = subprocess.run(
        [sys.executable, "-c", BEHIND, *paths], capture_output=True, text=True, check=True
    ).stdout.splitlines()
    assert told[0] == "True"
    assert len(told) == 7
    assert {re.sub("<.*?>", "", one) for one in told[1:]} == {
        "Error: this file is no longer held; choose it again",
        "this file is no longer held; choose it again",
    }
