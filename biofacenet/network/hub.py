"""Models on the Hugging Face hub: bringing them here, putting them there, and finding them."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from .._version import __version__
from ..errors import ModelError

__all__ = ["ANY", "Pushed", "Source", "download", "models"]

TAG = "biofacenet"
"""Of models that `push_to_hub` made, by which they are found."""

NAME = re.compile(r"[\w-][\w.-]*/[\w-][\w.-]*")

CARD = """---
library_name: {tag}
tags: [{tag}]
license: other
---

# {name}

A network of BioFaceNet {version}, which decomposes an image of a face into melanin, haemoglobin, diffuse and
specular shading, light and camera.

```python
from biofacenet import BioFaceNet

network = BioFaceNet.from_pretrained("{name}")
```

Say here what faces it was trained on, and under which licence it may be used.
"""


@dataclass(frozen=True)
class Source:
    """Which version of a model on the hub, and where it is kept."""

    revision: str | None = None
    """Branch, tag or commit; the main branch when not given."""
    cache_dir: str | Path | None = None
    """Folder for what was downloaded; the hub's own when not given."""
    token: str | bool | None = None
    """For private models; the one of ``hf auth login`` when not given."""


ANY = Source()
"""The main version, kept where the hub keeps all."""


def download(name: str, source: Source, files: Sequence[str]) -> Path:
    """The folder of a model on the hub, brought here.

    Raises:
        ModelError: it is not to be had.
    """
    try:
        from huggingface_hub import snapshot_download
    except ImportError as error:
        raise ModelError(
            f"{name}: no such folder, and models of that name on the hub need "
            "pip install 'biofacenet[hub]'"
        ) from error
    what = f"{name}: no such folder, and not to be had from the hub"
    with _told(what, "name a folder that training wrote"):
        folder = Path(
            snapshot_download(
                name,
                revision=source.revision,
                cache_dir=source.cache_dir,
                token=source.token,
                allow_patterns=list(files),
            )
        )
    for file in files:
        if not (folder / file).is_file():
            raise ModelError(
                f"{name}: a model on the hub, but none of BioFaceNet, {file} is missing; name another"
            )
    return folder


class Pushed:
    """What can be put on the hub: it writes its files into a folder."""

    def write(self, folder: Path) -> None:
        """Write all files into an existing folder."""
        raise NotImplementedError

    def push_to_hub(
        self,
        name: str,
        *,
        private: bool | None = None,
        revision: str | None = None,
        message: str = "A BioFaceNet network",
        token: str | bool | None = None,
    ) -> str:
        """Upload what `save_pretrained` writes to the Hugging Face hub, and a card where there is none.

        Args:
            name: ``owner/name`` of the model; made where there is none.
            private: whether others may not see it, when it is made.
            revision: branch; the main one when not given.
            message: of the commit.
            token: with which it may be written; the one of ``hf auth login`` when not given.

        Returns:
            The address of the commit.

        Raises:
            ModelError: another name, or the hub cannot be reached or refuses.
        """
        if not NAME.fullmatch(name):
            raise ModelError(
                f"{name}: expected OWNER/NAME, the name of a model on the Hugging Face hub"
            )
        try:
            from huggingface_hub import HfApi
        except ImportError as error:
            raise ModelError(f"{name}: the hub needs pip install 'biofacenet[hub]'") from error
        hub = HfApi(library_name=TAG, library_version=__version__, token=token)
        with (
            tempfile.TemporaryDirectory(prefix="biofacenet-") as folder,
            _told(f"{name}: not written to the hub", "log in with hf auth login, as one who may"),
        ):
            self.write(Path(folder))
            hub.create_repo(name, private=private, exist_ok=True)
            if revision is not None:
                hub.create_branch(name, branch=revision, exist_ok=True)
            if not hub.file_exists(name, "README.md", revision=revision):
                card = CARD.format(tag=TAG, name=name, version=__version__)
                (Path(folder) / "README.md").write_text(card, "utf-8")
            done = hub.upload_folder(
                repo_id=name, folder_path=folder, revision=revision, commit_message=message
            )
        return str(done.commit_url)


def models() -> list[str]:
    """Names of the models that `push_to_hub` made, by whomever.

    Raises:
        ModelError: the hub cannot be reached.
    """
    try:
        from huggingface_hub import HfApi
    except ImportError as error:
        raise ModelError("models on the hub need pip install 'biofacenet[hub]'") from error
    with _told("the hub cannot be asked", "name a model"):
        return sorted(model.id for model in HfApi().list_models(filter=TAG))


@contextmanager
def _told(what: str, remedy: str) -> Iterator[None]:
    """What the hub's own library raises, in one line with its reason."""
    try:
        yield
    except ModelError:
        raise
    except Exception as error:  # its errors and those of the web client below are of many kinds
        said = " ".join(str(error).split())
        reason = type(error).__name__ + (f": {said}" if said else "")
        if len(reason) > 200:
            reason = f"{reason[:197]}.."
        raise ModelError(f"{what} ({reason}); {remedy}") from error
