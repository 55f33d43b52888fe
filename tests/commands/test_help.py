"""Every command's help: as wide as the terminal, true defaults, examples that are understood."""

import importlib
import re
import shlex
import sys
from dataclasses import fields
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from biofacenet import __version__
from biofacenet.__main__ import main
from biofacenet.cli import COMMANDS, parse
from biofacenet.cli.options import Option, options_of
from biofacenet.training.settings import PRESETS, Settings, resolve

DOORS = sorted(path.stem for path in Path(main.__code__.co_filename).parent.glob("[a-z]*.py"))


def module_of(command: str) -> ModuleType:
    return importlib.import_module(f"biofacenet.{command.replace('-', '_')}")


def options(command: str) -> list[Option]:
    return list(options_of(module_of(command).Settings))


def said(capsys: pytest.CaptureFixture[str], *arguments: str, status: int = 0) -> str:
    """What the program answers, on the stream that fits its exit status."""
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == status
    captured = capsys.readouterr()
    assert not (captured.out if status else captured.err)
    return captured.err if status else captured.out


def test_the_list_of_commands_is_that_of_the_modules(capsys: pytest.CaptureFixture[str]) -> None:
    programs = {
        name for name in DOORS if hasattr(importlib.import_module(f"biofacenet.{name}"), "main")
    }
    assert programs == {name.replace("-", "_") for name in COMMANDS}
    for arguments in ([], ["--help"], ["-h"]):
        main(arguments)
        text = capsys.readouterr().out
        for name, about in COMMANDS.items():
            assert re.search(rf"^  {name} +{about.split()[0]} ", text, re.MULTILINE)
    main(["--version"])
    assert capsys.readouterr().out == f"biofacenet {__version__}\n"


@pytest.mark.parametrize("columns", [60, 80, 120])
@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_help_fits_the_terminal(
    command: str,
    columns: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    if command:
        text = said(capsys, command, "--help")
    else:
        main([])
        text = capsys.readouterr().out
    lines = text.splitlines()
    assert max(map(len, lines)) <= columns
    assert max(map(len, lines)) > 0.8 * min(columns, 80)  # and uses it
    assert lines[0].startswith(f"usage: biofacenet {command}".rstrip())
    assert not any(line != line.rstrip() for line in lines)


@pytest.mark.parametrize("command", COMMANDS)
def test_help_says_everything_and_true_defaults(
    command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    text = " ".join(said(capsys, command, "--help").split())
    assert not re.search(r"\(default: *(None|\(\)|True|False|MISSING)?\)", text)
    for option in options(command):
        assert option.about, option.name
        assert option.usage in text
        assert option.about in text
        if not option.required:
            assert f"(default: {option.default_text(option.default)})" in text
            assert option.default not in (None, ()) or option.shown, option.name


@pytest.mark.parametrize("command", COMMANDS)
def test_two_examples_that_are_understood(command: str) -> None:
    module = module_of(command)
    found = [shlex.split(example.partition(" >")[0]) for example in module.EXAMPLES]
    assert len(found) == (1 if command == "doctor" else 2)
    for words in found:
        parse(module.Settings, words, program=command)


def test_defaults_that_a_preset_decides_are_those_of_the_preset() -> None:
    shown = {option.name: option.shown for option in options("train")}
    assert shown["epochs"] == "7; paper: 200; shipped: 8"
    plan = resolve(Settings(preset="paper"))
    assert f"paper: {plan.batch_size}" in shown["batch_size"]
    assert f"paper: {plan.learning_rate:g}" in shown["learning_rate"]
    assert f"shipped: {PRESETS['shipped'].average:g}" in shown["average"]
    assert shown["flip"] == "yes; paper: no"
    assert shown["truth_weight"] == "1; paper: 0"


def test_help_shows_what_a_settings_file_holds(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "settings.json"
    path.write_text('{"epochs": 3, "flip": false}')
    text = " ".join(said(capsys, "train", "--settings", str(path), "--help").split())
    assert "Passes over the data. (default: 3)" in text
    assert "Mirror every other face, by chance. (default: no)" in text


@pytest.mark.parametrize(
    ("program", "called"),
    [
        ("/somewhere/bin/biofacenet", "biofacenet skin-fit"),
        ("/somewhere/biofacenet/__main__.py", "python -m biofacenet skin-fit"),
        ("/somewhere/biofacenet/skin_fit.py", "python -m biofacenet.skin_fit"),
    ],
)
def test_usage_shows_the_name_that_was_called(
    program: str,
    called: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(sys, "argv", [program])
    for name in ("skin-fit", "skin_fit"):
        text = said(capsys, name, "--help")
        assert text.startswith(f"usage: {called} [OPTIONS] FILE\n")
        assert f"  {called} spectra.csv\n" in text


@pytest.mark.parametrize(
    ("word", "told"),
    [
        ("perdict", "perdict: no such command, did you mean predict?"),
        ("--versoin", "--versoin: no such option, did you mean --version?"),
        ("xyz", "xyz: no such command; see biofacenet --help"),
    ],
)
def test_an_unknown_command_is_one_line(
    word: str, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    line = said(capsys, word, status=2)
    assert line.startswith(f"error: {told}")
    assert line.count("\n") == 1


@pytest.mark.parametrize("command", COMMANDS)
def test_names_mean_the_same_in_every_command(command: str) -> None:
    """One word and one sentence for what several commands have."""
    about: dict[str, str] = {option.name: option.about for option in options(command)}
    assert about.get("device", "Where to compute.") == "Where to compute."
    assert about.get("skin", "Constants of the skin model").startswith(
        "Constants of the skin model"
    )
    assert about.get("face", "Which face of several").startswith("Which face of several")
    if "model" in about:
        assert (
            ": small, which comes with the package; a folder that training wrote; or owner/name of"
            in (about["model"])
        )
    if "size" in about:
        assert re.match(r"(Longer side|Side) of the images?\b.*, in pixels", about["size"])
    if "resolution" in about:
        assert re.match(r"Longer side of the maps\b.*, in pixels", about["resolution"])
    if "out" in about:
        assert re.match(r"Folder |One file or more", about["out"])
    kinds: dict[str, Any] = {
        field.name: field.type for field in fields(module_of(command).Settings)
    }
    assert kinds.get("size", "int") in ("int", "int | None")
    text = " ".join([module_of(command).Settings.__doc__ or "", *about.values()]).lower()
    assert not re.search(r"\b(analyse|film|rehearse|look at the)\b", text)
