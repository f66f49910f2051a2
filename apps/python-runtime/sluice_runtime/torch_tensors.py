"""PyTorch's tensors and the protocol's."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from .datatypes import BadOutput
from .model_folder import LoadFailure, TensorSpec

_NAMES = {
    "BOOL": "bool",
    "UINT8": "uint8",
    "UINT16": "uint16",
    "UINT32": "uint32",
    "UINT64": "uint64",
    "INT8": "int8",
    "INT16": "int16",
    "INT32": "int32",
    "INT64": "int64",
    "FP16": "float16",
    "BF16": "bfloat16",
    "FP32": "float32",
    "FP64": "float64",
}

# Wide unsigned integers came with PyTorch 2.3.
_TYPES = {name: getattr(torch, own) for name, own in _NAMES.items() if hasattr(torch, own)}
_DATATYPES = {own: name for name, own in _TYPES.items()}


def set_threads(threads: int) -> None:
    torch.set_num_threads(threads)
    torch.set_num_interop_threads(1)


def check_datatypes(kind: str, specs: Sequence[TensorSpec]) -> None:
    for spec in specs:
        if spec.datatype not in _TYPES:
            raise LoadFailure(f"{kind} {spec.name} is {spec.datatype}, which PyTorch {torch.__version__} has not")


def datatype_of(dtype: torch.dtype) -> str | None:
    return _DATATYPES.get(dtype)


def to_torch(datatype: str, values: np.ndarray) -> torch.Tensor:
    """Numbers keep their memory: nothing is copied."""
    if not values.flags.writeable:
        values = values.copy()
    if datatype == "BF16":
        return torch.from_numpy(values.view(np.int16)).view(torch.bfloat16)
    return torch.from_numpy(values)


def from_torch(name: str, tensor: Any) -> tuple[str, np.ndarray]:
    if not isinstance(tensor, torch.Tensor):
        raise BadOutput(f"the model gives output {name} as {type(tensor).__name__}, not as a tensor")
    datatype = _DATATYPES.get(tensor.dtype)
    if datatype is None or tensor.layout != torch.strided:
        raise BadOutput(f"the model gives output {name} as {tensor.dtype} {tensor.layout}, which the protocol has not")
    dense = tensor.detach().cpu().contiguous()
    if datatype == "BF16":
        return datatype, dense.view(torch.int16).numpy().view(np.uint16)
    return datatype, dense.numpy()
