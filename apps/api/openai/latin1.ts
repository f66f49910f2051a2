// Answers of model servers pass as texts that hold bytes as characters (latin1): what is only passed on is never decoded.

/** A value as JSON in such a text. */
export const latin1 = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('latin1');

/** The value of JSON in such a text. @throws SyntaxError, which quotes the text */
export const parsedLatin1 = (text: string): unknown => JSON.parse(Buffer.from(text, 'latin1').toString());
