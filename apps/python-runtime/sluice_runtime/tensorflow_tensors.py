"""TensorFlow's tensors and the protocol's."""

from typing import Any

import numpy as np
import tensorflow as tf

from .datatypes import BadOutput

_DATATYPES = {
    "bool": "BOOL",
    "uint8": "UINT8",
    "uint16": "UINT16",
    "uint32": "UINT32",
    "uint64": "UINT64",
    "int8": "INT8",
    "int16": "INT16",
    "int32": "INT32",
    "int64": "INT64",
    "float16": "FP16",
    "bfloat16": "BF16",
    "float32": "FP32",
    "float64": "FP64",
    "string": "BYTES",
}

_TYPES = {datatype: tf.as_dtype(name) for name, datatype in _DATATYPES.items()}


def set_threads(threads: int) -> None:
    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(1)


def providers() -> list[str]:
    return ["cuda", "cpu"] if tf.config.list_physical_devices("GPU") else ["cpu"]


def type_of(datatype: str) -> Any:
    return _TYPES[datatype]


def datatype_of(name: str) -> str | None:
    return _DATATYPES.get(name)


def sizes_of(shape: Any) -> list[int | None] | None:
    """The sizes of a TensorShape, None where free; None for a shape of unknown rank."""
    return None if shape.rank is None else shape.as_list()


def to_tensorflow(datatype: str, values: np.ndarray) -> Any:
    if datatype == "BF16":
        values = values.view(tf.bfloat16.as_numpy_dtype)
    return tf.constant(values, dtype=_TYPES[datatype])


def from_tensorflow(name: str, tensor: Any) -> tuple[str, np.ndarray]:
    if not isinstance(tensor, tf.Tensor):
        raise BadOutput(f"the model gives output {name} as {type(tensor).__name__}, not as a tensor")
    datatype = _DATATYPES.get(tensor.dtype.name)
    if datatype is None:
        raise BadOutput(f"the model gives output {name} as {tensor.dtype.name}, which the protocol has not")
    values = np.asarray(tensor.numpy(), dtype=object) if datatype == "BYTES" else tensor.numpy()
    return datatype, values.view(np.uint16) if datatype == "BF16" else values
