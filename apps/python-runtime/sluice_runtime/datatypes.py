"""
The datatypes of the Open Inference Protocol v2 as numpy arrays, and their values in JSON and in raw bytes.

On the wire and between the parts of this process a tensor is a numpy array of the dtype below. BF16 has no numpy type:
its values are raw uint16 bits. BYTES is an object array of `bytes`, each of them UTF-8.
"""

import json
import math
import struct
import sys
from typing import Any

import numpy as np

DATATYPES: dict[str, np.dtype] = {
    "BOOL": np.dtype(np.bool_),
    "UINT8": np.dtype("<u1"),
    "UINT16": np.dtype("<u2"),
    "UINT32": np.dtype("<u4"),
    "UINT64": np.dtype("<u8"),
    "INT8": np.dtype("<i1"),
    "INT16": np.dtype("<i2"),
    "INT32": np.dtype("<i4"),
    "INT64": np.dtype("<i8"),
    "FP16": np.dtype("<f2"),
    "BF16": np.dtype("<u2"),
    "FP32": np.dtype("<f4"),
    "FP64": np.dtype("<f8"),
    "BYTES": np.dtype(object),
}

_FLOATS = ("FP16", "BF16", "FP32", "FP64")

if sys.byteorder != "little":
    raise SystemExit("Sluice runs on little-endian machines only")


class BadInput(Exception):
    """A request that the model cannot take: `field: problem`."""

    def __init__(self, field: str, problem: str):
        super().__init__(f"{field}: {problem}")


class BadOutput(Exception):
    """An answer that the protocol cannot carry."""


def blank(datatype: str, shape: list[int]) -> np.ndarray:
    if datatype == "BYTES":
        return np.full(shape, b"", dtype=object)
    return np.zeros(shape, dtype=DATATYPES[datatype])


# Raw bytes


def read_binary(datatype: str, raw: memoryview, count: int, field: str) -> np.ndarray:
    """Flat values from little-endian bytes; for BYTES a uint32 length and text each. Numbers are a view where aligned."""
    if datatype == "BYTES":
        return _read_texts(raw, count, field)
    dtype = DATATYPES[datatype]
    if len(raw) != count * dtype.itemsize:
        wanted = count * dtype.itemsize
        raise BadInput(field, f"has {len(raw)} bytes, but its shape and datatype {datatype} want {wanted}")
    if datatype == "BOOL":
        values = np.frombuffer(raw, dtype=np.uint8)
        wrong = np.flatnonzero(values > 1)
        if wrong.size > 0:
            raise BadInput(f"{field}[{wrong[0]}]", "is neither 0 nor 1, which are the bytes of BOOL")
        return values.view(np.bool_)
    values = np.frombuffer(raw, dtype=dtype)
    return values if values.flags.aligned else values.copy()


def _read_texts(raw: memoryview, count: int, field: str) -> np.ndarray:
    # Each text takes at least its length, so a lying count is found before anything is allocated for it.
    if count * 4 > len(raw):
        raise BadInput(field, f"has {len(raw)} bytes, too few for {count} texts")
    texts = np.empty(count, dtype=object)
    offset = 0
    for index in range(count):
        start = offset + 4
        if start > len(raw):
            raise BadInput(f"{field}[{index}]", "is cut off before its length")
        (size,) = struct.unpack_from("<I", raw, offset)
        offset = start + size
        if offset > len(raw):
            raise BadInput(f"{field}[{index}]", f"says {size} bytes, but only {len(raw) - start} are left")
        texts[index] = bytes(raw[start:offset])
        if not _is_utf8(texts[index]):
            raise BadInput(f"{field}[{index}]", "is not valid UTF-8")
    if offset != len(raw):
        raise BadInput(field, f"has {len(raw) - offset} bytes behind its last text")
    return texts


def binary_of(datatype: str, values: np.ndarray) -> memoryview | bytes:
    """The tensor's raw bytes; numbers are a view of the array where it is contiguous."""
    if datatype != "BYTES":
        array = np.ascontiguousarray(values)
        return memoryview(array.reshape(-1).view(np.uint8)) if array.size > 0 else b""
    parts = []
    for text in values.reshape(-1):
        parts.append(struct.pack("<I", len(text)))
        parts.append(text)
    return b"".join(parts)


def _is_utf8(text: bytes) -> bool:
    try:
        text.decode()
        return True
    except UnicodeDecodeError:
        return False


def check_texts(name: str, values: np.ndarray) -> None:
    """Raises BadOutput for what no caller could read."""
    for index, text in enumerate(values.reshape(-1)):
        if not isinstance(text, bytes):
            raise BadOutput(f"value {index} of output {name} is no text")
        if not _is_utf8(text):
            raise BadOutput(f"value {index} of output {name} is not UTF-8, and BYTES carries text")


# JSON


