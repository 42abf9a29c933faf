"""A stand-in for the `spaces` package on ZeroGPU, after spaces 0.51 (zero/wrappers.py): a forked worker, arguments and
results pickled through queues, the task in a thread of the worker, errors that are not gr.Error reduced to their name.
"""

import functools
import multiprocessing
import pickle
from concurrent.futures import ThreadPoolExecutor
from types import ModuleType

import gradio as gr

FORK = multiprocessing.get_context("fork")


def stand_in():
    """The module, with `durations`: what was asked for each call."""
    module = ModuleType("spaces")
    module.durations = []
    module.GPU = functools.partial(_gpu, module.durations)
    return module


def _gpu(durations, task, duration=None):
    @functools.wraps(task)
    def handler(*args, **kwargs):
        durations.append(duration(*args, **kwargs) if callable(duration) else duration)
        packed = pickle.dumps((args, kwargs))
        arguments, results = FORK.SimpleQueue(), FORK.SimpleQueue()
        worker = FORK.Process(target=_work, args=(task, arguments, results), daemon=True)
        worker.start()
        arguments.put(packed)
        good, value = pickle.loads(results.get())
        worker.join(20)
        if not good:
            raise gr.Error(value, title="ZeroGPU worker error")
        return value

    return handler


def _work(task, arguments, results):
    args, kwargs = pickle.loads(arguments.get())

    def run():
        try:
            answer = pickle.dumps((True, task(*args, **kwargs)))
        except Exception as error:
            answer = pickle.dumps((False, type(error).__name__))
        results.put(answer)

    with ThreadPoolExecutor() as pool:
        pool.submit(run).result()
