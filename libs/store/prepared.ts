import type { ClientBase } from 'pg';
import type { Tx } from './database.js';

/** A statement under a name of its own: each connection parses and plans it once. The text of a name never changes. */
export interface PreparedStatement {
  name: string;
  text: string;
}

/** Runs a statement within the caller's transaction, prepared where there is one. */
export async function runPrepared<Row>(tx: Tx, statement: PreparedStatement, parameters: unknown[]): Promise<Row[]> {
  const client = (await tx.queryRunner?.connect()) as ClientBase | undefined;
  // Outside a transaction every statement may come to another connection, and TypeORM picks it.
  if (client === undefined) return (await tx.query(statement.text, parameters)) as Row[];
  const { rows } = await client.query({ ...statement, values: parameters });
  return rows as Row[];
}
