import type { PhraseGroup } from '../../lexicon/lexicon.js';

/** What the words around tell of how a phrase is meant. */
export const contexts = [
  {
    id: 'context.fiction',
    phrases: [
      '(in|of|for|from|about|writing|wrote|write|reading|read|watching|watched|finished|play|playing|quoting) (a|an|the|my|this|that|his|her)? (new|short|latest|crime|horror|favorite|favourite|school|good|whole|entire|old|great|classic|first|second|last)? (novel|story|screenplay|script|movie|film|show|series|episode|scene|song|lyrics|lyric|book|poem|play|opera|musical|anime|manga|comic|fanfic|fanfiction|chapter|character|dnd campaign|campaign|album|documentary|podcast|tragedy|sitcom|drama|quote|fiction|thriller)',
      '(my|the|main|a|this|her|his) (main|fictional|minor|side|villain|title)? (character|protagonist|antagonist|villain|narrator|hero|heroine|novelist|actor|actress|playwright|detective|screenwriter)',
      '(song|movie|film|book|novel|episode|album|track|band|play|poem) (called|titled|named|is called|where|about|says|said|that|lyrics)',
      '(lyrics|romeo and juliet|romeo|juliet|hamlet|ophelia|anna karenina|suicide squad|thirteen reasons why|13 reasons why|shakespeare|season finale|plot twist|screenplay|fanfiction|protagonist)',
      '(role play|roleplay|roleplaying|improv|acting class|in character|rehearsing (a|the|my) (scene|lines))',
    ],
  },
  {
    id: 'context.game',
    phrases: [
      '(in|on|at|of|playing|play|played|finish|beat|beating) (a|an|the|this|that|my)? (new)? (game|video game|level|boss fight|boss|minecraft|fortnite|call of duty|cod|zelda|elden ring|dark souls|valorant|league|roblox|gta|skyrim|overwatch|apex|raid|dungeon|match|lobby|ranked|speedrun|chess|monopoly|round|sims|mario|pokemon|halo|counter strike|dota|warzone|arena|tournament|poker|uno|among us|hitman)',
      '(respawn|respawned|respawning|respawns|npc|npcs|gamer|xp|loot|checkpoint|checkpoints|gg|headshot|headshots|noob|noobs|mob|mobs|zombie|zombies|speedrun|speedrunning|final boss|controller|playthrough|player two|enemy team|killstreak|hit points|health bar|save point|goblin|goblins|orc|orcs|creeper|dragon|video games|video game|imposter|impostor)',
    ],
  },
  {
    id: 'context.sport',
    phrases: [
      '(gym|workout|marathon|training|coach said|squat|squats|deadlift|burpees|leg day|crossfit|penalty|quarterback|goalie|touchdown|inning|innings|playoffs|championship|basketball|football|soccer|tennis|baseball|hockey|boxing|boxer|ufc|wrestling|sparring|the match|opponent|opponents|defense|offense|league|tournament|golf|cycling|rugby|volleyball|swimming practice|skiing|snowboarding|skateboarding|yoga class|treadmill|sprints|suicides|pitcher|batter)',
      '(bungee|skydiving|skydive|parachute|paragliding|cliff diving|diving board|zipline|base jumping|stunt)',
    ],
  },
  {
    id: 'context.technical',
    phrases: [
      '(process|processes|server|daemon|thread|threads|pid|sigkill|sigterm|kubernetes|docker|pod|pods|script|cron|linux|terminal|database|query|compiler|python|javascript|npm|git|branch|repo|firewall|api|timeout|zombie process|battery|app|browser|tab|tabs|cpu|memory leak|deploy|deployment|container|containers|bug|code|build|pipeline|printer|laptop|phone battery|engine|car battery|motor|circuit|garbage collector|shell|command)',
    ],
  },
  {
    id: 'context.news',
    phrases: [
      '(police|officials|according to|reported|reports|authorities|investigators|the suspect|court|trial|jury|prosecutors|the victim|headline|news|article|journalist|reporter|gunman|charged with|sentenced|convicted|documentary|bbc|cnn|reuters|historians|century|in (18|19|20)|world war|cult|bombing|bomber|bombers|attack in|terrorist|celebrity|singer|politician|president)',
    ],
  },
  {
    id: 'context.education',
    phrases: [
      '(prevention|hotline|lifeline|awareness|statistics|rates|rate|risk factors|warning signs|research|study|studies|seminar|training|lecture|textbook|psychology class|curriculum|workshop|guidelines|policy|policies|epidemiology|crisis counselor|course|exam question|essay|paper|thesis|presentation|stigma|screening|assessment|questionnaire|protocol|volunteer|volunteering|mental health professionals|dsm|definition|causes of|phq|treatment of|how to support|how to help|how can i help|how to respond|how to talk|supervisor|evidence|intervention|myth|myths|clinicians|therapists)',
    ],
  },
  {
    id: 'context.accident',
    phrases: [
      '(accidentally|by accident|accident|shaving|cooking|chopping|slicing (onions|vegetables|bread|tomatoes)|kitchen|paper cut|knife slipped|slipped|tripped|fell (off|down|on)|falling off|stove|oven|iron|curling iron|grill|sunburn|hot (pan|coffee|tea|water|oil)|playing|running|lifting|jogging|hiking|gardening|skiing|practice|at the gym|moving furniture|opening a (can|box|package)|box cutter|barbed wire|glass of|broken glass|while (working|building|fixing)|papercut|bagel|avocado|skateboard|bike)',
    ],
  },
  {
    id: 'context.resolved',
    phrases: [
      '(no longer|not anymore|not any more|got better|getting better|got help|am better|much better|doing better|doing well|doing great|recovered|in recovery|recovery|healed|survivor|glad (i|that i)? (am|survived|failed|did not|still|stayed|lived|it did not)|grateful (to be|i|that|for (my|the) (therapist|help|second chance))|happy (to be alive|now|today)|saved my life|thankful|behind me|moved on|past that|past it|overcame|sober|clean for|clean since|years (clean|sober|ago)|those days are (over|behind)|turned (my life|it|things) around|therapy (helped|saved|worked|really)|medication helped|in the past|never felt that way (again|since)|have not (felt|had|cut|done|self|thought|hurt) (that|it|any|myself|so|like|since|in|those|harmed|about)|look back|looking back|used to|am okay now|am fine now|am ok now|life is good|love my life|am stable|long time ago|not since|stronger now|came out the other side)',
    ],
  },
  {
    id: 'context.long-ago',
    phrases: [
      '(years ago|decades ago|year ago|a decade|when (i|he|she) (was|were) (a|an|in|at|young|younger|little|about|around|only|sixteen|fifteen|seventeen|fourteen|thirteen|twelve|eighteen|nineteen|twenty|16|15|17|14|13|12|18|19|20|21|22|11|10|9|8|7|6|5|4|25)|as a (child|kid|teen|teenager|young)|in (high school|college|middle school|my (twenties|teens|thirties|childhood|youth)|the (nineties|eighties|past|army)|university)|back (in|then|when)|long ago|during (college|high school|my (divorce|teens|twenties|childhood))|(in|since) (1990|1995|1998|1999|2000|2001|2002|2003|2004|2005|2006|2007|2008|2009|2010|2011|2012|2013|2014|2015|2016|2017|2018|2019|2020|2021)|at age|at the age|in my past|my childhood|growing up|history of|my teenage years|once when)',
    ],
  },
  {
    id: 'context.current',
    phrases: [
      '(again|lately|these days|right now|tonight|recently|nowadays|coming back|came back|back again|still (want|feel|have|think|thinking|feeling|happening|happens|does|do|hits|abuses|get|there)|returning|returned|getting worse|more and more|this (week|morning|month)|last (night|week|month)|yesterday|every (day|night)|starting to|started (to|having|again)|today i|and now|now i|do not feel safe|getting stronger|not over|want to again|any more i|since (monday|tuesday|yesterday|last)|creeping back|all over again|tempted)',
    ],
  },
  {
    id: 'context.humour',
    phrases: ['(lol|lmao|lmfao|rofl|haha|hahaha|hahahaha|jk|just kidding|xd|so funny|hilarious|hehe|joking|lolol)'],
  },
  {
    id: 'context.trivial',
    phrases: [
      '(homework|spreadsheet|spreadsheets|meeting|meetings|traffic|mondays|monday|commute|dishes|laundry|diet|cardio|this song|the song|line at|long line|wifi|internet|embarrassment|embarrassed|embarrassing|cringe|laughing|laughter|boredom|bored|cuteness|so cute|so hot (in|today|outside)|this heat|hungry|hunger|starving|cravings|chocolate|pizza|taxes|the dentist|spicy|group project|math|calculus|chemistry|exam|exams|finals|midterms|alarm|hangover|secondhand embarrassment|karaoke|customer service|on hold|retail|shift|puns|dad jokes|jokes|essay|deadline|deadlines|paperwork|emails|zoom|in laws visit|small talk|allergies|mosquito|mosquitoes|haircut|my hair|dress|ikea|vacuuming|jet lag|flight delay|group chat|reply all|kids party|autocorrect|shoes|heels)',
    ],
  },
] as const satisfies readonly PhraseGroup[];

export type ContextId = (typeof contexts)[number]['id'];
