/** The fences of the house: imports go one way. The map is the table of libs in docs/reference/architecture.md. */
const order = ['kernel', 'platform', 'store', 'audit', 'access'];
const inner = ['inference', 'safety', 'datasets'];

const mayImport = {
  kernel: [],
  decisions: ['kernel'],
  platform: ['kernel'],
  store: ['kernel', 'platform'],
  audit: ['kernel', 'platform', 'store'],
  // What a request costs and how much of a budget a process gets are verdicts.
  access: [...order.slice(0, 4), 'decisions'],
  inference: order,
  safety: order,
  datasets: order,
  // Control starts and steers workflows on behalf of the rooms below it.
  control: [...order, 'decisions', 'inference'],
};

/** Packages that only one room may touch. */
const keptPackages = {
  '^node_modules/(typeorm|pg)(/|$)': '^(libs/store/|libs/platform/embedded-postgres|test/)',
  '^node_modules/jose(/|$)': '^(libs/access/|test/)',
  '^node_modules/pino(/|$)': '^libs/platform/',
  '^node_modules/@opentelemetry/(?!api)': '^(libs/platform/|apps/worker/)',
  '^node_modules/(@embedded-postgres)': '^libs/platform/',
  '^node_modules/onnxruntime-node(/|$)': '^(libs/inference/adapters/onnx/|test/load/)',
  '^node_modules/node-llama-cpp(/|$)': '^(libs/inference/adapters/llama/|test/load/)',
  '^node_modules/undici(/|$)': '^(libs/inference/adapters/|libs/platform/outbound/|test/)',
  '^node_modules/@temporalio/client(/|$)': '^(libs/control/|apps/worker/|test/)',
  '^node_modules/@nestjs/': '^(apps/|libs/[^/]+/[^/]+\\.module\\.ts$|test/)',
  '^node_modules/(fastify|@fastify)': '^(apps/api/|test/)',
};

module.exports = {
  forbidden: [
    ...Object.entries(mayImport).map(([lib, allowed]) => ({
      name: `libs-${lib}`,
      comment: `libs/${lib} may import ${allowed.length === 0 ? 'no other lib' : allowed.join(', ')}`,
      severity: 'error',
      from: { path: `^libs/${lib}/`, pathNot: '\\.test\\.ts$' },
      to: { path: '^libs/', pathNot: `^libs/(${[lib, ...allowed].join('|')})/` },
    })),
    ...inner.map((lib) => ({
      name: `${lib}-through-its-door`,
      comment: `others reach libs/${lib} only through its index.ts`,
      severity: 'error',
      from: { path: '^(apps|activities|workflows|libs)/', pathNot: [`^libs/${lib}/`, '\\.test\\.ts$'] },
      to: { path: `^libs/${lib}/`, pathNot: [`^libs/${lib}/index\\.ts$`, `^libs/${lib}/adapters/[^/]+/index\\.ts$`] },
    })),
    ...Object.entries(keptPackages).map(([path, from]) => ({
      name: `kept-${path.replace(/[^a-z-]/g, '')}`,
      comment: `this package is used only in ${from}`,
      severity: 'error',
      from: { path: '^(apps|libs|workflows|activities)/', pathNot: [from, '\\.test\\.ts$'] },
      to: { path, dependencyTypesNot: ['type-only'] },
    })),
    {
      name: 'nothing-imports-apps',
      severity: 'error',
      from: { path: '^(libs|workflows|activities)/' },
      to: { path: '^apps/' },
    },
    {
      name: 'apps-do-not-import-each-other',
      severity: 'error',
      from: { path: '^apps/([^/]+)/', pathNot: '\\.test\\.ts$' },
      to: { path: '^apps/', pathNot: '^apps/$1/' },
    },
    {
      name: 'workflows-are-pure',
      comment:
        'workflow code runs in a sandbox: only the workflow SDK, kernel, decisions and other contracts, and activity types',
      severity: 'error',
      from: { path: '^workflows/', pathNot: '\\.test\\.ts$' },
      to: {
        pathNot: '^(workflows/|libs/kernel/|libs/decisions/|node_modules/@temporalio/(workflow|common)/)',
        dependencyTypesNot: ['type-only'],
      },
    },
    {
      name: 'pure-rooms-have-no-node',
      severity: 'error',
      from: { path: '^(libs/kernel|libs/decisions|workflows)/', pathNot: '\\.test\\.ts$' },
      to: { dependencyTypes: ['core'] },
    },
    {
      name: 'activities-without-nest',
      severity: 'error',
      from: { path: '^activities/' },
      to: { path: '^node_modules/@nestjs/' },
    },
    {
      name: 'no-circle',
      severity: 'error',
      from: {},
      to: { circular: true, viaOnly: { dependencyTypesNot: ['type-only'] } },
    },
    { name: 'not-to-unresolvable', severity: 'error', from: {}, to: { couldNotResolve: true } },
    {
      name: 'no-development-package-at-run-time',
      severity: 'error',
      from: { path: '^(apps|libs|workflows|activities)/', pathNot: '\\.(test|contract)\\.ts$' },
      to: { dependencyTypes: ['npm-dev'] },
    },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    tsPreCompilationDeps: true,
    // The doors of package.json lead to the build; here they lead to the sources.
    tsConfig: { fileName: 'tsconfig.fences.json' },
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['import', 'node', 'default', 'types'],
      extensions: ['.ts', '.js', '.mjs', '.cjs', '.json'],
    },
  },
};
