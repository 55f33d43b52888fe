"""The picture of the page: the NASA portrait of astronaut Eileen Collins, with more melanin.

    python docs/make_page.py

Needs the `app` and `test` extras, and Chromium in the PATH.
"""

from __future__ import annotations

import io
import re
import shutil
import subprocess
import sys
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

PICTURE = Path(__file__).parent / "images" / "app.png"
WIDTH, HEIGHT = 1180, 1120


def main() -> None:
    """Start the page, look at the portrait, and write what is seen."""
    command = [sys.executable, "-u", "-m", "biofacenet.app", "--port", "0"]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    try:
        address = re.match(r"(http://\S+)", server.stdout.readline())
        assert address is not None
        with sync_playwright() as driver:
            browser = driver.chromium.launch(
                executable_path=shutil.which("chromium"), args=["--no-sandbox"]
            )
            page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT})
            page.goto(address[1])
            page.click("#examples button >> nth=0")
            page.wait_for_selector("#after img", timeout=180_000)
            page.locator("#sliders input[type=range]").first.fill("150")
            page.wait_for_selector("#now >> text=150 % more melanin")
            page.evaluate("document.activeElement.blur()")
            page.wait_for_timeout(500)
            seen = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
            browser.close()
        smaller = seen.resize((WIDTH * 3 // 4, HEIGHT * 3 // 4), Image.Resampling.LANCZOS)
        smaller.convert("P", palette=Image.Palette.ADAPTIVE, colors=256).save(
            PICTURE, optimize=True
        )
    finally:
        server.terminate()
        server.wait(timeout=30)


if __name__ == "__main__":
    main()
