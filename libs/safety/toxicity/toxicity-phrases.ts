import type { PhraseGroup } from '../lexicon/lexicon.js';

/** The parts that the rules put together: a group and a degrading word make hate, an insult and a person harassment. */
export type ToxicKind =
  | 'group'
  | 'slur'
  | 'degrading'
  | 'hatred'
  | 'insult'
  | 'mild-insult'
  | 'profanity'
  | 'threat'
  | 'incitement'
  | 'sexual'
  | 'sexual-mild'
  | 'minor'
  | 'violence'
  | 'illicit'
  | 'counter'
  | 'reclaimed';

export interface ToxicPhrases extends PhraseGroup {
  readonly kind: ToxicKind;
}

const lines = (kind: ToxicKind, ...phrases: string[]): ToxicPhrases => ({
  id: `toxicity.${kind}`,
  kind,
  phrases,
  keepsFillers: true,
});

export const toxicNames: Readonly<Record<string, string>> = {
  hurt: '(kill|murder|stab|shoot|strangle|choke|hurt|beat|beat up|slaughter|destroy|rape|end|punch|smash|kick|hang|burn|skin|gut|hunt|bash|knock out|break|find and kill|hunt down|kick the shit out of|beat the shit out of|beat the hell out of|fuck up|curb stomp|lynch|behead)',
  vile: '(stupid|dumb|fucking|fuckin|ugly|fat|worthless|pathetic|disgusting|useless|ignorant|lazy|filthy|dirty|lying|little|retarded|sick|vile|nasty|piece of shit|sad|crazy|braindead|spineless|miserable|damn|goddamn|bloody|old|absolute|total|complete|entitled|racist|brainwashed)',
};

