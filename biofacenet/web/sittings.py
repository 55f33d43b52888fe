"""Photos on the page: the parts of each that can be looked at, and the one that is."""

from __future__ import annotations

import secrets
import threading
from collections import OrderedDict
from dataclasses import dataclass, field

from ..analysis.results import Result
from ..errors import BioFaceNetError
from ..photos.boxes import Part
from ..photos.reading import Photo
from ..photos.white_choice import WhiteChoice
from .keeping import KeptPhoto
from .session import Session

__all__ = ["Sitting", "Sittings"]

FORGOTTEN = "this photo is no longer held; choose it again"


@dataclass
class Sitting:
    """A photo on the page. It waits as it is until a part of it is looked at, and then in the session."""

    parts: tuple[Part, ...]
    """What can be looked at: its faces, the largest first, or the middle where there is none."""
    waiting: Photo | None = None
    session: Session | None = None
    chosen: int | None = None
    """Which of the parts is looked at."""
    original: KeptPhoto | None = None
    """As it was, where the session's photo is balanced by a white."""
    tried: dict[tuple[int, str, WhiteChoice], Result] = field(default_factory=dict)
    """What was found by part, method and white, without the photo."""

    def photo(self) -> Photo:
        """The photo as it came, in 8 bits a channel once a part was looked at.

        Raises:
            BioFaceNetError: there is none any more.
        """
        if self.original is not None:
            return self.original.photo()
        if self.session is not None:
            return self.session.photo()
        if self.waiting is None:
            raise BioFaceNetError(FORGOTTEN)
        return self.waiting

    def methods_tried(self, index: int, white: WhiteChoice, *, besides: str) -> list[Result]:
        """What other methods found of a part, with the same white."""
        return [
            result
            for (part, method, under), result in self.tried.items()
            if part == index and under == white and method != besides
        ]

    def opened(self) -> Session:
        """The part that is looked at.

        Raises:
            BioFaceNetError: none is.
        """
        if self.session is None:
            raise BioFaceNetError("nothing of this photo was looked at yet; choose a part of it")
        return self.session


class Sittings:
    """Photos on the page by names that nobody guesses; of too many, the one idle longest is forgotten.

    Args:
        most: how many are kept. Each holds its photo, 3 bytes a pixel, and about 15 MB.
    """

    def __init__(self, most: int = 8) -> None:
        self._most = most
        self._open: OrderedDict[str, Sitting] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._open)

    def add(self, sitting: Sitting) -> str:
        """Keep a sitting; its name."""
        name = secrets.token_urlsafe(24)
        with self._lock:
            self._open[name] = sitting
            while len(self._open) > self._most:
                self._open.popitem(last=False)
        return name

    def get(self, name: str) -> Sitting:
        """The sitting of a name.

        Raises:
            BioFaceNetError: there is none, or it was forgotten.
        """
        with self._lock:
            if name not in self._open:
                raise BioFaceNetError(FORGOTTEN)
            self._open.move_to_end(name)
            return self._open[name]

    def drop(self, name: str) -> None:
        """Forget a sitting, if it is there."""
        with self._lock:
            self._open.pop(name, None)
