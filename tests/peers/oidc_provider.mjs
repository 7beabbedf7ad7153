// The peer of the token benchmark: npm oidc-provider in FAPI 2.0 mode, its default in-memory store.
//
// argv[2]: JSON {port, clients: [{client_id, jwk, dpop}]}. Prints "ready" when it listens.
import Provider from 'oidc-provider'
import * as jose from 'jose'

const settings = JSON.parse(process.argv[2])
const issuer = `http://127.0.0.1:${settings.port}`
const { privateKey } = await jose.generateKeyPair('ES256', { extractable: true })
const signing = { ...(await jose.exportJWK(privateKey)), alg: 'ES256', use: 'sig', kid: 'signing' }

const provider = new Provider(issuer, {
  clients: settings.clients.map(({ client_id, jwk, dpop }) => ({
    client_id,
    grant_types: ['client_credentials'],
    response_types: [],
    redirect_uris: [],
    token_endpoint_auth_method: 'private_key_jwt',
    token_endpoint_auth_signing_alg: 'ES256',
    id_token_signed_response_alg: 'ES256',
    dpop_bound_access_tokens: dpop,
    jwks: { keys: [jwk] },
  })),
  jwks: { keys: [signing] },
  enabledJWA: { clientAuthSigningAlgValues: ['ES256', 'PS256', 'EdDSA'], dPoPSigningAlgValues: ['ES256', 'EdDSA'] },
  features: {
    clientCredentials: { enabled: true },
    devInteractions: { enabled: false },
    dPoP: { enabled: true },
    fapi: { enabled: true, profile: '2.0' },
    resourceIndicators: {
      enabled: true,
      defaultResource: () => 'urn:api',
      useGrantedResource: () => true,
      getResourceServerInfo: () => ({
        scope: '', audience: 'urn:api', accessTokenTTL: 600, accessTokenFormat: 'jwt', jwt: { sign: { alg: 'ES256' } },
      }),
    },
  },
})
provider.on('server_error', (_, error) => console.error(error))
provider.listen(settings.port, '127.0.0.1', () => console.log('ready'))
