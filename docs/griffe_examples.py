"""Examples of docstrings as code: "Example:" is no section to griffe's parser, but "Examples:" is."""

from __future__ import annotations

import re
from typing import Any

import griffe


class Examples(griffe.Extension):
    """Give the heading its plural where a prompt follows."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """Called with each class, function and module that is read."""
        if obj.docstring is not None:
            obj.docstring.value = re.sub(
                r"^Example:(?=\n\s+>>>)", "Examples:", obj.docstring.value, flags=re.MULTILINE
            )
