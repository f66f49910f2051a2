const opening = Buffer.from('{"model":"');
const quote = 0x22;
const backslash = 0x5c;

/**
 * The same JSON object with another `model`. Bodies that this process wrote begin with it, and then nothing else is read.
 * A body that is no JSON object stays as it is: the server has to refuse it in any case.
 */
export function withModel(body: Buffer, model: string): Buffer {
  const end = endOfOpeningName(body);
  if (end !== undefined) return Buffer.concat([Buffer.from(`{"model":${JSON.stringify(model)}`), body.subarray(end)]);
  let parsed: unknown;
  try {
    parsed = JSON.parse(body.toString());
  } catch {
    return body;
  }
  if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed)) return body;
  return Buffer.from(JSON.stringify({ ...parsed, model }));
}

/** @returns the place behind the name's closing quote, when `model` is the first member and holds no escape */
function endOfOpeningName(body: Buffer): number | undefined {
  if (!body.subarray(0, opening.length).equals(opening)) return undefined;
  const end = body.indexOf(quote, opening.length);
  if (end < 0 || body.subarray(opening.length, end).includes(backslash)) return undefined;
  return end + 1;
}
