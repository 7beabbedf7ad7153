"""The journal's tables in PostgreSQL, made once by their owner; the gateway may only add to them.

Two locks on the past: the application's role has no right to UPDATE or DELETE, and triggers refuse
both to everybody, the owner included. Nothing is partitioned: a unique key would have to contain
the partition's column, and an event sent again across midnight would be counted twice.
"""

from __future__ import annotations

import re

import asyncpg

from gateway.errors import OperatorError
from gateway.journal import postgres_tree

SCHEMA = "sluice_journal"
FORMAT = 1
APPEND_ONLY = (
    "journal",
    "audit_event",
    "decision",
    "usage_event",
    "charged_cell",
    "checkpoint",
    "quarantine",
    "heartbeat",
    "archive",
    "tile",
    "note",
)
_ROLE = re.compile(r"[a-z_][a-z0-9_]{0,62}")

# Bodies are text, not jsonb: they are hashed byte for byte. The columns beside `body` repeat what
# it says, for looking up; the body is what counts.
TABLES = """
CREATE TABLE IF NOT EXISTS journal (
  journal_id text PRIMARY KEY,
  node text NOT NULL,
  kind text NOT NULL CHECK (kind IN ('direct', 'spool')),
  created text NOT NULL,
  format integer NOT NULL
);
CREATE TABLE IF NOT EXISTS audit_event (
  journal_id text NOT NULL,
  seq bigint NOT NULL,
  request_id text NOT NULL,
  time timestamptz NOT NULL,
  kind text NOT NULL,
  result text NOT NULL,
  tenant text,
  grant_id text,
  service text,
  cells bigint,
  subject text,
  body text NOT NULL,
  prev_hash bytea NOT NULL,
  hash bytea NOT NULL,
  PRIMARY KEY (journal_id, seq),
  UNIQUE (journal_id, request_id)
);
CREATE INDEX IF NOT EXISTS refusals_of_tenant ON audit_event (tenant, time)
  WHERE result = 'refused';
CREATE INDEX IF NOT EXISTS reads_of_subject ON audit_event (subject, time)
  WHERE subject IS NOT NULL;
CREATE INDEX IF NOT EXISTS audit_listing ON audit_event
  ((body::json ->> 'event_id'), kind, result, tenant, service);
CREATE INDEX IF NOT EXISTS audit_by_request ON audit_event (request_id);
CREATE TABLE IF NOT EXISTS decision (
  journal_id text NOT NULL,
  seq bigint NOT NULL,
  request_id text NOT NULL,
  decision_id text NOT NULL,
  allow boolean NOT NULL,
  body text NOT NULL,
  PRIMARY KEY (journal_id, seq)
);
CREATE INDEX IF NOT EXISTS decision_by_id ON decision (decision_id);
CREATE TABLE IF NOT EXISTS usage_event (
  journal_id text NOT NULL,
  seq bigint NOT NULL,
  event_id uuid PRIMARY KEY,
  request_id text NOT NULL UNIQUE,
  decision_id text NOT NULL,
  grant_id text NOT NULL,
  tenant text NOT NULL,
  service text NOT NULL,
  version text NOT NULL,
  release text NOT NULL,
  unit text NOT NULL,
  qty bigint NOT NULL CHECK (qty >= 0),
  billable_qty bigint NOT NULL CHECK (billable_qty BETWEEN 0 AND qty),
  repeat_of uuid CHECK (repeat_of IS NULL OR billable_qty = 0),
  price_ref text NOT NULL,
  price_micro bigint NOT NULL CHECK (price_micro >= 0),
  providers_ref text NOT NULL,
  purpose text NOT NULL,
  query_hash text NOT NULL,
  page text NOT NULL,
  time timestamptz NOT NULL,
  payload_hash bytea NOT NULL
);
CREATE INDEX IF NOT EXISTS usage_by_event ON usage_event (journal_id, seq);
CREATE INDEX IF NOT EXISTS usage_of_tenant ON usage_event (tenant, time);
CREATE TABLE IF NOT EXISTS charged_cell (
  journal_id text NOT NULL,
  seq bigint NOT NULL,
  tenant text NOT NULL,
  release text NOT NULL,
  place bigint NOT NULL,
  event_id uuid NOT NULL,
  time timestamptz NOT NULL,
  cells bytea NOT NULL,
  PRIMARY KEY (tenant, release, place, event_id)
);
CREATE INDEX IF NOT EXISTS charged_by_event ON charged_cell (journal_id, seq);
CREATE TABLE IF NOT EXISTS idempotency (
  tenant text NOT NULL,
  client text NOT NULL,
  key bytea NOT NULL,
  request_hash bytea NOT NULL,
  event_id uuid NOT NULL,
  answer_digest bytea NOT NULL,
  release text NOT NULL,
  qty bigint NOT NULL,
  billable_qty bigint NOT NULL,
  time timestamptz NOT NULL,
  expires timestamptz NOT NULL,
  PRIMARY KEY (tenant, client, key)
);
CREATE INDEX IF NOT EXISTS keys_by_end ON idempotency (expires);
CREATE TABLE IF NOT EXISTS checkpoint (
  journal_id text NOT NULL,
  seq bigint NOT NULL,
  hash bytea NOT NULL,
  time timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (journal_id, seq)
);
CREATE TABLE IF NOT EXISTS quarantine (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  journal_id text NOT NULL,
  seq bigint NOT NULL,
  event_id uuid,
  reason text NOT NULL,
  stored_hash bytea,
  offered_hash bytea NOT NULL,
  offered text NOT NULL,
  time timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE IF NOT EXISTS heartbeat (
  journal_id text NOT NULL,
  time timestamptz NOT NULL,
  retired boolean NOT NULL DEFAULT false,
  PRIMARY KEY (journal_id, time)
);
CREATE TABLE IF NOT EXISTS archive (
  journal_id text NOT NULL,
  first bigint NOT NULL,
  last bigint NOT NULL CHECK (last >= first),
  name text NOT NULL,
  sha256 text NOT NULL,
  expired timestamptz,
  PRIMARY KEY (journal_id, first)
);
CREATE OR REPLACE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'DELETE' AND TG_TABLE_NAME = 'heartbeat'
    AND coalesce(current_setting('sluice.forgetting', true), '') = 'on' THEN
    RETURN NULL;
  END IF;
  IF TG_OP = 'UPDATE' AND TG_TABLE_NAME IN ('audit_event', 'decision', 'archive')
    AND coalesce(current_setting('sluice.archiving', true), '') = 'on' THEN
    RETURN NULL;
  END IF;
  RAISE EXCEPTION 'the journal is append-only' USING ERRCODE = 'restrict_violation';
END $$;
CREATE OR REPLACE FUNCTION forget_heartbeats() RETURNS void LANGUAGE sql SECURITY DEFINER
  SET search_path = sluice_journal, pg_temp SET sluice.forgetting = 'on' AS $$
DELETE FROM heartbeat h WHERE time < now() - interval '40 days' AND EXISTS (
  SELECT FROM heartbeat later WHERE later.journal_id = h.journal_id AND later.time > h.time)
$$;
CREATE OR REPLACE FUNCTION keep_until_expired() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF OLD.expires > now() THEN
    RAISE EXCEPTION 'the key has not expired' USING ERRCODE = 'restrict_violation';
  END IF;
  RETURN OLD;
END $$;
"""
_KEEP = """
CREATE OR REPLACE TRIGGER {table}_kept BEFORE UPDATE OR DELETE OR TRUNCATE ON {table}
  FOR EACH STATEMENT EXECUTE FUNCTION keep();
"""
_KEEP_KEYS = """
CREATE OR REPLACE TRIGGER idempotency_kept BEFORE UPDATE OR TRUNCATE ON idempotency
  FOR EACH STATEMENT EXECUTE FUNCTION keep();
CREATE OR REPLACE TRIGGER idempotency_not_yet BEFORE DELETE ON idempotency
  FOR EACH ROW EXECUTE FUNCTION keep_until_expired();
"""
_GRANT = """
REVOKE ALL ON SCHEMA {schema} FROM PUBLIC;
REVOKE ALL ON ALL TABLES IN SCHEMA {schema} FROM PUBLIC, {role};
GRANT USAGE ON SCHEMA {schema} TO {role};
GRANT SELECT, INSERT ON ALL TABLES IN SCHEMA {schema} TO {role};
GRANT DELETE ON {schema}.idempotency TO {role};
REVOKE ALL ON FUNCTION {schema}.forget_heartbeats() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION {schema}.forget_heartbeats() TO {role};
"""
_TEMP = "SELECT format('GRANT TEMPORARY ON DATABASE %I TO %I', current_database(), $1::text)"


