"""
Builds the test models in TensorFlow's formats, with a real TensorFlow and Keras 3.

    python tensorflow_models.py <folder> [tensorflow-savedmodel | keras]

Writes <folder>/{tensorflow-savedmodel,keras}/<model>. Nothing is trained: the weights are seeded.
"""

import os
import shutil
import sys
import zipfile
from pathlib import Path
from typing import Any

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import keras
import numpy as np
import tensorflow as tf
from manifest import IDENTITY, X, Y, identity_specs, spec, write_manifest

SLOW_TURNS = 10_000
WARM = [{"x": [[1.0] * 16]}]
TYPED = {
    "f16": "FP16", "bf16": "BF16", "f64": "FP64", "u8": "UINT8", "u16": "UINT16", "u32": "UINT32", "u64": "UINT64",
    "i8": "INT8", "i16": "INT16", "i32": "INT32",
}  # fmt: skip
DTYPES = {
    "FP16": tf.float16, "BF16": tf.bfloat16, "FP32": tf.float32, "FP64": tf.float64, "UINT8": tf.uint8,
    "UINT16": tf.uint16, "UINT32": tf.uint32, "UINT64": tf.uint64, "INT8": tf.int8, "INT16": tf.int16,
    "INT32": tf.int32, "INT64": tf.int64, "BOOL": tf.bool, "BYTES": tf.string,
}  # fmt: skip


def tensor_specs(specs: list[Any]) -> list[tf.TensorSpec]:
    return [
        tf.TensorSpec([None if size == -1 else size for size in each["shape"]], DTYPES[each["datatype"]], each["name"])
        for each in specs
    ]


def saved_model(root: Path, name: str, call: Any, inputs: list[Any], outputs: list[Any], **more: Any) -> None:
    folder = root / "tensorflow-savedmodel" / name
    module = tf.Module()
    module.variables_held = getattr(call, "variables_held", None)
    module.call = tf.function(call, input_signature=tensor_specs(inputs))
    signature = module.call.get_concrete_function()
    tf.saved_model.save(module, str(folder), signatures={"serving_default": signature})
    write_manifest(folder, name, "tensorflow-savedmodel", inputs, outputs, **more)


def keras_model(root: Path, name: str, model: Any, inputs: list[Any], outputs: list[Any], **more: Any) -> None:
    folder = root / "keras" / name
    folder.mkdir(parents=True)
    model.save(folder / "model.keras")
    write_manifest(folder, name, "keras", inputs, outputs, **more)


def weights() -> list[np.ndarray]:
    random = np.random.default_rng(7)
    shapes = [(16, 64), (64,), (64, 3), (3,)]
    return [random.normal(0, 0.3, shape).astype(np.float32) for shape in shapes]


def saved_models(root: Path) -> None:
    first, first_bias, second, second_bias = (tf.Variable(value) for value in weights())

    def dense(x):
        return {"y": tf.nn.softmax(tf.nn.relu(x @ first + first_bias) @ second + second_bias)}

    dense.variables_held = [first, first_bias, second, second_bias]

    def identity(f32, i64, b, s):
        return {"f32_out": f32 + 0, "i64_out": i64 + 0, "b_out": tf.identity(b), "s_out": tf.identity(s)}

    def slow(x):
        mixing = tf.ones([40, 40]) / 40 + x[0, 0] * 0
        _, end = tf.while_loop(
            lambda turn, _: turn < SLOW_TURNS, lambda turn, matrix: (turn + 1, matrix @ mixing), (0, mixing)
        )
        return {"y": x[:, :3] + tf.reduce_mean(end) * 0}

    def broken(x):
        return {"y": tf.gather(tf.ones([5, 3]), tf.cast(x[:, 0], tf.int32)) * x[:, :3]}

    def typed(**tensors):
        return {f"{name}_out": tensor + tf.cast(1, tensor.dtype) for name, tensor in tensors.items()}

    def reader(x):
        size = tf.strings.length(tf.io.read_file("/etc/hostname"))
        return {"y": x[:, :3] + tf.cast(size, tf.float32) * 0}

    saved_model(root, "dense", dense, [X], [Y])
    saved_model(root, "identity", identity, identity_specs(list(IDENTITY)), identity_specs(list(IDENTITY), "_out"))
    saved_model(root, "slow", slow, [X], [Y], warmup=WARM)
    saved_model(root, "broken", broken, [X], [Y], warmup=WARM)
    saved_model(root, "reader", reader, [X], [Y])
    inputs = [spec(name, kind, -1, 2) for name, kind in TYPED.items()]
    outputs = [spec(f"{name}_out", kind, -1, 2) for name, kind in TYPED.items()]
    folder = root / "tensorflow-savedmodel" / "typed"
    module = tf.Module()
    by_name = {each.name: each for each in tensor_specs(inputs)}
    module.call = tf.function(typed)
    tf.saved_model.save(module, str(folder), signatures=module.call.get_concrete_function(**by_name))
    write_manifest(folder, "typed", "tensorflow-savedmodel", inputs, outputs)