export const toxicPhrases: readonly ToxicPhrases[] = [
  lines(
    'group',
    '(women|woman|females|girls|feminists|men|gays|gay people|gay men|gay|lesbians|lesbian|homosexuals|homosexual|bisexuals|trans people|transgender people|trans women|trans men|transgenders|transgender|transsexuals|queer people|queers|lgbt people)',
    '(black people|blacks|black men|black women|black folks|africans|african americans|asians|asian people|chinese|chinese people|japanese|koreans|indians|pakistanis|mexicans|latinos|latinas|hispanics|arabs|arab people|white people|whites|native americans|aboriginals|gypsies|roma people|romani|turks|poles|foreigners|brown people|people of color|nigerians|somalis|haitians)',
    '(muslims|muslim|muslim people|jews|jew|jewish people|the jews|christians|catholics|hindus|sikhs|buddhists|atheists|mormons|islam|judaism|muslim women)',
    '(immigrants|immigrant|migrants|refugees|asylum seekers|illegals|illegal immigrants|illegal aliens)',
    '(disabled people|the disabled|disabled|cripples|autistic people|autistics|autistic|deaf people|blind people|mentally ill people|the mentally ill|people with down syndrome|people with disabilities|wheelchair users|elderly people|old people|homeless people)',
  ),
  lines(
    'slur',
    '(nigger|niggers|nigga|niggas|niggaz|kike|kikes|spic|spics|wetback|wetbacks|beaner|beaners|chink|chinks|gook|gooks|paki|pakis|raghead|ragheads|towelhead|towelheads|sandnigger|sandniggers|sand nigger|sand niggers|camel jockey|coon|coons|jigaboo|porch monkey|wog|wogs|golliwog|tranny|trannies|shemale|faggot|faggots|fag|fags|dyke|dykes|homo|homos|retard|retards|retarded|mongoloid|spaz|kaffir|kaffirs|muzzie|muzzies|muzrat|zipperhead|jungle bunny|darkie|darkies|redskin|squaw|gyppo|gyppos|pikey|pikeys|troon|troons|feminazi|feminazis|libtard|libtards|whitey|curry muncher|mudslime|mudslimes|christkiller|yid|yids|polack|polacks|wop|dago|white trash|negro|negroes)',
  ),
  lines(
    'degrading',
    '(vermin|subhuman|subhumans|sub human|animals|animal|parasites|parasite|cockroaches|cockroach|rats|scum|filth|trash|garbage|monkeys|monkey|apes|ape|pigs|dogs|insects|plague|disease|cancer|virus|leeches|savages|savage|barbarians|barbaric|inferior|worthless|disgusting|dirty|filthy|ugly|stupid|dumb|lazy|criminals|thieves|rapists|terrorists|terrorist|pedophiles|perverts|degenerates|degenerate|evil|abomination|abominations|freaks|freak|mentally ill|sick|unnatural|repulsive|revolting|gross|uncivilized|invaders|scroungers|liars|greedy|whores|sluts|bitches|idiots|morons|primitive|brainless|useless|a burden|a joke|a threat|a mistake|not human|not people|not real (women|men|people)|less than human|the worst|the enemy|sinners|demons|pests|pest|lowlifes|dishonest|violent|dangerous|backwards|inbred|retarded|weak|hysterical|drug dealers|murderers|manipulative|shit|fucked up|pieces of shit|a piece of shit|bloodsuckers|snakes|swine|incompetent|scary|smelly|stinking|lesser|beneath us|property|objects|destroying (this|our|the) country|ruining (this|our|the|everything)|taking over|out of control|go back to (where|their|your)|do not belong( here)?|does not belong|should (not be allowed|not exist|not have rights|not vote|be banned|be shot|be killed|be deported|be locked up|be gassed|be hanged|be put down|be exterminated|be sterilized|be eliminated|be wiped out|all die|die|burn|stay in the kitchen|know their place|be removed|be kept away|shut up|be ashamed|be raped|be beaten|go back|leave|not be here)|deserve to (die|suffer|be (killed|raped|beaten|shot|hurt|punished|deported))|need to (die|be (killed|exterminated|deported|wiped out|eliminated|put down|stopped|shot)|go back|leave|know their place|go)|must (die|be (killed|exterminated|wiped out|stopped|eliminated)|go)|have no (place|right|brain|brains|rights|morals|soul)|can not (drive|think|be trusted|be cured)|belong in (the kitchen|a zoo|jail|prison|cages|ovens|hell|camps|gas chambers|an asylum|a cage)|control (the (media|world|banks)|everything|hollywood)|only want our (money|jobs)|steal (our|everything)|are all the same|(make|makes) me (sick|want to (vomit|puke)|throw up)|disgust me|disgusts me)',
  ),
  lines(
    'hatred',
    '(hate|hates|despise|despises|loathe|loathes|can not stand|detest|detests|fuck|screw|kill|kill all|kill every|exterminate|exterminate all|gas|gas the|gas all|deport|deport all|eradicate|wipe out|wipe out all|get rid of|get rid of all|burn all|shoot all|hang all|lynch|lynch all|rape|death to|death to all|ban|ban all|no more|destroy|round up|round up all|lock up all|sterilize|cleanse|fucking|damn|goddamn|bloody|filthy|dirty|stinking|smelly|disgusting|stupid|lazy|subhuman|vile|worthless|punch|beat|beat up|never trust|never hire|do not trust|do not hire|keep out|stop) (all|every|the|these|those|them|this|a|any|you|you people|those people|fucking|damn|goddamn|bloody|filthy|dirty|stinking|disgusting|stupid|all the|all those|all these)? (fucking|damn|filthy|dirty|stupid|disgusting)?',
  ),
  lines(
    'insult',
    '(bitch|bitches|bastard|bastards|asshole|assholes|arsehole|cunt|cunts|motherfucker|motherfuckers|motherfucking|mother fucker|mother fuckers|mofo|fucker|fuckers|dickhead|dickheads|dick head|prick|pricks|wanker|wankers|twat|twats|douche|douchebag|douchebags|scumbag|scumbags|shithead|shitheads|dumbass|dumbasses|dumb ass|jackass|jackasses|whore|whores|slut|sluts|skank|hoe|hoes|thot|cocksucker|cocksuckers|cock sucker|dipshit|dipshits|shitbag|fuckface|fuckwit|fucktard|piece of (shit|crap|trash|garbage)|pieces of shit|pos|son of a bitch|sons of bitches|sob|asshat|asswipe|bellend|tosser|arse|pussy|pussies|cuck|cucks|simp|simps|incel|incels|imbecile|imbeciles|cretin|cretins|degenerate|degenerates|subhuman|vermin|pedo|pedos|pedophile|groomer|groomers|nazi|nazis|shitlib|bootlicker|bootlickers|clown ass|shitstain|crackhead|crackheads|inbred|inbreds|scum|lowlife|lowlifes|trash human|waste of (space|oxygen|air|skin|sperm)|human garbage|disgrace to|worthless (piece|human|person|loser|trash|garbage)|nutjob|psycho bitch)',
    '(go (fuck|screw|kill|hang|drown|shoot) (yourself|yourselves|your self|urself)|fuck (you|u|off|him|her|them|these|those|this guy|this bitch|that guy|yourself|ya|all of you|all yall|yall|every one of you|everyone|trump|biden)|screw you|eat shit|suck my (dick|cock|balls)|suck a dick|kiss my ass|kys|kill (yourself|yourselves|your self)|drop dead|rot in hell|burn in hell|go to hell|shut (the fuck|the hell|your (fucking|damn|stupid|ugly)? (mouth|face|pie hole|trap)|ur mouth|tf)? up|stfu|gtfo|foad|die in a (fire|hole|ditch)|choke on (it|a)|get fucked|nobody (likes|loves|wants) you|everyone hates you|your (mother|mom|mum) (is|was) a|no one (likes|loves|wants) you|you should (die|kill yourself|be (shot|hanged|ashamed|killed|raped)|never have been born|jump off)|you deserve to (die|suffer|rot)|hope (you|u|he|she|they) (all)? (die|dies|rot|rots|suffer|suffers|get cancer|gets cancer|burn|burns|choke|get raped|get hit|never wake)|world would be better (off)? without you|do (us|the world|everyone) a favor and (die|kill|leave|disappear|jump))',
  ),
  lines(
    'mild-insult',
    '(idiot|idiots|idiotic|moron|morons|moronic|loser|losers|stupid|dumb|fool|fools|pathetic|clown|clowns|trash|garbage|disgusting|ugly|creep|creeps|creepy|freak|freaks|weirdo|weirdos|brainless|braindead|brain dead|lunatic|lunatics|psycho|pig|pigs|rat|rats|snake|liar|liars|coward|cowards|nutcase|airhead|ignorant|worthless|useless|dummy|dummies|dunce|hypocrite|hypocrites|hag|hags|karen|karens|sheep|fatass|fat ass|fatty|lardass|gross|repulsive|vile|evil|racist|racists|bigot|bigots|sicko|sickos|nasty|dirtbag|traitor|traitors|crook|crooks|scammer|parasite|parasites|low life|bimbo|dimwit|nitwit|halfwit|jerk|jerks|crybaby|snowflake|snowflakes|troll|trolls|delusional|demented|insane|deranged|shitty|crappy|monster|sleazy|sleazebag|slimy|filthy|disgrace|joke of a|embarrassment|ass|asses|dick|dicks|suck|sucks|thug|thugs|maggot|maggots|turd|turds|goof|bozo|punk|punks|brat|hillbilly|hillbillies|redneck|rednecks|boomer|communist|commie|commies|fascist|fascists|terrorist|terrorists|animals|animal)',
  ),
  lines(
    'profanity',
    '(fuck|fucks|fucked|fucking|fuckin|fking|fkn|fk|fuk|effing|shit|shits|shitty|bullshit|horseshit|crap|damn|goddamn|god damn|bollocks|piss|pissed|pissing|ass|asses|bloody hell|wtf|tf|bs|dick|cock|balls|tits|hell|fcking|fck|fuckery|shitshow|clusterfuck|goddamned|arsed|bugger|badass)',
  ),
  lines(
    'threat',
    '(i|we|they|he|she|someone) (will|am going to|are going to|is going to|should|might|am about to|can|would) (personally|come|find you and|come over and|come to your house and|hunt you down and|love to|gladly|happily|come and)? @hurt (you|u|your (family|kids|mother|wife|children|face|mom|house|dog|ass|head|teeth|legs|neck)|every one of you|all of you|you all|yall)',
    '(going|want|wanna|want to|need|gonna|come|coming|ready) to? @hurt (you|u|your (family|kids|mother|face|children|ass|head|teeth|neck|house)|all of you)',
    '(i|we) (know|found|have) (out)? (where you (live|work|sleep|park)|where your (kids|family|children|mother) (live|go|lives|goes|sleep)|your address|your home address)( and)?',
    '(watch|better watch) your back',
    '(you|u) (will|are going to|gonna|better|shall) (pay for (this|that|what)|regret (this|that|it|being|crossing|ever)|be (sorry|dead|next|killed|shot)|die (soon|tonight|for this|slowly|screaming|in pain|like)|bleed|suffer for|wish you (were|had)|get what is coming|not live|not see tomorrow|sleep with the fishes|burn for|end up (dead|in a (ditch|hospital|grave|coffin)))',
    '(you are|your|ur|u r) (a dead (man|woman|girl|boy|bitch)|dead meat|so dead|a dead man walking|next on my list|as good as dead)',
    '(i am|we are|he is) (coming|outside|on my way|waiting|hunting) (for|to kill|to get|to find) (you|your family|all of you)',
    '(put|putting) a bullet (in|through) (your|his|her|their) (head|skull|brain)',
    '(snap|break|slit|cut|wring) your (neck|throat|legs|arms|fingers|balls off|head off|tongue out)',
    '(beat|kick|punch|slap|smack|knock) (the|your|u|you) (shit|hell|crap|living|ass|teeth|face|head|brains|lights) (out of|in|up|off|into) (you|the)?',
    '(next time i see you|when i (find|see|get|catch) (you|my hands on you)|if i (ever)? (see|find|catch) you) (i|you|again|alone|near|on)( will| are| i| you)? (will|am|are|dead|kill|going|hurt|beat|you)?',
    '(leave|stop|shut up|delete|pay|confess|quit|drop (it|this|the)) (or|or else) (i|we|you|your (family|kids)) (will|am|are|die|dies|get|kill)',
    '(deserves|deserve|needs|ought) to be (shot|hanged|killed|executed|lynched|stabbed|beaten|raped|burned|beheaded|assassinated|strung up)',
    '(someone|somebody|they) should (shoot|kill|hang|execute|lynch|assassinate|beat|stab|put down|rape|burn) (him|her|them|these|those|this|that|you|the|all)',
    '(should|ought to|must|need to|needs to) (all)? be (shot|hanged|executed|lynched|gassed|put down|exterminated|beheaded|assassinated|slaughtered|killed)',
    '(bomb|burn down|blow up|shoot up) (the|your|their|that|this) (mosque|church|synagogue|school|office|house|building|temple|store|clinic|headquarters)',
  ),
  lines(
    'incitement',
    '(kill|hang|shoot|slaughter|murder|execute|behead|burn|gas|exterminate|lynch) (them|all of them|em|every one of them|every last one|the lot of them|all those|all these) (all)?',
    '(start|time for|need|want|let us have|bring on) (a|the|another)? (race war|holy war|genocide|ethnic cleansing|holocaust|purge|final solution)( again)?',
    '(hitler|the holocaust|the nazis|stalin) (was|were|did|had) (right|not finish|the right idea|nothing wrong|should have finished|good|a hero)',
    '(heil hitler|sieg heil|white power|gas the|1488|race traitor|race traitors|white genocide|great replacement|blood and soil|jews will not replace us|14 words)',
  ),
  lines(
    'sexual',
    '(blowjob|blow job|blowjobs|handjob|hand job|deepthroat|gangbang|gang bang|cumshot|cum|cumming|creampie|rimjob|dildo|dildos|pornhub|hentai|milf|milfs|jerk off|jerking off|wank|fingering|clit|boner|horny|fellatio|cunnilingus|bdsm|bukkake|nudes|nude pics|dick pic|dick pics|sexting|erotica|fuck me|fuck my|fuck her|fuck him|fucked her|fucked him|fucks her|suck (my|his|your|her) (dick|cock|tits|nipples)|sucked (his|my|her)|(my|his|her|your) (throbbing|hard|wet|tight|huge|dripping|erect)? (cock|pussy|penis|vagina|nipples|tits|asshole|cunt)|(lick|licked|licks|licking|pounded|pounding|thrust|thrusting|thrusts|penetrate|penetrated|moaned|moaning|straddled|straddling) (me|her|him|my|his|into|as|it|with|in|against)|sex (with (me|you|her|him|my)|scene|toy|toys|slave|tape|chat)|spread (her|your|my) legs|take off (your|her) (clothes|bra|panties|shirt|underwear)|send (me)? (nudes|a nude|naked|pics of your)|want to (fuck|bang|sleep with|have sex with|bone) (you|her|him|me))',
  ),
  lines(
    'sexual-mild',
    '(porn|porno|orgasm|orgasms|masturbate|masturbating|masturbation|anal sex|oral sex|erection|threesome|sex|sexy|sexual|naked|nude|nudity|boobs|breasts|penis|vagina|nipples|panties|lingerie|stripper|strip club|prostitute|prostitutes|escort|escorts|kinky|fetish|fetishes|make love|making love|seduce|seduced|undressed|undressing|aroused|lust|touch (me|you|her|him) (there|between)|in bed with|slept with|genitals|bra|thong|hooker|hookers|foreplay|intercourse|molest|molested|molesting|groped|fondled|fondling|rape|raped)',
  ),
  lines(
    'minor',
    '(child|children|minor|minors|underage|underaged|preteen|preteens|toddler|toddlers|infant|baby girl|baby boy|schoolgirl|schoolgirls|schoolboy|schoolboys|little (girl|boy|girls|boys|sister|brother)|young (girl|boy|girls|boys)|(seven|eight|nine|ten|eleven|twelve|thirteen|fourteen|fifteen|sixteen|5|6|7|8|9|10|11|12|13|14|15|16) (years old|year old|yo|yr old|yrs old)|loli|lolita|shota|jailbait|cp|kid|kids|teen girl|middle schooler|daughter|granddaughter|niece|stepdaughter|(5|6|7|8|9|10|11|12|13|14|15|16)yo|pedo|girl scout)',
  ),
  lines(
    'violence',
    '(behead|beheaded|beheading|decapitate|decapitated|decapitation|dismember|dismembered|disembowel|disemboweled|disembowelled|eviscerate|eviscerated|mutilate|mutilated|mutilating|gore|gory|massacre|massacred|slaughtered|slaughtering|bludgeoned|impaled|torture|tortured|torturing|skinned alive|burned alive|burn alive|gouged|guts spilled|intestines|entrails|brains splattered|blood splattered|pool of blood|severed (head|hand|arm|limb|finger|fingers|leg)|slit (his|her|their) (throat|throats)|stabbed (him|her|them|to death|repeatedly|in)|shot (him|her|them) (in|dead|point)|beat (him|her) to death|beaten to death|strangled (him|her)|bashed (his|her) (head|skull)|crushed (his|her) skull|ripped (his|her|off|out)|blood (gushed|gushing|spurted|sprayed|pouring|everywhere)|murdered|execute (him|her|them|prisoners)|lynching|hacked to (death|pieces)|torn apart|rotting corpse|corpses|mangled|genocide|ethnic cleansing)',
  ),
  lines(
    'illicit',
    '(how (to|do i|do you|can i|would i|could i)|help me|teach me (to|how to)?|steps to|instructions (to|for)|guide to|show me how to|tell me how to|best way to|ways to|recipe for|i want to|where (can|do) i) (safely|quickly|secretly|cheaply)? (make|build|cook|synthesize|construct|create|buy|get|manufacture|assemble|produce|3d print|making|building|cooking) (a|an|some|my own|homemade|illegal|crystal|untraceable)? (bomb|pipe bomb|explosive|explosives|molotov|meth|methamphetamine|crystal meth|cocaine|crack|heroin|fentanyl|lsd|mdma|ghost gun|silencer|ricin|nerve gas|napalm|fake id|fake ids|fake passport|counterfeit money|credit card numbers|stolen credit cards|ransomware|malware|keylogger|virus|botnet|poison|chemical weapon|biological weapon|sarin|illegal gun|gun without|drugs)',
    '(how (to|do i|do you|can i)|help me|teach me (to|how to)?|steps to|guide to|show me how to|tell me how to|best way to|ways to|i want to) (hack|break into|hotwire|steal|shoplift|launder|rob|forge|counterfeit|smuggle|pick the lock|bypass|cheat|evade|get away with|blackmail|extort|kidnap|poison|stalk|dispose of|hide a body|hide the body|clone|phish|ddos|scam|embezzle|commit|traffic|deal) (into (a|someones|my|her|his|their)|someone|somebody|money|drugs|taxes|credit|murder|fraud|cars|identity|insurance|a bank|stores|weapons|humans|from (a|the) (store|stores|shop)|a car|a (persons|strangers)|someones)',
    '(buy|sell|selling|buying|score|get|order|need) (some|a|an|cheap|illegal|pure)? (cocaine|heroin|meth|fentanyl|crack|stolen (cards|credit cards|cars|goods|accounts)|fake (ids|passports|documents)|counterfeit|untraceable gun|hacked accounts|molly|ecstasy|credit card dumps|child porn)',
    '(launder|laundering) (my|the|this|drug|some|dirty)? money',
    '(dispose of|get rid of|hide|bury|dissolve) (a|the|his|her) (dead)? body',
    'get away with (murder|it|killing|stealing|fraud|theft|rape)',
  ),
  lines(
    'counter',
    '(it is (wrong|not ok|not okay|unacceptable|racist|sexist|hateful|hate speech|homophobic|offensive|never ok|disgusting|ignorant|horrible|terrible|hurtful|harmful) (to|when|that|how)|(do not|never|stop|should not|shouldnt|nobody should|no one should|people who|anyone who|whoever|if you|please do not) (say|says|call|calls|calling|saying|use|using|think|thinks|believe|believes|saying that|write|claim)|(racist|sexist|homophobic|hateful|offensive|hurtful|ignorant|bigoted|transphobic|disgusting) (to|thing to|to say|comment|remarks|remark|comments|slur|term|word|language|statement|idea)|(called|calls|calling|call) (me|him|her|us|them|my (friend|brother|sister|son|daughter|kid|mom|wife|husband)) (a|an|the)?|the (word|slur|term|phrase|n word)|hate speech|(condemn|condemns|condemned|reject|denounce|denounced|reported|report|banned for|not true that|false that|myth that|disagree|unacceptable|stereotype|stereotypes|debunk|appalled|shocked that|sick of hearing|tired of hearing|fight against|stand against|standing up|speak out|victim of|survivors|slogans|propaganda|chanted|yelled at|shouted at))',
  ),
  lines(
    'reclaimed',
    '((i am|as|being|we are|proud to be|proud) (a|an)? (proud|happy|queer|gay|black|trans|fat|disabled|self proclaimed|out and proud)? (queer|gay|dyke|lesbian|bitch|black|trans|faggot|fag|tranny|jew|muslim|nigga|crip|bisexual|homo|slut|autistic|immigrant)|my (niggas|nigga|bitches|bitch|dykes|queers|fellow|fag|homo)|(us|we|fellow) (queers|dykes|fags|niggas|bitches|gays|trannies|homos)|boss bitch|bad bitch|basic bitch|resting bitch)',
  ),
];
