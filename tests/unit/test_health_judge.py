"""Judging over time: nothing is lost, nothing is told twice, and what could not be told is never taken for mended."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from realmkit.dns.findings import LEVELS, Finding, Level
from realmkit.health import judge as judging
from realmkit.health.accepted import Acceptance, Accepted, Baseline
from realmkit.health.judge import Rules
from realmkit.health.state import State
from realmkit.health.verdict import Entry, Judged, Look, Verdict, exit_code

NOW = datetime(2026, 11, 26, 3, 0, tzinfo=UTC)
ACME, BETA, ZONE = "acme.voice.example.com.", "beta.voice.example.com.", "voice.example.com."
CHECKS = frozenset({"SIP01", "SIP02", "SIP06", "DEL02", "SEM02"})


def fault(
    check: str = "SIP01", subject: str = ACME, level: Level = "error", server: str = "", message: str = "is broken"
) -> Finding:
    return Finding(check, level, subject, message, server=server, mend="mend it")


def look(*findings: Finding, names: Iterable[str] | None = None, checks: frozenset[str] = CHECKS) -> Look:
    return Look(findings, Judged(checks, None if names is None else frozenset(names)))


class Watch:
    """A cron job: one run after the other, with the state between them."""

    def __init__(self, **rules: object) -> None:
        self.rules = structs.replace(Rules(), **rules)
        self.state = State()
        self.now = NOW
        self.accepted = Accepted()
        self.baseline = Baseline()

    def run(self, *looks: Look, after: timedelta = timedelta(minutes=5), tell: bool = True) -> Verdict:
        self.now += after
        self.state, verdict = judging.judge(
            self.state, looks, self.accepted, self.baseline, self.rules, self.now, tell=tell
        )
        return verdict

    def twice(self, *findings: Finding, tell: bool = True, **scope: Iterable[str]) -> Verdict:
        """A run whose second look confirms the first."""
        return self.run(look(*findings, **scope), look(*findings), tell=tell)  # type: ignore[arg-type]


def told(verdict: Verdict) -> list[tuple[str, str]]:
    return [(entry.finding.id, str(entry.news)) for entry in verdict.news]


def phases(verdict: Verdict) -> list[tuple[str, str]]:
    return [(entry.finding.id, entry.phase) for entry in verdict.entries]


def test_one_look_makes_a_finding_soft_and_soft_is_no_news_and_fails_nothing() -> None:
    watch = Watch()
    verdict = watch.run(look(fault()))
    assert phases(verdict) == [("SIP01", "soft")]
    assert told(verdict) == []
    assert verdict.exit_code == 0


def test_a_person_who_looks_is_told_soft_findings_by_the_exit_code_too() -> None:
    assert Watch(count_soft=True).run(look(fault())).exit_code == 2


def test_a_second_look_in_the_same_run_confirms() -> None:
    verdict = Watch().twice(fault())
    assert phases(verdict) == [("SIP01", "open")]
    assert told(verdict) == [("SIP01", "new")]
    assert verdict.exit_code == 2
    assert verdict.entries[0].looks == 2


def test_a_second_run_confirms_and_keeps_since() -> None:
    watch = Watch()
    first = watch.run(look(fault()))
    second = watch.run(look(fault()))
    assert told(second) == [("SIP01", "new")]
    assert second.entries[0].since == first.started == NOW + timedelta(minutes=5)


def test_what_the_second_look_does_not_see_is_flapping_and_stays_soft() -> None:
    watch = Watch()
    for _ in range(3):
        verdict = watch.run(look(fault()), look())
        assert phases(verdict) == [("SIP01", "soft")]
        assert verdict.entries[0].looks == 1


def test_flapping_is_soft_even_where_one_look_is_enough() -> None:
    watch = Watch(confirm=1)
    assert phases(watch.run(look(fault()), look())) == [("SIP01", "soft")]
    assert phases(watch.run(look(fault()))) == [("SIP01", "open")]


def test_an_open_finding_that_flaps_is_neither_mended_nor_told_again() -> None:
    watch = Watch()
    watch.twice(fault())
    verdict = watch.run(look(fault()), look())
    assert phases(verdict) == [("SIP01", "open")]
    assert told(verdict) == []
    assert verdict.exit_code == 2


def test_a_second_look_that_does_not_cover_it_takes_nothing_away() -> None:
    watch = Watch()
    watch.twice(fault())
    verdict = watch.run(look(fault()), look(names=[BETA]))
    assert verdict.entries[0].looks == 3


def test_recovery_is_told_once() -> None:
    watch = Watch()
    watch.twice(fault())
    verdict = watch.run(look())
    assert [(one.finding.message, one.phase, one.news) for one in verdict.entries] == [
        ("is broken", "recovered", "recovered")
    ]
    assert verdict.exit_code == 0
    assert watch.run(look()).entries == ()
    assert watch.state == State()


def test_what_was_never_told_does_not_recover_aloud() -> None:
    watch = Watch()
    watch.run(look(fault()))
    assert watch.run(look()).entries == ()


def test_what_a_person_saw_is_still_news_for_cron() -> None:
    watch = Watch()
    assert told(watch.twice(fault(), tell=False)) == [("SIP01", "new")]
    assert told(watch.run(look(fault()))) == [("SIP01", "new")]
    assert told(watch.run(look(), tell=False)) == [("SIP01", "recovered")]
    assert told(watch.run(look())) == [("SIP01", "recovered")]
    assert told(watch.run(look())) == []


def test_what_came_back_before_anybody_was_told_that_it_was_gone_is_no_news() -> None:
    watch = Watch()
    watch.twice(fault())
    watch.run(look(), tell=False)
    verdict = watch.run(look(fault()))
    assert phases(verdict) == [("SIP01", "soft")]
    verdict = watch.run(look(fault()))
    assert phases(verdict) == [("SIP01", "open")]
    assert told(verdict) == []


def test_a_new_text_is_no_news() -> None:
    watch = Watch()
    watch.twice(fault(message="no answer within 3 s"))
    verdict = watch.run(look(fault(message="connection refused")))
    assert told(verdict) == []
    assert verdict.entries[0].finding.message == "connection refused"


@pytest.mark.parametrize(
    ("before", "after", "news"),
    [("warning", "error", "worse"), ("unknown", "error", "worse"), ("notice", "unknown", "worse"),
     ("error", "warning", None), ("error", "unknown", None)],
)  # fmt: skip
def test_a_rise_of_the_level_is_news_and_a_fall_is_not(before: Level, after: Level, news: str | None) -> None:
    watch = Watch()
    since = watch.twice(fault(level=before)).entries[0].since
    verdict = watch.run(look(fault(level=after)))
    assert [(one.finding.level, one.since, one.news) for one in verdict.entries] == [(after, since, news)]
    assert told(watch.run(look(fault(level=after)))) == []


def test_a_reminder_comes_after_its_time_and_then_after_the_same_time_again() -> None:
    watch = Watch(remind=timedelta(hours=24))
    watch.twice(fault())
    assert told(watch.run(look(fault()), after=timedelta(hours=23))) == []
    assert told(watch.run(look(fault()), after=timedelta(hours=1))) == [("SIP01", "reminder")]
    assert told(watch.run(look(fault()), after=timedelta(hours=1))) == []
    assert told(watch.run(look(fault()), after=timedelta(hours=23))) == [("SIP01", "reminder")]


def test_without_reminders_there_are_none() -> None:
    watch = Watch(remind=None)
    watch.twice(fault())
    assert told(watch.run(look(fault()), after=timedelta(days=400))) == []


@pytest.mark.parametrize(
    ("shield", "keeps"),
    [
        (fault("SIP01", ACME, "unknown", "192.0.2.9"), True),  # the same subject, whichever server
        (fault("SIP01", ZONE, "unknown"), True),  # all of the zone
        (fault("RUN01", ZONE, "unknown"), True),  # the run did not get there
        (fault("RUN01", ".", "unknown"), True),
        (fault("SIP01", ACME + " NAPTR", "unknown"), True),
        (fault("SIP02", ACME, "unknown"), False),  # another check
        (fault("SIP01", BETA, "unknown"), False),
        (fault("SIP01", "x." + ACME, "unknown"), False),  # below it
        (fault("SIP01", "e.voice.example.com.", "unknown"), False),  # ends alike, is no parent
        (fault("SIP01", ZONE, "warning"), False),
    ],
)
def test_what_could_not_be_told_there_or_above_keeps_it_open(shield: Finding, keeps: bool) -> None:
    watch = Watch()
    watch.twice(fault())
    verdict = watch.run(look(shield))
    entry = next(one for one in verdict.entries if one.finding.key == fault().key)
    assert entry.phase == ("open" if keeps else "recovered")
    assert not entry.seen
    assert verdict.exit_code == (2 if keeps else 0)


@pytest.mark.parametrize(
    ("server", "silent", "keeps"),
    [("192.0.2.1", "192.0.2.1", True), ("192.0.2.1", "192.0.2.2", False), ("192.0.2.1", "", True),
     ("", "192.0.2.2", True), ("192.0.2.1, 192.0.2.2", "192.0.2.2", True)],
)  # fmt: skip
def test_a_silent_server_keeps_only_what_it_could_have_shown(server: str, silent: str, keeps: bool) -> None:
    watch = Watch()
    watch.twice(fault(server=server))
    verdict = watch.run(look(fault(subject=ZONE, level="unknown", server=silent)))
    assert ("recovered" in dict(told(verdict)).values()) != keeps


def test_a_shielded_finding_counts_no_looks_but_is_remembered_and_reminded_of() -> None:
    watch = Watch()
    watch.twice(fault())
    verdict = watch.run(look(fault("RUN01", ".", "unknown")), after=timedelta(hours=25))
    entry = next(one for one in verdict.entries if one.finding.id == "SIP01")
    assert (entry.looks, entry.news) == (2, "reminder")


def test_the_labels_of_a_service_belong_to_the_realm_below_them() -> None:
    watch = Watch()
    watch.twice(fault("SIP02", f"_sip._udp.{ACME} SRV"))
    assert told(watch.run(look(names=[BETA]))) == []
    assert told(watch.run(look(fault("SIP02", ACME, "unknown")))) == []
    assert told(watch.run(look(names=[ACME]))) == [("SIP02", "recovered")]


def test_subjects_that_are_no_names_shield_themselves_only() -> None:
    watch = Watch()
    watch.twice(fault(subject="platform api"), fault(subject="platform sso"))
    verdict = watch.run(look(fault("SIP01", "platform api", "unknown", "192.0.2.1")))
    recovered = [one.finding.subject for one in verdict.entries if one.news == "recovered"]
    assert recovered == ["platform sso"]


@pytest.mark.parametrize("scope", [look(names=[BETA]), look(checks=CHECKS - {"SIP01"}), look(names=[])])
def test_what_was_not_looked_at_stays_open_and_counts(scope: Look) -> None:
    watch = Watch()
    watch.twice(fault())
    verdict = watch.run(scope)
    assert phases(verdict) == [("SIP01", "open")]
    assert not verdict.entries[0].seen
    assert verdict.exit_code == 2


def test_a_run_that_gets_there_again_is_told_though_that_is_no_check() -> None:
    watch = Watch()
    watch.twice(fault("RUN01", ACME, "unknown"))
    assert told(watch.run(look())) == [("RUN01", "recovered")]


def test_what_went_before_anybody_was_told_is_told_by_a_run_that_can_tell() -> None:
    watch = Watch()
    watch.twice(fault())
    watch.run(look(), tell=False)
    assert told(watch.run(look(names=[BETA]))) == []
    assert told(watch.run(look(fault("SIP01", ZONE, "unknown")))) == []
    assert ("SIP01", "recovered") in told(watch.run(look()))


def test_what_a_sample_left_out_stays_open_while_everything_else_recovers() -> None:
    watch = Watch()
    host = "ns1.example.net."  # a name that no list of realms and zones holds
    watch.twice(fault(), fault(subject=f"_sip._udp.{ACME} SRV"), fault(subject=BETA), fault(subject=host))
    sampled = Look((), Judged(CHECKS, None, frozenset({ACME})))
    verdict = watch.run(sampled)
    assert {one.finding.subject: one.phase for one in verdict.entries} == {
        ACME: "open", f"_sip._udp.{ACME} SRV": "open", BETA: "recovered", host: "recovered",
    }  # fmt: skip


def test_a_look_at_one_realm_is_not_judged_by_the_others() -> None:
    watch = Watch()
    watch.twice(fault())
    watch.rules = structs.replace(watch.rules, elsewhere=False)
    verdict = watch.run(look(names=[BETA]), after=timedelta(days=3))
    assert verdict.entries == ()
    assert verdict.exit_code == 0
    watch.rules = structs.replace(watch.rules, elsewhere=True)
    assert told(watch.run(look(names=[BETA]))) == [("SIP01", "reminder")]


def test_a_run_that_ended_early_says_nothing_of_names_that_nobody_asked_for() -> None:
    watch = Watch()
    watch.twice(fault())
    watch.rules = structs.replace(watch.rules, elsewhere=False)
    verdict = watch.run(look(fault("RUN01", ".", "unknown"), names=[BETA]))
    assert [entry.finding.id for entry in verdict.entries] == ["RUN01"]
    assert fault().key in {one.key for one in watch.state.findings}


def test_a_run_that_could_not_look_at_all_changes_nothing() -> None:
    watch = Watch()
    watch.twice(fault())
    verdict = watch.run()
    assert phases(verdict) == [("SIP01", "open")]


def test_an_accepted_finding_counts_for_nothing_and_is_news_when_that_ends() -> None:
    watch = Watch()
    watch.accepted = Accepted.of([Acceptance("SIP01", ACME, "ticket 4711", date(2026, 11, 27))])
    verdict = watch.twice(fault())
    assert [(one.phase, one.news, one.reason, one.until) for one in verdict.entries] == [
        ("accepted", None, "ticket 4711", date(2026, 11, 27))
    ]
    assert verdict.exit_code == 0
    assert phases(watch.run(look(fault()), after=timedelta(hours=44))) == [("SIP01", "accepted")]  # still that day
    verdict = watch.run(look(fault()), after=timedelta(hours=1))
    assert [(one.phase, one.news, one.reason, one.until) for one in verdict.entries] == [
        ("open", "expired", "ticket 4711", date(2026, 11, 27))
    ]
    assert verdict.exit_code == 2
    assert told(watch.run(look(fault()))) == []


def test_what_is_no_longer_accepted_is_new_again() -> None:
    watch = Watch()
    assert told(watch.twice(fault())) == [("SIP01", "new")]
    watch.accepted = Accepted.of([Acceptance("SIP01", "*", "known", date(2027, 1, 1))])
    watch.run(look(fault()))
    watch.accepted = Accepted()
    assert told(watch.run(look(fault()))) == [("SIP01", "new")]


def test_an_accepted_finding_goes_quietly() -> None:
    watch = Watch()
    watch.twice(fault())
    watch.accepted = Accepted.of([Acceptance("SIP01", ACME, "known", date(2027, 1, 1))])
    watch.run(look(fault()))
    assert watch.run(look()).entries == ()


def test_the_baseline_fails_nothing_unless_it_gets_worse() -> None:
    watch = Watch()
    watch.baseline = Baseline({fault().key: "warning"})
    verdict = watch.twice(fault(level="warning"))
    assert phases(verdict) == [("SIP01", "known")]
    assert (told(verdict), verdict.exit_code) == ([], 0)
    verdict = watch.run(look(fault(level="critical")))
    assert phases(verdict) == [("SIP01", "open")]
    assert told(verdict) == [("SIP01", "worse")]
    assert verdict.exit_code == 2


def test_a_clock_set_back_neither_reminds_for_ever_nor_never_again() -> None:
    watch = Watch()
    watch.twice(fault())
    assert told(watch.run(look(fault()), after=timedelta(days=-300))) == []
    entry = watch.run(look(fault())).entries[0]
    assert entry.since <= watch.now
    assert told(watch.run(look(fault()), after=timedelta(hours=24))) == [("SIP01", "reminder")]
    assert told(watch.run(look(fault()))) == []


def test_two_findings_of_one_key_are_the_worse_one() -> None:
    mild, bad = fault(level="warning"), fault(level="critical")
    assert Watch().run(look(mild, bad)).entries == Watch().run(look(bad, mild)).entries
    assert Watch().run(look(mild, bad)).entries[0].finding is bad


def test_entries_stand_the_worst_first_and_then_by_check_and_subject() -> None:
    many = [fault(check, subject) for check in ("SIP02", "SIP01") for subject in (BETA, ACME)]
    found = [one.finding.key[:2] for one in Watch().run(look(*many)).entries]
    assert found == [("SIP01", ACME), ("SIP01", BETA), ("SIP02", ACME), ("SIP02", BETA)]
    mixed = [fault("SIP01", level="notice"), fault("SIP02", level="unknown"), fault("SEM02", level="error")]
    assert [one.finding.id for one in Watch().run(look(*mixed)).entries] == ["SEM02", "SIP02", "SIP01"]


@pytest.mark.parametrize(
    ("levels", "fail_on", "code"),
    [
        (["error", "unknown", "warning"], "warning", 2), (["critical"], "critical", 2), (["error"], "critical", 0),
        (["unknown", "warning"], "warning", 3), (["unknown"], "critical", 3), (["error", "unknown"], "critical", 3),
        (["warning"], "warning", 1), (["warning"], "error", 0), (["notice"], "warning", 0), (["notice"], "notice", 1),
        ([], "notice", 0),
    ],
)  # fmt: skip
def test_the_exit_code(levels: list[Level], fail_on: Level, code: int) -> None:
    entries = [Entry(fault(level=level), "open", NOW, 2) for level in levels]
    assert exit_code(entries, fail_on, count_soft=False) == code
    quiet = [
        structs.replace(one, phase=phase) for one in entries for phase in ("accepted", "known", "recovered", "soft")
    ]
    assert exit_code(quiet, fail_on, count_soft=False) == 0


# --- laws ---

_findings = st.builds(
    fault,
    st.sampled_from(["SIP01", "DEL02"]),
    st.sampled_from([ACME, ZONE, f"_sip._udp.{ACME} SRV"]),
    st.sampled_from(LEVELS),
    st.sampled_from(["", "192.0.2.1"]),
)
_looks = st.builds(
    lambda findings, names: look(*findings, names=names),
    st.lists(_findings, max_size=4),
    st.none() | st.sets(st.sampled_from([ACME, ZONE])),
)
_runs = st.lists(st.tuples(st.lists(_looks, min_size=1, max_size=2), st.booleans()), min_size=1, max_size=8)


@given(_runs)
def test_no_finding_is_lost(runs: list[tuple[list[Look], bool]]) -> None:
    watch = Watch()
    for looks, tell in runs:
        verdict = watch.run(*looks, tell=tell)
        seen = {one.key for one in (finding for many in looks for finding in many.findings)}
        assert seen <= {one.finding.key for one in verdict.entries if one.phase in ("soft", "open") and one.seen}
        assert seen <= {one.key for one in watch.state.findings}


@given(_runs)
def test_each_open_finding_is_told_once_and_its_recovery_once(runs: list[tuple[list[Look], bool]]) -> None:
    watch = Watch(remind=None)
    known: dict[tuple[str, str, str], Level] = {}
    for looks, tell in runs:
        verdict = watch.run(*looks, tell=tell)
        for entry in verdict.entries:
            key, level = entry.finding.key, entry.finding.level
            if entry.phase == "open" and key not in known:
                assert entry.news == "new"
            if entry.news == "new":
                assert key not in known
            if entry.news == "worse":
                assert LEVELS.index(level) < LEVELS.index(known[key])
            if entry.news == "recovered":
                assert key in known
            if tell and entry.news == "recovered":
                del known[key]
            elif tell and entry.news:
                known[key] = level
        assert {one.key for one in watch.state.findings if one.told} == set(known)


@given(_runs, st.sampled_from(["run", "checks"]))
def test_what_could_not_be_told_never_recovers(runs: list[tuple[list[Look], bool]], by: str) -> None:
    blind = [fault("RUN01", ".", "unknown")]
    if by == "checks":
        blind = [fault(check, ".", "unknown") for check in ("SIP01", "DEL02")]
    watch = Watch(remind=None)
    before: set[tuple[str, str, str]] = set()
    for looks, tell in runs:
        last = structs.replace(looks[-1], findings=(*looks[-1].findings, *blind))
        verdict = watch.run(*looks[:-1], last, tell=tell)
        assert "recovered" not in [entry.phase for entry in verdict.entries]
        after = {one.key for one in watch.state.findings}
        assert before <= after
        before = after


@given(_runs, st.randoms(use_true_random=False))
def test_the_order_of_findings_does_not_matter(runs: list[tuple[list[Look], bool]], dice: object) -> None:
    one, other = Watch(), Watch()
    for looks, tell in runs:
        shuffled = []
        for each in looks:
            findings = list(each.findings)
            dice.shuffle(findings)  # type: ignore[attr-defined]
            shuffled.append(structs.replace(each, findings=tuple(findings)))
        assert one.run(*looks, tell=tell) == other.run(*shuffled, tell=tell)
        assert one.state == other.state


@given(_runs)
def test_when_nothing_changes_there_is_no_news(runs: list[tuple[list[Look], bool]]) -> None:
    watch = Watch()
    for looks, tell in runs:
        watch.run(*looks, tell=tell)
    last = runs[-1][0][0]
    watch.run(last, last)
    watch.run(last, last)
    again = watch.run(last)
    assert again.news == ()
    assert {one.finding.key for one in again.entries if one.seen} == {one.key for one in last.findings}
