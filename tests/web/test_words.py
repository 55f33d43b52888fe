"""What the page says: warnings, words for changes, nothing of a command line or out of a file."""

import pytest

from biofacenet.decomposition import Edit
from biofacenet.web.html import line
from biofacenet.web.knobs import spoken
from biofacenet.web.words import plain, unquoted


def test_a_warning_is_told_from_good_news_without_colours() -> None:
    assert "Warning: " in line("no face", "warn")
    assert "Error: " in line("no photo", "bad")
    assert "role='alert'" in line("no face", "warn")
    assert "Warning" not in line("face found", "good")
    assert "role='status'" in line("face found", "good")


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ("a.png: no face; give a --crop", "a.png: no face"),
        (
            "no face found, central square taken; --crop LEFT,TOP,SIZE names another, --whole-image all",
            "no face found, central square taken",
        ),
        ("no photo (--help shows all settings)", "no photo"),
        (
            "my--photo.jpg: too small, use a larger one",
            "my--photo.jpg: too small, use a larger one",
        ),
    ],
)
def test_the_page_says_nothing_of_a_command_line(said: str, kept: str) -> None:
    assert plain(said) == kept


def test_changes_are_said_in_words_and_percent() -> None:
    edit = Edit(melanin_scale=1.5, haemoglobin_scale=0.0, specular_scale=0.75, light="D65")
    assert spoken(edit) == ("50 % more melanin, 100 % less blood, 25 % less highlights, light D65")
    assert spoken(Edit()) == ""
    look = Edit(look="tan", areas="cheeks", even_melanin=0.8, light_from="left")
    assert spoken(look) == "a tan, 80 % evener, of the cheeks, light from the left"
    assert spoken(Edit(light="D", cct=9000.0, camera=(1.0, -0.5))) == (
        "light D of 9000 K, camera 1.00, -0.50"
    )


def test_messages_hold_nothing_of_a_file() -> None:
    for said in (
        "a.csv: line 3 holds 'hunter2'; expected a number",
        "a.csv: columns are named w, hunter2; 1, b; expected R, G, B",
        "a.png: not a photo of a known format (begins with b'hun)ter2'); expected a JPEG",
        'a.png: damaged or cut short (bad chunk hunter2); expected "hunter2", copy it again',
    ):
        told = unquoted(said, "a.csv" if "csv" in said else "a.png")
        assert "ter2" not in told
        assert "expected" in told
