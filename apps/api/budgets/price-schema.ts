import { mostPriceMicros } from '#libs/decisions';
import { isName, isVersion } from '#libs/kernel';
import { z } from 'zod';

const micros = (what: string) =>
  z
    .int('must be a whole number of micro-units (millionths of the currency)')
    .min(0)
    .max(mostPriceMicros)
    .default(0)
    .describe(`${what}, in micro-units (millionths) of the currency`);

const amounts = {
  requestMicros: micros('for each request'),
  thousandTokensInMicros: micros('for 1,000 tokens of a prompt'),
  thousandTokensOutMicros: micros('for 1,000 tokens of an answer'),
  replicaSecondMicros: micros('for a second that a replica ran for the request'),
  rowMicros: micros('for each row of tensors'),
  failedRequestMicros: micros('for a request that failed, instead of all others'),
};

const name = z.string().refine(isName, 'must be 1 to 64 lower-case letters, digits, - and _');

export const newPriceSchema = z
  .strictObject({
    endpoint: name.optional().describe('the endpoint that it holds for'),
    model: name.optional().describe('with version: the model version that it holds for'),
    version: z.string().refine(isVersion, 'must be the name of a version').optional(),
    validFrom: z.iso.datetime({ offset: true }).optional().describe('left out: from now on; never in the past'),
    ...amounts,
  })
  .superRefine(({ endpoint, model, version }, context) => {
    if (endpoint !== undefined && model !== undefined)
      context.addIssue({ code: 'custom', path: ['endpoint'], message: 'cannot stand with model: name one of the two' });
    if ((model === undefined) !== (version === undefined))
      context.addIssue({
        code: 'custom',
        path: [model === undefined ? 'model' : 'version'],
        message: 'is missing: a price holds for one version of a model',
      });
  });
export type NewPriceBody = z.infer<typeof newPriceSchema>;

export const priceSchema = z.object({
  id: z.uuid(),
  scope: z.discriminatedUnion('kind', [
    z.object({ kind: z.literal('version'), model: z.string(), version: z.string() }),
    z.object({ kind: z.literal('endpoint'), endpoint: z.string() }),
    z.object({ kind: z.literal('all') }),
  ]),
  validFrom: z.iso.datetime(),
  createdAt: z.iso.datetime(),
  createdBy: z.string(),
  ...amounts,
});

export const priceListSchema = z.object({
  currency: z.string().describe('ISO 4217'),
  prices: z.array(priceSchema),
});
