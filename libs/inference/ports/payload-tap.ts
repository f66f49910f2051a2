/** Whose request it is, as records and payload logs keep it. */
export interface RequestHolder {
  readonly tenantId: string;
  readonly projectId: string;
  /** The pseudonym of whom the request is about. */
  readonly subject?: string | undefined;
}

/** A request with its answer. */
export interface TappedPayload {
  requestId: string;
  /** Wall time of the arrival, in milliseconds since 1970. */
  atMs: number;
  endpoint: string;
  version: string;
  tenantId: string;
  subject: string | undefined;
  /** About how much memory it holds. */
  bytes: number;
  /** Makes a JSON value of it, when somebody has the time. */
  content(): unknown;
}

/** Who is interested in payloads, and takes them without holding up a request. */
export interface PayloadTap {
  isOpen(endpoint: string): boolean;
  take(payload: TappedPayload): void;
}
