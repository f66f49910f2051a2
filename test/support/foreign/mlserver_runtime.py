"""An MLServer runtime over the contract suite's models."""

import asyncio

import numpy as np
from contract_models import NUMPY, ContractModel, WrongInput
from mlserver import MLModel
from mlserver.errors import InferenceError
from mlserver.types import InferenceRequest, InferenceResponse, ResponseOutput


class OnnxRuntime(MLModel):
    async def load(self) -> bool:
        self.model = ContractModel(self.settings.name)
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        inputs = {}
        for tensor in payload.inputs:
            data = tensor.data.root if hasattr(tensor.data, "root") else tensor.data
            inputs[tensor.name] = np.array(data, NUMPY[tensor.datatype]).reshape(tensor.shape)
        try:
            outputs = await asyncio.to_thread(self.model.run, inputs)
        except WrongInput as error:
            raise InferenceError(str(error)) from error
        answers = []
        for spec in self.model.outputs:
            values = outputs[spec["name"]]
            answers.append(ResponseOutput(
                name=spec["name"], datatype=spec["datatype"], shape=list(values.shape), data=values.ravel().tolist(),
            ))
        return InferenceResponse(model_name=self.name, model_version=self.version, outputs=answers)
