"""Certificates for the broker's TLS listeners: a CA of our own and a certificate that it signs, made by openssl."""

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.support.apache_kafka.jars import KafkaUnavailableError

_SECONDS = 20.0
_DAYS = "30"


@dataclass(frozen=True, slots=True)
class Certificates:
    """Files in PEM format.

    Args:
        ca_file: The CA's certificate: what a client has to trust.
        keystore: The broker's private key and certificate, valid for 127.0.0.1 and localhost.
    """

    ca_file: Path
    keystore: Path


def make_certificates(folder: Path) -> Certificates:
    """Makes a CA and a certificate of the broker.

    Args:
        folder: Where they are put.

    Raises:
        KafkaUnavailableError: There is no openssl on the PATH, or none that can do this (it takes 3.0).
    """
    ca_file, ca_key = folder / "ca.pem", folder / "ca.key"
    certificate, key, keystore = folder / "broker.pem", folder / "broker.key", folder / "broker-keystore.pem"
    _request(
        "/CN=Kindred test CA",
        ca_key,
        ca_file,
        "basicConstraints=critical,CA:TRUE",
        "keyUsage=critical,keyCertSign,cRLSign",
    )
    _request(
        "/CN=Kindred test broker",
        key,
        certificate,
        "basicConstraints=critical,CA:FALSE",
        "keyUsage=critical,digitalSignature",
        "extendedKeyUsage=serverAuth",
        "subjectAltName=IP:127.0.0.1,DNS:localhost",
        signer=(ca_key, ca_file),
    )
    keystore.write_text(key.read_text() + certificate.read_text())
    return Certificates(ca_file, keystore)


def _request(
    subject: str, key: Path, certificate: Path, *extensions: str, signer: tuple[Path, Path] | None = None
) -> None:
    """Makes a key and its certificate, signed by a CA's key and certificate, else by itself."""
    openssl = shutil.which("openssl")
    if openssl is None:
        raise KafkaUnavailableError("TLS needs certificates, and there is no openssl on the PATH")
    command = [
        openssl,
        "req",
        "-x509",
        "-days",
        _DAYS,
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-nodes",
    ]
    command += ["-subj", subject, "-keyout", str(key), "-out", str(certificate)]
    for extension in extensions:
        command += ["-addext", extension]
    if signer is not None:
        command += ["-CAkey", str(signer[0]), "-CA", str(signer[1])]
    done = subprocess.run(  # noqa: S603  # what the PATH calls openssl, with our own arguments
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=_SECONDS, check=False
    )
    if done.returncode:
        raise KafkaUnavailableError(f"openssl makes no certificate: {done.stderr.strip()}")
