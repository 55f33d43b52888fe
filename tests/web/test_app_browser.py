"""The web page in a real browser: upload, sliders, downloads, a phone, and nothing from elsewhere."""

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pytest
from PIL import Image

from biofacenet import Decomposition
from biofacenet.data.synthetic.faces import generate
from biofacenet.plotting.encoding import eight_bit

pytestmark = pytest.mark.slow

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
QUIET = [
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    # Whatever asks for another host fails, and shows.
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
]
PATIENCE = 180_000
"""Milliseconds: a busy machine fits slowly."""


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A Chromium with a profile of its own."""
    playwright = pytest.importorskip("playwright.sync_api")
    if CHROMIUM is None:
        if os.environ.get("BIOFACENET_REQUIRE_BROWSER") == "1":
            pytest.fail("no chromium in PATH, and BIOFACENET_REQUIRE_BROWSER is 1")
        pytest.skip("no chromium in PATH")
    with playwright.sync_playwright() as driver:
        context = driver.chromium.launch_persistent_context(
            str(tmp_path_factory.mktemp("profile")),
            executable_path=CHROMIUM,
            args=QUIET,
            viewport={"width": 1320, "height": 900},
        )
        context.set_default_timeout(PATIENCE)
        yield context
        context.close()


@pytest.fixture(scope="module")
def photo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A synthetic face on a larger canvas."""
    path = tmp_path_factory.mktemp("photo") / "portrait.png"
    canvas = np.full((160, 200, 3), 90, np.uint8)
    canvas[16:144, 40:168] = eight_bit(generate([500_001], size=128, skin="measured").image[0])
    Image.fromarray(canvas).save(path)
    return path


@pytest.fixture(scope="module")
def page(browser: Any, web_page: str) -> Any:
    """The page; what it asked for and what went wrong are kept on it."""
    page = browser.new_page()
    page.asked, page.wrong, page.missing = [], [], []
    page.on("request", lambda request: page.asked.append(request.url))
    page.on("response", lambda answer: answer.status >= 400 and page.missing.append(answer.url))
    page.on("pageerror", lambda error: page.wrong.append(str(error)))
    page.goto(web_page, timeout=PATIENCE)
    page.wait_for_selector("#examples button")
    return page


def source(page: Any) -> str:
    return page.get_attribute("#after img", "src")


def colour(page: Any, place: str) -> list[float]:
    """Mean R, G, B in the middle of a picture of the stage."""
    return page.evaluate(
        """place => {
            const image = document.querySelector(place + ' img');
            const canvas = document.createElement('canvas');
            canvas.width = canvas.height = 512;
            const context = canvas.getContext('2d');
            context.drawImage(image, 0, 0, 512, 512);
            const data = context.getImageData(200, 230, 112, 112).data;
            const sum = [0, 0, 0];
            for (let i = 0; i < data.length; i++) if (i % 4 < 3) sum[i % 4] += data[i];
            return sum.map(value => value / (112 * 112));
        }""",
        place,
    )


def move(page: Any, index: int, value: str) -> None:
    """Move a slider and wait for the picture to follow."""
    before = source(page)
    page.locator("#sliders input[type=range]").nth(index).fill(value)
    page.wait_for_function(
        "before => document.querySelector('#after img').src !== before", arg=before
    )


def upload(page: Any, path: Path) -> None:
    page.set_input_files("#upload input[type=file]", str(path))


def download(page: Any, name: str, folder: Path) -> Path:
    with page.expect_download() as started:
        page.click(f"#downloads a[download='{name}']")
    path = folder / name
    started.value.save_as(path)
    return path


