import type { PayloadTap } from '../ports/payload-tap.js';
import { heldBytes, type Tensor } from '../tensors/tensor.js';
import type { ArmLane, InferAsk } from './inference-service.js';

const mostValues = 1_000;

/** Hands a request's tensors to the tap, when it is open for the endpoint. */
export function tapTensors(
  tap: PayloadTap | undefined,
  ask: Pick<InferAsk<unknown>, 'requestId' | 'holder'>,
  { arm }: ArmLane,
  tookMs: number,
  inputs: readonly Tensor[],
  outputs: readonly Tensor[] = [],
): void {
  if (tap?.isOpen(arm.endpoint) !== true || ask.holder === undefined) return;
  tap.take({
    requestId: ask.requestId,
    atMs: Date.now() - Math.round(tookMs),
    endpoint: arm.endpoint,
    version: arm.version.version,
    tenantId: ask.holder.tenantId,
    subject: ask.holder.subject,
    bytes: heldBytes(inputs) + heldBytes(outputs),
    content: () => ({ inputs: inputs.map(shown), outputs: outputs.map(shown) }),
  });
}

/**
 * Texts and fractions as they are. Whole numbers may be the tokens or the bytes of a text, where nothing could be found to
 * redact: of them only the shape is kept.
 */
function shown({ name, datatype, shape, data }: Tensor): object {
  const head = { name, datatype, shape };
  switch (datatype) {
    case 'BYTES':
    case 'BOOL':
    case 'FP32':
    case 'FP64':
      return { ...head, data: Array.from<unknown>(data.slice(0, mostValues)) };
    default:
      return { ...head, data: `[${data.length} values of ${datatype} are not logged]` };
  }
}
