"""What the tests of the label store share: a clock to be set, items, a queue, and calls of the same moment."""

from concurrent.futures import ThreadPoolExecutor

from core.labels.records import Item, LabelError


class Clock:
    def __init__(self):
        self.now = 1_000_000.0

    def __call__(self):
        return self.now


def item(i, responses=("yes", "no"), **more):
    base = {"queue": "", "position": 0, "row": i, "key": f"key{i}", "id": f"id {i}", "subgroup": "g", "cluster": "c",
            "prompt": f"What is {i}?", "responses": responses, "preferred": 0, "picture": "",
            "evidence": {"wrong": 0.5, "reasons": ["one"]}, "judged": ({"judge": "m", "revision": "abc", "rewards": [1.0, 0.0]},)}  # fmt: skip
    return Item(**{**base, **more})


def fill(store, n=5, overlap=1):
    return store.add_queue({"name": "q"}, [item(i) for i in range(n)], [], overlap).id


def at_once(*calls):
    """What each of (function, arguments...) gives, or the LabelError it raises, all called in the same moment."""
    with ThreadPoolExecutor(len(calls)) as pool:
        futures = [pool.submit(*call) for call in calls]
    errors = [f.exception() for f in futures]
    assert all(e is None or isinstance(e, LabelError) for e in errors), errors
    return [e or f.result() for e, f in zip(errors, futures, strict=True)]
