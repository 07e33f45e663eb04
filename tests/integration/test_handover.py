"""The page for a successor: true, without secrets, and there also when the database is not."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import trustme

from tests.integration.test_cli import Shell, run

NOW = datetime.now(UTC)


def test_it_says_what_is_where_and_what_is_wrong(tmp_path: Path, plain_db: str):
    shell = Shell(tmp_path, plain_db)
    authority = trustme.CA()
    expiring = authority.issue_cert("x", not_after=NOW + timedelta(days=10, hours=1))
    expiring.cert_chain_pems[0].write_to_path(tmp_path / "client.pem")
    expiring.private_key_pem.write_to_path(tmp_path / "client.key")
    (tmp_path / "password").write_text("streng-geheim\n")
    (tmp_path / "password").chmod(0o600)
    text = (tmp_path / "smartdorf.toml").read_text()
    (tmp_path / "smartdorf.toml").write_text(
        f'{text}tls = true\ncert_file = "client.pem"\nkey_file = "client.key"\n'
        'username = "dorf"\npassword_file = "password"\n[backup]\nfolder = "backups"\n'
    )
    (tmp_path / "backups").mkdir()
    shell("places", "add", "glas", "--type", "container", "--name", "Familie Müller")
    with psycopg.connect(plain_db, autocommit=True) as connection:
        connection.execute(
            "INSERT INTO quarantine (hash, topic, payload, reason, detail, source, received_at) "
            "VALUES ('\\x01', 't', '\\x00', 'unreadable', '', 'a', now())"
        )
    shell("db", "backup")
    page = shell("handover")
    for words in (
        "Broker a: 127.0.0.1:1 (TLS), as dorf",
        "1 places, 0 devices, 0 gateways",
        "client.pem ends in 10 days",
        "password: root, 600" if Path("/proc/self").owner() == "root" else "password:",
        "Backups in",
        "In quarantine: 1 × unreadable",
        'tells "bauhof", whom the settings do not know',
    ):
        assert words in page, words
    assert "none yet" not in page
    assert "streng-geheim" not in page
    assert "Müller" not in page  # names of places are nobody's business here
    report = shell.json("handover")
    assert report["database"]["quarantine"] == {"unreadable": 1}
    assert report["certificates"][0]["path"].endswith("client.pem")


def test_it_is_there_when_the_database_is_not_and_in_german(tmp_path: Path):
    Shell(tmp_path, "postgresql://nobody@127.0.0.1:1/nowhere")
    done = run(tmp_path, "handover", LANG="de_DE.UTF-8")
    assert done.returncode == 0, done.stderr
    assert "Datenbank nowhere auf 127.0.0.1:1: antwortet nicht" in done.stdout
    assert "Was gerade nicht stimmt" in done.stdout
