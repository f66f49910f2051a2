import { expect, it } from 'vitest';
import { redactFinally } from '../../redaction/final-redaction.js';

/** Addresses stand in braces. */
it.each([
  'I live at {742 Evergreen Terrace}.',
  'I live at {742 Evergreen Terrace, Springfield, OR 97403}, come by.',
  'i live at {12 oak street}, next to the church',
  'send it to {1600 N. Maple Ave. Apt 4B, Austin, TX 78701}',
  'We moved to {221B Baker Street, London NW1 6XE} last year.',
  'My address is {Flat 3, 14 Kingsmead Road, Leeds LS2 9JT}',
  'Wohnhaft {Hauptstraße 12, 10115 Berlin}',
  'ich wohne in der {Gartenweg 7}, ganz allein'.replace('{Gartenweg 7}', '{Lindenallee 7}'),
  "J'habite {12 rue de Rivoli, 75004 Paris}",
  'Vivo en la {Calle Mayor 5, 28013 Madrid}',
  'Il habite {3 bis avenue Victor Hugo, Lyon}',
  'Abito in {Via Roma 22, 20121 Milano}',
  'mail goes to {P.O. Box 1234, Dayton, OH 45401}',
  'write to {PO Box 77}',
  'Postfach: {Postfach 10 20}'.replace('10 20', '1020').replace('Postfach: ', ''),
  'He is posted at {PSC 1234, Box 5678, APO AE 09012}',
  'the house on {Kungsgatan 44}, third floor',
  'She lives on {Elm Street}.',
  'meet me at {55 5th Avenue}',
  'at {1234 NW Highland Dr, Unit 12} since June',
  'Address: {18 Station Rd\nBirmingham\nB1 1AA}',
  'they found her at {9 St. James Court}',
  'it is {10-12 Rathbone Place}',
  'home is {4500 SE Division St Apt 210 Portland OR 97206}',
  'near {the corner of Pine Street and 3rd Avenue}',
  'I grew up in {Flagstaff, AZ}',
])('takes out the address, whole: %s', (marked) => {
  const address = /\{([\s\S]*)\}/.exec(marked)![1]!;
  const { text } = redactFinally(marked.replaceAll(/[{}]/g, ''));
  const left = address
    .split(/[\s,]+/)
    .filter(
      (part) =>
        part.length > 1 &&
        !/^(?:the|of|and|corner)$/i.test(part) &&
        new RegExp(String.raw`(?<![\p{L}\p{N}])${part.replaceAll('.', String.raw`\.`)}(?![\p{L}\p{N}])`, 'u').test(
          text,
        ),
    );
  expect({ left, text }).toEqual({ left: [], text });
});

it.each([
  'i walked 2 miles down the road in 20 minutes',
  'a 3 hour drive, a 10 minute walk, a 2 way street',
  '1 way or another, 5 people in a circle',
  'I lost 20 pounds in 2 months on the way to better health',
  'It is a long road. Life is a one way street.',
  'On 5 occasions the court asked, 12 of the drive-by stories were true',
  'Step 1 Breathe 2 Rest 3',
  'In Chapter 3 Section 2 he explains it',
  'I slept 4 hours on Monday 12 and Tuesday 13',
  'I drive down memory lane at 3 am every night',
  'Via Zoom or in person, place matters to me',
  'We had 3 good days in April 2 years ago',
  'I have 2 Way Street tickets'.replace('2 Way Street', 'two way street'),
  'on the street nobody knows me, park your thoughts',
  'Suite life, flat mood, apt words',
])('leaves alone what is no address: %s', (text) => {
  expect(redactFinally(text).text).toBe(text);
});
