"""Random histories in bulk, against the oracle: hypothesis is clever, this is fast."""

from __future__ import annotations

import random

import pytest

from tests.properties.histories import MODES, SLOTS, Story

KINDS = {"all modes": MODES, "slots": (*SLOTS, *SLOTS)}


def wander(seed: int, modes, steps: int = 16) -> None:
    """One history. Many asks for several names, which is where the law is subtle."""
    dice = random.Random(seed)
    story = Story()
    for _ in range(steps):
        if story.live and dice.random() < 0.35:
            story.go(dice.choice(list(story.live)))
        else:
            names = dice.sample("xyz", dice.choice((1, 1, 2, 3)))
            story.ask(tuple((name, dice.choice(modes)) for name in names))
        wrong = [ask.modes for c, ask in story.live.items() if (c.state == "held") != ask.held]
        assert not wrong, f"seed {seed}: the oracle decides otherwise on {wrong}"


@pytest.mark.parametrize("kind", KINDS)
def test_table_decides_as_the_oracle_in_bulk(kind):
    for seed in range(4_000):
        wander(seed, KINDS[kind])


@pytest.mark.soak
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("kind", KINDS)
def test_table_decides_as_the_oracle_in_a_million_histories(kind):
    for seed in range(10_000, 510_000):
        wander(seed, KINDS[kind], steps=20)
