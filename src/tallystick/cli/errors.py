"""What a command says when it cannot do what was asked."""

__all__ = ["Problem"]


class Problem(Exception):
    """Ends the command with this message on stderr and this exit code (1 failed, 2 wrongly asked)."""

    def __init__(self, message: str, code: int = 1) -> None:
        super().__init__(message)
        self.code = code
