"""Text from files is text in pages: names, settings and whatever a photo says of itself."""

from pathlib import Path

import pytest

from biofacenet.training.journal import Journal
from biofacenet.web.html import line, picture

EVIL = "<script>alert('x')</script>\" onload='y"


def test_the_page_shows_text_as_text() -> None:
    for text in (line(EVIL), line(EVIL, "bad"), picture(b"", EVIL)):
        assert "<script" not in text
        assert "onload='" not in text
        assert "&lt;script&gt;" in text


@pytest.mark.parametrize("name", [EVIL.replace("/", ""), "caf\udce9", "{{ 7 * 7 }}"])
def test_the_report_of_training_shows_names_as_text(tmp_path: Path, name: str) -> None:
    folder = tmp_path / name
    folder.mkdir()
    history = [
        {"step": 1.0, "epoch": 1.0, "train_total": 1.0, "learning_rate": 1e-3, "seconds": 1.0}
    ]
    with Journal(folder) as journal:
        path = journal.report(history, {"data": EVIL}, {"out": EVIL}, {})
    page = path.read_text("utf-8")
    assert "<script>alert" not in page
    assert "onload='y" not in page
    assert ">49<" not in page
