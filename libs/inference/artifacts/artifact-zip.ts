import { open } from 'node:fs/promises';

const endRecordBytes = 22;
const longestCommentBytes = 65_535;
const longestDirectoryBytes = 16 * 1_024 ** 2;
const entryHeaderBytes = 46;
const endSignature = 0x06054b50;
const entrySignature = 0x02014b50;

/**
 * Names of a zip file's entries, from its central directory alone; nothing is unpacked.
 * https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT, sections 4.3.12 and 4.3.16.
 * @returns undefined when it is no sound zip file
 */
export async function zipNames(path: string): Promise<string[] | undefined> {
  const handle = await open(path, 'r');
  try {
    const { size } = await handle.stat();
    const tailBytes = Math.min(size, endRecordBytes + longestCommentBytes);
    const tail = Buffer.alloc(tailBytes);
    await handle.read(tail, 0, tailBytes, size - tailBytes);
    const at = tail.lastIndexOf(Buffer.from([0x50, 0x4b, 0x05, 0x06]));
    if (at < 0 || at + endRecordBytes > tail.length || tail.readUInt32LE(at) !== endSignature) return undefined;
    const directoryBytes = tail.readUInt32LE(at + 12);
    const start = tail.readUInt32LE(at + 16);
    if (directoryBytes > longestDirectoryBytes || start + directoryBytes > size) return undefined;
    const directory = Buffer.alloc(directoryBytes);
    await handle.read(directory, 0, directoryBytes, start);
    return namesIn(directory);
  } finally {
    await handle.close();
  }
}

function namesIn(directory: Buffer): string[] | undefined {
  const names: string[] = [];
  for (let at = 0; at < directory.length;) {
    if (at + entryHeaderBytes > directory.length || directory.readUInt32LE(at) !== entrySignature) return undefined;
    const nameBytes = directory.readUInt16LE(at + 28);
    const end = at + entryHeaderBytes + nameBytes + directory.readUInt16LE(at + 30) + directory.readUInt16LE(at + 32);
    if (end > directory.length) return undefined;
    names.push(directory.toString('utf8', at + entryHeaderBytes, at + entryHeaderBytes + nameBytes));
    at = end;
  }
  return names;
}

/**
 * TorchScript files carry their code as text beside the weights; what `torch.save` writes is a pickle and nothing else.
 * https://github.com/pytorch/pytorch/blob/main/torch/csrc/jit/docs/serialization.md
 */
export async function isTorchScript(path: string): Promise<boolean> {
  const names = await zipNames(path);
  if (names === undefined) return false;
  return (
    names.some((name) => /^[^/]+\/constants\.pkl$/.test(name)) && names.some((name) => /^[^/]+\/code\//.test(name))
  );
}
