// openid-client (certified FAPI relying party) against a running Sluice.
//
// argv[2]: JSON {issuer, client_id, jwk (private, ES256), redirect_uri, message_signing, details? (text), resource}
// The person's part is played outside: this prints {"authorize": url} and reads the callback URL
// from standard input. Every step prints {"step": name, "ok": true|false, "detail": …}.
import * as readline from 'node:readline/promises'
import * as client from 'openid-client'
import * as jose from 'jose'

const settings = JSON.parse(process.argv[2])
const input = readline.createInterface({ input: process.stdin })
const lines = input[Symbol.asyncIterator]()
const say = (line) => console.log(JSON.stringify(line))
let failed = 0

async function step(name, run) {
  try {
    const detail = await run()
    say({ step: name, ok: true, detail })
    return detail
  } catch (error) {
    failed += 1
    say({ step: name, ok: false, detail: `${error.name}: ${error.message} ${JSON.stringify(error.cause ?? '')}` })
    return undefined
  }
}

function expect(condition, message) {
  if (!condition) throw new Error(message)
}

async function refused(run, ...codes) {
  try {
    await run()
  } catch (error) {
    const code = error.error ?? error.cause?.error
    expect(codes.includes(code), `refused with ${code}: ${error.message}`)
    return code
  }
  throw new Error('was not refused')
}

const key = await jose.importJWK(settings.jwk, 'ES256')
const kid = settings.jwk.kid
const metadata = settings.message_signing
  ? { introspection_signed_response_alg: 'ES256', authorization_signed_response_alg: 'ES256' }
  : {}
if (settings.openid) metadata.id_token_signed_response_alg = 'ES256'

async function discover(algorithm) {
  const config = await client.discovery(
    new URL(settings.issuer), settings.client_id, metadata, client.PrivateKeyJwt({ key, kid }),
    { execute: [client.allowInsecureRequests], algorithm },
  )
  expect(config.serverMetadata().issuer === settings.issuer, 'the issuer differs')
  return config
}

await step('discovery by OpenID Connect', () => discover('oidc').then(() => null))
const config = await discover('oauth2')
await step('discovery by RFC 8414', async () => {
  const server = config.serverMetadata()
  expect(server.require_pushed_authorization_requests === true, 'PAR is not required')
  expect(server.authorization_response_iss_parameter_supported === true, 'no iss')
  expect(JSON.stringify(server.code_challenge_methods_supported) === '["S256"]', 'PKCE other than S256')
  return null
})
if (settings.message_signing) client.useJwtResponseMode(config)

const DPoP = client.getDPoPHandle(config, await client.randomDPoPKeyPair('ES256'))
const resource = (token, handle = DPoP) =>
  client.fetchProtectedResource(config, token, new URL(settings.resource), 'GET', null, undefined, { DPoP: handle })

await step('client credentials, bound by DPoP', async () => {
  const tokens = await client.clientCredentialsGrant(config, {}, { DPoP })
  expect(tokens.token_type === 'dpop', `token_type ${tokens.token_type}`)
  expect((await resource(tokens.access_token)).status === 200, 'the resource refused the token')
  const seen = await client.tokenIntrospection(config, tokens.access_token)
  expect(seen.active === true && typeof seen.cnf?.jkt === 'string', JSON.stringify(seen))
  await client.tokenRevocation(config, tokens.access_token)
  const after = await client.tokenIntrospection(config, tokens.access_token)
  expect(after.active === false, 'a revoked token is active')
  return null
})

async function authorise(extra = {}) {
  const verifier = client.randomPKCECodeVerifier()
  const state = client.randomState()
  const nonce = settings.openid ? client.randomNonce() : undefined
  let parameters = {
    redirect_uri: settings.redirect_uri, state,
    code_challenge: await client.calculatePKCECodeChallenge(verifier), code_challenge_method: 'S256',
    ...(settings.openid ? { scope: 'openid', nonce } : {}),
    ...(settings.details ? { authorization_details: settings.details } : {}),
    ...extra,
  }
  if (settings.message_signing) {
    parameters = (await client.buildAuthorizationUrlWithJAR(config, parameters, { key, kid })).searchParams
  }
  const url = await client.buildAuthorizationUrlWithPAR(config, parameters, { DPoP })
  say({ authorize: url.href })
  const { value } = await lines.next()
  const checks = { pkceCodeVerifier: verifier, expectedState: state, expectedNonce: nonce, idTokenExpected: Boolean(settings.openid) }
  return { callback: new URL(value), checks }
}

let tokens
let used
await step('pushed request, consent, code with PKCE and iss', async () => {
  used = await authorise()
  tokens = await client.authorizationCodeGrant(config, used.callback, used.checks, undefined, { DPoP })
  expect(tokens.token_type === 'dpop', `token_type ${tokens.token_type}`)
  return Object.keys(tokens).sort().join(' ')
})
await step('the token is good at the resource', async () => {
  const answer = await resource(tokens.access_token)
  expect([200, 403].includes(answer.status), `status ${answer.status}`)
  return answer.status
})
await step('introspection', async () => {
  const seen = await client.tokenIntrospection(config, tokens.access_token)
  expect(seen.active === true && seen.client_id === settings.client_id, JSON.stringify(seen))
  return null
})
let refreshed
await step('refresh keeps the refresh token', async () => {
  refreshed = await client.refreshTokenGrant(config, tokens.refresh_token, undefined, { DPoP })
  expect([undefined, tokens.refresh_token].includes(refreshed.refresh_token), 'the refresh token was rotated')
  const again = await client.refreshTokenGrant(config, tokens.refresh_token, undefined, { DPoP })
  expect(again.access_token !== refreshed.access_token, 'the same access token twice')
  return null
})
await step('refresh by another key is refused', async () => {
  const other = client.getDPoPHandle(config, await client.randomDPoPKeyPair('ES256'))
  return refused(() => client.refreshTokenGrant(config, tokens.refresh_token, undefined, { DPoP: other }), 'invalid_grant', 'invalid_dpop_proof')
})
await step('code replay is refused and revokes what the code gave', async () => {
  const code = await refused(
    () => client.authorizationCodeGrant(config, used.callback, used.checks, undefined, { DPoP }), 'invalid_grant')
  const seen = await client.tokenIntrospection(config, refreshed.access_token)
  expect(seen.active === false, 'the tokens of a replayed code live on')
  await refused(() => client.refreshTokenGrant(config, tokens.refresh_token, undefined, { DPoP }), 'invalid_grant')
  return code
})
say({ done: true, failed })
input.close()
process.exit(failed ? 1 : 0)
