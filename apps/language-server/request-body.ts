import type { IncomingMessage } from 'node:http';
import { mebibytes, messageOf } from '#libs/kernel';
import { OpenAiError } from './openai-error.js';

const bodyLimitBytes = mebibytes(32);

/** @returns undefined when the caller went away before the end of it. @throws OpenAiError 413 */
export async function readBody(req: IncomingMessage): Promise<Buffer | undefined> {
  const chunks: Buffer[] = [];
  let bytes = Number(req.headers['content-length'] ?? 0);
  if (bytes > bodyLimitBytes) throw tooLarge();
  bytes = 0;
  try {
    for await (const chunk of req as AsyncIterable<Buffer>) {
      bytes += chunk.length;
      if (bytes > bodyLimitBytes) throw tooLarge();
      chunks.push(chunk);
    }
  } catch (error) {
    if (error instanceof OpenAiError) throw error;
    return undefined;
  }
  return Buffer.concat(chunks, bytes);
}

const tooLarge = (): OpenAiError =>
  new OpenAiError(413, `the body is larger than the limit of ${bodyLimitBytes} bytes`, { code: 'body_too_large' });

const strictUtf8 = new TextDecoder('utf-8', { fatal: true });

/** @throws OpenAiError 400 */
export function parseJson(body: Buffer): unknown {
  let text: string;
  try {
    text = strictUtf8.decode(body);
  } catch {
    throw new OpenAiError(400, 'the body is not valid UTF-8', { code: 'invalid_body' });
  }
  try {
    return JSON.parse(text) as unknown;
  } catch (error) {
    const problem = messageOf(error);
    throw new OpenAiError(400, `the body is not valid JSON: ${problem}`, { code: 'invalid_body' });
  }
}
