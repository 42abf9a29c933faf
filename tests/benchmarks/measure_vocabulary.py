"""How often the warning of words that the embedded model never saw is given where it should not be, and missed where it should:

    python tests/benchmarks/measure_vocabulary.py [FILE.jsonl ...]

False alarms: held-out records of the scene world. Misses: texts of three words and more in any JSON Lines of other data.
"""

import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))
from app.inspect.gallery import FAMILIES
from core.model.vocabulary import unknown_words
from core.world.splits import couple


def texts(value):
    if isinstance(value, str):
        if len(value.split()) > 2 and not value.startswith("data:"):
            yield value
    elif isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from texts(inner)


def main():
    own = [
        t
        for f in FAMILIES
        for i in range(40)
        for c in couple(f, f"held-{i}")
        for t in (c.prompt, *c.responses)
    ]
    alarms = sum(bool(unknown_words(t)) for t in own)
    print(f"scene world, held out: {alarms} false alarms in {len(own):,} texts")
    for path in map(Path, sys.argv[1:]):
        others = [t for line in path.read_text().splitlines() for t in texts(json.loads(line))]
        missed = sum(not unknown_words(t) for t in others)
        print(
            f"{path.name}: {missed} of {len(others):,} texts without a warning ({missed / len(others):.1%})"
        )


if __name__ == "__main__":
    main()
