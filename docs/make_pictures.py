"""The pictures and figures of the README, from a finished training run.

    python docs/make_pictures.py runs/001

Needs the `test` extra: scikit-image carries the NASA portrait of astronaut Eileen Collins.
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

from biofacenet import BioFaceNet, Decomposition, Tables
from biofacenet.data.pairs import FaceBatch, FacePairs, decode, find_pairs, read_truth
from biofacenet.data.synthetic import generate
from biofacenet.edit import apply, soft
from biofacenet.face import crop
from biofacenet.fit import analyse, fit
from biofacenet.photo import read_photo
from biofacenet.pictures import contact_sheet, decomposition_figure, edit_sheet
from biofacenet.predict import decompose
from biofacenet.results import Result

IMAGES = Path(__file__).parent / "images"
SYNTHETIC = Path("data/synthetic")

# Places on the portrait, in pixels of the 512 x 512 photo: left, top, right, bottom.
LIPS = [(214, 140, 236, 142), (214, 150, 233, 154)]
CHEEKS = [(190, 123, 198, 131), (249, 121, 259, 131)]


def main(run: Path) -> None:
    """Write the pictures and print the figures."""
    network = BioFaceNet.from_pretrained(run / "model")
    IMAGES.mkdir(exist_ok=True)
    contact_sheet(generate(range(24)).image, IMAGES / "synthetic.png", columns=8)
    grid = sorted((run / "grids").glob("*.png"))[-1]
    shutil.copyfile(grid, IMAGES / "training.png")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "astronaut.png"
        Image.fromarray(data.astronaut()).save(path)
        photo = read_photo(path)
    portrait("network", decompose(network, photo), IMAGES / "astronaut.png")
    begin = time.perf_counter()
    fitted = analyse(photo)
    print(f"fit: the portrait took {time.perf_counter() - begin:.1f} s")
    portrait("fit", fitted, IMAGES / "fit.png")
    edited(fitted)
    (file,) = [file for file in find_pairs(SYNTHETIC) if file.number == "20"]
    batch = decode(FacePairs([file]).read(range(file.count)))
    truth = read_truth(file, range(file.count))
    with torch.no_grad():
        held_out("network", network(batch.image), batch, truth)
    begin = time.perf_counter()
    found = fit(batch.image, batch.mask).decomposition
    print(f"fit: {file.count} faces took {time.perf_counter() - begin:.1f} s")
    held_out("fit", found, batch, truth)
    if authors := os.environ.get("BIOFACENET_AUTHORS_DIR"):
        tables(Path(authors))


def portrait(name: str, found: Result, sheet: Path) -> None:
    """The decomposition of the astronaut, and whether her lips are redder than her cheeks."""
    decomposition_figure(
        found.image, found.decomposition, sheet, title="NASA astronaut Eileen Collins"
    )
    haemoglobin = found.decomposition.haemoglobin
    side = found.image.shape[-1]

    def mean(places: list[tuple[int, int, int, int]]) -> float:
        marked = torch.zeros(3, found.photo.height, found.photo.width)
        for left, top, right, bottom in places:
            marked[:, top:bottom, left:right] = 1.0
        inside = crop(marked, found.box, side)[0] > 0.5
        return float(haemoglobin[0, 0][inside].mean())

    inside = slice(side // 4, 3 * side // 4)
    error = (found.reconstruction - found.image)[..., inside, inside].square().mean().sqrt()
    print(f"{name}: portrait: RMSE {float(error):.4f} in the middle of the crop (linear RGB)")
    print(f"{name}: portrait: haemoglobin {mean(LIPS):+.3f} lips, {mean(CHEEKS):+.3f} cheeks")


def edited(fitted: Result) -> None:
    """The astronaut with other skin."""
    assert fitted.mask is not None
    before = fitted.decomposition
    after = before.edit(melanin=0.6, haemoglobin_scale=0.5, specular_scale=0.0)
    image = apply(fitted.image, before, after, soft(fitted.mask))
    edit_sheet(
        fitted.image,
        image,
        IMAGES / "edit.png",
        title="NASA astronaut Eileen Collins",
        note="melanin + 0.6, half the haemoglobin, no highlights",
    )


def held_out(name: str, found: Decomposition, batch: FaceBatch, truth: Decomposition) -> None:
    """Errors and correlations on the synthetic faces that were not trained on."""
    inside = batch.mask > 0
    error = ((found.render() - batch.image) ** 2 * batch.mask).sum() / (3 * batch.mask.sum())
    print(f"{name}: held out: RMSE {float(error.sqrt()):.4f} in the mask (linear RGB)")
    for quantity in ("melanin", "haemoglobin", "diffuse", "specular"):
        ours, true = getattr(found, quantity), getattr(truth, quantity)

        def correlation(a: torch.Tensor, b: torch.Tensor) -> float:
            return float(torch.corrcoef(torch.stack((a, b)))[0, 1])

        each = [
            correlation(ours[i][inside[i]], true[i][inside[i]]) for i in range(len(batch.image))
        ]
        print(
            f"{name}: held out: {quantity:<11} correlation "
            f"{correlation(ours[inside], true[inside]):.2f} over all pixels, "
            f"{float(torch.tensor(each).nanmean()):.2f} within a face"
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
    if len(sys.argv) != 2:
        sys.exit("usage: python docs/make_pictures.py RUN, such as runs/001")
    main(Path(sys.argv[1]))
