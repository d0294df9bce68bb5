"""The nouns of the translation grammar, in five languages.

One line a noun: English singular and plural, then gender, singular and plural in German, French,
Spanish and Italian. A German singular with a slash has another form outside the nominative; a
Spanish "f*" takes "el" and "un" though it is feminine. Mass nouns have no plural: "-".
Leaves out: how they are declined (grammar.py and the grammars of each language).
"""

from __future__ import annotations

from typing import Final

# What a noun can be the subject or object of follows from its class.
NOUN_LINES: Final[dict[str, str]] = {
    "person": """
        man men|m Mann Männer|m homme hommes|m hombre hombres|m uomo uomini
        woman women|f Frau Frauen|f femme femmes|f mujer mujeres|f donna donne
        child children|n Kind Kinder|m enfant enfants|m niño niños|m bambino bambini
        girl girls|n Mädchen Mädchen|f fille filles|f chica chicas|f ragazza ragazze
        boy boys|m Junge/Jungen Jungen|m garçon garçons|m chico chicos|m ragazzo ragazzi
        farmer farmers|m Bauer/Bauern Bauern|m fermier fermiers|m granjero granjeros|m contadino contadini
        teacher teachers|m Lehrer Lehrer|m professeur professeurs|m profesor profesores|m insegnante insegnanti
        doctor doctors|m Arzt Ärzte|m médecin médecins|m médico médicos|m medico medici
        king kings|m König Könige|m roi rois|m rey reyes|m re re
        queen queens|f Königin Königinnen|f reine reines|f reina reinas|f regina regine
        cook cooks|m Koch Köche|m cuisinier cuisiniers|m cocinero cocineros|m cuoco cuochi
        baker bakers|m Bäcker Bäcker|m boulanger boulangers|m panadero panaderos|m panettiere panettieri
        singer singers|m Sänger Sänger|m chanteur chanteurs|m cantante cantantes|m cantante cantanti
        driver drivers|m Fahrer Fahrer|m chauffeur chauffeurs|m conductor conductores|m autista autisti
        waiter waiters|m Kellner Kellner|m serveur serveurs|m camarero camareros|m cameriere camerieri
        painter painters|m Maler Maler|m peintre peintres|m pintor pintores|m pittore pittori
        guest guests|m Gast Gäste|m invité invités|m invitado invitados|m ospite ospiti
        pupil pupils|m Schüler Schüler|m élève élèves|m alumno alumnos|m alunno alunni
    """,
    "family": """
        father fathers|m Vater Väter|m père pères|m padre padres|m padre padri
        mother mothers|f Mutter Mütter|f mère mères|f madre madres|f madre madri
        brother brothers|m Bruder Brüder|m frère frères|m hermano hermanos|m fratello fratelli
        sister sisters|f Schwester Schwestern|f sœur sœurs|f hermana hermanas|f sorella sorelle
        uncle uncles|m Onkel Onkel|m oncle oncles|m tío tíos|m zio zii
        aunt aunts|f Tante Tanten|f tante tantes|f tía tías|f zia zie
        grandfather grandfathers|m Großvater Großväter|m grand-père grands-pères|m abuelo abuelos|m nonno nonni
        grandmother grandmothers|f Großmutter Großmütter|f grand-mère grands-mères|f abuela abuelas|f nonna nonne
    """,
    "animal": """
        dog dogs|m Hund Hunde|m chien chiens|m perro perros|m cane cani
        cat cats|f Katze Katzen|m chat chats|m gato gatos|m gatto gatti
        horse horses|n Pferd Pferde|m cheval chevaux|m caballo caballos|m cavallo cavalli
        cow cows|f Kuh Kühe|f vache vaches|f vaca vacas|f mucca mucche
        pig pigs|n Schwein Schweine|m cochon cochons|m cerdo cerdos|m maiale maiali
        sheep sheep|n Schaf Schafe|m mouton moutons|f oveja ovejas|f pecora pecore
        bird birds|m Vogel Vögel|m oiseau oiseaux|m pájaro pájaros|m uccello uccelli
        duck ducks|f Ente Enten|m canard canards|m pato patos|f anatra anatre
        mouse mice|f Maus Mäuse|f souris souris|m ratón ratones|m topo topi
        rabbit rabbits|n Kaninchen Kaninchen|m lapin lapins|m conejo conejos|m coniglio conigli
        wolf wolves|m Wolf Wölfe|m loup loups|m lobo lobos|m lupo lupi
        tiger tigers|m Tiger Tiger|m tigre tigres|m tigre tigres|f tigre tigri
        frog frogs|m Frosch Frösche|f grenouille grenouilles|f rana ranas|f rana rane
        fish fish|m Fisch Fische|m poisson poissons|m pez peces|m pesce pesci
    """,
    "food": """
        apple apples|m Apfel Äpfel|f pomme pommes|f manzana manzanas|f mela mele
        pear pears|f Birne Birnen|f poire poires|f pera peras|f pera pere
        orange oranges|f Orange Orangen|f orange oranges|f naranja naranjas|f arancia arance
        lemon lemons|f Zitrone Zitronen|m citron citrons|m limón limones|m limone limoni
        banana bananas|f Banane Bananen|f banane bananes|m plátano plátanos|f banana banane
        cherry cherries|f Kirsche Kirschen|f cerise cerises|f cereza cerezas|f ciliegia ciliegie
        tomato tomatoes|f Tomate Tomaten|f tomate tomates|m tomate tomates|m pomodoro pomodori
        potato potatoes|f Kartoffel Kartoffeln|f pomme~de~terre pommes~de~terre|f patata patatas|f patata patate
        carrot carrots|f Karotte Karotten|f carotte carottes|f zanahoria zanahorias|f carota carote
        cake cakes|m Kuchen Kuchen|m gâteau gâteaux|m pastel pasteles|f torta torte
        soup soups|f Suppe Suppen|f soupe soupes|f sopa sopas|f zuppa zuppe
        onion onions|f Zwiebel Zwiebeln|m oignon oignons|f cebolla cebollas|f cipolla cipolle
    """,
    "mass food": """
        bread -|n Brot -|m pain -|m pan -|m pane -
        cheese -|m Käse -|m fromage -|m queso -|m formaggio -
        meat -|n Fleisch -|f viande -|f carne -|f carne -
        rice -|m Reis -|m riz -|m arroz -|m riso -
        butter -|f Butter -|m beurre -|f mantequilla -|m burro -
        sugar -|m Zucker -|m sucre -|m azúcar -|m zucchero -
        salt -|n Salz -|m sel -|f sal -|m sale -
        honey -|m Honig -|m miel -|f miel -|m miele -
    """,
    "drink": """
        milk -|f Milch -|m lait -|f leche -|m latte -
        water -|n Wasser -|f eau -|f* agua -|f acqua -
        coffee -|m Kaffee -|m café -|m café -|m caffè -
        tea -|m Tee -|m thé -|m té -|m tè -
        wine -|m Wein -|m vin -|m vino -|m vino -
        juice -|m Saft -|m jus -|m zumo -|m succo -
        beer -|n Bier -|f bière -|f cerveza -|f birra -
    """,
    "clothes": """
        coat coats|m Mantel Mäntel|m manteau manteaux|m abrigo abrigos|m cappotto cappotti
        hat hats|m Hut Hüte|m chapeau chapeaux|m sombrero sombreros|m cappello cappelli
        shirt shirts|n Hemd Hemden|f chemise chemises|f camisa camisas|f camicia camicie
        dress dresses|n Kleid Kleider|f robe robes|m vestido vestidos|m vestito vestiti
        shoe shoes|m Schuh Schuhe|f chaussure chaussures|m zapato zapatos|f scarpa scarpe
        skirt skirts|m Rock Röcke|f jupe jupes|f falda faldas|f gonna gonne
        jacket jackets|f Jacke Jacken|f veste vestes|f chaqueta chaquetas|f giacca giacche
        scarf scarves|m Schal Schals|f écharpe écharpes|f bufanda bufandas|f sciarpa sciarpe
    """,
    "thing": """
        key keys|m Schlüssel Schlüssel|f clé clés|f llave llaves|f chiave chiavi
        lamp lamps|f Lampe Lampen|f lampe lampes|f lámpara lámparas|f lampada lampade
        cup cups|f Tasse Tassen|f tasse tasses|f taza tazas|f tazza tazze
        plate plates|m Teller Teller|f assiette assiettes|m plato platos|m piatto piatti
        glass glasses|n Glas Gläser|m verre verres|m vaso vasos|m bicchiere bicchieri
        spoon spoons|m Löffel Löffel|f cuillère cuillères|f cuchara cucharas|m cucchiaio cucchiai
        knife knives|n Messer Messer|m couteau couteaux|m cuchillo cuchillos|m coltello coltelli
        fork forks|f Gabel Gabeln|f fourchette fourchettes|m tenedor tenedores|f forchetta forchette
        ball balls|m Ball Bälle|m ballon ballons|f pelota pelotas|f palla palle
        phone phones|n Telefon Telefone|m téléphone téléphones|m teléfono teléfonos|m telefono telefoni
        clock clocks|f Uhr Uhren|f horloge horloges|m reloj relojes|m orologio orologi
        pen pens|m Stift Stifte|m stylo stylos|m bolígrafo bolígrafos|f penna penne
        candle candles|f Kerze Kerzen|f bougie bougies|f vela velas|f candela candele
        flower flowers|f Blume Blumen|f fleur fleurs|f flor flores|m fiore fiori
        stone stones|m Stein Steine|f pierre pierres|f piedra piedras|f pietra pietre
        basket baskets|m Korb Körbe|m panier paniers|f cesta cestas|m cestino cestini
        mirror mirrors|m Spiegel Spiegel|m miroir miroirs|m espejo espejos|m specchio specchi
        ring rings|m Ring Ringe|f bague bagues|m anillo anillos|m anello anelli
        guitar guitars|f Gitarre Gitarren|f guitare guitares|f guitarra guitarras|f chitarra chitarre
    """,
    "opening": """
        door doors|f Tür Türen|f porte portes|f puerta puertas|f porta porte
        window windows|n Fenster Fenster|f fenêtre fenêtres|f ventana ventanas|f finestra finestre
        box boxes|f Kiste Kisten|f boîte boîtes|f caja cajas|f scatola scatole
        bottle bottles|f Flasche Flaschen|f bouteille bouteilles|f botella botellas|f bottiglia bottiglie
        suitcase suitcases|m Koffer Koffer|f valise valises|f maleta maletas|f valigia valigie
        gate gates|n Tor Tore|m portail portails|m portón portones|m cancello cancelli
    """,
    "text": """
        book books|n Buch Bücher|m livre livres|m libro libros|m libro libri
        letter letters|m Brief Briefe|f lettre lettres|f carta cartas|f lettera lettere
        newspaper newspapers|f Zeitung Zeitungen|m journal journaux|m periódico periódicos|m giornale giornali
        story stories|f Geschichte Geschichten|f histoire histoires|f historia historias|f storia storie
        poem poems|n Gedicht Gedichte|m poème poèmes|m poema poemas|f poesia poesie
    """,
    "vehicle": """
        car cars|n Auto Autos|f voiture voitures|m coche coches|f macchina macchine
        train trains|m Zug Züge|m train trains|m tren trenes|m treno treni
        bus buses|m Bus Busse|m bus bus|m autobús autobuses|m autobus autobus
        boat boats|n Boot Boote|m bateau bateaux|m barco barcos|f barca barche
        bicycle bicycles|n Fahrrad Fahrräder|m vélo vélos|f bicicleta bicicletas|f bicicletta biciclette
    """,
    "building": """
        house houses|n Haus Häuser|f maison maisons|f casa casas|f casa case
        church churches|f Kirche Kirchen|f église églises|f iglesia iglesias|f chiesa chiese
        school schools|f Schule Schulen|f école écoles|f escuela escuelas|f scuola scuole
        hotel hotels|n Hotel Hotels|m hôtel hôtels|m hotel hoteles|m hotel hotel
        museum museums|n Museum Museen|m musée musées|m museo museos|m museo musei
        castle castles|n Schloss Schlösser|m château châteaux|m castillo castillos|m castello castelli
        shop shops|m Laden Läden|m magasin magasins|f tienda tiendas|m negozio negozi
        restaurant restaurants|n Restaurant Restaurants|m restaurant restaurants|m restaurante restaurantes|m ristorante ristoranti
        hospital hospitals|n Krankenhaus Krankenhäuser|m hôpital hôpitaux|m hospital hospitales|m ospedale ospedali
        kitchen kitchens|f Küche Küchen|f cuisine cuisines|f cocina cocinas|f cucina cucine
        garden gardens|m Garten Gärten|m jardin jardins|m jardín jardines|m giardino giardini
        room rooms|n Zimmer Zimmer|f chambre chambres|f habitación habitaciones|f camera camere
        village villages|n Dorf Dörfer|m village villages|m pueblo pueblos|m villaggio villaggi
        city cities|f Stadt Städte|f ville villes|f ciudad ciudades|f città città
        forest forests|m Wald Wälder|f forêt forêts|m bosque bosques|m bosco boschi
        park parks|m Park Parks|m parc parcs|m parque parques|m parco parchi
        office offices|n Büro Büros|m bureau bureaux|f oficina oficinas|m ufficio uffici
    """,
    "landmark": """
        tree trees|m Baum Bäume|m arbre arbres|m árbol árboles|m albero alberi
        bridge bridges|f Brücke Brücken|m pont ponts|m puente puentes|m ponte ponti
        tower towers|m Turm Türme|f tour tours|f torre torres|f torre torri
        wall walls|f Mauer Mauern|m mur murs|m muro muros|m muro muri
        mountain mountains|m Berg Berge|f montagne montagnes|f montaña montañas|f montagna montagne
        river rivers|m Fluss Flüsse|f rivière rivières|m río ríos|m fiume fiumi
        lake lakes|m See Seen|m lac lacs|m lago lagos|m lago laghi
    """,
    "furniture": """
        table tables|m Tisch Tische|f table tables|f mesa mesas|m tavolo tavoli
        chair chairs|m Stuhl Stühle|f chaise chaises|f silla sillas|f sedia sedie
        bed beds|n Bett Betten|m lit lits|f cama camas|m letto letti
        bench benches|f Bank Bänke|m banc bancs|m banco bancos|f panchina panchine
        carpet carpets|m Teppich Teppiche|m tapis tapis|f alfombra alfombras|m tappeto tappeti
    """,
}  # fmt: skip
