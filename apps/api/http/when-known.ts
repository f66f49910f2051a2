/** Goes on with what is there at once in the same turn, and with a promise when it is kept: a promise only where there has to be one. */
export function whenKnown<T>(
  find: () => T | Promise<T>,
  use: (found: T) => void,
  refused: (failure: unknown) => void,
): void {
  let found: T | Promise<T>;
  try {
    found = find();
  } catch (failure) {
    return refused(failure);
  }
  if (found instanceof Promise) void afterwards(found, use, refused);
  else use(found);
}

async function afterwards<T>(
  finding: Promise<T>,
  use: (found: T) => void,
  refused: (failure: unknown) => void,
): Promise<void> {
  try {
    use(await finding);
  } catch (failure) {
    refused(failure);
  }
}
