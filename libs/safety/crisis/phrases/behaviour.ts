import type { CrisisPhrases } from '../crisis-phrases.js';

const attempt: CrisisPhrases = {
  id: 'crisis.attempt',
  kind: 'attempt',
  severity: 6,
  score: 0.95,
  phrases: [
    '(tried|attempted|attempting|trying|tries|almost managed|nearly managed) to (kill @self|end @my (own)? life|take @my (own)? life|hang @self|shoot @self|drown @self|overdose|die|end it all|end it|commit suicide|jump (off|from|in front of)|slit @my (wrists|wrist|throat)|off @self|poison @self)',
    '(almost|nearly) (killed @self|ended @my life|took @my (own)? life|jumped|hung @self|hanged @self|ended it|did it last night|died by suicide|committed suicide|overdosed|pulled the trigger)',
    '(attempted|attempting) suicide',
    '@my (first|last|previous|second|third|latest|most recent|recent|failed)? (suicide)? attempt( failed| did not work)?',
    '(survived|after|since) (a|my|her|his) (suicide)? attempt',
    '(failed|botched) (suicide)? attempt',
    '@i (have|just|already|had)? (overdosed|oded|od)',
    '(have|just|already|she|he|has|did)? (overdosed|oded) (on|again|last|tonight|this|yesterday|two|a)',
    '(took|swallowed|taken|downed|drank|ate) (all|every|a whole bottle|the whole bottle|an entire bottle|the entire bottle|whole bottle|a bunch|a handful|a bottle|too many|way too many|two bottles|most|the rest|a lot|an overdose) (of)? (my|the|these|those|her|his)? @pills',
    '(took|swallowed|taken|downed) (too|way too|so) (many|much) (pills|of them|of my meds)?',
    '(took|swallowed) (the|a|them|it) (whole|entire|full|all)? (bottle|overdose)',
    '(slit|slashed) @my (wrists|wrist|throat)',
    '(cut|opened) @my (wrists|wrist|veins)',
    '(put|had|wrapped|tied) (the|a) (rope|belt|noose|cord|gun) (around|to|in|against) @my (neck|head|mouth|temple)',
    '(woke|wake) up in (the)? (hospital|er|icu|psych ward) after (taking|overdosing|trying|i tried|i took|an overdose|my attempt)',
    '(the rope|the branch|the belt|it) (broke|snapped|did not work) (and|so) (i am still|now i am)',
    'i (already|just) (did it|took them all|took them|drank it)',
  ],
};

const selfHarm: CrisisPhrases = {
  id: 'crisis.self-harm',
  kind: 'self-harm',
  severity: 2,
  score: 0.85,
  phrases: [
    '(cut|cuts|cutting|hurt|hurts|hurting|harm|harms|harming|burn|burns|burning|burned|punish|punishing|scratch|scratching|starving|hitting|hit|injure|injuring|bruise|mutilate|carving|carve|slicing|slice|stab|harmed|scratched|carved) @self',
    '(cut|cuts|cutting|slice|slicing|slit|burn|burning|burned|carve|carving|scratch|scratching) (up|on|into|open)? @my (own)? (arm|arms|thigh|thighs|leg|legs|skin|hip|hips|stomach|flesh|body|forearm|ankles)( open| up| again| to feel| with)?',
    '(self harm|self harming|selfharm|self harmed|self injury|self injure|self mutilation|self harms)',
    '(went|going|go|started|been|back|turned|relapsed|relapse|relapsing|want) (back)? (to|into|on|with)? (cutting|self harm|self harming|burning|sh)( again)?',
    '(urge|urges|need|itching|tempted|craving|want|wants) (to|for) (cut|self harm|hurt myself|bleed|burn|feel the blade|harm)',
    '(the|a|my) (blade|razor|blades|lighter|scissors) (to|on|against|across|into|is calling|calls|calling|feels|helps|in my) (my)? (skin|arm|wrist|thigh|leg|me|name|drawer)?',
    '(punch|punching|hit|hitting|bang|banging|slam|slamming|bash|smash) (my (own)? (head|face|fists|hands|legs|knuckles)) (against|until|into|on|to feel|because|when i)',
    '(scratch|scratching|pick|picking|bite|biting|dig|digging) (myself|my skin|my arms|my nails into my) (until|till) (i|it|they) (bleed|bleeds|bled)',
    '(seeing|watching|see) (my own|my|the) blood (makes|calms|helps|feels|come|is the only|run|relieves)( me)?',
    '(pain|bleeding|cutting|blade|burning) (is the only|is all|helps me|makes me feel|calms me|gives me|feels) (thing|that|cope|feel|something|alive|better|relief|real|good)',
    '(hide|hiding|cover|covering|wear long sleeves to hide|long sleeves to cover) (my|the|her|his|fresh|new) (cuts|scars|burns|self harm scars|fresh cuts)',
    '(fresh|new) (cuts|burns|cut marks|scars) on (my|her|his|their) (arms|arm|thighs|wrists|legs|wrist|thigh|stomach)',
    '(make|made|making) (myself|me) (bleed|throw up to punish)',
    '(want|wants|need|deserve|going) to (suffer and bleed|feel physical pain|bleed|see blood|make myself bleed)',
    'i deserve (the pain|to be hurt|to hurt|to bleed)',
  ],
};

