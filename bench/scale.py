"""What must not depend on how much there is: throughput behind a backlog and with many queues, and the memory
that a waiting message takes. Used by bench/run."""

from __future__ import annotations

from measure import Ratio, Row, Suite
from services import Store
from task_stack import tree_pss_mib

FEW = 1_000
QUEUES = 10_000
BODY = "--bytes=100"
CONNECTIONS = "--connections=64"
ENDLESS = "--seconds=600"  # a count ends it


class Filled:
    """A store of its own for each turn, with so many messages waiting in one queue."""

    def __init__(self, suite: Suite, waiting: int) -> None:
        self.suite = suite
        self.waiting = waiting
        self.store: Store | None = None

    def fill(self) -> float:
        """Bytes of memory for each, beyond its body."""
        self.store = Store(self.suite.build, self.suite.fresh(), self.suite.environment())
        self.how = [*self.store.create(), CONNECTIONS, BODY]
        before = tree_pss_mib(self.store.process)
        self._load("batch", ENDLESS, "--warmup=0", f"--count={self.waiting}")
        return (tree_pss_mib(self.store.process) - before) * 2**20 / self.waiting

    def rate(self, scenario: str) -> float:
        return self._load(scenario)

    def end(self) -> None:
        if self.store:
            self.store.close()

    def _load(self, scenario: str, *more: str) -> float:
        assert self.store
        answer = self.suite.load(scenario, self.store.target, self.store.keys, *self.how, *more)
        return float(answer["messages_per_second"])


def to_queues(suite: Suite, queues: int) -> float:
    """Messages a second to so many queues in turns."""
    with suite.tidied():
        store = Store(suite.build, suite.fresh(), suite.environment())
        try:
            how = [*store.create(), CONNECTIONS, BODY, f"--queues={queues}"]
            suite.load("create", store.target, store.keys, *how, ENDLESS, "--warmup=0", f"--count={queues}")
            return float(suite.load("send", store.target, store.keys, *how)["messages_per_second"])
        finally:
            store.close()


def run(suite: Suite) -> None:
    many = suite.options.messages
    few_rows, many_rows = behind(suite, FEW), behind(suite, many)
    suite.in_turns(
        [
            *few_rows,
            *many_rows,
            Row("SendMessage to 64 queues", "messages/s", lambda: to_queues(suite, 64)),
            Row(f"SendMessage to {QUEUES:,} queues", "messages/s", lambda: to_queues(suite, QUEUES)),
        ]
    )
    suite.wanted += [Ratio(b.name, a.name, 0.9) for a, b in zip(few_rows[1:], many_rows[1:])]
    suite.wanted.append(Ratio(f"SendMessage to {QUEUES:,} queues", "SendMessage to 64 queues", 0.9))
    suite.limits.append((many_rows[0].name, 96))


def behind(suite: Suite, waiting: int) -> list[Row]:
    """The first fills, the last one ends the store: they are measured in this order."""
    filled = Filled(suite, waiting)

    def last() -> float:
        try:
            return filled.rate("round")
        finally:
            filled.end()

    return [
        Row(f"memory each of {waiting:,} waiting", "bytes", filled.fill),
        Row(f"SendMessage behind {waiting:,}", "messages/s", lambda: filled.rate("send")),
        Row(f"send, receive, delete behind {waiting:,}", "messages/s", last),
    ]
