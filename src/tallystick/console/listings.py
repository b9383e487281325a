"""The lists of the console."""

from collections.abc import Mapping

from tallystick.console.listing import Column, Filter, Listing, Order

__all__ = ["LISTINGS"]

_SINCE = "since"
_UNTIL = "until"
# Two indexes hold what is pending: what is due some time, and what waits for its object.
_PENDING = "(e.state = 'pending' AND e.not_before < 'infinity' OR e.state = 'pending' AND e.not_before = 'infinity')"


def _span(column: str) -> tuple[Filter, Filter]:
    return (
        Filter(_SINCE, "From", f"{column} >= {{}}", "timestamptz", hint="2026-01-31"),
        Filter(_UNTIL, "Until", f"{column} < {{}}", "timestamptz", hint="2026-02-01"),
    )


def _span_of_ids(column: str) -> tuple[Filter, Filter]:
    """For lists that are in the order of their ids, which begin with the time that the row was made."""
    return (
        Filter(_SINCE, "From", f"{column} >= {{}}", "id_of_time", hint="2026-01-31"),
        Filter(_UNTIL, "Until", f"{column} < {{}}", "id_of_time", hint="2026-02-01"),
    )


def _orders(column: str | None, newest: str = "Newest first", oldest: str = "Oldest first") -> tuple[Order, Order]:
    return Order("newest", newest, column), Order("oldest", oldest, column, up=True)


def _owner(table: str) -> tuple[Filter, Filter]:
    """By whom: the host application's user, and Stripe's customer, who need not be one of its users."""
    found = "SELECT id FROM users WHERE external_id = {} OR lower(email) = lower({})"
    return (
        # An array is looked up before anything else; a join might be put off, and read the whole list.
        Filter("user", "User", f"{table}.user_id = ANY (ARRAY({found}))", hint="your id, or e-mail"),
        Filter("customer", "Customer", f"{table}.stripe_customer_id = {{}}", hint="cus_…"),
    )


PAYMENTS = Listing(
    name="payments",
    title="Payments",
    source="payments p LEFT JOIN users u ON u.id = p.user_id",
    id="p.id",
    columns=(
        Column("amount", "Amount", "money", "p.amount::bigint", link="/console/payments/{id}", main=True),
        Column("status", "Status", "status", "p.status", main=True),
        Column("who", "User", sql="coalesce(u.email, u.external_id, p.stripe_customer_id)"),
        Column("error", "Why not", "mono", "coalesce(p.decline_code, p.error_code)"),
        Column("description", "Description", sql="p.description"),
        Column("intent", "Stripe", "mono", "p.stripe_payment_intent_id"),
        Column("created", "Created", "time", "p.created_at", main=True),
    ),
    hidden=(Column("id", "", sql="p.id"), Column("currency", "", sql="p.currency")),
    filters=(
        Filter(
            "status",
            "Status",
            "p.status = {}",
            choices=(
                "succeeded",
                "failed",
                "processing",
                "requires_action",
                "requires_payment_method",
                "requires_capture",
                "requires_confirmation",
                "canceled",
            ),
        ),
        *_owner("p"),
        Filter("intent", "Payment intent", "p.stripe_payment_intent_id = {}", hint="pi_…"),
        Filter("code", "Decline code", "coalesce(p.decline_code, p.error_code) = {}", hint="insufficient_funds"),
        *_span("p.created_at"),
    ),
    orders=_orders("p.created_at"),
    empty="No payment is like that.",
)

