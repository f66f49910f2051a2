/** Words by which a street is known, in the languages whose forms are recognised; parts of patterns. */

export const cap = String.raw`\p{Lu}[\p{L}\p{M}'’.-]{0,24}`;
export const particle = String.raw`(?:de|del|della|dei|delle|degli|di|da|das|do|dos|du|des|la|le|las|les|los|el|al|el-|van|von|der|den|de la|of|the|y|e|et|und|a|au|aux|am|an|im|zum|zur|auf|d'|l')`;
/** "5th", as streets of American towns are called. */
const ordinal = String.raw`\d{1,3}(?:st|nd|rd|th)`;

export const streetName = String.raw`(?:(?:${cap}|${ordinal})(?: (?:${particle} ){0,2}(?:${cap}|${ordinal})){0,4})`;

/** After the name, English: "Main Street". */
export const typeAfter =
  'street|st|avenue|ave|av|road|rd|lane|ln|drive|dr|boulevard|blvd|court|ct|circle|cir|terrace|ter|terr|highway|hwy|parkway|pkwy|place|pl|' +
  'square|sq|trail|trl|way|crescent|cres|close|grove|gardens|gdns|mews|row|walk|hill|park|parade|rise|view|green|alley|aly|loop|turnpike|' +
  'tpke|crossing|xing|crossroad|crossroads|point|pt|ridge|route|rte|expressway|freeway|bypass|causeway|commons|cove|coves|estate|estates|' +
  'extension|falls|ferry|field|fields|flats|ford|forest|forge|fork|forks|fort|gateway|glen|harbor|haven|heights|hts|hollow|inlet|island|islands|' +
  'isle|junction|key|keys|knoll|knolls|lake|lakes|landing|lodge|manor|meadow|meadows|mill|mills|mission|mount|mountain|motorway|neck|orchard|oval|' +
  'overpass|parks|parkways|pass|passage|path|pike|pine|pines|plain|plains|plaza|port|prairie|radial|ramp|ranch|rapid|rapids|rest|ridges|river|' +
  'roads|run|shoal|shore|shores|skyway|spring|springs|spur|spurs|squares|station|stravenue|stream|streets|summit|throughway|trace|track|' +
  'trafficway|tunnel|underpass|union|unions|valley|via|viaduct|village|ville|vista|walks|wall|ways|well|wells|bank|bend|bluff|bottom|branch|' +
  'bridge|brook|brooks|burg|burgs|camp|canyon|cape|center|centers|circles|cliff|cliffs|club|corner|corners|course|courts|creek|crest|curve|dale|dam|' +
  'divide|drives|garden|glens|greens|groves|harbors|hills|light|lights|loaf|lock|locks|mall|stradd|terrasse|str|u|út|utca|tér|ul|ulica|tn|tee|mnt';

/** Of these a street in lower case is made of: "12 oak street". */
export const plainTypeAfter =
  'street|st|avenue|ave|road|rd|lane|ln|drive|boulevard|blvd|court|circle|terrace|highway|hwy|parkway|pkwy|crescent|close|grove|gardens';

/** Before the name: "rue de Rivoli", "Calle Mayor", "Via Roma". */
export const typeBefore =
  'rue|r\\.|avenue|av\\.?|boulevard|bd|place|pl\\.|chemin|allée|allee|impasse|quai|cours|square|route|calle|c/|avenida|avda\\.?|plaza|paseo|pº|camino|carretera|ronda|' +
  'travesía|via|viale|vicolo|piazza|corso|largo|rua|rúa|travessa|alameda|praça|estrada|carrer|passeig|ul\\.|ulica|ulice|al\\.|os\\.|pl\\.|str\\.|strada|bulevardul|calea|odos|λεωφόρος|λεωφ\\.|οδός|jalan|jl\\.|cra|carrera';

/** The end of a word that is a street: "Hauptstraße", "Kungsgatan", "Mellemvej". */
export const typeJoined =
  'stra(?:ß|ss)e|str\\.?|gasse|weg|allee|platz|ring|damm|ufer|steig|graben|chaussee|hof|straat|laan|plein|kade|gracht|dijk|singel|dreef|hof|gatan|gata|gate|gränd|vägen|väg|' +
  'torget|plan|vej|vejen|veien|vegen|veg|vænget|gade|stræde|alle|allé|parken|toften|marken|haven|lien|stien|tien|vegur|gata|götu|braut|holt|stígur|katu|tie|kuja|polku|' +
  'puiestee|maantee|utca|utcája|körút|tér';

/** What stands before an address and says so. */
export const announced =
  /\b(?:address(?:es)?(?: is| are|:)?|lives?(?: at| on| in)?|living (?:at|on)|reside[sd]? (?:at|on)|located (?:at|on|in)|located|office is (?:at|in|on)|offices? (?:is|are) (?:at|in|on)|is at|is on|stay(?:ing)? at|house (?:at|on|is)|home (?:is|at)|moved to|moving to|deliver(?:ed)? to|sen[dt] (?:it )?(?:to|at)|shipp?(?:ed)? to|mail(?:ed)? to|return to|taxi to|meet (?:you|me|us) at|meeting at|side of|corner of|come to|drop (?:me|it) (?:off )?at|pick (?:me|it) up (?:at|from)|it'?s (?:in|at|on)|it is|with|sent to|here they are:?|refers to|linked to|card to|and|and \d{1,5}|street of)[\s:]{0,12}(?:the )?$/i;
