import type { CrisisPhrases } from '../crisis-phrases.js';

const hurt =
  '(kill|killing|murder|murdering|stab|stabbing|shoot|shooting|strangle|strangling|choke|choking|hurt|hurting|harm|harming|poison|poisoning|attack|beat up|slaughter|slit the throat of|behead|burn alive|bash|smother|drown|run over)';
const victims =
  '(him|her|them|someone|somebody|people|everyone|everybody|others|a person|my (wife|husband|boyfriend|girlfriend|partner|ex|mom|mother|dad|father|parents|stepdad|stepmom|boss|coworker|coworkers|neighbor|neighbors|brother|sister|kids|children|son|daughter|baby|family|roommate|teacher|classmates|bully|bullies|ex wife|ex husband|landlord|therapist|uncle|supervisor)|the (baby|kids|kid who|guy who|man who|people who|person who|woman who|boy who|girl who)|that (man|guy|woman|bastard|bitch|kid))';

const harmToOthers: CrisisPhrases = {
  id: 'crisis.harm-to-others',
  kind: 'harm-to-others',
  severity: 4,
  score: 0.85,
  phrases: [
    `(want|wants|wanted|going|planning|plan|plans|need|decided|about|tempted|urge|ready|trying|threatening|threatened|threatens) to ${hurt} ${victims}`,
    `(i|he|she|they) (will|might|could) ${hurt} ${victims}( if| before| tonight| one day)?`,
    `(i|he|she|they) said (he|she|they) (would|will|wants to|is going to) ${hurt} ${victims}`,
    `(thinking|think|thought|thoughts|fantasizing|fantasize|fantasies|fantasy|dreaming|daydream|urges|images|planning|plans|visions|obsessed|intrusive thoughts) (of|about|with) ${hurt} ${victims}`,
    '(homicidal|homicidal thoughts|homicidal ideation)',
    '(shoot|shooting|blow|blowing|bomb|bombing|burn|burning) up (my|the|a|our|this) (school|workplace|office|church|mosque|synagogue|mall|place|work|class|hospital)',
    '(bring|bringing|brought|take|taking) (a|my|the|his|dads|my dads) (gun|knife|weapon|rifle) to (school|work|class|the office|church)',
    '(make|making) (them|everyone|him|her|them all) (all)? pay (for what|with their|in blood|tomorrow|with blood)',
    '(take|taking) (everyone|them|him|her|as many|some of them|people) (out|down|as possible)? (with me|with us|before i go|when i go)',
    '(voice|voices) (tell|telling|tells|say|says|saying|want) (me)? (to)? (hurt|kill|stab|attack|harm) (people|him|her|them|someone|my (mom|dad|wife|husband|baby|family|brother|sister)|others|everyone)',
    '(afraid|scared|worried|terrified) (that)? (i|of|he|she) (will|might|may|could|am going to|hurting|is going to|harming) (hurt|harm|kill|snap and hurt|lose control and hurt|drop|shake|smother|stab)? (my|the|him|her|them|someone|people) (baby|son|daughter|kids|child|wife|husband)?( one day)?',
    '(i|he|she) (want|wants|wanted) (him|her|them) (dead|to die|to suffer and die|gone for good)( and i)?',
    '(buying|bought|loading|got|have) (a|the|my) (gun|knife|rifle|weapon) (to (kill|shoot|stab|hurt|use on)|for) (him|her|them|my (ex|wife|husband|boss|dad|neighbor))',
    '(school|mass) shooting (tomorrow|at my|i am|plan|i want|will)',
    '(i am|i will|going to|gonna) (do|be the next) (a)? (school shooting|mass shooting|columbine|shooter)',
    '(shake|shaking|shook) (the|my) baby',
    '(hurt|hurting|killed|kill) (the|my|our|her|his) (dog|cat|cats|animals) (because|and i|to see|it felt|for fun|and (he|she|they) (liked|laughed))',
  ],
};

const hits =
  '(hits|hit|beats|beat|chokes|choked|slaps|slapped|kicks|kicked|punches|punched|strangles|strangled|rapes|raped|molests|molested|whips|whipped|burns|burned|shoves|shoved|assaulted|assaults|abuses|abused|attacked|attacks|hurts|hurting|hitting|beating|abusing|molesting|raping|choking|slapping|punching|kicking|burning|pushed|pushes|threw|throws|drugged|drugs|threatens|threatened|grabs|grabbed)';

