"""Invoices: the mirror of Stripe's, with their lines, and paying one that is open."""
