import type { Severity } from '../contracts.js';

interface PersonalKind {
  /** 1 says little of a person alone, 6 gives access to money or systems. */
  readonly severity: Severity;
  /** What stands in the text instead. */
  readonly placeholder: string;
  /** Of a quasi-identifier the gate only tells; it is taken out only where a policy asks for it. */
  readonly isRedacted: boolean;
}

const kind = (severity: Severity, word: string, isRedacted = true): PersonalKind => ({
  severity,
  placeholder: `[${word}]`,
  isRedacted,
});

/**
 * What the privacy gate knows. The eighteen identifiers of the HIPAA safe harbour (45 CFR 164.514(b)(2)) are all here, as
 * far as they are text: photographs and fingerprints are not.
 */
export const personalKinds = {
  name: kind(4, 'NAME'),
  address: kind(4, 'ADDRESS'),
  postcode: kind(2, 'POSTCODE'),
  location: kind(2, 'LOCATION'),
  email: kind(4, 'EMAIL'),
  phone: kind(4, 'PHONE'),
  url: kind(3, 'URL'),
  user_name: kind(3, 'USERNAME'),
  ip_address: kind(3, 'IP_ADDRESS'),
  mac_address: kind(3, 'MAC_ADDRESS'),
  device_id: kind(3, 'DEVICE_ID'),
  biometric_id: kind(4, 'BIOMETRIC_ID'),
  credit_card: kind(5, 'CREDIT_CARD'),
  iban: kind(5, 'IBAN'),
  bank_routing: kind(3, 'BANK_ROUTING'),
  bic: kind(2, 'BIC'),
  account: kind(4, 'ACCOUNT'),
  crypto_address: kind(4, 'CRYPTO_ADDRESS'),
  us_ssn: kind(6, 'SSN'),
  us_itin: kind(6, 'ITIN'),
  us_ein: kind(2, 'EIN'),
  uk_nhs: kind(5, 'NHS_NUMBER'),
  uk_nino: kind(5, 'NINO'),
  passport: kind(5, 'PASSPORT'),
  drivers_licence: kind(5, 'DRIVERS_LICENCE'),
  medical_record: kind(5, 'MEDICAL_RECORD'),
  health_plan: kind(5, 'HEALTH_PLAN'),
  case_number: kind(3, 'CASE_NUMBER'),
  certificate: kind(3, 'CERTIFICATE'),
  dea: kind(3, 'DEA_NUMBER'),
  npi: kind(3, 'NPI'),
  vin: kind(3, 'VIN'),
  licence_plate: kind(3, 'LICENCE_PLATE'),
  secret: kind(6, 'SECRET'),
  date_of_birth: kind(4, 'DATE_OF_BIRTH'),
  age_over_89: kind(3, 'AGE'),
  date: kind(2, 'DATE'),
  partial_date: kind(1, 'DATE', false),
  age: kind(1, 'AGE', false),
  employer: kind(1, 'EMPLOYER', false),
  school: kind(1, 'SCHOOL', false),
  role_in_place: kind(1, 'ROLE', false),
} as const satisfies Record<string, PersonalKind>;

export type PersonalType = keyof typeof personalKinds;

/** A span of the privacy gate: offsets as in `Span`, the type one that has a placeholder. */
export interface PersonalSpan {
  readonly type: PersonalType;
  readonly start: number;
  readonly end: number;
}

/** Text that stands for what was taken out. No gate looks into it, or a second redaction would differ from the first. */
export const placeholderPattern: RegExp = new RegExp(
  [...new Set(Object.values(personalKinds).map(({ placeholder }) => placeholder))]
    .map((placeholder) => placeholder.replace('[', String.raw`\[`).replace(']', String.raw`\]`))
    .join('|'),
  'g',
);
