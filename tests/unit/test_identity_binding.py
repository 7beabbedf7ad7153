"""Who may send for an organisation: the rule of policy code D101, where no policy is asked."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gateway.identity.binding import ClientCert, Presented, read_certificate, sender_is_registered
from gateway.identity.model import Tenant

OWN, OTHER = (ClientCert(letter * 43, "CN=x", (), True) for letter in "ab")
TENANT = Tenant(
    id="T-1",
    type="insurer",
    name="测试机构（虚构）",
    uscc="",
    status="active",
    env="prod",
    crypto="intl",
    data_security_officer="测试丁一",
    qualifications=(),
    source_ips=(),
    cert_thumbprints=(),
)
IPS = ("192.0.2.0/24", "2001:db8::/32")


@pytest.mark.parametrize(
    ("ips", "certs", "ip", "cert", "registered"),
    [
        ((), (), "192.0.2.9", OWN, False),
        (IPS, (), "192.0.2.9", None, True),
        (IPS, (), "2001:db8::7", None, True),
        (IPS, (), "192.0.3.9", None, False),
        (IPS, (), "", None, False),
        (IPS, (), "192.0.2.9.evil", None, False),
        ((), (OWN.thumbprint,), "203.0.113.9", OWN, True),
        ((), (OWN.thumbprint,), "203.0.113.9", OTHER, False),
        ((), (OWN.thumbprint,), "203.0.113.9", None, False),
        ((), (OWN.thumbprint,), "203.0.113.9", replace(OWN, verified=False), False),
        (IPS, (OWN.thumbprint,), "192.0.2.9", OWN, True),
        (IPS, (OWN.thumbprint,), "192.0.2.9", None, False),
        (IPS, (OWN.thumbprint,), "203.0.113.9", OWN, False),
    ],
)
def test_each_registered_list_must_have_the_sender_and_one_must_exist(
    ips: tuple[str, ...],
    certs: tuple[str, ...],
    ip: str,
    cert: ClientCert | None,
    registered: bool,
) -> None:
    tenant = replace(TENANT, source_ips=ips, cert_thumbprints=certs)
    shown = Presented("GET", "https://sluice.example/v1", cert=cert, ip=ip)

    assert sender_is_registered(tenant, shown) is registered


def test_what_is_no_certificate_is_a_value_error() -> None:
    for der in (b"", b"rubbish", b"\x30\x82\xff\xff"):
        with pytest.raises(ValueError, match=r"(?i)asn1|pars"):
            read_certificate(der, verified=True)
