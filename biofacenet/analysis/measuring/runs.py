"""A run of measurements in a folder: what it is, what of it is done, and going on with it."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..._version import __version__
from ...errors import BioFaceNetError, DataError
from ...network.folders import CONFIG_FILE, WEIGHTS_FILE, find
from ...system.files import sha256
from ...system.journal import Journal
from ...system.names import shown
from ...system.shares import Share
from .entries import Entry, state_of
from .places import JOURNAL, TABLE
from .plans import Plan
from .settings import Settings

__all__ = [
    "JOURNAL",
    "Run",
    "go_on",
    "heading_of",
    "is_of_others",
    "run_in",
    "runs_in",
]

FORMAT = "biofacenet measurements 1"

NO_MATTER = (
    *("photos", "out", "workers", "share", "join", "repeatability"),
    *("before", "after", "pairs", "repeats", "reliability", "overwrite"),
)
"""Settings that change no row; which files are measured is told by their list."""


@dataclass(frozen=True)
class Run:
    """A journal and what it is of."""

    journal: Journal
    plan: Plan
    share: Share

    @property
    def places(self) -> range:
        """Places of the files that this run measures."""
        return self.share.places(self.plan.files)

    def entry(self, place: int) -> Entry:
        """The rows of a file that is done.

        Raises:
            KeyError: it is not.
            DataError: the journal is damaged.
        """
        try:
            return Entry.from_json(self.journal[place])
        except DataError as error:
            raise DataError(f"{self.journal.path}: {error}") from error

    def left(self) -> list[int]:
        """Places of the files that are still to be measured, or again: they could not be read, or were
        changed since.
        """
        return [
            place
            for place in self.places
            if place not in self.journal or _is_stale(self.entry(place), self.plan.files[place])
        ]

    def missing(self) -> list[int]:
        """Places of the files without rows."""
        return [place for place in self.places if place not in self.journal]


def _is_stale(entry: Entry, path: Path) -> bool:
    return entry.failed or entry.state != state_of(path)


# What a run is -------------------------------------------------------------------------------


def heading_of(plan: Plan, settings: Settings, share: Share) -> dict[str, Any]:
    """What tells a run from others: version, settings, network, files and share, ready for JSON."""
    values = {
        field.name: getattr(settings, field.name)
        for field in dataclasses.fields(settings)
        if field.name not in NO_MATTER
    }
    told = {name: _told(value) for name, value in values.items()}
    network = find(settings.model)
    told["network"] = [sha256(network / name) for name in (CONFIG_FILE, WEIGHTS_FILE)]
    return {
        "format": FORMAT,
        "version": __version__,
        "settings": told,
        "plan": plan.as_json(),
        "share": [share.number, share.count],
    }


def _told(value: Any) -> Any:
    """A setting as JSON has it; a file by what it holds."""
    if isinstance(value, Path):
        return f"{value} {sha256(value)[:16]}" if value.is_file() else str(value)
    if dataclasses.is_dataclass(value):
        return {f.name: _told(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, tuple):
        return [_told(each) for each in value]
    return value if isinstance(value, bool | int | float | str | None) else str(value)


def run_in(folder: Path, *, writing: bool) -> Run:
    """The run of a folder.

    Raises:
        DataError: its journal is damaged or of another version.
        OSError: there is none, or it cannot be read.
    """
    journal = Journal.opened(folder / JOURNAL, writing=writing)
    try:
        heading = journal.heading
        if not isinstance(heading, dict) or heading.get("format") != FORMAT:
            raise ValueError("of another kind or version")
        number, count = heading["share"]
        if type(number) is not int or type(count) is not int:
            raise TypeError
        return Run(journal, Plan.from_json(heading["plan"]), Share(number, count))
    except (BioFaceNetError, KeyError, TypeError, ValueError) as error:
        journal.close()
        raise DataError(
            f"{journal.path}: not a journal of measurements of this version; remove it to begin again, or "
            "name another --out"
        ) from error


def runs_in(folders: Sequence[Path]) -> list[Run]:
    """All shares of a list, in their order, to be read.

    Args:
        folders: of shares, or folders that hold such folders.

    Raises:
        BioFaceNetError: one is missing, unfinished, damaged, or of other measurements.
    """
    found: dict[int, Run] = {}
    try:
        for folder in _with_journals(folders):
            run = run_in(folder, writing=False)
            first = next(iter(found.values()), run)
            before = found.setdefault(run.share.number, run)
            if before is not run:
                run.journal.close()
                raise BioFaceNetError(
                    f"{folder}: share {run.share.number}/{run.share.count}, and so is "
                    f"{before.journal.path.parent}; name each share once"
                )
            _check_alike(first, run)
            if missing := run.missing():
                raise BioFaceNetError(
                    f"{folder}: {len(missing)} of {len(run.places)} photos are not measured yet, such as "
                    f"{shown(run.plan.files[missing[0]])}; give the command of this share again"
                )
        count = next(iter(found.values())).share.count
        if absent := [str(number) for number in range(1, count + 1) if number not in found]:
            raise BioFaceNetError(
                f"share {absent[0]}/{count} is missing ({len(absent)} of {count} are); measure it with "
                f"--share {absent[0]}/{count}, or name its folder with --join"
            )
    except BaseException:
        for run in found.values():
            run.journal.close()
        raise
    return [found[number] for number in sorted(found)]


def _with_journals(folders: Sequence[Path]) -> list[Path]:
    """Folders of shares that are named, or lie in those that are."""
    found: dict[Path, None] = {}
    for folder in folders:
        if not folder.is_dir():
            raise DataError(
                f"{folder}: no such folder; expected one that a share was measured into"
            )
        shares = sorted(path.parent for path in folder.glob(f"share-*-of-*/{JOURNAL}"))
        if not shares and not (folder / JOURNAL).is_file():
            raise DataError(
                f"{folder}: nothing was measured there; expected folders such as share-1-of-8, of "
                "biofacenet measure --share 1/8"
            )
        found.update(dict.fromkeys(shares or [folder]))
    return list(found)


def _check_alike(first: Run, run: Run) -> None:
    """Raise BioFaceNetError unless two shares are of one list and measured alike."""
    one, other = ({**each.journal.heading, "share": [1, each.share.count]} for each in (first, run))
    if one != other:
        raise BioFaceNetError(
            f"{run.journal.path.parent}: not of the list of {first.journal.path.parent}: "
            f"{difference(one, other)}; measure all shares with one command"
        )


# Going on ------------------------------------------------------------------------------------


def is_of_others(folder: Path, heading: dict[str, Any]) -> bool:
    """Whether a folder holds a finished table of other photos or settings, or of nobody knows what.

    Args:
        folder: for results; need not be there.
        heading: of the run that is to be written there, as of `heading_of`.

    Raises:
        DataError: its journal is damaged.
    """
    if not (folder / JOURNAL).exists():
        return (folder / TABLE).exists()
    found = run_in(folder, writing=False)
    found.journal.close()
    return bool(found.journal.heading != heading and not found.missing())


def go_on(
    folder: Path, plan: Plan, settings: Settings, share: Share, *, overwrite: bool = False
) -> Run:
    """The run of a folder where it is this one, at whatever point it stopped; else a new one.

    Args:
        folder: for results.
        plan: files.
        settings: how they are measured.
        share: of the files.
        overwrite: whether what the folder holds of another run, finished or not, may be replaced.

    Raises:
        BioFaceNetError: the folder holds another run, and that is not to be overwritten.
        DataError: its journal is damaged.
    """
    heading = heading_of(plan, settings, share)
    if (folder / JOURNAL).exists():
        found = run_in(folder, writing=True)
        if found.journal.heading == heading:
            return found
        found.journal.close()
        if not overwrite:
            what = difference(found.journal.heading, heading)
            missing, count = len(found.missing()), len(found.places)
            state = f"an unfinished run ({missing} of {count} photos left)" if missing else "a run"
            remedy = "go on with the same, name another --out" if missing else "name another --out"
            raise BioFaceNetError(
                f"{found.journal.path}: {state} of other measurements: {what}; {remedy}, or give "
                "--overwrite to begin again in its place"
            )
    return Run(Journal(folder / JOURNAL, heading), plan, share)


def difference(then: dict[str, Any], now: dict[str, Any]) -> str:
    """In words, the first thing in which two headings differ; then and now."""
    for name, value in now["settings"].items():
        before = then.get("settings", {}).get(name)
        if before != value:
            if name == "network":
                return "the network is another now"
            return f"--{name.replace('_', '-')} was {_short(before)}, and is {_short(value)}"
    if then["version"] != now["version"]:
        return f"begun with version {_short(then['version'])}, and this is {now['version']}"
    if then["share"] != now["share"]:
        return "share {}/{} was begun, and this is {}/{}".format(*then["share"], *now["share"])
    before, after = then["plan"], now["plan"]
    return _other_files(before["files"], after["files"]) or (
        "--reliability was given then or is now"
        if before["changes"] != after["changes"]
        else "other pairs or people of the same photos"
    )


def _other_files(then: Sequence[str], now: Sequence[str]) -> str:
    known = set(then)
    for name in now:
        if name not in known:
            return f"{shown(name)} is new among {len(now)} photos, {len(then)} then"
    named = set(now)
    for name in then:
        if name not in named:
            return f"{shown(name)} is missing among {len(now)} photos, {len(then)} then"
    return "" if list(then) == list(now) else "the same photos in another order"


def _short(value: Any) -> str:
    text = shown(str(value))
    return text if len(text) <= 60 else f"{text[:57]}.."
