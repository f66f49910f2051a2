import type { CrisisPhrases } from '../crisis-phrases.js';

const language = (
  id: string,
  kind: CrisisPhrases['kind'],
  severity: CrisisPhrases['severity'],
  phrases: string[],
): CrisisPhrases => ({
  id: `crisis.${id}`,
  kind,
  severity,
  score: 0.9,
  phrases,
});

const spanish = [
  language('es.passive', 'passive', 1, [
    '(me)? (quiero|quisiera|deseo|ojala|prefiero|preferiria|querria) (me)? (morir|morirme|muriera|estar muerto|estar muerta|desaparecer|no despertar|dormir para siempre)',
    '(ya)? no (quiero|puedo|deseo|aguanto) (seguir)? (vivir|viviendo|vivir mas|existir|estar aqui|seguir|mas vivir|estar vivo|estar viva|la vida|mas)',
    '(no)? (tengo|hay|encuentro|veo) (ganas|razones|motivos|razon|sentido) (de|para|a) (vivir|seguir|seguir viviendo|la vida|mi vida)',
    '(ojala|desearia) (no)? (estuviera|haber) (muerto|muerta|nacido|vivo|viva)',
    '(cansado|cansada|harto|harta) de (vivir|la vida|existir)',
    '(mi vida|la vida|vivir) (ya)? no (tiene sentido|vale la pena|vale nada)',
    '(todos|mi familia|ellos|el mundo) (estaria|estarian|estaran|estaria) mejor sin mi',
  ]),
  language('es.active', 'active', 2, [
    '(quiero|voy a|pienso|pensando en|pensado en|penso en|me quiero|quisiera|ganas de|planeo|intente|intento|trate de|he intentado|idea de|deseos de|me voy a) (a|en|de)? (suicidarme|matarme|quitarme la vida|acabar con mi vida|terminar con mi vida|matar|suicidar|ahorcarme|cortarme las venas|acabar con todo|tirarme (de|por) (un|el|la) (puente|balcon|ventana))',
    '(pensamientos|ideas) (suicidas|de suicidio|de muerte|de matarme)',
    '(me|quiero) (corto|cortarme|lastimarme|hacerme dano|autolesiono|autolesionarme)( los brazos)?',
    '(mi)? (amigo|amiga|hermano|hermana|hijo|hija|pareja|novio|novia) (quiere|dice que quiere|piensa en|va a|dijo que se va a) (suicidarse|matarse|morir|quitarse la vida|morirse|matar)',
    '(mi)? (esposo|marido|novio|papa|padre|padrastro|pareja|mama) me (pega|golpea|viola|maltrata|amenaza|toca)',
  ]),
];
const french = [
  language('fr.passive', 'passive', 1, [
    '(je)? (veux|voudrais|aimerais|souhaite|prefere|preferais|jai envie de|ai envie de|envie de) (juste)? (mourir|etre mort|etre morte|disparaitre|dormir pour toujours|ne plus me reveiller|en finir|crever)',
    '(je)? (ne)? (veux|peux|supporte|souhaite) plus (vivre|continuer a vivre|etre la|exister|etre ici|continuer|la vie|etre en vie)',
    '(pas|plus|aucune|naie plus|jai plus) (de|d)? (envie|raison|raisons|gout) (de|a) (vivre|la vie|continuer)',
    '(fatigue|fatiguee|marre|lasse|ras le bol) de (vivre|la vie|exister)',
    '(ma vie|la vie|vivre) (ne|na)? (vaut|a|sert) (plus|pas) (la peine|le coup|de sens|a rien|aucun sens)',
    '(tout le monde|ma famille|ils|vous) (serait|seraient|seriez|irait|iraient) mieux sans moi',
  ]),
  language('fr.active', 'active', 2, [
    '(veux|vais|voudrais|pense a|penser a|envie de|ai envie de|jai envie de|essaye de|essaie de|songe a|prevois de|tente de|decide de) (me)? (suicider|tuer|me suicider|me tuer|pendre|me pendre|ouvrir les veines|mouvrir les veines|mettre fin a mes jours|en finir avec la vie|en finir|foutre en lair|jeter (sous|du) (un|le) (train|pont|toit))',
    '(pensees|idees|envies) (suicidaires|de suicide|noires de mort)',
    '(je)? (me) (scarifie|mutile|coupe les bras|fais du mal|coupe les veines)',
    '(mon|ma) (ami|amie|frere|soeur|fils|fille|copain|copine|mere|pere) (veut|va|pense a|dit quil veut|dit quelle veut|parle de) (se)? (suicider|tuer|mourir|se suicider|se tuer|en finir)',
    '(mon|ma) (mari|copain|pere|beau pere|mere|conjoint|femme) me (frappe|bat|viole|tape|menace|touche)',
  ]),
];
const german = [
  language('de.passive', 'passive', 1, [
    '(ich)? (will|mochte|wurde gerne|wunschte ich konnte|wurde am liebsten|wollte) (einfach|nur|lieber|am liebsten)? (sterben|tot sein|nicht mehr aufwachen|nicht mehr da sein|verschwinden|fur immer schlafen|nicht mehr existieren|weg sein)',
    '(will|kann|mochte|mag) (ich)? (einfach|so)? nicht (mehr|langer) (mehr)? (leben|weiterleben|da sein|hier sein|existieren|so weiterleben|am leben sein)',
    '(keinen|kein|keine) (grund|sinn|lust|kraft|lebenswillen) (mehr)? (zu leben|im leben|am leben|zum leben|weiterzuleben|mehr zu leben)',
    '(habe|hab) (keinen|kein|keine) (lebensmut|lebenswillen|lebenslust|lebenskraft)( mehr)?',
    '(wunschte|wollte) ich (ware|war) (tot|nie geboren|nicht geboren|nicht mehr da)',
    '(mude|satt) (vom|des|zu) (leben|lebens|leben zu)',
    '(das leben|mein leben) (hat|macht) (keinen|kein) sinn( mehr)?',
    '(alle|meine familie|die welt|ihr) (waren|ware|wart|hatten es) (ohne mich)? besser (dran)?( ohne mich)?',
    'lebensmude',
  ]),
  language('de.active', 'active', 2, [
    '(mich|mir) (umbringen|das leben nehmen|toten|selbst umbringen|das leben zu nehmen|umzubringen|erhangen|erschiessen|aufhangen|vor (den|einen) zug (werfen|schmeissen)|die pulsadern aufschneiden|etwas antun|was antun|ritzen)',
    '(bringe|bring) mich (noch|heute|jetzt|selbst)? um',
    '(denke|nachgedacht|denken|nachdenken|dachte|gedanken) (an|uber) (selbstmord|suizid|den tod|selbsttotung)( nach)?',
    '(selbstmordgedanken|suizidgedanken|suizidal|selbstmordgefahrdet|suizidale gedanken)',
    '(selbstmord|suizid) (begehen|machen|zu begehen)',
    '(ich)? (ritze|schneide|verletze) mich (selbst|wieder)?',
    '(meinem|meinen|mein) leben ein ende (setzen|machen|bereiten|zu setzen)',
    '(schluss|ein ende) machen (mit (allem|dem leben|meinem leben))',
    '(freund|freundin|bruder|schwester|sohn|tochter|mutter|vater) (will|mochte|hat gesagt er will|sagt sie will) sich (umbringen|das leben nehmen|was antun|toten)',
    '(mein|meine) (mann|freund|vater|stiefvater|mutter|frau) (schlagt|misshandelt|vergewaltigt|bedroht|missbraucht) mich',
  ]),
];
const portuguese = [
  language('pt.passive', 'passive', 1, [
    '(eu)? (quero|queria|desejo|gostaria de|prefiro|preferia|vontade de|so quero|so queria) (muito)? (morrer|estar morto|estar morta|sumir|desaparecer|nao acordar|dormir para sempre|sumir para sempre|nao existir)',
    '(ja)? nao (quero|aguento|consigo|suporto) (mais)? (viver|existir|continuar vivendo|estar aqui|viver mais|estar vivo|estar viva|a vida|mais viver|essa vida)( mais)?',
    '(nao)? (tenho|vejo|ha|encontro) (mais)? (vontade|razao|motivo|motivos|sentido|razoes) (de|para|em|pra) (viver|continuar|seguir|continuar vivendo)',
    '(cansado|cansada|farto|farta) (de|da) (viver|vida|existir)',
    '(minha vida|a vida|viver) nao (faz sentido|vale a pena|tem sentido|vale nada)( mais)?',
    '(todos|minha familia|eles|o mundo|todo mundo) (estaria|estariam|ficaria|ficariam|vai ficar|viveriam) melhor sem mim',
  ]),
  language('pt.active', 'active', 2, [
    '(quero|vou|penso em|pensando em|pensado em|pensei em|queria|vontade de|tentei|planejo|planejando|decidi|pretendo) (me)? (me matar|suicidar|me suicidar|matar|tirar minha vida|tirar a minha vida|tirar minha propria vida|acabar com a minha vida|acabar com minha vida|acabar com tudo|enforcar|me enforcar|cortar os pulsos|pular da ponte|pular (de|da) (um|uma)? (ponte|predio|janela)|suicidar me|me cortar)',
    '(penso|pensando|pensei|pensado) (em|no|sobre) (suicidio|morrer|acabar com tudo)',
    '(pensamentos|ideias|ideacao) (suicidas|suicida|de suicidio|de morte|de me matar)',
    '(me corto|me cortar|me cortando|me machuco|me mutilo|me automutilo)',
    '(meu|minha) (amigo|amiga|irmao|irma|filho|filha|namorado|namorada|mae|pai) (quer|disse que quer|fala em|vai|pensa em) (se)? (matar|suicidar|morrer|se matar|se suicidar)',
    '(meu|minha) (marido|namorado|pai|padrasto|mae|companheiro|esposa) me (bate|espanca|estupra|ameaca|agride|toca)',
  ]),
];
const italian = [
  language('it.passive', 'passive', 1, [
    '(io)? (voglio|vorrei|desidero|preferirei|preferisco|voglia di|spero di) (solo|solamente)? (morire|essere morto|essere morta|sparire|scomparire|non svegliarmi|non svegliarmi piu|dormire per sempre|non esistere)',
    'non (voglio|riesco|posso|ce la faccio) (piu)? (a)? (vivere|esistere|continuare a vivere|stare qui|andare avanti|essere qui|esserci|piu vivere|essere viva|essere vivo)( piu)?',
    '(non)? (ho|vedo|trovo|ce) (piu)? (voglia|motivo|ragione|ragioni|senso|motivi) (di|per|nel) (vivere|andare avanti|continuare)',
    '(stanco|stanca|stufo|stufa) (di|della) (vivere|vita|esistere|questa vita)',
    '(la mia vita|la vita|vivere) non (ha|vale|ha piu) (senso|piu senso|la pena|niente|piu la pena)',
    '(tutti|la mia famiglia|il mondo|voi) (starebbe|starebbero|stareste|staranno|sarebbe) meglio senza (di)? me',
  ]),
  language('it.active', 'active', 2, [
    '(voglio|vorrei|penso di|sto pensando di|pensando di|ho pensato di|penso a|ho provato a|ho tentato di|ho deciso di|sto per|intendo|mi voglio|mi vorrei) (uccidermi|suicidarmi|ammazzarmi|togliermi la vita|farla finita|impiccarmi|uccidere|ammazzare|suicidare|tagliarmi le vene|tagliarmi|mettere fine alla mia vita|porre fine alla mia vita|buttarmi (da|sotto|giu) (un|il|dal)? (ponte|treno|balcone)|farmi del male)',
    '(penso|pensando|pensato|pensare) (al|di|sul) (suicidio|farla finita|morire)',
    '(mi) (uccido|ammazzo|taglio|faccio del male|suicido|autolesiono)',
    '(pensieri|idee) (suicidi|suicide|suicidari|di suicidio|di morte)',
    '(mio|mia|il mio|la mia) (amico|amica|fratello|sorella|figlio|figlia|ragazzo|ragazza|madre|padre) (vuole|dice che vuole|ha detto che vuole|pensa di) (uccidersi|suicidarsi|ammazzarsi|morire|togliersi la vita)',
    '(mio|il mio|mia) (marito|ragazzo|padre|patrigno|madre|compagno|moglie) mi (picchia|violenta|minaccia|maltratta|tocca|mena)',
  ]),
];

export const languages: readonly CrisisPhrases[] = [...spanish, ...french, ...german, ...portuguese, ...italian];
