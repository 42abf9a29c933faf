"""Tiny random models from configs: no downloads, no trained weights needed."""

import pytest
import torch
from plain import judge_of

from core.judges.vlmdr import VLMDRJudge
from core.model import VLMDR
from core.training.stages import tiny_config
from core.training.tokenizer import build_processor


@pytest.fixture(scope="session")
def processor():
    return build_processor(0, lessons=150)


@pytest.fixture(scope="session")
def random_model(processor):
    torch.manual_seed(0)
    return VLMDR(tiny_config(processor)).eval()


@pytest.fixture(scope="session")
def random_judge(random_model, processor):
    return judge_of(random_model, processor)


@pytest.fixture(scope="session")
def embedded_judge():
    return VLMDRJudge.load(device="cpu")
