import { z } from 'zod';

/** What every list that comes in pages takes. */
export const pageQueryShape = {
  limit: z.coerce.number().int().min(1).max(500).default(100).describe('most entries of the page'),
  cursor: z.string().max(200).optional().describe('`nextCursor` of the page before; left out: the first page'),
};

export const pageQuerySchema = z.strictObject(pageQueryShape);
export type PageQuery = z.infer<typeof pageQuerySchema>;

/** What every answer with a page has beside its entries. */
export const nextCursorSchema = z.string().nullable().describe('leads to the next, older page; null at the end');
