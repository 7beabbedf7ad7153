"""Settings: one frozen class, read once, the only reader of the environment (`SLUICE_…`)."""

from __future__ import annotations

from ipaddress import ip_network
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

_ROOT = Path(__file__).resolve().parent.parent
MAIN_NODE = "main"


class Settings(BaseSettings):
    """Where things lie and how the server presents itself; secrets live in files under `home`."""

    model_config = SettingsConfigDict(env_prefix="SLUICE_", frozen=True, extra="forbid")

    home: Path = Field(
        default=Path("var"), description="Folder of warehouse, releases, state and journal."
    )
    node: str = Field(
        default=MAIN_NODE,
        pattern="^[a-z0-9][a-z0-9-]{0,39}$",
        description="Name of this serving process; several on one home differ in name and port.",
    )
    database_dsn_file: Path | None = Field(
        default=None,
        description="File with the DSN of the operational database's PostgreSQL (directory, "
        "consents, staff, ledger), of the role that reads and writes rows; without it, a file of "
        "the home.",
    )
    postgres_dsn_file: Path | None = Field(
        default=None,
        description="File with the DSN of the journal's PostgreSQL, of the role that may only add.",
    )
    audit_anchor: Path | None = Field(
        default=None,
        description="Folder out of this host's reach (a mount that can only be added to) where "
        "every checkpoint of the audit trail is kept as well.",
    )
    person_dsn_file: Path | None = Field(
        default=None,
        description="File with the DSN of the person source's PostgreSQL, of the role that may "
        "only read it; without it, a file of the home.",
    )
    quota_store: str = Field(
        default="embedded",
        pattern="^(embedded|redis|postgres)$",
        description="Where quotas are counted: in this process, the only one, or where several "
        "meet: Valkey/Redis (redis_url_file) or PostgreSQL (postgres_dsn_file).",
    )
    redis_url_file: Path | None = Field(
        default=None, description="File with the URL of the Valkey or Redis of the quotas."
    )
    sandbox_cgroup: str = Field(
        default="",
        pattern="^[A-Za-z0-9_./-]*$",
        description="A delegated control group (version 2) below /sys/fs/cgroup for training "
        "jobs; without it, those of version 1 where they are writable, or limits per process, "
        "as with `-`.",
    )
    sandbox_environments: Path | None = Field(
        default=None,
        description="Folder of virtual environments that training jobs may name; without it, "
        "`python` alone, the interpreter's standard library.",
    )
    sandbox_kubernetes: Path | None = Field(
        default=None,
        description="YAML file (namespace, images, claim, runtime_class) of the cluster on which "
        "training jobs run; its claim is mounted as the home. Without it they run on this host.",
    )
    conformance_keys: Path | None = Field(
        default=None,
        description="JWK set: keys of the sandboxes whose conformance reports are accepted; "
        "with it, grants are approved only of organisations that have such a report.",
    )
    policies: Path = Field(
        default=_ROOT / "policies", description="Rego, policy data and the catalogue."
    )
    release_engine: str = Field(
        default="duckdb",
        pattern="^(duckdb|spark)$",
        description="What runs the facts of a release: DuckDB in the build, or a Spark cluster.",
    )
    release_audit_seconds: float = Field(
        default=10.0,
        ge=0,
        description="Processor seconds for the attack on a release before it is published; what is "
        "left then is counted as not examined. `sluice release audit` examines all.",
    )
    spark_master: str = Field(default="", description="Its master, as spark://host:port.")
    spark_properties: Path | None = Field(
        default=None,
        description="File of Spark properties by which it is reached, such as its secret.",
    )
    host: str = Field(default="127.0.0.1", description="Address the server listens on.")
    port: int = Field(default=8780, ge=1, le=65535, description="Port the server listens on.")
    issuer: str = Field(default="", description="Public base URL; empty: http(s)://{host}:{port}.")
    env: str = Field(
        default="prod", pattern="^(prod|sandbox)$", description="Which world this serves."
    )
    sandbox_owner: str = Field(
        default="",
        description="The organisation whose sandbox this is: it alone may put the clock forward "
        "over HTTP; empty: nobody may, as in a sandbox that several share.",
    )
    detection: str = Field(
        default="act",
        pattern="^(act|tell)$",
        description="Whether alarms slow, suspend and stop, or are told only, as always in the "
        "sandbox world.",
    )
    token_ttl_seconds: int = Field(
        default=300, ge=60, le=900, description="Life of an access token."
    )

    tls_cert: Path | None = Field(
        default=None, description="Server certificate chain (PEM); set together with tls_key."
    )
    tls_key: Path | None = Field(default=None, description="Private key of tls_cert (PEM).")
    client_ca: Path | None = Field(
        default=None, description="CA certificates (PEM) that client certificates must come from."
    )
    trusted_proxies: str = Field(
        default="",
        description="Addresses or ranges, with commas between, of proxies whose X-Forwarded-For "
        "and client-certificate headers are believed; none by default.",
    )
    client_cert_header: str = Field(
        default="client-cert",
        pattern="^[A-Za-z0-9-]{1,64}$",
        description="Header in which a trusted proxy hands on the client certificate (RFC 9440).",
    )

    fetch_loopback: bool = Field(
        default=False, description="May keys at a jwks_uri be fetched from this machine itself?"
    )
    fetch_ca: Path | None = Field(
        default=None, description="CA certificates (PEM) for a jwks_uri; default: the system's."
    )

    policy_engine: str = Field(
        default="embedded",
        pattern="^(embedded|opa)$",
        description="What decides: the engine inside the process, or an OPA server at opa_url.",
    )
    opa_url: str = Field(
        default="http://127.0.0.1:8181", description="Scheme, host and port of the OPA server."
    )
    opa_token_file: Path | None = Field(
        default=None, description="File with the token that OPA asks of those who question it."
    )
    policy_bundle_token_file: Path | None = Field(
        default=None,
        description="File with the token for /policy/bundle.tar.gz; not served without one.",
    )

    metrics_token_file: Path | None = Field(
        default=None, description="File with the token for /metrics; not served without one."
    )

    traces_url: str = Field(
        default="",
        pattern="^(https?://[^ ?#]+)?$",
        description="Where spans are sent by OTLP over HTTP, as http://collector:4318/v1/traces; "
        "empty: none are made.",
    )
    traces_share: float = Field(
        default=0.1, ge=0, le=1, description="Share of the requests that spans are made of."
    )

    person_login: str = Field(
        default="none",
        pattern="^(none|simulated|oidc)$",
        description="How insured persons sign in: not at all, simulated, or an OIDC provider.",
    )
    person_issuer: str = Field(default="", description="Issuer of the OIDC provider of persons.")
    person_client_id: str = Field(default="", description="Our client id at that provider.")
    person_key: Path | None = Field(
        default=None, description="Private key (JWK, ES256) that proves us to that provider."
    )
    person_certno_claim: str = Field(
        default="certno", description="Claim of its id_token that holds the certificate number."
    )

    crypto_suite: Literal["gm", "international"] = Field(
        default="gm",
        description="What new masking keys compute with: SM3 and SM4, or SHA-256 and AES.",
    )
    root_key: SecretStr | None = Field(
        default=None,
        description="Root key (base64 of 32 bytes) that wraps the masking keys, where a secret "
        "manager sets it; default: a file of mode 0600 under `home/keys`.",
    )
    key_program: Path | None = Field(
        default=None,
        description="Program of a hardware module or cloud KMS that wraps the masking keys "
        "instead; docs/masking.md says how it is called.",
    )

    staff_sso_issuer: str = Field(default="", description="OpenID provider of the staff, if any.")
    staff_sso_client_id: str = Field(default="", description="Our client id at that provider.")
    staff_sso_secret_file: Path | None = Field(
        default=None, description="File with our client secret at that provider."
    )
    staff_sso_amr: str = Field(
        default="mfa",
        description="What the provider's `amr` must name; empty: it always asks for two factors.",
    )

    @field_validator("trusted_proxies")
    @classmethod
    def _are_networks(cls, value: str) -> str:
        for each in filter(None, value.split(",")):
            ip_network(each.strip(), strict=False)
        return value

    @model_validator(mode="after")
    def _one_root(self) -> Self:
        if self.root_key is not None and self.key_program is not None:
            raise ValueError("set root_key or key_program, not both")
        return self

    @model_validator(mode="after")
    def _tls_is_whole(self) -> Self:
        if (self.tls_cert is None) != (self.tls_key is None):
            raise ValueError("set tls_cert and tls_key together, or neither")
        if self.client_ca is not None and self.tls_cert is None:
            raise ValueError("client_ca needs tls_cert and tls_key")
        return self

    @property
    def base_url(self) -> str:
        """Issuer identifier and base of every published address, without a trailing slash."""
        return (self.issuer or f"{self.scheme}://{self.host}:{self.port}").rstrip("/")

    @property
    def scheme(self) -> str:
        return "http" if self.tls_cert is None else "https"

    @property
    def proxies(self) -> tuple[str, ...]:
        """The trusted proxies, one by one."""
        return tuple(each.strip() for each in self.trusted_proxies.split(",") if each.strip())

    @property
    def warehouse(self) -> Path:
        return self.home / "warehouse"

    @property
    def releases(self) -> Path:
        return self.home / "releases"

    @property
    def persons(self) -> Path:
        """The embedded person source."""
        return self.home / "persons" / "persons.db"

    @property
    def traces(self) -> Path:
        """The source that packs are looked up in."""
        return self.home / "traces" / "traces.db"

    @property
    def codes(self) -> Path:
        """Published bundles of code lists."""
        return self.home / "codes"

    @property
    def database(self) -> Path:
        return self.home / "sluice.db"

    @property
    def journal(self) -> Path:
        """The journal of this node; no two processes share one."""
        return self.home / ("journal.db" if self.node == MAIN_NODE else f"journal-{self.node}.db")

    @property
    def keys(self) -> Path:
        return self.home / "keys"
