// RFC 7636: the proof that who redeems the code is who asked for it.

function base64url(bytes: Uint8Array): string {
  return btoa(String.fromCharCode(...bytes)).replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '');
}

/** A random string of 43 characters: 256 bits. */
export function random(): string {
  return base64url(crypto.getRandomValues(new Uint8Array(32)));
}

/** code_challenge of method S256. */
export async function challenge(verifier: string): Promise<string> {
  const digest = await crypto.subtle.digest('SHA-256', new TextEncoder().encode(verifier));
  return base64url(new Uint8Array(digest));
}
