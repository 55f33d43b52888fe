"""What is named and is no file here: URLs, standard input, names that are almost right."""

from collections.abc import Callable
from pathlib import Path

import pytest

from biofacenet import predict, train
from biofacenet.cli import parse
from biofacenet.errors import ModelError, PhotoError
from biofacenet.network.folders import find
from biofacenet.photos.paths import EXAMPLE, expand
from biofacenet.photos.reading import read_photo

URLS = (
    *("https://example.org/a/face.jpg", "HTTP://EXAMPLE.ORG/face.jpg", "s3://bucket/face.jpg"),
    *("ftp://host/face.jpg", "data:image/png;base64,iVBORw0KGgo=", "www.example.org/face.jpg"),
)


def line(call: Callable[[], object], capsys: pytest.CaptureFixture[str]) -> str:
    """What a command line that ends at once says."""
    with pytest.raises(SystemExit) as ended:
        call()
    assert ended.value.code == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    return said


@pytest.mark.parametrize("url", URLS)
def test_urls_are_named_as_they_were_given(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    for settings, words in (
        (predict.Settings, [url]),
        (predict.Settings, ["face.jpg", "--out", url]),
        (train.Settings, ["--data", url]),
    ):
        said = line(lambda s=settings, w=words: parse(s, w, program="x"), capsys)  # type: ignore[misc]
        assert f"{url}: a URL, and URLs are not read; download it" in said
    for read in (read_photo, lambda name: expand([Path(name)])):
        with pytest.raises(PhotoError, match="a URL, and URLs are not read") as error:
            read(url)
        assert url in str(error.value)
    with pytest.raises(ModelError, match="a URL"):
        find(url)


@pytest.mark.parametrize("url", ["file:///photos/me.jpg", "file:/photos/me.jpg"])
def test_urls_of_files(url: str) -> None:
    with pytest.raises(PhotoError, match=r"name the file itself, /photos/me\.jpg"):
        read_photo(url)


def test_addresses_of_the_hub() -> None:
    for url in (
        "https://huggingface.co/owner/face-net",
        "https://huggingface.co/owner/face-net/tree/main",
    ):
        with pytest.raises(ModelError, match=r"name the model itself, owner/face-net$"):
            find(url)


def test_standard_input() -> None:
    for read in (read_photo, lambda name: expand([Path(name)])):
        with pytest.raises(PhotoError, match="-: standard input is not read"):
            read("-")


def test_a_file_of_such_a_name_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("https:/example.org").mkdir(parents=True)
    for name in ("-", "https:/example.org/face.png", "data:face.png"):
        Path(name).write_bytes(EXAMPLE.read_bytes())
        assert read_photo(name).width == read_photo(EXAMPLE).width
        assert expand([Path(name)]) == (Path(name),)


@pytest.mark.parametrize("words", [["--out=~/maps"], ["--out", "~/maps"]])
def test_the_home_that_a_shell_left_as_it_was(
    words: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    settings = parse(predict.Settings, [*words, "~tilde.png"], program="x")
    assert settings.out == Path("/home/me/maps")
    assert settings.photos == (Path("~tilde.png"),)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("smal", "did you mean small?"),
        ("Small", "did you mean small?"),
        ("samll", "did you mean small?"),
        ("paper", "no weights of the paper network come with the package"),
        ("papr", "no weights of the paper network come with the package"),
        ("runs/001", "expected a folder"),
    ],
)
def test_networks_that_are_almost_there(name: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(ModelError) as error:
        find(name if "/" not in name else tmp_path / name)
    assert said in str(error.value)
    assert "or the name small" in str(error.value)
    assert ("did you mean" in said) == ("did you mean" in str(error.value))
