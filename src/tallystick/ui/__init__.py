"""The page kit that console, hosted pages, mailbox and the sandbox's pages share; imports only `core`."""
