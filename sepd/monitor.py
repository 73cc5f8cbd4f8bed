"""What is looked after while the daemon runs: its services, and its account at the broker."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from sepd.api.report import Health
from sepd.execution.executor import Executor
from sepd.execution.exits import ExitFile
from sepd.execution.ledger import EVERYTHING, Ledger
from sepd.execution.reconcile import Difference, watch
from sepd.ports import Broker, Cache, Clock, Store

SERVICES_S = 0.25
RECONCILE_S = 60.0


class Monitor:
    """Tells `health` what is wrong, and halts entries where going on could cost money."""

    def __init__(
        self, store: Store, cache: Cache, ledger: Ledger, health: Health, clock: Clock
    ) -> None:
        self._store = store
        self._cache = cache
        self._ledger = ledger
        self._health = health
        self._clock = clock

    async def watch_services(self) -> None:
        """Halt entries while rows are not being written; the cache may go without harm."""
        halted = False
        while True:
            fault = self._store.fault
            self._health.fault("store", fault)
            if fault and not halted:
                self._ledger.block(EVERYTHING, "store")
            elif halted and not fault:
                self._ledger.unblock(EVERYTHING, "store")
            halted = bool(fault)
            self._health.fault("cache", "" if self._cache.ok else "Valkey does not answer.")
            await asyncio.sleep(SERVICES_S)

    async def watch_account(
        self,
        broker: Broker,
        executor: Executor,
        known: Sequence[Difference],
        exits: ExitFile | None,
    ) -> None:
        """Compare store and broker again and again, starting from the differences `known`.

        Exits that were kept in a file while the store was away are brought into it.
        """
        await watch(
            broker,
            self._store,
            executor,
            self._ledger,
            every_s=RECONCILE_S,
            report=self._reconciled,
            before=known,
            exits=exits,
        )

    def _reconciled(self, differences: Sequence[Difference]) -> None:
        self._health.reconciled_ns = self._clock.now_ns()
        kinds = ", ".join(sorted({item.kind.value for item in differences}))
        self._health.fault("account", f"Broker and store differ: {kinds}." if kinds else "")
