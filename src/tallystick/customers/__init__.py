"""Users of the host application and the Stripe customers they are."""
