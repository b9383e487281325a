"""What can go wrong with a subscription."""

from tallystick.core.errors import Conflict, DomainError

__all__ = [
    "AlreadyCanceled",
    "AlreadyPaused",
    "ChangeScheduled",
    "NoUpcomingInvoice",
    "NotCancelable",
    "NotPaused",
    "NothingScheduled",
    "PreviewStale",
    "PriceNotUsable",
    "PromotionCodeNotUsable",
    "SeveralItems",
    "SubscriptionBegun",
    "SubscriptionEnded",
    "SubscriptionExists",
    "SubscriptionIncomplete",
    "SubscriptionOverdue",
    "SubscriptionRejected",
]


class PriceNotUsable(DomainError):
    code, status = "PRICE_NOT_USABLE", 422
    title = "This price cannot be subscribed to"
    action = "Choose a recurring price that is on offer, in the currency that is paid in already."


class PromotionCodeNotUsable(DomainError):
    code, status = "PROMOTION_CODE_NOT_USABLE", 422
    title = "This promotion code cannot be used"
    action = "Check its spelling, or go on without it."


class SubscriptionExists(Conflict):
    code = "SUBSCRIPTION_EXISTS"
    title = "There is a subscription already"
    action = "Change that one (`subscription_id`), or cancel it first."


class SubscriptionBegun(Conflict):
    code = "SUBSCRIPTION_BEGUN"
    title = "This subscription has been paid, or is about to be"
    action = "Cancel it."


class SubscriptionEnded(Conflict):
    code = "SUBSCRIPTION_ENDED"
    title = "This subscription has ended, and ended ones do not come back"
    action = "Subscribe anew."


class SubscriptionIncomplete(Conflict):
    code = "SUBSCRIPTION_INCOMPLETE"
    title = "The first payment of this subscription has not been made"
    action = "Pay it, or create the subscription again with what should be different."


class SubscriptionOverdue(Conflict):
    code = "SUBSCRIPTION_OVERDUE"
    title = "The running period of this subscription is not paid for"
    action = "Pay its open invoice first (`latest_invoice_id`), or let it change with `when: period_end`."


class SeveralItems(Conflict):
    code = "SUBSCRIPTION_HAS_SEVERAL_ITEMS"
    title = "This subscription has several prices, and it does not say which one is meant"
    action = "Change it in Stripe's dashboard."


class ChangeScheduled(Conflict):
    code = "CHANGE_SCHEDULED"
    title = "A change waits for the end of this subscription's period"
    action = "Take it back first, with DELETE …/scheduled-change; or wait for it."


class NothingScheduled(Conflict):
    code = "NOTHING_SCHEDULED"
    title = "No change waits for the end of this subscription's period"


class PreviewStale(Conflict):
    code = "PREVIEW_STALE"
    title = "What the preview showed does not hold any more"
    action = "Preview the change again, and show the customer what it costs now."


class NoUpcomingInvoice(Conflict):
    code = "NO_UPCOMING_INVOICE"
    title = "This subscription will not be billed as things are"
    action = "Look at its status: it may have ended, be about to, or be paused."


class NotCancelable(Conflict):
    code = "NOT_CANCELABLE"
    title = "This subscription cannot be canceled at the end of a period"
    action = "It has not begun: cancel it with `when: now`."


class AlreadyCanceled(Conflict):
    code = "ALREADY_CANCELED"
    title = "This subscription is canceled already"


class AlreadyPaused(Conflict):
    code = "ALREADY_PAUSED"
    title = "This subscription is paused already"


class NotPaused(Conflict):
    code = "NOT_PAUSED"
    title = "This subscription is not paused"


class SubscriptionRejected(DomainError):
    code, status = "SUBSCRIPTION_REJECTED", 422
    title = "Stripe does not accept this request"
    action = "Check the request; if it persists, report the request id."
