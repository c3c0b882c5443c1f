# SPDX-License-Identifier: Apache-2.0
"""How a registry asks who is there: Basic, and Bearer tokens from a token server.

Source: RFC 7617; the distribution project's "Token Authentication Specification" and its OAuth2 variant.
"""
import base64
import itertools
import json
import time
from dataclasses import dataclass, field
from urllib.parse import parse_qs

from lying_faults import Reply


def parse_basic(header):
    """(user, password) of an Authorization header, or None."""
    scheme, _, value = (header or "").partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        user, _, password = base64.b64decode(value).decode().partition(":")
    except ValueError:
        return None
    return user, password


def unauthorized(challenge):
    headers = {"WWW-Authenticate": challenge, "Content-Type": "application/json"}
    return Reply(401, headers, b'{"errors":[{"code":"UNAUTHORIZED","message":"authentication required"}]}')


class BasicAuth:
    def __init__(self, user, password, challenge='Basic realm="lying registry"'):
        self.credentials = (user, password)
        self.challenge = challenge

    def check(self, request, _registry):
        """None when the request may pass, else the Reply that refuses it."""
        return None if parse_basic(request.headers.get("authorization")) == self.credentials else unauthorized(self.challenge)

    def token(self, _request, _body):
        return Reply(404)


@dataclass
class Token:
    scopes: set
    user: str | None
    uses_left: int | None
    expires_at: float

    def allows(self, scope):
        return scope is None or scope in self.scopes


@dataclass
class TokenAuth:
    """Bearer tokens, from /token of the same server unless `realm` says where else.

    users: {name: password}; `anonymous` lets strangers have pull tokens; `uses` is after how many requests a token ends,
    `lifetime_s` after how long; `identity_tokens` hands out refresh tokens and takes them by POST; `field_name` is where the
    token stands in the answer (`token`, or `access_token` as OAuth2 has it).
    """

    users: dict = field(default_factory=dict)
    anonymous: bool = False
    uses: int | None = None
    lifetime_s: int = 300
    identity_tokens: bool = False
    oauth_post: bool = True
    field_name: str = "token"
    realm: str = ""
    service: str = "lying"
    granted: set | None = None
    tokens: dict = field(default_factory=dict)
    refresh: dict = field(default_factory=dict)
    counter: object = field(default_factory=lambda: itertools.count(1))

    def challenge(self, registry, scope, error=None):
        realm = self.realm or f"{registry.url}/token"
        parts = [f'realm="{realm}"', f'service="{self.service}"']
        if scope:
            parts.append(f'scope="{scope}"')
        if error:
            parts.append(f'error="{error}"')
        return unauthorized("Bearer " + ",".join(parts))

    def check(self, request, registry):
        scope = f"repository:{request.repository}:pull" if request.repository else None
        scheme, _, value = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            return self.challenge(registry, scope)
        token = self.tokens.get(value)
        if token is None or token.expires_at < time.monotonic() or token.uses_left == 0:
            return self.challenge(registry, scope, "invalid_token")
        if not token.allows(scope):
            return self.challenge(registry, scope, "insufficient_scope")
        if token.uses_left is not None:
            token.uses_left -= 1
        return None

    def token(self, request, body):
        """The token server: GET with Basic, or POST with a form (OAuth2)."""
        if request.method == "POST":
            return self._oauth(parse_qs(body.decode())) if self.oauth_post else Reply(405)
        query = parse_qs(request.query)
        header = request.headers.get("authorization")
        user = self._user(parse_basic(header))
        if user is None and (header or not self.anonymous):
            return unauthorized('Basic realm="token server"')
        offline = query.get("offline_token") == ["true"]
        return self._grant(user, query.get("scope", []), with_refresh=offline and user is not None)

    def _user(self, credentials):
        name, password = credentials or (None, None)
        return name if name is not None and self.users.get(name) == password else None

    def _oauth(self, form):
        def value(name):
            return form.get(name, [""])[0]

        scopes = value("scope").split()
        if value("grant_type") == "refresh_token" and value("refresh_token") in self.refresh:
            return self._grant(self.refresh[value("refresh_token")], scopes, with_refresh=True)
        user = self._user((value("username"), value("password")))
        if value("grant_type") == "password" and user:
            return self._grant(user, scopes, with_refresh=value("access_type") == "offline")
        return Reply(400, {"Content-Type": "application/json"}, b'{"error":"invalid_grant"}')

    def _grant(self, user, scopes, with_refresh):
        allowed = set(" ".join(scopes).split())
        if self.granted is not None:
            allowed &= self.granted
        text = f"token-{next(self.counter)}"
        self.tokens[text] = Token(allowed, user, self.uses, time.monotonic() + self.lifetime_s)
        answer = {self.field_name: text, "expires_in": self.lifetime_s, "issued_at": "2026-01-01T00:00:00Z"}
        if self.identity_tokens and with_refresh:
            answer["refresh_token"] = self.identity_token(user)
        return Reply(200, {"Content-Type": "application/json"}, json.dumps(answer).encode())

    def identity_token(self, user):
        """A refresh token for this user, as `docker login` would have stored it."""
        text = f"identity-{user}"
        self.refresh[text] = user
        return text
