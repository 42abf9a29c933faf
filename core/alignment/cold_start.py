"""Supervised training on first thoughts, in which the words that carry a fact may weigh more than the rest.

Most words of a thought are the same in every thought and are learnt in minutes; what only the picture can tell is a few of
them, and their share of an even mean is small.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy
from trl import SFTTrainer
from trl.trainer.sft_trainer import DataCollatorForVisionLanguageModeling

from core.alignment.resuming import ReadsItsCheckpoints


class FactCollator:
    """TRL's collator, and `fact`: (B, L) bool, whether a label overlaps a fact of its completion."""

    def __init__(self, processor: Any) -> None:
        self.tokenizer = processor.tokenizer
        self.inner = DataCollatorForVisionLanguageModeling(processor, completion_only_loss=True)

    def __call__(self, rows: list[dict[str, Any]]) -> dict[str, Any]:
        said = [(r["completion"][0]["content"][0]["text"], r["facts"]) for r in rows]
        batch = self.inner([{k: v for k, v in r.items() if k != "facts"} for r in rows])
        fact = torch.zeros_like(batch["labels"], dtype=torch.bool)
        for b, (text, spans) in enumerate(said):
            at = (batch["labels"][b] >= 0).nonzero().flatten()
            marked = self._marked(text, spans, batch["labels"][b, at])
            fact[b, at[: len(marked)]] = marked
        return {**batch, "fact": fact}

    def _marked(self, text: str, spans: list[list[int]], labels: Tensor) -> Tensor:
        """Per label; the template writes a blank before the text in some chats, and an end behind it."""
        for before in (" ", ""):
            found = self.tokenizer(before + text, add_special_tokens=False, return_offsets_mapping=True)
            ids, shift = torch.tensor(found["input_ids"]), len(before)
            if len(ids) <= len(labels) and torch.equal(ids, labels[: len(ids)]):
                return torch.tensor(
                    [
                        any(s < b + shift and e > a + shift for a, b in spans)
                        for s, e in found["offset_mapping"]
                    ]
                )
        return torch.zeros(0, dtype=torch.bool)  # a template that writes otherwise: all words weigh the same


class ColdStartTrainer(ReadsItsCheckpoints, SFTTrainer):
    """SFTTrainer that continues from its checkpoints. fact_weight: of words that carry a fact; others weigh 1."""

    fact_weight = 1

    def compute_loss(
        self, model: Any, inputs: dict[str, Any], return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        fact = inputs.pop("fact", None)
        if fact is None or self.fact_weight == 1 or return_outputs or not model.training:
            return super().compute_loss(model, inputs, return_outputs, num_items_in_batch)
        labels = inputs.pop("labels")
        logits = model(**inputs, use_cache=False).logits[:, :-1].float()
        targets, known = labels[:, 1:], labels[:, 1:] >= 0
        loss = cross_entropy(logits[known], targets[known], reduction="none")
        weight = torch.where(fact[:, 1:][known], float(self.fact_weight), 1.0)
        marked = fact[:, 1:][known]
        for name, where in (("fact_loss", marked), ("other_loss", ~marked)):
            self._metrics["train"][name].append(float(loss.detach()[where].mean()))
        total = (loss * weight).sum() / weight.sum()
        # The Trainer leaves gradient accumulation to the loss where it counts the batch's items itself.
        steps = self.current_gradient_accumulation_steps if num_items_in_batch is not None else 1
        return total / steps
