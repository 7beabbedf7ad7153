import { createHash, createPrivateKey, randomUUID, sign } from "node:crypto";
import { readFileSync } from "node:fs";

const base = "GATEWAY";
const jwk = JSON.parse(readFileSync("key.json", "utf8"));
const application = JSON.parse(readFileSync("application.json", "utf8"));
const key = createPrivateKey({ key: jwk, format: "jwk" });
const text = (value) => Buffer.from(value).toString("base64url");

function jwt(header, claims) {
  const told = `${text(JSON.stringify({ alg: "ES256", ...header }))}.${text(JSON.stringify(claims))}`;
  const signature = sign("sha256", Buffer.from(told), { key, dsaEncoding: "ieee-p1363" });
  return `${told}.${text(signature)}`;
}

let nonce;
async function call(path, options, token) {
  for (let attempt = 0; attempt < 2; attempt += 1) {
    const claims = { jti: randomUUID(), htm: "POST", htu: base + path, iat: Math.floor(Date.now() / 1000), nonce };
    const headers = { ...options.headers };
    if (token) {
      claims.ath = createHash("sha256").update(token).digest("base64url");
      headers.Authorization = `DPoP ${token}`;
    }
    const { kty, crv, x, y } = jwk;
    headers.DPoP = jwt({ typ: "dpop+jwt", jwk: { kty, crv, x, y } }, claims);
    const reply = await fetch(base + path, { method: "POST", headers, body: options.body() });
    nonce = reply.headers.get("dpop-nonce") ?? nonce;
    const told = await reply.json();
    if (reply.ok) return told;
    if (attempt) throw new Error(JSON.stringify(told));
  }
}

function assertion() {
  const now = Math.floor(Date.now() / 1000);
  const id = application.client_id;
  return jwt({ kid: jwk.kid }, { iss: id, sub: id, aud: base, jti: randomUUID(), iat: now, exp: now + 60 });
}

const granted = await call("/oauth/token", {
  body: () => new URLSearchParams({
    grant_type: "client_credentials",
    client_assertion_type: "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
    client_assertion: assertion(),
  }),
});
const question = {
  purpose: application.purpose,
  period: { from: "2024Q1", to: "2024Q4", grain: "quarter" },
  geo: ["990100"],
  dims: ["insutype2"],
};
const once = randomUUID();
const answer = await call("/v1/services/S02/queries", {
  headers: { "Content-Type": "application/json", "Idempotency-Key": once },
  body: () => JSON.stringify(question),
}, granted.access_token);
for (const row of answer.data) console.log(row.period, row.insutype2, row.medfee);
