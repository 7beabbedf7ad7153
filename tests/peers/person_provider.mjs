// The upstream at which insured persons sign in: npm oidc-provider with one invented account.
//
// argv[2]: JSON {port, client_id, redirect_uri, jwk, account: {claims of the person}, amr}. Every
// sign-in succeeds at once as that account; prints "ready" when it listens.
import Provider from 'oidc-provider'
import * as jose from 'jose'

const settings = JSON.parse(process.argv[2])
const issuer = `http://127.0.0.1:${settings.port}`
const { privateKey } = await jose.generateKeyPair('ES256', { extractable: true })
const signing = { ...(await jose.exportJWK(privateKey)), alg: 'ES256', use: 'sig', kid: 'signing' }

const provider = new Provider(issuer, {
  clients: [
    {
      client_id: settings.client_id,
      redirect_uris: [settings.redirect_uri],
      token_endpoint_auth_method: 'private_key_jwt',
      token_endpoint_auth_signing_alg: 'ES256',
      id_token_signed_response_alg: 'ES256',
      jwks: { keys: [settings.jwk] },
    },
  ],
  jwks: { keys: [signing] },
  cookies: { keys: ['of-a-test'] },
  claims: { openid: ['sub', 'amr', 'auth_time'], profile: ['name', 'birthdate', 'certno', 'wards'] },
  conformIdTokenClaims: false,
  findAccount: (_, accountId) => ({ accountId, claims: () => ({ sub: accountId, ...settings.account }) }),
  features: { devInteractions: { enabled: false } },
  interactions: { url: (_, interaction) => `/interaction/${interaction.uid}` },
  pkce: { required: () => true },
  enabledJWA: { clientAuthSigningAlgValues: ['ES256'] },
})
provider.use(async (ctx, next) => {
  if (!ctx.path.startsWith('/interaction/')) return next()
  const { params } = await provider.interactionDetails(ctx.req, ctx.res)
  const grant = new provider.Grant({ accountId: 'person', clientId: params.client_id })
  grant.addOIDCScope('openid profile')
  const grantId = await grant.save()
  const login = { accountId: 'person', amr: settings.amr }
  ctx.redirect(await provider.interactionResult(ctx.req, ctx.res, { login, consent: { grantId } }))
  ctx.status = 303
})
provider.on('server_error', (_, error) => console.error(error))
provider.listen(settings.port, '127.0.0.1', () => console.log('ready'))
