"""The story of a user or an object, in order: events, our calls, changes, mails, webhooks. It only reads."""
