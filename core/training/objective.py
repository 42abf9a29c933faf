"""The training objective around VL-MDR. The auxiliary heads live only here and are dropped when training ends.

1. grounding: each visual token that holds a part's anchor names the part's concepts (colour, digit, next box);
   words: read through the language model's own output layer, it says the words of those concepts, so that words
   and what they stand for share directions. Finding "star" in the picture and answering "star" then become
   copying, which attention learns fast; without it, every word's binding is learnt by itself;
2. finding: halfway through the decoder, where the fact is about to be said, the state points at the visual token
   that proves it. Questions that must first find a place and then read there otherwise come last, or never;
   language: the right answer's next tokens, the words that carry the fact weighing most;
3. faults: each response token says whether it is at fault and on which dimension;
4. judging: the hierarchical loss of VL-MDR over right answers against spoilt ones;
   blame: of all that a spoilt answer's tokens take from its reward, the words at fault take the most.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy

from core.model import VLMDR
from core.model.head import aggregate, weights_over
from core.model.losses import bradley_terry, hierarchical_loss, masked_mean
from core.model.processor import RewardProcessor
from core.model.reader import Prefix, at_end
from core.model.scalar import ScalarReward
from core.taxonomy import NUM_DIMENSIONS
from core.training.data import FINE
from core.world.pictures import CONCEPTS

# Groups of concepts that are said by one word; "next" and "towards" would contradict the box's own letter.
SPOKEN = {"colour", "shape", "size", "row", "column", "letter", "value", "name", "day", "word"}
ROW_WORDS, COLUMN_WORDS = ("top", "middle", "bottom"), ("left", "centre", "right")


def concept_tokens(processor: RewardProcessor) -> Tensor:
    """(concepts,) the token that says each concept, or -1."""
    out = []
    for concept in CONCEPTS:
        group, value = concept.split("=")
        word = (
            {"row": ROW_WORDS, "column": COLUMN_WORDS}[group][int(value)]
            if group in ("row", "column")
            else value
        )
        ids = processor.tokenizer(word if word.isdigit() else f" {word}", add_special_tokens=False)[
            "input_ids"
        ]
        out.append(ids[0] if group in SPOKEN and len(ids) == 1 else -1)
    return torch.tensor(out)


class Objective(nn.Module):
    """VL-MDR with its auxiliary heads. `weights` scales the terms; a weight of 0 skips the work."""

    tokens: Tensor

    def __init__(
        self, model: VLMDR | ScalarReward, weights: dict[str, float], processor: RewardProcessor
    ) -> None:
        super().__init__()
        self.register_buffer("tokens", concept_tokens(processor), persistent=False)
        hidden = model.config.hidden_size
        self.model: Any = model
        self.weights = weights
        self.concepts = nn.Linear(hidden, len(CONCEPTS) + 1)  # the last logit: is there a part at all
        self.faults = nn.Linear(hidden, NUM_DIMENSIONS + 1)
        self.pointer = nn.Linear(hidden, hidden, bias=False)
        self.halfway = len(model.backbone.get_decoder().layers) // 2
        groups = [c.split("=")[0] for c in CONCEPTS]
        self.groups = [[i for i, g in enumerate(groups) if g == name] for name in dict.fromkeys(groups)]

    def forward(
        self, pixel_values: Tensor, image_grid_thw: Tensor, concepts: Tensor, **texts: Tensor
    ) -> dict[str, Tensor]:
        features = self.model.image_features(pixel_values, image_grid_thw=image_grid_thw)
        seen = torch.cat(features)
        terms = {"grounding": self.grounding(seen, concepts), "words": self.words(seen, concepts)}
        if "input_ids" in texts:
            terms |= self.text_terms(features, image_grid_thw, **texts)
        loss = sum(self.weights.get(name, 0.0) * term for name, term in terms.items())
        return {"loss": loss, **{k: v.detach() for k, v in terms.items()}}  # type: ignore[dict-item]

    def grounding(self, features: Tensor, target: Tensor) -> Tensor:
        logits = self.concepts(features).float()
        present = target.any(-1)
        loss = binary_cross_entropy_with_logits(logits[:, -1], present.float())
        for group in self.groups:
            rows = target[:, group].any(-1)
            if rows.any():
                loss = loss + cross_entropy(logits[rows][:, group], target[rows][:, group].argmax(-1))
        return loss

    def words(self, features: Tensor, target: Tensor) -> Tensor:
        """Cross-entropy among the words of each group, read as the language model reads its last state."""
        decoder, embeddings = self.model.backbone.get_decoder(), self.model.backbone.get_input_embeddings()
        states = decoder.norm(features)
        loss = states.new_zeros(())
        for group in self.groups:
            said = [i for i in group if self.tokens[i] >= 0]
            rows = target[:, said].any(-1)
            if len(said) > 1 and rows.any():
                logits = nn.functional.linear(states[rows], embeddings.weight[self.tokens[said]]).float()
                loss = loss + cross_entropy(logits, target[rows][:, said].argmax(-1))
        return loss

    def text_terms(self, features: list[Tensor], grids: Tensor, **t: Tensor) -> dict[str, Tensor]:
        model = self.model
        image_of = t["image_of"].tolist()
        embeds = model.embed(t["input_ids"], [features[i] for i in image_of])
        positions = model.positions(t["input_ids"], t["attention_mask"], image_grid_thw=grids[t["image_of"]])
        middle: list[Tensor] = []  # states after the middle layer: first the prefix's, then the responses'
        layer = model.backbone.get_decoder().layers[self.halfway]
        hook = layer.register_forward_hook(lambda _m, _i, out: middle.append(out))
        reading = model.read_embeds(embeds, t["attention_mask"], positions, model.at_image(t["input_ids"]))
        embeddings = model.backbone.get_input_embeddings()
        response = embeddings(t["response_ids"])
        response = torch.where(t["hidden"].unsqueeze(-1), embeddings.weight.mean(0), response)
        states = model.response_states(reading, response, t["response_mask"])
        hook.remove()
        fact, rest = self.language(reading, states, t)
        finding = self.finding([features[i] for i in image_of], middle, states.shape[:3], t)
        terms = {"fact": fact, "language": fact + 0.3 * rest, "finding": finding}
        if t["response_ids"].shape[1] > 1:
            terms["faults"] = self.fault_loss(states, t)
            judged = self.judging(reading, response, states, t)
            terms |= {f"judging_{k}": v for k, v in judged.items() if k not in ("loss", "blame")}
            terms |= {"judging": judged["loss"], **({"blame": judged["blame"]} if "blame" in judged else {})}
        else:
            terms["gate"] = binary_cross_entropy_with_logits(
                reading.relevance_logits.float(), t["relevant"].float()
            )
        return terms

    def finding(
        self, features: list[Tensor], middle: list[Tensor], shape: torch.Size, t: dict[str, Tensor]
    ) -> Tensor:
        """-log of the share of a pointer that lies on the proving tokens, at the state before the first fact token."""
        before = torch.cat([middle[0][:, -1:], middle[1].unflatten(0, shape[:2])[:, 0, :-1]], dim=1)
        first = t["marked"][:, 0].int().argmax(-1)
        asks = before[torch.arange(len(before)), first]
        evidence = t["evidence"]
        keys = nn.utils.rnn.pad_sequence(features, batch_first=True)
        lengths = torch.tensor([len(f) for f in features], device=keys.device)
        beyond = torch.arange(keys.shape[1], device=keys.device) >= lengths[:, None]
        norm = self.model.backbone.get_decoder().norm
        logits = (norm(keys) @ self.pointer(norm(asks)).unsqueeze(-1)).squeeze(-1).float() / keys.shape[
            -1
        ] ** 0.5
        shares = logits.masked_fill(beyond, float("-inf")).log_softmax(-1)
        on = shares.masked_fill(~evidence, float("-inf")).logsumexp(-1)
        known = evidence.any(-1) & t["marked"][:, 0].any(-1)
        return masked_mean(-on.masked_fill(~known, 0.0), known)

    def language(self, reading: Prefix, states: Tensor, t: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
        """Cross-entropy of the right answer (response 0), predicted from the state before each token: of the
        words that carry the fact, which only the picture can tell, and of the rest."""
        before = torch.cat([reading.states[:, -1:], states[:, 0, :-1]], dim=1)
        logits = nn.functional.linear(before, self.model.backbone.get_input_embeddings().weight).float()
        loss = cross_entropy(logits.flatten(0, 1), t["response_ids"][:, 0].flatten(), reduction="none")
        loss = loss.view(t["response_mask"][:, 0].shape)
        mask, fact = t["response_mask"][:, 0].bool(), t["marked"][:, 0]
        return masked_mean(loss, mask & fact), masked_mean(loss, mask & ~fact)

    def fault_loss(self, states: Tensor, t: dict[str, Tensor]) -> Tensor:
        """Per token: fine, or at fault on a dimension. The last token sums up the response."""
        mask = t["response_mask"].bool()
        spoils = t["spoils"].unsqueeze(-1)
        target = torch.where(t["marked"], spoils.expand(mask.shape), FINE)
        last = (t["response_mask"].sum(-1, keepdim=True) - 1).long()
        target = target.scatter(-1, last, spoils)
        loss = cross_entropy(
            self.faults(states).float().flatten(0, 2), target.flatten(), reduction="none"
        ).view(mask.shape)
        at_end = torch.zeros_like(mask).scatter(-1, last, True)
        body = mask & ~at_end
        guilty = body & (target != FINE)
        return (masked_mean(loss, at_end) + masked_mean(loss, guilty) + masked_mean(loss, body & ~guilty)) / 3

    def judging(
        self, reading: Any, embeds: Tensor, states: Tensor, t: dict[str, Tensor]
    ) -> dict[str, Tensor]:
        """All pairs of an item's responses, on the annotated active set."""
        scores = self.model.score_states(reading, embeds, states, t["response_mask"]).float()
        relevant, spoils = t["relevant"], t["spoils"]
        rewards = aggregate(weights_over(reading.weight_logits.float(), relevant), scores)
        n = scores.shape[1]
        a, b = torch.triu_indices(n, n, offset=1)
        dims = torch.arange(relevant.shape[-1], device=scores.device) + 1
        hit = spoils[..., None] == dims  # (B, N, D): response n is worse on d
        preference = hit[:, b].int() - hit[:, a].int()
        # Right against spoilt is decided overall, right against right a tie; two spoilt ones are compared by
        # dimension only.
        first_is_right = (spoils[:, a] == FINE).flatten()
        decided = (spoils[:, b] != FINE).flatten().float()
        terms = hierarchical_loss(
            reading.relevance_logits.float(),
            relevant,
            scores[:, a].flatten(0, 1),
            scores[:, b].flatten(0, 1),
            preference.flatten(0, 1),
            relevant[:, None].expand(-1, len(a), -1).flatten(0, 1),
            rewards[:, a].flatten()[first_is_right],
            rewards[:, b].flatten()[first_is_right],
            decided[first_is_right],
        )
        return {**terms, "blame": self.blame(reading, embeds, states, t)}

    def blame(self, reading: Any, embeds: Tensor, states: Tensor, t: dict[str, Tensor]) -> Tensor:
        """-log of the share of the weighted doubt that lies on the words at fault, where there are any."""
        doubts = self.model.token_doubts(reading, embeds, states, t["response_mask"]).float()
        weights = weights_over(reading.weight_logits.float(), t["relevant"])
        taken = (doubts * weights[:, None, None]).sum(-1)
        guilty = t["marked"] & ~t["hidden"]
        share = (taken * guilty).sum(-1) / taken.sum(-1).clamp_min(1e-6)
        known = guilty.any(-1) & (t["spoils"] != FINE)
        return masked_mean(-share.clamp_min(1e-6).log(), known)


class ScalarObjective(Objective):
    """The same for the scalar rival: the same lessons and auxiliary losses, one number in place of 21."""

    def judging(
        self, reading: Any, embeds: Tensor, states: Tensor, t: dict[str, Tensor]
    ) -> dict[str, Tensor]:
        """Bradley-Terry of the right answer (response 0) against each spoilt one."""
        del reading, embeds
        rewards = self.model.head(at_end(states, t["response_mask"])).squeeze(-1).float()
        loss = bradley_terry(rewards[:, :1] - rewards[:, 1:], torch.ones_like(rewards[:, 1:])).mean()
        return {"overall": loss, "loss": loss}
