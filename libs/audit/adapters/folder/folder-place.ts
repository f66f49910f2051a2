import { createReadStream } from 'node:fs';
import { mkdir, open, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Checkpoint } from '../../checkpoint.js';
import type { CheckpointPlace } from '../../ports/checkpoint-place.js';

const fileName = /^\d{4}-\d{2}-\d{2}\.ndjson$/;

/** A folder with a file per day and a line per checkpoint. */
export class FolderPlace implements CheckpointPlace {
  constructor(private readonly folder: string) {}

  get name(): string {
    return this.folder;
  }

  async put(checkpoint: Checkpoint): Promise<void> {
    await mkdir(this.folder, { recursive: true, mode: 0o700 });
    const file = join(this.folder, `${checkpoint.at.slice(0, 10)}.ndjson`);
    const handle = await open(file, 'a', 0o600);
    try {
      const { size } = await handle.stat();
      // A line that a crash has cut must not take the next one with it.
      const isWhole = size === 0 || (await endsALine(file, size));
      await handle.writeFile(`${isWhole ? '' : '\n'}${JSON.stringify(checkpoint)}\n`);
      await handle.sync();
    } finally {
      await handle.close();
    }
  }

  async *read(): AsyncIterable<string> {
    const names = await readdir(this.folder).catch((failure: NodeJS.ErrnoException) => {
      if (failure.code === 'ENOENT') return [];
      throw failure;
    });
    for (const name of names.filter((each) => fileName.test(each)).sort()) {
      const lines = createInterface({ input: createReadStream(join(this.folder, name)), crlfDelay: Infinity });
      for await (const line of lines) if (line.trim() !== '') yield line;
    }
  }
}

async function endsALine(file: string, size: number): Promise<boolean> {
  const handle = await open(file, 'r');
  try {
    const { buffer } = await handle.read(Buffer.alloc(1), 0, 1, size - 1);
    return buffer[0] === 0x0a;
  } finally {
    await handle.close();
  }
}
