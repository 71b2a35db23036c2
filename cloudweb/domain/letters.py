"""What cloudweb writes to people, in plain text."""

from cloudweb import faults
from cloudweb.domain import texts
from cloudweb.domain.mail import Letter
from cloudweb.models import LinkPurpose

MAX_SUBJECT = 150
MAX_TEXT = 10_000

_NOT_YOU = "If you did not ask for this, do nothing: without the link nothing happens."


def link(purpose: LinkPurpose, address: str, seconds: int) -> Letter:
    """A link to choose a password by."""
    if purpose is LinkPurpose.RESET:
        subject, text = "Your new password", "Choose a new password here:"
    elif purpose is LinkPurpose.CHANGE:
        subject, text = "Your new e-mail address", "Say here that this address is yours:"
    else:
        subject = "Your new account"
        text = "Somebody, we hope you, asked for an account with this e-mail address. Go on here:"
    return Letter(
        subject,
        f"{text}\n\n  {address}\n\nThe link is good once, for {_span(seconds)}. {_NOT_YOU}\n",
    )


def known(sign_in: str, forgotten: str) -> Letter:
    """To whoever asks for an account and has one."""
    return Letter(
        "You have an account",
        "Somebody, we hope you, asked for an account with this e-mail address, which has one.\n\n"
        f"  Sign in:         {sign_in}\n  A new password:  {forgotten}\n",
    )


def waits(email: str, address: str) -> Letter:
    """To moderators: somebody waits."""
    return Letter(
        "Somebody waits for an account",
        f"{email} has signed up and shown that the address is theirs.\n\n  {address}\n",
    )


def accepted(sign_in: str) -> Letter:
    """The account is active."""
    return Letter("Your account is active", f"You can sign in now:\n\n  {sign_in}\n")


def rejected(reason: str) -> Letter:
    """It will not be."""
    return Letter("Your account was not accepted", f"The reason given is:\n\n  {reason}\n")


def checked(subject: str, text: str) -> tuple[str, str]:
    """The subject and the text of one's own words as they are sent. Raises BadRequest by field."""
    subject, text = subject.strip(), text.replace("\r\n", "\n").strip()
    wrong = {}
    if not 0 < len(subject) <= MAX_SUBJECT or not texts.readable(subject):
        wrong["subject"] = f"One line of 1 to {MAX_SUBJECT} characters."
    if not 0 < len(text) <= MAX_TEXT or texts.shown(text) != text:
        wrong["text"] = f"1 to {MAX_TEXT:,} characters, without control characters."
    if wrong:
        raise faults.BadRequest("The mail cannot be sent like this.", details=wrong)
    return subject, text


def written(subject: str, text: str, writer: str) -> Letter:
    """What somebody of staff has written, and at its end who that was."""
    by = f"Written by {writer}, of those who run this cloud."
    return Letter(subject, f"{text}\n\n-- \n{by}\n")


def password_changed(forgotten: str) -> Letter:
    """For the case that it was somebody else."""
    return Letter(
        "Your password was changed",
        "The password of your account was changed, and all other sessions were ended.\n"
        f"If that was not you, choose a new one at once:\n\n  {forgotten}\n",
    )


def address_changed(address: str) -> Letter:
    """To the address that was theirs, for the case that it was somebody else."""
    return Letter(
        "Your e-mail address was changed",
        "The account that had this e-mail address has another now:\n\n"
        f"  {address}\n\nIf you did not want this, tell whoever runs the cloud at once.\n",
    )


def terms(number: int, summary: str, read: str, accept: str) -> Letter:
    """There are new terms of use, which the reader has to accept."""
    return Letter(
        "New terms of use",
        f"Version {number} of the terms of use is in force. What is new:\n\n  {summary}\n\n"
        f"  Read it:    {read}\n  Accept it:  {accept}\n\n"
        "Until you accept it your API tokens are refused, and every page asks you to. Your servers "
        "run on.\n",
    )


def _span(seconds: int) -> str:
    for unit, size in (("day", 86_400), ("hour", 3600), ("minute", 60)):
        count = seconds // size
        if count:
            return f"{count} {unit}{'s' if count > 1 else ''}"
    return f"{seconds} seconds"
