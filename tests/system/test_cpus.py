"""How many processors there are for us: what a container or a cluster gives, not what the machine has."""

import os
from pathlib import Path

import pytest

from biofacenet.system import device
from biofacenet.system.device import usable_cpus


@pytest.fixture
def groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where control groups say their quota; a machine of 80 processors, 64 of them for us."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(64)), raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 80)
    names = [[str(tmp_path / Path(name).name) for name in files] for files in device.QUOTAS]
    monkeypatch.setattr(device, "QUOTAS", names)
    return tmp_path


@pytest.mark.parametrize(
    ("said", "count"),
    [("200000 100000", 2), ("150000 100000", 2), ("max 100000", 64), ("10000 100000", 1)],
)
def test_quotas_of_control_groups_2(groups: Path, said: str, count: int) -> None:
    (groups / "cpu.max").write_text(f"{said}\n")
    assert usable_cpus() == count


@pytest.mark.parametrize(("quota", "count"), [("400000", 4), ("-1", 64), ("0", 1)])
def test_quotas_of_control_groups_1(groups: Path, quota: str, count: int) -> None:
    (groups / "cpu.cfs_quota_us").write_text(f"{quota}\n")
    (groups / "cpu.cfs_period_us").write_text("100000\n")
    assert usable_cpus() == count


def test_without_a_quota_and_with_a_damaged_one(groups: Path) -> None:
    assert usable_cpus() == 64
    (groups / "cpu.max").write_text("?")
    assert usable_cpus() == 64


def test_systems_that_know_neither(groups: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "sched_getaffinity")
    assert usable_cpus() == 80
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert usable_cpus() == 1