const abuse: CrisisPhrases = {
  id: 'crisis.abuse',
  kind: 'abuse',
  severity: 3,
  score: 0.8,
  phrases: [
    `@abuser (sometimes|still|always|often|keeps|has been|is|was|has|just|regularly|started|used to|will|would|again|violently|physically|sexually|got drunk and|gets drunk and|comes home drunk and)? ${hits} (me|my (mom|mother|sister|brother|kids|son|daughter|face|little sister|little brother|baby|siblings)|us|her kids|his kids|his wife|his girlfriend|her son|their kids|the kids|the baby) (again|when|until|if|and|every|last|with|against|in|so|because|at night|tonight|almost|for|around|up|after|whenever|while|on|to|sexually|physically|yesterday|today|down|across|almost every|hard)?`,
    `@abuser (sometimes|still|always|keeps|is|has|just)? (hits|beats|beating|hitting|chokes|choked|strangles|strangled|rapes|raped|molests|molested|abuses|abusing|slaps) (her|him|them) (at night|when|every|with|again|until|and|because|at home|after|if|if (she|he))`,
    `(he|she|they|husband|boyfriend|dad|stepdad|wife|ex|father) (said|says|told me|threatened|threatens|swears|keeps saying|swore|keeps threatening) (that|me)? (he|she|they|to) (would|will|is going to|are going to)? (kill|hurt|shoot|stab|beat|find and kill|burn) (me|us|my (kids|family|mom|dog)|the kids|my)`,
    '(threatened|threatens|threatening|tried|trying) to (kill|strangle|choke|stab|shoot|rape|burn|drown|suffocate) me',
    '(touches|touched|touching|fondles|fondled|fondling|gropes|groped|feels me|touch) (me|her|him|my|my daughter|my sister) (down there|in (places|ways)|at night|where|inappropriately|private|privates|private parts|when (no one|nobody|mom|my mom|everyone)|under|while i|in my sleep|without my|and (says|told|tells)|sexually|between|there|again|chest|breasts|body)',
    '(forces|forced|forcing|makes|made|making|pressured|pressures|coerced) (me|her|my sister) (to|into|in to) (have sex|sex|touch|sleep with|undress|take off|do sexual things|perform|watch porn|send|sell|take my clothes|do stuff|do things|kiss|prostitute|marry|have an abortion|touching)( him| his| nudes| pictures| i do not want| with him| my clothes)?',
    '(comes|came|coming|sneaks|snuck|climbs|gets|crawls) (into|in) (my|her|the) (room|bed|bedroom|childs room) (at night|when|and|every|while|drunk|again|after)',
    '(am|is|are|been|i keep|keeps|keep) (being|getting)? (abused|beaten|molested|raped|groomed|sexually abused|physically abused|sexually assaulted|stalked by|trafficked|blackmailed|tortured|held against|starved|beaten up) (by|at home|every|again|daily|my|for|when|and)',
    '(i was|i got|was|got|he|she was) (raped|molested|sexually assaulted|sexually abused|drugged|gang raped|groomed|trafficked|roofied|date raped)',
    '(raped|molested|sexually assaulted|sexually abused|groped|assaulted) me',
    '(afraid|scared|terrified|fear|frightened) (to go home|of going home|of my (husband|boyfriend|wife|dad|father|stepdad|partner|ex|mom|brother|uncle)|of what (he|she|they|my) (will|might|would)|he (will|is going to|might|would)|she will (hurt|kill)|for my (life|safety|kids)|to leave him|(he|my dad|my husband) will (kill|hurt|beat|hit))( do| hurt| kill)?( me)?',
    '(will|would|does|do|wont|can) not (let|allow) (me|her) (leave|go|out of|see my (family|friends)|eat|use (the|my) (phone|bathroom)|talk to|have (a|my) phone|have money|sleep|to leave|to eat|to see|to work|outside)( the house| home| anyone| my)?',
    '(locks|locked|locking|keeps|kept|chained|ties|tied) (me|her|us|him) (in|inside|up|locked|out|to) (the|a|my|her)? (room|house|basement|closet|bathroom|bed|garage|attic|in|up|away)',
    '(controls|takes|took|checks|monitors) (all)? my (money|phone|every move|passport|papers|documents) (and|so|away|so i)( will not| threatens| hits| can not| i can not)?',
    '(bruises|bruise|black eye|marks|burn marks|handprint) (on|from|all over|where) (my|her|his|he|she|the|where) (arms|face|body|neck|legs|back|hit|hits|beating|beatings|grabbed|throat|belt)?( from)?',
    '(hide|hiding|cover|covering|cover up|lie about) (the|my|her) (bruises|black eye|marks he|bruise)( with)?',
    '(our|a|my) (little|special)? secret (he|uncle|coach|says|said|told|and if i tell|if i tell|or (he|else))',
    '(told|tells|said|says|warned) (me|her)? (not to tell|never to tell|to keep it (a)? secret|no one would believe|nobody would believe|if i tell|if i told|i can not tell|it is our secret)( anyone| anybody| mom| me)?',
    '(stepdad|dad|father|uncle|coach|brother|stepbrother|grandpa|teacher|cousin|priest|babysitter|pastor|moms boyfriend) (does|did|makes me do|made me do|wants me to do|has been doing|shows me|showed me|asks me for|watches me|keeps watching me|touches me|touched me|kisses me|kissed me|takes pictures of me|is touching me|was touching me|put his|puts his) (things|bad things|stuff|something|sexual|porn|nudes|in the shower|his (hand|hands|penis|fingers)|hand|hands|undress|naked)',
    '(i do not|i dont|do not) feel safe (at home|in my (own)? (home|house)|with (him|my (husband|boyfriend|dad|partner|father|stepdad|wife|mom))|around (him|my (husband|dad|uncle|stepdad|brother|boyfriend))|here with)',
    '(my|her|his|their) (parents|mom|dad|mother|father|stepmom|stepdad|husband|wife|boyfriend) (is|are|was|gets|get|can be|has been|became) (physically|sexually|very|really|so)? (abusive|violent|abusing me|hurting me|violent with|violent when|beating)( to me| toward| towards| with me| when)?',
    '(he|she|they|dad|mom) (do|does|did) not (feed|give me food|let me eat|give us food)( me| us)?',
    '(lock|pin|pinned|held|holds|hold) me down (and|so|while)',
    '(he|ex|man|guy) (is|keeps|will not stop|has been) (stalking|following|threatening) me( home| everywhere| and)?',
  ],
};

