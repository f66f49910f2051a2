"""Reads an Open Inference Protocol v2 infer request, with its binary tensor data extension, against the manifest."""

import json
from dataclasses import dataclass
from typing import Any

import numpy as np

from .datatypes import BadInput, read_binary, read_json, shape_text
from .model_folder import TensorSpec

HEADER_LENGTH = "inference-header-content-length"

_LONGEST_ID = 256
_LARGEST_SIZE = 2**31 - 1
_LARGEST_COUNT = 2**53 - 1


@dataclass(frozen=True)
class InferRequest:
    """What a caller asks. `inputs` are complete, checked, shaped, and in the manifest's order."""

    inputs: list[np.ndarray]
    # Names of the outputs to answer with, in this order; None asks for all of them.
    outputs: list[str] | None
    id: str | None
    wants_binary: bool


def read_request(
    body: bytearray,
    header_length: str | None,
    inputs: tuple[TensorSpec, ...],
    outputs: tuple[TensorSpec, ...],
) -> InferRequest:
    """Raises BadInput with the path of the wrong field."""
    if header_length is None:
        header, tail = _parse(body), None
    else:
        length = _header_length(header_length, len(body))
        header, tail = _parse(memoryview(body)[:length]), _Tail(memoryview(body)[length:])
        if header is _NOT_JSON:
            raise BadInput("header", f"the first {length} bytes are not JSON")
    if not isinstance(header, dict):
        raise BadInput("body", "must be a JSON object with inputs")
    identity = header.get("id")
    if identity is not None and (not isinstance(identity, str) or len(identity) > _LONGEST_ID):
        raise BadInput("id", f"must be a string of at most {_LONGEST_ID} characters")
    parameters = _parameters(header.get("parameters"), "parameters")
    arrays = _read_inputs(header.get("inputs"), inputs, tail or _Tail(None))
    names, asks_binary = _requested(header.get("outputs"), outputs)
    wants_binary = tail is not None and (parameters.get("binary_data_output") is True or asks_binary)
    return InferRequest(arrays, names, identity, wants_binary)


_NOT_JSON = object()


