"""What exported files take: empty batches, free sizes, versions of operators, 16 bits."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import TensorProto, helper

from biofacenet import BioFaceNet, BioFaceNetError
from biofacenet.export import main
from biofacenet.network.deployed import OUTPUTS, Deployed
from biofacenet.network.exporting import export, load_onnx, load_program
from biofacenet.network.folders import OPSETS
from biofacenet.network.onnx_guards import guard

RUN = """
import sys, numpy as np, onnxruntime
session = onnxruntime.InferenceSession(sys.argv[1], providers=["CPUExecutionProvider"])
shape = tuple(map(int, sys.argv[2].split(",")))
try:
    print([value.shape for value in session.run(None, {"image": np.zeros(shape, np.float32)})])
except Exception as error:
    print("refused", error)
"""


def run_alone(path: Path, *shape: int) -> str:
    """In a process of its own, which ONNX Runtime may kill."""
    command = [sys.executable, "-c", RUN, path, ",".join(map(str, shape))]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def convolution() -> onnx.ModelProto:
    """A graph that ends the process on an empty batch; one output is also used within."""
    weight = helper.make_tensor("weight", TensorProto.FLOAT, [2, 3, 3, 3], [0.1] * 54)
    sizes = ["b", 2, "h", "w"]
    graph = helper.make_graph(
        [
            helper.make_node("Conv", ["image", "weight"], ["features"], pads=[1, 1, 1, 1]),
            helper.make_node("Relu", ["features"], ["bounded"]),
        ],
        "convolution",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["b", 3, "h", "w"])],
        [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, sizes)
            for name in ("features", "bounded")
        ],
        [weight],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    model = convolution()
    guard(model)
    onnx.checker.check_model(model, full_check=True)
    path = tmp_path_factory.mktemp("guarded") / "guarded.onnx"
    onnx.save(model, path)
    return path


@pytest.mark.parametrize("size", [(32, 48), (16, 16), (256, 32)])
def test_an_empty_batch_gives_empty_results(guarded: Path, size: tuple[int, int]) -> None:
    shape = (0, 2, *size)
    assert run_alone(guarded, 0, 3, *size).strip() == str([shape, shape])


@pytest.mark.parametrize("size", [(33, 48), (32, 40), (8, 32), (48, 31)])
def test_other_sizes_are_refused_by_name(guarded: Path, size: tuple[int, int]) -> None:
    said = run_alone(guarded, 1, 3, *size)
    assert said.startswith("refused")
    assert "height_and_width_must_be_multiples_of_16" in said


def test_a_guard_changes_no_value(guarded: Path) -> None:
    image = np.random.default_rng(0).random((3, 3, 32, 48), np.float32)
    plain = onnxruntime.InferenceSession(convolution().SerializeToString())
    session = onnxruntime.InferenceSession(guarded)
    for one, other in zip(
        plain.run(None, {"image": image}), session.run(None, {"image": image}), strict=True
    ):
        assert np.array_equal(one, other)
    assert session.get_inputs()[0].shape == ["batch", 3, "height", "width"]
    assert session.get_outputs()[1].shape == ["batch", 2, "height", "width"]


@pytest.mark.parametrize("opset", [OPSETS[0] - 1, OPSETS[-1] + 1, 0])
def test_other_opsets_are_refused_before_anything_is_done(
    opset: int, tmp_path: Path, in_process: object
) -> None:
    with pytest.raises(BioFaceNetError, match=f"opset {opset}: expected 18 to 23"):
        export(BioFaceNet("small"), tmp_path / "face.onnx", opset=opset)
    done = in_process(  # type: ignore[operator]
        main.__module__, "small", "--out", "face.onnx", "--opset", str(opset), cwd=tmp_path
    )
    assert done.returncode == 2
    assert f"opset {opset}" in done.stderr
    assert not list(tmp_path.iterdir())


def test_half_precision_rounds_features_and_no_places_in_tables() -> None:
    network = BioFaceNet.from_pretrained("small")
    image = torch.rand(2, 3, 48, 64, generator=torch.Generator().manual_seed(1))
    half = Deployed(network, precision="float16")
    with torch.no_grad():
        whole, rounded = Deployed(network)(image), half(image)
    assert {parameter.dtype for parameter in half.network.encoder.parameters()} == {torch.float16}
    worst = 0.0
    for name in OUTPUTS:
        assert rounded[name].dtype == torch.float32
        share = (whole[name] - rounded[name]).abs() / (1 + whole[name].abs())
        worst = max(worst, float(share.max()))
    assert 0 < worst < 1 / 255
    # The network that was handed in stays as it is.
    assert {parameter.dtype for parameter in network.parameters()} == {torch.float32}


@pytest.mark.slow
@pytest.mark.usefixtures("little_network")
def test_files_of_16_bits_and_another_opset(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = BioFaceNet("small").eval()
    paths = [tmp_path / "face.onnx", tmp_path / "face.pt2"]
    shares = export(network, *paths, precision="float16", opset=20)
    assert max(shares) <= 1.0
    model = onnx.load(paths[0])
    assert [part.version for part in model.opset_import] == [20]
    facts = {item.key: item.value for item in model.metadata_props}
    assert facts["precision"] == "float16"
    assert facts["opset"] == "20"
    kernels = [
        item.data_type
        for item in model.graph.initializer
        if item.dims[2:] == [3, 3] and "weight" in item.name
    ]
    assert kernels
    assert set(kernels) == {TensorProto.FLOAT16}

    image = torch.rand(2, 3, 32, 64, generator=torch.Generator().manual_seed(3))
    for load, path in zip((load_onnx, load_program), paths, strict=True):
        assert load(path)(image)["melanin"].shape == (2, 1, 32, 64)
    assert run_alone(paths[0], 0, 3, 32, 32).startswith("[(0, 1, 32, 32)")
    # A program refuses other sizes by what it guards.
    program = load_program(paths[1])
    for shape in ((1, 3, 40, 32), (1, 3, 33, 64)):
        with pytest.raises(AssertionError, match="Guard failed"):
            program(torch.zeros(shape))
