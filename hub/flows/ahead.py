"""Work ahead: a producer runs in its own thread, a bounded number of items before its consumer."""

import queue
import threading
from collections.abc import Iterator
from typing import TypeVar

Item = TypeVar("Item")
_END = object()


def ahead(items: Iterator[Item], depth: int = 2) -> Iterator[Item]:
    """Yield *items* in order while the next *depth* are made in another thread.

    An error of the producer is raised here, at its place. Giving up early stops the producer.
    """
    waiting: queue.Queue[object] = queue.Queue(maxsize=depth)
    stop = threading.Event()

    def offer(item: object) -> None:
        while not stop.is_set():
            try:
                waiting.put(item, timeout=0.1)
            except queue.Full:
                continue
            return

    def produce() -> None:
        try:
            for item in items:
                offer(item)
                if stop.is_set():
                    return
            offer(_END)
        except BaseException as error:  # noqa: BLE001 (handed to the consumer, whatever it is)
            offer(_Failed(error))

    producer = threading.Thread(target=produce, name="ahead", daemon=True)
    producer.start()
    try:
        while (item := waiting.get()) is not _END:
            if isinstance(item, _Failed):
                raise item.error
            yield item  # type: ignore[misc]
    finally:
        stop.set()
        producer.join()


class _Failed:
    def __init__(self, error: BaseException) -> None:
        self.error = error
