from smartdorf.web.server import Readiness, WebServer, reasons


def test_a_service_that_can_work_has_no_reasons() -> None:
    assert reasons(Readiness(database=True, writer=True, rules=True)) == []


def test_every_reason_is_said() -> None:
    state = Readiness(
        database=True, writer=False, rules=False, disconnected={"utility": "connection refused"}
    )
    assert reasons(state) == [
        "another instance is the writer of this database",
        "the rules are not loaded",
        "source utility is not connected: connection refused",
    ]


def test_without_a_database_nobody_asks_for_the_writer() -> None:
    state = Readiness(database=False, writer=False, rules=True)
    assert reasons(state) == ["the database does not answer"]


def test_the_url_of_an_ipv6_server_has_brackets() -> None:
    assert WebServer("::1", 8086).url == "http://[::1]:8086"
    assert WebServer("127.0.0.1", 8086).url == "http://127.0.0.1:8086"
