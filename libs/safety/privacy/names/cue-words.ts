/** Words that tell what their neighbours are, each line one group; how they are used stands in the recogniser. */

export const titles = [
  'mr mrs ms miss mx dr prof professor doctor sir madam madame lady lord rev reverend fr father pastor rabbi imam bishop',
  'judge justice officer detective sergeant sgt lieutenant lt captain capt major colonel col general nurse coach senator',
  'president herr frau monsieur mme mlle senor senora senorita sr sra don dona signor signora dra hon sheikh',
];

export const relations = [
  'sister brother mother father mom mum dad mommy daddy mama papa husband wife partner girlfriend boyfriend fiance fiancee',
  'son daughter child kid baby stepson stepdaughter stepmother stepfather stepdad stepmom stepsister stepbrother uncle aunt auntie cousin nephew niece',
  'grandmother grandfather grandma grandpa granddad nana nan granny grandson granddaughter friend bestie roommate flatmate',
  'boss manager supervisor coworker colleague teacher therapist counselor counsellor psychiatrist psychologist doctor gp nurse',
  'neighbor neighbour landlord ex bf gf sibling twin spouse mentor sponsor coach client patient pal buddy mate classmate',
  'widow widower bride groom guardian caseworker tutor nanny babysitter godmother godfather lover crush',
];

export const calendar = [
  'january february march april may june july august september october november december',
  'jan feb mar apr jun jul aug sept sep oct nov dec',
  'monday tuesday wednesday thursday friday saturday sunday mon tue tues wed thu thurs fri sat sun',
  'easter christmas halloween thanksgiving hanukkah ramadan diwali passover lent xmas',
];

export const organisations = [
  'inc llc ltd corp corporation company co gmbh plc ag bank university college school hospital clinic church institute',
  'academy foundation association center centre group partners holdings technologies technology solutions systems services',
  'department ministry agency council committee society club team orchestra band theatre theater museum library airport station',
  'hotel restaurant cafe store shop mall park bridge river lake mountain mount island beach bay valley county city town village puerto san santa fort port',
  'street avenue road lane boulevard drive court square place terrace highway freeway tower building house hall stadium arena',
  'union federation party press magazine times post journal news network records studios pictures entertainment games films act',
  'syndrome disease disorder scale inventory test method theory model therapy law effect award prize cup league war treaty',
  'consulting insurance pharma pharmacy airlines motors industries enterprises ventures capital international global media labs',
];

/** A proper noun after one of these is more likely a place than a person. */
export const placePrepositions = [
  'in from near at outside around to via across throughout into through toward towards within',
];

/** A proper noun after one of these is more likely a person than a place. */
export const personPrepositions = [
  'with and told tell called by ask asked met meet love hate miss for about named dear',
];

export const particles = [
  'de del della di da das do dos du la le van von der den ter ten bin ibn al el af av zu y e bint san',
];

export const personVerbs = [
  'said says told tells asked asks thinks thought wants wanted feels felt knows knew came comes went goes called calls',
  'texted texts cried cries laughed laughs left leaves lives lived works worked died loves loved hates hated likes liked',
  'hit hits yelled yells screamed shouted shouts whispered replied answered answers explained reported reports refused refuses admitted',
  'broke moved moves married divorced cheated drinks drank smokes smiled sat walked walks ran helped helps visited visits',
  'makes made took takes gave gives kept keeps stayed stays started starts stopped stops tried tries needs needed',
  'invited accused blamed blames hurt hurts hugged kissed promised agreed suggested recommended mentioned picked showed shows',
  'listed directed wrote writes sang sings plays played won flew drove met denied denies states stated presented presents attended',
  'began begins became becomes joined taught teaches raised used opened turned looked talked talks spoke speaks died deserves arrived',
  'appears appeared seems seemed reminded reminds insists insisted believes believed expressed describes described passed',
];

/** Only people do these, so that even "Hope" and "Will" before them are names. */
export const speechVerbs = [
  'said says told tells asked asks texted texts yelled yells screamed shouted shouts whispered replied replies answered called calls messaged emailed phoned',
];

export const stateVerbs = [
  'is was has had isn wasn does did doesn didn will would can could should might won wouldn hasn and',
];

