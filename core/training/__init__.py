"""How the embedded model is made: `python -m core train scene --output DIR`.

data.py       lessons of the scene world as tensors
objective.py  the losses on top of VL-MDR: grounding, language model, faults of words, hierarchical
stages.py     ground first, then speak, then judge: the recipe
trainer.py    runs the stages through transformers.Trainer, with resume
"""
