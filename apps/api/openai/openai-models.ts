import type { LiveEndpoint, ServingSnapshot } from '#libs/inference';
import { sluiceError } from '#libs/kernel';
import { modelOf } from './openai-request.js';

export interface OpenAiModel {
  id: string;
  object: 'model';
  /** The protocol wants a time; the data plane knows none, and callers only show it. */
  created: 0;
  owned_by: 'sluice';
}

/** Endpoints whose models answer this protocol, by name. */
export function listModels({ endpoints }: ServingSnapshot): { object: 'list'; data: OpenAiModel[] } {
  const names = [...endpoints.values()].filter(speaksLanguage).map(({ name }) => name);
  return { object: 'list', data: names.sort().map(modelObject) };
}

/** @throws SLU_ENDPOINT_UNKNOWN, SLU_MODEL_VERSION_UNKNOWN */
export function describeModel({ endpoints }: Pick<ServingSnapshot, 'endpoints'>, name: string): OpenAiModel {
  const { endpoint, version } = modelOf(name);
  const live = endpoints.get(endpoint);
  if (live === undefined || !speaksLanguage(live)) throw sluiceError('SLU_ENDPOINT_UNKNOWN', { endpoint });
  if (version !== undefined && !live.pinned.has(version))
    throw sluiceError('SLU_MODEL_VERSION_UNKNOWN', { model: endpoint, version });
  return modelObject(name);
}

const speaksLanguage = ({ arms }: LiveEndpoint): boolean => arms.some(({ version }) => version.task !== 'tensors');

const modelObject = (id: string): OpenAiModel => ({ id, object: 'model', created: 0, owned_by: 'sluice' });