CUSTOMERS = Listing(
    name="customers",
    title="Customers",
    source="customers c LEFT JOIN users u ON u.id = c.user_id",
    id="c.id",
    columns=(
        Column("who", "Customer", sql="coalesce(c.email, u.email, c.name, c.stripe_customer_id)",
               link="/console/customers/{id}", main=True),
        Column("name", "Name", sql="c.name"),
        Column("user", "User", "mono", "u.external_id"),
        Column("stripe", "Stripe", "mono", "c.stripe_customer_id"),
        Column("gone", "Deleted", "flag", "c.deleted"),
        Column("created", "Created", "time", "c.created_at", main=True),
    ),
    hidden=(Column("id", "", sql="c.id"),),
    filters=(
        # Looked up first, too: the planner knows nothing of how rare an address is.
        Filter("email", "E-mail",
               "c.id = ANY (ARRAY(SELECT id FROM customers WHERE lower(email) = lower({}) AND NOT deleted))"),
        Filter("user", "User", "c.user_id = (SELECT id FROM users WHERE external_id = {})", hint="your id"),
        Filter("customer", "Stripe", "c.stripe_customer_id = {}", hint="cus_…"),
        *_span("c.created_at"),
    ),
    orders=_orders("c.created_at"),
    empty="No customer is like that.",
)  # fmt: skip

SUBSCRIPTIONS = Listing(
    name="subscriptions",
    title="Subscriptions",
    source="""subscriptions s LEFT JOIN users u ON u.id = s.user_id
        LEFT JOIN products p ON p.stripe_product_id = s.product_id""",
    id="s.id",
    columns=(
        Column("plan", "Plan", sql="coalesce(p.name, s.price_id, 'Subscription')", link="/console/subscriptions/{id}",
               main=True),
        Column("status", "Status", "status", "s.status", main=True),
        Column("quantity", "Quantity", "number", "s.quantity"),
        Column("who", "User", sql="coalesce(u.email, u.external_id, s.stripe_customer_id)"),
        Column("ends", "Period ends", "time", "s.current_period_end"),
        Column("stripe", "Stripe", "mono", "s.stripe_subscription_id"),
        Column("created", "Created", "time", "s.created_at", main=True),
    ),
    hidden=(Column("id", "", sql="s.id"),),
    filters=(
        Filter("status", "Status", "s.status = {}", choices=(
            "active", "trialing", "past_due", "unpaid", "paused", "incomplete", "incomplete_expired", "canceled")),
        *_owner("s"),
        Filter("subscription", "Stripe", "s.stripe_subscription_id = {}", hint="sub_…"),
        Filter("price", "Price", "s.price_id = {}", hint="price_…"),
        *_span("s.created_at"),
    ),
    orders=_orders("s.created_at"),
    empty="No subscription is like that.",
)  # fmt: skip

INVOICES = Listing(
    name="invoices",
    title="Invoices",
    source="invoices i LEFT JOIN users u ON u.id = i.user_id",
    id="i.id",
    columns=(
        Column("number", "Number", sql="coalesce(i.number, i.stripe_invoice_id)", link="/console/invoices/{id}",
               main=True),
        Column("total", "Total", "money", "i.total::bigint", main=True),
        Column("status", "Status", "status", "i.status", main=True),
        Column("who", "User", sql="coalesce(u.email, u.external_id, i.stripe_customer_id)"),
        Column("attempts", "Attempts", "number", "i.attempt_count"),
        Column("next", "Next attempt", "time", "i.next_payment_attempt"),
        Column("created", "Created", "time", "i.created_at", main=True),
    ),
    hidden=(Column("id", "", sql="i.id"), Column("currency", "", sql="i.currency")),
    filters=(
        Filter("status", "Status", "i.status = {}", choices=("draft", "open", "paid", "void", "uncollectible")),
        Filter("failed", "Failed once", "i.first_failed_at IS NOT NULL", choices=("yes",)),
        *_owner("i"),
        Filter("invoice", "Stripe", "i.stripe_invoice_id = {}", hint="in_…"),
        *_span("i.created_at"),
    ),
    orders=_orders("i.created_at"),
    empty="No invoice is like that.",
)  # fmt: skip

