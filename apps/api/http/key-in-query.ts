const keyNames = new Set([
  'key',
  'api_key',
  'apikey',
  'api-key',
  'x-api-key',
  'access_key',
  'access_token',
  'id_token',
  'token',
  'bearer',
  'authorization',
]);
const keyStart = 'slu_';
const tokenPattern = /eyJ[\w-]+\.[\w-]+\.[\w-]*/;

/** A key in a query string stays in logs and histories along the way; refusing it teaches before one leaks. */
export function hasKeyInQuery(url: string): boolean {
  const mark = url.indexOf('?');
  if (mark === -1) return false;
  return [...new URLSearchParams(url.slice(mark + 1))].some(
    ([name, value]) => keyNames.has(name.toLowerCase()) || [name, value].some(looksLikeKey),
  );
}

const looksLikeKey = (text: string): boolean => text.includes(keyStart) || tokenPattern.test(text);
