// Nimbus OAuth 2.0 SDK (Java) against a running Sluice; same dialogue as ../openid_client.mjs.
//
// args[0]: JSON {issuer, client_id, jwk, redirect_uri, details? (text), resource}. The person's part is
// played outside: this prints {"authorize": url} and reads the callback address from stdin.
import com.nimbusds.jose.JWSAlgorithm;
import com.nimbusds.jose.jwk.Curve;
import com.nimbusds.jose.jwk.ECKey;
import com.nimbusds.jose.jwk.gen.ECKeyGenerator;
import com.nimbusds.jose.util.JSONObjectUtils;
import com.nimbusds.oauth2.sdk.*;
import com.nimbusds.oauth2.sdk.as.AuthorizationServerMetadata;
import com.nimbusds.oauth2.sdk.auth.*;
import com.nimbusds.oauth2.sdk.assertions.jwt.JWTAssertionFactory;
import com.nimbusds.oauth2.sdk.dpop.DefaultDPoPProofFactory;
import com.nimbusds.oauth2.sdk.dpop.DPoPProofFactory;
import com.nimbusds.oauth2.sdk.http.HTTPRequest;
import com.nimbusds.oauth2.sdk.http.HTTPResponse;
import com.nimbusds.oauth2.sdk.id.*;
import com.nimbusds.oauth2.sdk.pkce.*;
import com.nimbusds.oauth2.sdk.token.*;
import com.nimbusds.openid.connect.sdk.Nonce;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.net.URI;
import java.util.*;

public class Fapi {
  interface Step {
    String run() throws Exception;
  }

  static int failed = 0;
  static Map<String, Object> settings;
  static AuthorizationServerMetadata server;
  static ClientID clientId;
  static ECKey clientKey;
  static final Map<String, Nonce> nonces = new HashMap<>();

  static void step(String name, Step step) {
    Map<String, Object> line = new LinkedHashMap<>();
    line.put("step", name);
    try {
      line.put("detail", step.run());
      line.put("ok", true);
    } catch (Exception error) {
      failed++;
      line.put("detail", error.toString());
      line.put("ok", false);
    }
    System.out.println(JSONObjectUtils.toJSONString(line));
  }

  static void expect(boolean condition, String message) {
    if (!condition) throw new IllegalStateException(message);
  }

  static ClientAuthentication assertion() throws Exception {
    var claims = new JWTAuthenticationClaimsSet(clientId, new Audience(server.getIssuer()));
    return new PrivateKeyJWT(
        JWTAssertionFactory.create(
            claims, JWSAlgorithm.ES256, clientKey.toECPrivateKey(), clientKey.getKeyID(), null, null, null));
  }

  interface Request {
    HTTPRequest make() throws Exception;
  }

  // Sends with a proof; learns the nonce and tries once more when the server asks for it.
  static HTTPResponse send(Request request, DPoPProofFactory proofs, AccessToken token)
      throws Exception {
    for (int round = 0; ; round++) {
      HTTPRequest http = request.make();
      URI at = http.getURI();
      String origin = at.getAuthority();
      Nonce nonce = nonces.get(origin);
      String method = http.getMethod().name();
      http.setDPoP(
          token == null
              ? proofs.createDPoPJWT(method, at, nonce)
              : proofs.createDPoPJWT(method, at, token, nonce));
      HTTPResponse response = http.send();
      Nonce given = response.getDPoPNonce();
      boolean fresh = given != null && !given.equals(nonce);
      if (given != null) nonces.put(origin, given);
      String challenge = String.valueOf(response.getHeaderValue("WWW-Authenticate"));
      boolean asked =
          String.valueOf(response.getBody()).contains("use_dpop_nonce")
              || challenge.contains("use_dpop_nonce");
      if (round > 0 || !asked || !fresh) return response;
    }
  }

  static TokenResponse token(AuthorizationGrant grant, DPoPProofFactory proofs) throws Exception {
    return TokenResponse.parse(
        send(
            () -> new TokenRequest(server.getTokenEndpointURI(), assertion(), grant, null).toHTTPRequest(),
            proofs,
            null));
  }

  static DPoPAccessToken bound(TokenResponse response) {
    if (!response.indicatesSuccess())
      throw new IllegalStateException(response.toErrorResponse().getErrorObject().toString());
    var token = response.toSuccessResponse().getTokens().getDPoPAccessToken();
    expect(token != null, "the token is not bound by DPoP");
    return token;
  }

  static void refused(TokenResponse response, String code) {
    expect(!response.indicatesSuccess(), "was not refused");
    String given = response.toErrorResponse().getErrorObject().getCode();
    expect(code.equals(given), "refused with " + given);
  }

