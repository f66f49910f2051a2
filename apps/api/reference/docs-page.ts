import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';

const require = createRequire(import.meta.url);

/** No script in the page itself: the content security policy forbids that. */
export const docsPage = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8"><title>Sluice API</title>
<link rel="stylesheet" href="/docs/swagger-ui.css"><link rel="icon" href="/docs/favicon-32x32.png">
</head>
<body>
<div id="docs"></div>
<script src="/docs/swagger-ui-bundle.js"></script><script src="/docs/start.js"></script>
</body>
</html>
`;

// The whole address, since a page that was opened with the key in its address may not fetch relative to that.
export const docsStart = `SwaggerUIBundle({ url: location.origin + '/openapi.json', dom_id: '#docs', deepLinking: true, persistAuthorization: false });\n`;

export const docsPolicy =
  "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src 'self'; frame-ancestors 'none'";

const assetTypes: Readonly<Record<string, string>> = {
  'swagger-ui.css': 'text/css; charset=utf-8',
  'swagger-ui-bundle.js': 'text/javascript; charset=utf-8',
  'favicon-32x32.png': 'image/png',
};

/** @returns the file of an asset of the page, or undefined for any other name */
export function docsAsset(name: string): { file: string; type: string } | undefined {
  const type = Object.hasOwn(assetTypes, name) ? assetTypes[name] : undefined;
  if (type === undefined) return undefined;
  return { file: join(dirname(require.resolve('swagger-ui-dist/package.json')), name), type };
}
