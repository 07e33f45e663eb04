"""Ten thousand uplinks of a simulated village, with everything that goes wrong on the air and in ChirpStack."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from smartdorf.simulate import Faults, Village
from smartdorf.simulate.publish import publish
from tests.support.mosquitto import Mosquitto
from tests.support.postgres import Database
from tests.support.service import ServiceProcess, until
from tests.support.traffic import Traffic, onboard

FAULTS = Faults(
    lost=0.02,
    late=0.01,
    reordered=0.01,
    clock_errors=0.01,
    counter_resets=0.002,
    broken_frames=0.01,
    duplicates=0.05,
    retransmissions=0.01,
    garbage=0.01,
)


@pytest.mark.timeout(180)
async def test_ten_thousand_uplinks_end_as_exactly_the_right_rows(
    any_db: Database, broker: Mosquitto, folder: Path, seed: int
) -> None:
    village = Village.build(seed, devices=240, start=datetime.now(UTC) - timedelta(days=3))
    await onboard(any_db, village)
    traffic = Traffic()
    async with ServiceProcess(folder, any_db, broker.port) as service:
        messages = traffic.simulated(village, FAULTS, seed=seed, count=10_000)
        published = await publish(messages, host="127.0.0.1", port=broker.port)
        ledger = traffic.ledger
        assert (published.acknowledged, published.refused) == (ledger.published, 0)

        async def handled() -> bool:
            return await service.metric("smartdorf_batch_messages_sum") >= ledger.published

        await until(handled, "every message is handled", 90)
        metrics = await service.metrics()

    # what the simulator says that it sent, and what the service says that it saw
    assert metrics["smartdorf_batch_messages_sum"] == ledger.published
    assert metrics['smartdorf_uplinks_total{result="stored"}'] == ledger.uplinks == 10_000
    assert metrics['smartdorf_uplinks_total{result="duplicate"}'] == ledger.duplicates
    assert metrics['smartdorf_uplinks_total{result="retransmission"}'] == ledger.retransmissions
    assert metrics['smartdorf_uplinks_total{result="unknown_device"}'] == 0
    refused = {
        reason: _of(metrics, f'quarantined_messages_total{{reason="{reason}"}}') for reason in ledger.garbage
    }
    assert refused == dict(ledger.garbage)
    seen = {kind: _of(metrics, f'events_total{{type="{kind}"}}') for kind in ledger.events if kind != "up"}
    assert seen == {kind: count for kind, count in ledger.events.items() if kind != "up"}
    faults = sum(count for name, count in metrics.items() if name.startswith("smartdorf_decode_faults_total"))
    assert faults == ledger.broken_frames
    await traffic.check_all(any_db)


def _of(metrics: dict[str, float], name: str) -> float:
    return metrics.get(f"smartdorf_{name}", 0.0)
