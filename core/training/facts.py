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
    "India": "Delhi",
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

NAMES: Final = (
    "Ada Alan Anna Ben Clara David Emma Felix Grace Hugo Ida Jack Kate Leo Lucy Max Maria Nina "
    "Noah Olga Oscar Paul Rosa Sam Sara Tom Tina Victor Vera Will"
).split()

# Words that are spelled, repeated and printed on pictures.
WORDS: Final = (
    "apple ball bread bridge cake car chair cheese cloud coat cup door dream egg field flower "
    "forest garden glass gold hand hat heart hill home house island key king lamp lake letter map "
    "market milk moon morning music night ocean paper peace pen phone piano plate queen rain river "
    "road rose salt school ship shoe silver song spoon spring star stone storm street sugar summer "
    "table tea tower train tree village voice water wind window winter wood world zebra"
).split()

# Places, people and things that the world does not know, to say so about.
UNKNOWN_COUNTRIES: Final = (
    "Brazil Argentina Australia Thailand Vietnam Morocco Nigeria Ghana Bolivia Ecuador Bulgaria "
    "Romania Croatia Serbia Iraq Jordan Laos Mongolia Cambodia Uganda Tunisia Uruguay Jamaica Malta"
).split()

UNKNOWN_THINGS: Final = (
    "a computer|a rocket|an airplane|a volcano|the internet|a guitar|money|a robot|gravity|a virus|"
    "democracy|electricity|a bicycle|the moon landing|a pyramid|coffee|a hurricane|football|chess|"
    "a diamond|the stock market|a violin|glue|a submarine|jazz|a camera|soap|a telescope"
).split("|")

UNKNOWN_PEOPLE: Final = (
    "Shakespeare|Napoleon|Einstein|Mozart|Cleopatra|Newton|Picasso|Beethoven|Caesar|Darwin|"
    "Columbus|Lincoln|Gandhi|Galileo|Edison|Socrates"
).split("|")

_ONES: Final = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen "
    "sixteen seventeen eighteen nineteen"
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
