"""Is the sandbox Stripe? Judged by the official SDK over a socket, by recordings, and by Stripe's schemas."""
