"""A checkpoint folder of a model that has learnt nothing."""

import pytest


@pytest.fixture
def checkpoint(random_model, processor, tmp_path):
    folder = tmp_path / "checkpoint"
    random_model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder
