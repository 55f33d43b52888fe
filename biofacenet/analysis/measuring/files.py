"""One file's rows, whatever it is: a photo, a video, or something that cannot be measured."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from ..._version import __version__
from ...errors import DataError, PhotoError
from ...photos.changes import CHANGES, changed
from ...photos.framing import Wanted
from ...photos.paths import is_video
from ...photos.reading import Photo, read_photo
from ...photos.video import frames
from ...system.device import plain_defaults
from ..batch import OF_ONE_FILE
from ..methods import Method
from ..video import Tracked
from .photo import MeasuredFace, measure_face, measured_faces
from .rows import Row, problem_row
from .sheets import write_sheet

__all__ = ["Measurer"]


@dataclass(frozen=True)
class Measurer:
    """Measures files: called with one, it gives its rows, at least one, and never raises for the file's
    sake.

    Order and numbers of the rows depend on the file and these settings alone.
    """

    method: Method
    said: str = ""
    """The method in words."""
    wanted: Wanted = field(default_factory=Wanted)
    every: float = 1.0
    """Seconds between frames of a video that are measured."""

    @plain_defaults()
    def __call__(self, path: Path, sheet: Path | None = None) -> list[Row]:
        """The rows of a file.

        Args:
            path: of a photo or video.
            sheet: where sheets go, without ending: ``-1.png`` is that of the first face. Of a video,
                the first frame has one. None for none.

        Raises:
            OSError: a sheet cannot be written, as the disk is full.
        """
        rows: list[Row] = []
        try:
            for found in self._measured(path):
                if isinstance(found, Row):
                    rows.append(found)
                    continue
                if sheet is not None and (not rows or not is_video(path)):
                    number = found.rows[0]["face"]
                    write_sheet(found, sheet.with_name(f"{sheet.name}-{number}.png"))
                rows.extend(found.rows)
        except (PhotoError, DataError) as error:
            rows.append(self._problem(path, str(error)))
        except OSError as error:
            if error.errno not in OF_ONE_FILE:
                raise
            rows.append(self._problem(path, f"{path}: {error.strerror} ({error.filename})"))
        except MemoryError:
            rows.append(
                self._problem(
                    path, f"{path}: too large for the memory of this machine; shrink it first"
                )
            )
        return rows

    def _problem(self, path: Path, what: str) -> Row:
        return problem_row(str(path), what, method=self.said, biofacenet_version=__version__)

    def _measured(self, path: Path) -> Iterator[MeasuredFace | Row]:
        if is_video(path):
            return self._of_video(path)
        return self._of_photo(read_photo(path))

    def _of_photo(self, photo: Photo) -> Iterator[MeasuredFace | Row]:
        return measured_faces(photo, self.method, self.wanted, said=self.said)

    @plain_defaults()
    def changed(self, path: Path) -> dict[str, list[Row]]:
        """The rows of a photo's largest face in changed copies of the photo.

        Returns:
            By `biofacenet.photos.changes.CHANGES`; nothing of a video. Of a copy in which no face is
            found, a row that says so.

        Raises:
            PhotoError: the photo cannot be read, or the part that is wanted not be looked at.
        """
        if is_video(path):
            return {}
        photo = read_photo(path)
        one = replace(self, wanted=replace(self.wanted, face="largest"))
        box = one.wanted.of(photo)[0].box
        found: dict[str, list[Row]] = {}
        for name in CHANGES:
            found[name] = []
            for face in one._of_photo(changed(photo, name, box)):
                found[name].extend([face] if isinstance(face, Row) else face.rows)
        return found

    def _of_video(self, path: Path) -> Iterator[MeasuredFace | Row]:
        """The face of every so many seconds, which is followed through the frames between."""
        seen = False
        with frames(path) as (clip, stream):
            tracked = Tracked(path, self.wanted.crop, self.wanted.face)
            last, due = -1.0 / clip.rate, 0.0
            for frame in stream:
                step, last = max(frame.time - last, 1e-3), frame.time
                if frame.time < due:
                    continue
                due += self.every * (1 + int((frame.time - due) / self.every))
                before = tracked.seen
                part = tracked.find(frame.pixels, max(step, self.every))
                if self.wanted.crop == "face" and tracked.seen == before:
                    continue
                seen = True
                photo = Photo(path, frame.pixels)
                which = {"seconds": frame.time, "face": 1, "faces": None}
                yield measure_face(self.method(photo, part), which, said=self.said)
        if not seen:
            yield self._problem(path, f"{path}: no face found in any frame that was looked at")
