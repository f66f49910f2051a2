/** Endpoint and model names: what a URL segment, a folder and a metric label all carry unescaped. */
export const namePattern = /^[a-z0-9](?:[a-z0-9_-]{0,62}[a-z0-9])?$/;
/** Model versions: opaque to Sluice, no path separators, not starting with a dot. */
export const versionPattern = /^[A-Za-z0-9](?:[A-Za-z0-9._-]{0,62}[A-Za-z0-9])?$/;

export const isName = (text: string): boolean => namePattern.test(text);
export const isVersion = (text: string): boolean => versionPattern.test(text);
