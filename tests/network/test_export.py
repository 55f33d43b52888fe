"""Exported files: run without the package's operator, and do what the network and the renderer do."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from pages import ROOT, blocks
from PIL import Image
from skimage import data

from biofacenet import BioFaceNet, BioFaceNetError, Decomposition
from biofacenet.export import main
from biofacenet.network import exporting as export_module
from biofacenet.network.deployed import OUTPUTS, AnySizePool, Deployed
from biofacenet.network.exporting import export, load_onnx, load_program
from biofacenet.physics.colour import linear_to_srgb, srgb_to_linear
from biofacenet.rendering.accuracy import Accuracy

FORMATS = {".onnx": load_onnx, ".pt2": load_program}


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a network (model) and what it was exported to (face.onnx, face.pt2).

    Made once for all tests, as it takes its time.
    """
    torch.manual_seed(0)
    network = BioFaceNet("small").eval()
    with torch.no_grad():
        # Large enough for maps that vary.
        for weight in (*network.decoders.parameters(), *network.vector.parameters()):
            weight *= 1.3
    folder = tmp_path_factory.mktemp("exported")
    network.save_pretrained(folder / "model")
    differences = export(network, folder / "face.onnx", folder / "face.pt2")
    assert max(differences) <= 1.0
    return folder


@pytest.fixture(scope="module")
def network(exported: Path) -> BioFaceNet:
    """What is in the exported files."""
    return BioFaceNet.from_pretrained(exported / "model")


@pytest.fixture(scope="module")
def runs(exported: Path) -> dict[str, export_module.Run]:
    return {ending: load(exported / f"face{ending}") for ending, load in FORMATS.items()}


@pytest.mark.slow
@pytest.mark.parametrize("ending", sorted(FORMATS))
@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("size", [64, 128])
def test_exported_files_agree_with_the_fused_renderer(
    network: BioFaceNet,
    runs: dict[str, export_module.Run],
    ending: str,
    batch: int,
    size: int,
) -> None:
    image = torch.rand(batch, 3, size, size, generator=torch.Generator().manual_seed(size + batch))
    results = runs[ending](image)
    assert set(results) == set(OUTPUTS)
    with torch.no_grad():
        found: Decomposition = network(srgb_to_linear(image))
        expected = {
            # Normals and parts, which the renderer needs not, are left out.
            **{name: torch.from_numpy(v) for name, v in found.arrays().items() if name in OUTPUTS},
            "spectrum": found.spectrum(),
            "reconstruction": linear_to_srgb(found.render()),
        }
    assert expected.keys() == results.keys()
    for name, value in expected.items():
        torch.testing.assert_close(results[name], value, atol=1e-4, rtol=1e-4)
    assert results["melanin"].std() > 0.01  # something to compare


@pytest.mark.slow
def test_onnx_needs_no_other_operators_and_says_what_it_takes(exported: Path) -> None:
    onnx = pytest.importorskip("onnx")
    model = onnx.load(exported / "face.onnx")
    onnx.checker.check_model(model, full_check=True)
    assert [part.domain for part in model.opset_import] == [""]
    facts = {item.key: item.value for item in model.metadata_props}
    assert "sRGB-encoded" in facts["image"]
    assert facts["accuracy"] == "default"
    assert facts["opset"] == "18"
    assert [d.dim_param for d in model.graph.input[0].type.tensor_type.shape.dim][2:] == [
        "height",
        "width",
    ]
    assert [item.name for item in model.graph.output] == list(OUTPUTS)


