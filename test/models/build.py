"""Builds the small models the tests serve. Nothing is trained: seeded weights, or graphs grafted onto tone version 1.

    python build.py

Writes model.onnx and sluice.json beside this file. The same packages give the same bytes.
"""

import copy
import hashlib
import json
from pathlib import Path

import numpy as np
from onnx import ModelProto, TensorProto, checker, helper, load, numpy_helper

HERE = Path(__file__).resolve().parent
TONE = HERE.parents[1] / "deploy" / "models" / "tone" / "1"

SEED = 7
# About 100 ms on a two-core server. The matrices are small enough for the runtime to multiply each pair on one thread, so
# the time hardly depends on the session's thread count.
SLOW_TURNS = 48_000
SLOW_WIDTH = 40


def grafted_tone() -> ModelProto:
    """Tone version 1 with its probabilities renamed, so that added nodes can produce the output in their place."""
    model = load(TONE / "model.onnx")
    for node in model.graph.node:
        node.output[:] = ["untouched" if name == "probabilities" else name for name in node.output]
    return model


def broken_tone() -> ModelProto:
    """Fails on a text whose number of words is a multiple of five, the empty text included."""
    model = grafted_tone()
    model.graph.initializer.extend([
        numpy_helper.from_array(np.array(" ", dtype=object), "padding"),
        numpy_helper.from_array(np.int64(5), "five"),
        numpy_helper.from_array(np.array([1], np.int64), "word_axis"),
        numpy_helper.from_array(np.ones((5, 1), np.float32), "ones"),
    ])
    model.graph.node.extend([
        helper.make_node("Tokenizer", ["text"], ["words"], domain="com.microsoft", mark=0, mincharnum=1,
                         pad_value=" ", tokenexp="[^ \\t\\r\\n]+"),
        helper.make_node("Equal", ["words", "padding"], ["is_padding"]),
        helper.make_node("Not", ["is_padding"], ["is_word"]),
        helper.make_node("Cast", ["is_word"], ["is_word_number"], to=TensorProto.INT64),
        helper.make_node("ReduceSum", ["is_word_number", "word_axis"], ["word_count"], keepdims=0),
        helper.make_node("Mod", ["word_count", "five"], ["remainder"]),
        # Remainders 1 to 4 give the rows 4 to 1. Remainder 0 gives row 5, which does not exist, and the run stops there.
        helper.make_node("Sub", ["five", "remainder"], ["row"]),
        helper.make_node("Gather", ["ones", "row"], ["factor"], axis=0),
        helper.make_node("Mul", ["untouched", "factor"], ["probabilities"]),
    ])
    return model


def slow_tone() -> ModelProto:
    """Answers as version 1 does, after a loop whose outcome is multiplied by zero."""
    model = grafted_tone()
    mixing = np.random.default_rng(SEED).random((SLOW_WIDTH, SLOW_WIDTH), dtype=np.float32)
    mixing /= mixing.sum(axis=0, keepdims=True)  # Columns that sum to one keep the loop's matrix within bounds.
    body = helper.make_graph(
        [helper.make_node("Identity", ["going"], ["still_going"]),
         helper.make_node("MatMul", ["matrix", "mixing"], ["next_matrix"])],
        "turn",
        [helper.make_tensor_value_info("turn_number", TensorProto.INT64, []),
         helper.make_tensor_value_info("going", TensorProto.BOOL, []),
         helper.make_tensor_value_info("matrix", TensorProto.FLOAT, [SLOW_WIDTH, SLOW_WIDTH])],
        [helper.make_tensor_value_info("still_going", TensorProto.BOOL, []),
         helper.make_tensor_value_info("next_matrix", TensorProto.FLOAT, [SLOW_WIDTH, SLOW_WIDTH])],
    )
    model.graph.initializer.extend([
        numpy_helper.from_array(mixing, "mixing"),
        numpy_helper.from_array(np.int64(SLOW_TURNS), "turns"),
        numpy_helper.from_array(np.bool_(True), "always"),
        numpy_helper.from_array(np.float32(0), "zero"),
    ])
    model.graph.node.extend([
        # The starting matrix depends on the number of rows, which is known only at run time, so nothing folds away.
        helper.make_node("Shape", ["text"], ["row_count"]),
        helper.make_node("Cast", ["row_count"], ["row_count_number"], to=TensorProto.FLOAT),
        helper.make_node("Add", ["mixing", "row_count_number"], ["start"]),
        helper.make_node("Loop", ["turns", "always", "start"], ["end"], body=body),
        helper.make_node("ReduceMean", ["end"], ["mean"], keepdims=0),
        helper.make_node("Mul", ["mean", "zero"], ["nothing"]),
        helper.make_node("Add", ["untouched", "nothing"], ["probabilities"]),
    ])
    return model


