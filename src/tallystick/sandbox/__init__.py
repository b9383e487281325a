"""The offline Stripe: a stateful stand-in that the official SDKs take for the real one.

It imports only `core` and `ui`.
"""
