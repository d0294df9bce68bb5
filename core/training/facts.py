"""The facts of the small world: every table that questions are made from.

Leaves out: how questions are worded (world.py) and how scenes are drawn (scenes.py).
"""

from __future__ import annotations

from typing import Final

SHAPE_SIDES: Final = {
    "triangle": 3,
    "square": 4,
    "rectangle": 4,
    "pentagon": 5,
    "hexagon": 6,
    "octagon": 8,
    "circle": 0,
}

# Shapes that their number of sides names; a square and a rectangle share theirs.
SHAPE_BY_SIDES: Final = {"triangle": 3, "pentagon": 5, "hexagon": 6, "octagon": 8}

ANIMAL_LEGS: Final = {
    "dog": 4,
    "cat": 4,
    "horse": 4,
    "cow": 4,
    "sheep": 4,
    "lion": 4,
    "mouse": 4,
    "bird": 2,
    "duck": 2,
    "hen": 2,
    "pig": 4,
    "frog": 4,
    "owl": 2,
    "spider": 8,
    "ant": 6,
    "bee": 6,
    "snake": 0,
    "fish": 0,
}

ANIMAL_SOUNDS: Final = {
    "dog": "barks",
    "cat": "meows",
    "cow": "moos",
    "duck": "quacks",
    "sheep": "bleats",
    "horse": "neighs",
    "lion": "roars",
    "pig": "grunts",
    "frog": "croaks",
    "owl": "hoots",
    "hen": "clucks",
    "mouse": "squeaks",
    "bird": "sings",
    "bee": "buzzes",
    "snake": "hisses",
    "wolf": "howls",
}

THING_COLOURS: Final = {
    "the sky": "blue",
    "grass": "green",
    "snow": "white",
    "coal": "black",
    "a banana": "yellow",
    "a tomato": "red",
    "a carrot": "orange",
    "a lemon": "yellow",
    "blood": "red",
    "a leaf": "green",
    "the sun": "yellow",
    "milk": "white",
    "the sea": "blue",
    "a plum": "purple",
    "a flamingo": "pink",
    "chocolate": "brown",
    "a cherry": "red",
    "an orange": "orange",
    "a frog": "green",
    "the night": "black",
}

COLOUR_MIXES: Final = {
    ("blue", "yellow"): "green",
    ("red", "yellow"): "orange",
    ("red", "blue"): "purple",
    ("red", "white"): "pink",
    ("black", "white"): "grey",
}

OPPOSITES: Final = (
    ("hot", "cold"),
    ("big", "small"),
    ("fast", "slow"),
    ("up", "down"),
    ("left", "right"),
    ("day", "night"),
    ("open", "closed"),
    ("light", "dark"),
    ("old", "young"),
    ("happy", "sad"),
    ("wet", "dry"),
    ("loud", "quiet"),
    ("full", "empty"),
    ("early", "late"),
    ("hard", "soft"),
    ("strong", "weak"),
    ("long", "short"),
    ("high", "low"),
    ("rich", "poor"),
    ("clean", "dirty"),
    ("near", "far"),
    ("thick", "thin"),
    ("first", "last"),
    ("true", "false"),
    ("inside", "outside"),
    ("before", "after"),
    ("good", "bad"),
)

CAPITALS: Final = {
    "France": "Paris",
    "Germany": "Berlin",
    "Italy": "Rome",
    "Spain": "Madrid",
    "Portugal": "Lisbon",
    "Austria": "Vienna",
    "Poland": "Warsaw",
    "Greece": "Athens",
    "Norway": "Oslo",
    "Sweden": "Stockholm",
    "Finland": "Helsinki",
    "Denmark": "Copenhagen",
    "Ireland": "Dublin",
    "Belgium": "Brussels",
    "Hungary": "Budapest",
    "Japan": "Tokyo",
    "China": "Beijing",
    "India": "New Delhi",
    "Egypt": "Cairo",
    "Kenya": "Nairobi",
    "Peru": "Lima",
    "Cuba": "Havana",
    "Canada": "Ottawa",
    "Mexico": "Mexico City",
    "Chile": "Santiago",
    "Turkey": "Ankara",
    "Russia": "Moscow",
    "Iran": "Tehran",
    "Nepal": "Kathmandu",
    "Iceland": "Reykjavik",
}

DAYS: Final = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")

MONTHS: Final = {
    "January": 31,
    "February": 28,
    "March": 31,
    "April": 30,
    "May": 31,
    "June": 30,
    "July": 31,
    "August": 31,
    "September": 30,
    "October": 31,
    "November": 30,
    "December": 31,
}

ORDINALS: Final = (
    "first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth"
).split()

NAMES: Final = (
    "Ada Alan Anna Ben Clara David Emma Felix Grace Hugo Ida Jack Kate Leo Lucy Max Maria Nina "
    "Noah Olga Oscar Paul Rosa Sam Sara Tom Tina Victor Vera Will Alice Robert Julia Peter Laura "
    "Simon Ella Henry Marta Daniel Eva Martin Sophie Thomas Helen George Mary John Carla Emily"
).split()

