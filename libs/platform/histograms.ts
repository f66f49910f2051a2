import { ValueType, type Attributes } from '@opentelemetry/api';
import { hrTime, type InstrumentationScope } from '@opentelemetry/core';
import { emptyResource } from '@opentelemetry/resources';
import {
  AggregationTemporality,
  DataPointType,
  type CollectionResult,
  type HistogramMetricData,
  type MetricProducer,
} from '@opentelemetry/sdk-metrics';

export interface HistogramSettings {
  name: string;
  unit: string;
  description: string;
  /** Upper bounds of the buckets, rising; a value that equals one belongs below it. */
  boundaries: readonly number[];
}

/** As in OpenTelemetry's SDK: what comes beyond goes into one series of its own. */
const mostSeries = 2_000;
const overflow: Attributes = { 'otel.metric.overflow': true };

/** The values of one set of labels. */
export class HistogramSeries {
  readonly startTime = hrTime();
  readonly counts: number[];
  count = 0;
  sum = 0;

  constructor(
    readonly attributes: Attributes,
    private readonly boundaries: readonly number[],
  ) {
    this.counts = new Array<number>(boundaries.length + 1).fill(0);
  }

  record(value: number): void {
    const { boundaries, counts } = this;
    let at = 0;
    while (at < boundaries.length && value > boundaries[at]!) at += 1;
    counts[at]! += 1;
    this.count += 1;
    this.sum += value;
  }
}

/** A histogram whose series are looked up once and kept, so that a value costs an addition and no hash of its labels. */
export class Histogram {
  private readonly series = new Map<string, HistogramSeries>();

  constructor(private readonly settings: HistogramSettings) {}

  of(attributes: Attributes): HistogramSeries {
    const key = JSON.stringify(attributes);
    const known = this.series.get(key);
    if (known !== undefined) return known;
    if (this.series.size >= mostSeries && attributes !== overflow) return this.of(overflow);
    const made = new HistogramSeries(attributes, this.settings.boundaries);
    this.series.set(key, made);
    return made;
  }

  data(): HistogramMetricData {
    const { name, unit, description, boundaries } = this.settings;
    const endTime = hrTime();
    return {
      descriptor: { name, unit, description, valueType: ValueType.DOUBLE },
      aggregationTemporality: AggregationTemporality.CUMULATIVE,
      dataPointType: DataPointType.HISTOGRAM,
      // A series that is only kept ready has nothing to say yet.
      dataPoints: [...this.series.values()]
        .filter(({ count }) => count > 0)
        .map(({ startTime, attributes, counts, count, sum }) => ({
          startTime,
          endTime,
          attributes,
          value: { buckets: { boundaries: [...boundaries], counts: [...counts] }, count, sum },
        })),
    };
  }
}

/** Histograms for paths on which the SDK's own are felt: those sort and hash the labels of each value. */
export class Histograms implements MetricProducer {
  private readonly all: Histogram[] = [];

  constructor(private readonly scope: InstrumentationScope) {}

  create(settings: HistogramSettings): Histogram {
    const made = new Histogram(settings);
    this.all.push(made);
    return made;
  }

  async collect(): Promise<CollectionResult> {
    const metrics = this.all.map((each) => each.data()).filter(({ dataPoints }) => dataPoints.length > 0);
    return {
      resourceMetrics: { resource: emptyResource(), scopeMetrics: [{ scope: this.scope, metrics }] },
      errors: [],
    };
  }
}
