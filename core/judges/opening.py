"""From a name, a folder, a hub id or an address to a judge.

What it is is decided before anything is loaded, by files, config.json and names of weights (contents.py), through one
table of kinds. Whatever is not supported is told what it is and what to do instead. Code of a checkpoint is never run.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from core.judges.contents import Contents, look_at
from core.judges.hybrid import hybrid_over
from core.judges.options import Options
from core.judges.protocols import Judge
from core.judges.registry import JUDGES
from core.model.backbones import SUPPORTED, WHY_NOT
from core.model.files import CheckpointError
from core.model.need import need_of
from core.model.value_head import find_layout, half_a_head

SERVE = (
    "serve it behind the OpenAI protocol (vLLM, SGLang, LMDeploy) and give the address as --model http://..."
)
NEAREST_SCALAR = "The nearest that opens here is a reward head on Qwen2-VL, Qwen2.5-VL or Qwen3-VL, such as Skywork-VL-Reward."


@dataclass(frozen=True)
class Kind:
    """fits: whether a checkpoint is of this kind. load: gives the judge, or raises CheckpointError with a sentence; opens:
    which of both."""

    name: str
    fits: Callable[[Contents], bool]
    load: Callable[[Contents, Options], Judge]
    opens: bool = True


def open_judge(
    source: str | None, options: Options | None = None, say: Callable[[str], None] = lambda sentence: None
) -> Judge:
    """source: an embedded judge's name, a folder, a hub id or an http(s) address; None is the embedded VL-MDR. After "hybrid:"
    or "hybrid-plain:" any of these as the model of a hybrid judge. say: is told what memory it needs and what there is, before
    any of it is downloaded or loaded.

    Raises CheckpointError with a sentence.
    """
    over, _, rest = (source or "").partition(":")
    if over in HYBRIDS:
        return HYBRIDS[over](replace(options or Options(), model=rest or None))
    options = replace(options or Options(), model=source)
    if source is None or source in JUDGES:
        judge: Judge = JUDGES[source or "vl-mdr"](replace(options, model=None))
        return judge
    if source.startswith(("http://", "https://")):
        from core.judges.remote import open_remote

        return open_remote(source, options)
    contents = look_at(source, options.revision)
    kind = kind_of(contents)
    if kind.opens and (
        need := need_of(contents.title, contents.folder, options.device, options.dtype, contents.parameters)
    ):
        say(need.sentence())
        need.check()
    return kind.load(contents, options)


def _hybrid(form: str) -> Callable[[Options], Judge]:
    return lambda options: hybrid_over(open_judge(options.model, options), form)


HYBRIDS: Mapping[str, Callable[[Options], Judge]] = {
    "hybrid": _hybrid("normalised"),
    "hybrid-plain": _hybrid("plain"),
}


def kind_of(contents: Contents) -> Kind:
    return next(kind for kind in KINDS if kind.fits(contents))


# -- what is refused, and what is said ---------------------------------------------------------------------------


def _refuse(name: str, fits: Callable[[Contents], bool], sentence: str | Callable[[Contents], str]) -> Kind:
    def load(contents: Contents, options: Options) -> Judge:
        del options
        said = sentence if isinstance(sentence, str) else sentence(contents)
        raise CheckpointError(said.replace("{title}", contents.title))

    return Kind(name, fits, load, opens=False)


def _architecture(*names: str) -> Callable[[Contents], bool]:
    return lambda c: bool(set(names) & set(c.architectures))


def _type(*names: str) -> Callable[[Contents], bool]:
    return lambda c: c.model_type in names


def _own_code(c: Contents) -> bool:
    """Code of its own, where transformers has no class of that type."""
    return bool(c.config.get("auto_map")) and c.model_type not in SUPPORTED and c.model_type not in WHY_NOT


def _one_label(c: Contents) -> bool:
    labels = c.config.get("num_labels", len(c.config.get("id2label") or ()) or None)
    return labels == 1 or bool(c.config.get("is_rm"))


def _what_it_lacks(c: Contents) -> str:
    if c.pickles:
        return (
            "The weights in '{title}' are pickles ("
            + c.pickles[0]
            + "), which can run code when opened. Convert them to "
            "safetensors."
        )
    return "The folder '{title}' has a config.json but no .safetensors weights."


def _no_config(c: Contents) -> str:
    if "adapter_model.bin" in c.files or (c.pickles and not c.has_weights):
        return "The folder '{title}' has no config.json, and its weights are pickles, which can run code when opened."
    if c.has_weights:
        return (
            "'{title}' is an incomplete checkpoint: it has weights but no config.json. If it is a value head or an adapter alone, "
            "put it beside the base model's files."
        )
    return "The folder '{title}' has no config.json, so it is not a checkpoint."


def _unknown(c: Contents) -> str:
    what = c.model_type or (c.architectures[0] if c.architectures else "")
    if not what:
        return "The config.json of '{title}' does not say what model it is (model_type is missing)."
    if not any(k in c.config for k in ("vision_config", "vlm_config", "vision_tower", "mm_vision_tower")):
        return (
            f"'{{title}}' is a text model ({what}): it reads no pictures, and Rewardscope judges answers about pictures. Give a "
            "vision-language reward model."
        )
    return (
        f"'{{title}}' is a vision-language model of kind '{what}', which Rewardscope has not been shown to read rightly. "
        f"If it answers in words, {SERVE}."
    )


# -- what is opened ----------------------------------------------------------------------------------------------


def _vlmdr(contents: Contents, options: Options) -> Judge:
    judge: Judge = JUDGES["vl-mdr"](options)
    return judge


def _scalar(contents: Contents, options: Options) -> Judge:
    judge: Judge = JUDGES["scalar"](options)
    return judge


def _head(contents: Contents, options: Options) -> Judge:
    from core.judges.heads import open_head

    return open_head(contents, options)


def _generative(contents: Contents, options: Options) -> Judge:
    from core.judges.generative import open_generative

    return open_generative(contents, options)


def _adapter(contents: Contents, options: Options) -> Judge:
    from core.judges.adapters import open_adapter

    return open_adapter(contents, options)


def _has_head(c: Contents) -> bool:
    return find_layout(c.names) is not None


KINDS: tuple[Kind, ...] = (
    Kind("VL-MDR", _type("vl_mdr"), _vlmdr),
    Kind("scalar model of Rewardscope", _type("scalar_reward"), _scalar),
    Kind(
        "adapter (LoRA)",
        lambda c: "adapter_config.json" in c.files and "config.json" not in c.files and c.has_weights,
        _adapter,
    ),
    _refuse("no config.json", lambda c: not c.config and "config.json" not in c.files, _no_config),
    _refuse(
        "unreadable config.json",
        lambda c: not c.config,
        "The config.json of '{title}' is damaged: it is not a JSON table.",
    ),
    _refuse(
        "IXC-2.5-Reward",
        lambda c: (
            c.model_type.startswith("internlmxcomposer") or _architecture("InternLMXComposer2ForCausalLM")(c)
        ),
        f"'{{title}}' is an InternLM-XComposer model (as IXC-2.5-Reward is). It runs code of its own, which Rewardscope never does: {SERVE}. "
        + NEAREST_SCALAR,
    ),
    _refuse(
        "InternVL in its own format",
        lambda c: c.model_type == "internvl_chat" or _architecture("InternVLChatModel")(c),
        f"'{{title}}' is an InternVL model in its authors' format, which runs code of its own; Rewardscope never does: {SERVE}.",
    ),
    _refuse(
        "MiniCPM (Omni-Reward)",
        lambda c: c.model_type.startswith("minicpm"),
        f"'{{title}}' is a MiniCPM model (as Omni-Reward is). It runs code of its own, which Rewardscope never does. {NEAREST_SCALAR}",
    ),
    _refuse(
        "ArmoRM",
        _architecture("LlamaForRewardModelWithGating"),
        "'{title}' is ArmoRM's kind: a text-only reward model with code of its own. It reads no pictures, so it cannot judge answers about them.",
    ),
    _refuse(
        "MM-RLHF-Reward",
        lambda c: (
            (c.model_type == "llava_qwen" or _architecture("LlavaQwenForCausalLM")(c))
            and bool(c.config.get("is_rm"))
        ),
        "'{title}' is MM-RLHF-Reward's kind: LLaVA-NeXT's own format with a reward head behind a critique, which transformers cannot "
        f"read without its authors' code. {NEAREST_SCALAR}",
    ),
    _refuse(
        "LLaVA-OneVision in its own format",
        lambda c: (
            c.model_type in ("llava_qwen", "llava_llama", "llava_mistral")
            or any(a.startswith(("LlavaQwen", "LlavaLlama", "LlavaMistral")) for a in c.architectures)
        ),
        "'{title}' is a LLaVA-OneVision model in LLaVA-NeXT's own format (as LLaVA-Critic and UnifiedReward-7b are), whatever its model_type says; "
        f"transformers cannot read it. To use it as a judge that writes, {SERVE}; UnifiedReward's Qwen versions open here directly.",
    ),
    _refuse(
        "code of its own",
        _own_code,
        lambda c: (
            f"'{{title}}' ({c.model_type}) runs code of its own, which Rewardscope never does. If it answers in words, {SERVE}."
        ),
    ),
    _refuse(
        "quantised weights",
        lambda c: bool(c.config.get("quantization_config")),
        "The weights of '{title}' are quantised ("
        "see its config.json), which is not read here. Give the version with full weights, or " + SERVE + ".",
    ),
    _refuse("no safetensors", lambda c: not c.has_weights, _what_it_lacks),
    *(
        _refuse(kind, _type(kind), f"'{{title}}' is not read here: {why}. If it answers in words, {SERVE}.")
        for kind, why in WHY_NOT.items()
        if kind not in SUPPORTED
    ),
    _refuse("another kind of model", lambda c: c.model_type not in SUPPORTED, _unknown),
    Kind("scalar head", _has_head, _head),
    _refuse(
        "half a head",
        lambda c: bool(half_a_head(c.names)),
        lambda c: (
            f"'{{title}}' is an incomplete checkpoint: it holds {half_a_head(c.names)}, but no weight that goes with it, so its reward head "
            "is missing a part."
        ),
    ),
    _refuse(
        "a value head as a pickle",
        lambda c: any(f.startswith("value_head") for f in c.pickles),
        "The value head of '{title}' is a pickle (value_head.bin), which can run code when opened. Convert it to value_head.safetensors "
        "with the keys v_head.summary.weight and v_head.summary.bias.",
    ),
    _refuse(
        "a reward model without its head",
        _one_label,
        "'{title}' is an incomplete checkpoint: its config.json says that it gives one reward, but it holds no reward head "
        "(score.weight, or value_head.safetensors).",
    ),
    Kind("judge that writes", lambda c: True, _generative),
)