def dense() -> ModelProto:
    """16 -> 64 -> 3 with Relu and Softmax, random weights."""
    random = np.random.default_rng(SEED)
    weights = {
        "w1": random.normal(0, 0.35, (16, 64)), "b1": random.normal(0, 0.1, 64),
        "w2": random.normal(0, 0.2, (64, 3)), "b2": random.normal(0, 0.1, 3),
    }
    nodes = [
        helper.make_node("Gemm", ["x", "w1", "b1"], ["hidden"]),
        helper.make_node("Relu", ["hidden"], ["active"]),
        helper.make_node("Gemm", ["active", "w2", "b2"], ["scores"]),
        helper.make_node("Softmax", ["scores"], ["y"], axis=1),
    ]
    graph = helper.make_graph(
        nodes, "dense",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 16])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 3])],
        [numpy_helper.from_array(value.astype(np.float32), name) for name, value in weights.items()],
    )
    return from_graph(graph)


IDENTITY_TYPES = {
    "f32": ("FP32", TensorProto.FLOAT), "i64": ("INT64", TensorProto.INT64),
    "b": ("BOOL", TensorProto.BOOL), "s": ("BYTES", TensorProto.STRING),
}


def identity() -> ModelProto:
    """Every input comes out unchanged; each has its own free shape."""
    def port(name: str, suffix: str, kind: int):
        return helper.make_tensor_value_info(name + suffix, kind, [f"{name}_rows", f"{name}_columns"])

    return from_graph(helper.make_graph(
        [helper.make_node("Identity", [name], [name + "_out"]) for name in IDENTITY_TYPES], "identity",
        [port(name, "", kind) for name, (_, kind) in IDENTITY_TYPES.items()],
        [port(name, "_out", kind) for name, (_, kind) in IDENTITY_TYPES.items()],
    ))


DATATYPES = {
    "bool": ("BOOL", TensorProto.BOOL), "u8": ("UINT8", TensorProto.UINT8), "u16": ("UINT16", TensorProto.UINT16),
    "u32": ("UINT32", TensorProto.UINT32), "u64": ("UINT64", TensorProto.UINT64), "i8": ("INT8", TensorProto.INT8),
    "i16": ("INT16", TensorProto.INT16), "i32": ("INT32", TensorProto.INT32), "i64": ("INT64", TensorProto.INT64),
    "f16": ("FP16", TensorProto.FLOAT16), "bf16": ("BF16", TensorProto.BFLOAT16), "f32": ("FP32", TensorProto.FLOAT),
    "f64": ("FP64", TensorProto.DOUBLE), "bytes": ("BYTES", TensorProto.STRING),
}


def datatypes() -> ModelProto:
    """Every datatype of the protocol comes out unchanged; all tensors share the number of rows alone."""
    def port(name: str, suffix: str, kind: int):
        return helper.make_tensor_value_info(name + suffix, kind, ["rows", f"{name}_columns"])

    return from_graph(helper.make_graph(
        [helper.make_node("Identity", [name], [name + "_out"]) for name in DATATYPES], "datatypes",
        [port(name, "", kind) for name, (_, kind) in DATATYPES.items()],
        [port(name, "_out", kind) for name, (_, kind) in DATATYPES.items()],
    ))


def external() -> ModelProto:
    """`y` is the first row of a matrix that lies in a file of its own, plus `x`; all in BF16. `extra` is an 8-bit float."""
    table = helper.make_tensor("table", TensorProto.BFLOAT16, [2, 4], EXTERNAL_TABLE, raw=True)
    table.data_location = TensorProto.EXTERNAL
    table.ClearField("raw_data")
    for key, value in {"location": "weights/table.bin", "offset": "0", "length": str(len(EXTERNAL_TABLE))}.items():
        entry = table.external_data.add()
        entry.key, entry.value = key, value
    b16 = TensorProto.BFLOAT16
    graph = helper.make_graph(
        [
            helper.make_node("Gather", ["table", "first"], ["row"], axis=0),
            helper.make_node("Concat", ["x", "row"], ["y"], axis=0),
            helper.make_node("Cast", ["x"], ["extra"], to=TensorProto.FLOAT8E4M3FN),
        ],
        "external",
        [helper.make_tensor_value_info("x", b16, ["rows", 4])],
        [helper.make_tensor_value_info("y", b16, ["more_rows", 4]),
         helper.make_tensor_value_info("extra", TensorProto.FLOAT8E4M3FN, ["rows", 4])],
        [table, numpy_helper.from_array(np.array([0], dtype=np.int64), "first")],
    )
    return from_graph(graph)


