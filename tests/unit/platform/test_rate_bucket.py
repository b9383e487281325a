"""However requests, news and silences mix: nobody is refused below the limit, and all together stay near it."""

from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallystick.platform.rate_bucket import Bucket, RatePolicy, Verdict


@dataclass
class _Shared:
    """What the one statement of the limiter does to a row."""

    policy: RatePolicy
    empty_at: float = 0.0

    def told(self, count: int, since: float, now: float) -> float:
        self.empty_at = max(self.empty_at, since) + count / self.policy.rate
        return (self.empty_at - now) * self.policy.rate


@dataclass
class _Truth:
    """A bucket that everything is put into at once: what a limit without any delay would hold."""

    policy: RatePolicy
    level: float = 0.0
    at: float = 0.0

    def now(self, now: float) -> float:
        self.level, self.at = max(0.0, self.level - (now - self.at) * self.policy.rate), now
        return self.level


@dataclass
class _Process:
    policy: RatePolicy
    shared: _Shared
    bucket: Bucket = field(default_factory=Bucket)

    def tell(self, now: float) -> None:
        since = self.bucket.since
        count = self.bucket.begin_sending()
        if count:
            self.bucket.sent(self.policy, self.shared.told(count, since, now), now)

    def take(self, now: float) -> Verdict:
        if self.bucket.unsent and now - self.bucket.since >= self.policy.telling_s:
            self.tell(self.bucket.since + self.policy.telling_s)
        verdict = self.bucket.take(self.policy, now)
        if verdict is None:
            self.tell(now)
            verdict = self.bucket.take(self.policy, now)
        assert verdict is not None, "once told, there is room for a batch"
        return verdict


_POLICIES = [RatePolicy("few", 3, 60), RatePolicy("some", 60, 60), RatePolicy("many", 1000, 10)]
_STEPS = st.lists(st.tuples(st.integers(0, 2), st.sampled_from([0.0, 0.0, 0.001, 0.3, 7.0]), st.integers(1, 40)))


@pytest.mark.parametrize("policy", _POLICIES, ids=lambda policy: policy.name)
@given(steps=_STEPS)
def test_no_mix_of_processes_refuses_too_soon_or_lets_too_many_through(
    policy: RatePolicy, steps: list[tuple[int, float, int]]
) -> None:
    shared, truth, now = _Shared(policy), _Truth(policy), 100.0
    processes = [_Process(policy, shared) for _ in range(3)]
    slack = len(processes) * policy.batch + policy.telling_s * policy.rate
    truth.at = now
    for which, later, count in steps:
        now += later
        for process in processes:
            # A timer of its own tells what is untold; here it is looked at with every step.
            if process.bucket.unsent and now - process.bucket.since >= policy.telling_s:
                process.tell(process.bucket.since + policy.telling_s)
        for _ in range(count):
            verdict = processes[which].take(now)
            level = truth.now(now)
            if verdict.wait_s:
                assert level + 1 > policy.quota - 0.01, "refused although there was room"
            else:
                truth.level = level + 1
                assert truth.level <= policy.quota + slack + 0.01, "more than the limit and the slack"


def test_a_refusal_tells_when_there_is_room() -> None:
    policy, bucket = RatePolicy("money", 6, 60), Bucket()
    taken = [bucket.take(policy, 50.0, alone=True) for _ in range(6)]
    assert [verdict.remaining for verdict in taken if verdict] == [5, 4, 3, 2, 1, 0]
    refused = bucket.take(policy, 50.0, alone=True)
    assert refused is not None
    assert (refused.wait_s, refused.header, policy.header) == (10, b'"money";r=0;t=10', b'"money";q=6;w=60')
    assert bucket.full(policy, 59.0)
    later = bucket.take(policy, 60.0, alone=True)
    assert later is not None
    assert (later.wait_s, later.remaining, later.header) == (0, 0, b'"money";r=0;t=60')


def test_what_could_not_be_sent_counts_as_untold() -> None:
    policy, bucket = RatePolicy("some", 200, 60), Bucket()
    for _ in range(policy.batch):
        assert bucket.take(policy, 1.0)
    assert bucket.begin_sending() == policy.batch
    assert bucket.take(policy, 2.0) is None, "a batch is on its way, of which nobody else knows"
    bucket.not_sent(1.0)
    assert (bucket.unsent, bucket.sending, bucket.since) == (policy.batch, 0, 1.0)
    assert bucket.take(policy, 2.0) is None
    assert bucket.take(policy, 2.0, alone=True)
