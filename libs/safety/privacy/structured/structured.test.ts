import { expect, it } from 'vitest';
import { personalKinds, type PersonalType } from '../personal-kinds.js';
import { findPersonal } from '../privacy-gate.js';

/** Kind, what stands around it with `@@` for it, and the ways in which it is written. */
const found: readonly (readonly [PersonalType, string, readonly string[]])[] = [
  [
    'email',
    'you can write to @@ any time',
    [
      'jane.doe@example.com',
      "o'neil+x@mail.example.co.uk",
      'jane%40example.com',
      'müller@bücher.example',
      'JANE@EXAMPLE.ORG',
    ],
  ],
  [
    'email',
    'it is @@, thanks',
    ['jane at example dot com', 'jane [at] example [dot] com', 'jane.doe(at)example(dot)co(dot)uk'],
  ],
  [
    'phone',
    'you can call me on @@ after six',
    [
      '(212) 555-0173',
      '212-555-0173',
      '212.555.0173',
      '212 555 0173',
      '2125550173',
      '+1 212 555 0173',
      '+44 7700 900123',
      '07700 900123',
      '020 7946 0018',
      '+49 30 901820',
      '0049 30 901820',
      '+33 1 70 18 12 34',
      '01 70 18 12 34',
      '+46 (0)8 928 571 38',
      '555-0142',
      '071 554 27 18',
      '212-555-0173 ext. 12',
    ],
  ],
  ['phone', 'hi @@ is where i am', ['(212) 555-0173', '212-555-0173', '+44 7700 900123', '0117 496 0123']],
  [
    'url',
    'my page is @@',
    [
      'https://www.jane-doe.example/',
      'http://facebook.com/jane.doe.77',
      'instagram.com/jane_doe',
      'https://example.com/app?user_id=8812',
      'https://example.com/users/8812',
    ],
  ],
  ['user_name', 'find me, @@, there', ['@jane_doe77', '@jdoe.art']],
  [
    'ip_address',
    'it came from @@ last night',
    [
      '198.51.100.23',
      '10.0.12.7',
      '2001:db8::8a2e:370:7334',
      '2001:0db8:0000:0000:0000:8a2e:0370:7334',
      'fe80::1ff:fe23:4567:890a',
    ],
  ],
  ['mac_address', 'the laptop is @@', ['00:1B:44:11:3A:B7', '00-1b-44-11-3a-b7', '001b.4411.3ab7']],
  [
    'device_id',
    'phone says IMEI @@',
    ['IMEI 490154203237518', '123e4567-e89b-42d3-a456-426614174000'].map((text) => text.replace('IMEI ', '')),
  ],
  [
    'credit_card',
    'i paid with @@ yesterday',
    [
      '4111 1111 1111 1111',
      '4111-1111-1111-1111',
      '4111111111111111',
      '378282246310005',
      '3782 822463 10005',
      '5555555555554444',
      '6011111111111117',
      '30569309025904',
      '3530111333300000',
      '2223003122003222',
    ],
  ],
  ['credit_card', 'the card number is @@', ['4111 1111 1111 1112', '501864667909', '4047737215142']],
  [
    'iban',
    'send it to @@ please',
    [
      'DE89 3704 0044 0532 0130 00',
      'GB82WEST12345698765432',
      'gb82west12345698765432',
      'FR14 2004 1010 0505 0001 3M02 606',
      'NL91ABNA0417164300',
    ],
  ],
  ['us_ssn', 'here: @@', ['219-09-9999', '219 09 9999']],
  ['us_ssn', 'my social security number is @@', ['219099999', '219-09-9999', '219.09.9999', '900-12-3456']],
  ['us_itin', 'on the form it says @@', ['912-70-1234', '999-88-1234']],
  ['us_ein', 'our EIN is @@', ['12-3456789', '123456789']],
  ['uk_nhs', 'my NHS number is @@', ['943 476 5919', '9434765919', '943-476-5919']],
  ['uk_nino', 'it says @@ on the payslip', ['QQ123456C'.replace('QQ', 'AB'), 'AB 12 34 56 C', 'ab123456c']],
  ['passport', 'my passport number is @@', ['C01X00T47', '533380006', 'X1234567']],
  ['passport', 'passport @@ expired', ['533380006', 'L898902C3']],
  [
    'drivers_licence',
    "my driver's license number is @@",
    ['D1234567', 'S530-4211-1234-56', '2270-66-1551', 'MORGA657054SM9IJ'],
  ],
  ['drivers_licence', 'driving licence: @@', ['MORGA657054SM9IJ', 'D12345678']],
  [
    'medical_record',
    'the @@ is mine',
    ['MRN 00456721', 'MRN: 4567210', 'medical record number 88-34-12', 'patient id 12345678'].map((text) => text),
  ],
  [
    'health_plan',
    'my @@, they said',
    ['member ID: XEA123456789', 'policy number HX-77812', 'Medicare number 1EG4-TE5-MK73', 'insurance id 88123456'],
  ],
  [
    'account',
    'my @@ is overdrawn',
    ['account number 000123456789', 'account 12345678', 'acct. no. 12-345-678', 'customer number 778812'],
  ],
  [
    'case_number',
    'about @@ again',
    ['case number 2021-CV-00123', 'case no. 19-44321', 'docket #CR-2020-5512', 'claim number 77812345'],
  ],
  [
    'certificate',
    'it is on my @@',
    ['license number 887123', 'badge number 4471', 'student id 20334455', 'employee ID: E10442'],
  ],
  ['biometric_id', 'the @@ failed', ['fingerprint id 99812-33']],
  ['dea', 'the script has @@', ['AB1234563', 'MF1234563'.replace('1234563', '1234563')]],
  ['npi', 'her NPI is @@', ['1234567893', '1245319599']],
  ['vin', 'the car is @@', ['1HGCM82633A004352', '1M8GDM9AXKP042788']],
  ['vin', 'VIN: @@', ['WVWZZZ1JZ3W386752']],
  ['licence_plate', 'license plate @@', ['7ABC123', 'KX09 ZZZ', 'B-MW 1234']],
  ['bank_routing', 'routing number @@', ['021000021', '0210-0002-1']],
  ['bank_routing', 'sort code @@', ['12-34-56', '123456']],
  ['bic', 'the SWIFT code is @@', ['DEUTDEFF', 'DEUTDEFF500', 'NWBKGB2L']],
  [
    'crypto_address',
    'send it to @@',
    [
      '1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa',
      '3J98t1WpEZ73CNmQviecrnyiWrnqRhWNLy',
      'bc1qar0srrr7xfkvy5l643lydnw9re59gtzzwf5mdq',
      '0x52908400098527886E0F7030069857D2E4169EE7',
    ],
  ],
  [
    'date_of_birth',
    'i was born on @@',
    [
      '3/14/1985',
      '14.03.1985',
      '1985-03-14',
      'March 14, 1985',
      '14 March 1985',
      '14th of March 1985',
      'March 14',
      '3/14/85',
    ],
  ],
  ['date_of_birth', 'DOB: @@', ['03/14/1985', '14-03-1985']],
  ['age_over_89', 'my nan is @@ years old', ['92', '90', '101']],
  [
    'date',
    'it happened on @@ at home',
    ['3/14/2021', '14.03.2021', '2021-03-14', 'March 14, 2021', '14 March 2021', '3/14/21'],
  ],
  [
    'secret',
    'the key is @@',
    [
      'sk-proj-abcdefghij1234567890',
      'ghp_abcdefghijklmnopqrstuvwxyz0123456789',
      'AKIAIOSFODNN7EXAMPLE',
      'eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl',
      '-----BEGIN RSA PRIVATE KEY-----\nMIIEow\n-----END RSA PRIVATE KEY-----',
    ],
  ],
  ['secret', 'my password is @@', ['hunter2!', 'hunter2', 'Tr0ub4dor&3']],
  ['postcode', 'it is @@ there', ['SW1A 1AA', 'M1 1AE']],
  ['postcode', 'my zip code is @@', ['90210', '35350', '90210-1234']],
];

