"""Adjectives, verbs, numbers and times of the translation grammar, in five languages.

Leaves out: nouns (lexicon_nouns.py) and how sentences are made (translation.py).
"""

from __future__ import annotations

from typing import Final

# English | German stem | French masculine, feminine and their plurals | Spanish masculine,
# feminine, plurals | Italian the same. A "+" before the French form puts it before the noun.
# What an adjective may describe is its class.
ADJECTIVE_LINES: Final[dict[str, str]] = {
    "colour": """
        red|rot|rouge rouge rouges rouges|rojo roja rojos rojas|rosso rossa rossi rosse
        green|grün|vert verte verts vertes|verde verde verdes verdes|verde verde verdi verdi
        blue|blau|bleu bleue bleus bleues|azul azul azules azules|blu blu blu blu
        yellow|gelb|jaune jaune jaunes jaunes|amarillo amarilla amarillos amarillas|giallo gialla gialli gialle
        black|schwarz|noir noire noirs noires|negro negra negros negras|nero nera neri nere
        white|weiß|blanc blanche blancs blanches|blanco blanca blancos blancas|bianco bianca bianchi bianche
        brown|braun|marron marron marron marron|marrón marrón marrones marrones|marrone marrone marroni marroni
        grey|grau|gris grise gris grises|gris gris grises grises|grigio grigia grigi grigie
    """,
    "any": """
        small|klein|+petit petite petits petites|pequeño pequeña pequeños pequeñas|piccolo piccola piccoli piccole
        large|groß|+grand grande grands grandes|grande grande grandes grandes|grande grande grandi grandi
        strange|seltsam|étrange étrange étranges étranges|extraño extraña extraños extrañas|strano strana strani strane
        beautiful|schön|+beau belle beaux belles|hermoso hermosa hermosos hermosas|bello bella belli belle
        famous|berühmt|célèbre célèbre célèbres célèbres|famoso famosa famosos famosas|famoso famosa famosi famose
    """,
    "being": """
        young|jung|+jeune jeune jeunes jeunes|joven joven jóvenes jóvenes|giovane giovane giovani giovani
        happy|glücklich|heureux heureuse heureux heureuses|feliz feliz felices felices|felice felice felici felici
        sad|traurig|triste triste tristes tristes|triste triste tristes tristes|triste triste tristi tristi
        tired|müde/müd|fatigué fatiguée fatigués fatiguées|cansado cansada cansados cansadas|stanco stanca stanchi stanche
        hungry|hungrig|affamé affamée affamés affamées|hambriento hambrienta hambrientos hambrientas|affamato affamata affamati affamate
        strong|stark|fort forte forts fortes|fuerte fuerte fuertes fuertes|forte forte forti forti
        weak|schwach|faible faible faibles faibles|débil débil débiles débiles|debole debole deboli deboli
        sick|krank|malade malade malades malades|enfermo enferma enfermos enfermas|malato malata malati malate
        quiet|still|silencieux silencieuse silencieux silencieuses|silencioso silenciosa silenciosos silenciosas|silenzioso silenziosa silenziosi silenziose
        brave|mutig|courageux courageuse courageux courageuses|valiente valiente valientes valientes|coraggioso coraggiosa coraggiosi coraggiose
    """,
    "human": """
        rich|reich|riche riche riches riches|rico rica ricos ricas|ricco ricca ricchi ricche
        polite|höflich|poli polie polis polies|educado educada educados educadas|educato educata educati educate
        clever|klug|intelligent intelligente intelligents intelligentes|inteligente inteligente inteligentes inteligentes|intelligente intelligente intelligenti intelligenti
    """,
    "food": """
        fresh|frisch|frais fraîche frais fraîches|fresco fresca frescos frescas|fresco fresca freschi fresche
        sweet|süß|sucré sucrée sucrés sucrées|dulce dulce dulces dulces|dolce dolce dolci dolci
        cold|kalt|froid froide froids froides|frío fría fríos frías|freddo fredda freddi fredde
        hot|heiß|chaud chaude chauds chaudes|caliente caliente calientes calientes|caldo calda caldi calde
        good|gut|+bon bonne bons bonnes|bueno buena buenos buenas|buono buona buoni buone
    """,
    "object": """
        heavy|schwer|lourd lourde lourds lourdes|pesado pesada pesados pesadas|pesante pesante pesanti pesanti
        light|leicht|léger légère légers légères|ligero ligera ligeros ligeras|leggero leggera leggeri leggere
        clean|sauber|propre propre propres propres|limpio limpia limpios limpias|pulito pulita puliti pulite
        dirty|schmutzig|sale sale sales sales|sucio sucia sucios sucias|sporco sporca sporchi sporche
        cheap|billig|bon~marché bon~marché bon~marché bon~marché|barato barata baratos baratas|economico economica economici economiche
        broken|kaputt|cassé cassée cassés cassées|roto rota rotos rotas|rotto rotta rotti rotte
        wet|nass|mouillé mouillée mouillés mouillées|mojado mojada mojados mojadas|bagnato bagnata bagnati bagnate
        round|rund|rond ronde ronds rondes|redondo redonda redondos redondas|rotondo rotonda rotondi rotonde
        soft|weich|doux douce doux douces|suave suave suaves suaves|morbido morbida morbidi morbide
        modern|modern|moderne moderne modernes modernes|moderno moderna modernos modernas|moderno moderna moderni moderne
    """,
    "text": """
        long|lang|+long longue longs longues|largo larga largos largas|lungo lunga lunghi lunghe
        short|kurz|court courte courts courtes|corto corta cortos cortas|breve breve brevi brevi
        interesting|interessant|intéressant intéressante intéressants intéressantes|interesante interesante interesantes interesantes|interessante interessante interessanti interessanti
        important|wichtig|important importante importants importantes|importante importante importantes importantes|importante importante importanti importanti
    """,
}  # fmt: skip
# Spanish says with "estar" what may pass.
PASSING: Final = frozenset(
    "tired hungry sick sad happy clean dirty broken wet cold hot fresh good".split()
)

