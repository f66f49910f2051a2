/** Groups of words that the phrases of the crisis gate share. */
export const crisisNames: Readonly<Record<string, string>> = {
  wantTo:
    '(want|wants|wanted|wanting|need|needs|wish|wishes|ready|longing|desire|desperate|begging|waiting|hoping|praying) to',
  goingTo: '(going|about|planning|plan|plans|decided|intend|intending|trying) to|will|am gonna',
  ofDoing:
    '(thinking|think|thinks|thought|thoughts|considering|contemplating|contemplated|fantasizing|fantasize|daydream|daydreaming|obsessing|dreaming|dream|talking|talks|talked|joking|jokes|threatening) (of|about)?',
  wasDead:
    '(was|were|am|is|be|being|wasnt) (dead|gone)|did not exist|do not exist|had never been born|was never born|were never born|was not (alive|here|around|born)|were not (alive|here|around|born)|could (die|disappear|vanish|stop existing|cease to exist|not wake up|never wake up|sleep forever|fall asleep forever)|would (die|not wake up|never wake up)',
  people:
    '(everyone|everybody|people|they|the world|world|my family|my kids|my children|my wife|my husband|my parents|my friends|my mom|my partner|my boyfriend|my girlfriend|you|all|you all|others|he|she|them|anyone)',
  relation:
    'friend|bestie|brother|sister|mom|mother|dad|father|son|daughter|wife|husband|partner|boyfriend|girlfriend|roommate|cousin|uncle|aunt|niece|nephew|grandma|grandpa|grandmother|grandfather|coworker|colleague|classmate|student|neighbor|neighbour|teammate|ex|child|kid|teen|teenager|client|patient|stepdad|stepfather|stepmom|stepmother|stepbrother|boss|teacher|coach|girl|guy|buddy|mate|twin',
  abuser:
    'he|she|they|husband|wife|boyfriend|girlfriend|partner|ex|dad|father|mom|mother|stepdad|stepfather|stepmom|stepmother|uncle|aunt|brother|stepbrother|sister|cousin|grandfather|grandpa|coach|teacher|boss|parents|caregiver|nurse|priest|pastor|man|neighbor|fiance|son|roommate|foster dad|foster mom|babysitter',
  pills:
    '(pills|tablets|meds|medication|medications|sleeping pills|painkillers|antidepressants|tylenol|paracetamol|xanax|ambien|insulin|opioids|aspirin)',
  height: '(bridge|building|roof|rooftop|balcony|cliff|ledge|overpass|window|tower|parking garage)',
  vehicle: '(train|bus|car|truck|subway|metro|lorry|tram|traffic)',
};
