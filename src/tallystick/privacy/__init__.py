"""What is held about a person: export, and erasure that keeps what law and Stripe require."""
