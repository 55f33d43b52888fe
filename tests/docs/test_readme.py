"""The README's promises: its commands are the ones that are tested, and its links exist."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text("utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def test_the_check_of_a_clean_checkout_runs_the_readme_commands() -> None:
    script = (ROOT / ".ci" / "run").read_text("utf-8")
    install, tests = next(block for block in blocks("bash") if "pytest" in block).split(" && ")
    assert install.removeprefix("pip install ").strip() in script
    assert tests.strip() in script


def test_links_lead_somewhere() -> None:
    links = re.findall(r"\]\(([^)]+)\)", README)
    local = [link for link in links if "://" not in link]
    assert local
    headings = re.findall(r"^#+ (.+)$", README, re.MULTILINE)
    anchors = {"#" + heading.lower().replace(" ", "-") for heading in headings}
    for link in local:
        assert link in anchors or (ROOT / link).is_file(), link


@pytest.mark.parametrize(
    "module", sorted(set(re.findall(r"python -m (biofacenet\.[a-z_.]+)", README)))
)
def test_named_commands_exist_and_explain_themselves(module: str) -> None:
    done = subprocess.run([sys.executable, "-m", module, "--help"], capture_output=True, text=True)
    assert done.returncode == 0
    assert "usage: python -m " + module in done.stdout
