"""An empty label store in either database, whose time is told by the test."""

import pytest

from core.labels.store import LabelStore
from tests.core.labels.shared import Clock


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def store(database, clock):
    store = LabelStore(database, lease=60, clock=clock)
    yield store
    store.close()
