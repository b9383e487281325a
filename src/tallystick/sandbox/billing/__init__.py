"""The arithmetic of billing: periods, prorations, discounts, totals, retries. No store and no I/O."""
