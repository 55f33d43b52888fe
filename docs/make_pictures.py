"""The pictures of the README, and the figures about the portrait and the tables.

    python docs/make_pictures.py [RUN]

With the folder of a training run, also its last picture. The faces on heads of ICT-FaceKit are made
where BIOFACENET_FACES_DIR names a folder that holds the model in ``ict``. Needs the `test` extra:
scikit-image carries the NASA portrait of astronaut Eileen Collins.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import time
from pathlib import Path

import torch
from PIL import Image
from skimage import data

from biofacenet import BioFaceNet, Tables
from biofacenet.analysis import ByFitting, ByNetwork, Result, retouch
from biofacenet.analysis.folder import words
from biofacenet.analysis.measuring.photo import measure_face
from biofacenet.analysis.measuring.sheets import write_sheet
from biofacenet.analysis.methods import Beside
from biofacenet.data import generate
from biofacenet.decomposition import Edit
from biofacenet.photos import crop, read_photo
from biofacenet.plotting.encoding import eight_bit, jpeg
from biofacenet.plotting.figures import decomposition_figure, edit_sheet
from biofacenet.plotting.grids import contact_sheet
from biofacenet.web.examples import FOLDER, SEEDS

IMAGES = Path(__file__).parent / "images"
SYNTHETIC = Path("data/synthetic")

HEADS_SEED, HEADS_SIZE = 17, 128

# Places on the portrait, in pixels of the 512 x 512 photo: left, top, right, bottom.
LIPS = [(214, 140, 236, 142), (214, 150, 233, 154)]
CHEEKS = [(190, 123, 198, 131), (249, 121, 259, 131)]


def main(run: Path | None) -> None:
    """Write the pictures and print the figures."""
    network = BioFaceNet.from_pretrained("small")
    IMAGES.mkdir(exist_ok=True)
    contact_sheet(generate(range(24), skin="measured").image, IMAGES / "synthetic.png", columns=8)
    for name, seed in SEEDS.items():
        face = generate([seed], size=256, skin="measured").image[0]
        (FOLDER / f"{name}.jpg").write_bytes(jpeg(eight_bit(face)))
    if run is not None:
        grid = sorted((run / "grids").glob("epoch_*.png"))[-1]
        shutil.copyfile(grid, IMAGES / "training.png")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "astronaut.png"
        Image.fromarray(data.astronaut()).save(path)  # type: ignore[no-untyped-call]
        photo = read_photo(path)
    for name, method, sheet in (
        ("network", ByNetwork(network, resolution=1024), "astronaut.png"),
        ("fit", Beside(ByFitting(size=256), ByNetwork(network)), "fit.png"),
    ):
        begin = time.perf_counter()
        found = method(photo)
        print(f"{name}: the portrait took {time.perf_counter() - begin:.1f} s")
        portrait(name, found, IMAGES / sheet)
        if name == "network":
            write_sheet(measure_face(found, {"face": 1}), IMAGES / "measure.png")
            edited(found)
    if faces := os.environ.get("BIOFACENET_FACES_DIR"):
        model_heads(Path(faces) / "ict")
    if authors := os.environ.get("BIOFACENET_AUTHORS_DIR"):
        tables(Path(authors))


def model_heads(heads: Path) -> None:
    """Synthetic faces on heads of ICT-FaceKit (MIT licence, which is named wherever they are shown)."""
    faces = generate(range(24), seed=HEADS_SEED, size=HEADS_SIZE, heads=heads)
    contact_sheet(faces.image, IMAGES / "heads.png", columns=8)


def portrait(name: str, found: Result, sheet: Path) -> None:
    """The decomposition of the astronaut, and whether her lips are redder than her cheeks."""
    decomposition_figure(
        found.image,
        found.decomposition,
        sheet,
        mask=found.counted,
        title="NASA astronaut Eileen Collins",
        said=words(found),
    )
    haemoglobin = found.decomposition.haemoglobin
    side = found.image.shape[-1]

    def mean(places: list[tuple[int, int, int, int]]) -> float:
        marked = torch.zeros(3, found.photo.height, found.photo.width)
        for left, top, right, bottom in places:
            marked[:, top:bottom, left:right] = 1.0
        inside = crop(marked, found.part.box, side)[0] > 0.5
        return float(haemoglobin[0, 0][inside].mean())

    inside = slice(side // 4, 3 * side // 4)
    error = (found.reconstruction - found.image)[..., inside, inside].square().mean().sqrt()
    print(f"{name}: portrait: RMSE {float(error):.4f} in the middle of the crop (linear RGB)")
    print(f"{name}: portrait: RMSE {found.skin_rmse:.4f} over the skin")
    print(f"{name}: portrait: haemoglobin {mean(LIPS):+.3f} lips, {mean(CHEEKS):+.3f} cheeks")


def edited(found: Result) -> None:
    """The astronaut with other skin."""
    face = retouch(found)
    edit = Edit(melanin="x3", haemoglobin="x0.5")
    seen = (..., *face.frame.on(found.photo))
    edit_sheet(
        face.frame.picture[seen],
        face.edited(edit)[seen],
        IMAGES / "edit.png",
        title="NASA astronaut Eileen Collins",
        note="three times the melanin, half the blood",
    )


def tables(authors: Path) -> None:
    """Largest differences between our tables and the authors' published ones."""
    ours = Tables.computed()
    theirs = Tables.from_mat(
        raw_to_xyz=authors / "Tmatrix.mat",
        illuminant_a=authors / "illumA.mat",
        illuminant_d=authors / "illumDmeasured.mat",
        illuminant_f=authors / "illF.mat",
        camera=authors / "CamPCA.mat",
    )
    for name in (
        "fixed_illuminants",
        "daylights",
        "camera_mean",
        "camera_components",
        "raw_to_xyz",
    ):
        error = (getattr(ours, name) - getattr(theirs, name)).abs()
        of_peak = (error / getattr(theirs, name).abs().amax(dim=-1, keepdim=True)).max()
        print(
            f"tables: {name:<17} within {float(error.max()):.1e} ({float(of_peak):.1e} of the peak), "
            f"{int((error > 2e-7).sum())} of {error.numel()} entries beyond 2e-7"
        )


if __name__ == "__main__":
    if len(sys.argv) > 2:
        sys.exit("usage: python docs/make_pictures.py [RUN], such as runs/001")
    main(Path(sys.argv[1]) if len(sys.argv) == 2 else None)
