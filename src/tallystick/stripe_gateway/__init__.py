"""The border to Stripe: the only importer of its SDK; beyond it nobody sees an SDK type or a provider's error text."""
