import { isHelpLine } from './help-lines.js';
import { digit, digitsOf, type StructuredRule, type Surroundings } from './structured-rule.js';

const at = /@|%40/;
const spelt = /[\s([{<](?:dot|punto|punkt)[\s)\]}>]/i;

/** Hosts of help and of authorities: an answer that points to them must reach who needs it. */
const publicHosts =
  /^(?:[\w-]+\.)*(?:gov|gov\.uk|nhs\.uk|who\.int|europa\.eu|988lifeline\.org|suicidepreventionlifeline\.org|samaritans\.org|findahelpline\.com|crisistextline\.org|giveusashout\.org|thetrevorproject\.org|childline\.org\.uk|nami\.org|mind\.org\.uk|rainn\.org|thehotline\.org|befrienders\.org|iasp\.info|lifeline\.org\.au|beyondblue\.org\.au|psychologytoday\.com|wikipedia\.org|mhanational\.org|apa\.org|telefonseelsorge\.de|adaa\.org)$/i;

/** A page of nobody: no query, no user, no number that could be one of a person. */
function isPersonalUrl(url: string): boolean {
  const host = /^(?:https?:\/\/)?([^/?#:]{1,253})/i.exec(url)?.[1] ?? '';
  const path = url.slice(url.indexOf(host) + host.length).replace(/^:\d{1,5}/, '');
  const isPage = /^\/[\w%().-]{2,}/.test(path);
  if (/~|\/(?:u|user|users|profile|profiles|people|in|member|account|invite|meet|j|share)\/|\d{6}/i.test(path))
    return true;
  // The front page of a site may be somebody's own; an article is something to read.
  return (
    (!publicHosts.test(host) && !isPage) || /[?&][\w-]{0,40}(?:user|id|email|token|name|key)[\w-]{0,20}=|@/i.test(url)
  );
}

const phoneWords =
  /(?:\b(?:tel|phone|telephone|call(?:ed|ing)?|cell|mobile|mob|fax|text(?:ed)?|sms|whatsapp|signal|dial(?:led|ed)?|ring|reach(?:ed)?|contact|pager|landline|voicemail|answer(?:ing)?|messages? to|digits|number|line|hotline|extension|handy|telefon|rufnummer|movil|telefono|numero|ph)\b|\b[tmf][.:]|☎|📞|📱)[^\n]{0,44}\n?[^\n]{0,20}$/;
const otherNumberWords =
  /\b(?:card|iban|ssn|social security|account|acct|case|order|isbn|invoice|member|policy|mrn|record|version|score|code|zip|postcode|claim|tracking|serial)\b[^\n]{0,24}$/;
const labelAfter =
  /^[ \t]{0,2}[-–(]?[ \t]{0,2}(?:office|fax|mobile|cell|home|work|tel|phone|direct|landline|handy|\(m\)|\(h\)|\(w\))\b/;

const dateForm =
  /^(?:19|20)\d{2}[-. /](?:0?[1-9]|1[0-2])[-. /]\d{1,2}$|^\d{1,2}[-. /]\d{1,2}[-. /](?:19|20)\d{2}$|^(?:19|20)\d{2} ?[-–/] ?(?:19|20)\d{2}$/;
/** Forms that are nothing else: (212) 555-0123, 212-555-0123, 212 555 0123, 28-64-66-98. */
const telephoneForm =
  /^\(\d{2,5}\)[ .-]?\d{2,4}[ .-]?\d{2,4}|^(?:1[ .-])?[2-9]\d{2}(?<separator>[.-])\d{3}\k<separator>\d{4}(?!\d)|^[2-9]\d{2} \d{3}[ -]\d{4}$|^\d{2}(?<pair>[-.])\d{2}\k<pair>\d{2}\k<pair>\d{2}$/;
/** 0117 496 0123, 0490 75 40 81, 0378 3549890: with the digit of the trunk, nine to twelve in all. */
const trunkForm = /^0\d{1,4}[ .-]\d{2,4}(?:[ .-]?\d{2,4}){1,3}$|^0\d{2,4}[ -]\d{5,7}$/;
const freePhone = /^(?:1?8(?:00|33|44|55|66|77|88)|0?800|0808)/;

function isPhone(value: string, around: Surroundings): boolean {
  const digits = digitsOf(value);
  if (digits.length < 7 || digits.length > 15 || isHelpLine(digits) || dateForm.test(value)) return false;
  if (freePhone.test(digits) && /hot ?line|help ?line|life ?line|crisis/.test(around.before + around.after))
    return false;
  const isOther = otherNumberWords.test(around.before);
  if (labelAfter.test(around.after) || (phoneWords.test(around.before) && !isOther)) return true;
  if (isOther) return false;
  if (/^(?:\+|00)/.test(value)) return digits.length > 8;
  if (telephoneForm.test(value)) return true;
  if (trunkForm.test(value)) return digits.length >= 9 && digits.length <= 12;
  return digits.length <= 11 && /[ .-]/.test(value) && isLineOfItsOwn(around);
}

/** As in a signature. */
const isLineOfItsOwn = ({ before, after }: Surroundings): boolean =>
  /\n[ \t>?*|]{0,6}$/.test(before) && /^[ \t]{0,4}(?:\n|$)/.test(after);

export const contactRules: readonly StructuredRule[] = [
  {
    type: 'url',
    needs: /\.com\/|\.me\/|\.tv\//i,
    pattern:
      /\b(?:https?:\/\/)?(?:www\.|m\.)?(?:facebook|fb|instagram|twitter|x|linkedin|tiktok|snapchat|reddit|t|discord|github|venmo|paypal|twitch|youtube)\.(?:com|me|gg|tv)\/[\w.@%/-]{2,200}(?<![.,])/gi,
  },
  {
    type: 'url',
    needs: /:\/\/|www\./i,
    pattern: /\b(?:https?:\/\/|ftp:\/\/|www\.)[^\s<>"'`[\]{}|\\^]{3,2048}(?<![.,;:!?)])/gi,
    isMeant: isPersonalUrl,
  },
  {
    type: 'email',
    needs: at,
    pattern: /[\p{L}\p{N}._%+'-]{1,64}(?:@|%40)[\p{L}\p{N}-]{1,63}(?:\.[\p{L}\p{N}-]{1,63}){1,8}/gu,
  },
  {
    type: 'email',
    needs: spelt,
    pattern:
      /\b[\p{L}\p{N}._%+-]{1,64} ?(?:[([{<] ?(?:at|@) ?[)\]}>]| at ) ?[\p{L}\p{N}-]{1,63}(?: ?(?:[([{<] ?(?:dot|\.) ?[)\]}>]| dot ) ?[\p{L}]{2,12}){1,3}\b/giu,
  },
  { type: 'user_name', needs: at, pattern: /(?<![\p{L}\p{N}@._%+'/-])@[A-Za-z_][\w.]{1,29}\w(?![@\w])/gu },
  {
    type: 'user_name',
    needs: /user|insta|snap|discord|handle|gamertag|\big\b|tiktok|telegram|login|screen ?name|skype/i,
    pattern:
      /\b(?:user ?name|user ?id|login|screen ?name|handle|gamer ?tag|insta(?:gram)?|ig|snap(?:chat)?|discord|tiktok|telegram|skype)(?: (?:name|handle|id|account))?(?: is| was| ?[:=]) ?["“@]?((?=[A-Za-z_.-]{0,30}[\d_.#])[A-Za-z0-9][\w.#-]{2,38}\w)/gi,
  },
  {
    type: 'phone',
    needs: digit,
    pattern:
      /(?<![\w.+/-])(?:(?:\+|00)\d{1,3}[ ./-]{0,2}(?:\(0\d{0,4}\))?(?:[ ()./-]{0,3}\d){5,13}|\(?\+?\d{1,5}\)?(?:[ /.-]{0,2}\(?\d{2,8}\)?){1,5})(?: ?(?:x|ext\.?|extension) ?\d{1,6})?(?![\d/]|-\d|\.\d)/gi,
    isMeant: isPhone,
  },
];
