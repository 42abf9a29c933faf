"""The list of dimensions: 7 capabilities of 3, whose order every 21-vector of the project follows."""

from collections import Counter
from dataclasses import FrozenInstanceError

import pytest

from core.model import VLMDRConfig
from core.taxonomy import CAPABILITIES, DIMENSIONS, INDEX, KEYS, MANNER, NAMES, NUM_DIMENSIONS
from core.world.manner import FAULTS, INSTRUCTIONS


def test_seven_capabilities_of_three():
    assert NUM_DIMENSIONS == len(DIMENSIONS) == 21
    assert Counter(d.capability for d in DIMENSIONS) == dict.fromkeys(CAPABILITIES, 3)
    assert len(CAPABILITIES) == 7
    # Three neighbours share a capability, so that figures can draw them as one block.
    assert [d.capability for d in DIMENSIONS[::3]] == list(CAPABILITIES)


def test_keys_names_and_texts_are_there_and_unique():
    assert len(set(KEYS)) == len(set(NAMES)) == 21
    assert len({d.description for d in DIMENSIONS}) == 21
    for d in DIMENSIONS:
        assert d.key.isidentifier() and d.key.islower()
        assert d.description.endswith(".") and d.description[0].isupper()


def test_the_index_is_the_order():
    assert [INDEX[k] for k in KEYS] == list(range(21))
    assert [d.key for d in DIMENSIONS] == list(KEYS)


def test_a_dimension_cannot_be_changed():
    with pytest.raises(FrozenInstanceError):
        DIMENSIONS[0].key = "other"


def test_manner_is_what_the_world_can_ask_for_and_break_without_a_picture():
    assert set(KEYS) >= MANNER
    assert set(INSTRUCTIONS) == set(MANNER)
    assert set(FAULTS) == set(MANNER) - {"format"}  # the wrong form is another form of the right answer


def test_the_model_speaks_of_the_same_list():
    config = VLMDRConfig()
    assert tuple(config.dimensions) == KEYS and config.num_dimensions == 21