  static boolean active(AccessToken token) throws Exception {
    var request =
        new TokenIntrospectionRequest(server.getIntrospectionEndpointURI(), assertion(), token);
    var response = TokenIntrospectionResponse.parse(request.toHTTPRequest().send());
    expect(response.indicatesSuccess(), "introspection failed");
    return response.toSuccessResponse().isActive();
  }

  static int resource(DPoPAccessToken token, DPoPProofFactory proofs) throws Exception {
    return send(
            () -> {
              var http = new HTTPRequest(HTTPRequest.Method.GET, URI.create((String) settings.get("resource")));
              http.setAuthorization(token.toAuthorizationHeader());
              return http;
            },
            proofs,
            token)
        .getStatusCode();
  }

  public static void main(String[] args) throws Exception {
    settings = JSONObjectUtils.parse(args[0]);
    clientId = new ClientID((String) settings.get("client_id"));
    clientKey = ECKey.parse(JSONObjectUtils.getJSONObject(settings, "jwk"));
    var proofs = new DefaultDPoPProofFactory(new ECKeyGenerator(Curve.P_256).generate(), JWSAlgorithm.ES256);
    var others = new DefaultDPoPProofFactory(new ECKeyGenerator(Curve.P_256).generate(), JWSAlgorithm.ES256);
    var input = new BufferedReader(new InputStreamReader(System.in));
    var redirect = URI.create((String) settings.get("redirect_uri"));

    step("discovery by RFC 8414", () -> {
      server = AuthorizationServerMetadata.resolve(new Issuer((String) settings.get("issuer")));
      return server.getIssuer().getValue();
    });
    step("client credentials, bound by DPoP", () -> {
      var token = bound(token(new ClientCredentialsGrant(), proofs));
      expect(resource(token, proofs) == 200, "the resource refused the token");
      expect(resource(token, others) == 401, "another key's proof was accepted");
      expect(active(token), "inactive");
      var revocation = new TokenRevocationRequest(server.getRevocationEndpointURI(), assertion(), token);
      expect(revocation.toHTTPRequest().send().getStatusCode() == 200, "revocation failed");
      expect(!active(token), "a revoked token is active");
      return null;
    });
    var kept = new Object() { AuthorizationCodeGrant grant; DPoPAccessToken token; RefreshToken refresh; };
    step("pushed request, consent, code with PKCE and iss", () -> {
      var verifier = new CodeVerifier();
      var state = new State();
      var request =
          new AuthorizationRequest.Builder(ResponseType.CODE, clientId)
              .endpointURI(server.getAuthorizationEndpointURI())
              .redirectionURI(redirect)
              .state(state)
              .codeChallenge(verifier, CodeChallengeMethod.S256);
      if (settings.get("details") != null)
        request.customParameter("authorization_details", (String) settings.get("details"));
      var asked = request.build();
      var pushed =
          PushedAuthorizationResponse.parse(
              send(
                  () -> new PushedAuthorizationRequest(
                          server.getPushedAuthorizationRequestEndpointURI(), assertion(), asked)
                      .toHTTPRequest(),
                  proofs, null));
      expect(pushed.indicatesSuccess(), "the pushed request was refused");
      var browser =
          new AuthorizationRequest.Builder(pushed.toSuccessResponse().getRequestURI(), clientId)
              .endpointURI(server.getAuthorizationEndpointURI())
              .build();
      System.out.println(JSONObjectUtils.toJSONString(Map.of("authorize", browser.toURI().toString())));
      var answer = AuthorizationResponse.parse(URI.create(input.readLine().trim()));
      expect(answer.indicatesSuccess(), "no code: " + answer.toURI());
      expect(state.equals(answer.getState()), "another state");
      expect(server.getIssuer().equals(answer.getIssuer()), "no iss");
      kept.grant = new AuthorizationCodeGrant(answer.toSuccessResponse().getAuthorizationCode(), redirect, verifier);
      var tokens = token(kept.grant, proofs);
      kept.token = bound(tokens);
      kept.refresh = tokens.toSuccessResponse().getTokens().getRefreshToken();
      int status = resource(kept.token, proofs);
      expect(status == 200 || status == 403, "the resource said " + status);
      return null;
    });
    step("refresh keeps the refresh token", () -> {
      var answer = token(new RefreshTokenGrant(kept.refresh), proofs);
      bound(answer);
      var given = answer.toSuccessResponse().getTokens().getRefreshToken();
      expect(given == null || given.equals(kept.refresh), "the refresh token was rotated");
      return null;
    });
    step("code replay is refused and revokes what the code gave", () -> {
      refused(token(kept.grant, proofs), "invalid_grant");
      expect(!active(kept.token), "the tokens of a replayed code live on");
      refused(token(new RefreshTokenGrant(kept.refresh), proofs), "invalid_grant");
      return null;
    });
    System.out.println(JSONObjectUtils.toJSONString(Map.of("done", true, "failed", failed)));
    System.exit(failed == 0 ? 0 : 1);
  }
}
