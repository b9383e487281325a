"""The pages on which customers look after their subscriptions, cards and invoices."""
