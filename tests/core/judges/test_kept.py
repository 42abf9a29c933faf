"""What is kept is limited by its bytes, and by nothing else."""

import torch
from PIL import Image

from core.judges.kept import Kept, bytes_of
from core.judges.vlmdr import Read
from core.model.modeling import Reading
from core.records import Comparison
from tests.plain import noise


def test_bytes_are_those_of_the_tensors_each_memory_once():
    a = torch.zeros(10, 10)
    assert bytes_of(a) == 400 and bytes_of([a, a[:3], a.T]) == 400
    assert bytes_of({"x": (a, torch.zeros(5, dtype=torch.bfloat16)), "y": "text"}) == 410
    assert bytes_of(a.expand(7, 10, 10)) == 400


def test_old_ones_go_when_there_is_no_room_and_the_last_one_stays():
    kept = Kept(1000)
    for i in range(5):
        kept.put(i, torch.zeros(100))  # 400 bytes each
    assert len(kept) == 2 and kept.bytes == 800 and kept.get(2) is None and kept.get(3) is not None
    kept.put(5, torch.zeros(50))
    assert kept.get(3) is not None and len(kept) == 3  # 3 was used last: 4 stays too, there is room
    kept.put(6, torch.zeros(100))
    assert kept.get(4) is None and kept.get(3) is not None
    kept.put("large", torch.zeros(1000))
    assert len(kept) == 1 and kept.bytes == 4000
    kept.put("large", torch.zeros(10))
    assert len(kept) == 1 and kept.bytes == 40


def test_a_judge_keeps_readings_by_their_bytes(random_judge, monkeypatch):
    comparisons = [Comparison(str(i), noise(i), "How many stars are there?", ("3", "4")) for i in range(12)]
    reading = random_judge._read(comparisons[0].load_image(), "How many stars are there?")
    assert isinstance(reading, Read) and isinstance(reading.reading, Reading)
    one = bytes_of(reading)
    monkeypatch.setattr(random_judge, "_readings", Kept(10 * one))
    for c in comparisons:
        random_judge.judge(c)
    assert len(random_judge._readings) == 10 and random_judge._readings.bytes <= 10 * one
    assert isinstance(comparisons[0].load_image(), Image.Image)
