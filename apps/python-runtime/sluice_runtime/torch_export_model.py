"""torch.export: a `.pt2` that `torch.export.save` wrote."""

from contextlib import contextmanager, nullcontext
from typing import Any, Iterator

import numpy as np
import torch

from .code_guard import guard_process
from .datatypes import BadInput
from .model_folder import LoadFailure, ModelFolder
from .pt2_archive import check_archive
from .served_model import arrange_outputs, check_declared, places_of, sentence_of
from .torch_tensors import check_datatypes, datatype_of, from_torch, set_threads, to_torch

_UNBOUNDED = 2**31


class TorchExportModel:
    platform = "pytorch_export"
    providers = ["cpu"]
    warm_runs = 1

    def __init__(self, folder: ModelFolder, threads: int):
        path = folder.sole_file(lambda file: file.lower().endswith(".pt2"), ".pt2 file")
        check_datatypes("input", folder.inputs)
        check_datatypes("output", folder.outputs)
        if not hasattr(torch, "export") or not hasattr(torch.export, "load"):
            raise LoadFailure(f"PyTorch {torch.__version__} has no torch.export: name one of 2.9 or newer")
        if not folder.allows_code:
            check_archive(path)
        set_threads(threads)
        if not folder.allows_code:
            guard_process()
        program = _load(path, folder.allows_code)
        self._folder = folder
        self._places, self._keywords, self._ranges = _call_of(program, folder)
        # The guards are Python text in the file, which would be compiled. The manifest and the ranges stand in for them.
        program._guards_code = []
        self._module = _module_of(program)

    def run(self, inputs: list[np.ndarray]) -> list[tuple[str, np.ndarray]]:
        specs = self._folder.inputs
        for place, axis, least, most in self._ranges:
            size = inputs[place].shape[axis]
            if not least <= size <= most:
                bounds = f"at most {most}" if size > most else f"at least {least}"
                raise BadInput(f"inputs[{place}].shape[{axis}]", f"is {size}, the model was exported for {bounds}")
        with torch.inference_mode():
            tensors = [to_torch(specs[place].datatype, inputs[place]) for place in self._places]
            positional = len(tensors) - len(self._keywords)
            result = self._module(*tensors[:positional], **dict(zip(self._keywords, tensors[positional:])))
            parts = arrange_outputs(result, self._folder.outputs)
            return [from_torch(spec.name, part) for spec, part in zip(self._folder.outputs, parts)]


def _load(path: str, allows_code: bool) -> Any:
    try:
        with nullcontext() if allows_code else _weights_only():
            return torch.export.load(path)
    except Exception as error:
        raise LoadFailure(f"PyTorch {torch.__version__} cannot load the model: {sentence_of(error)}") from error


@contextmanager
def _weights_only() -> Iterator[None]:
    """torch.export.load asks torch.load for whole pickles in places, and falls back to them in others."""
    whole = torch.load

    def load(*args: Any, **kwargs: Any) -> Any:
        return whole(*args, **{**kwargs, "weights_only": True})

    torch.load = load
    try:
        yield
    finally:
        torch.load = whole


def _module_of(program: Any) -> Any:
    try:
        return program.module(check_guards=False)
    except TypeError:
        # Before 2.9 a module carried no guards.
        return program.module()


def _call_of(program: Any, folder: ModelFolder) -> tuple[list[int], list[str], list[tuple[int, int, int, int]]]:
    """How to call it: the manifest's input at each place, which of the last places go by keyword, and bounds of sizes."""
    values = {node.name: node.meta.get("val") for node in program.graph.nodes if node.op == "placeholder"}
    own = list(program.graph_signature.user_inputs)
    args_spec, kwargs_spec = program.module_call_graph[0].signature.in_spec.children()
    nested = args_spec.num_leaves != args_spec.num_children or kwargs_spec.num_leaves != kwargs_spec.num_children
    if nested or not all(isinstance(values.get(name), torch.Tensor) for name in own):
        raise LoadFailure("the exported program takes lists, dicts or numbers, and only tensors are served")
    if len(own) != len(folder.inputs):
        raise LoadFailure(f"sluice.json declares {len(folder.inputs)} inputs, but the exported program takes {len(own)}")
    places = places_of("input", folder.inputs, own)
    ranges = []
    for name, place in zip(own, places):
        value = values[name]
        sizes = [size if isinstance(size, int) else None for size in value.shape]
        check_declared("input", folder.inputs[place], datatype_of(value.dtype), sizes, str(value.dtype))
        for axis, size in enumerate(value.shape):
            bounds = None if isinstance(size, int) else _bounds_of(program, size)
            if bounds is not None:
                ranges.append((place, axis, *bounds))
    return places, list(kwargs_spec.context or []), ranges


def _bounds_of(program: Any, size: Any) -> tuple[int, int] | None:
    found = program.range_constraints.get(size.node.expr)
    if found is None:
        return None
    # Export takes sizes of 0 and 1 apart from all others and says 2 then; the program itself does not mind them.
    least = int(found.lower) if found.lower > 2 else 0
    most = int(found.upper) if found.upper < _UNBOUNDED else _UNBOUNDED
    return None if (least, most) == (0, _UNBOUNDED) else (least, most)
