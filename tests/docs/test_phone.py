"""The documentation on a phone: no page is wider than its screen; tables and code scroll in themselves."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.slow

ROOT = next(path for path in Path(__file__).parents if (path / "mkdocs.yml").is_file())
WIDTH = 390
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
QUIET = [
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    "--host-resolver-rules=MAP * ~NOTFOUND",  # pages are files, and need no other host
]
TOO_WIDE = """() => {
    const width = document.documentElement.clientWidth;
    const scrolls = element => {
        for (let e = element.parentElement; e && e !== document.body; e = e.parentElement)
            if (['auto', 'scroll', 'hidden'].includes(getComputedStyle(e).overflowX)) return true;
        return false;
    };
    return [...document.querySelectorAll('.md-content *')]
        .filter(e => e.getBoundingClientRect().right > width + 0.5 && !scrolls(e))
        .map(e => e.outerHTML.slice(0, 120));
}"""
"""What of a page's content reaches beyond the screen."""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The documentation, built once."""
    folder = tmp_path_factory.mktemp("documentation") / "site"
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--quiet", "--site-dir", folder],
        cwd=ROOT,
        capture_output=True,
        text=True,
        env=os.environ | {"NO_MKDOCS_2_WARNING": "1"},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


@pytest.fixture(scope="module")
def phone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A page of a browser, as wide as a phone."""
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
            viewport={"width": WIDTH, "height": 844},
        )
        yield context.new_page()
        context.close()


def test_no_page_is_wider_than_a_phone(site: Path, phone: Any) -> None:
    pages = sorted(site.rglob("*.html"))
    assert len(pages) > 30
    wide = {}
    for path in pages:
        phone.goto(path.as_uri())
        width = phone.evaluate("document.documentElement.scrollWidth")
        beyond = phone.evaluate(TOO_WIDE)
        if width > WIDTH or beyond:
            wide[str(path.relative_to(site))] = (width, beyond[:5])
    assert not wide


def test_a_page_that_is_too_wide_would_be_found(phone: Any) -> None:
    phone.set_content('<div class="md-content"><p style="width: 600px">wide</p></div>')
    assert phone.evaluate("document.documentElement.scrollWidth") > WIDTH
    assert len(phone.evaluate(TOO_WIDE)) == 1
