"""What all formats have in common: how names meet places, and that a model is what its manifest says."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from .datatypes import BadInput, BadOutput, blank, check_texts, read_json, shape_text
from .infer_response import OutputTensor
from .model_folder import LoadFailure, ModelFolder, TensorSpec


class Runner(Protocol):
    """One loaded model of one format. It is loaded and called on the run thread alone."""

    platform: str
    # What computes, as ONNX Runtime names it: `cuda`, `cpu`.
    providers: list[str]
    # How often a sample runs before the framework has stopped to optimise for it.
    warm_runs: int

    def run(self, inputs: list[np.ndarray]) -> list[tuple[str, np.ndarray]]:
        """Takes arrays in the manifest's order, gives datatype and array of each output in the manifest's order."""


class ServedModel:
    """A model that has been held against its manifest and warmed."""

    def __init__(self, folder: ModelFolder, runner: Runner):
        self.folder = folder
        self.platform = runner.platform
        self.providers = runner.providers
        self._runner = runner

    def warm_up(self) -> None:
        """Raises LoadFailure when a sample fails, or an answer is not what the manifest declares."""
        for sample in self._samples():
            for _ in range(self._runner.warm_runs):
                try:
                    self.run(sample, None)
                except BadOutput as error:
                    raise LoadFailure(str(error)) from error
                except Exception as error:
                    raise LoadFailure(f"the warm-up failed: {sentence_of(error)}") from error

    def run(self, inputs: list[np.ndarray], wanted: list[str] | None) -> list[OutputTensor]:
        """Raises BadOutput when the model breaks its manifest, and whatever the framework raises."""
        results = self._runner.run(inputs)
        outputs: dict[str, OutputTensor] = {}
        for spec, (datatype, values) in zip(self.folder.outputs, results):
            _check_output(spec, datatype, values)
            outputs[spec.name] = (spec.name, datatype, values)
        return [outputs[name] for name in (outputs if wanted is None else wanted)]

    def _samples(self) -> list[list[np.ndarray]]:
        folder = self.folder
        if not folder.warmup:
            return [[blank(spec.datatype, [max(size, 1) for size in _free_as_one(spec)]) for spec in folder.inputs]]
        return [
            [_read_sample(sample, spec, f"warmup[{at}].{spec.name}") for spec in folder.inputs]
            for at, sample in enumerate(folder.warmup)
        ]


def _free_as_one(spec: TensorSpec) -> list[int]:
    return [1 if size == -1 else size for size in spec.shape]


def _read_sample(sample: dict[str, Any], spec: TensorSpec, field: str) -> np.ndarray:
    values = sample.get(spec.name)
    if not isinstance(values, list):
        raise LoadFailure(f"{field} is missing")
    shape: list[int] = []
    level: Any = values
    while len(shape) < len(spec.shape) and isinstance(level, list):
        shape.append(len(level))
        level = level[0] if level else None
    count = int(np.prod(shape, dtype=object))
    try:
        return read_json(spec.datatype, values, shape, count, field).reshape(shape)
    except BadInput as error:
        raise LoadFailure(str(error)) from error


def _check_output(spec: TensorSpec, datatype: str, values: np.ndarray) -> None:
    fits = (
        datatype == spec.datatype
        and values.ndim == len(spec.shape)
        and all(want in (-1, size) for want, size in zip(spec.shape, values.shape))
    )
    if not fits:
        actual = f"{datatype} {shape_text(values.shape)}"
        declared = f"{spec.datatype} {shape_text(spec.shape)}"
        raise BadOutput(f"the model gives output {spec.name} as {actual}, but sluice.json declares {declared}")
    if datatype == "BYTES":
        check_texts(spec.name, values)


def places_of(kind: str, specs: Sequence[TensorSpec], own_names: Sequence[str]) -> list[int]:
    """
    For each of the model's own places, which of the manifest's tensors stands there. Where the names are the same, names
    decide; otherwise the order does. A name that stands at another place than its own is a mistake, and refused.
    """
    names = [spec.name for spec in specs]
    if sorted(names) == sorted(own_names):
        return [names.index(own) for own in own_names]
    for place, own in enumerate(own_names):
        if own in names and names.index(own) != place:
            raise LoadFailure(
                f"sluice.json has {kind} {own} at place {names.index(own) + 1}, but the model has it at place {place + 1}"
            )
    return list(range(len(own_names)))


def arrange_outputs(result: Any, specs: Sequence[TensorSpec]) -> list[Any]:
    """The parts of a result in the manifest's order: a mapping and a named tuple by name, a sequence by place."""
    names = [spec.name for spec in specs]
    if isinstance(result, Mapping):
        for name in names:
            if name not in result:
                has = ", ".join(str(key) for key in result)
                raise BadOutput(f"sluice.json declares output {name}, but the model has {has}")
        return [result[name] for name in names]
    if isinstance(result, (tuple, list)):
        fields = getattr(result, "_fields", ())
        if set(names) <= set(fields):
            return [getattr(result, name) for name in names]
        if len(result) != len(names):
            raise BadOutput(f"sluice.json declares {len(names)} outputs, but the model gives {len(result)}")
        return list(result)
    if len(names) != 1:
        raise BadOutput(f"sluice.json declares {len(names)} outputs, but the model gives one")
    return [result]


def check_declared(
    kind: str, spec: TensorSpec, datatype: str | None, shape: Sequence[int | None] | None, dtype_name: str
) -> None:
    """Holds a tensor that the model itself declares against the manifest. None in `shape` is free. Raises LoadFailure."""
    if datatype != spec.datatype:
        raise LoadFailure(f"{kind} {spec.name} is {spec.datatype} in sluice.json, but {dtype_name} in the model")
    if shape is None:
        return
    if len(shape) != len(spec.shape):
        raise LoadFailure(
            f"{kind} {spec.name} has {len(spec.shape)} sizes in sluice.json, but {len(shape)} in the model"
        )
    for axis, (declared, actual) in enumerate(zip(spec.shape, shape)):
        if actual is not None and declared != actual:
            free = "free (-1)" if declared == -1 else str(declared)
            raise LoadFailure(
                f"size {axis} of {kind} {spec.name} is {free} in sluice.json, but fixed to {actual} in the model"
            )


def sentence_of(error: BaseException) -> str:
    """What the framework says went wrong, in a line, without its traces and headings."""
    lines = [line.rstrip() for line in str(error).splitlines() if line[:1].strip() != "" and not _HEADING.match(line)]
    if not lines:
        return type(error).__name__
    # TorchScript says it below its trace, TensorFlow above its graph's, everybody else at once.
    said = lines[-1] if str(error).startswith("The following operation failed") else lines[0]
    return said[:500]


_HEADING = re.compile(r"Traceback |The following operation failed|Graph execution error|Detected at node|<stack traces")
