import type { ServingSnapshot } from '#libs/inference';
import { sluiceError } from '#libs/kernel';
import { repositoryIndex, type IndexEntry } from './oip-metadata.js';

/** @throws SLU_INFERENCE_INPUT */
export function readyOnly(body: unknown): boolean {
  const ready = membersOf(body)['ready'];
  if (ready !== undefined && typeof ready !== 'boolean') throw refusal('ready', 'must be true or false');
  return ready === true;
}

export const indexOf = (
  snapshot: ServingSnapshot,
  isUp: (versionKey: string) => boolean,
  isReadyOnly: boolean,
): IndexEntry[] => repositoryIndex(snapshot, isUp).filter(({ state }) => !isReadyOnly || state === 'READY');

/**
 * Refuses what a load would do otherwise than asked: a version's files and manifest never change. `unload_dependents`
 * asks for nothing here, as endpoints have no dependents.
 * @throws SLU_INFERENCE_INPUT
 */
export function refuseOverrides(parameters: unknown): void {
  for (const [name, value] of Object.entries(membersOf(parameters, 'parameters'))) {
    const field = `parameters.${name.slice(0, 64)}`;
    if (name === 'config' || name.startsWith('file:'))
      throw refusal(
        field,
        'is not supported: a version is what it was registered as; register another version, then give it traffic',
      );
    if (name !== 'unload_dependents') throw refusal(field, 'is not known here: leave it out');
    // Over gRPC it is a message that holds one.
    if (typeof value !== 'boolean' && (value as { bool_param?: unknown } | null)?.bool_param === undefined)
      throw refusal(field, 'must be true or false');
  }
}

/** @throws SLU_INFERENCE_INPUT when the body is not empty and no object */
export function membersOf(body: unknown, field = 'body'): Record<string, unknown> {
  if (body === undefined) return {};
  if (typeof body !== 'object' || body === null || Array.isArray(body))
    throw refusal(field, 'must be a JSON object, or left out');
  return body as Record<string, unknown>;
}

const refusal = (field: string, problem: string): Error => sluiceError('SLU_INFERENCE_INPUT', { field, problem });
