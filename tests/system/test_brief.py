"""What a person sees who types the name of a result: a line, not a screen of numbers."""

import torch

from biofacenet import BioFaceNet, Illuminant, Renderer, Tables
from biofacenet.analysis import decompose
from biofacenet.data import generate
from biofacenet.fitting import fit
from biofacenet.photos import read_photo
from biofacenet.photos.paths import EXAMPLE


def test_decompositions_show_shapes() -> None:
    found = decompose(BioFaceNet.from_pretrained("small"), EXAMPLE, size=64)
    said = repr(found.decomposition)
    assert said.startswith("Decomposition(melanin=float32 (1, 1, 64, 64), haemoglobin=float32")
    assert "illuminant=Illuminant(weights=float32 (1, 14), cct=float32 (1,))" in said
    assert "skin='measured', " in said
    assert len(said) < 600
    assert repr(found).startswith("Result(photo=Photo(path=")
    assert len(repr(found)) < 1500
    meta = Illuminant(torch.rand(2, 14, device="meta"), torch.rand(2, device="meta"))
    assert repr(meta) == "Illuminant(weights=float32 (2, 14) on meta, cct=float32 (2,) on meta)"


def test_renderers_and_other_records_are_brief() -> None:
    said = repr(Renderer(backend="reference"))
    assert said.startswith("Renderer(")
    assert "backend='reference'" in said
    photo = read_photo(EXAMPLE)
    records = [photo, Tables.computed(), generate([1], size=32, skin="published")]
    records.append(fit(torch.full((1, 3, 16, 16), 0.3), steps=1))
    for record in records:
        assert "tensor(" not in repr(record)
        assert len(repr(record)) < 900, type(record)
        assert "\n" not in repr(record)
