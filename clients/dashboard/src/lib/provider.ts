// Signing in at the identity provider: OpenID Connect, authorization code with PKCE, as a public client.

import type { ProviderEndpoints, SignInClient } from "galley-client";
import * as oauth from "oauth4webapi";
import { i18n } from "../i18n/index.svelte";
import type { Credentials } from "./credentials";
import { gateway } from "./gateway";
import type { Pending } from "./landing";
import { now } from "./now.svelte";

/** An answer may take so long. */
const ANSWER = 10_000;

/** The address to which the provider sends people back. */
const home = `${gateway}/`;

/** Something went wrong, told in the language of the page whenever it is asked. */
export class SignInTrouble extends Error {
  constructor(
    readonly tell: () => string,
    /** Whether the same may work in a moment. */
    readonly passing = false,
  ) {
    super("cannot sign in");
  }
}

export class Provider {
  readonly #server: oauth.AuthorizationServer;
  readonly #client: oauth.Client;

  constructor(
    readonly client: SignInClient,
    readonly endpoints: ProviderEndpoints,
  ) {
    this.#server = { issuer: client.issuer, ...endpoints };
    // The viewer's clock may be wrong.
    this.#client = { client_id: client.client_id, [oauth.clockSkew]: Math.round((now.read() - Date.now()) / 1_000) };
  }

  /** Throws where nobody answers: to be sent to a page that cannot be loaded would explain nothing. */
  async reach(): Promise<void> {
    const document = `${this.client.issuer.replace(/\/$/, "")}/.well-known/openid-configuration`;
    // Pages may ask the origin of the tokens only.
    if (new URL(document).origin !== new URL(this.endpoints.token_endpoint).origin) return;
    await fetch(document, { mode: "no-cors", signal: AbortSignal.timeout(ANSWER) }).catch(() => {
      throw new SignInTrouble(() => i18n.words.signIn.away, true);
    });
  }

  /** A new sign-in, and the address where it goes on. */
  async begin(hash: string, prompt?: string): Promise<{ address: string; pending: Pending }> {
    const pending = { state: oauth.generateRandomState(), nonce: oauth.generateRandomNonce(), verifier: oauth.generateRandomCodeVerifier(), hash };
    const { scope, client_id } = this.client;
    const challenge = await oauth.calculatePKCECodeChallenge(pending.verifier);
    const { state, nonce } = pending;
    const asked = { response_type: "code", redirect_uri: home, client_id, scope, state, nonce, code_challenge: challenge, code_challenge_method: "S256" };
    const address = new URL(this.endpoints.authorization_endpoint);
    for (const [name, value] of Object.entries({ ...asked, ...this.#resource, ...(prompt ? { prompt } : {}) })) address.searchParams.set(name, value);
    return { address: address.href, pending };
  }

  /** Takes the answer to a sign-in. */
  finish(query: string, { state, nonce, verifier }: Pending): Promise<Credentials> {
    return told(async () => {
      const parameters = oauth.validateAuthResponse(this.#server, this.#client, new URLSearchParams(query), state);
      const answer = await oauth.authorizationCodeGrantRequest(this.#server, this.#client, oauth.None(), parameters, home, verifier, this.#options);
      const result = await oauth.processAuthorizationCodeResponse(this.#server, this.#client, answer, { expectedNonce: nonce, requireIdToken: true });
      const { name, preferred_username, email, sub } = oauth.getValidatedIdTokenClaims(result)!;
      const named = [name, preferred_username, email, sub].find((name) => typeof name === "string") as string;
      return { token: result.access_token, refresh: result.refresh_token, id: result.id_token, name: named };
    });
  }

  /** The next token. */
  renew(credentials: Credentials): Promise<Credentials> {
    return told(async () => {
      const answer = await oauth.refreshTokenGrantRequest(this.#server, this.#client, oauth.None(), credentials.refresh!, this.#options);
      const { access_token, refresh_token, id_token } = await oauth.processRefreshTokenResponse(this.#server, this.#client, answer);
      return { ...credentials, token: access_token, refresh: refresh_token ?? credentials.refresh, id: id_token ?? credentials.id };
    });
  }

  /** Where the provider's own session ends; nothing if it has no such place. */
  signOutAddress({ id }: Credentials): string | undefined {
    const { end_session_endpoint: place } = this.endpoints;
    if (!place) return undefined;
    const address = new URL(place);
    address.searchParams.set("client_id", this.client.client_id);
    address.searchParams.set("post_logout_redirect_uri", home);
    if (id) address.searchParams.set("id_token_hint", id);
    return address.href;
  }

  get #resource(): Record<string, string> {
    return this.client.resource ? { resource: this.client.resource } : {};
  }

  get #options() {
    // The gateway names no address without TLS but those of its own machine.
    const insecure = new URL(this.endpoints.token_endpoint).protocol === "http:";
    return { additionalParameters: this.#resource, signal: AbortSignal.timeout(ANSWER), [oauth.allowInsecureRequests]: insecure };
  }
}

const AGAIN = ["login_required", "interaction_required", "consent_required", "account_selection_required"];
const BUSY = ["temporarily_unavailable", "server_error"];

/** What a failure means for people. */
async function told<T>(attempt: () => Promise<T>): Promise<T> {
  try {
    return await attempt();
  } catch (error) {
    const words = () => i18n.words.signIn;
    const isAnswer = error instanceof oauth.AuthorizationResponseError || error instanceof oauth.ResponseBodyError;
    if (isAnswer) {
      const { error: code } = error;
      if (code === "access_denied") throw new SignInTrouble(() => words().denied);
      if (code === "invalid_grant") throw new SignInTrouble(() => words().used);
      if (AGAIN.includes(code)) throw new SignInTrouble(() => words().again);
      if (BUSY.includes(code)) throw new SignInTrouble(() => words().away, true);
      throw new SignInTrouble(() => words().refusedBy(code));
    }
    // No answer, or that of a server on the way.
    const code = error instanceof oauth.OperationProcessingError ? error.code : undefined;
    const isAway = error instanceof TypeError || error instanceof DOMException || code === oauth.RESPONSE_IS_NOT_CONFORM || code === oauth.RESPONSE_IS_NOT_JSON;
    throw new SignInTrouble(() => (isAway ? words().away : words().foreign), isAway);
  }
}
