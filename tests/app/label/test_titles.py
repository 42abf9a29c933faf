"""What annotators see queues called: nothing that says what is expected of their labels."""

import re
import shutil
from pathlib import Path

from app.common.label_words import neutral_titles
from core.labels.queues import NAMES
from core.labels.store import LabelStore
from tests.core.labels.shared import item

OLD = Path(__file__).parents[2] / "fixtures" / "release_0_1"


def test_queues_of_release_0_1_and_of_any_name_and_order(tmp_path):
    shutil.copy(OLD / "labels.sqlite", tmp_path / "l.sqlite")
    store = LabelStore(f"sqlite:///{tmp_path / 'l.sqlite'}")
    old = neutral_titles(store.queues())
    for n, order in enumerate(NAMES):
        about = {"name": f"Doubtful {n}", "order": order, "title": "Scene world", "by": "Eve"}
        store.add_queue(about, [item(i) for i in range(n + 1)], ())
    known = store.queues()
    titles = neutral_titles(known)
    assert old.items() <= titles.items()  # a new queue renames none
    assert sorted(titles.values(), key=lambda t: int(t.split()[1][:-1])) == [
        titles[q.id] for q in reversed(known)
    ]
    for queue in known:
        assert re.fullmatch(
            rf"Queue \d+: {re.escape(queue.about['title'])} \({queue.size}\)", titles[queue.id]
        )
        own = queue.about["name"]
        assert own not in titles[queue.id] or own == queue.about["title"]
    assert not re.search("doubt|suspic|error|wrong|disagree|disput|random", " ".join(titles.values()), re.I)
    store.close()
