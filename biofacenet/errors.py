"""Errors that a person caused and a person can mend.

Every message is one line that says what is wrong, where, what was expected and what to do. Command
lines print it and end with exit status 2; library users catch `BioFaceNetError`.
"""

from __future__ import annotations

__all__ = [
    "BackendUnavailableError",
    "BioFaceNetError",
    "DataError",
    "ModelError",
    "NoFaceError",
    "PhotoError",
]

LONGEST = 1200
"""Characters of a message. What is quoted of a damaged file may have millions."""

LAST = 300
"""Of these, at its end, where the remedy is."""


class BioFaceNetError(Exception):
    """Base class of all errors this package raises on purpose."""

    def __str__(self) -> str:
        """The message, its middle left out where it is very long."""
        text = super().__str__()
        if len(text) <= LONGEST:
            return text
        return f"{text[: LONGEST - LAST - 4]} .. {text[-LAST:]}"


class BackendUnavailableError(BioFaceNetError):
    """A renderer backend was asked for by name and cannot run here."""


class DataError(BioFaceNetError):
    """A data file is missing, damaged or not of the expected layout."""


class ModelError(BioFaceNetError):
    """A saved network or checkpoint is missing, damaged or of another kind."""


class PhotoError(BioFaceNetError):
    """A photograph is missing, damaged or not usable."""


class NoFaceError(PhotoError):
    """A photograph in which no face was found, where one was looked for."""
