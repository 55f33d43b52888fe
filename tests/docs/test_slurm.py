"""The script for Slurm, with stand-ins for Slurm: valid, calls what there is, goes on where it stopped."""

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest
from pages import ROOT, blocks
from torch.distributed.run import get_args_parser

from biofacenet.cli import parse
from biofacenet.training.settings import Settings

pytestmark = pytest.mark.skipif(shutil.which("bash") is None, reason="no bash here")

PAGE = ROOT / "docs" / "distributed.md"

STAND_INS = {
    "scontrol": """
        echo "scontrol $*" >> "$LOG"
        if [ "$1" = show ]; then echo node7; echo node8; fi
    """,
    "scancel": """
        echo "scancel $*" >> "$LOG"
        kill -TERM "$(cat "$LOG.step")"
    """,
    # Until it is asked to stop, where it is to run long.
    "srun": """
        echo $$ > "$LOG.step"
        trap 'echo saved >> "$LOG"; kill $sleeper; exit 143' TERM
        printf '%s\\n' "$@" > "$LOG.words"
        sleep "$LONG" & sleeper=$!
        wait $sleeper
    """,
}


def script() -> str:
    (found,) = blocks(PAGE, "sh")
    return found


def started(folder: Path, seconds: int) -> subprocess.Popen[str]:
    """The script, as Slurm starts it."""
    for name, body in STAND_INS.items():
        program = folder / "bin" / name
        program.parent.mkdir(exist_ok=True)
        program.write_text(f"#!/usr/bin/env bash\n{body}")
        program.chmod(0o755)
    (folder / "job").write_text(script())
    place = {"SLURM_JOB_NODELIST": "node[7-8]", "SLURM_JOB_ID": "123456", "SLURM_NNODES": "2"}
    place |= {"SLURM_GPUS_ON_NODE": "4", "SLURM_CPUS_PER_TASK": "32", "HOME": str(folder)}
    place |= {"LOG": str(folder / "log"), "LONG": str(seconds)}
    path = f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}"
    return subprocess.Popen(
        ["bash", str(folder / "job")],
        env={**os.environ, **place, "PATH": path},
        stderr=subprocess.PIPE,
        text=True,
    )


def training(words: list[str]) -> tuple[dict[str, object], Settings]:
    """What torchrun and train make of the words that srun was given."""
    assert words[0] == "torchrun"
    launcher = vars(get_args_parser().parse_args(words[1:]))
    assert (launcher["module"], launcher["training_script"]) == (True, "biofacenet.train")
    return launcher, parse(Settings, launcher["training_script_args"], program="train")


def test_script_is_valid() -> None:
    done = subprocess.run(["bash", "-n"], input=script(), capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    head, _, rest = script().partition("set -euo pipefail")
    assert head.startswith("#!")
    assert "#SBATCH" not in rest  # Slurm reads them up to the first command


def test_script_starts_a_run_and_then_goes_on_with_it(tmp_path: Path) -> None:
    _, errors = started(tmp_path, 0).communicate(timeout=20)
    assert errors == ""
    launcher, settings = training((tmp_path / "log.words").read_text().splitlines())
    assert launcher["nnodes"] == "2"
    assert launcher["nproc_per_node"] == "4"
    assert launcher["rdzv_backend"] == "c10d"
    assert launcher["rdzv_endpoint"] == f"node7:{20000 + 123456 % 20000}"
    assert settings.data == tmp_path / "faces"
    assert settings.batch_size is not None
    assert settings.batch_size % 8 == 0
    assert settings.out is not None
    (settings.out / "checkpoints").mkdir(parents=True)
    _, errors = started(tmp_path, 0).communicate(timeout=20)
    assert errors == ""
    again = training((tmp_path / "log.words").read_text().splitlines())[1]
    assert again == Settings(resume=settings.out)


def test_script_saves_and_queues_again_when_it_is_warned(tmp_path: Path) -> None:
    job = started(tmp_path, 60)
    while not (tmp_path / "log.words").exists():
        assert job.poll() is None, job.communicate()
        time.sleep(0.05)
    job.send_signal(signal.SIGUSR1)
    _, errors = job.communicate(timeout=20)
    assert (job.returncode, errors) == (0, "")
    said = (tmp_path / "log").read_text().splitlines()
    assert said[1:] == ["scancel --signal=TERM 123456.0", "saved", "scontrol requeue 123456"]
