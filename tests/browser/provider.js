// An identity provider of a test's own: `oidc-provider`, with one public client, which issues JSON Web Tokens for the gateway.

import { generateKeyPairSync } from "node:crypto";
import { once } from "node:events";
import { createServer } from "node:http";
import { text } from "node:stream/consumers";
import Provider from "oidc-provider";

export const AUDIENCE = "https://galley.example/";
const CLIENT = "galley-dashboard";

/** Who may sign in: a hero, a member of staff, and somebody who is neither. */
const people = {
  zoe: { name: "Zoé at home", role: "hero", hero_id: "1" },
  ada: { name: "Ada Byron", role: "staff" },
  guest: { name: "A guest", role: "visitor" },
};

/** Starts it on a free port. Its tokens live so many seconds; `renews` says whether they can be renewed. It knows its client after `serve`. */
export async function identityProvider({ seconds = 3_600, renews = true } = {}) {
  let ready;
  const serving = new Promise((resolve) => (ready = resolve));
  const server = createServer(async (request, response) => (await serving)(request, response));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address();
  const issuer = `http://127.0.0.1:${port}`;
  let renewals = 0;
  return {
    issuer,

    /** How a gateway is started that signs people in there. */
    settings: [
      ...["--auth", "jwt", "--jwt-issuer", issuer, "--jwt-jwks", `${issuer}/jwks`, "--jwt-audience", AUDIENCE],
      ...["--jwt-hero-claim", "hero_id", "--oidc-client", CLIENT],
    ],

    /** How often a token was renewed. */
    renewals: () => renewals,

    /** Serves the dashboard at this address. */
    serve(home) {
      const provider = new Provider(issuer, configuration(home, seconds, renews));
      provider.use((context, next) => interact(provider, context, next));
      provider.on("grant.success", ({ oidc }) => (renewals += oidc.params.grant_type === "refresh_token" ? 1 : 0));
      ready(provider.callback());
    },

    /** Is away: nobody answers at its address. */
    async leave() {
      if (!server.listening) return;
      server.close();
      server.closeAllConnections();
      await once(server, "close");
    },

    /** Is back, with everything that it knew. */
    async comeBack() {
      server.listen(port, "127.0.0.1");
      await once(server, "listening");
    },
  };
}

function configuration(home, seconds, renews) {
  const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const resourceServer = { scope: "", audience: AUDIENCE, accessTokenTTL: seconds, accessTokenFormat: "jwt", jwt: { sign: { alg: "ES256" } } };
  return {
    clients: [
      {
        client_id: CLIENT,
        token_endpoint_auth_method: "none",
        id_token_signed_response_alg: "ES256",
        grant_types: ["authorization_code", "refresh_token"],
        redirect_uris: [`${home}/`],
        post_logout_redirect_uris: [`${home}/`],
      },
    ],
    jwks: { keys: [{ ...privateKey.export({ format: "jwk" }), kid: "one", use: "sig", alg: "ES256" }] },
    cookies: { keys: ["a key of the tests"] },
    clientBasedCORS: () => true,
    conformIdTokenClaims: false,
    claims: { openid: ["sub", "name"] },
    features: {
      devInteractions: { enabled: false },
      rpInitiatedLogout: { enabled: true, logoutSource: (context, form) => void (context.body = page(`${form}<button form="op.logoutForm" name="logout" value="yes">Yes, sign me out</button>`)) },
      resourceIndicators: { enabled: true, getResourceServerInfo: () => resourceServer },
    },
    interactions: { url: (_, { uid }) => `/interaction/${uid}` },
    issueRefreshToken: () => renews,
    findAccount: (_, id) => ({ accountId: id, claims: () => ({ sub: id, name: people[id].name }) }),
    extraTokenClaims: (_, { accountId }) => people[accountId],
  };
}

/** A page of the provider, which asks for no other file. */
const page = (body) => `<!doctype html><title>Provider</title><link rel="icon" href="data:,">${body}`;

/** Asks who signs in, and takes that for consent. */
async function interact(provider, context, next) {
  if (!context.path.startsWith("/interaction/")) return next();
  const { req, res } = context;
  const { params } = await provider.interactionDetails(req, res);
  if (context.method === "GET") {
    context.type = "html";
    context.body = page('<form method="post"><label>Account <input name="account"></label><button>Go on</button><button name="declined" value="1">Decline</button></form>');
    return undefined;
  }
  const answer = new URLSearchParams(await text(req));
  context.respond = false;
  if (answer.has("declined")) return provider.interactionFinished(req, res, { error: "access_denied" });
  const accountId = answer.get("account");
  const grant = new provider.Grant({ accountId, clientId: params.client_id });
  grant.addOIDCScope(params.scope);
  return provider.interactionFinished(req, res, { login: { accountId }, consent: { grantId: await grant.save() } });
}
