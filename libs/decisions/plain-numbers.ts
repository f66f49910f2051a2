/** Numbers as a person reads them in a verdict's sentence. */
export const perCent = (share: number): string => `${round(share * 100)} %`;

export const milliseconds = (value: number): string => `${round(value)} ms`;

export const round = (value: number): string =>
  value >= 100 ? value.toFixed(0) : String(Number(value.toPrecision(3)));
