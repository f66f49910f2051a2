"""
Loads each folder as apps/python-runtime would, in one process, since importing a framework takes seconds.

    python python_loads.py <runtime folder> <model folder>...

Prints one JSON object: folder to the reason of its refusal, or null for a model that was loaded and warmed.
"""

import importlib
import importlib.util
import json
import sys
from functools import reduce


def reach(path):
    first, *rest = path.split(".")
    return reduce(getattr, rest, importlib.import_module(first))


def main() -> None:
    runtime, folders = sys.argv[1], sys.argv[2:]
    sys.path.insert(0, runtime)
    from main import load_model
    from sluice_runtime.model_folder import LoadFailure

    # A process of the runtime loads one model, and the frameworks take their threads only once.
    for framework, module, settings in (
        ("torch", "torch", ("set_num_interop_threads",)),
        ("tensorflow", "tensorflow.config.threading", ("set_inter_op_parallelism_threads", "set_intra_op_parallelism_threads")),
    ):
        if importlib.util.find_spec(framework) is not None:
            for setting in settings:
                setattr(reach(module), setting, lambda _: None)
    reasons = {}
    for folder in folders:
        try:
            load_model(folder, 1)
            reasons[folder] = None
        except LoadFailure as failure:
            reasons[folder] = str(failure)
    print(json.dumps(reasons))


main()
