import { isName, sluiceError } from '#libs/kernel';
import type { RouteArm } from '#libs/store';

/** Rounding of shares like 33.3 is forgiven up to here. */
const weightTolerance = 1e-6;

/** @throws SLU_ROUTE_INVALID unless the arms share out exactly all of the traffic */
export function checkArms(arms: readonly RouteArm[]): void {
  if (arms.length === 0) refuse('arms', 'a route needs at least one arm');
  const names = new Set<string>();
  let total = 0;
  for (const [index, arm] of arms.entries()) {
    if (!isName(arm.name)) refuse(`arms[${index}].name`, 'must be lower-case letters, digits, - and _');
    if (names.has(arm.name)) refuse(`arms[${index}].name`, `${arm.name} appears twice`);
    if (!(arm.weight >= 0 && arm.weight <= 100)) refuse(`arms[${index}].weight`, 'must lie between 0 and 100');
    names.add(arm.name);
    total += arm.weight;
  }
  if (Math.abs(total - 100) > weightTolerance) refuse('arms', `the weights sum to ${total}, not to 100`);
}

/** The version that has all the traffic, or undefined while it is split. */
export function soleVersion(arms: readonly RouteArm[]): string | undefined {
  const versions = versionsWithTraffic(arms);
  return versions.length === 1 ? versions[0] : undefined;
}

export function versionsWithTraffic(arms: readonly RouteArm[]): string[] {
  return [...new Set(arms.filter((arm) => arm.weight > 0).map((arm) => arm.version))];
}

function refuse(field: string, problem: string): never {
  throw sluiceError('SLU_ROUTE_INVALID', { field, problem });
}
