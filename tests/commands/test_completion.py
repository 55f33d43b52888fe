"""The scripts that `biofacenet completion` prints, asked as a shell asks them."""

import shutil
import subprocess
from pathlib import Path

import pytest

from biofacenet.cli import COMMANDS
from biofacenet.completion import main

ASK = """
source "$1"; shift
complete -p biofacenet >/dev/null || exit 3
COMP_WORDS=(biofacenet "$@"); COMP_CWORD=$#
rule=$(complete -p biofacenet); rule=${rule#*-F }
${rule%% *}
printf '%s\\n' "${COMPREPLY[@]}"
"""


@pytest.fixture(scope="module")
def scripts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("completion")
    for shell in ("bash", "zsh", "tcsh"):
        with pytest.MonkeyPatch.context() as patch, (folder / shell).open("w") as stream:
            patch.setattr("sys.stdout", stream)
            main([shell])
    return folder


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash")
@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["pre"], {"predict", "prepare"}),
        ([""], {*COMMANDS, "--help", "--version"}),
        (["predict", "--cr"], {"--crop"}),
        (["skin-fit", "--p"], {"--percent"}),
        (["skin_fit", "--p"], {"--percent"}),
        (["fit", "--skin", ""], {"published", "measured"}),
        (["fit", "photo.jpg", "--skin", "m"], {"measured"}),
        (["completion", "z"], {"zsh"}),
        (["edit", "--haemoglobin"], {"--haemoglobin", "--haemoglobin-scale"}),
        (["predict", "photo"], set()),  # files, by bash itself
    ],
)
def test_bash_completes(scripts: Path, words: list[str], expected: set[str]) -> None:
    done = subprocess.run(
        ["bash", "--norc", "-c", ASK, "ask", str(scripts / "bash"), *words],
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert set(done.stdout.split()) == expected


@pytest.mark.parametrize("shell", ["zsh", "tcsh"])
def test_other_shells_know_commands_options_and_choices(scripts: Path, shell: str) -> None:
    text = (scripts / shell).read_text()
    for word in (*COMMANDS, "loss-weights", "haemoglobin-scale", "no-keep-parts", "measured"):
        assert word in text
    if shutil.which(shell):
        done = subprocess.run([shell, "-n", scripts / shell], capture_output=True, text=True)
        assert (done.returncode, done.stderr) == (0, "")
