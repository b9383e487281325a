"""An existing Stripe account into the mirror."""
