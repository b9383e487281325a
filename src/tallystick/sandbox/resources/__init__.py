"""One module for each of Stripe's objects: its shape, its rules, and its routes."""
