import { z } from 'zod';

/** Text that can be stored and shown: no NUL, no half characters. */
export const plainText = (longest: number): z.ZodString =>
  z
    .string()
    .min(1)
    .max(longest)
    .refine((text) => text.isWellFormed() && !text.includes('\0'), 'has characters that no text should have');
