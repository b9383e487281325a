"""What can go wrong in the console."""

from tallystick.core.errors import DomainError

__all__ = ["CursorInvalid", "FilterInvalid", "FormStale", "ListTooSlow", "LoginRefused", "NotStaff", "TooManyTries"]


class CursorInvalid(DomainError):
    code, status = "CURSOR_INVALID", 422
    title = "This page of the list is not there"
    action = "Begin at the list's first page."


class FilterInvalid(DomainError):
    code, status = "FILTER_INVALID", 422
    title = "The list cannot be narrowed by this"
    action = "Correct the filter, or leave it empty."


class LoginRefused(DomainError):
    code, status = "LOGIN_REFUSED", 401
    title = "This token does not open the console"
    action = "Use a token that is not expired and has the role admin or support."


class NotStaff(DomainError):
    code, status = "NOT_STAFF", 403
    title = "Your role may look, and change nothing"
    action = "Ask an administrator."


class FormStale(DomainError):
    code, status = "FORM_STALE", 403
    title = "This form is of another session"
    action = "Load the page again, and send its form."


class ListTooSlow(DomainError):
    code, status = "LIST_TOO_SLOW", 503
    title = "The list took too long"
    action = "Narrow it by a time, an id or a user."


class TooManyTries(DomainError):
    """`first`: whether it is the first of a row, which is worth an entry in the log of who did what."""

    code, status = "TOO_MANY_TRIES", 429
    title = "Too many tries to sign in from here, or in this name"
    action = "Wait ten minutes, then try again with a token that is valid."

    def __init__(self, *, first: bool) -> None:
        super().__init__(retry_after_s=600)
        self.first = first
