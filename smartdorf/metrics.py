"""What Prometheus can ask of us. Owns the names and the meaning of every metric, and nothing of how they arise.

Everything is counted per batch, never per uplink: callers add up and hand over the sums.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Protocol

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    Info,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

UPLINK_RESULTS = ("stored", "duplicate", "retransmission", "unknown_device")
NOTIFICATION_RESULTS = ("sent", "retried", "failed", "skipped")
TRANSITION_KINDS = ("fired", "raised", "eased", "returned", "resolved")

# One uplink alone up to the largest batch.
_BATCH_SIZES = (1, 2, 5, 10, 25, 50, 100, 250, 500, 1000, 2500)
# A commit on an SSD takes a few milliseconds; one second is an ill server.
_COMMIT_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0)


class SourceFacts(Protocol):
    """What a source says of itself; counts are those since the start of the process."""

    @property
    def connected(self) -> bool: ...
    @property
    def caught_up(self) -> bool: ...
    @property
    def messages(self) -> int: ...
    @property
    def qos0(self) -> int: ...
    @property
    def reconnects(self) -> int: ...
    @property
    def sessions_lost(self) -> int: ...
    @property
    def held(self) -> int: ...
    @property
    def last_message_at(self) -> datetime | None: ...
    @property
    def certificate_expires_at(self) -> datetime | None: ...


class SourceMetrics:
    """The metrics of one source, bound to its name once."""

    def __init__(self, metrics: Metrics, source: str) -> None:
        self._gauges = {name: gauge.labels(source) for name, gauge in metrics.source_gauges.items()}
        self._counters = {name: counter.labels(source) for name, counter in metrics.source_counters.items()}
        self._counted = dict.fromkeys(self._counters, 0)
        # a source without a message yet, or without a certificate, shows no date at all
        self._dates = {
            "last_message_at": metrics.last_message,
            "certificate_expires_at": metrics.certificate_expiry,
        }
        self._source = source

    def show(self, state: SourceFacts) -> None:
        """Take over what the source says of itself now."""
        for name, gauge in self._gauges.items():
            gauge.set(getattr(state, name))
        for name, counter in self._counters.items():
            total = getattr(state, name)
            counter.inc(total - self._counted[name])
            self._counted[name] = total
        for name, gauge in self._dates.items():
            if (date := getattr(state, name)) is not None:
                gauge.labels(self._source).set(date.timestamp())


class Metrics:
    """All metrics of one process, in a registry of their own, so that tests and two services side by side work."""

    def __init__(self, version: str) -> None:
        # a second series per counter that says when it was made: noise in every dashboard's search
        disable_created_metrics()  # type: ignore[no-untyped-call]  # the library left it untyped
        self.registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        Info("smartdorf_build", "Which smartdorf this is.", registry=registry).info({"version": version})

        uplinks = Counter(
            "smartdorf_uplinks", "Uplinks by what became of them.", ["result"], registry=registry
        )
        # made now, so that a rate exists from the first uplink on and the hot path looks nothing up
        self._uplinks = {result: uplinks.labels(result) for result in UPLINK_RESULTS}
        self._events = Counter("smartdorf_events", "ChirpStack events by type.", ["type"], registry=registry)
        self._faults = Counter(
            "smartdorf_decode_faults",
            "Frames that gave no values, by the decoder's reason, model and firmware as the device last told it.",
            ["reason", "model", "firmware"],
            registry=registry,
        )
        self._quarantined = Counter(
            "smartdorf_quarantined_messages",
            "Messages kept because they could not be used.",
            ["reason"],
            registry=registry,
        )
        self._missing = Gauge(
            "smartdorf_missing_frames",
            "Frame counters that have not arrived since the start: radio losses, or uplinks lost on the way to us.",
            registry=registry,
        )
        self._batch = Histogram(
            "smartdorf_batch_messages", "Messages per batch.", buckets=_BATCH_SIZES, registry=registry
        )
        self._commit = Histogram(
            "smartdorf_commit_seconds",
            "How long the transaction of a batch took.",
            buckets=_COMMIT_SECONDS,
            registry=registry,
        )
        self.lag = Gauge(
            "smartdorf_lag_seconds",
            "Between the arrival of the last committed uplink at the network server and its commit here.",
            registry=registry,
        )

        source_gauges = {
            "connected": "1 while the source is connected.",
            "caught_up": "1 once the source's backlog is read.",
            "held": "Messages in memory: waiting, or handed out and not acknowledged.",
        }
        self.source_gauges = {
            name: Gauge(f"smartdorf_source_{name}", text, ["source"], registry=registry)
            for name, text in source_gauges.items()
        }
        source_counters = {
            "messages": "Messages that arrived.",
            "qos0": "Messages published with QoS 0: they are lost whenever something breaks.",
            "reconnects": "Connections after the first.",
            "sessions_lost": "Reconnects to a broker that had forgotten us, and what it had kept for us.",
        }
        self.source_counters = {
            name: Counter(f"smartdorf_source_{name}", text, ["source"], registry=registry)
            for name, text in source_counters.items()
        }
        self.last_message = Gauge(
            "smartdorf_source_last_message_timestamp_seconds",
            "When the last message arrived, Unix time: a ChirpStack that has fallen silent shows here.",
            ["source"],
            registry=registry,
        )
        self.certificate_expiry = Gauge(
            "smartdorf_certificate_expiry_timestamp_seconds",
            "When the source's client certificate expires, Unix time.",
            ["source"],
            registry=registry,
        )

        transitions = Counter(
            "smartdorf_alert_transitions", "Alerts that fired or resolved.", ["kind"], registry=registry
        )
        self._transitions = {kind: transitions.labels(kind) for kind in TRANSITION_KINDS}
        self._firing = Gauge(
            "smartdorf_alerts_firing",
            "Open alerts by severity; not those of rules on trial.",
            ["severity"],
            registry=registry,
        )
        self._rule_problems = Counter(
            "smartdorf_rule_problems", "Rules whose evaluation failed.", ["rule"], registry=registry
        )
        self.rule_file_problems = Gauge(
            "smartdorf_rule_file_problems",
            "Mistakes in the rule files; the rules that they are in go on as they were, or are left out.",
            registry=registry,
        )
        self._notifications = Counter(
            "smartdorf_notifications",
            "Attempts to tell a receiver, by how they ended.",
            ["receiver", "result"],
            registry=registry,
        )
        self._waiting = Gauge(
            "smartdorf_outbox_waiting",
            "Notifications that should have been told.",
            ["receiver"],
            registry=registry,
        )
        self.database_up = Gauge("smartdorf_database_up", "1 while the database answers.", registry=registry)

    def source(self, name: str) -> SourceMetrics:
        """The metrics of the source ``name``; ask once and keep the result."""
        return SourceMetrics(self, name)

    def count_batch(
        self,
        *,
        messages: int,
        commit_seconds: float,
        uplinks: Mapping[str, int],
        events: Mapping[str, int],
        faults: Mapping[tuple[str, str, str], int],
        quarantined: Mapping[str, int],
        missing_frames: int = 0,
    ) -> None:
        """Count one committed batch. ``uplinks`` by result, ``faults`` by (reason, model, firmware), the others by
        name."""
        self._batch.observe(messages)
        self._commit.observe(commit_seconds)
        for result, count in uplinks.items():
            self._uplinks[result].inc(count)
        for name, count in events.items():
            self._events.labels(name).inc(count)
        for labels, count in faults.items():
            self._faults.labels(*labels).inc(count)
        for reason, count in quarantined.items():
            self._quarantined.labels(reason).inc(count)
        self._missing.inc(missing_frames)  # negative where a late frame fills a gap

    def count_transitions(self, kinds: Iterable[str]) -> None:
        """Count alerts that fired or resolved."""
        for kind in kinds:
            self._transitions[kind].inc()

    def count_rule_problem(self, rule: str) -> None:
        self._rule_problems.labels(rule).inc()

    def count_notification(self, receiver: str, result: str) -> None:
        """Count one attempt; ``result`` is one of NOTIFICATION_RESULTS."""
        self._notifications.labels(receiver, result).inc()

    def watch_receiver(self, receiver: str) -> None:
        """Show the receiver with zeros before the first notification, so that "never told" can be alarmed on."""
        self._waiting.labels(receiver).set(0)
        for result in NOTIFICATION_RESULTS:
            self._notifications.labels(receiver, result)

    def show_waiting(self, by_receiver: Mapping[str, int]) -> None:
        """Set how many notifications wait; receivers that are not named have none."""
        _replace(self._waiting, by_receiver)

    def show_firing(self, by_severity: Mapping[str, int]) -> None:
        """Set how many alerts are open; severities that are not named have none."""
        _replace(self._firing, by_severity)

    def value(self, name: str, **labels: str) -> float:
        """One value as a scrape would show it; 0 where nothing has been counted yet."""
        return self.registry.get_sample_value(name, labels) or 0.0

    def render(self) -> bytes:
        """The page that Prometheus scrapes."""
        return generate_latest(self.registry)


def _replace(gauge: Gauge, values: Mapping[str, int]) -> None:
    # a label that once had a value stays visible with 0: a series that vanishes looks like a dead service
    known = {
        sample.labels[next(iter(sample.labels))] for metric in gauge.collect() for sample in metric.samples
    }
    for label in known - values.keys():
        gauge.labels(label).set(0)
    for label, value in values.items():
        gauge.labels(label).set(value)
