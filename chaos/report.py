"""What a run ends with: a table, and the same as JSON."""

import statistics
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from io import StringIO
from itertools import chain
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

from chaos.faults import Fault, Injector
from chaos.recovery import Recovery
from chaos.traffic import Traffic
from simulation.kill_checks import Deliveries
from simulation.kill_load import Done

if TYPE_CHECKING:
    from chaos.run import Run

__all__ = ["Report"]

_LATER = ("401", "409", "429", "5")


@dataclass(frozen=True)
class Report:
    """One run; all spans in seconds. `works_again` and `caught_up` are by kind of fault."""

    seed: int
    seconds: float
    processes: Mapping[str, int]
    times: Mapping[str, float]
    requests: int
    acknowledged: Mapping[str, int]
    answers: Mapping[str, int]
    longest_wait: float
    events: int
    events_failed_deliveries: int
    mails: int
    mails_again: int
    hooks: int
    hooks_again: int
    faults: Sequence[Fault]
    moves: Mapping[str, int]
    works_again: Mapping[str, Sequence[float]]
    caught_up: Mapping[str, Sequence[float]]
    longest_waits: Sequence[Mapping[str, Any]]
    disk_full: int
    left_out: Sequence[str]
    problems: Sequence[str]

    @classmethod
    def of(
        cls,
        run: "Run",
        traffic: Traffic,
        injector: Injector,
        recovery: Recovery,
        told: Deliveries,
        mails: Mapping[str, int],
    ) -> "Report":
        sizes, hooks = run.world.sizes, run.world.receiver.got
        return cls(
            seed=run.seed,
            seconds=run.seconds,
            processes={"APIs": sizes.apis, "workers": sizes.workers, "clients": sizes.clients},
            times=run.times,
            requests=sum(traffic.answers.values()),
            acknowledged=dict(Counter(one.write.kind for one in traffic.done)),
            answers=dict(traffic.answers),
            longest_wait=max((one.took_s for one in traffic.done), default=0.0),
            events=len(told.acknowledged),
            events_failed_deliveries=told.failed_tries,
            mails=len(mails),
            mails_again=sum(mails.values()) - len(mails),
            hooks=len(hooks),
            hooks_again=sum(hooks.values()) - len(hooks),
            faults=run.faults,
            moves=dict(Counter(injector.moved)),
            works_again=dict(recovery.works_s),
            caught_up=dict(recovery.caught_up_s),
            longest_waits=_longest(traffic.done),
            disk_full=run.world.postgres.said("No space left on device"),
            left_out=run.left_out,
            problems=run.problems,
        )

    @property
    def lost(self) -> int:
        return sum(problem.startswith("lost") for problem in self.problems)

    @property
    def doubled(self) -> int:
        return sum(problem.startswith("doubled") for problem in self.problems)

    def as_json(self) -> dict[str, Any]:
        """Everything, with each fault and each problem."""
        return {**asdict(self), "lost": self.lost, "doubled": self.doubled, "held": not self.problems}

    def table(self) -> str:
        """What happened and what is wrong, and how long everything took to recover."""
        text = StringIO()
        console = Console(file=text, width=112)
        console.print(self._figures())
        console.print(self._recovery())
        for problem in self.problems[:40]:
            console.print(problem, markup=False, soft_wrap=True)
        return text.getvalue()

    def _figures(self) -> Table:
        table = Table(title=f"chaos, seed {self.seed}, {self.seconds:.0f} s", show_header=False, title_justify="left")
        told = sum(self.acknowledged.values())
        refused = {code: count for code, count in self.answers.items() if code.startswith(_LATER)}
        table.add_row("processes", _counts(self.processes))
        table.add_row("requests, no answer", f"{self.requests}, {self.answers.get('no answer', 0)}")
        table.add_row("refused, to be asked again", f"{sum(refused.values())} ({_counts(refused)})")
        table.add_row("acknowledged", f"{told} ({_counts(self.acknowledged)})")
        table.add_row("longest wait of a customer", f"{self.longest_wait:.1f} s")
        table.add_row("events, deliveries that failed", f"{self.events}, {self.events_failed_deliveries}")
        table.add_row("mails, of them again", f"{self.mails}, {self.mails_again} (same Message-ID)")
        table.add_row("outbound webhooks, of them again", f"{self.hooks}, {self.hooks_again} (same id)")
        table.add_row("business time", _counts(self.moves))
        table.add_row("faults", str(len(self.faults)))
        table.add_row("PostgreSQL found its disk full", f"{self.disk_full} times")
        if self.left_out:
            table.add_row("left out", ", ".join(self.left_out))
        table.add_row("time", ", ".join(f"{name} {value:.0f} s" for name, value in self.times.items()))
        table.add_row("lost", str(self.lost))
        table.add_row("doubled", str(self.doubled))
        table.add_row("wrong otherwise", str(len(self.problems) - self.lost - self.doubled))
        return table

    def _recovery(self) -> Table:
        table = Table(title="time to recover", title_justify="left")
        table.add_column("fault")
        for column in ("times", "works again: median", "worst", "caught up: median", "worst"):
            table.add_column(column, justify="right")
        times = Counter(fault.label for fault in self.faults)
        for kind, count in sorted(times.items()):
            table.add_row(kind, str(count), *_spans(self.works_again, kind), *_spans(self.caught_up, kind))
        spans = [_spans({"all": [*chain(*of.values())]}, "all") for of in (self.works_again, self.caught_up)]
        table.add_row("all", str(len(self.faults)), *spans[0], *spans[1])
        return table


def _spans(by_kind: Mapping[str, Sequence[float]], kind: str) -> tuple[str, str]:
    took = by_kind.get(kind, ())
    return (f"{statistics.median(took):.1f} s", f"{max(took):.1f} s") if took else ("–", "–")


def _longest(done: Sequence[Done]) -> list[Mapping[str, Any]]:
    longest = sorted(done, key=lambda one: -one.took_s)[:10]
    return [{"kind": one.write.kind, "took": round(one.took_s, 1), "tries": one.tries} for one in longest]


def _counts(names: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in sorted(names.items())) or "none"
