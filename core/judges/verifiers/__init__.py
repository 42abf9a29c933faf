"""Rules that know: whether an answer can be checked, whether it is right, and how sure that is.

check.py        what a rule is asked (`Task`) and what it says (`Check`)
rules.py        `check`, which asks all rules
readings.py     numbers, units and the marked answer in any text, hostile ones too
answers.py      an answer against the references that the data gives
symbols.py      arithmetic that a prompt asks for or a response writes, and LaTeX
facts.py        an answer against the objects and words that the data names
constraints.py  what a prompt demands of the form: length, JSON, lists, letters, words

Deterministic, without a model and without torch. A rule that does not apply says None; it never guesses.
"""
