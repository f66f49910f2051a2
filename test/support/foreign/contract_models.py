"""The contract suite's models on ONNX Runtime, as servers of another make run them."""

import json
from pathlib import Path

import numpy as np
import onnxruntime as ort

ROOT = Path(__file__).resolve().parents[3]
FOLDERS = {
    "dense": "test/models/dense",
    "identity": "test/models/identity",
    "tone": "deploy/models/tone/1",
    "broken": "test/models/tone-broken",
    "slow": "test/models/tone-slow",
}
NUMPY = {"FP32": np.float32, "INT64": np.int64, "BOOL": np.bool_, "BYTES": np.object_}


class WrongInput(Exception):
    """The request does not fit the model, or the model refuses it."""


class ContractModel:
    def __init__(self, name: str) -> None:
        folder = ROOT / FOLDERS[name]
        self.name = name
        self.manifest = json.loads((folder / "sluice.json").read_text())
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1
        options.log_severity_level = 4
        self.session = ort.InferenceSession(folder / "model.onnx", options)

    @property
    def inputs(self) -> list[dict]:
        return self.manifest["inputs"]

    @property
    def outputs(self) -> list[dict]:
        return self.manifest["outputs"]

    def run(self, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        for index, text in enumerate(inputs["text"].ravel() if "text" in inputs else []):
            if "\0" in text:
                raise WrongInput(f"text {index} holds a NUL")
        names = [output["name"] for output in self.outputs]
        try:
            return dict(zip(names, self.session.run(names, inputs)))
        except Exception as error:
            raise WrongInput(str(error)) from error
