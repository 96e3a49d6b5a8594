"""Files by age: as if sorted each time, whatever came and went."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from daemon.inbox.ready_queue import ReadyQueue
from daemon.inbox.scanner import Found
from daemon.inbox.stability import Signature

NAMES = st.sampled_from("abcdefgh")


@given(st.lists(st.tuples(st.sampled_from(["put", "drop", "look"]), NAMES, st.integers(0, 5), st.sets(NAMES))))
def test_the_oldest_free_file_comes_first(steps: list[tuple[str, str, int, set[str]]]) -> None:
    queue, model = ReadyQueue(), dict[str, Found]()
    for action, name, age, taken in steps:
        if action == "put":
            model[name] = Found(name, Signature(1, age, 1))
            queue.put(model[name])
        elif action == "drop":
            model.pop(name, None)
            queue.drop(name)
        free = [found for found in model.values() if found.relative not in taken]
        expected = min(free, key=lambda found: (found.signature.mtime_ns, found.relative), default=None)
        assert queue.oldest(lambda found, taken=taken: found.relative not in taken) == expected
        assert len(queue) == len(model)
        assert queue.keys() == set(model)
        assert [found.relative for found in queue.first(3)] == [
            found.relative for found in sorted(model.values(), key=lambda f: (f.signature.mtime_ns, f.relative))[:3]
        ]


def test_the_queue_holds_no_more_than_there_is() -> None:
    queue = ReadyQueue()
    for age in range(1000):
        queue.put(Found("a", Signature(1, age, 1)))
        queue.drop("a")
    assert len(queue._heap) < 50