def _parse(text: "bytearray | memoryview") -> Any:
    try:
        return json.loads(bytes(text), parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        # Not an object, and so refused with the field's name.
        return _NOT_JSON


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _header_length(text: str, body_length: int) -> int:
    if not text.isascii() or not text.isdigit():
        raise BadInput(HEADER_LENGTH, "must be a whole number of bytes")
    length = int(text[:20])
    if length == 0:
        raise BadInput(HEADER_LENGTH, "is 0: a body of raw bytes alone is not supported, send a JSON header")
    if length > body_length:
        raise BadInput(HEADER_LENGTH, f"is {length}, but the body has only {body_length} bytes")
    return length


class _Tail:
    """The bytes behind the JSON header, handed out tensor by tensor in the order of the request."""

    def __init__(self, raw: memoryview | None):
        self._raw = raw
        self._offset = 0

    def take(self, size: Any, field: str) -> memoryview:
        if self._raw is None:
            problem = "needs the Inference-Header-Content-Length header and the bytes behind the JSON: send that, or data"
            raise BadInput(field, problem)
        if type(size) is not int or size < 0:
            raise BadInput(field, "must be a whole number of bytes")
        left = len(self._raw) - self._offset
        if size > left:
            raise BadInput(field, f"is {size}, but the body holds only {left} more bytes")
        self._offset += size
        return self._raw[self._offset - size : self._offset]

    def end(self) -> None:
        left = 0 if self._raw is None else len(self._raw) - self._offset
        if left > 0:
            raise BadInput("body", f"holds {left} bytes behind the last tensor")


def _read_inputs(given: Any, specs: tuple[TensorSpec, ...], tail: _Tail) -> list[np.ndarray]:
    if given is None:
        raise BadInput("inputs", f"is missing: send an array with {_names(specs)}")
    if not isinstance(given, list):
        raise BadInput("inputs", "must be an array of tensors")
    if not given:
        raise BadInput("inputs", f"is empty: send {_names(specs)}")
    arrays: list[np.ndarray | None] = [None] * len(specs)
    for index, entry in enumerate(given):
        field = f"inputs[{index}]"
        if not isinstance(entry, dict):
            raise BadInput(field, "must be an object with name, datatype, shape and data")
        at = _place_of(entry.get("name"), specs, field, "input")
        if arrays[at] is not None:
            raise BadInput(f"{field}.name", f"input {_quote(specs[at].name)} is given twice")
        arrays[at] = _read_input(entry, specs[at], field, tail)
    tail.end()
    for array, spec in zip(arrays, specs):
        if array is None:
            raise BadInput("inputs", f"input {_quote(spec.name)} is missing")
    complete = [array for array in arrays if array is not None]
    for array, spec in zip(complete, specs):
        if array.shape[0] != complete[0].shape[0]:
            first = f"input {_quote(specs[0].name)} has {complete[0].shape[0]}"
            problem = f"input {_quote(spec.name)} has {array.shape[0]} rows and {first}: make them equal"
            raise BadInput("inputs", problem)
    return complete


def _read_input(entry: dict[str, Any], spec: TensorSpec, field: str, tail: _Tail) -> np.ndarray:
    datatype = entry.get("datatype")
    if datatype != spec.datatype:
        given = f"not {_quote(datatype)}" if isinstance(datatype, str) else "as a string"
        raise BadInput(f"{field}.datatype", f"must be {spec.datatype}, {given}")
    shape = _read_shape(entry.get("shape"), spec.shape, f"{field}.shape")
    count = 1
    for size in shape:
        count *= size
    if count > _LARGEST_COUNT:
        raise BadInput(f"{field}.shape", "is too large: the product of its sizes cannot be counted")
    parameters = _parameters(entry.get("parameters"), f"{field}.parameters")
    if "shared_memory_region" in parameters:
        raise BadInput(f"{field}.parameters.shared_memory_region", "shared memory is not supported: send data")
    size = parameters.get("binary_data_size")
    if size is None:
        if "data" not in entry:
            raise BadInput(f"{field}.data", "is missing")
        values = read_json(spec.datatype, entry["data"], shape, count, f"{field}.data")
    else:
        if "data" in entry:
            raise BadInput(f"{field}.data", "stands beside binary_data_size: send one of the two")
        raw = tail.take(size, f"{field}.parameters.binary_data_size")
        values = read_binary(spec.datatype, raw, count, field)
    return values.reshape(shape)


def _read_shape(given: Any, wanted: tuple[int, ...], field: str) -> list[int]:
    if not isinstance(given, list):
        raise BadInput(field, f"must be an array of sizes like {shape_text(wanted)}")
    if len(given) != len(wanted):
        raise BadInput(field, f"has {len(given)} sizes, the model wants {len(wanted)}: {shape_text(wanted)}")
    for axis, size in enumerate(given):
        if type(size) is not int or not 0 <= size <= _LARGEST_SIZE:
            raise BadInput(f"{field}[{axis}]", f"must be a whole number from 0 to {_LARGEST_SIZE}")
    if given[0] == 0:
        raise BadInput(f"{field}[0]", "the batch is empty: send at least one row")
    for axis, (size, want) in enumerate(zip(given, wanted)):
        if want not in (-1, size):
            raise BadInput(f"{field}[{axis}]", f"is {size}, the model wants {want}: shape {shape_text(wanted)}")
    return given


def _requested(given: Any, specs: tuple[TensorSpec, ...]) -> tuple[list[str] | None, bool]:
    if given is None:
        return None, False
    if not isinstance(given, list):
        raise BadInput("outputs", "must be an array")
    names: list[str] = []
    asks_binary = False
    for index, entry in enumerate(given):
        field = f"outputs[{index}]"
        if not isinstance(entry, dict):
            raise BadInput(field, "must be an object with a name")
        name = specs[_place_of(entry.get("name"), specs, field, "output")].name
        if name in names:
            raise BadInput(f"{field}.name", f"output {_quote(name)} is asked for twice")
        names.append(name)
        parameters = _parameters(entry.get("parameters"), f"{field}.parameters")
        # Passing these over would give an answer of another form than the caller asked for.
        for unsupported in ("classification", "shared_memory_region"):
            if unsupported in parameters:
                raise BadInput(f"{field}.parameters.{unsupported}", "is not supported")
        asks_binary = asks_binary or parameters.get("binary_data") is True
    return names or None, asks_binary


def _place_of(name: Any, specs: tuple[TensorSpec, ...], field: str, kind: str) -> int:
    if not isinstance(name, str):
        raise BadInput(f"{field}.name", "must be a string")
    for at, spec in enumerate(specs):
        if spec.name == name:
            return at
    raise BadInput(f"{field}.name", f"the model has no {kind} {_quote(name)}; it has {_names(specs)}")


def _parameters(given: Any, field: str) -> dict[str, Any]:
    if given is None:
        return {}
    if not isinstance(given, dict):
        raise BadInput(field, "must be an object")
    for key, value in given.items():
        if not isinstance(value, (str, int, float, bool)):
            raise BadInput(f"{field}.{key[:64]}", "must be a string, a number or a boolean")
    return given


def _quote(name: str) -> str:
    return json.dumps(name if len(name) <= 80 else f"{name[:80]}...", ensure_ascii=False)


def _names(specs: tuple[TensorSpec, ...]) -> str:
    listed = ", ".join(_quote(spec.name) for spec in specs[:10])
    return f"{listed}, ..." if len(specs) > 10 else listed