EVENTS = Listing(
    name="events",
    title="Webhook inbox",
    source="webhook_events e",
    id="e.id",
    columns=(
        Column("type", "Event", sql="e.event_type", link="/console/events/{id}", main=True),
        Column("state", "State", "status", "e.state", main=True),
        Column("object", "Object", "mono", "coalesce(e.object_id, e.object_key)"),
        Column("source", "By", sql="e.source"),
        Column("tries", "Retries", "number", "e.retry_count"),
        Column("error", "Error", sql="left(e.error_message, 120)"),
        Column("received", "Received", "time", "e.created_at", main=True),
    ),
    hidden=(Column("id", "", sql="e.id"),),
    filters=(
        Filter("state", "State", "e.state = {}", choices=(
            "pending", "processed", "unhandled", "dead", "discarded", "parked"), cases={"pending": _PENDING}),
        Filter("type", "Type", "e.event_type = {}", hint="invoice.paid"),
        Filter("object", "Object", "e.object_key = {}", hint="pi_…, sub_…"),
        Filter("event", "Event", "e.stripe_event_id = {}", hint="evt_…"),
        Filter("source", "By", "e.source = {}", choices=("webhook", "poll", "fetch", "import", "repair")),
        *_span_of_ids("e.id"),
    ),
    orders=_orders(None),
    empty="No event is like that.",
)  # fmt: skip

MAILS = Listing(
    name="mails",
    title="Mails",
    source="mails m",
    id="m.id",
    columns=(
        Column("template", "Mail", sql="m.template", link="/console/mails/{id}", main=True),
        Column("state", "State", "status", "m.state", main=True),
        Column("recipient", "To", sql="m.recipient"),
        Column("subject", "Subject", sql="m.subject"),
        Column("error", "Error", sql="left(m.last_error, 120)"),
        Column("due", "Due", "time", "m.due_at", main=True),
    ),
    hidden=(Column("id", "", sql="m.id"),),
    filters=(
        Filter("state", "State", "m.state = {}", choices=(
            "queued", "sent", "superseded", "disabled", "silent", "dead")),
        Filter("template", "Mail", "m.template = {}", hint="receipt"),
        Filter("recipient", "To", "lower(m.recipient) = lower({})"),
        Filter("user", "User", "m.user_id = (SELECT id FROM users WHERE external_id = {})", hint="your id"),
        *_span_of_ids("m.id"),
    ),
    orders=_orders(None),
    empty="No mail is like that.",
)  # fmt: skip

DELIVERIES = Listing(
    name="deliveries",
    title="Outbound webhooks",
    source="""outbound_deliveries d JOIN outbound_facts f ON f.id = d.fact_id
        LEFT JOIN webhook_endpoints w ON w.id = d.endpoint_id""",
    id="d.id",
    columns=(
        Column("type", "Fact", sql="f.type", link="/console/deliveries/{id}", main=True),
        Column("state", "State", "status", "d.state", main=True),
        Column("to", "To", sql="coalesce(w.url, d.receiver)"),
        Column("attempts", "Attempts", "number", "d.attempts"),
        Column("answer", "Answered", "number", "d.response_status"),
        Column("error", "Error", sql="left(d.last_error, 120)"),
        Column("created", "Created", "time", "d.created_at", main=True),
    ),
    hidden=(Column("id", "", sql="d.id"),),
    filters=(
        Filter("state", "State", "d.state = {}", choices=("queued", "delivered", "dead", "discarded")),
        Filter("object", "Object", "f.object_key = {}", hint="payment:…"),
        *_span_of_ids("d.id"),
    ),
    orders=_orders(None),
    empty="No delivery is like that.",
)  # fmt: skip

ENDPOINTS = Listing(
    name="endpoints",
    title="Outbound endpoints",
    # There are fifty at most.
    source="(SELECT * FROM webhook_endpoints WHERE NOT deleted) w",
    id="w.id",
    columns=(
        Column("url", "Address", sql="w.url", link="/console/endpoints/{id}", main=True),
        Column("state", "State", "status", """CASE WHEN NOT w.enabled THEN
            CASE WHEN w.disabled_reason = 'manual' THEN 'disabled' ELSE 'switched_off' END
            WHEN w.failing_since IS NOT NULL THEN 'failing' ELSE 'enabled' END""", main=True),
        Column("failing", "Failing since", "time", "w.failing_since", main=True),
        Column("events", "Facts", sql="array_to_string(w.events, ', ')"),
        Column("description", "Description", sql="w.description"),
        Column("created", "Created", "time", "w.created_at"),
    ),
    hidden=(Column("id", "", sql="w.id"),),
    filters=(),
    orders=_orders(None),
    empty="There is no endpoint.",
)  # fmt: skip

