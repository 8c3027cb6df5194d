"""Whatever AUI and the workers do, each job gets its own answer, and no agent is asked twice."""

from itertools import groupby

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from tests.conformance.script import PATIENCE, Close, Lose, Stale, Step
from tests.unit.relay.fleet import CRASH, CUT, LOSE, RESTART, Fleet
from tests.unit.relay.oracle import Fate
from worker.core.history import PUBLISHED_SLACK, TOLD, UNTOLD

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(12 * PATIENCE)]

LAG = 1.0
assert RESTART > LAG
assert TOLD.absence > LAG


def fates(ending: Step | None, patience: float) -> st.SearchStrategy[Fate]:
    """Return what may become of an attempt that ends so; no answer comes too late to be found."""
    in_time = st.integers(0, int(4 * (patience - LAG)) - 1).map(lambda quarters: quarters / 4)
    heard = st.builds(Fate, st.just(ending), after=in_time)
    if ending is None:
        return heard
    return heard | st.sampled_from([Fate(ending, answered=False), Fate(ending, reached=False)])


any_fate = st.one_of(
    fates(None, UNTOLD.answer),
    fates(Close(1011), TOLD.answer),
    fates(Lose(), UNTOLD.answer),
    fates(Stale(), UNTOLD.answer),
)
texts = st.lists(st.sampled_from(["yes", "no"]), min_size=1, max_size=4)
mishaps = st.dictionaries(st.integers(1, 60), st.sampled_from([CRASH, CUT, LOSE]), max_size=4)


def runs_of(said: list[str]) -> list[str]:
    """Return what is said, equal texts in a row once."""
    return [text for text, _ in groupby(said)]


@settings(max_examples=300)
@given(
    texts,
    texts | st.just([]),
    mishaps,
    st.lists(any_fate, max_size=4),
    st.sampled_from([0.0, LAG]),
    st.booleans(),
)
@example(["no", "yes", "no", "yes"], [], {1: CUT, 15: CRASH}, [], 0.0, False)
@example(["no", "yes", "no", "yes"], [], {5: CUT, 12: CRASH}, [], 0.0, False)
@example(["no", "yes"], ["no", "yes"], {10: CRASH}, [], 0.0, True)
async def test_each_job_gets_its_own_answer_and_is_asked_again_only_where_there_was_none(
    first: list[str],
    later: list[str],
    happening: dict[int, str],
    becoming: list[Fate],
    lag: float,
    dated: bool,
) -> None:
    fleet = Fleet(happening)
    fleet.agent.lag = lag
    fleet.agent.fates.extend(becoming)
    # What is said later and comes with a time is told from what was said before.
    dated = dated or bool(later)
    # What comes again after something else, within the producer's clock slack, is not told from
    # what was said before (docs/reliability.md).
    assume(not dated or all(len(runs_of(each)) == len(set(each)) for each in (first, later)))
    fleet.publish(*first, dated=dated)
    await fleet.work()
    fleet.world.clock.seconds += PUBLISHED_SLACK + LAG
    fleet.publish(*later, dated=dated)
    await fleet.work()
    fleet.check()
    unanswered = sum(not (fate.answered and fate.reached) for fate in becoming)
    assert len(fleet.agent.asked) <= len(fleet.jobs) + unanswered
