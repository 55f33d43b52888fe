"""Synthetic faces in batches, made by several processes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from torch.utils.data import DataLoader, Dataset

from ...physics.names import SkinName
from ...system.device import usable_cpus
from ..records import Faces
from .faces import generate

__all__ = ["FaceBatches"]

BATCH = 32


class FaceBatches(Dataset[Faces]):
    """The faces of some indices, some at a time; see `generate` for the arguments."""

    def __init__(
        self,
        indices: Sequence[int],
        seed: int = 0,
        *,
        size: int = 64,
        skin: SkinName = "measured",
        heads: str | Path | None = None,
    ) -> None:
        self.indices, self.seed, self.size, self.skin = indices, seed, size, skin
        self.heads = heads

    def __len__(self) -> int:
        return -(-len(self.indices) // BATCH)

    def __getitem__(self, batch: int) -> Faces:
        chosen = self.indices[batch * BATCH : (batch + 1) * BATCH]
        return generate(chosen, self.seed, size=self.size, skin=self.skin, heads=self.heads)

    def made_in_parallel(self, workers: int | None = None) -> DataLoader[Faces]:
        """All batches in order, made by several processes, one for each core when not given."""
        if workers is None:
            workers = usable_cpus()
        return DataLoader(
            self,
            batch_size=None,
            num_workers=min(workers, len(self)) if workers > 1 else 0,
            collate_fn=_as_it_is,  # type: ignore[arg-type]
        )


def _as_it_is(faces: Faces) -> Faces:
    return faces
