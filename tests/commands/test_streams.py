"""Programs without a console, as services and pythonw start them, and in folders that are gone."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = [sys.executable, "-m", "biofacenet"]


def shell(line: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = ["sh", "-c", f'"$0" -m biofacenet {line}', sys.executable]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True)


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&-", ">&- 2>&- <&-"])
@pytest.mark.parametrize(
    ("line", "status"),
    [("--version", 0), ("predict --help", 0), ("predict gone.jpg", 2), ("dance", 2)],
)
def test_closed_streams_change_no_status(
    tmp_path: Path, closed: str, line: str, status: int
) -> None:
    done = shell(f"{line} {closed}", tmp_path)
    assert done.returncode == status, done.stderr
    assert "Traceback" not in done.stderr


def test_results_never_get_the_number_of_a_closed_stream(tmp_path: Path) -> None:
    """What a library prints would else land in the file that is open."""
    code = (
        "import os, sys\n"
        "from biofacenet.cli import run\n"
        "def main():\n"
        "    with open('result', 'w') as stream:\n"
        "        assert stream.fileno() > 2, stream.fileno()\n"
        "        os.write(1, b'noise')\n"
        "run(main)\n"
    )
    command = ["sh", "-c", 'exec "$0" -c "$1" >&- 2>&- <&-', sys.executable, code]
    assert subprocess.run(command, cwd=tmp_path).returncode == 0
    assert (tmp_path / "result").read_text() == ""


@pytest.mark.parametrize("line", ["predict", "doctor", "train"])
def test_a_folder_that_is_gone_is_told(tmp_path: Path, line: str) -> None:
    """Libraries below would end the process, or show a traceback."""
    code = f"mkdir gone; cd gone; rmdir ../gone; '{sys.executable}' -m biofacenet {line}"
    done = subprocess.run(
        ["sh", "-c", code],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith("error: the current folder was removed")