def read_json(datatype: str, data: Any, shape: list[int], count: int, field: str) -> np.ndarray:
    """Flat values from JSON: flat in row-major order, or nested exactly as `shape` says. Raises BadInput."""
    if not isinstance(data, list):
        raise BadInput(field, "must be an array of values")
    if len(shape) > 1 and data and isinstance(data[0], list):
        flat: list[Any] = []
        _flatten(data, shape, 0, field, flat)
        at = _nested_place
    elif len(data) != count:
        raise BadInput(field, f"has {len(data)} values, but shape {shape_text(shape)} wants {count}")
    else:
        flat = data
        at = _flat_place
    wrong = _first_wrong(datatype, flat)
    if wrong is not None:
        raise BadInput(field + at(wrong, shape), _problem_of(datatype, flat[wrong]))
    if datatype == "BYTES":
        texts = np.empty(count, dtype=object)
        texts[:] = [value.encode() for value in flat]
        return texts
    if datatype == "BF16":
        return _bfloat_bits(np.array(flat, dtype=np.float32))
    return np.array(flat, dtype=DATATYPES[datatype])


def _flatten(values: list[Any], shape: list[int], axis: int, field: str, flat: list[Any]) -> None:
    if len(values) != shape[axis]:
        raise BadInput(field, f"has {len(values)} elements, but shape {shape_text(shape)} wants {shape[axis]} here")
    if axis == len(shape) - 1:
        flat.extend(values)
        return
    for index, row in enumerate(values):
        if not isinstance(row, list):
            raise BadInput(f"{field}[{index}]", "must be an array, as its neighbours are")
        _flatten(row, shape, axis + 1, f"{field}[{index}]", flat)


def _flat_place(index: int, _shape: list[int]) -> str:
    return f"[{index}]"


def _nested_place(index: int, shape: list[int]) -> str:
    return "".join(f"[{at}]" for at in np.unravel_index(index, shape))


_SAFE_INTEGER = 2**53 - 1


def _range_of(datatype: str) -> tuple[int, int]:
    if datatype == "INT64":
        return -_SAFE_INTEGER, _SAFE_INTEGER
    if datatype == "UINT64":
        return 0, _SAFE_INTEGER
    info = np.iinfo(DATATYPES[datatype])
    return int(info.min), int(info.max)


def _first_wrong(datatype: str, flat: list[Any]) -> int | None:
    if datatype == "BOOL":
        return next((index for index, value in enumerate(flat) if not isinstance(value, bool)), None)
    if datatype == "BYTES":
        return next((index for index, value in enumerate(flat) if not _is_text(value)), None)
    if datatype in _FLOATS:
        return next((index for index, value in enumerate(flat) if not _fits_float(datatype, value)), None)
    least, most = _range_of(datatype)
    for index, value in enumerate(flat):
        # JSON has one kind of number: 2.0 is the whole number 2.
        if type(value) is float and value.is_integer():
            flat[index] = value = int(value)
        if type(value) is not int or not least <= value <= most:
            return index
    return None


def _is_text(value: Any) -> bool:
    if not isinstance(value, str):
        return False
    try:
        value.encode()
        return True
    except UnicodeEncodeError:
        return False


_LARGEST = {"FP16": 65_519.99, "BF16": 3.3961775e38, "FP32": 3.4028235677973366e38, "FP64": math.inf}


def _fits_float(datatype: str, value: Any) -> bool:
    if type(value) not in (int, float):
        return False
    try:
        return math.isfinite(value) and abs(float(value)) < _LARGEST[datatype]
    except OverflowError:
        return False


def _problem_of(datatype: str, value: Any) -> str:
    """Says what is wrong with a value without showing it: inputs are private."""
    if isinstance(value, list):
        kind = "an array"
    elif value is None:
        kind = "null"
    elif isinstance(value, bool):
        kind = "a boolean"
    elif isinstance(value, (int, float)):
        kind = "a number"
    else:
        kind = "a string" if isinstance(value, str) else "an object"
    if datatype == "BOOL":
        return f"must be true or false, not {kind}"
    if datatype == "BYTES":
        if isinstance(value, str):
            return "holds half of a surrogate pair, so it is not valid text"
        return f"must be a string, not {kind}"
    if kind != "a number":
        return f"must be a number for {datatype}, not {kind}"
    if datatype in _FLOATS:
        return f"is out of range for {datatype}"
    if isinstance(value, float):
        return f"must be a whole number for {datatype}"
    if datatype == "UINT64" and value < 0:
        return "must not be negative for UINT64"
    if datatype in ("INT64", "UINT64"):
        return "is beyond 2^53 - 1, where JSON numbers lose digits: send this tensor with the binary tensor data extension"
    least, most = _range_of(datatype)
    return f"is out of range for {datatype} ({least} to {most})"


def _bfloat_bits(values: np.ndarray) -> np.ndarray:
    """The nearest bfloat16, ties to even."""
    bits = values.view(np.uint32).astype(np.uint64)
    return ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype(np.uint16)


def json_values(name: str, datatype: str, values: np.ndarray) -> str:
    """The values flat in row-major order. Raises BadOutput for those that JSON cannot carry."""
    flat = values.reshape(-1)
    if datatype == "BYTES":
        return json.dumps([text.decode() for text in flat], ensure_ascii=False)
    if datatype == "BF16":
        flat = (flat.astype(np.uint32) << 16).view(np.float32)
    if datatype in _FLOATS:
        wrong = np.flatnonzero(~np.isfinite(flat))
        if wrong.size > 0:
            raise BadOutput(f"value {wrong[0]} of output {name} is {flat[wrong[0]]}, which JSON cannot carry")
    return json.dumps(flat.tolist(), separators=(",", ":"))


def shape_text(shape: "list[int] | tuple[int, ...]") -> str:
    return f"[{','.join(str(size) for size in shape)}]"
