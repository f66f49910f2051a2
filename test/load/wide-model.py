"""Writes the larger model of the benchmark, 384-1024-1024-512-8 with seeded random weights, and its `sluice.json`.

    python wide-model.py <folder>
"""

import hashlib
import json
import sys
from pathlib import Path

import numpy as np
from onnx import TensorProto, checker, helper, numpy_helper

SEED = 7
SIZES = (384, 1024, 1024, 512, 8)


def main() -> None:
    folder = Path(sys.argv[1])
    random = np.random.default_rng(SEED)
    nodes, weights, last = [], [], "x"
    for layer, (rows, columns) in enumerate(zip(SIZES, SIZES[1:]), start=1):
        # Scaled by the width, so that values neither vanish nor explode from layer to layer.
        weights.append(numpy_helper.from_array(
            random.normal(0, (2 / rows) ** 0.5, (rows, columns)).astype(np.float32), f"w{layer}"))
        weights.append(numpy_helper.from_array(np.zeros(columns, np.float32), f"b{layer}"))
        is_last = layer == len(SIZES) - 1
        nodes.append(helper.make_node("Gemm", [last, f"w{layer}", f"b{layer}"], [f"sum{layer}"]))
        nodes.append(helper.make_node("Softmax" if is_last else "Relu", [f"sum{layer}"],
                                      ["y" if is_last else f"active{layer}"], **({"axis": 1} if is_last else {})))
        last = f"active{layer}"
    graph = helper.make_graph(
        nodes, "wide",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", SIZES[0]])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", SIZES[-1]])], weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 19)], ir_version=9)
    checker.check_model(model)
    content = model.SerializeToString(deterministic=True)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model.onnx").write_bytes(content)
    (folder / "sluice.json").write_text(json.dumps({
        "schemaVersion": 1, "name": "wide", "version": "1", "format": "onnx",
        "files": [{"path": "model.onnx", "sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}],
        "inputs": [{"name": "x", "datatype": "FP32", "shape": [-1, SIZES[0]]}],
        "outputs": [{"name": "y", "datatype": "FP32", "shape": [-1, SIZES[-1]]}],
    }, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
