import { contextOfTraceparent } from '#libs/platform';
import { context, ROOT_CONTEXT, SpanKind, SpanStatusCode, trace, type Tracer } from '@opentelemetry/api';
import type { CallHandler, ExecutionContext, NestInterceptor } from '@nestjs/common';
import type { FastifyRequest } from 'fastify';
import { Observable } from 'rxjs';

/** One span per management request, so that what it starts (a workflow, say) hangs in the same trace. */
export class ManagementSpan implements NestInterceptor {
  constructor(private readonly tracer: Tracer) {}

  intercept(execution: ExecutionContext, next: CallHandler): Observable<unknown> {
    const req = execution.switchToHttp().getRequest<FastifyRequest>();
    const parent = contextOfTraceparent(req.headers['traceparent'] as string | undefined, ROOT_CONTEXT);
    const span = this.tracer.startSpan(
      `${req.method} ${req.routeOptions.url ?? ''}`,
      {
        kind: SpanKind.SERVER,
        attributes: {
          'sluice.request_id': req.id,
          'http.request.method': req.method,
          'http.route': req.routeOptions.url ?? '',
        },
      },
      parent,
    );
    req.traceId = span.spanContext().traceId;
    return new Observable((subscriber) =>
      context.with(trace.setSpan(parent, span), () =>
        next.handle().subscribe({
          next: (value) => subscriber.next(value),
          error: (failure: unknown) => {
            span.setStatus({ code: SpanStatusCode.ERROR });
            span.end();
            subscriber.error(failure);
          },
          complete: () => {
            span.end();
            subscriber.complete();
          },
        }),
      ),
    );
  }
}
