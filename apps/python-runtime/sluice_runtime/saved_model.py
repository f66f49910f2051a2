"""TensorFlow's SavedModel: a folder with `saved_model.pb`."""

import os
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

from .code_guard import guard_process
from .model_folder import LoadFailure, ModelFolder
from .served_model import arrange_outputs, check_declared, sentence_of
from .tensorflow_tensors import datatype_of, from_tensorflow, providers, set_threads, sizes_of, to_tensorflow

_SIGNATURE = "serving_default"

# Operations that reach outside the graph. Those that savers and vocabularies are made of are not among them.
_REACHING = frozenset(
    "ReadFile WriteFile MatchingFiles PyFunc PyFuncStateless EagerPyFunc TextLineReader TextLineReaderV2 WholeFileReader "
    "WholeFileReaderV2 FixedLengthRecordReader FixedLengthRecordReaderV2 TFRecordReader TFRecordReaderV2 LMDBReader "
    "TextLineDataset TFRecordDataset TFRecordDatasetV2 FixedLengthRecordDataset FixedLengthRecordDatasetV2 SqlDataset "
    "SaveDataset SaveDatasetV2 LoadDataset SnapshotDataset SnapshotDatasetV2 DataServiceDataset DataServiceDatasetV2 "
    "DataServiceDatasetV3 DataServiceDatasetV4 RegisterDataset RegisterDatasetV2 RpcServerStart RpcClient RpcCall "
    "CreateSummaryFileWriter CreateSummaryDbWriter DebugIdentity DebugIdentityV2 DebugIdentityV3 DebugNumericSummaryV2 "
    "PrintV2 Save SaveSlices IteratorGetDevice".split()
)


class SavedModel:
    platform = "tensorflow_savedmodel"
    warm_runs = 1

    def __init__(self, folder: ModelFolder, threads: int):
        main = folder.sole_file(lambda file: os.path.basename(file) == "saved_model.pb", "saved_model.pb")
        set_threads(threads)
        self.providers = providers()
        if not folder.allows_code:
            _refuse_reaching(main)
            guard_process()
        try:
            # Kept: the signature's variables live as long as the loaded object does.
            self._loaded = tf.saved_model.load(os.path.dirname(main))
        except Exception as error:
            raise LoadFailure(f"TensorFlow {tf.__version__} cannot load the model: {sentence_of(error)}") from error
        self._folder = folder
        self._signature = _signature_of(self._loaded)
        _check(self._signature, folder)

    def run(self, inputs: list[np.ndarray]) -> list[tuple[str, np.ndarray]]:
        specs = self._folder.inputs
        feeds = {spec.name: to_tensorflow(spec.datatype, values) for spec, values in zip(specs, inputs)}
        parts = arrange_outputs(self._signature(**feeds), self._folder.outputs)
        return [from_tensorflow(spec.name, part) for spec, part in zip(self._folder.outputs, parts)]


def _refuse_reaching(main: str) -> None:
    content = saved_model_pb2.SavedModel()
    try:
        with open(main, "rb") as file:
            content.ParseFromString(file.read())
    except Exception as error:
        raise LoadFailure(f"saved_model.pb cannot be read: {sentence_of(error)}") from error
    for meta_graph in content.meta_graphs:
        graph = meta_graph.graph_def
        for nodes in [graph.node, *(function.node_def for function in graph.library.function)]:
            for node in nodes:
                if node.op in _REACHING:
                    raise LoadFailure(
                        f"the graph uses {node.op}, which reaches outside the model; allowCode in sluice.json allows it"
                    )


def _signature_of(loaded: Any) -> Any:
    signatures = loaded.signatures
    names = list(signatures)
    if _SIGNATURE in names:
        return signatures[_SIGNATURE]
    if len(names) == 1:
        return signatures[names[0]]
    has = ", ".join(names) if names else "none"
    raise LoadFailure(f"the SavedModel needs a signature named {_SIGNATURE}, and has {has}")


def _check(signature: Any, folder: ModelFolder) -> None:
    declared = signature.structured_input_signature[1]
    for name in declared:
        if all(spec.name != name for spec in folder.inputs):
            raise LoadFailure(f"the model has input {name}, which sluice.json does not declare")
    for kind, specs, own in (
        ("input", folder.inputs, declared),
        ("output", folder.outputs, signature.structured_outputs),
    ):
        for spec in specs:
            if spec.name not in own:
                raise LoadFailure(f"sluice.json declares {kind} {spec.name}, but the model has {', '.join(own)}")
            tensor = own[spec.name]
            # An output's size that the graph cannot tell may still be one that the manifest fixes; the warm-up holds it to that.
            sizes = sizes_of(tensor.shape)
            check_declared(kind, spec, datatype_of(tensor.dtype.name), sizes, tensor.dtype.name)