it.each(found.flatMap(([type, around, values]) => values.map((value) => [type, around, value] as const)))(
  'finds a %s: "%s" with %s',
  (type, around, value) => {
    const text = around.replace('@@', value);
    const start = text.indexOf(value);
    const end = start + value.length;
    const spans = findPersonal(text).filter((span) => personalKinds[span.type].isRedacted);
    const covered = (at: number): boolean => spans.some((span) => span.start <= at && at < span.end);
    // A label that is written into the value ("MRN 123") stays: only what has a digit or an "@" must go.
    const first =
      /member|policy|medicare|insurance|account|acct|customer|case|docket|claim|license|badge|student|employee|fingerprint|medical|patient|mrn/i.test(
        value,
      )
        ? start + value.search(/\d|(?<=[ :#])[A-Z]{1,3}[-\d]/)
        : start;
    const missed = Array.from({ length: end - first }, (_, index) => first + index).filter((at) => !covered(at));
    expect({ missed: missed.map((at) => text[at]).join(''), types: spans.map((span) => span.type) }).toEqual({
      missed: '',
      types: expect.arrayContaining([type]) as unknown,
    });
  },
);

it.each([
  'version 1.2.3.4 of the app came out, then 10.15.7',
  'the book has ISBN 978-3-16-148410-0 and ISBN 0306406152',
  'twelve times 12 is 144, and 1000 minus 7 is 993',
  'i scored 21-19 and then 15-21, they won 3-2',
  'the final was 102-98 after overtime',
  'i sleep from 23:15:00 to 6:30, some nights 3-4 hours',
  'we have been together for 12 years, 1999-2011',
  'on a scale of 1 to 10 i am at 3 or 4, yesterday 7/10',
  'it costs 1,250.00 a month, $45 a session, 20 % off',
  'i take 150 mg in the morning and 300 mg at night',
  'read chapter 12, section 3.4.1, page 210',
  'she may go in june or august, maybe in may',
  'call 988 or text HOME to 741741, in the UK 116 123',
  'you can reach Samaritans on 116 123 or Lifeline on 13 11 14',
  'the lifeline is 1-800-273-8255, day and night',
  'see https://988lifeline.org/ or https://www.samaritans.org/how-we-can-help/',
  'i am 35, my son is 7, my mum is 61 years old',
  'there were 90 people and i waited 95 minutes, 110 percent sure',
  'in 2020 and 2021 i felt worse, since 2019 really',
  'i have 3 cats, 2 dogs and 1000000 worries',
  'the number one rule, case in point, is to account for time',
  'my account of what happened differs from his',
  'pi is 3.14159265358979 and e is 2.718281828',
  'step 1: breathe. step 2: count 5 4 3 2 1. step 3: again',
  'the code is red, the password is something i forgot',
  'it was 40-50 degrees, 100 km/h, 24/7',
  'i do 4-7-8 breathing, 5-4-3-2-1 grounding',
  'episode S02E05 was great, the A4 paper and the B12 vitamin too',
  'my plan is to walk 10000 steps a day and group 3 of them',
])('leaves alone what only looks like one: %s', (text) => {
  expect(findPersonal(text).filter(({ type }) => personalKinds[type].isRedacted)).toEqual([]);
});
