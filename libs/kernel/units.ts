/** Units are computed, never written as bare numbers: each helper names what it takes and what it returns. */

/** @returns seconds */
export const minutes = (count: number): number => count * 60;
/** @returns seconds */
export const hours = (count: number): number => minutes(60 * count);
/** @returns seconds */
export const days = (count: number): number => hours(24 * count);
/** @returns milliseconds */
export const secondsToMs = (count: number): number => count * 1_000;
/** @returns bytes */
export const kibibytes = (count: number): number => count * 1_024;
/** @returns bytes */
export const mebibytes = (count: number): number => kibibytes(1_024 * count);
/** @returns bytes */
export const gibibytes = (count: number): number => mebibytes(1_024 * count);