async def init(dsn: str, role: str, password: str | None = None) -> None:
    """Make schema and tables as their owner, and let `role` add to them; harmless again.

    A role that is not there is made, able to sign in with `password` if one is given.
    """
    if not _ROLE.fullmatch(role):
        raise OperatorError(
            "journal_role", "A role's name is up to 63 lower-case letters, digits and underscores."
        )
    try:
        owner = await asyncpg.connect(dsn, timeout=10)
    except (OSError, asyncpg.PostgresError, TimeoutError) as error:
        raise unreachable(error) from error
    try:
        async with owner.transaction():
            await _make(owner, role, password)
    except asyncpg.PostgresError as error:
        raise OperatorError(
            "journal_init", f"PostgreSQL refused: {error.args[0]}. Nothing was changed."
        ) from error
    finally:
        await owner.close()


async def _make(owner: asyncpg.Connection, role: str, password: str | None) -> None:
    me = await owner.fetchval("SELECT current_user::text")
    if me == role:
        raise OperatorError("journal_role", "The application's role must not own the tables.")
    await _make_role(owner, role, password)
    await owner.execute(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}; SET LOCAL search_path = {SCHEMA}")
    keeping = "".join(_KEEP.format(table=table) for table in APPEND_ONLY)
    await owner.execute(TABLES + postgres_tree.TABLES + keeping + _KEEP_KEYS)
    await owner.execute(_GRANT.format(schema=SCHEMA, role=role))
    await owner.execute(await owner.fetchval(_TEMP, role))


async def _make_role(owner: asyncpg.Connection, role: str, password: str | None) -> None:
    found = await owner.fetchrow(
        "SELECT rolsuper OR rolcreaterole OR rolcreatedb FROM pg_roles WHERE rolname = $1", role
    )
    if found is not None and found[0]:
        raise OperatorError("journal_role", f"The role {role} may do too much; name a plain one.")
    if found is None:
        await owner.execute(f"CREATE ROLE {role} LOGIN NOINHERIT")
    if password is not None:
        words = await owner.fetchval(
            "SELECT format('ALTER ROLE %I PASSWORD %L', $1::text, $2::text)", role, password
        )
        await owner.execute(words)


def unreachable(error: BaseException) -> OperatorError:
    """PostgreSQL does not answer; never with the DSN, which may hold a password."""
    return OperatorError(
        "journal_store_down",
        f"The journal's PostgreSQL cannot be used ({type(error).__name__}): check that it runs and"
        " that the DSN file names it.",
    )
