"""Guards about calls: nothing that could cut one begins while one is up."""

from __future__ import annotations

from realmkit.migrate.kit import Job, Seen, Step, done, pending


class NoCall(Step):
    """The phone has no call; outside of a block, the whole account has none."""

    def verify(self, job: Job) -> Seen:
        """Ask the platform for the channels at this moment."""
        channels = job.kit.channels(job.plan.account)
        subject = job.place.chain.subject
        busy = [one for one in channels if subject is None or one.device_id == subject]
        if not busy:
            return done("no call")
        return pending("in a call" if subject else f"{len(busy)} calls are up")