# English base, third person, past | German infinitive, ich, du, er, participle | French infinitive,
# je, tu, il, nous, ils, participle | Spanish infinitive, yo, tú, él, nosotros, ellos, and the
# same five of the past | Italian infinitive, io, tu, lui, noi, loro, participle | noun classes
# of the object, or "-".
VERB_LINES: Final = """
    see sees saw|sehen sehe siehst sieht gesehen|voir vois vois voit voyons voient vu|ver veo ves ve vemos ven vi viste vio vimos vieron|vedere vedo vedi vede vediamo vedono visto|person animal building landmark vehicle thing
    look~for looks~for looked~for|suchen suche suchst sucht gesucht|chercher cherche cherches cherche cherchons cherchent cherché|buscar busco buscas busca buscamos buscan busqué buscaste buscó buscamos buscaron|cercare cerco cerchi cerca cerchiamo cercano cercato|person animal building thing text clothes
    find finds found|finden finde findest findet gefunden|trouver trouve trouves trouve trouvons trouvent trouvé|encontrar encuentro encuentras encuentra encontramos encuentran encontré encontraste encontró encontramos encontraron|trovare trovo trovi trova troviamo trovano trovato|thing text clothes animal
    hear hears heard|hören höre hörst hört gehört|entendre entends entends entend entendons entendent entendu|oír oigo oyes oye oímos oyen oí oíste oyó oímos oyeron|sentire sento senti sente sentiamo sentono sentito|person animal vehicle
    love loves loved|lieben liebe liebst liebt geliebt|aimer aime aimes aime aimons aiment aimé|amar amo amas ama amamos aman amé amaste amó amamos amaron|amare amo ami ama amiamo amano amato|person animal
    visit visits visited|besuchen besuche besuchst besucht besucht|visiter visite visites visite visitons visitent visité|visitar visito visitas visita visitamos visitan visité visitaste visitó visitamos visitaron|visitare visito visiti visita visitiamo visitano visitato|building
    buy buys bought|kaufen kaufe kaufst kauft gekauft|acheter achète achètes achète achetons achètent acheté|comprar compro compras compra compramos compran compré compraste compró compramos compraron|comprare compro compri compra compriamo comprano comprato|food mass-food drink clothes thing text vehicle
    sell sells sold|verkaufen verkaufe verkaufst verkauft verkauft|vendre vends vends vend vendons vendent vendu|vender vendo vendes vende vendemos venden vendí vendiste vendió vendimos vendieron|vendere vendo vendi vende vendiamo vendono venduto|food mass-food drink clothes thing vehicle
    eat eats ate|essen esse isst isst gegessen|manger mange manges mange mangeons mangent mangé|comer como comes come comemos comen comí comiste comió comimos comieron|mangiare mangio mangi mangia mangiamo mangiano mangiato|food mass-food
    drink drinks drank|trinken trinke trinkst trinkt getrunken|boire bois bois boit buvons boivent bu|beber bebo bebes bebe bebemos beben bebí bebiste bebió bebimos bebieron|bere bevo bevi beve beviamo bevono bevuto|drink
    read reads read|lesen lese liest liest gelesen|lire lis lis lit lisons lisent lu|leer leo lees lee leemos leen leí leíste leyó leímos leyeron|leggere leggo leggi legge leggiamo leggono letto|text
    write writes wrote|schreiben schreibe schreibst schreibt geschrieben|écrire écris écris écrit écrivons écrivent écrit|escribir escribo escribes escribe escribimos escriben escribí escribiste escribió escribimos escribieron|scrivere scrivo scrivi scrive scriviamo scrivono scritto|text
    wear wears wore|tragen trage trägst trägt getragen|porter porte portes porte portons portent porté|llevar llevo llevas lleva llevamos llevan llevé llevaste llevó llevamos llevaron|indossare indosso indossi indossa indossiamo indossano indossato|clothes
    open opens opened|öffnen öffne öffnest öffnet geöffnet|ouvrir ouvre ouvres ouvre ouvrons ouvrent ouvert|abrir abro abres abre abrimos abren abrí abriste abrió abrimos abrieron|aprire apro apri apre apriamo aprono aperto|opening
    close closes closed|schließen schließe schließt schließt geschlossen|fermer ferme fermes ferme fermons ferment fermé|cerrar cierro cierras cierra cerramos cierran cerré cerraste cerró cerramos cerraron|chiudere chiudo chiudi chiude chiudiamo chiudono chiuso|opening
    clean cleans cleaned|putzen putze putzt putzt geputzt|nettoyer nettoie nettoies nettoie nettoyons nettoient nettoyé|limpiar limpio limpias limpia limpiamos limpian limpié limpiaste limpió limpiamos limpiaron|pulire pulisco pulisci pulisce puliamo puliscono pulito|opening furniture thing vehicle
    wash washes washed|waschen wasche wäschst wäscht gewaschen|laver lave laves lave lavons lavent lavé|lavar lavo lavas lava lavamos lavan lavé lavaste lavó lavamos lavaron|lavare lavo lavi lava laviamo lavano lavato|clothes vehicle
    lose loses lost|verlieren verliere verlierst verliert verloren|perdre perds perds perd perdons perdent perdu|perder pierdo pierdes pierde perdemos pierden perdí perdiste perdió perdimos perdieron|perdere perdo perdi perde perdiamo perdono perso|thing clothes text
    forget forgets forgot|vergessen vergesse vergisst vergisst vergessen|oublier oublie oublies oublie oublions oublient oublié|olvidar olvido olvidas olvida olvidamos olvidan olvidé olvidaste olvidó olvidamos olvidaron|dimenticare dimentico dimentichi dimentica dimentichiamo dimenticano dimenticato|thing clothes text
    paint paints painted|malen male malst malt gemalt|peindre peins peins peint peignons peignent peint|pintar pinto pintas pinta pintamos pintan pinté pintaste pintó pintamos pintaron|dipingere dipingo dipingi dipinge dipingiamo dipingono dipinto|building landmark animal vehicle
    photograph photographs photographed|fotografieren fotografiere fotografierst fotografiert fotografiert|photographier photographie photographies photographie photographions photographient photographié|fotografiar fotografío fotografías fotografía fotografiamos fotografían fotografié fotografiaste fotografió fotografiamos fotografiaron|fotografare fotografo fotografi fotografa fotografiamo fotografano fotografato|building landmark vehicle
    carry carries carried|tragen trage trägst trägt getragen|porter porte portes porte portons portent porté|llevar llevo llevas lleva llevamos llevan llevé llevaste llevó llevamos llevaron|portare porto porti porta portiamo portano portato|thing furniture
    repair repairs repaired|reparieren repariere reparierst repariert repariert|réparer répare répares répare réparons réparent réparé|reparar reparo reparas repara reparamos reparan reparé reparaste reparó reparamos repararon|riparare riparo ripari ripara ripariamo riparano riparato|vehicle furniture opening
    build builds built|bauen baue baust baut gebaut|construire construis construis construit construisons construisent construit|construir construyo construyes construye construimos construyen construí construiste construyó construimos construyeron|costruire costruisco costruisci costruisce costruiamo costruiscono costruito|building vehicle
    cut cuts cut|schneiden schneide schneidest schneidet geschnitten|couper coupe coupes coupe coupons coupent coupé|cortar corto cortas corta cortamos cortan corté cortaste cortó cortamos cortaron|tagliare taglio tagli taglia tagliamo tagliano tagliato|food
    cook cooks cooked|kochen koche kochst kocht gekocht|cuisiner cuisine cuisines cuisine cuisinons cuisinent cuisiné|cocinar cocino cocinas cocina cocinamos cocinan cociné cocinaste cocinó cocinamos cocinaron|cucinare cucino cucini cucina cuciniamo cucinano cucinato|food
    count counts counted|zählen zähle zählst zählt gezählt|compter compte comptes compte comptons comptent compté|contar cuento cuentas cuenta contamos cuentan conté contaste contó contamos contaron|contare conto conti conta contiamo contano contato|animal thing
    draw draws drew|zeichnen zeichne zeichnest zeichnet gezeichnet|dessiner dessine dessines dessine dessinons dessinent dessiné|dibujar dibujo dibujas dibuja dibujamos dibujan dibujé dibujaste dibujó dibujamos dibujaron|disegnare disegno disegni disegna disegniamo disegnano disegnato|animal landmark thing vehicle
    touch touches touched|berühren berühre berührst berührt berührt|toucher touche touches touche touchons touchent touché|tocar toco tocas toca tocamos tocan toqué tocaste tocó tocamos tocaron|toccare tocco tocchi tocca tocchiamo toccano toccato|furniture thing clothes
    steal steals stole|stehlen stehle stiehlst stiehlt gestohlen|voler vole voles vole volons volent volé|robar robo robas roba robamos roban robé robaste robó robamos robaron|rubare rubo rubi ruba rubiamo rubano rubato|thing vehicle food
    sleep sleeps slept|schlafen schlafe schläfst schläft geschlafen|dormir dors dors dort dormons dorment dormi|dormir duermo duermes duerme dormimos duermen dormí dormiste durmió dormimos durmieron|dormire dormo dormi dorme dormiamo dormono dormito|-
    dance dances danced|tanzen tanze tanzt tanzt getanzt|danser danse danses danse dansons dansent dansé|bailar bailo bailas baila bailamos bailan bailé bailaste bailó bailamos bailaron|ballare ballo balli balla balliamo ballano ballato|-
    sing sings sang|singen singe singst singt gesungen|chanter chante chantes chante chantons chantent chanté|cantar canto cantas canta cantamos cantan canté cantaste cantó cantamos cantaron|cantare canto canti canta cantiamo cantano cantato|-
    laugh laughs laughed|lachen lache lachst lacht gelacht|rire ris ris rit rions rient ri|reírse me~río te~ríes se~ríe nos~reímos se~ríen me~reí te~reíste se~rio nos~reímos se~rieron|ridere rido ridi ride ridiamo ridono riso|-
    cry cries cried|weinen weine weinst weint geweint|pleurer pleure pleures pleure pleurons pleurent pleuré|llorar lloro lloras llora lloramos lloran lloré lloraste lloró lloramos lloraron|piangere piango piangi piange piangiamo piangono pianto|-
    work works worked|arbeiten arbeite arbeitest arbeitet gearbeitet|travailler travaille travailles travaille travaillons travaillent travaillé|trabajar trabajo trabajas trabaja trabajamos trabajan trabajé trabajaste trabajó trabajamos trabajaron|lavorare lavoro lavori lavora lavoriamo lavorano lavorato|-
    play plays played|spielen spiele spielst spielt gespielt|jouer joue joues joue jouons jouent joué|jugar juego juegas juega jugamos juegan jugué jugaste jugó jugamos jugaron|giocare gioco giochi gioca giochiamo giocano giocato|-
    wait waits waited|warten warte wartest wartet gewartet|attendre attends attends attend attendons attendent attendu|esperar espero esperas espera esperamos esperan esperé esperaste esperó esperamos esperaron|aspettare aspetto aspetti aspetta aspettiamo aspettano aspettato|-
    smile smiles smiled|lächeln lächle lächelst lächelt gelächelt|sourire souris souris sourit sourions sourient souri|sonreír sonrío sonríes sonríe sonreímos sonríen sonreí sonreíste sonrió sonreímos sonrieron|sorridere sorrido sorridi sorride sorridiamo sorridono sorriso|-
    travel travels travelled|reisen reise reist reist -|voyager voyage voyages voyage voyageons voyagent voyagé|viajar viajo viajas viaja viajamos viajan viajé viajaste viajó viajamos viajaron|viaggiare viaggio viaggi viaggia viaggiamo viaggiano viaggiato|-
    swim swims swam|schwimmen schwimme schwimmst schwimmt -|nager nage nages nage nageons nagent nagé|nadar nado nadas nada nadamos nadan nadé nadaste nadó nadamos nadaron|nuotare nuoto nuoti nuota nuotiamo nuotano nuotato|-
    run runs ran|rennen renne rennst rennt -|courir cours cours court courons courent couru|correr corro corres corre corremos corren corrí corriste corrió corrimos corrieron|correre corro corri corre corriamo corrono corso|-
"""  # fmt: skip

