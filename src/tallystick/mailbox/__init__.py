"""The mail catcher of `tallystick dev`: takes every mail over SMTP, delivers none, shows them all."""
