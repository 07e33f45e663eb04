"""TLS towards a broker: from certificate files to an ``ssl.SSLContext``, with advice where a file is wrong.

Owns reading and checking the files. Knows nothing of MQTT and opens no connection.
"""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes, PublicKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from smartdorf.errors import SmartdorfError
from smartdorf.i18n import gettext as _

# a certificate that somebody else must issue takes weeks in an administration
EXPIRY_WARNING = timedelta(days=60)


class CertificateError(SmartdorfError):
    """A certificate file cannot be used."""


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """Where the certificates are. They are read at every connect, so a renewed one needs no restart."""

    ca_file: Path | None = None  # None: the certificate authorities that the machine trusts
    certificate_file: Path | None = None
    key_file: Path | None = None  # None: the key is in the certificate's file

    def context(self) -> ssl.SSLContext:
        return tls_context(self.ca_file, self.certificate_file, self.key_file)

    def expiry(self) -> datetime | None:
        return None if self.certificate_file is None else certificate_expiry(self.certificate_file)


def tls_context(ca_file: Path | None, cert_file: Path | None, key_file: Path | None) -> ssl.SSLContext:
    """A client's context that verifies the broker; raises ``CertificateError`` with every problem at once."""
    problems: list[str] = []
    context = ssl.create_default_context()
    if ca_file is not None:
        try:
            context = ssl.create_default_context(cadata=_readable_authorities(ca_file))
        except CertificateError as error:
            problems.append(str(error))
    if cert_file is not None:
        try:
            _check_pair(cert_file, key_file or cert_file)
            context.load_cert_chain(cert_file, key_file)
        except CertificateError as error:
            problems.append(str(error))
        except ssl.SSLError as error:
            # what our own check lets through and OpenSSL refuses: a weak key, a curve it does not know
            message = _("{file}: OpenSSL refuses it: {error}")
            problems.append(message.format(file=cert_file, error=error.reason or error))
    elif key_file is not None:
        problems.append(
            _("{file}: a key without a certificate; name the certificate file, too").format(file=key_file)
        )
    if problems:
        raise CertificateError("\n".join(problems))
    return context


def certificate_expiry(path: Path) -> datetime:
    """When the first certificate of this chain expires, in UTC."""
    return min(certificate.not_valid_after_utc for certificate in _certificates(path))


def _readable_authorities(path: Path) -> str:
    return "".join(certificate.public_bytes(Encoding.PEM).decode() for certificate in _certificates(path))


def _check_pair(cert_file: Path, key_file: Path) -> None:
    leaf = _certificates(cert_file)[0]
    key = _private_key(key_file)
    if _spki(leaf.public_key()) != _spki(key.public_key()):
        raise CertificateError(
            _(
                "{key}: this key does not belong to the certificate in {certificate}; were they swapped or mixed up?"
            ).format(key=key_file, certificate=cert_file)
        )


def _spki(key: PublicKeyTypes) -> bytes:
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _certificates(path: Path) -> list[x509.Certificate]:
    text = _read(path)
    try:
        return x509.load_pem_x509_certificates(text)
    except ValueError:
        raise CertificateError(
            _("{file}: no PEM certificate in it (expected a block -----BEGIN CERTIFICATE-----)").format(
                file=path
            )
        ) from None


def _private_key(path: Path) -> PrivateKeyTypes:
    text = _read(path)
    try:
        return load_pem_private_key(text, password=None)
    except TypeError:  # cryptography's way of saying that a password is missing
        raise CertificateError(
            _(
                "{file}: the key is protected by a password, and a service has nobody to type it; write it without:"
                " openssl pkey -in {file} -out key.pem, and let only the service read it"
            ).format(file=path)
        ) from None
    except ValueError:
        raise CertificateError(
            _("{file}: no PEM private key in it (expected a block -----BEGIN PRIVATE KEY-----)").format(
                file=path
            )
        ) from None


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise CertificateError(_("{file}: no such file").format(file=path)) from None
    except PermissionError:
        raise CertificateError(
            _("{file}: not readable for the user that smartdorf runs as; give it read permission").format(
                file=path
            )
        ) from None
    except OSError as error:
        raise CertificateError(
            _("{file}: cannot be read: {error}").format(file=path, error=error.strerror)
        ) from None
