import { z } from 'zod';
import { refused, shownName } from '../../artifacts/artifact-refusal.js';

export const manifestTypes = [
  'application/vnd.oci.image.manifest.v1+json',
  'application/vnd.docker.distribution.manifest.v2+json',
];
const indexTypes = [
  'application/vnd.oci.image.index.v1+json',
  'application/vnd.docker.distribution.manifest.list.v2+json',
];

const descriptor = z.object({
  mediaType: z.string().max(255),
  digest: z.string().regex(/^sha256:[0-9a-f]{64}$/, 'must be sha256: and 64 hex digits'),
  size: z.int().min(0),
  annotations: z.record(z.string(), z.string()).nullish(),
});

/** https://github.com/opencontainers/image-spec/blob/main/manifest.md */
const manifestSchema = z.object({
  schemaVersion: z.literal(2),
  mediaType: z.string().optional(),
  layers: z.array(descriptor).min(1).max(1_000),
});

/** What a layer is: one file, or an archive. */
export interface OciLayer {
  digest: string;
  bytes: number;
  kind: { as: 'file'; path: string } | { as: 'tar' | 'tar.gz' };
}

const titleKey = 'org.opencontainers.image.title';
/** ORAS sets it on a folder, which it packs. */
const unpackKey = 'io.deis.oras.content.unpack';
const emptyType = 'application/vnd.oci.empty.v1+json';

/** @throws SLU_ARTIFACT_REFUSED */
export function layersOf(body: Uint8Array, contentType: string | undefined): OciLayer[] {
  const parsed = manifestSchema.safeParse(jsonOf(body, contentType));
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    throw refused(`the OCI manifest: ${issue?.path.join('.') || 'document'}: ${issue?.message ?? 'is not valid'}`);
  }
  const layers = parsed.data.layers.filter(({ mediaType }) => mediaType !== emptyType);
  if (layers.length === 0) throw refused('the OCI manifest names no content');
  return layers.map((layer) => layerOf(layer, layers.length === 1));
}

function jsonOf(body: Uint8Array, contentType: string | undefined): unknown {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(body));
  } catch {
    throw refused('the OCI manifest is not valid JSON');
  }
  const stated = (value as { mediaType?: unknown } | null)?.mediaType;
  const type = typeof stated === 'string' ? stated : (contentType?.split(';', 1)[0]?.trim() ?? '');
  if (indexTypes.includes(type))
    throw refused('the reference is an index of several manifests; name one of them by its digest');
  return value;
}

function layerOf({ mediaType, digest, size, annotations }: z.infer<typeof descriptor>, isOnly: boolean): OciLayer {
  const title = annotations?.[titleKey];
  const layer = { digest, bytes: size };
  // ORAS gives a folder this type, and not each of its clients sets the annotation. Single files get the type of a plain
  // tar whatever they are, so that one says nothing once there is a title.
  if (/[+.]gzip$/.test(mediaType) || annotations?.[unpackKey] === 'true') return { ...layer, kind: { as: 'tar.gz' } };
  if (title === undefined) {
    if (/[.+]tar$/.test(mediaType)) return { ...layer, kind: { as: 'tar' } };
    throw refused(`a layer of type ${shownName(mediaType)} has neither a title nor an archive in it`);
  }
  if (isOnly && /\.(?:tar\.gz|tgz)$/i.test(title)) return { ...layer, kind: { as: 'tar.gz' } };
  if (isOnly && /\.tar$/i.test(title)) return { ...layer, kind: { as: 'tar' } };
  return { ...layer, kind: { as: 'file', path: title } };
}
