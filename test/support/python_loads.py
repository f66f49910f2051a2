"""
Loads each folder as apps/python-runtime would, in one process, since importing a framework takes seconds.

    python python_loads.py <runtime folder> <model folder>...

Prints one JSON object: folder to the reason of its refusal, or null for a model that was loaded and warmed.
"""

import json
import sys


def main() -> None:
    runtime, folders = sys.argv[1], sys.argv[2:]
    sys.path.insert(0, runtime)
    from main import load_model
    from sluice_runtime.model_folder import LoadFailure

    reasons = {}
    for folder in folders:
        try:
            load_model(folder, 1)
            reasons[folder] = None
        except LoadFailure as failure:
            reasons[folder] = str(failure)
    print(json.dumps(reasons))


main()