RUNS = Listing(
    name="runs",
    title="Reconcile runs",
    source="reconcile_runs r",
    id="r.id",
    columns=(
        Column("mode", "Run", sql="r.mode", main=True),
        Column("state", "State", "status", "r.state", main=True),
        Column("objects", "Compared", "number", "r.objects"),
        Column("differences", "Differ", "number", "r.differences", main=True),
        Column("repaired", "Repaired", "number", "r.repaired"),
        Column("left", "Left open", "number", "r.left_open"),
        Column("by", "Asked for by", sql="r.requested_by"),
        Column("error", "Error", sql="left(r.error, 120)"),
        Column("begun", "Begun", "time", "coalesce(r.started_at, r.created_at)", main=True),
        Column("over", "Over", "time", "r.finished_at"),
    ),
    # Kept for 90 days: some thousands.
    filters=(Filter("state", "State", "r.state = {}", choices=("queued", "running", "done", "failed")),),
    orders=_orders(None),
    empty="No run is like that.",
)

DIFFERENCES = Listing(
    name="differences",
    title="Drift",
    source="reconcile_differences r",
    id="r.id",
    columns=(
        Column("object", "Object", sql="r.object", main=True),
        Column("stripe_id", "Id", "mono", "r.stripe_id", main=True),
        Column("field", "Field", "mono", "r.field", main=True),
        Column("ours", "Ours", "mono", "left(r.ours::text, 80)"),
        Column("stripe", "Stripe's", "mono", "left(r.stripe::text, 80)"),
        Column("cause", "Cause", "status", "r.cause"),
        Column("state", "State", "status", "r.state", main=True),
        Column("seen", "Seen", "time", "r.seen_at", main=True),
    ),
    filters=(
        Filter("state", "State", "r.state = {}", choices=("open", "repaired", "passed")),
        Filter("cause", "Cause", "r.cause = {}", choices=(
            "in_flight", "missed_event", "ours", "dashboard", "foreign", "gone")),
        Filter("object", "Object", "r.object = {}", hint="payment_intent"),
        Filter("id", "Id", "r.stripe_id = {}", hint="pi_…"),
    ),
    orders=_orders("r.seen_at"),
    empty="The two halves match: no difference is like that.",
)  # fmt: skip

AUDIT = Listing(
    name="audit",
    title="Audit",
    source="audit_log a",
    id="a.id",
    columns=(
        Column("actor", "Who", sql="a.actor", main=True),
        Column("action", "Did what", sql="a.action", main=True),
        Column("object", "To what", "mono", "concat_ws(' ', a.object_kind, a.object_id)"),
        Column("outcome", "Outcome", "status", "a.outcome"),
        Column("details", "Details", "mono", "left(nullif(a.details, jsonb_build_object())::text, 120)"),
        Column("address", "From", "mono", "a.address"),
        Column("at", "When", "time", "a.happened_at", main=True),
    ),
    filters=(
        Filter("actor", "Who", "a.actor = {}", hint="admin:…"),
        Filter("action", "Action", "a.action = {}"),
        Filter("object", "Object", "a.object_id = {}"),
        *_span_of_ids("a.id"),
    ),
    orders=_orders(None),
    empty="Nobody did that.",
)  # fmt: skip

LISTINGS: Mapping[str, Listing] = {
    listing.name: listing
    for listing in (
        PAYMENTS, CUSTOMERS, SUBSCRIPTIONS, INVOICES, EVENTS, MAILS, DELIVERIES, ENDPOINTS, DIFFERENCES, RUNS, AUDIT,
    )
}  # fmt: skip
