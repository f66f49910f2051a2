import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createLogger } from '#libs/platform';
import { expect, it } from 'vitest';
import { defaultTenantId } from '../principal.js';
import { freshDatabase } from '../../../test/support/database.js';
import { SecretSeal } from '../secret-seal.js';
import { BudgetAlerts, signatureOf } from './budget-alerts.js';
import { BudgetRegister } from './budget-register.js';
import { LeaseLedger } from './lease-ledger.js';

const seal = new SecretSeal(Buffer.alloc(32, 7));
const log = createLogger({ service: 'test', level: 'silent' });

it('sends a warning to its webhook, signed, until it is taken, and then never again', async () => {
  await using db = await freshDatabase();
  const got: { headers: IncomingHttpHeaders; body: string }[] = [];
  const statuses = [500, 204];
  const server = createServer((req, res) => {
    let body = '';
    req.on('data', (chunk: Buffer) => (body += chunk.toString()));
    req.on('end', () => {
      got.push({ headers: req.headers, body });
      res.writeHead(statuses[got.length - 1] ?? 204).end();
    });
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const webhookUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
  const { id, webhookSecret } = await new BudgetRegister(db.database, seal).add(
    {
      name: 'Team A',
      subject: { kind: 'tenant', id: defaultTenantId },
      unit: 'tokens',
      limit: 100,
      period: 'total',
      timeZone: 'UTC',
      isHard: false,
      thresholds: [80],
      webhookUrl,
    },
    { actor: 'system', requestId: randomUUID(), tenantId: undefined },
  );
  const ledger = new LeaseLedger(db.database);
  const processId = randomUUID();
  await ledger.register(processId);
  const soft = [{ budgetId: id, atMs: Date.now(), amount: 90 }];
  await ledger.settle({ processId, sequence: 1, leases: [], soft, usage: [] });
  const post = async (url: string, headers: Record<string, string>, body: string): Promise<number> =>
    (await fetch(url, { method: 'POST', headers, body })).status;
  await using alerts = new BudgetAlerts({ database: db.database, seal, log, post });
  await alerts.deliver();
  expect(got).toHaveLength(1);
  await alerts.deliver();
  expect(got, 'the next try is later').toHaveLength(1);
  await db.database.query('UPDATE budget_alerts SET due_at = now() WHERE due_at IS NOT NULL');
  await alerts.deliver();
  await db.database.query('UPDATE budget_alerts SET due_at = now() WHERE due_at IS NOT NULL');
  await alerts.deliver();
  expect(got).toHaveLength(2);
  const { headers, body } = got[1]!;
  expect(headers['webhook-id']).toBe(got[0]!.headers['webhook-id']);
  const signed = signatureOf(webhookSecret!, String(headers['webhook-id']), String(headers['webhook-timestamp']), body);
  expect(headers['webhook-signature']).toBe(`v1,${signed}`);
  expect(JSON.parse(body)).toMatchObject({
    type: 'budget.threshold',
    data: { budgetId: id, thresholdPercent: 80, spent: 90, limit: 100 },
  });
  const [row] = await db.database.query<{ webhook_secret: Buffer }>('SELECT webhook_secret FROM budgets');
  expect(row!.webhook_secret.toString('latin1')).not.toContain(webhookSecret!.slice(6));
  await new Promise((resolve) => server.close(resolve));
});