@keras.saving.register_keras_serializable(package="mine")
class Mine(keras.layers.Layer):
    def call(self, x):
        return x[:, :3] * 2


def keras_models(root: Path) -> None:
    layers, ops = keras.layers, keras.ops
    dense = keras.Sequential(
        [keras.Input((16,), name="x"), layers.Dense(64, activation="relu"), layers.Dense(3, activation="softmax")]
    )
    dense.set_weights(weights())
    keras_model(root, "dense", dense, [X], [Y])

    names = [name for name in IDENTITY if name != "s"]
    inputs = [keras.Input((None,), name=name, dtype=DTYPES[IDENTITY[name]].name) for name in names]
    outputs = [ops.copy(inputs[0]), inputs[1] + 0, ops.logical_not(ops.logical_not(inputs[2]))]
    keras_model(root, "identity", keras.Model(inputs, outputs), identity_specs(names), identity_specs(names, "_out"))

    x = keras.Input((16,), name="x")
    table = layers.Embedding(5, 3, embeddings_initializer="ones")
    broken = keras.Model(x, table(ops.cast(x[:, 0], "int32")) * x[:, :3])
    keras_model(root, "broken", broken, [X], [Y], warmup=WARM)

    x = keras.Input((16,), name="x")
    # One recurrence over many steps, since an ordinary layer is too quick to be caught at it.
    steps = ops.repeat(ops.reshape(x, (-1, 1, 16)), 1_200, axis=1)
    slow = keras.Model(x, x[:, :3] + ops.mean(layers.GRU(32)(steps)) * 0)
    keras_model(root, "slow", slow, [X], [Y], warmup=WARM)

    text = keras.Input((1,), name="text", dtype="string")
    words = layers.TextVectorization(vocabulary=["good", "bad"], output_sequence_length=4)
    keras_model(
        root, "words", keras.Model(text, words(text)), [spec("text", "BYTES", -1, 1)], [spec("ids", "INT64", -1, 4)]
    )  # fmt: skip

    x = keras.Input((16,), name="x")
    keras_model(root, "lambda", keras.Model(x, layers.Lambda(lambda v: v[:, :3] * 2)(x)), [X], [Y])
    keras_model(root, "own-class", keras.Model(x, Mine()(x)), [X], [Y])
    left, right = keras.Input((2,), name="left"), keras.Input((2,), name="right")
    pair = keras.Model({"left": left, "right": right}, {"difference": left - right, "sum": left + right})
    specs = [spec("right", "FP32", -1, 2), spec("left", "FP32", -1, 2)]
    keras_model(root, "named", pair, specs, [spec("sum", "FP32", -1, 2), spec("difference", "FP32", -1, 2)])


def refused(root: Path) -> None:
    """A .keras file whose configuration names a function that is not Keras's own."""
    folder = root / "keras" / "imports"
    folder.mkdir()
    with zipfile.ZipFile(root / "keras" / "dense" / "model.keras") as source:
        with zipfile.ZipFile(folder / "model.keras", "w") as target:
            for entry in source.infolist():
                content = source.read(entry)
                if entry.filename == "config.json":
                    assert b'"module": "keras.layers"' in content
                    content = content.replace(b'"module": "keras.layers"', b'"module": "subprocess"')
                target.writestr(entry, content)
    write_manifest(folder, "imports", "keras", [X], [Y])
    for source, name, inputs, outputs, more in (
        ("keras/lambda", "allowed-lambda", [X], [Y], {"allowCode": True}),
        ("keras/dense", "wrong-size", [spec("x", "FP32", -1, 15)], [Y], {}),
        ("tensorflow-savedmodel/dense", "wrong-name", [spec("z", "FP32", -1, 16)], [Y], {}),
        ("tensorflow-savedmodel/dense", "wrong-type", [X], [spec("y", "FP64", -1, 3)], {}),
    ):
        folder = root / source.partition("/")[0] / name
        shutil.copytree(root / source, folder)
        write_manifest(folder, name, folder.parent.name, inputs, outputs, **more)


def main() -> None:
    root = Path(sys.argv[1])
    keras.utils.set_random_seed(7)
    only = sys.argv[2] if len(sys.argv) > 2 else None
    if only != "keras":
        saved_models(root)
    if only != "tensorflow-savedmodel":
        keras_models(root)
    if only is None:
        refused(root)


if __name__ == "__main__":
    main()
