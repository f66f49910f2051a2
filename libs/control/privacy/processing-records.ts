import type { ErasureStore } from '#libs/audit';
import type { Database } from '#libs/store';

export interface ProcessingRecordsView {
  generatedAt: Date;
  /** Where personal data may stand, why, by what right and for how long. */
  stores: {
    store: string;
    holds: string;
    purpose: string;
    legalBasis: string;
    retentionDays: number | null;
    protection: string;
  }[];
  /** What requests are processed for: each endpoint with what answers it now. */
  endpoints: {
    endpoint: string;
    model: string;
    versions: EndpointVersion[];
    payloadLog: { reason: string; endsAt: string } | null;
  }[];
  /** Servers elsewhere that get requests, which may be processors of their own (GDPR Art. 28). */
  recipients: { endpoint: string; model: string; version: string; host: string }[];
  /** What only the operator knows. */
  operatorsPart: string[];
}

interface EndpointVersion {
  version: string;
  arm: string;
  weight: number;
  trainedOn: { dataset: string; version: string } | null;
}

const operatorsPart = [
  'name and contact of the controller, of a representative and of the data protection officer (Art. 30(1)(a))',
  'the purposes of each endpoint beyond its name, and the categories of persons (Art. 30(1)(b) and (c))',
  'transfers to third countries and their safeguards, for the recipients listed here (Art. 30(1)(e))',
];

const endpointsSql = `SELECT e.name AS endpoint, e.model,
    COALESCE((SELECT json_agg(json_build_object('version', arm->>'version', 'arm', arm->>'name',
        'weight', (arm->>'weight')::float8, 'trainedOn', m.manifest->'trainedOn') ORDER BY arm->>'name')
      FROM routes r CROSS JOIN jsonb_array_elements(r.arms) AS arm
      LEFT JOIN model_versions m ON m.model = e.model AND m.version = arm->>'version'
      WHERE r.endpoint = e.name AND r.revision = e.revision), '[]') AS versions,
    (SELECT json_build_object('reason', w.reason, 'endsAt', w.ends_at) FROM payload_windows w
      WHERE w.endpoint = e.name AND w.closed_at IS NULL AND w.ends_at > now()) AS "payloadLog"
  FROM endpoints e ORDER BY e.name`;

const recipientsSql = `SELECT DISTINCT e.name AS endpoint, e.model, m.version, substring(target->>'url' FROM '^[a-z]+://([^/?#]+)') AS host
  FROM endpoints e JOIN routes r ON r.endpoint = e.name AND r.revision = e.revision
  CROSS JOIN jsonb_array_elements(r.arms) AS arm
  JOIN model_versions m ON m.model = e.model AND m.version = arm->>'version'
  CROSS JOIN jsonb_array_elements(COALESCE(m.manifest->'remote'->'targets', '[]')) AS target ORDER BY 1, 3, 4`;

/** The records of processing (GDPR Art. 30), made from what is registered at the moment of asking. */
export class ProcessingRecords {
  constructor(
    private readonly database: Database,
    private readonly stores: readonly ErasureStore[],
  ) {}

  async make(): Promise<ProcessingRecordsView> {
    const endpoints = await this.database.query<ProcessingRecordsView['endpoints'][0]>(endpointsSql);
    const recipients = await this.database.query<ProcessingRecordsView['recipients'][0]>(recipientsSql);
    const [clock] = await this.database.query<{ now: Date }>('SELECT now() AS now');
    return {
      generatedAt: clock!.now,
      stores: this.stores.map(({ name, processing }) => ({ store: name, ...processing })),
      endpoints,
      recipients,
      operatorsPart,
    };
  }
}
