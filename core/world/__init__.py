"""The scene world: pictures drawn with Pillow whose truth is known, and questions with right and wrong answers.

pictures.py   what can be in a picture, and its parts with their boxes
draw.py       a picture as pixels
questions.py  what can be asked about it; each wrong answer is right for a *twin* picture
manner.py     faults of manner (format, padding, rudeness ...) that need no picture
items.py      question + instructions + responses = an Item with its answer key
splits.py     the training stream and the held-out records
"""
