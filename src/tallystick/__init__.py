"""Tallystick: payments and subscriptions on PostgreSQL and Stripe."""
