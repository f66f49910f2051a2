"""Keras 3: a `.keras` file, on TensorFlow."""

import json
import re
import zipfile
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from .code_guard import guard_process
from .model_folder import LoadFailure, ModelFolder
from .served_model import arrange_outputs, check_declared, places_of, sentence_of
from .tensorflow_tensors import datatype_of, from_tensorflow, providers, set_threads, to_tensorflow, type_of

_ADVICE = "; allowCode in sluice.json allows it"
# Older ones could be made to read files or import modules by a configuration alone.
_OLDEST = (3, 13)
_FILES = re.compile(r"(config\.json|metadata\.json|model\.weights\.(h5|json)|model\.weights/.*|assets/.*|_self_assets/.*)$")


class KerasModel:
    platform = "keras"
    warm_runs = 1

    def __init__(self, folder: ModelFolder, threads: int):
        path = folder.sole_file(lambda file: file.lower().endswith(".keras"), ".keras file")
        version = tuple(int(part) for part in re.findall(r"\d+", keras.__version__)[:2])
        if version < _OLDEST:
            raise LoadFailure(f"Keras {keras.__version__} is too old to load models safely: install 3.13 or newer")
        set_threads(threads)
        self.providers = providers()
        if not folder.allows_code:
            _refuse_code(path)
            guard_process()
        try:
            model = keras.saving.load_model(path, compile=False, safe_mode=not folder.allows_code)
        except Exception as error:
            raise LoadFailure(f"Keras {keras.__version__} cannot load the model: {sentence_of(error)}") from error
        self._folder = folder
        self._call, self._places = _call_of(model, folder)

    def run(self, inputs: list[np.ndarray]) -> list[tuple[str, np.ndarray]]:
        specs = self._folder.inputs
        tensors = [to_tensorflow(specs[place].datatype, inputs[place]) for place in self._places]
        parts = arrange_outputs(self._call(*tensors), self._folder.outputs)
        return [from_tensorflow(spec.name, part) for spec, part in zip(self._folder.outputs, parts)]


def _refuse_code(path: str) -> None:
    """Keras's safe mode refuses Lambda layers; this says so by name, and refuses classes that are not Keras's own."""
    if not zipfile.is_zipfile(path):
        raise LoadFailure("the .keras file is no Keras 3 archive: save it with model.save('model.keras')")
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            if not _FILES.match(name) or ".." in name:
                raise LoadFailure(f"the .keras file holds {name[:200]}, which Keras does not write{_ADVICE}")
        try:
            config = json.loads(archive.read("config.json"))
        except (KeyError, ValueError, RecursionError) as error:
            raise LoadFailure("the .keras file has no config.json that can be read") from error
    # How it was trained is not read, so what that holds does not matter.
    if isinstance(config, dict):
        config.pop("compile_config", None)
    waiting: list[Any] = [config]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            _refuse_class(value)
            waiting.extend(value.values())
        elif isinstance(value, list):
            waiting.extend(value)


def _refuse_class(value: dict[str, Any]) -> None:
    name = value.get("class_name")
    if name in ("Lambda", "__lambda__"):
        raise LoadFailure(f"the model has a Lambda layer or a lambda, which is Python code{_ADVICE}")
    module = value.get("module")
    if name is None:
        return
    registered = value.get("registered_name")
    if isinstance(registered, str) and ">" in registered:
        raise LoadFailure(
            f"the model has {registered[:100]}, a class of its own, whose code the file does not carry: "
            "export it as a SavedModel, or build it from Keras's layers"
        )
    if module is None:
        return
    is_own = isinstance(module, str) and (module == "keras" or module.startswith("keras.") or module == "builtins")
    if not is_own or (module == "builtins" and name not in ("function", "__tuple__", "__tensor__", "slice", "dtype")):
        raise LoadFailure(f"the model has {str(module)[:100]}.{str(name)[:100]}, a class that Keras does not have{_ADVICE}")


def _call_of(model: Any, folder: ModelFolder) -> tuple[Any, list[int]]:
    own = getattr(model, "inputs", None)
    if not own:
        raise LoadFailure("the Keras model says nothing of its inputs: build it before it is saved")
    if len(own) != len(folder.inputs):
        raise LoadFailure(f"sluice.json declares {len(folder.inputs)} inputs, but the model takes {len(own)}")
    places = places_of("input", folder.inputs, [tensor.name for tensor in own])
    for tensor, place in zip(own, places):
        dtype = keras.backend.standardize_dtype(tensor.dtype)
        check_declared("input", folder.inputs[place], datatype_of(dtype), list(tensor.shape), dtype)
    structure = getattr(model, "_inputs_struct", None)

    def call(*tensors: Any) -> Any:
        given = tensors if structure is None else keras.tree.pack_sequence_as(structure, list(tensors))
        if structure is None and len(tensors) == 1:
            given = tensors[0]
        return model(given, training=False)

    # One graph for every shape that the manifest allows, so that no request pays for the tracing.
    signature = [
        tf.TensorSpec(
            [None if size == -1 else size for size in folder.inputs[place].shape], type_of(folder.inputs[place].datatype)
        )
        for place in places
    ]
    return tf.function(call, input_signature=signature, autograph=False), places
