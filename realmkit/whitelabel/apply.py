"""Onboarding carried out: the records, then the brand, then its files and senders; every one read back.

Each step looks before it writes, so that a run that was cut off is gone on with by running it again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from msgspec import Struct

from realmkit import durable, errors
from realmkit.dns.work import workflow
from realmkit.dns.work.workflow import Applied
from realmkit.errors import ProviderError, RefusedError
from realmkit.kazoo.errors import NotKeptError
from realmkit.whitelabel import document, domains, senders
from realmkit.whitelabel.brandfile import LIVE
from realmkit.whitelabel.platform import after

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from realmkit.kazoo.setupdocuments import Sender
    from realmkit.whitelabel.desk import Desk
    from realmkit.whitelabel.plan import Plan, SenderStep
    from realmkit.whitelabel.platform import Platform


class Done(Struct, frozen=True):
    """What became of it.

    Attributes:
        dns: the records.
        platform: what was changed on the platform, in words, in order.
        waiting: addresses whose code is awaited.
    """

    dns: Applied
    platform: list[str]
    waiting: list[str]

    @property
    def exit_code(self) -> int:
        """That of the records' verification; 1 where a sender waits for its code."""
        if self.dns.unsettled:
            return errors.UNKNOWN
        code = errors.OK if self.dns.report is None else self.dns.report.exit_code
        return code or (errors.WARNING if self.waiting else errors.OK)


_RECORDS: Final = "the records"


def carry_out(
    desk: Desk,
    plan: Plan,
    platform: Platform | None,
    *,
    codes: Mapping[str, str] | None = None,
    send_keys: bool = False,
    allow: Collection[str] = (),
    deadline: float | None = None,
) -> Done:
    """Do what the plan says.

    Args:
        desk: the project.
        plan: what `plan.make` worked out.
        platform: where the brand goes; None writes the records alone.
        codes: by address, the codes that the platform mailed to senders.
        send_keys: send the DKIM keys of senders that are verified too, as after a change of key.
        allow: guards that the user lifts.
        deadline: as `verify_deadline` of `workflow.apply_plan`.

    Raises:
        RefusedError: something holds it back. Nothing was changed.
        InputError, SecretError: a sender's private key is not the one that is published. Nothing was changed.
        ProviderError: a provider's or the platform's; the message says what was done before.
    """
    workflow.refuse_if_held(plan.all_holds)
    if plan.dns is None:
        raise RefusedError("the platform's template can't be read whole; nothing was changed")
    keys = senders.private_keys(plan.file, desk.project.directory) if platform is not None else {}
    if plan.file.brand.template == LIVE:
        durable.write(plan.file.saved_template, domains.encode(plan.template))
    applied = workflow.apply_plan(
        desk.with_template(plan.template), plan.dns.file, allow=allow, verify_deadline=deadline
    )
    done: list[str] = []
    waiting: list[str] = []
    if platform is not None:
        try:
            _brand(plan, platform, done)
            waiting = _senders(plan, platform, codes or {}, keys, done, again=send_keys)
        except ProviderError as error:
            after([*([_RECORDS] if applied.run else []), *done], error)
            raise
    return Done(applied, done, waiting)


def _brand(plan: Plan, platform: Platform, done: list[str]) -> None:
    account, branding = platform.account.id, platform.branding
    wanted = document.wanted(plan.file)
    there = branding.document(account)
    if there is None or document.changes(there.to_json(), wanted):
        saved = branding.save(account, document.merged({} if there is None else there.to_body(), wanted))
        lost = document.changes(saved.to_json(), wanted)
        if lost:
            raise NotKeptError(f"the brand of {plan.file.text} is saved without {', '.join(one.path for one in lost)}")
        done.append("the brand document")
    for upload in document.uploads(plan.file):
        if branding.download(account, upload.kind) == upload.octets:
            continue
        branding.upload(account, upload.kind, upload.content_type, upload.octets)
        if branding.download(account, upload.kind) != upload.octets:
            raise NotKeptError(f"the {upload.kind} of {plan.file.text} was taken, and what is there is something else")
        done.append(f"the {upload.kind}")


def _senders(
    plan: Plan, platform: Platform, codes: Mapping[str, str], keys: Mapping[str, bytes], done: list[str], *, again: bool
) -> list[str]:
    """Senders added, given their keys and proved; those whose code is awaited.

    Nobody can see which key the platform has, so a sender that is not verified yet gets it each time.
    """
    waiting = []
    by_email = {email.casefold(): code for email, code in codes.items()}
    for step in plan.senders:
        if step.state == "elsewhere" or (step.state == "verified" and not again):
            continue
        sender = _sender(step, platform, by_email.get(step.email.casefold()), done)
        if step.email in keys:
            platform.branding.upload_key(platform.account.id, sender.id, keys[step.email])
            done.append(f"the key of {step.email}")
        if not sender.verified:
            waiting.append(step.email)
    return waiting


def _sender(step: SenderStep, platform: Platform, code: str | None, done: list[str]) -> Sender:
    account, branding = platform.account.id, platform.branding
    # Looked for once more: a run that was cut off may have added it, and every addition mails another code.
    known = [one for one in branding.emails(account) if one.email.casefold() == step.email.casefold()]
    if known:
        sender = known[0]
    else:
        sender = branding.add_email(account, step.email, step.selector)
        done.append(f"the sender {step.email}")
    if code is not None and not sender.verified:
        sender = branding.verify_email(account, sender.id, code)
        done.append(f"the code of {step.email}")
    return sender
