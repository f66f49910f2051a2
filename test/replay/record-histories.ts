// `npm run histories`: plays each kind of rollout on the time-skipping server and writes its history anew. Only for a change
// that may break replay on purpose: a running rollout replays its own history with the new code.
import { writeFile } from 'node:fs/promises';
import { historyToJson } from './history-json.ts';
import { counted, RolloutStage, type Actor, type Script } from './rollout-stage.ts';
import type { RolloutSpec } from '#workflows/rollout/contract';

interface Play {
  script: Script;
  changes: Partial<RolloutSpec>;
  scene: (person: Actor) => Promise<void>;
}

const folder = new URL('../../workflows/rollout/histories/', import.meta.url);
const nobody = async (): Promise<void> => undefined;
const approvalStep = { steps: [{ weight: 10, minRequests: 50, approval: true }] };

// Never enough requests, until the scene says so.
let candidateRequests = 3;
const slowTraffic: Script = { evidence: (ask) => counted(ask, candidateRequests) };

const plays: Readonly<Record<string, Play>> = {
  promoted: { script: {}, changes: {}, scene: nobody },
  'rolled-back': { script: { evidence: (ask) => counted(ask, 40, 0.2) }, changes: {}, scene: nobody },
  'did-not-load': {
    script: {
      capacity: (ask) => (ask.version === '2' ? { isReady: false, ready: 0, problem: 'no such operator' } : {}),
    },
    changes: {},
    scene: nobody,
  },
  aborted: {
    script: slowTraffic,
    changes: {},
    scene: async (person) => {
      await person.until(() => person.deeds.looks > 0);
      await person.command('abort', { actor: 'key:person', reason: 'not today' });
    },
  },
  'paused-and-resumed': {
    script: slowTraffic,
    changes: {},
    scene: async (person) => {
      await person.until(() => person.deeds.looks > 0);
      await person.command('pause');
      await person.pass(3_600);
      candidateRequests = 400;
      await person.command('resume');
    },
  },
  approval: {
    script: {},
    changes: approvalStep,
    scene: async (person) => {
      await person.untilPhase('awaiting-approval');
      await person.pass(7_200);
      await person.command('approve');
    },
  },
  'held-then-promoted': {
    script: slowTraffic,
    changes: { stepLimitSeconds: 60 },
    scene: async (person) => {
      await person.pass(120);
      await person.untilPhase('holding');
      await person.command('promote');
    },
  },
  'worse-while-waiting': {
    script: { evidence: (ask) => counted(ask, 400, ask.until === 'worse' ? 0.3 : 0) },
    changes: approvalStep,
    scene: nobody,
  },
};

await using stage = await RolloutStage.open();
for (const [name, { script, changes, scene }] of Object.entries(plays)) {
  candidateRequests = 3;
  const { handle, result } = await stage.play(script, changes, scene);
  const { events } = historyToJson(await handle.fetchHistory());
  const lines = events.map((event) => JSON.stringify(event)).join(',\n');
  await writeFile(new URL(`${name}.json`, folder), `{"events":[\n${lines}\n]}\n`);
  process.stdout.write(`${name}: ${result.outcome}\n`);
}
