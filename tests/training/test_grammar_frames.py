"""How somebody or something is, in five languages at once."""

from __future__ import annotations

import pytest

from core.training import grammar_frames as frames
from core.training.grammar import PERSONS
from tests.training import adjective, phrase_of


@pytest.mark.parametrize(
    ("person", "words"),
    [
        ("I", "I am sad|ich bin traurig|je suis triste|estoy triste|sono triste"),
        ("you", "you are sad|du bist traurig|tu es triste|estás triste|sei triste"),
        ("he", "he is sad|er ist traurig|il est triste|él está triste|lui è triste"),
        ("she", "she is sad|sie ist traurig|elle est triste|ella está triste|lei è triste"),
        ("we", "we are sad|wir sind traurig|nous sommes tristes|estamos tristes|siamo tristi"),
        ("they", "they are sad|sie sind traurig|ils sont tristes|están tristes|sono tristi"),
    ],
)
def test_each_person_has_a_form_of_being(person: str, words: str) -> None:
    assert "|".join(frames.person_is_so(person, adjective("sad"))) == words


def test_she_is_said_in_the_feminine_and_what_lasts_with_ser() -> None:
    said = frames.person_is_so("she", adjective("beautiful"))
    assert said[2:] == ("elle est belle", "ella es hermosa", "lei è bella")


def test_a_person_is_not_so() -> None:
    said = frames.person_is_so("I", adjective("strong"), is_negated=True)
    assert said == (
        "I am not strong",
        "ich bin nicht stark",
        "je ne suis pas fort",
        "no soy fuerte",
        "non sono forte",
    )


def test_who_is_hungry_has_hunger() -> None:
    hungry = adjective("hungry")
    said = {person: frames.person_is_so(person, hungry, is_negated=True)[2:] for person in PERSONS}
    assert said["I"] == ("je n'ai pas faim", "no tengo hambre", "non ho fame")
    assert said["you"] == ("tu n'as pas faim", "no tienes hambre", "non hai fame")
    assert said["she"] == ("elle n'a pas faim", "ella no tiene hambre", "lei non ha fame")
    assert said["we"] == ("nous n'avons pas faim", "no tenemos hambre", "non abbiamo fame")
    assert said["they"] == ("ils n'ont pas faim", "no tienen hambre", "non hanno fame")
    assert frames.is_so(phrase_of("the 0 dog"), hungry) == (
        "the dogs are hungry",
        "die Hunde sind hungrig",
        "les chiens ont faim",
        "los perros tienen hambre",
        "i cani hanno fame",
    )


def test_food_is_good_today_and_a_house_is_large_for_good() -> None:
    assert frames.is_so(phrase_of("the soup"), adjective("good"))[3] == "la sopa está buena"
    assert frames.is_so(phrase_of("the house"), adjective("large"))[3] == "la casa es grande"
