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

/** Parameters that ask for nothing of their own here: endpoints have no dependents. */
const harmless: ReadonlySet<string> = new Set(['unload_dependents']);

/**
 * Refuses what a load would do otherwise than asked: a version's files and manifest never change.
 * @throws SLU_INFERENCE_INPUT
 */
export function refuseOverrides(parameters: unknown): void {
  for (const name of Object.keys(membersOf(parameters, 'parameters'))) {
    if (harmless.has(name)) continue;
    const problem =
      name === 'config' || name.startsWith('file:')
        ? 'is not supported: a version is what it was registered as; register another version, then give it traffic'
        : 'is not known here: leave it out';
    throw refusal(`parameters.${name.slice(0, 64)}`, problem);
  }
}

/** @throws SLU_INFERENCE_INPUT when the body is not empty and no object */
export function membersOf(body: unknown, field = 'body'): Record<string, unknown> {
  if (body === undefined || body === null) return {};
  if (typeof body !== 'object' || Array.isArray(body)) throw refusal(field, 'must be a JSON object, or left out');
  return body as Record<string, unknown>;
}

const refusal = (field: string, problem: string): Error => sluiceError('SLU_INFERENCE_INPUT', { field, problem });
