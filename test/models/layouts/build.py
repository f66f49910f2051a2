"""Makes the MLflow folders beside it. Run where mlflow-skinny, onnx, onnxruntime and torch are installed."""

import shutil
from pathlib import Path

import mlflow.onnx
import mlflow.pytorch
import numpy as np
import onnx
import torch
from mlflow.models.signature import ModelSignature
from mlflow.types.schema import Schema, TensorSpec

here = Path(__file__).parent


def signature(inputs: int, outputs: int) -> ModelSignature:
    def side(name: str, width: int) -> Schema:
        return Schema([TensorSpec(np.dtype(np.float32), (-1, width), name)])

    return ModelSignature(inputs=side("x", inputs), outputs=side("y", outputs))


def saved(name: str, save, model, **settings) -> None:
    shutil.rmtree(here / name, ignore_errors=True)
    save(model, str(here / name), **settings)


class Tiny(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = torch.nn.Linear(4, 2)

    def forward(self, x):
        return self.linear(x)


dense = onnx.load(here.parent / "dense" / "model.onnx")
saved("mlflow-onnx", mlflow.onnx.save_model, dense, signature=signature(16, 3), save_as_external_data=False)
(here / "mlflow-onnx" / "model.onnx").unlink()  # the tests put test/models/dense/model.onnx there
pickle = {"signature": signature(4, 2), "serialization_format": "pickle"}
saved("mlflow-torchscript", mlflow.pytorch.save_model, torch.jit.script(Tiny()), **pickle)
saved("mlflow-pickle", mlflow.pytorch.save_model, Tiny(), **pickle)
