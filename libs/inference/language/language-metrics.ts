import type { SluiceError } from '#libs/kernel';
import type { Histogram, Histograms, HistogramSeries } from '#libs/platform';
import type { Meter } from '@opentelemetry/api';
import type { LanguageUse } from '../records/request-record.js';
import type { LiveArm } from '../routes/route-table.js';
import type { LanguageOperation } from './language-service.js';

/** Buckets of the conventions: https://opentelemetry.io/docs/specs/semconv/gen-ai/gen-ai-metrics/ */
const secondsBuckets = [0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92];
const firstTokenBuckets = [0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10];
const tokenBuckets = [1, 4, 16, 64, 256, 1_024, 4_096, 16_384, 65_536, 262_144, 1_048_576];
const perTokenBuckets = [0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1, 2.5];

/** What a request of one arm and operation counts in, looked up once. */
interface ArmSeries {
  operation: LanguageOperation;
  duration: HistogramSeries;
  input: HistogramSeries;
  output: HistogramSeries;
  firstToken: HistogramSeries;
  perToken: HistogramSeries;
}

/** What language models cost and how they feel, by OpenTelemetry's names for generative AI. */
export class LanguageMetrics {
  private readonly tokens: Histogram;
  private readonly duration: Histogram;
  private readonly firstToken: Histogram;
  private readonly perToken: Histogram;
  private readonly series = new WeakMap<LiveArm, ArmSeries[]>();

  constructor(
    private readonly meter: Meter,
    histograms: Pick<Histograms, 'create'>,
  ) {
    const histogram = (name: string, unit: string, boundaries: number[], description: string): Histogram =>
      histograms.create({ name, unit, description, boundaries });
    this.tokens = histogram('gen_ai.client.token.usage', '{token}', tokenBuckets, 'Tokens per request, by type');
    this.duration = histogram('gen_ai.server.request.duration', 's', secondsBuckets, 'Time of whole answers');
    this.firstToken = histogram(
      'gen_ai.server.time_to_first_token',
      's',
      firstTokenBuckets,
      'Time to the first token of streamed answers',
    );
    this.perToken = histogram(
      'gen_ai.server.time_per_output_token',
      's',
      perTokenBuckets,
      'Time per token after the first one, of streamed answers',
    );
  }

  /** Shows how many requests have no end yet; read when somebody scrapes. */
  watch(service: { readonly inFlight: number }): void {
    this.meter
      .createObservableGauge('sluice_inference_language_requests_in_flight', {
        description: 'Requests to language models without an end yet, open streams included',
      })
      .addCallback((result) => result.observe(service.inFlight));
  }

  record(
    operation: LanguageOperation,
    arm: LiveArm,
    { promptTokens, completionTokens, firstTokenMs, isStreamed }: LanguageUse,
    totalMs: number,
    error: SluiceError | undefined,
  ): void {
    const series = this.seriesOf(operation, arm);
    const { duration, input, output, firstToken, perToken } = series;
    const ended =
      error === undefined ? duration : this.duration.of({ ...duration.attributes, 'error.type': error.code });
    ended.record(totalMs / 1_000);
    if (promptTokens !== undefined) input.record(promptTokens);
    if (completionTokens !== undefined) output.record(completionTokens);
    if (!isStreamed || firstTokenMs === undefined) return;
    firstToken.record(firstTokenMs / 1_000);
    if (completionTokens !== undefined && completionTokens > 1)
      perToken.record((totalMs - firstTokenMs) / (completionTokens - 1) / 1_000);
  }

  private seriesOf(operation: LanguageOperation, arm: LiveArm): ArmSeries {
    const known = this.series.get(arm);
    const found = known?.find((each) => each.operation === operation);
    if (found !== undefined) return found;
    const labels = {
      'gen_ai.operation.name': operation,
      'gen_ai.request.model': arm.endpoint,
      'gen_ai.response.model': arm.version.key,
      'sluice.arm': arm.name,
    };
    const made: ArmSeries = {
      operation,
      duration: this.duration.of(labels),
      input: this.tokens.of({ ...labels, 'gen_ai.token.type': 'input' }),
      output: this.tokens.of({ ...labels, 'gen_ai.token.type': 'output' }),
      firstToken: this.firstToken.of(labels),
      perToken: this.perToken.of(labels),
    };
    this.series.set(arm, [...(known ?? []), made]);
    return made;
  }
}
