import { permitTable, roles, type Role } from '#libs/access';
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { managementApi, type ManagementApi } from '../../test/support/management-api.js';
// @ts-expect-error: a plain script of the set-up, without types
import { permissionsPage } from '../../deploy/boot/permissions-page.mjs';
import type { OpenApiDocument } from './reference/openapi.js';

const page = readFileSync(new URL('../../docs/reference/permissions.md', import.meta.url), 'utf8');

let api: ManagementApi;
let document: OpenApiDocument;
beforeAll(async () => {
  api = await managementApi();
  document = (await api.app.inject({ url: '/openapi.json', headers: api.as.admin })).json();
});
afterAll(() => api[Symbol.asyncDispose]());

interface Row {
  method: 'GET' | 'POST';
  path: string;
  isOpen: boolean;
  mayCall: ReadonlyMap<Role, boolean>;
}

/** What the page promises, read from its table and from nothing else. */
function promised(): Row[] {
  const [head, , ...rows] = page
    .split('\n')
    .filter((line) => line.startsWith('|'))
    .map(cellsOf);
  expect(head?.slice(2)).toEqual([...roles]);
  return rows.map(([route = '', permit = '', ...cells]) => {
    const [method, path] = route.replaceAll('`', '').split(' ') as [Row['method'], string];
    const mayCall = new Map(roles.map((role, index) => [role, cells[index] !== '']));
    return { method, path, isOpen: permit.startsWith('open'), mayCall };
  });
}

const cellsOf = (line: string): string[] =>
  line
    .split('|')
    .slice(1, -1)
    .map((cell) => cell.trim());

const routesOf = ({ paths }: { paths?: object }): string[] =>
  Object.entries(paths ?? {}).flatMap(([path, methods]) =>
    Object.keys(methods as object).map((method) => `${method.toUpperCase()} ${path}`),
  );

it('has a row for every route, and none for a route that there is not', () => {
  expect(
    promised()
      .map(({ method, path }) => `${method} ${path}`)
      .sort(),
  ).toEqual(routesOf(document).sort());
});

it('is the page that the permit table makes', () => {
  const make = permissionsPage as (...parts: unknown[]) => string;
  expect(page, 'run `npm run docs`').toBe(make(document, permitTable, roles));
});

it('says of every route and every role what a call is answered', async () => {
  const differences: string[] = [];
  for (const { method, path, isOpen, mayCall } of promised()) {
    const url = path.replace(/\{\w+\}/g, 'nobody');
    for (const role of roles) {
      const answer = await api.app.inject({ method, url, headers: api.as[role], ...bodyFor(method) });
      const isRefused = answer.statusCode === 403;
      if (answer.statusCode === 401 || isRefused === mayCall.get(role))
        differences.push(`${method} ${path} as ${role}: ${answer.statusCode}`);
    }
    const stranger = await api.app.inject({ method, url, ...bodyFor(method) });
    if ((stranger.statusCode !== 401) !== isOpen)
      differences.push(`${method} ${path}: ${stranger.statusCode} for anybody`);
  }
  expect(differences).toEqual([]);
});

const bodyFor = (method: string): object => (method === 'GET' || method === 'DELETE' ? {} : { payload: {} });
