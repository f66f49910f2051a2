const keyNames = new Set(['key', 'api_key', 'apikey', 'api-key', 'access_token', 'token', 'authorization']);
const keyStart = 'slu_';

/** A key in a query string stays in logs and histories along the way; refusing it teaches before one leaks. */
export function hasKeyInQuery(url: string): boolean {
  const mark = url.indexOf('?');
  if (mark === -1) return false;
  return [...new URLSearchParams(url.slice(mark + 1))].some(
    ([name, value]) => keyNames.has(name.toLowerCase()) || value.startsWith(keyStart),
  );
}
