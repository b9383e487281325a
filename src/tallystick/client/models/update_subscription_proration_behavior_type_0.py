from typing import Literal

UpdateSubscriptionProrationBehaviorType0 = Literal['always_invoice', 'create_prorations', 'none']

UPDATE_SUBSCRIPTION_PRORATION_BEHAVIOR_TYPE_0_VALUES: set[UpdateSubscriptionProrationBehaviorType0] = { 'always_invoice', 'create_prorations', 'none',  }

def check_update_subscription_proration_behavior_type_0(value: str) -> UpdateSubscriptionProrationBehaviorType0:
    if value in UPDATE_SUBSCRIPTION_PRORATION_BEHAVIOR_TYPE_0_VALUES:
        return value
    raise TypeError(f"Unexpected value {value!r}. Expected one of {UPDATE_SUBSCRIPTION_PRORATION_BEHAVIOR_TYPE_0_VALUES!r}")
