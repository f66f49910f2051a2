import { configFileName, type ConfigMessage } from './artifact-triton-config.js';

const microsecondsPerMs = 1_000;

/** Batching, queue, instances and cache of a Triton configuration in our manifest's words. What has none is a warning. */
export function schedulingOf(
  config: ConfigMessage,
  format: string,
  maxBatchRows: number,
  warnings: string[],
): Record<string, unknown> {
  if (maxBatchRows < 0) throw config.problem('max_batch_size', 'must not be negative');
  const warn = (message: string): void => void warnings.push(`${configFileName}: ${message}`);
  if (maxBatchRows === 0) warn('max_batch_size is 0: requests never share a run, and the first size is taken as rows');
  const instances = instancesOf(config, format, warn);
  const isCached = config.inner('response_cache')?.isTrue('enable') === true;
  const dynamic = config.inner('dynamic_batching');
  return {
    batching: {
      maxBatchRows: Math.max(1, maxBatchRows),
      ...(dynamic !== undefined && batchingOf(dynamic)),
    },
    ...(dynamic !== undefined && queueOf(dynamic, warn)),
    ...instances,
    ...(isCached && { responseCache: {} }),
  };
}

type Warn = (message: string) => void;

function batchingOf(dynamic: ConfigMessage): Record<string, unknown> {
  const preferredRows = dynamic.wholes('preferred_batch_size');
  const delay = dynamic.whole('max_queue_delay_microseconds');
  return {
    ...(preferredRows.length > 0 && { preferredRows }),
    ...(delay !== undefined && { maxDelayMs: delay / microsecondsPerMs }),
  };
}

function queueOf(dynamic: ConfigMessage, warn: Warn): Record<string, unknown> {
  const policy = dynamic.inner('default_queue_policy');
  const levels = dynamic.whole('priority_levels') ?? 0;
  const level = dynamic.whole('default_priority_level') ?? 0;
  if (dynamic.isTrue('preserve_ordering') === true)
    warn('preserve_ordering is not used: each answer goes out when it is ready');
  const limits = policy === undefined ? {} : limitsOf(policy, warn);
  const unread = [...dynamic.unread(), ...(policy?.unread() ?? [])];
  if (unread.length > 0) warn(`not used: ${unread.join(', ')}`);
  const queue = {
    ...limits,
    ...(levels > 0 && { priorityLevels: levels }),
    ...(level > 0 && { defaultPriority: level }),
  };
  return Object.keys(queue).length > 0 ? { queue } : {};
}

function limitsOf(policy: ConfigMessage, warn: Warn): Record<string, unknown> {
  const size = policy.whole('max_queue_size') ?? 0;
  const timeout = policy.whole('default_timeout_microseconds') ?? 0;
  if (policy.word('timeout_action') === 'DELAY')
    warn('timeout_action DELAY is not used: a request past its time is refused');
  if (timeout > 0 && policy.isTrue('allow_timeout_override') !== true)
    warn('a request may always state its own timeout, as if allow_timeout_override stood there');
  return {
    ...(size > 0 && { maxRequests: size }),
    ...(timeout > 0 && { defaultTimeoutMs: Math.ceil(timeout / microsecondsPerMs) }),
  };
}

function instancesOf(config: ConfigMessage, format: string, warn: Warn): Record<string, unknown> {
  const groups = config.inners('instance_group');
  if (groups.length === 0) return {};
  let count = 0;
  let isOnGpu = false;
  for (const group of groups) {
    count += group.whole('count') ?? 1;
    if (group.word('kind') === 'KIND_GPU') isOnGpu = true;
    group.text('name');
    const unread = group.unread();
    if (unread.length > 0) warn(`not used: ${unread.join(', ')}`);
  }
  if (isOnGpu && format !== 'onnx') warn('KIND_GPU is not used: the machine decides where this format runs');
  return {
    instances: { count },
    ...(isOnGpu && format === 'onnx' && { onnx: { executionProviders: ['cuda', 'cpu'] } }),
  };
}
