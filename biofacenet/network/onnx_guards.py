"""What an ONNX graph must be told besides its mathematics: empty batches, sizes, and names of dimensions.

ONNX Runtime kills the whole process, without a word, where a convolution is given an empty batch
(microsoft/onnxruntime#1879), and computes something for sizes that the network does not take: the format
has no way to say that a side is a multiple of 16.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto, ValueInfoProto

__all__ = ["guard"]

SIDE = 16
"""Height and width are multiples of it."""

REFUSED = "height_and_width_must_be_multiples_of_16"
"""Name of the node that fails otherwise; runtimes name it in their message."""


def guard(model: ModelProto) -> None:
    """Let a model take an empty batch, and refuse images of other sizes by name.

    In an empty batch stands one grey image while the network runs, and none is left in the results.

    Args:
        model: with one input ``image`` (B, 3, H, W) and outputs whose first dimension is B; changed in
            place.
    """
    from onnx import helper

    graph = model.graph
    (image,) = graph.input
    for node in graph.node:
        for place, name in enumerate(node.input):
            if name == image.name:
                node.input[place] = "guarded.image"
    cuts = []
    for output in graph.output:
        inside = f"guarded.{output.name}"
        for node in graph.node:
            for place, name in enumerate(node.output):
                if name == output.name:
                    node.output[place] = inside
            for place, name in enumerate(node.input):
                if name == output.name:
                    node.input[place] = inside
        cuts.append(
            helper.make_node(
                "Slice",
                [inside, "guarded.zero", "guarded.batch", "guarded.zero"],
                [output.name],
                name=f"without_filling_{output.name}",
            )
        )
    network = list(graph.node)
    del graph.node[:]
    graph.node.extend([*_entrance(image.name), *network, *cuts])
    del graph.value_info[:]  # of batches that may be empty
    _name_dimensions(image, ("batch", "", "height", "width"))
    for output in graph.output:
        _name_dimensions(output, ("batch", "", "height", "width"))


def _entrance(image: str) -> list[NodeProto]:
    """From the image as it comes to one that the network takes."""
    from onnx import TensorProto, helper

    def numbers(name: str, *values: int) -> NodeProto:
        tensor = helper.make_tensor(name, TensorProto.INT64, [len(values)], list(values))
        return helper.make_node("Constant", [], [f"guarded.{name}"], name=name, value=tensor)

    def step(kind: str, inputs: str, output: str, name: str = "", **options: Any) -> NodeProto:
        places = [word if word == image else f"guarded.{word}" for word in inputs.split()]
        return helper.make_node(kind, places, [f"guarded.{output}"], name=name or output, **options)

    grey = helper.make_tensor("grey", TensorProto.FLOAT, [1], [0.5])
    return [
        *(numbers(name, value) for name, value in (("zero", 0), ("one", 1), ("channels", 3))),
        *(numbers(name, value) for name, value in (("side", SIDE), ("second", 2), ("third", 3))),
        step("Shape", image, "shape"),
        step("Gather", "shape zero", "batch"),
        step("Gather", "shape second", "height"),
        step("Gather", "shape third", "width"),
        step("Div", "height side", "rows"),
        step("Div", "width side", "columns"),
        step("Concat", "batch channels rows side columns side", "tiled", axis=0),
        step("Reshape", f"{image} tiled", "tiles", REFUSED, allowzero=1),
        step("Reshape", "tiles shape", "whole", allowzero=1),
        # One image where there is none, else none.
        step("Min", "batch one", "there"),
        step("Sub", "one there", "missing"),
        step("Concat", "missing channels height width", "lacking", axis=0),
        step("ConstantOfShape", "lacking", "filling", value=grey),
        step("Concat", "whole filling", "image", axis=0),
    ]


def _name_dimensions(value: ValueInfoProto, names: tuple[str, ...]) -> None:
    """Names that say what they are, for dimensions that are free."""
    for dimension, name in zip(value.type.tensor_type.shape.dim, names, strict=False):
        if name and not dimension.HasField("dim_value"):
            dimension.dim_param = name
