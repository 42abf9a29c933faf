"""Words that carry a fact weigh more: which tokens they are, and the loss against a plain computation."""

from __future__ import annotations

import math

import pytest
import torch
from PIL import Image

pytest.importorskip("trl")

from trl import SFTConfig  # noqa: E402

from core.alignment.cold_start import ColdStartTrainer, FactCollator  # noqa: E402
from core.alignment.policy import NEW_WORDS, dataset, open_policy  # noqa: E402
from core.alignment.reasoning_data import Question  # noqa: E402
from core.judges.prompts import PROMPTS  # noqa: E402

TEXT = "<think>I see: The star is red. So Response 1 is better.</think><answer>1</answer>"
FACTS = [[TEXT.index("red"), TEXT.index("red") + 3], [len(TEXT) - 10, len(TEXT) - 9]]


@pytest.fixture
def rows(tmp_path, policy):
    Image.new("RGB", (56, 56), "red").save(tmp_path / "a.png")
    questions = [Question(str(n), "p", "a.png", "What colour?" * (n + 1), "red", "blue", 1) for n in range(2)]
    model, processor = open_policy(str(policy), "cpu")
    texts = {"0": TEXT, "1": "<think>x</think><answer>1</answer>"}
    made = dataset(questions, PROMPTS["brief-think"], processor, tmp_path, texts, {"0": FACTS})
    return model, processor, made.remove_columns(["answer", "id", "first", "second"])


def test_the_marked_tokens_spell_the_facts(rows):
    _, processor, made = rows
    batch = FactCollator(processor)(list(made))
    assert processor.tokenizer.decode(batch["input_ids"][0][batch["fact"][0]]).replace(" ", "") == "red1"
    assert not batch["fact"][1].any()  # nothing was marked there
    assert (batch["labels"][batch["fact"]] >= 0).all()


@pytest.mark.parametrize("weight", [1, 7])
def test_the_loss_is_the_weighted_mean_over_the_completions_tokens(rows, tmp_path, weight):
    model, processor, made = rows
    args = SFTConfig(str(tmp_path / "out"), use_cpu=True, bf16=False, report_to="none", remove_unused_columns=False,
                     completion_only_loss=True, max_length=None, gradient_checkpointing=False)  # fmt: skip
    collator = FactCollator(processor)
    trainer = ColdStartTrainer(
        model=model, args=args, train_dataset=made, processing_class=processor, data_collator=collator
    )
    trainer.fact_weight = weight
    model.train()
    batch = collator(list(made))
    plain = {k: v for k, v in batch.items() if k not in ("labels", "fact")}
    logp = model(**plain).logits.float().log_softmax(-1)
    total = weights = 0.0
    for b, t in (batch["labels"] >= 0).nonzero().tolist():
        w = weight if batch["fact"][b, t] else 1
        total -= w * float(logp[b, t - 1, batch["labels"][b, t]].detach())
        weights += w
    assert math.isclose(float(trainer.compute_loss(model, dict(batch))), total / weights, rel_tol=1e-5)


def test_new_words_are_one_token_each_and_begin_as_the_mean_of_their_pieces():
    from core.model.loading import load_checkpoint

    model, processor = open_policy(None, "cpu")
    judge, plain = load_checkpoint(None, "cpu")
    table, before = model.get_input_embeddings().weight, judge.backbone.get_input_embeddings().weight
    assert model.get_output_embeddings().weight.data_ptr() == table.data_ptr()
    for word in NEW_WORDS:
        (token,) = processor.tokenizer(word, add_special_tokens=False)["input_ids"]
        pieces = plain.tokenizer(word, add_special_tokens=False)["input_ids"]
        assert torch.allclose(table[token], before[pieces].mean(0), atol=1e-6)
        assert processor.tokenizer.decode([token], skip_special_tokens=True) == word
    assert torch.equal(table[: len(before)], before)
