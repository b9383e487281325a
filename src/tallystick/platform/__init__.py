"""Our plumbing: database, work queue, mail transport, logs, tokens. It knows no business noun."""
