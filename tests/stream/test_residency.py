"""Slots and pages against a plain dictionary, and the order in which bricks leave."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from plenostream.errors import InternalError
from plenostream.stream.residency import EMPTY, Admission, Residency


def ids(*bricks: int) -> np.ndarray:
    return np.array(bricks, np.int64)


class ResidencyMachine(RuleBasedStateMachine):
    """Any sequence of frames and waves that fit; the model is a dictionary of places."""

    @initialize(
        pages=st.lists(st.integers(1, 4), min_size=1, max_size=12),
        n_slots=st.integers(1, 6),
        spare_pages=st.integers(0, 8),
    )
    def make(self, pages: list[int], n_slots: int, spare_pages: int) -> None:
        self.pages = np.array(pages, np.int64)
        self.n_slots = n_slots
        self.n_pages = 1 + max(pages) + spare_pages
        self.table = Residency(self.pages, n_slots=n_slots, n_pages=self.n_pages)
        self.places: dict[int, tuple[int, tuple[int, ...]]] = {}

    @rule(data=st.data())
    def begin_a_frame(self, data: st.DataObject) -> None:
        shown = data.draw(st.sets(st.integers(0, len(self.pages) - 1)))
        self.table.begin_frame(np.array(sorted(shown), np.int64))

    @rule(data=st.data())
    def admit_a_wave(self, data: st.DataObject) -> None:
        order = data.draw(st.permutations(range(len(self.pages))))
        wave: list[int] = []
        for brick in order[: data.draw(st.integers(0, self.n_slots))]:
            if self.pages[[*wave, brick]].sum() < self.n_pages:
                wave.append(brick)
        missing = [brick for brick in wave if brick not in self.places]
        assert self.table.missing(ids(*wave)).tolist() == missing
        free_slots = self.n_slots - len(self.places)
        free_pages = self.n_pages - 1 - sum(len(held) for _, held in self.places.values())
        admission = self.table.admit(ids(*wave))
        self.take_over(admission)
        assert admission.bricks.tolist() == missing
        assert set(wave) <= set(self.places)
        if len(missing) <= free_slots and self.pages[missing].sum() <= free_pages:
            assert admission.n_evicted == 0

    def take_over(self, admission: Admission) -> None:
        gone = [brick for brick in self.places if self.table.slot_of[brick] == EMPTY]
        assert len(gone) == admission.n_evicted
        for brick in gone:
            del self.places[brick]
        pages = admission.pages.tolist()
        for brick, slot in zip(admission.bricks.tolist(), admission.slots.tolist(), strict=True):
            held = tuple(pages[: self.pages[brick]])
            pages = pages[self.pages[brick] :]
            self.places[brick] = (slot, held)
        assert pages == []

    @rule(data=st.data())
    def forget_some(self, data: st.DataObject) -> None:
        some = sorted(data.draw(st.sets(st.integers(0, len(self.pages) - 1))))
        self.table.forget(ids(*some))
        for brick in some:
            self.places.pop(brick, None)

    @invariant()
    def table_says_what_the_model_says(self) -> None:
        if not hasattr(self, "table"):
            return
        expected = [self.places.get(b, (EMPTY,))[0] for b in range(len(self.pages))]
        assert self.table.slot_of.tolist() == expected
        assert (self.table.slot_of != EMPTY).sum() == len(self.places)

    @invariant()
    def no_place_is_given_twice(self) -> None:
        if not hasattr(self, "table"):
            return
        slots = [slot for slot, _ in self.places.values()]
        pages = [page for _, held in self.places.values() for page in held]
        assert len(set(slots)) == len(slots)
        assert set(slots) <= set(range(self.n_slots))
        assert len(set(pages)) == len(pages)
        # Page 0 is the row of zeros.
        assert set(pages) <= set(range(1, self.n_pages))


TestResidencyAgainstADictionary = ResidencyMachine.TestCase
TestResidencyAgainstADictionary.settings = settings(stateful_step_count=25)


def residency(n: int, *, n_slots: int) -> Residency:
    return Residency(np.ones(n, np.int64), n_slots=n_slots, n_pages=n_slots + 1)


def resident(table: Residency) -> list[int]:
    return np.flatnonzero(table.slot_of != EMPTY).tolist()


def test_bricks_out_of_view_leave_first_the_longest_unused_before_the_others() -> None:
    table = residency(8, n_slots=4)
    table.begin_frame(ids(0, 1, 2, 3))
    for brick in (1, 0, 3, 2):
        table.admit(ids(brick))
    table.begin_frame(ids(2, 4, 5))
    table.admit(ids(4))
    assert resident(table) == [0, 2, 3, 4]
    table.admit(ids(5))
    assert resident(table) == [2, 3, 4, 5]


def test_bricks_that_the_frame_is_done_with_leave_before_those_still_to_come() -> None:
    table = residency(6, n_slots=3)
    table.begin_frame(ids(0, 1, 2))
    table.admit(ids(0, 1, 2))
    table.begin_frame(ids(0, 1, 2, 3))
    table.admit(ids(0))
    table.admit(ids(3))
    # 1 and 2 are still to come in this frame.
    assert resident(table) == [1, 2, 3]


def test_of_those_done_the_last_drawn_leaves_first() -> None:
    # The next frame begins at the front again: what was drawn last is what it needs last.
    table = residency(6, n_slots=3)
    table.begin_frame(ids(0, 1, 2, 3))
    for brick in (0, 1, 2):
        table.admit(ids(brick))
    table.admit(ids(3))
    assert resident(table) == [0, 1, 3]


def test_brick_of_the_wave_itself_is_never_let_go() -> None:
    table = residency(4, n_slots=2)
    table.begin_frame(ids(1))
    table.admit(ids(0, 1))
    admission = table.admit(ids(0, 2))
    assert resident(table) == [0, 2]
    assert admission.bricks.tolist() == [2]


def test_wave_larger_than_the_pool_is_an_error_of_ours() -> None:
    table = residency(4, n_slots=2)
    with pytest.raises(InternalError, match="does not fit"):
        table.admit(ids(0, 1, 2))


def test_brick_with_many_pages_makes_as_many_leave_as_it_takes() -> None:
    table = Residency(np.array([1, 1, 1, 3]), n_slots=4, n_pages=4)
    table.begin_frame(ids(0, 1, 2, 3))
    for brick in (0, 1, 2):
        table.admit(ids(brick))
    admission = table.admit(ids(3))
    assert admission.n_evicted == 3
    assert sorted(admission.pages.tolist()) == [1, 2, 3]
