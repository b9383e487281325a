"""Keeping our half of the tally equal to Stripe's: catching up on events that no webhook brought."""