@pytest.mark.slow
def test_the_program_needs_torch_alone(exported: Path) -> None:
    code = (
        "import sys, json, torch\n"
        "facts = {'biofacenet.json': ''}\n"
        f"program = torch.export.load({str(exported / 'face.pt2')!r}, extra_files=facts)\n"
        "found = program.module()(torch.rand(1, 3, 32, 48))\n"
        "assert 'biofacenet' not in sys.modules\n"
        "print(json.dumps([list(found['reconstruction'].shape), json.loads(facts['biofacenet.json'])]))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    shape, facts = json.loads(done.stdout)
    assert shape == [1, 3, 32, 48]
    assert facts["network"] == "small"


@pytest.mark.slow
def test_documented_code_runs_them(exported: Path, tmp_path: Path) -> None:
    code = "\n".join(blocks(ROOT / "docs" / "deployment.md", "python"))
    Image.fromarray(data.astronaut()[:256, 96:352]).save(tmp_path / "portrait.jpg")
    for ending in FORMATS:
        (tmp_path / f"face{ending}").symlink_to(exported / f"face{ending}")
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(("height", "width"), [(1, 2), (3, 4), (5, 7), (8, 16)])
def test_pooling_of_any_size_is_adaptive_pooling(height: int, width: int) -> None:
    features = torch.randn(2, 3, height, width, dtype=torch.float64)
    expected = torch.nn.functional.adaptive_avg_pool2d(features, 4)
    torch.testing.assert_close(AnySizePool(4)(features), expected)


@pytest.mark.parametrize("accuracy", ["fast", "exact"])
@pytest.mark.parametrize("encoding", ["srgb", "linear"])
def test_plain_operations_do_what_the_fused_renderer_does(
    network: BioFaceNet, accuracy: Accuracy, encoding: str
) -> None:
    """Before any exporter: the same image, in either encoding and any accuracy."""
    image = torch.rand(2, 3, 32, 48, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        found = network(srgb_to_linear(image) if encoding == "srgb" else image)
        rendered = found.render(accuracy=accuracy)
        deployed = Deployed(network, encoding=encoding, accuracy=accuracy)  # type: ignore[arg-type]
        ours = deployed(image)["reconstruction"]
    expected = linear_to_srgb(rendered) if encoding == "srgb" else rendered
    torch.testing.assert_close(ours, expected, atol=1e-5, rtol=1e-5)


def test_other_endings_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BioFaceNetError, match=r"face\.pth: expected a name that ends in"):
        export(BioFaceNet("small"), tmp_path / "face.pth")


def test_a_missing_package_is_named(
    network: BioFaceNet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    with pytest.raises(BioFaceNetError, match=r"needs onnxscript.*biofacenet\[export\]"):
        export(network, tmp_path / "face.onnx")


@pytest.mark.parametrize("wrong", ["values", "nan", "shape"])
def test_a_file_that_differs_is_not_kept(
    network: BioFaceNet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wrong: str
) -> None:
    def load(path: Path) -> export_module.Run:
        def results(image: torch.Tensor) -> dict[str, torch.Tensor]:
            with torch.no_grad():
                found: dict[str, torch.Tensor] = Deployed(network)(image)
            if wrong == "shape":
                found["camera"] = found["camera"][:, :1]
            else:
                found["camera"] = found["camera"] + (0.01 if wrong == "values" else torch.nan)
            return found

        return results

    path = tmp_path / "face.pt2"
    path.write_text("earlier")
    monkeypatch.setattr(export_module, "trace", lambda deployed: None)

    def write(program: None, temporary: Path, facts: dict[str, str]) -> None:
        temporary.write_text("new")

    monkeypatch.setattr(export_module, "file_format", lambda path: (write, load))
    with pytest.raises(BioFaceNetError, match=r"shape|not kept"):
        export(network, path)
    assert path.read_text() == "earlier"
    assert [item.name for item in tmp_path.iterdir()] == ["face.pt2"]


def test_the_command_line_names_what_it_wrote(
    network: BioFaceNet,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """With a stand-in for the slow part."""
    network.save_pretrained(tmp_path / "model")
    asked = {}

    def stand_in(
        found: BioFaceNet, *paths: Path, encoding: str, accuracy: str, **others: object
    ) -> list[float]:
        asked.update(encoding=encoding, accuracy=accuracy, **others)
        for path in paths:
            path.write_bytes(b"x" * 1500000)
        return [0.01] * len(paths)

    monkeypatch.setattr(export_module, "export", stand_in)
    out = tmp_path / "face.pt2"
    arguments = [
        str(tmp_path / "model"),
        "--out",
        str(out),
        "--encoding",
        "linear",
        "--accuracy",
        "fast",
    ]
    monkeypatch.setattr(sys, "argv", ["export", *arguments])
    main()
    assert asked == {
        "encoding": "linear",
        "accuracy": "fast",
        "opset": 18,
        "precision": "float32",
    }
    said = capsys.readouterr().out
    assert f"-> {out}" in said
    assert "1.5 MB" in said


@pytest.mark.parametrize("words", [["--bands", "16"], ["--bands=33"]])
def test_what_replaces_bands_is_said(words: list[str]) -> None:
    with pytest.raises(BioFaceNetError, match=r"--bands: .*give --accuracy fast \(for 16\)"):
        main(["small", *words])
