"""Writes to Stripe that move money or make something: stored before they are sent, settled whatever happens."""
