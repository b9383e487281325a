"""Subscriptions from the first trial day to the last unpaid invoice: commands, mirror, history, dunning, access."""
