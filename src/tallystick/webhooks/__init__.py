"""The inbox: Stripe's events are stored before they are acknowledged, and applied exactly once."""