const danger: CrisisPhrases = {
  id: 'crisis.danger',
  kind: 'danger',
  severity: 5,
  score: 0.85,
  phrases: [
    '(he|she|someone|they|husband|ex|boyfriend|a man|my dad|somebody) (has|got|is outside with|is here with|pulled|is holding|is waving|came with|is pointing) (a|the|his) (gun|knife|weapon|bat|machete|axe) (and|to|at|on|in|right|outside|pointed|against)?( me| my)?',
    '(someone|somebody|a man|he|they) (is|are) (breaking|trying to break|broke) (in|into|down) (my|the|right|to my)?( house| door| home)?',
    '(bleeding|blood) (a lot|badly|everywhere|heavily|and it will not stop|will not stop|wont stop|too much)',
    '(can|could) not (stop|get) the (bleeding|blood)( to stop)?',
    '(not|stopped|barely|hardly|isnt) (breathing|responding|waking up|conscious) (and|after|help|what|anymore|she|he|since)',
    '(is|he is|she is|they are) (unconscious|not responsive|unresponsive|turning blue|choking on)',
    '(he|she|they|my (husband|boyfriend|dad|ex)) (is|are) (going to|about to|gonna|trying to|coming to) (kill|shoot|stab|strangle) (me|us) (tonight|right now|please|help|if|he|i|when|and)?',
    '(being|been|am being) (held|kept|taken) (hostage|captive|against my will|prisoner|kidnapped)',
    '(kidnapped|abducted) (me|and|by)',
  ],
};

const completed: CrisisPhrases = {
  id: 'crisis.completed',
  kind: 'completed',
  severity: 0,
  score: 0.1,
  phrases: [
    '(killed|shot|hung|hanged|drowned|poisoned) @self',
    '(took|ended) @my (own)? life',
    '(died|death|deaths|lost|loss|gone|passed) (by|from|to|of|due to) (suicide|overdose|an overdose)',
    '(committed|completed) suicide',
    '(brother|sister|mom|mother|dad|father|friend|son|daughter|uncle|aunt|cousin|husband|wife|brothers|sisters|moms|mothers|dads|fathers|friends|sons|daughters|husbands|wifes) suicide',
  ],
};

export const others: readonly CrisisPhrases[] = [harmToOthers, abuse, danger, completed];