def test_a_photo_is_uploaded_edited_and_downloaded(page: Any, photo: Path, tmp_path: Path) -> None:
    upload(page, photo)
    page.wait_for_selector("#after img")
    page.wait_for_selector(".line.good")
    assert "portrait" in page.inner_text("#status")
    # At rest, before and after are the same.
    np.testing.assert_allclose(colour(page, "#before"), colour(page, "#after"), atol=1.0)
    assert page.locator("#maps .tile").count() == 8
    assert "±" in page.inner_text("#facts")

    rest = download(page, "edited.png", tmp_path)
    np.testing.assert_array_equal(np.asarray(Image.open(rest)), np.asarray(Image.open(photo)))

    light = colour(page, "#after")
    move(page, 0, "300")  # per cent more melanin
    dark = colour(page, "#after")
    assert max(dark) < max(light)
    assert "→" in page.inner_text("#now")
    np.testing.assert_allclose(colour(page, "#before"), light, atol=1.0)
    assert "300 % more melanin" in page.inner_text("#now")
    move(page, 1, "200")
    red = colour(page, "#after")
    assert red[1] / red[0] < dark[1] / dark[0]

    edited = np.asarray(Image.open(download(page, "edited.png", tmp_path)))
    assert edited.shape == (160, 200, 3)
    assert np.abs(edited.astype(int) - np.asarray(Image.open(photo))).max() > 20
    settings = json.loads(download(page, "settings.json", tmp_path).read_text())
    assert settings["edit"]["melanin_scale"] == 4
    assert settings["edit"]["haemoglobin_scale"] == 3
    assert settings["edit"]["light"] is None
    assert Decomposition.load(download(page, "maps.npz", tmp_path)).melanin.shape == (1, 1, 96, 96)

    before = source(page)
    page.click("#reset")
    page.wait_for_function(
        "before => document.querySelector('#after img').src !== before", arg=before
    )
    np.testing.assert_allclose(colour(page, "#after"), light, atol=1.0)
    assert page.locator("#sliders input[type=range]").first.input_value() == "0"
    assert "as it was found" in page.inner_text("#now")


def test_light_and_camera_change_the_picture(page: Any, tmp_path: Path) -> None:
    page.get_by_role("tab", name="Light, camera").click()
    sliders = page.locator("#sliders input[type=range]:visible")
    before = source(page)
    sliders.first.fill("12000")
    page.wait_for_function(
        "before => document.querySelector('#after img').src !== before", arg=before
    )
    page.wait_for_function(
        "() => document.querySelector('#light input').value.startsWith('D: daylight')"
    )
    before = source(page)
    sliders.nth(1).fill("2.5")
    page.wait_for_function(
        "before => document.querySelector('#after img').src !== before", arg=before
    )
    before = source(page)
    lamp = tmp_path / "lamp.csv"
    lamp.write_text("".join(f"{nm},{int(nm > 500) + 0.05}\n" for nm in range(400, 721, 10)))
    page.set_input_files("#light-file input[type=file]", str(lamp))
    page.wait_for_function(
        "before => document.querySelector('#after img').src !== before", arg=before
    )
    settings = json.loads(download(page, "settings.json", tmp_path).read_text())
    assert settings["edit"]["light"]["name"] == "lamp.csv"
    page.get_by_role("tab", name="Skin").click()


def shown_of_after(page: Any) -> str:
    """How the picture of after is cut on the left."""
    return str(page.evaluate("getComputedStyle(document.querySelector('#after')).clipPath"))


def test_before_and_after_share_the_stage(page: Any) -> None:
    handle = page.locator("#split input")
    assert handle.input_value() == "50"
    assert shown_of_after(page).endswith("50%)")
    for side in ("left", "right"):
        style = f"getComputedStyle(document.querySelector('#split .{side}')).opacity"
        assert page.evaluate(style) == "1"
    handle.fill("20")
    assert shown_of_after(page).endswith("20%)")
    boxes = [page.locator(f"{place} img").bounding_box() for place in ("#before", "#after")]
    assert boxes[0] == boxes[1]
    assert boxes[0]["width"] == pytest.approx(boxes[0]["height"], abs=1)
    handle.fill("50")


FOCUSED = """() => {
    const seen = document.activeElement;
    if (!seen || seen === document.body) return null;
    const rims = [seen, seen.closest('label')].filter(Boolean).map(one => getComputedStyle(one));
    const outlined = rims.some(s => s.outlineStyle !== 'none' && parseFloat(s.outlineWidth) >= 2);
    const name = seen.getAttribute('aria-label') || seen.innerText || seen.closest('label')?.innerText;
    return {name: (name || '').trim(), tag: seen.tagName, type: seen.type || '', outlined};
}"""


def tab_to(page: Any, name: str, kind: str = "") -> None:
    """Go from where the focus is to an element by the tabulator alone."""
    for _ in range(80):
        page.keyboard.press("Tab")
        focus = page.evaluate(FOCUSED)
        if focus and name in focus["name"] and kind in (focus["type"], ""):
            return
    pytest.fail(f"no way to {name} by the keyboard")


