"""Shares of a list: all of it, each item once."""

import pytest

from biofacenet.errors import BioFaceNetError
from biofacenet.system.shares import Share, share_of

ARRAY = {
    f"SLURM_ARRAY_TASK_{name}": value
    for name, value in {"ID": "5", "MIN": "3", "MAX": "9", "STEP": "2", "COUNT": "4"}.items()
}


@pytest.mark.parametrize("count", [1, 2, 7, 12])
def test_shares_are_all_of_a_list(count: int) -> None:
    items = list("abcdefghij")
    places = [Share(number + 1, count).places(items) for number in range(count)]
    assert sorted(place for each in places for place in each) == list(range(10))
    assert max(map(len, places)) - min(map(len, places)) <= 1


def test_a_share_is_named_or_given_by_what_started_the_process() -> None:
    launched = {"RANK": "2", "WORLD_SIZE": "4"}
    assert share_of("3/8", launched | ARRAY) == Share(3, 8)
    assert share_of("", launched) == Share(3, 4)
    assert share_of("auto", launched | ARRAY) == Share(3, 4)
    assert share_of("auto", ARRAY) == Share(2, 4)
    assert share_of("", ARRAY) == Share()
    assert share_of("", {"WORLD_SIZE": "1", "RANK": "0"}).is_all


@pytest.mark.parametrize(
    ("text", "environment", "words"),
    [
        ("0/8", {}, "share 0/8: expected NUMBER/COUNT"),
        ("9/8", {}, "share 9/8: expected"),
        ("1/999999999", {}, "share 1/999999999: expected"),
        ("a third", {}, "share 'a third': expected NUMBER/COUNT, such as 3/8"),
        ("auto", {}, "neither by torchrun nor by a Slurm array"),
        ("", {"WORLD_SIZE": "4"}, "RANK=: expected a whole number"),
        ("", {"WORLD_SIZE": "4", "RANK": "4"}, "share 5/4"),
        ("", {"WORLD_SIZE": "four", "RANK": "0"}, "WORLD_SIZE=four: expected"),
        ("auto", ARRAY | {"SLURM_ARRAY_TASK_COUNT": "1"}, "task 5 alone"),
        ("auto", ARRAY | {"SLURM_ARRAY_TASK_COUNT": "3"}, "have gaps; number them 1-3"),
        ("auto", ARRAY | {"SLURM_ARRAY_TASK_ID": "6"}, "have gaps"),
        ("auto", ARRAY | {"SLURM_ARRAY_TASK_STEP": "0"}, "have gaps"),
    ],
)
def test_what_is_no_share_is_told_in_a_line(
    text: str, environment: dict[str, str], words: str
) -> None:
    with pytest.raises(BioFaceNetError) as raised:
        share_of(text, environment)
    assert words in str(raised.value)
    assert "\n" not in str(raised.value)
