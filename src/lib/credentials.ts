/**
 * Words, with addresses in them that may carry a password or a token: neither messages nor containers are to have those.
 * The user of an ssh address stays: it is a part of the name, and no secret.
 */
export function withoutCredentials(words: string): string {
  return words.replaceAll(/([a-z+]+:\/\/)([^/\s]*)@/g, (_all, scheme: string, said: string) =>
    scheme.includes("ssh") ? `${scheme}${said.split(":", 1)[0]}@` : scheme,
  );
}
