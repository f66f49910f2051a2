import type { Manifest } from '../models/manifest.js';

type Specs = Manifest['inputs'];

const text = (name: string): Specs[number] => ({ name, datatype: 'BYTES', shape: [-1] });
const vector: Specs[number] = { name: 'embedding', datatype: 'FP32', shape: [-1, -1] };

/** The tensors of a language model, by Triton's names for them: one text in, one text or one vector out, row by row. */
export const languageSignatures: Readonly<
  Record<'text-generation' | 'embedding', { readonly inputs: Specs; readonly outputs: Specs }>
> = {
  'text-generation': { inputs: [text('text_input')], outputs: [text('text_output')] },
  embedding: { inputs: [text('text_input')], outputs: [vector] },
};
