import { ROOT_CONTEXT, SpanKind, SpanStatusCode, trace, type Link, type Span, type Tracer } from '@opentelemetry/api';
import { traceparentOf } from '#libs/platform';
import type { WaitingRequest } from './batcher-request.js';

/** The span of one batch run, where some request of the batch is traced. */
export class BatchTrace {
  constructor(private readonly span: Span) {}

  get traceparent(): string {
    return traceparentOf(this.span);
  }

  end(error?: unknown): void {
    if (error !== undefined) {
      this.span.setStatus({ code: SpanStatusCode.ERROR, message: error instanceof Error ? error.name : 'failed' });
    }
    this.span.end();
  }
}

export class BatchTracing {
  constructor(
    private readonly tracer: Tracer,
    private readonly versionKey: string,
  ) {}

  /** A child of the first traced request, linked to all traced ones. Undefined when none is: then nothing was spent. */
  begin(items: readonly WaitingRequest[], rows: number): BatchTrace | undefined {
    let links: Link[] | undefined;
    let parent: Span | undefined;
    for (const { request } of items) {
      if (request.span === undefined) continue;
      parent ??= request.span;
      (links ??= []).push({ context: request.span.spanContext() });
    }
    if (parent === undefined || links === undefined) return undefined;
    const span = this.tracer.startSpan(
      'batch',
      {
        kind: SpanKind.CLIENT,
        links,
        attributes: {
          'sluice.model_version': this.versionKey,
          'sluice.batch.requests': items.length,
          'sluice.batch.rows': rows,
        },
      },
      trace.setSpan(ROOT_CONTEXT, parent),
    );
    return new BatchTrace(span);
  }
}
