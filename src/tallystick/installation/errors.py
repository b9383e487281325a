"""What stops a process that is of another installation."""

__all__ = ["WrongInstallation"]


class WrongInstallation(Exception):
    """The settings are of another installation, account or mode than this database; says what to do."""
