import type { Action } from '#libs/access';
import type { ErrorCode } from '#libs/kernel';
import { RouteConfig } from '@nestjs/platform-fastify';
import type { z } from 'zod';

/** What a route is and who may call it: one statement that the gate enforces and the documentation shows. */
export interface OperationSpec {
  /** The one action of the permit table that opens this route. */
  permit: Action;
  /** One sentence for people. */
  summary: string;
  tag: string;
  params?: Readonly<Record<string, string>>;
  query?: z.ZodObject;
  body?: z.ZodType;
  isBodyOptional?: boolean;
  /** What a good answer carries, by status. */
  answers: Readonly<Record<number, AnswerSpec>>;
  /** What may go wrong beyond what may go wrong everywhere. */
  refusals?: readonly ErrorCode[];
  /** Takes an archive as its raw body or as multipart/form-data. */
  takesArchive?: boolean;
  /** Browsers cannot send a bearer key by themselves: here the key may be the password of HTTP Basic. */
  takesBasic?: boolean;
}

export interface AnswerSpec {
  description: string;
  schema?: z.ZodType;
  contentType?: string;
  /** Texts of another form that the caller may ask for in its place. */
  otherContentTypes?: readonly string[];
}

declare module 'fastify' {
  interface FastifyContextConfig {
    operation?: OperationSpec;
  }
}

/** Declares a route's permit and its documentation. A route without it stops the boot. */
export const Operation = (operation: OperationSpec): MethodDecorator => RouteConfig({ operation });