# Words that are spelled, repeated and printed on pictures.
WORDS: Final = (
    "apple arm bag ball banana bank bath beach bed bell bench bike bird boat book boot bottle "
    "bowl box boy bread bridge brother brush bus butter button cake camera candle car carpet "
    "castle cat chain chair cheese cherry child church circle city clock cloud coat coffee "
    "corner cow cross cup curtain dance desk dinner doctor dog door dream dress drum duck ear "
    "earth egg engine evening eye face family farm father feather field finger fire fish floor "
    "flower foot forest fork fox friend frog fruit garden gate ghost gift girl glass glove goat "
    "gold grape grass guitar hair hammer hand hat heart hill home honey horse hotel house ice "
    "island jacket jar jungle key king kitchen knife ladder lake lamp leaf lemon letter light "
    "lion lunch machine magic map market meat milk mirror money monkey moon morning mother "
    "mountain mouse mouth museum music nail neck needle nest night nose number nurse ocean "
    "office onion orange oven owl page paint palace paper park parrot peace pear pen pencil "
    "people pepper phone piano picture pillow pilot plane planet plate pocket police potato "
    "prince queen rabbit radio rain ribbon rice ring river road robot rocket roof room rope rose "
    "salt sand school sea shadow sheep ship shirt shoe shop silver sister sky snow soap sock "
    "song soup spoon spring square stamp star station stone storm story street sugar summer sun "
    "table tea teacher tent thunder ticket tiger tomato tower town toy train tree triangle truck "
    "turtle uncle valley village violin voice wagon wall watch water wheel whistle wind window "
    "winter wolf woman wood world yellow zebra"
).split()

# Places, people and things that the world does not know, to say so about.
UNKNOWN_COUNTRIES: Final = (
    "Brazil Argentina Australia Thailand Vietnam Morocco Nigeria Ghana Bolivia Ecuador Bulgaria "
    "Romania Croatia Serbia Iraq Jordan Laos Mongolia Cambodia Uganda Tunisia Uruguay Jamaica "
    "Malta Estonia Latvia Lithuania Slovenia Slovakia Ukraine Scotland Wales London Florida "
    "Texas Africa Asia Europe America Panama Colombia Venezuela Paraguay Pakistan Israel Lebanon "
    "Syria Sudan Somalia Zambia Angola Senegal Indonesia Singapore Taiwan Fiji Greenland "
    "Luxembourg Cyprus"
).split()

UNKNOWN_THINGS: Final = (
    "a computer|a rocket|an airplane|a volcano|the internet|a guitar|money|a robot|gravity|"
    "a virus|democracy|electricity|a bicycle|the moon landing|a pyramid|coffee|a hurricane|"
    "football|chess|a diamond|the stock market|a violin|glue|a submarine|jazz|a camera|soap|"
    "a telescope|love|time|the universe|history|physics|a tractor|a battery|wine|tennis|a castle|"
    "television|a computer game|the weather|my neighbour|the economy|a laptop|software|a lawyer|"
    "the government|philosophy|a pizza|the news|an elephant|a dinosaur|a dragon|a sandwich|"
    "medicine|war|religion|a holiday|the theatre|a novel|a satellite|bitcoin|"
    "artificial intelligence|a black hole|an atom|oxygen|my car|this house|a motorbike|"
    "the president|a passport|swimming|yoga|mathematics|a hospital"
).split("|")

UNKNOWN_PEOPLE: Final = (
    "Shakespeare|Napoleon|Einstein|Mozart|Cleopatra|Newton|Picasso|Beethoven|Caesar|Darwin|"
    "Columbus|Lincoln|Gandhi|Galileo|Edison|Socrates|Plato|Bach|Goethe|Dante|Churchill|"
    "Marie Curie|Vincent van Gogh|Michael Jackson|Elvis|the king|my doctor|Peter|Susan|"
    "Mister Smith|Hannibal|Pythagoras|Leonardo|Michelangelo|Tolstoy|Kafka|Chopin|Washington|"
    "Obama|Tesla|Kant|Homer"
).split("|")

_ONES: Final = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen "
    "fifteen sixteen seventeen eighteen nineteen"
).split()
_TENS: Final = "- - twenty thirty forty fifty sixty seventy eighty ninety".split()


def number_in_words(number: int) -> str:
    """A number from 0 to 100 as it is spoken."""
    if number < 20:
        return _ONES[number]
    if number == 100:
        return "one hundred"
    tens, ones = divmod(number, 10)
    return _TENS[tens] if ones == 0 else f"{_TENS[tens]} {_ONES[ones]}"


def with_article(noun: str) -> str:
    """The noun with "a" or "an" before it."""
    return f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}"
