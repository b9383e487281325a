"""A server that is away is tried now and then, less often the longer it is away."""

from datetime import datetime

from tallystick.notifications.outage import Outage


class _Clock:
    seconds = 1000.0

    def now(self) -> datetime:
        raise NotImplementedError

    def wall(self) -> datetime:
        raise NotImplementedError

    def monotonic(self) -> float:
        return self.seconds


def test_it_lets_one_mail_through_at_a_time_until_one_is_taken() -> None:
    clock = _Clock()
    outage = Outage(clock)
    assert outage.allowed(4) == 4
    outage.begin()
    assert outage.allowed(4) == 0
    clock.seconds += 2
    assert outage.allowed(4) == 1
    outage.begin()
    assert outage.allowed(4) == 0
    outage.over()
    assert outage.allowed(4) == 4


def test_it_grows_with_the_outage_and_not_with_the_failures() -> None:
    clock = _Clock()
    outage = Outage(clock)
    assert [outage.begin().total_seconds() for _ in range(10)] == [2] * 10
    clock.seconds += 30
    assert outage.begin().total_seconds() == 15
    clock.seconds += 3600
    assert outage.begin().total_seconds() == 60
    outage.over()
    assert outage.begin().total_seconds() == 2
