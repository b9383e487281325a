"""What goes out to people and programs: mails now, queued in the transaction of their cause."""
