"""Certificate files as people leave them lying around: missing, mixed up, locked, expired."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime
from pathlib import Path

import pytest
import trustme
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)

from smartdorf.ingest.mqtt_tls import CertificateError, certificate_expiry, tls_context
from tests.support.mosquitto import Certificates


@pytest.fixture
def files(tmp_path: Path) -> Certificates:
    return Certificates.make(tmp_path)


def refusal(ca: Path | None, certificate: Path | None, key: Path | None) -> list[str]:
    with pytest.raises(CertificateError) as caught:
        tls_context(ca, certificate, key)
    return str(caught.value).splitlines()


def test_a_context_always_verifies_the_broker_and_its_name(files: Certificates) -> None:
    for context in (tls_context(None, None, None), tls_context(files.ca, files.client, files.client_key)):
        assert context.verify_mode is ssl.CERT_REQUIRED
        assert context.check_hostname
        assert context.minimum_version >= ssl.TLSVersion.TLSv1_2


def test_a_key_may_stand_in_the_certificates_file(files: Certificates) -> None:
    assert tls_context(files.ca, files.client, None)


def test_all_problems_are_said_at_once(files: Certificates, tmp_path: Path) -> None:
    nowhere = tmp_path / "nowhere.pem"
    assert refusal(nowhere, files.client_key, nowhere) == [
        f"{nowhere}: no such file",
        f"{files.client_key}: no PEM certificate in it (expected a block -----BEGIN CERTIFICATE-----)",
    ]


def test_a_certificate_without_its_key(files: Certificates) -> None:
    (problem,) = refusal(None, files.ca, None)
    assert problem == f"{files.ca}: no PEM private key in it (expected a block -----BEGIN PRIVATE KEY-----)"


def test_a_key_without_its_certificate(files: Certificates) -> None:
    (problem,) = refusal(None, None, files.client_key)
    assert problem.startswith(f"{files.client_key}: a key without a certificate")


def test_a_key_of_another_certificate(files: Certificates) -> None:
    (problem,) = refusal(files.ca, files.client, files.server)
    assert problem.startswith(
        f"{files.server}: this key does not belong to the certificate in {files.client}"
    )


def test_a_key_with_a_password_never_makes_a_service_ask_for_it(files: Certificates, tmp_path: Path) -> None:
    key = load_pem_private_key(files.client_key.read_bytes(), None)
    locked = tmp_path / "locked.key"
    locked.write_bytes(
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"geheim"))
    )
    (problem,) = refusal(files.ca, files.client, locked)
    assert "protected by a password" in problem
    assert "openssl pkey" in problem


def test_a_folder_instead_of_a_file(tmp_path: Path) -> None:
    assert refusal(tmp_path, None, None) == [f"{tmp_path}: cannot be read: Is a directory"]


def test_a_chain_expires_with_its_first_certificate(tmp_path: Path) -> None:
    early, late = datetime(2027, 1, 15, tzinfo=UTC), datetime(2029, 6, 30, tzinfo=UTC)
    authority = trustme.CA()
    pems = [
        authority.issue_cert("x.example", not_after=at).cert_chain_pems[0].bytes() for at in (late, early)
    ]
    (tmp_path / "chain.pem").write_bytes(b"".join(pems))
    assert certificate_expiry(tmp_path / "chain.pem") == early
