import { subjectAttribute } from '#workflows/erasure/search-attributes';
import { endpointAttribute, modelVersionAttribute, phaseAttribute } from '#workflows/rollout/search-attributes';
import { isGrpcServiceError, type Connection } from '@temporalio/client';

/** Temporal's number for the type "keyword". */
const keyword = 2;
const alreadyExists = 6;

/** Registers what the workflows upsert. What is there already stays, so it may run at every start. */
export async function ensureSearchAttributes(
  connection: Pick<Connection, 'operatorService'>,
  namespace: string,
): Promise<void> {
  const wanted = [endpointAttribute.name, modelVersionAttribute.name, phaseAttribute.name, subjectAttribute.name];
  const { customAttributes } = await connection.operatorService.listSearchAttributes({ namespace });
  const missing = wanted.filter((name) => customAttributes?.[name] === undefined);
  if (missing.length === 0) return;
  const searchAttributes = Object.fromEntries(missing.map((name) => [name, keyword]));
  try {
    await connection.operatorService.addSearchAttributes({ namespace, searchAttributes });
  } catch (failure) {
    // Another process may have registered them between the two calls.
    if (!isGrpcServiceError(failure) || failure.code !== alreadyExists) throw failure;
  }
}
