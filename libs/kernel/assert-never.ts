/** Ends a switch over a closed union. An unknown value stops the request or the boot: Sluice fails closed. */
export function assertNever(value: never, what = 'value'): never {
  throw new Error(`unknown ${what}: ${JSON.stringify(value)}`);
}
