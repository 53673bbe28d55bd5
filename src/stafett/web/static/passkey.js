// Passkeys: what the server asks in base64url becomes bytes for the authenticator, and back.
const bytes = (text) => Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/")), (c) => c.charCodeAt(0));
const text = (buffer) => btoa(String.fromCharCode(...new Uint8Array(buffer))).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");

export const here = () => window.isSecureContext && "credentials" in navigator && "PublicKeyCredential" in window;

// Make a passkey; returns what the API keeps.
export async function make(options) {
  const publicKey = { ...options, challenge: bytes(options.challenge), user: { ...options.user, id: bytes(options.user.id) }, excludeCredentials: (options.excludeCredentials ?? []).map((c) => ({ ...c, id: bytes(c.id) })) };
  const made = await navigator.credentials.create({ publicKey });
  return { id: made.id, rawId: text(made.rawId), type: made.type, response: { clientDataJSON: text(made.response.clientDataJSON), attestationObject: text(made.response.attestationObject) } };
}

// Answer a question with a passkey: to sign in, or to sign the bytes whose SHA-256 is the challenge.
export async function answer(options) {
  const publicKey = { ...options, challenge: bytes(options.challenge), allowCredentials: (options.allowCredentials ?? []).map((c) => ({ ...c, id: bytes(c.id) })) };
  const given = await navigator.credentials.get({ publicKey });
  return { credential: text(given.rawId), authenticator_data: text(given.response.authenticatorData), client_data: text(given.response.clientDataJSON), signature: text(given.response.signature) };
}

// Sign what `.../signing` gave: only the very bytes that came with it, never a challenge alone.
export async function sign(due) {
  const digest = text(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(due.content)));
  if (digest !== due.options.challenge) throw new DOMException("the challenge is not of these bytes", "DataError");
  return { ...(await answer(due.options)), signed_at: due.at };
}
