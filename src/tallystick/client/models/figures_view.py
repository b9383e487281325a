from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar, BinaryIO, TextIO, TYPE_CHECKING, Generator

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..types import UNSET, Unset

from typing import cast
import datetime

if TYPE_CHECKING:
  from ..models.money_period_view import MoneyPeriodView
  from ..models.trial_period_view import TrialPeriodView





T = TypeVar("T", bound="FiguresView")



@_attrs_define
class FiguresView:
    """ Attributes:
            day (datetime.date):
            currency (str):
            mrr (int):
            subscribers (int):
            arpu (int | None):
            churn_rate (float | None):
            revenue_churn_rate (float | None):
            ltv (int | None):
            trials (TrialPeriodView):
            money (MoneyPeriodView):
            without_rate (list[str]):
            stale (int): """

    day: datetime.date
    currency: str
    mrr: int
    subscribers: int
    arpu: int | None
    churn_rate: float | None
    revenue_churn_rate: float | None
    ltv: int | None
    trials: TrialPeriodView
    money: MoneyPeriodView
    without_rate: list[str]
    stale: int
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)





    def to_dict(self) -> dict[str, Any]:
        from ..models.money_period_view import MoneyPeriodView # noqa: PLC0415
        from ..models.trial_period_view import TrialPeriodView # noqa: PLC0415
        day = self.day.isoformat()

        currency = self.currency

        mrr = self.mrr

        subscribers = self.subscribers

        arpu: int | None
        arpu = self.arpu

        churn_rate: float | None
        churn_rate = self.churn_rate

        revenue_churn_rate: float | None
        revenue_churn_rate = self.revenue_churn_rate

        ltv: int | None
        ltv = self.ltv

        trials = self.trials.to_dict()

        money = self.money.to_dict()

        without_rate = self.without_rate



        stale = self.stale


        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update({
            "day": day,
            "currency": currency,
            "mrr": mrr,
            "subscribers": subscribers,
            "arpu": arpu,
            "churn_rate": churn_rate,
            "revenue_churn_rate": revenue_churn_rate,
            "ltv": ltv,
            "trials": trials,
            "money": money,
            "without_rate": without_rate,
            "stale": stale,
        })

        return field_dict



    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.money_period_view import MoneyPeriodView # noqa: PLC0415
        from ..models.trial_period_view import TrialPeriodView # noqa: PLC0415
        d = dict(src_dict)
        day = datetime.date.fromisoformat(d.pop("day"))




        currency = d.pop("currency")

        mrr = d.pop("mrr")

        subscribers = d.pop("subscribers")

        def _parse_arpu(data: object) -> int | None:
            if data is None:
                return data
            return cast(int | None, data)

        arpu = _parse_arpu(d.pop("arpu"))


        def _parse_churn_rate(data: object) -> float | None:
            if data is None:
                return data
            return cast(float | None, data)

        churn_rate = _parse_churn_rate(d.pop("churn_rate"))


        def _parse_revenue_churn_rate(data: object) -> float | None:
            if data is None:
                return data
            return cast(float | None, data)

        revenue_churn_rate = _parse_revenue_churn_rate(d.pop("revenue_churn_rate"))


        def _parse_ltv(data: object) -> int | None:
            if data is None:
                return data
            return cast(int | None, data)

        ltv = _parse_ltv(d.pop("ltv"))


        trials = TrialPeriodView.from_dict(d.pop("trials"))




        money = MoneyPeriodView.from_dict(d.pop("money"))




        without_rate = cast(list[str], d.pop("without_rate"))


        stale = d.pop("stale")

        figures_view = cls(
            day=day,
            currency=currency,
            mrr=mrr,
            subscribers=subscribers,
            arpu=arpu,
            churn_rate=churn_rate,
            revenue_churn_rate=revenue_churn_rate,
            ltv=ltv,
            trials=trials,
            money=money,
            without_rate=without_rate,
            stale=stale,
        )


        figures_view.additional_properties = d
        return figures_view

    @property
    def additional_keys(self) -> list[str]:
        return list(self.additional_properties.keys())

    def __getitem__(self, key: str) -> Any:
        return self.additional_properties[key]

    def __setitem__(self, key: str, value: Any) -> None:
        self.additional_properties[key] = value

    def __delitem__(self, key: str) -> None:
        del self.additional_properties[key]

    def __contains__(self, key: str) -> bool:
        return key in self.additional_properties
