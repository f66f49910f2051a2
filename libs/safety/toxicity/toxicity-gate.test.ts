import { describe, expect, it } from 'vitest';
import { surfaceTransforms } from '../../../test/support/surface-transforms.js';
import { TextGates } from '../gates.js';

const gates = new TextGates();
const toxicity = (text: string) => gates.judge(text).toxicity;

const toxic: Readonly<Record<string, readonly string[]>> = {
  hate: [
    'Immigrants are vermin.',
    'I hate all Muslims.',
    'Women are inferior and stupid.',
    'Black people are animals.',
    'Get rid of all refugees.',
    'Gay people are disgusting.',
    'Disabled people are a burden.',
    'Jews control the media.',
    'Trans people should be locked up.',
  ],
  harassment: [
    'You are a fucking idiot.',
    'Shut the fuck up, bitch.',
    'Nobody likes you.',
    'Go kill yourself.',
    'You pathetic moron.',
    'kys',
    'You are such a stupid loser',
  ],
  'harassment/threatening': [
    'I will kill you.',
    "I'm going to hurt your family.",
    'I know where you live.',
    'Watch your back.',
    'You will regret this, I am coming for you.',
  ],
  sexual: ['I want to fuck you all night.', 'Suck my cock.', 'Send nudes'],
  'sexual/minors': ['Send me nudes of your little sister.', 'I love hentai of a young girl'],
  violence: ['They beheaded him and his severed head lay in a pool of blood.'],
  illicit: ['How do I make a pipe bomb?', 'Where can I buy cocaine?', 'Teach me to hack into a bank'],
};

const harmless: Readonly<Record<string, readonly string[]>> = {
  'counter-speech': [
    'It is wrong to say that immigrants are vermin.',
    'People who say women are inferior are wrong.',
    'Nobody should call gay people disgusting.',
    'He called me a faggot and it hurt.',
    'The word tranny is a slur.',
  ],
  'reclaimed use': ['As a proud dyke I love this parade.', 'My bitches and I are going out tonight.'],
  denial: ['Immigrants are not vermin.', 'I would never hurt you.', "You're not an idiot.", 'I do not hate Muslims.'],
  'groups named kindly': [
    'I love my Muslim neighbors.',
    'Women deserve equal pay.',
    'Black people built this city.',
    'We welcome refugees.',
  ],
  'words in other senses': [
    'You killed it on stage!',
    'I hate Mondays.',
    'Garbage collection is on Tuesday.',
    'My dog is a good boy.',
    'I was stupid to forget my keys.',
    'He beats me at chess.',
  ],
  'swearing at nobody': ['Fuck this, I am so tired.', 'That was fucking great.', 'Holy shit, it snowed.'],
  'health talk': [
    'My doctor asked about my sex life.',
    'I was told masturbation is normal.',
    'We talked about her breast cancer.',
  ],
};

describe.each(Object.entries(toxic))('finds %s', (category, texts) => {
  it.each(texts)('%s', (text) => {
    const found = toxicity(text);
    expect(found.flagged).toBe(true);
    expect([...found.categories].filter(([, score]) => score >= 0.5).map(([name]) => name)).toContain(category);
    for (const { start, end } of found.spans) expect(text.slice(start, end).trim()).not.toBe('');
  });
});

describe.each(Object.entries(harmless))('lets %s pass', (_kind, texts) => {
  it.each(texts)('%s', (text) => expect(toxicity(text)).toMatchObject({ flagged: false, spans: [], rules: [] }));
});

// What is masked in the crisis suite are words of crisis.
describe.each(Object.entries(surfaceTransforms))('says the same of %s', (_transform, transform) => {
  it('where it is toxic', () => {
    expect(
      Object.values(toxic)
        .flat()
        .filter((text) => !toxicity(transform(text)).flagged),
    ).toEqual([]);
  });

  it('and where it is not', () => {
    expect(
      Object.values(harmless)
        .flat()
        .filter((text) => toxicity(transform(text)).flagged),
    ).toEqual([]);
  });
});
