import { StandardSchemaValidationPipe } from '@nestjs/common';
import { InvalidRequest } from './problem.js';

const shownProblems = 20;

/** Parses bodies, queries and path parameters by the schemas of their decorators. @throws SLU_REQUEST_INVALID */
export const schemaPipe = (): StandardSchemaValidationPipe =>
  new StandardSchemaValidationPipe({
    exceptionFactory: (issues) =>
      new InvalidRequest(
        issues.slice(0, shownProblems).map(({ path, message }) => ({ field: fieldOf(path), problem: message })),
      ),
  });

type Path = readonly (PropertyKey | { key: PropertyKey })[] | undefined;

function fieldOf(path: Path): string {
  if (path === undefined || path.length === 0) return 'body';
  return path
    .map((part, index) => {
      const key = typeof part === 'object' ? part.key : part;
      if (typeof key === 'number') return `[${key}]`;
      return `${index === 0 ? '' : '.'}${String(key)}`;
    })
    .join('');
}
