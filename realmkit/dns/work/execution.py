"""Plan files, whatever they are for, carried out and undone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from realmkit.dns.work import planfile, workflow, zonemove

if TYPE_CHECKING:
    from collections.abc import Collection

    from realmkit.dns.work.desk import Desk
    from realmkit.dns.work.planfile import PlanFile
    from realmkit.dns.work.runs import Run
    from realmkit.dns.work.workflow import Applied


def carry_out(
    desk: Desk, file: PlanFile, *, allow: Collection[str] | None = (), verify_deadline: float | None = None
) -> Applied:
    """Apply a plan: records as `workflow.apply_plan` does, the copy of a zone as `zonemove.apply_copy` does."""
    if file.purpose != "records":
        return zonemove.apply_copy(desk, file, allow=allow)
    return workflow.apply_plan(desk, file, allow=allow, verify_deadline=verify_deadline)


def roll_back(desk: Desk, run: Run, *, verify_deadline: float | None = None) -> Applied:
    """Undo a run: apply its inverse, whatever of it was done. Foreign RRsets stay as they are.

    Raises as `carry_out` does.
    """
    return carry_out(desk, planfile.read(run.inverse_path), allow=None, verify_deadline=verify_deadline)
