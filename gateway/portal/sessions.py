"""Signing in to the portal: a client's token asks for a link, the link opens one session.

A link is good once and for a minute, a session for an hour; of both only keyed hashes are kept. A
session is as good as its client: it ends within a second of the client, its product or its tenant.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import sqlalchemy as sa
from sqlalchemy.orm import Session

from gateway.db.engine import reading, writing
from gateway.db.portal_tables import PortalLinkRow, PortalSessionRow
from gateway.errors import TooMany, Unauthenticated
from gateway.identity.binding import Presented, is_within, networks_of
from gateway.identity.caller import Caller
from gateway.identity.directory import Directory

LINK_LIFE: Final = timedelta(seconds=60)
LIFE: Final = timedelta(hours=1)
MOST_LINKS: Final = 10
"""Unused links of one client at a time."""


@dataclass(frozen=True, slots=True)
class Member:
    """On whose behalf somebody is signed in."""

    tenant_id: str
    client_id: str
    session_id: str = ""


@dataclass(frozen=True)
class Sessions:
    """Links and sessions of a database."""

    engine: sa.Engine
    key: bytes
    directory: Directory

    def invite(self, caller: Caller, now: datetime) -> str:
        """The secret of a new link for the client that asks; raises `TooMany`."""
        secret = secrets.token_urlsafe(32)
        with writing(self.engine) as session:
            session.execute(sa.delete(PortalLinkRow).where(PortalLinkRow.expires_at <= now))
            mine = sa.select(sa.func.count()).where(PortalLinkRow.client_id == caller.client_id)
            if (session.scalar(mine) or 0) >= MOST_LINKS:
                raise TooMany(
                    "portal_links",
                    "Use a link you have, or wait a minute: so many are open at once.",
                    "未使用的登录链接过多，请使用已有链接或稍候一分钟。",
                    retry_after=int(LINK_LIFE.total_seconds()),
                )
            session.add(
                PortalLinkRow(
                    digest=self._digest("link", secret),
                    tenant_id=caller.tenant_id,
                    client_id=caller.client_id,
                    expires_at=now + LINK_LIFE,
                )
            )
        return secret

    def invited(self, secret: str, now: datetime) -> Member:
        """Whom a link is for, without using it up; raises `Unauthenticated`."""
        with reading(self.engine) as session:
            row = session.get(PortalLinkRow, self._digest("link", secret))
        if row is None or row.expires_at <= now:
            raise _gone()
        return Member(row.tenant_id, row.client_id)

    def enter(self, secret: str, presented: Presented, now: datetime) -> tuple[Member, str]:
        """Use a link up for a session: who it is for, and the token of the browser's cookie;
        raises `Unauthenticated`, also for an address the organisation has not registered."""
        token, name = secrets.token_urlsafe(32), secrets.token_hex(8)
        with writing(self.engine) as session:
            link = self._take(session, secret, now)
            if not self.comes_from(link, presented):
                raise _gone()
            session.execute(sa.delete(PortalSessionRow).where(PortalSessionRow.expires_at <= now))
            session.add(
                PortalSessionRow(
                    digest=self._digest("session", token),
                    id=name,
                    tenant_id=link.tenant_id,
                    client_id=link.client_id,
                    expires_at=now + LIFE,
                )
            )
        return Member(link.tenant_id, link.client_id, name), token

    def _take(self, session: Session, secret: str, now: datetime) -> Member:
        """The link, gone from the table: of two that come at once one finds it."""
        digest = self._digest("link", secret)
        row = session.get(PortalLinkRow, digest)
        taken = sa.delete(PortalLinkRow).where(
            PortalLinkRow.digest == digest, PortalLinkRow.expires_at > now
        )
        if row is None or not session.execute(taken.returning(PortalLinkRow.digest)).first():
            raise _gone()
        member = Member(row.tenant_id, row.client_id)
        if not self.is_live(member):
            raise _gone()
        return member

    def member(self, token: str, presented: Presented, now: datetime) -> Member | None:
        """Who a browser's token belongs to; none where it is over, its client has ended, or the
        organisation's registered addresses do not have this browser's."""
        if not token:
            return None
        with reading(self.engine) as session:
            row = session.get(PortalSessionRow, self._digest("session", token))
        if row is None or row.expires_at <= now:
            return None
        member = Member(row.tenant_id, row.client_id, row.id)
        return member if self.is_live(member) and self.comes_from(member, presented) else None

    def comes_from(self, member: Member, presented: Presented) -> bool:
        """Whether the browser's address is one the organisation has registered, if it has any. Its
        certificate was shown when the link was asked for; browsers have none."""
        tenant = self.directory.snapshot.tenants[member.tenant_id]
        return not tenant.source_ips or is_within(presented.ip, networks_of(tenant.source_ips))

    def end(self, token: str) -> None:
        """End a session, if there is one."""
        digest = self._digest("session", token)
        with writing(self.engine) as session:
            session.execute(sa.delete(PortalSessionRow).where(PortalSessionRow.digest == digest))

    def form(self, token: str) -> str:
        """What a form of this session has to say; another site cannot know it."""
        return self._digest("form", token)

    def is_live(self, member: Member) -> bool:
        """Whether client, product and tenant may still be heard."""
        self.directory.check_fresh()
        tenant = self.directory.snapshot.live_clients.get(member.client_id)
        return tenant is not None and tenant.id == member.tenant_id

    def _digest(self, use: str, secret: str) -> str:
        said = f"portal/1\0{use}\0{secret}".encode()
        return hmac.new(self.key, said, hashlib.sha256).hexdigest()


@dataclass(frozen=True)
class MemberIdentity:
    """Lets the desk know a signed-in developer as the client on whose behalf they ask."""

    member: Member
    sessions: Sessions
    env: str

    def verify(self, authorization: str | None, presented: Presented, now: datetime) -> Caller:
        """The client as a caller, if it may still be heard; headers of a browser prove nothing."""
        if not self.sessions.is_live(self.member):
            raise Unauthenticated("token_revoked", "")
        tenant = self.sessions.directory.snapshot.tenants[self.member.tenant_id]
        return Caller(
            tenant.id,
            tenant.type,
            self.member.client_id,
            self.env,
            presented.ip,
            f"portal-{self.member.session_id}",
        )


def _gone() -> Unauthenticated:
    return Unauthenticated(
        "portal_link_gone",
        "This link was used, or is older than a minute; let the client ask for a new one.",
        "该登录链接已使用或已过期（60秒），请用客户端重新获取。",
        www_authenticate='Cookie realm="portal"',
    )
