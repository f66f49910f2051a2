/**
 * Numbers of help lines, in digits: they belong to no person, and an answer that names one must reach who needs it. Not
 * the table from which interventions are written: only what redaction leaves alone.
 */
const helpLines: ReadonlySet<string> = new Set([
  '8002738255',
  '8007847433',
  '8007997233',
  '8006564673',
  '8664887386',
  '8006624357',
  '8775658860',
  '8883737888',
  '8004224453',
  '8773306366',
  '8334564566',
  '8884074747',
  '8009506264',
  '8884748677',
  '8009855990',
  '8552279494',
  '116123',
  '116111',
  '116006',
  '741741',
  '08001111',
  '0800585858',
  '08000684141',
  '08082000247',
  '08088002234',
  '03003044000',
  '03001233393',
  '131114',
  '1300224636',
  '1800551800',
  '1800737732',
  '08001110111',
  '08001110222',
  '0800543354',
]);

export const isHelpLine = (digits: string): boolean =>
  helpLines.has(digits) ||
  helpLines.has(digits.replace(/^(?:00)?1(?=8\d{9}$)/, '')) ||
  helpLines.has(digits.replace(/^(?:00)?44/, '0'));
