"""`sluice serve` with TLS options: a process of its own that asks clients for certificates."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx

from gateway.identity.desk import open_identity
from gateway.identity.requester import Certificates, Participant
from gateway.settings import Settings
from tests.certificates import new_authority
from tests.factories_identity import add_client
from tests.gateway_factory import copy_home, enter_parties, free_port, utc_now


def enter_certificate_client(settings: Settings) -> None:
    """One client that proves itself by the certificate for `app.client.example`."""
    enter_parties(settings, utc_now, always=True)
    identity = open_identity(settings)
    name = {"tls_san_dns": "app.client.example"}
    add_client(
        identity, "tls-app", "T-INS", None, auth_method="tls_client_auth", binding="mtls", **name
    )
    identity.close()


def test_the_command_serves_tls_and_binds_tokens_to_certificates(
    released_home: Path, tmp_path: Path
) -> None:
    authority = new_authority(tmp_path / "ca")
    server = str(authority.issue("server", server=True).path)
    cert = authority.issue("app", dns="app.client.example")
    home, port = copy_home(released_home, tmp_path / "home"), free_port()
    issuer = f"https://127.0.0.1:{port}"
    enter_certificate_client(Settings(home=home, issuer=issuer))
    program = str(Path(sys.executable).with_name("sluice"))
    words = ["serve", "--port", str(port), "--tls-cert", server, "--tls-key", server]
    process = subprocess.Popen(
        [program, *words, "--client-ca", str(authority.path)],
        env={**os.environ, "SLUICE_HOME": str(home)},
    )
    participant = Participant(
        issuer, "tls-app", None, utc_now, Certificates(authority.path, cert.path)
    )
    try:
        with participant.open() as http:
            assert ready(process, http)
            assert participant.call(http, "GET", "/v1/services").status_code == 200
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)


def ready(process: subprocess.Popen[bytes], http: httpx.Client) -> bool:
    for _ in range(600):
        if process.poll() is not None:
            return False
        try:
            return http.get("/readyz").status_code == 200
        except httpx.TransportError:
            time.sleep(0.1)
    return False
