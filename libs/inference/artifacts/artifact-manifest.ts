import { createHash } from 'node:crypto';
import type { z } from 'zod';
import { refuseUnservable, refuseWrongFiles } from './artifact-format.js';
import { checkPath, manifestFileName, PathRegister } from './artifact-path.js';
import { refused, shownName } from './artifact-refusal.js';
import { manifestSchema, taskOf, type Manifest } from '../models/manifest.js';

/** What was really read of a file, as opposed to what the manifest states. */
export interface ReadFile {
  sha256: string;
  bytes: number;
}

const shownProblems = 10;
const deepestJson = 200;

/** @throws SLU_ARTIFACT_REFUSED with `path: problem` for each thing wrong */
export function parseManifest(content: Uint8Array): Manifest {
  const parsed = manifestSchema.safeParse(parseJson(content));
  if (!parsed.success) throw refused(`${manifestFileName}: ${problemsOf(parsed.error)}`);
  const manifest = parsed.data;
  const register = new PathRegister();
  register.addFile(manifestFileName);
  for (const file of manifest.files) {
    checkPath(file.path);
    if (file.path === manifestFileName) throw refused(`${manifestFileName}: files: the manifest cannot list itself`);
    register.addFile(file.path);
  }
  for (const path of bundlePaths(manifest)) {
    checkPath(path);
    register.addFile(path);
  }
  refuseWrongShape(manifest);
  return manifest;
}

/** Holds what was read against what the manifest states, both ways. @throws SLU_ARTIFACT_REFUSED */
export function verifyFiles(manifest: Manifest, read: ReadonlyMap<string, ReadFile>): void {
  const stated = new Set([...manifest.files.map((file) => file.path), ...bundlePaths(manifest)]);
  for (const path of read.keys()) {
    if (path !== manifestFileName && !stated.has(path))
      throw refused(`the file ${shownName(path)} is not listed in ${manifestFileName}`);
  }
  for (const path of bundlePaths(manifest))
    if (!read.has(path)) throw refused(`the file ${shownName(path)} is missing`);
  for (const file of manifest.files) {
    const found = read.get(file.path);
    if (found === undefined) throw refused(`the file ${shownName(file.path)} is missing`);
    if (file.bytes !== undefined && file.bytes !== found.bytes) {
      throw refused(`the file ${shownName(file.path)} has ${found.bytes} bytes, not the ${file.bytes} stated`);
    }
    if (file.sha256 !== found.sha256) {
      throw refused(`the file ${shownName(file.path)} has sha256 ${found.sha256}, not the one stated`);
    }
  }
}

/** Signature bundles that lie beside the manifest. What they sign is its digest, so it cannot hold theirs. */
export function bundlePaths({ signatures = [] }: Pick<Manifest, 'signatures'>): string[] {
  return signatures.flatMap((signature) => (signature.algorithm === 'sigstore' ? [signature.bundlePath] : []));
}

/**
 * sha256 over the manifest in canonical form, without its signatures: those are made over this digest. As the manifest
 * holds every file's sha256, it stands for the whole content.
 * @returns 64 lower-case hex digits
 */
export function contentDigest(manifest: Manifest): string {
  const { signatures: _signatures, inputs, outputs, ...rest } = manifest;
  // What a language model takes and gives never stands in its file: it was added when that was read.
  const stated = taskOf(manifest) === 'tensors' ? { ...rest, inputs, outputs } : rest;
  return createHash('sha256').update(canonicalJson(stated)).digest('hex');
}

/**
 * JSON with sorted keys and no spaces, as RFC 8785 has it: the same content gives the same text, whatever wrote the file.
 */
export function canonicalJson(value: unknown, depth = 0): string {
  if (depth > deepestJson) throw refused(`its JSON is nested more than ${deepestJson} levels deep`);
  if (Array.isArray(value)) return `[${value.map((part) => canonicalJson(part, depth + 1)).join(',')}]`;
  if (typeof value === 'string' && (!value.isWellFormed() || value.includes('\0')))
    throw refused('it has text with a NUL or with half a character in it');
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  const entries = Object.entries(value)
    .filter(([, part]) => part !== undefined)
    .sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
  return `{${entries.map(([key, part]) => `${canonicalJson(key)}:${canonicalJson(part, depth + 1)}`).join(',')}}`;
}

function parseJson(content: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(content));
  } catch (cause) {
    throw refused(`${manifestFileName} is not valid JSON: ${cause instanceof Error ? cause.message : 'unreadable'}`);
  }
}

function problemsOf(error: z.ZodError): string {
  const lines = error.issues
    .slice(0, shownProblems)
    .map((issue) => `${issue.path.join('.') || 'manifest'}: ${issue.message}`);
  if (error.issues.length > shownProblems) lines.push(`and ${error.issues.length - shownProblems} more`);
  return lines.join('; ');
}

/** Tensors with a name of their own, and the files that the format needs. */
function refuseWrongShape(manifest: Manifest): void {
  for (const side of ['inputs', 'outputs'] as const) {
    const names = manifest[side].map((tensor) => tensor.name);
    const twice = names.find((name, index) => names.indexOf(name) !== index);
    if (twice !== undefined) throw refused(`${manifestFileName}: ${side}: ${shownName(twice)} appears twice`);
  }
  refuseUnservable(manifest);
  refuseWrongFiles(manifest);
}
