import { expect, it } from 'vitest';
import { startTelemetry } from './telemetry.js';

it("says in Prometheus' text what the SDK's own histogram says of the same values", async () => {
  await using telemetry = await startTelemetry({ service: 'test', version: '0', sampling: 0 });
  const boundaries = [0.5, 1, 2.5];
  const naming = { unit: 's', description: 'How long it took' };
  const theirs = telemetry.meter.createHistogram('some.theirs', {
    ...naming,
    advice: { explicitBucketBoundaries: boundaries },
  });
  const ours = telemetry.histograms.create({ name: 'some.ours', ...naming, boundaries });
  for (const [labels, values] of [
    [{ 'some.arm': 'stable' }, [0.1, 0.5, 0.51, 2.5, 7]],
    [{ 'some.arm': 'candidate "2"' }, [1]],
  ] as const) {
    for (const value of values) theirs.record(value, labels);
    for (const value of values) ours.of(labels).record(value);
  }
  ours.of({ 'some.arm': 'without a value' });
  const text = await telemetry.prometheusText();
  const linesOf = (name: string): string[] =>
    text
      .split('\n')
      .filter((line) => line.includes(name))
      .map((line) => line.replace(name, 'some'));
  expect(linesOf('some_ours')).toEqual(linesOf('some_theirs'));
  expect(linesOf('some_ours')).toContain('# TYPE some histogram');
});

it('counts what has one set of labels too many in a series of its own', async () => {
  await using telemetry = await startTelemetry({ service: 'test', version: '0', sampling: 0 });
  const histogram = telemetry.histograms.create({ name: 'many', unit: '1', description: 'Many', boundaries: [1] });
  for (let at = 0; at < 2_010; at += 1) histogram.of({ at }).record(1);
  expect(await telemetry.prometheusText()).toMatch(/^many_count\{otel_metric_overflow="true",.*\} 10$/m);
});