# 1, 2, 3, 4 and -1, -2, -3, -4 as BF16, little-endian.
EXTERNAL_TABLE = np.array([0x3F80, 0x4000, 0x4040, 0x4080, 0xBF80, 0xC000, 0xC040, 0xC080], dtype="<u2").tobytes()


def from_graph(graph) -> ModelProto:
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 19)], producer_name="sluice-test-models", ir_version=9)


def write(folder: str, model: ModelProto, name: str, version: str, description: str, ports: dict, warmup: list,
          weights: dict[str, bytes] | None = None) -> None:
    weights = weights or {}
    for path, data in weights.items():
        (HERE / folder / path).parent.mkdir(parents=True, exist_ok=True)
        (HERE / folder / path).write_bytes(data)
    # What lies in other files can only be checked where they lie.
    if not weights:
        checker.check_model(model)
    content = model.SerializeToString(deterministic=True)
    manifest = {
        "schemaVersion": 1,
        "name": name,
        "version": version,
        "format": "onnx",
        "description": description,
        "files": [
            {"path": path, "sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}
            for path, data in {"model.onnx": content, **weights}.items()
        ],
        **ports,
        "warmup": warmup,
    }
    (HERE / folder).mkdir(exist_ok=True)
    (HERE / folder / "model.onnx").write_bytes(content)
    (HERE / folder / "sluice.json").write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")
    print(f"{folder}: {len(content)} bytes")


def main() -> None:
    tone = json.loads((TONE / "sluice.json").read_text(encoding="utf-8"))
    tone_ports = {"inputs": tone["inputs"], "outputs": tone["outputs"]}
    # The broken version must pass its warm-up, so this sample has four words.
    warmup = [{"text": ["Thank you for writing."]}]
    write("tone-broken", broken_tone(), "tone", "3",
          "Test model: tone 1 that fails when a text's word count is a multiple of five.", copy.deepcopy(tone_ports), warmup)
    write("tone-slow", slow_tone(), "tone", "4",
          "Test model: tone 1 that takes about 100 ms longer for each run.", copy.deepcopy(tone_ports), warmup)
    write("dense", dense(), "dense", "1", "Test model: a small dense network with random weights.", {
        "inputs": [{"name": "x", "datatype": "FP32", "shape": [-1, 16]}],
        "outputs": [{"name": "y", "datatype": "FP32", "shape": [-1, 3]}],
    }, [{"x": [[0] * 16]}])
    write("identity", identity(), "identity", "1", "Test model: every typed input comes out unchanged.", {
        "inputs": [{"name": name, "datatype": kind, "shape": [-1, -1]} for name, (kind, _) in IDENTITY_TYPES.items()],
        "outputs": [{"name": f"{name}_out", "datatype": kind, "shape": [-1, -1]} for name, (kind, _) in IDENTITY_TYPES.items()],
    }, [{"f32": [[0.5]], "i64": [[1]], "b": [[True]], "s": [["a"]]}])
    write("datatypes", datatypes(), "datatypes", "1", "Test model: every datatype of the protocol comes out unchanged.", {
        "inputs": [{"name": name, "datatype": kind, "shape": [-1, -1]} for name, (kind, _) in DATATYPES.items()],
        "outputs": [{"name": f"{name}_out", "datatype": kind, "shape": [-1, -1]} for name, (kind, _) in DATATYPES.items()],
    }, [])
    write("external", external(), "external", "1", "Test model: BF16 with its weights in a file beside the graph.", {
        "inputs": [{"name": "x", "datatype": "BF16", "shape": [-1, 4]}],
        "outputs": [{"name": "y", "datatype": "BF16", "shape": [-1, 4]}],
    }, [], {"weights/table.bin": EXTERNAL_TABLE})


if __name__ == "__main__":
    main()
