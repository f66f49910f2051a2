const intro = `# Permissions

Made from the routes and from \`libs/access/permit-table.ts\` by \`npm run docs\`; a test calls every route with every role and
compares the answers with this table.

A cell says how far the permit of a role reaches: \`all\` is everything, \`tenant\` what belongs to the tenant of the caller,
\`project\` what belongs to the project, \`own\` the key itself and what belongs to the same person. Where nothing stands, the
answer is 403. What is out of reach answers exactly as what does not exist.

In a tenant other than \`default\`, \`all\` ends at the border of the tenant, and what has a \`*\` behind its permit is closed: it
belongs to those who run the platform. A key that is bound to endpoints knows of no others, and nothing with a \`*\`.
`;

/** One row per route of `/openapi.json`, one column per role. */
export function permissionsPage({ paths }, permitTable, roles) {
  const rows = Object.entries(paths)
    .flatMap(([path, methods]) => Object.entries(methods).map(([method, operation]) => ({ path, method, operation })))
    .map(({ path, method, operation }) => rowOf(`${method.toUpperCase()} ${path}`, operation, permitTable, roles))
    .sort();
  const head = ['route', 'permit', ...roles];
  const line = head.map(() => '---');
  return `${intro}\n${[head, line].map((cells) => `| ${cells.join(' | ')} |`).join('\n')}\n${rows.join('\n')}\n`;
}

function rowOf(route, operation, permitTable, roles) {
  const name = operation['x-sluice-permit'];
  if (name === undefined) {
    if (operation.security?.length !== 0) throw new Error(`${route} has no permit and is not open to all`);
    return `| \`${route}\` | open to all, without a key | ${roles.map(() => 'all').join(' | ')} |`;
  }
  const { of, scopes } = permitTable[name];
  const permit = `\`${name}\`${of === 'platform' ? ' *' : ''}`;
  return `| \`${route}\` | ${permit} | ${roles.map((role) => scopes[role] ?? '').join(' | ')} |`;
}
