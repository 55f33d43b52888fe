"""The benchmark of killed runs: its photos, and what it says of other bytes."""

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks import killed
from biofacenet.errors import BioFaceNetError


def test_photos_are_as_many_as_are_asked_for_and_awkward(tmp_path: Path) -> None:
    killed.make_photos(tmp_path, 9)
    names = {path.name for path in tmp_path.iterdir()}
    assert len(names) == 9
    assert {"text.jpg", *killed.AWKWARD} <= names


def test_other_bytes_are_an_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def found(*_: Any) -> list[dict[str, Any]]:
        return [{"workers": 1, "photos_done_at_kills": [3], "same_bytes": False}]

    monkeypatch.setattr(killed, "measured", found)
    out = tmp_path / "killed.json"
    with pytest.raises(BioFaceNetError, match="expected the same bytes"):
        killed.main(["--out", str(out)])
    assert json.loads(out.read_text("utf-8"))["runs"][0]["same_bytes"] is False
