"""What is proposed, when it is worth feeding, and what a pass with drafts is known to cost."""

from __future__ import annotations

import pytest

from core.drafting import ASSUMED_COST, NUM_DRAFTED, NUM_TIMED, DraftCost, PromptLookup

CHEAP = 1.0  # a pass with drafts that takes as long as one without


def push(lookup: PromptLookup, *token_ids: int) -> None:
    for token_id in token_ids:
        lookup.push(token_id)


def test_what_followed_the_last_tokens_before_is_proposed() -> None:
    lookup = PromptLookup([1, 2, 3, 4, 5, 6, 7, 50, 51], [1, 2, 3, 4, 5, 6, 7])
    push(lookup, 1, 2, 3)
    assert lookup.draft(9, CHEAP) == [4, 5, 6]


def test_the_latest_place_and_the_longest_match_decide() -> None:
    prompt = [7, 1, 2, 30, 31, 32, 8, 1, 2, 40, 41, 42, 9]
    lookup = PromptLookup([*prompt, 60], prediction=[99])
    push(lookup, 5, 1, 2)
    assert lookup.draft(9, CHEAP) == [40, 41, 42]
    push(lookup, 40, 41, 42, 7, 1, 2)
    assert lookup.draft(9, CHEAP) == [30, 31, 32]


def test_a_reply_may_repeat_itself() -> None:
    lookup = PromptLookup([1], prediction=[99])
    push(lookup, 11, 12, 13, 14, 11, 12)
    assert lookup.draft(9, CHEAP) == [13, 14, 11]


def test_a_prediction_is_fed_from_the_first_token_on() -> None:
    lookup = PromptLookup([1, 2, 3], prediction=[21, 22, 23, 24])
    assert lookup.draft(9, ASSUMED_COST) == [21, 22, 23]
    push(lookup, 21, 22, 23)
    assert lookup.draft(9, ASSUMED_COST) == [24]


def test_a_short_prompt_has_a_prediction_too() -> None:
    for prompt in ([4], [3, 4]):
        assert PromptLookup(prompt, prediction=[5, 6]).draft(9, CHEAP) == [5, 6]


def test_no_more_is_proposed_than_may_be_fed() -> None:
    def lookup() -> PromptLookup:
        return PromptLookup([1, 2, 3], prediction=[21, 22, 23, 24])

    assert lookup().draft(2, CHEAP) == [21, 22]
    assert lookup().draft(0, CHEAP) == []
    assert lookup().draft(-1, CHEAP) == []


def test_places_of_media_and_ends_of_texts_are_never_proposed() -> None:
    prompt = [1, 2, 3, -7, -8, 9, 1, 2, 6]
    lookup = PromptLookup(prompt, prediction=[40, 41])
    push(lookup, 40, 41)
    assert lookup.draft(9, CHEAP) == []
    push(lookup, 1, 2, 3)
    assert lookup.draft(9, CHEAP) == []


def test_nothing_is_fed_until_proposals_have_been_right() -> None:
    text = list(range(100, 130))
    lookup = PromptLookup([*text, 1, 2])
    fed = []
    for token_id in text:
        fed.append(bool(lookup.draft(NUM_DRAFTED, ASSUMED_COST)))
        lookup.push(token_id)
    assert not any(fed[:5])
    assert all(fed[12:-1])


def test_proposals_that_were_wrong_are_not_fed_any_more() -> None:
    """The pairs come back, and what follows them is always new."""
    lookup = PromptLookup([1, 2, 3], prediction=[5, 6, 7, 8, 5, 6])
    num_fed = 0
    for new in range(100, 160):
        num_fed += bool(lookup.draft(NUM_DRAFTED, ASSUMED_COST))
        push(lookup, 5)
        num_fed += bool(lookup.draft(NUM_DRAFTED, ASSUMED_COST))
        push(lookup, 6)
        num_fed += bool(lookup.draft(NUM_DRAFTED, ASSUMED_COST))
        push(lookup, new)
    assert num_fed < 9


def test_a_text_that_begins_to_repeat_is_trusted_again() -> None:
    lookup = PromptLookup([1, 2, 3], prediction=[90, 91])
    push(lookup, *range(200, 230))
    for token_id in range(200, 220):
        lookup.draft(NUM_DRAFTED, ASSUMED_COST)
        lookup.push(token_id)
    assert lookup.draft(NUM_DRAFTED, ASSUMED_COST) == [220, 221, 222]


@pytest.mark.parametrize(("cost", "num"), [(1.7, 3), (3.7, 3), (3.9, 0), (8.0, 0)])
def test_dear_passes_are_made_for_sure_proposals_alone(cost: float, num: int) -> None:
    assert len(PromptLookup([1, 2, 3], prediction=[5, 6, 7]).draft(3, cost)) == num


def test_cost_is_assumed_until_both_kinds_of_pass_were_timed() -> None:
    cost = DraftCost()
    assert cost.ratio == ASSUMED_COST
    cost.add(0.1, is_drafted=False)
    assert cost.ratio == ASSUMED_COST
    cost.add(0.3, is_drafted=True)
    assert cost.ratio == pytest.approx(3.0)


def test_cost_forgets_what_was_long_ago_and_one_slow_pass() -> None:
    cost = DraftCost()
    for seconds, is_drafted in ((5.0, False), (9.0, True)):
        cost.add(seconds, is_drafted)
    for _ in range(NUM_TIMED):
        cost.add(1.0, is_drafted=False)
        cost.add(2.0, is_drafted=True)
    cost.add(100.0, is_drafted=True)
    assert cost.ratio == pytest.approx(2.0)
