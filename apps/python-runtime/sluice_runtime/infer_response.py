"""Writes the answer to an infer request, in JSON or with binary tensors behind a JSON header."""

import json
from typing import Any

import numpy as np

from .datatypes import binary_of, json_values

_ALIGNMENT = 8

# A tensor that goes out: its name, its datatype and its values.
OutputTensor = tuple[str, str, np.ndarray]


def json_response(model: str, version: str, identity: str | None, outputs: list[OutputTensor]) -> bytes:
    """Raises BadOutput for a value that JSON cannot carry."""
    tensors = ",".join(
        f'{{{_tensor_head(output)},"data":{json_values(output[0], output[1], output[2])}}}' for output in outputs
    )
    return f'{{{_head(model, version, identity)},"outputs":[{tensors}]}}'.encode()


def binary_response(
    model: str, version: str, identity: str | None, outputs: list[OutputTensor]
) -> tuple[bytes, list[Any]]:
    """The JSON header and the raw bytes behind it, to be sent one after the other."""
    raws = [binary_of(datatype, values) for _, datatype, values in outputs]
    tensors = ",".join(
        f'{{{_tensor_head(output)},"parameters":{{"binary_data_size":{len(raw)}}}}}'
        for output, raw in zip(outputs, raws)
    )
    header = f'{{{_head(model, version, identity)},"outputs":[{tensors}]}}'.encode()
    # Blanks behind the JSON let the first tensor begin aligned, so that the reader needs no copy of it.
    return header + b" " * (-len(header) % _ALIGNMENT), raws


def _head(model: str, version: str, identity: str | None) -> str:
    head = f'"model_name":{json.dumps(model)},"model_version":{json.dumps(version)}'
    return head if identity is None else f'{head},"id":{json.dumps(identity)}'


def _tensor_head(output: OutputTensor) -> str:
    name, datatype, values = output
    shape = ",".join(str(size) for size in values.shape)
    return f'"name":{json.dumps(name)},"datatype":"{datatype}","shape":[{shape}]'
