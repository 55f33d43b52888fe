"""What the page answers when something is done on it. No layout here, and what gradio wants is thin."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import gradio as gr

from ..decomposition import Edit
from ..errors import BioFaceNetError, DataError
from ..physics.measured import CameraCurves, Spectrum
from .examples import examples
from .html import NOTHING, downloads, follow, gallery, line, part_buttons, picture, table
from .inbox import Inbox
from .knobs import CHOICES, KNOBS, at_rest, edit_of, white_of
from .session import Session
from .studio import Studio
from .words import NO_FACE, note, plain, unquoted

__all__ = ["HEAD", "Replies"]

HEAD = 8
"""Outputs before those that follow the sliders: see `Replies.opened`."""

LOG = logging.getLogger(__name__)


class Replies:
    """Answers to what is done on the page.

    Args:
        app: what it works with.
        inbox: where uploads lie.
        knobs: how many there are.
    """

    def __init__(self, app: Studio, inbox: Inbox, knobs: int) -> None:
        self._app, self._inbox = app, inbox
        self._outputs = HEAD + 2 + knobs + 2

    # Sliders -------------------------------------------------------------------------------------

    def show(self, name: str, *values: Any) -> tuple[Any, Any]:
        """A knob was moved: the picture and the line below it."""
        return self._following(lambda session: edit_of(session, values), name)

    def show_daylight(self, name: str, *values: Any) -> tuple[Any, ...]:
        """The temperature was moved, which means daylight."""
        light = len(KNOBS) + len(CHOICES) - 1
        return (*self.show(name, *values[:light], "D", *values[light + 1 :]), "D")

    def lamp(self, name: str, path: str | None, *values: Any) -> tuple[Any, Any]:
        """A measured light was given, or taken away."""

        def edit(session: Session) -> tuple[Edit, bool]:
            session.lamp = None if path is None else self._measured(Spectrum, path)
            return edit_of(session, values)

        return self._following(edit, name)

    def curves(self, name: str, path: str | None, *values: Any) -> tuple[Any, Any]:
        """A measured camera was given, or taken away."""

        def edit(session: Session) -> tuple[Edit, bool]:
            session.curves = None if path is None else self._measured(CameraCurves, path)
            return edit_of(session, values)

        return self._following(edit, name)

    def rest(self, name: str) -> list[Any]:
        """All knobs go back."""
        try:
            session = self._app.sittings.get(name).opened()
        except BioFaceNetError as error:
            return [
                gr.skip(),
                line(plain(str(error)), "bad"),
                *[gr.skip()] * (self._outputs - HEAD - 2),
            ]
        session.lamp = session.curves = None
        return [*follow(session, Edit()), *at_rest(session), None, None]

    def _following(
        self, edit: Callable[[Session], tuple[Edit, bool]], name: str
    ) -> tuple[Any, Any]:
        try:
            session = self._app.sittings.get(name).opened()
            change, everywhere = edit(session)
            return follow(session, change, everywhere=everywhere)
        except BioFaceNetError as error:
            return gr.skip(), line(plain(str(error)), "bad")

    def _measured(self, kind: Any, path: str) -> Any:
        """What an upload holds; of its path people know the name only."""
        taken = self._inbox.taken(path)
        try:
            return kind.from_csv(taken)
        except DataError as error:
            told = str(error).replace(str(taken), taken.name)
            raise DataError(unquoted(told, taken.name)) from error

    # Photos --------------------------------------------------------------------------------------

    def file(self, path: str | None, method: str, old: str, *white: Any) -> list[Any]:
        """A photo was dropped, or taken away."""
        self._app.sittings.drop(old)
        if path is None:
            return self._nothing("", NOTHING)
        return self._answer(
            lambda: self._app.begin(self._app.read(self._inbox.taken(path))), 0, method, white
        )

    def example(self, method: str, old: str, event: gr.EventData) -> list[Any]:
        """An example was clicked. There is no card in any."""
        self._app.sittings.drop(old)
        chosen = examples()[_index(event) % len(examples())]
        return self._answer(lambda: self._app.try_out(chosen), 0, method, (), example=True)

    def part(self, method: str, name: str, box: Any, share: Any, event: gr.EventData) -> list[Any]:
        """Another face of the photo was chosen, or its middle."""
        return self._answer(lambda: name, _index(event), method, (box, share), sure=True)

    def again(self, method: str, name: str, *white: Any) -> list[Any]:
        """Another method was chosen, or another white."""
        if not name:
            return self._nothing(name, NOTHING)
        return self._answer(lambda: name, None, method, white)

    def _nothing(self, name: str, status: str, parts: str = "") -> list[Any]:
        """No results: the name of a sitting that waits or of none, what is said, parts to choose from."""
        shown = gr.update(visible=False)
        return [name, status, parts, shown, *[gr.skip()] * (self._outputs - 4)]

    def _answer(
        self,
        begin: Callable[[], str],
        index: int | None,
        method: str,
        white: Sequence[Any],
        *,
        example: bool = False,
        sure: bool = False,
    ) -> list[Any]:
        """A part of a photo, or why not; without a face only where one is `sure` of wanting that.

        A photo in which no white is found is kept, for another box of it to be named.
        """
        name, parts, box = "", "", bool(white and white[0])
        try:
            name = begin()
            sitting = self._app.sittings.get(name)
            index = sitting.chosen if index is None else index
            if index is None or not (sure or sitting.parts[0].is_face or sitting.chosen == index):
                said = f"{Path(sitting.photo().path).stem}: {NO_FACE}."
                return self._nothing(name, line(said, "warn"), part_buttons(sitting))
            parts = part_buttons(sitting)
            sitting.chosen = index
            self._app.look(name, index, method, white_of(*white), example=example)
            return self.opened(name)
        except BioFaceNetError as error:
            told = plain(str(error))
            if box and name:
                return self._nothing(name, line(told, "bad"), parts)
        except Exception as error:
            LOG.exception("a photo could not be decomposed")
            told = f"this photo failed ({type(error).__name__}); try another one"
        self._app.sittings.drop(name)
        return self._nothing("", line(told, "bad"))

    def opened(self, name: str) -> list[Any]:
        """Everything that is said of a sitting's part, in the order of the page's outputs."""
        sitting = self._app.sittings.get(name)
        session = sitting.opened()
        remarks = [note(session.part), *(plain(one) for one in session.notes)]
        if session.skinless:
            remarks.insert(1, "no skin found, everything was taken for it")
        if session.disagreement:
            remarks.append(session.disagreement)
        wrong = session.skinless or not session.part.is_face or bool(session.disagreement)
        said = f"{session.name}: {'; '.join(remarks)}. {session.method}."
        return [
            name,
            line(said, "warn" if wrong else "good"),
            part_buttons(sitting),
            gr.update(visible=True),
            picture(session.before(), "before"),
            gallery(session),
            table(session),
            downloads(name),
            *self.rest(name),
        ]


def _index(event: gr.EventData) -> int:
    """Number of the picture that was pressed; -1 where there is none."""
    try:
        index = event.index
    except (AttributeError, TypeError):  # gradio gives what was sent, be it data of an event or not
        return -1
    return index if isinstance(index, int) else -1
