"""The frame ledger: retransmissions, missing frames, counters that start anew."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from smartdorf.ingest.frames import FrameLedger
from smartdorf.model import DeviceInfo, Uplink

NOON = datetime(2026, 3, 4, 12, tzinfo=UTC)
DEVICE = 7


def frame(
    f_cnt: int,
    *,
    after: timedelta = timedelta(),
    data: bytes = b"\x01",
    dev_addr: str = "01a3f27c",
    number: int | None = None,
) -> Uplink:
    return Uplink(
        deduplication_id=UUID(int=f_cnt if number is None else number),
        device=DeviceInfo("24e124136c012345"),
        dev_addr=dev_addr,
        time=NOON + after,
        f_cnt=f_cnt,
        f_port=85,
        data=data,
    )


def received(ledger: FrameLedger, *uplinks: Uplink) -> tuple[int, list[bool]]:
    """Missing frames and which of the uplinks were retransmissions, as one batch."""
    batch, missing, repeated = ledger.begin(), 0, []
    for uplink in uplinks:
        retransmission = batch.is_retransmission(DEVICE, uplink)
        missing += batch.count(DEVICE, uplink, retransmission=retransmission)
        repeated.append(retransmission)
    ledger.apply(batch)
    return missing, repeated


def minutes(count: float) -> timedelta:
    return timedelta(minutes=count)


def test_frames_in_a_row_leave_no_gap():
    missing, _ = received(FrameLedger(), frame(5), frame(6, after=minutes(1)), frame(7, after=minutes(2)))
    assert missing == 0


def test_a_jump_of_the_counter_is_so_many_missing_frames():
    missing, _ = received(FrameLedger(), frame(5), frame(9, after=minutes(1)))
    assert missing == 3


def test_a_late_frame_fills_its_gap():
    ledger = FrameLedger()
    assert received(ledger, frame(5), frame(7, after=minutes(2)))[0] == 1
    assert received(ledger, frame(6, after=minutes(1)))[0] == -1


def test_a_frame_from_before_the_first_one_known_is_no_gap():
    ledger = FrameLedger()
    received(ledger, frame(5))
    assert received(ledger, frame(4, after=-minutes(1)))[0] == 0
    assert ledger.sessions[DEVICE, "01a3f27c"].first_f_cnt == 4


def test_the_same_frame_with_another_id_within_five_minutes_is_a_retransmission():
    ledger = FrameLedger()
    received(ledger, frame(5))
    missing, repeated = received(ledger, frame(5, after=minutes(4), number=99))
    assert (missing, repeated) == (0, [True])
    assert ledger.sessions[DEVICE, "01a3f27c"].retransmissions == 1


def test_a_retransmission_in_the_same_batch_is_seen():
    assert received(FrameLedger(), frame(5), frame(5, after=minutes(1), number=99))[1] == [False, True]


def test_the_very_same_uplink_again_is_no_retransmission():
    # the database tells such redeliveries apart by their id
    ledger = FrameLedger()
    received(ledger, frame(5))
    assert ledger.begin().is_retransmission(DEVICE, frame(5)) is False


def test_other_bytes_under_the_same_counter_are_no_retransmission():
    ledger = FrameLedger()
    received(ledger, frame(5))
    assert ledger.begin().is_retransmission(DEVICE, frame(5, number=99, data=b"\x02")) is False


def test_after_more_than_five_minutes_it_is_no_retransmission():
    ledger = FrameLedger()
    received(ledger, frame(5))
    assert ledger.begin().is_retransmission(DEVICE, frame(5, number=99, after=minutes(6))) is False


def test_a_join_begins_a_session_of_its_own():
    ledger = FrameLedger()
    received(ledger, frame(500))
    assert received(ledger, frame(0, after=minutes(9), dev_addr="01ffffff"))[0] == 0


def test_a_counter_that_starts_anew_under_the_same_address_begins_a_session():
    ledger = FrameLedger()
    received(ledger, frame(500))
    assert received(ledger, frame(0, after=minutes(9)), frame(1, after=minutes(19)))[0] == 0
    session = ledger.sessions[DEVICE, "01a3f27c"]
    assert (session.first_f_cnt, session.last_f_cnt, session.received) == (0, 1, 2)


def test_a_batch_that_was_thrown_away_leaves_no_trace():
    ledger = FrameLedger()
    batch = ledger.begin()
    batch.is_retransmission(DEVICE, frame(5))
    batch.count(DEVICE, frame(5), retransmission=False)
    assert ledger.sessions == {}
    assert ledger.recent == {}


def test_frames_of_long_ago_are_forgotten():
    ledger = FrameLedger()
    received(ledger, frame(5))
    received(ledger, frame(6, after=minutes(11)))
    assert [key[2] for key in ledger.recent] == [6]


@given(
    counters=st.sets(st.integers(0, 200), min_size=1),
    order=st.randoms(use_true_random=False),
    sizes=st.lists(st.integers(1, 5), min_size=1),
)
def test_whatever_the_order_and_the_batches_the_gaps_are_those_of_the_counters(counters, order, sizes):
    ledger = FrameLedger()
    uplinks = [frame(f_cnt, after=minutes(f_cnt)) for f_cnt in sorted(counters)]
    # frames overtake each other on their way; their times still tell the order in which they were sent
    order.shuffle(uplinks)
    missing, rest = 0, uplinks
    while rest:
        for size in sizes:
            missing += received(ledger, *rest[:size])[0]
            rest = rest[size:]
    assert missing == max(counters) - min(counters) + 1 - len(counters)
