"""What tests of explanations share. Each module has its own `comparison`."""

import pytest


@pytest.fixture(scope="module")
def judgement(random_judge, comparison):
    return random_judge.judge(comparison)