NUMBER_LINES: Final = """
    two|zwei|deux|dos|due
    three|drei|trois|tres|tre
    four|vier|quatre|cuatro|quattro
    five|fünf|cinq|cinco|cinque
    six|sechs|six|seis|sei
    seven|sieben|sept|siete|sette
    eight|acht|huit|ocho|otto
    nine|neun|neuf|nueve|nove
    ten|zehn|dix|diez|dieci
    eleven|elf|onze|once|undici
    twelve|zwölf|douze|doce|dodici
"""

# Before the sentence; German then puts the verb second.
TIME_LINES: Final = """
    today|heute|aujourd'hui|hoy|oggi
    now|jetzt|maintenant|ahora|adesso
    every day|jeden Tag|chaque jour|cada día|ogni giorno
    in the morning|am Morgen|le matin|por la mañana|la mattina
    in the evening|am Abend|le soir|por la noche|la sera
    on Monday|am Montag|lundi|el lunes|lunedì
    on Tuesday|am Dienstag|mardi|el martes|martedì
    on Wednesday|am Mittwoch|mercredi|el miércoles|mercoledì
    on Thursday|am Donnerstag|jeudi|el jueves|giovedì
    on Friday|am Freitag|vendredi|el viernes|venerdì
    on Saturday|am Samstag|samedi|el sábado|sabato
    on Sunday|am Sonntag|dimanche|el domingo|domenica
    in summer|im Sommer|en été|en verano|in estate
    in winter|im Winter|en hiver|en invierno|in inverno
"""
PAST_LINES: Final = """
    yesterday|gestern|hier|ayer|ieri
    last week|letzte Woche|la semaine dernière|la semana pasada|la settimana scorsa
    last night|gestern Abend|hier soir|anoche|ieri sera
"""

# Before the English verb, after the others'.
OFTEN_LINES: Final = """
    often|oft|souvent|a menudo|spesso
    always|immer|toujours|siempre|sempre
"""
# After the verb.
MANNER_LINES: Final = """
    here|hier|ici|aquí|qui
    there|dort|là-bas|allí|lì
    outside|draußen|dehors|fuera|fuori
    slowly|langsam|lentement|despacio|lentamente
    quickly|schnell|vite|rápidamente|velocemente
    a lot|viel|beaucoup|mucho|molto
"""
