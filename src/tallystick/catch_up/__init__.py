"""Stripe's list of events, so that what no webhook brought arrives all the same."""
