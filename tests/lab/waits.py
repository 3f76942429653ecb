# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Actions for the proxy that keep a run waiting, so that another one can do its work meanwhile."""

from __future__ import annotations

import threading
from typing import Any

from lab.proxy import Action, Answer, Exchange, change


class Hold:
    """An action: each request that comes waits until it may go on. `after`: the server acts, its answer waits.

    The client has to be patient; one of a CA asks anew after 30 s.
    """

    def __init__(self, *, after: bool = False, patience: float = 540.0) -> None:
        self._after = after
        self._patience = patience
        self.arrived, self.released = threading.Event(), threading.Event()

    def __call__(self, exchange: Exchange) -> Answer:
        early = exchange.forward() if self._after else None
        self.arrived.set()
        assert self.released.wait(self._patience), f"nobody released {exchange.path}"
        return early or exchange.forward()


class Undecided:
    """An action for ORDER: to whoever asks, each order is pending until `decide()`, whatever the CA has made of it.

    So a run waits with its port open for as long as it takes, and no request waits. Orders count as they appear.
    """

    def __init__(self) -> None:
        self._orders: list[str] = []
        self._decided: set[int] = set()
        self._changed = threading.Condition()

    def __call__(self, exchange: Exchange) -> Answer:
        with self._changed:
            if exchange.path not in self._orders:
                self._orders.append(exchange.path)
                self._changed.notify_all()
            decided = self._orders.index(exchange.path) in self._decided
        return exchange.forward() if decided else change(_pending)(exchange)

    def wait(self, orders: int, patience: float = 300.0) -> bool:
        """False when that many orders were not asked for in time."""
        with self._changed:
            return self._changed.wait_for(lambda: len(self._orders) >= orders, patience)

    def decide(self, order: int) -> None:
        """From now on this one is what the CA says."""
        with self._changed:
            self._decided.add(order)


def _pending(order: dict[str, Any]) -> None:
    order["status"] = "pending"


def meet(parties: int) -> Action:
    """An action: requests wait until so many are there, and go on together."""
    barrier = threading.Barrier(parties, timeout=240.0)

    def act(exchange: Exchange) -> Answer:
        barrier.wait()
        return exchange.forward()

    return act
