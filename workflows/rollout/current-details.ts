import type { GuardrailVerdict } from '#libs/decisions';
import type { RolloutSpec } from './contract.js';
import { legalCommands } from './phases.js';
import type { RolloutState } from './state.js';

/** Where the rollout stands, in Markdown, for the Temporal UI. */
export function currentDetails(spec: RolloutSpec, state: RolloutState): string {
  const commands = legalCommands(state.phase);
  return [
    `**${state.phase}**: ${state.reason}`,
    '',
    `Endpoint \`${spec.endpoint}\`, step ${state.stepIndex + 1} of ${spec.steps.length}, route fence ${state.fence}.`,
    '',
    '| arm | version | weight |',
    '| --- | --- | --- |',
    `| stable | ${spec.model}/${spec.stableVersion} | ${100 - state.weight} % |`,
    `| candidate | ${spec.model}/${spec.candidateVersion} | ${state.weight} % |`,
    ...guardrailTable(state.verdict?.guardrails ?? []),
    '',
    commands.length === 0 ? 'No command is possible now.' : `Possible now: ${commands.join(', ')}.`,
  ].join('\n');
}

function guardrailTable(guardrails: readonly GuardrailVerdict[]): string[] {
  if (guardrails.length === 0) return [];
  return [
    '',
    '| guardrail | says | numbers | evidence | limit |',
    '| --- | --- | --- | --- | --- |',
    ...guardrails.map(
      ({ name, outcome, reason, eValue, threshold }) =>
        `| ${name} | ${outcome} | ${reason} | ${eValue === undefined ? '-' : eValue.toPrecision(3)} | ${threshold.toFixed(0)} |`,
    ),
  ];
}
