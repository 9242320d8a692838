"""A notice by mail, through a server that takes it (RFC 5321, RFC 6409)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from realmkit.health.notify import SECONDS, cut, why
from realmkit.health.outputs import printable, tally

if TYPE_CHECKING:
    import ssl
    from email.message import EmailMessage

    from realmkit.config import MailNotice
    from realmkit.health.verdict import Verdict

_MOST_BYTES = 100_000


def send(
    notice: MailNotice, password: str | None, verdict: Verdict, text: str, seconds: float = SECONDS,
    trust: ssl.SSLContext | None = None,
) -> str | None:  # fmt: skip
    """Send the news.

    Args:
        notice: to whom, through which server.
        password: what `notice.password` stands for.
        verdict: for the subject and the date.
        text: the mail's text.
        seconds: how long all of it may take.
        trust: whom to trust for STARTTLS; None for the system's.

    Returns:
        What went wrong, in words; None if the server took it for everybody.
    """
    import smtplib

    from realmkit.health.notify.within import within

    try:
        refused = within(seconds, lambda: _send(notice, password, message(notice, verdict, text), seconds, trust))
    except (smtplib.SMTPException, OSError, ValueError) as error:
        return f"the mail was not sent: {why(error)}"
    return f"the mail was refused for {', '.join(refused)}" if refused else None


def message(notice: MailNotice, verdict: Verdict, text: str) -> EmailMessage:
    """The mail. Raises ValueError if an address can't stand in a header."""
    from email.message import EmailMessage
    from email.utils import format_datetime, make_msgid

    mail = EmailMessage()
    mail["From"] = notice.sender
    mail["To"] = ", ".join(notice.to)
    mail["Subject"] = subject(verdict)
    mail["Date"] = format_datetime(verdict.started)
    mail["Message-ID"] = make_msgid(domain=notice.sender.rpartition("@")[2] or None)
    mail["Auto-Submitted"] = "auto-generated"  # RFC 3834 section 5: nobody's holiday notice comes back
    mail.set_content(cut(text, _MOST_BYTES))
    return mail


def subject(verdict: Verdict) -> str:
    """What it is about: `realmkit health: 2 errors, 1 warning open, first SIP01 acme.voice.example.com`."""
    news = verdict.news
    open_ = tally(verdict.levels("open"))
    first = f", first {news[0].finding.id} {news[0].finding.subject}" if news else ""
    return printable(f"realmkit health: {f'{open_} open' if open_ else 'nothing open'}{first}")[:200]


def _send(
    notice: MailNotice, password: str | None, mail: EmailMessage, seconds: float, trust: ssl.SSLContext | None
) -> list[str]:
    import smtplib
    import ssl

    with smtplib.SMTP(notice.host, notice.port, timeout=seconds) as server:
        if notice.starttls:
            server.starttls(context=trust or ssl.create_default_context())
        if notice.user is not None:
            server.login(notice.user, password or "")
        return list(server.send_message(mail))
