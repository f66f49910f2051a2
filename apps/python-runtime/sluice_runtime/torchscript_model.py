"""TorchScript: a `.pt` that `torch.jit.save` wrote."""

import re
import zipfile
from typing import Any

import numpy as np
import torch

from .code_guard import guard_process
from .model_folder import LoadFailure, ModelFolder
from .served_model import arrange_outputs, places_of, sentence_of
from .torch_tensors import check_datatypes, from_torch, set_threads, to_torch

# Operations of the language that reach for files and for other machines. All others compute. The language has no way to
# make a name out of a text, so one that does not stand in the code is not called.
_REACHING = re.compile(rb"\bfrom_file\b|\brpc_\w+|\.\s*save\b")


class TorchScriptModel:
    platform = "pytorch_libtorch"
    providers = ["cpu"]
    # The executor watches two runs and optimises before the third.
    warm_runs = 3

    def __init__(self, folder: ModelFolder, threads: int):
        path = folder.sole_file(lambda file: file.lower().endswith(".pt"), ".pt file")
        _check_archive(path, folder.allows_code)
        check_datatypes("input", folder.inputs)
        check_datatypes("output", folder.outputs)
        set_threads(threads)
        if not folder.allows_code:
            guard_process()
        try:
            module = torch.jit.load(path, map_location="cpu")
        except Exception as error:
            raise LoadFailure(f"PyTorch {torch.__version__} cannot load the model: {sentence_of(error)}") from error
        self._module = module.eval()
        self._folder = folder
        self._places = _places(module, folder)

    def run(self, inputs: list[np.ndarray]) -> list[tuple[str, np.ndarray]]:
        specs = self._folder.inputs
        with torch.inference_mode():
            tensors = [to_torch(specs[place].datatype, inputs[place]) for place in self._places]
            result = self._module(*tensors)
            parts = arrange_outputs(result, self._folder.outputs)
            return [from_torch(spec.name, part) for spec, part in zip(self._folder.outputs, parts)]


def _check_archive(path: str, allows_code: bool) -> None:
    """`torch.save` and `torch.jit.save` write the same suffix. Only the second is read here, and this says so by name."""
    if not zipfile.is_zipfile(path):
        with open(path, "rb") as file:
            start = file.read(2)
        what = "a Python pickle" if start[:1] == b"\x80" else "no TorchScript archive"
        raise LoadFailure(f"the .pt file is {what}: save the model with torch.jit.save; pickles are not read")
    with zipfile.ZipFile(path) as archive:
        names = [name.partition("/")[2] for name in archive.namelist()]
        code = [name for name in archive.namelist() if name.partition("/")[2].startswith("code/") and name.endswith(".py")]
        if not allows_code:
            for name in code:
                _refuse_reaching(archive.read(name))
    if any(name.startswith(".data/extern_modules") for name in names):
        raise LoadFailure("the .pt file is a torch.package with Python code: save the model with torch.jit.save")
    if "constants.pkl" in names and code:
        return
    if "data.pkl" in names:
        raise LoadFailure(
            "the .pt file is a Python pickle (torch.save of a module or a state dict), not TorchScript: "
            "save the model with torch.jit.save; pickles are not read"
        )
    raise LoadFailure("the .pt file is no TorchScript archive: save the model with torch.jit.save")


def _refuse_reaching(code: bytes) -> None:
    found = _REACHING.search(code)
    if found is not None:
        name = found.group().decode().lstrip(". ")
        raise LoadFailure(f"the code uses {name}, which reaches outside the model; allowCode in sluice.json allows it")


def _places(module: Any, folder: ModelFolder) -> list[int]:
    if not hasattr(module, "forward"):
        raise LoadFailure("the module has no forward()")
    arguments = module.forward.schema.arguments[1:]
    given = len(folder.inputs)
    required = sum(1 for argument in arguments if not argument.has_default_value())
    if not required <= given <= len(arguments):
        takes = str(required) if required == len(arguments) else f"{required} to {len(arguments)}"
        raise LoadFailure(f"sluice.json declares {given} inputs, but forward() takes {takes}")
    for argument in arguments[:given]:
        if str(argument.type) not in ("Tensor", "Optional[Tensor]"):
            raise LoadFailure(f"forward() takes {argument.name} as {argument.type}, and only tensors are served")
    return places_of("input", folder.inputs, [argument.name for argument in arguments[:given]])
