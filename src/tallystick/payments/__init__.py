"""Payments: from the request to the settled record, with refunds and disputes."""