const burden: CrisisPhrases = {
  id: 'crisis.burden',
  kind: 'burden',
  severity: 1,
  score: 0.75,
  phrases: [
    '(@people|world) (would|will|d|might|are|is|could) be (so|much|far|a lot)? (better|happier|relieved|fine|better off|happier off|glad|freer|okay) (off)? (without me|if i (was|were|am) (gone|dead|not here|not around|out of|never born)|if i (died|disappeared|did not exist|vanished|left forever|ended)|when i am (gone|dead))( in it| around)?',
    '(be|am|are|is|would be) (better|happier) off without me',
    'better (off)? without me( around| in it)?',
    '(saying|says|said|thinks|believes|keeps saying) (that)? (we|everyone|they|you|i|the kids) (would be|are|will be) better off without (him|her|them)',
    '(nobody|no one|noone|not a soul|who|not anyone|no body|none of them|hardly anyone) (would|will|d|is going to) (even)? (care|miss me|miss|notice|cry|be sad|come|mourn|give a (damn|shit|fuck)) (if|when|at|that|once)? (i|my|me)? (died|die|was gone|were gone|am gone|disappeared|disappear|killed myself|was dead|vanished|funeral|is gone|were dead|am dead|never woke up)',
    '(i am|am|i feel|feel|feeling|being|been|become|i was|me being) (just)? (a|such a|nothing but a|only a|this) (burden|dead weight|waste of (space|air|oxygen|life|skin)|drain|weight) (to|on|for|and)? @people',
    '(i am|am|feel) (just)? (a|such a|nothing but a|only a) (waste of (space|air|oxygen|life|skin)|burden to everyone|burden on everyone|mistake that|burden and)',
    '(i am|am|feel|being) (nothing but|such|just|only) a burden',
    '(i am|am|feel) (dragging|bringing|holding|weighing) (everyone|everybody|them|my family|my kids) (down|back)',
    '(they|everyone|my family|my kids|my wife|my husband|my parents|nobody|he|she) (does not|do not|would not|will not|wont) (need|have to (deal|worry|put up|carry|take care)|miss) (me|with me|about me|of me) (anymore|any more|if i|when i|once i|around)',
    '(get|be|getting) (out of|free of|rid of) (everyones|everybodys|their|your) (way|hair|lives)( for good| forever)?',
    '(they|everyone|my family|my kids|you|everybody) (would|will|can|could) (be (free|free of me|rid of me)|move on without me|get over it if i|have the (insurance|life insurance))',
    '(worth|worthless) more (dead|to them dead)( than alive)?',
    '(life insurance) (would|will) (help|take care|cover|pay|fix|be enough|set)',
    'i (only|just)? (ruin|ruined|make|poison) everyones (life|lives)( worse)?',
  ],
};

export const behaviour: readonly CrisisPhrases[] = [attempt, selfHarm, burden];
