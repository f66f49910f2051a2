import { assertNever } from '#libs/kernel';
import { OipReplica } from '../adapters/oip/oip-replica.js';
import { OpenAiReplica } from '../adapters/openai/openai-replica.js';
import type { OpenReplica } from '../service/inference-service-lanes.js';
import type { RemoteConnections } from '../remote/remote-connections.js';

/** Opens the connection to a replica by what its version is: the format says which protocol it speaks. */
export const replicaOpener =
  (remotes: RemoteConnections): OpenReplica =>
  (place, version) => {
    switch (version.format) {
      case 'onnx':
      case 'torchscript':
      case 'torch-export':
      case 'tensorflow-savedmodel':
      case 'keras':
        return new OipReplica(place);
      case 'remote':
        return remotes.open(place, version);
      case 'gguf': {
        const { id, address, model } = place;
        return new OpenAiReplica({ id, address, model, tensors: new OipReplica(place) });
      }
      default:
        return assertNever(version.format);
    }
  };
