export const benchParts = [
  'all',
  'infer',
  'memory',
  'gateway',
  'limits',
  'soak',
  'peers',
  'audit',
  'costs',
  'safety',
] as const;
export type BenchPart = (typeof benchParts)[number];

export interface BenchOptions {
  part: BenchPart;
  rounds: number;
  secondsPerRound: number;
  isShort: boolean;
  /** Requests of the memory part. */
  requests: number;
  /** Length of the soak part. */
  minutes: number;
  /** Peers to measure; undefined measures all. */
  only: ReadonlySet<string> | undefined;
}

/** @throws Error naming the argument that is not understood */
export function readBenchOptions(args: readonly string[]): BenchOptions {
  const part = args.find((argument) => !argument.startsWith('--')) ?? 'all';
  if (!(benchParts as readonly string[]).includes(part))
    throw new Error(`there is no part ${part} of the bench: choose one of ${benchParts.join(', ')}`);
  const isShort = args.includes('--short');
  const valueOf = (name: string): string | undefined =>
    args.find((argument) => argument.startsWith(`--${name}=`))?.slice(name.length + 3);
  return {
    part: part as BenchPart,
    isShort,
    rounds: Number(valueOf('rounds') ?? (isShort ? 2 : 5)),
    secondsPerRound: Number(valueOf('seconds') ?? (isShort ? 2 : 5)),
    requests: Number(valueOf('requests') ?? (isShort ? 50_000 : 1_000_000)),
    minutes: Number(valueOf('minutes') ?? (isShort ? 1 : 10)),
    only: valueOf('only') === undefined ? undefined : new Set(valueOf('only')!.split(',')),
  };
}