/** Capitalised in good writing, yet no person: languages, drugs, brands, methods, and what starts sentences of chats. */
export const neverNames = [
  'god lord jesus christ allah buddha bible quran koran english spanish french german italian russian chinese japanese american',
  'british european asian african indian muslim christian catholic jewish hindu buddhist protestant mormon satan devil heaven',
  'facebook google instagram twitter snapchat tiktok youtube netflix zoom whatsapp reddit skype amazon tinder uber lyft',
  'iphone ipad android xbox playstation nintendo windows microsoft apple spotify discord twitch linkedin pinterest fitbit headspace',
  'prozac zoloft lexapro xanax klonopin ativan wellbutrin lithium lamictal seroquel abilify adderall ritalin vyvanse ambien effexor',
  'celexa cymbalta paxil remeron trazodone buspar valium sertraline fluoxetine escitalopram citalopram bupropion venlafaxine',
  'duloxetine quetiapine aripiprazole olanzapine risperidone lamotrigine clonazepam lorazepam alprazolam diazepam propranolol',
  'naltrexone suboxone methadone melatonin tylenol advil ibuprofen covid corona internet emdr cbt dbt ptsd adhd ocd',
  'gestalt rogerian jungian freudian adlerian socratic pavlovian adler freud jung maslow pavlov piaget skinner erikson myers briggs',
  'alzheimer parkinson asperger aspergers tourette hodgkin crohn down samaritans childline lifeline google alexa siri cortana',
  'ok okay yes yeah yep nope hey hi hello hiya thanks thx please sorry lol omg wow idk btw tbh imo imho haha hahaha ugh hmm',
  'namaste amen hallelujah ciao bonjour hola merci gracias salut danke cheers congrats kudos bravo',
  'ive im ill id dont doesnt didnt cant wont isnt wasnt arent werent havent hasnt hadnt couldnt wouldnt shouldnt youre theyre',
  'thats whats hes shes its lets theres heres whos alot aswell gonna wanna gotta kinda sorta dunno lemme gimme coz cuz',
  'unfortunately alternatively mindfulness selfcare codependency codependent narcissist narcissistic gaslighting gaslight ghosted',
  'anon anonymous admin user bot assistant therapist client patient counselor counsellor trainee coach caller speaker interviewer',
  'doordash grubhub airbnb ebay paypal venmo walmart costco starbucks mcdonalds wifi bluetooth usb pdf email online chatgpt openai',
  'dbh lpc lpcc lcpc lmsw lmac lcsw lmft lmhc licsw ncc mft psyd phd msw lmhca cadc cbt lpcs edd mba bsc std stds faq ceo cfo usa uk eu nyc',
  'pero un una unos ella ello esta este esto eso nada durante dios tu le les el al hoy para bien muy otra otro otros otras primer poder hacer cada mucho yo asi niña nina consejero consejera psiquiatra terapia mas como cuando porque',
  'por que con sin los las del ser estar donde quien todo todos tambien entonces ahora aqui si no lo mi su sus ya nos eres soy es era',
  'estados unidos texas missouri ohio utah iowa idaho oregon nevada kansas oklahoma nebraska louisiana arkansas tennessee kentucky',
  'michigan minnesota wisconsin illinois indiana pennsylvania massachusetts connecticut delaware maryland maine vermont hawaii alaska',
  'france spain germany italy canada mexico brazil greece turkey egypt nigeria pakistan denmark sweden norway finland poland hungary',
  'iceland portugal slovenia croatia estonia latvia lithuania cyprus austria switzerland belgium netherlands uruguay tunisia morocco',
  'date fax website web phone tel mobile office subject re note notes answer question address street avenue link source summary plan goal',
  'math maths minecraft fortnite roblox hulu meetup chase wells fargo bumble hinge grindr disney tesla bitcoin anon alanon',
  'depressive ted talk talks santa barbie hollywood gucci omega christians transgender bipolar earplugs goodbyes unbalance oftentimes incase aplenzin',
  'irish scottish welsh dutch greek polish mexican canadian australian turkish arab latino latina hispanic danish swedish norwegian finnish',
  'hungarian czech romanian ukrainian brazilian portuguese korean vietnamese filipino filipina thai persian iranian iraqi syrian israeli',
  'egyptian nigerian kenyan somali pakistani bangladeshi nepali cuban colombian argentinian swiss austrian belgian serbian croatian bosnian',
  'viagra cialis buspirone metformin insulin benadryl nyquil adipex chantix app apps podcast',
  'north south east west northern southern eastern western america europe asia africa australia',
];

/** Given names that are places as often: after a preposition of place they are none of ours. */
export const alsoPlaces = [
  'paris austin georgia virginia carolina dakota florence savannah sydney adelaide brooklyn madison jordan israel kenya chad',
  'india china dallas houston phoenix denver cheyenne charlotte aurora asia america africa london chelsea lincoln jackson',
  'washington orlando santiago sofia verona vienna siena milan lourdes alexandria cairo memphis montana nevada raleigh',
  'montgomery troy trenton lorraine devon wales york ireland holland french england scotland britain cleveland alabama arizona florida',
  'texas california oregon boston chicago seattle cuba malaysia roma odessa valencia zaragoza bristol jersey kent kingston',
  'berlin hamburg essen bonn salem eugene helena pierre concord albany columbia cordoba',
];

/** Words first and names second, also with a verb behind them: "Hope is what keeps me going". */
export const virtues = [
  'hope faith joy grace mercy patience will may mark bill harmony serenity charity destiny liberty honor prudence felicity',
  'chance love trust peace art rose dawn heaven angel miracle star sky summer autumn winter spring precious blessing wisdom',
  'true honest earnest rich drew rusty happy lucky sunny stormy lonely young old long short small strong good best bright wise',
  'in on an so do no he my to be or as at we us it of by if am go go up see man son sun son page rain river ocean guy gay major',
  'early late can price cost pain hurt less more most many much even ever never always sometimes maybe perhaps just still',
  'said see say says saw given let little less like look made make mind moody mean need new next nice now once one only open',
  'than thank that the their them then there these they this those though time today too tell take talk think thing what when',
  'where which while who why with would you your about after again all also and another any are because been before being both',
  'but come could did does down each first for from get give has have her here him his how into its know last life live deal',
  'marry self please kind king queen prince pope bishop dean judge baby child brother sister angel doll honey sugar candy',
];

/** Given names of some people, but in English text nearly always something else. */
export const weakGivenNames = [
  'see an my so do in lot main person mind care let day say says sleep case best ever ill sad mad yoga reiki zen karma pilates tai',
];

/** Too short for the list of frequent names, and yet no words. */
export const shortGivenNames = ['amy eva zoe mia ian joe tim ben kim liz meg ava lea leo jen jon ted abe deb'];

export const determiners = ['the a an this these those my your his her our their its some any each every another no'];

export const greetings = [
  'hi hello hey dear hiya greetings morning afternoon evening thanks thank bye goodbye welcome sorry hola bonjour hallo',
];

/** What stands before a colon with a name behind it. */
export const labels = [
  'name patient client from to cc bcc attn attention contact user customer guardian author signed sincerely regards cheers sender',
  'recipient therapist counselor counsellor clinician provider physician interviewer caller fullname firstname lastname surname',
  'beneficiary insured employee student applicant witness parent participant by address',
];