def test_the_page_works_with_a_keyboard_alone(page: Any) -> None:
    page.reload()
    page.wait_for_selector("#examples button")
    tab_to(page, "Example 2")
    page.keyboard.press("Enter")
    page.wait_for_selector(".line.good")
    page.wait_for_selector("#after img")
    tab_to(page, "Before and after", "range")
    page.keyboard.press("End")
    assert shown_of_after(page).endswith("100%)")
    page.keyboard.press("Home")
    before = source(page)
    tab_to(page, "Melanin", "range")
    page.keyboard.press("PageUp")
    page.wait_for_function(
        "before => document.querySelector('#after img').src !== before", arg=before
    )
    assert "more melanin" in page.inner_text("#now")
    tab_to(page, "Put all back")
    page.keyboard.press("Space")
    page.wait_for_function(
        "() => document.querySelector('#now').innerText.includes('as it was found')"
    )


def test_the_focus_is_seen_wherever_it_is(page: Any) -> None:
    """From the top of the page to its end, no stop without a rim and a name."""
    page.evaluate("document.activeElement.blur(); window.scrollTo(0, 0)")
    page.mouse.click(1, 1)
    stops = []
    for _ in range(80):
        page.keyboard.press("Tab")
        focus = page.evaluate(FOCUSED)
        if focus is None:
            break
        stops.append(focus)
    assert focus is None
    assert len(stops) > 20
    assert [one for one in stops if not one["outlined"]] == []
    assert [one for one in stops if not one["name"]] == []
    assert any("Edited photo" in one["name"] for one in stops)


def test_of_two_faces_the_other_can_be_chosen(page: Any, tmp_path: Path) -> None:
    photo = os.environ.get("BIOFACENET_FACES_DIR")
    if photo is None:
        pytest.skip("needs photographs of two people; BIOFACENET_FACES_DIR names none")
    people = sorted((Path(photo) / "london").glob("*_neutral.jpg"))[:2]
    both = Image.new("RGB", (800, 400))
    for place, one in enumerate(people):
        both.paste(Image.open(one).convert("RGB").resize((400, 400)), (400 * place, 0))
    path = tmp_path / "two people.jpg"
    both.save(path)
    page.reload()
    page.wait_for_selector("#examples button")
    upload(page, path)
    page.wait_for_selector("#after img")
    assert page.locator("#parts button").count() == 2
    assert "face 1 of 2" in page.inner_text("#status")
    before = page.get_attribute("#before img", "src")
    other = page.locator("#parts button").nth(1)
    assert other.get_attribute("aria-pressed") == "false"
    other.click()
    page.wait_for_function(
        "before => document.querySelector('#before img').src !== before", arg=before
    )
    assert "face 2 of 2" in page.inner_text("#status")
    assert other.get_attribute("aria-pressed") == "true"


def test_a_photo_without_a_face_warns_and_is_looked_at_when_asked(
    page: Any, tmp_path: Path
) -> None:
    path = tmp_path / "sky.png"
    rise = np.linspace(40, 255, 128)[:, None, None] * np.array([0.4, 0.6, 1.0])
    Image.fromarray(np.broadcast_to(rise, (128, 128, 3)).astype(np.uint8)).save(path)
    page.reload()
    page.wait_for_selector("#examples button")
    upload(page, path)
    page.wait_for_selector(".line.warn")
    told = page.inner_text("#status")
    assert "Warning: sky: no face was found." in told
    assert "--" not in told
    assert not page.is_visible("#after img")
    page.get_by_role("button", name="Look at the middle of the photo").click()
    page.wait_for_selector("#after img")
    assert "no face, the middle of the photo" in page.inner_text(".line.warn")


def test_a_phone_needs_no_sideways_scrolling(page: Any) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    page.wait_for_timeout(500)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    # The picture stays in sight while the last slider is moved.
    page.locator("#sliders input[type=range]:visible").last.scroll_into_view_if_needed()
    box = page.locator("#after img").bounding_box()
    assert 0 <= box["y"] < 600
    page.set_viewport_size({"width": 1320, "height": 900})


def test_what_is_no_photo_is_told_in_one_line(page: Any, tmp_path: Path) -> None:
    path = tmp_path / "notes.png"
    path.write_text("no photo")
    page.reload()
    page.wait_for_selector("#examples button")
    upload(page, path)
    page.wait_for_selector(".line.bad")
    told = page.inner_text("#status")
    assert told.startswith("Error: notes.png: not a photo")
    assert "\n" not in told


def test_nothing_was_asked_of_any_other_host(page: Any, web_page: str) -> None:
    hosts = {
        urlsplit(url).netloc for url in page.asked if urlsplit(url).scheme in ("http", "https")
    }
    assert hosts == {urlsplit(web_page).netloc}
    assert page.wrong == []
    # The guard lets pass all that the page asks for.
    assert page.missing == []
