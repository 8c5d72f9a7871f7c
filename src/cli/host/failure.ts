/** What a failed call means, as the end of a sentence that begins with the host. */
export function failureInWords(error: unknown, timeoutMs: number): string {
  const { code = "", message } = factsOf(error);
  if (timeouts.has(code)) return `did not answer within ${timeoutMs / 1000} s`;
  if (code === "ERR_TLS_CERT_ALTNAME_INVALID") return `shows a certificate of another host: ${message}`;
  if (/CERT|SELF_SIGNED|ISSUER|VERIFY/.test(code))
    return `shows a certificate that is not trusted here (${code}): name its authority's file in NODE_EXTRA_CA_CERTS`;
  if (/SSL|EPROTO|TLS/.test(code)) return "does not speak TLS as it should: is it http://, or another port?";
  return words[code] ?? `cannot be asked: ${message}`;
}

const timeouts = new Set(["UND_ERR_HEADERS_TIMEOUT", "UND_ERR_BODY_TIMEOUT", "UND_ERR_CONNECT_TIMEOUT", "ETIMEDOUT"]);

const words: Record<string, string> = {
  ECONNREFUSED: "cannot be reached: nothing listens there",
  ENOTFOUND: "cannot be reached: there is no host of that name",
  EAI_AGAIN: "cannot be reached: its name cannot be looked up now",
  EHOSTUNREACH: "cannot be reached: there is no way to it",
  ENETUNREACH: "cannot be reached: there is no way to it",
  ECONNRESET: "broke the connection off",
  UND_ERR_SOCKET: "broke the connection off",
  EPIPE: "broke the connection off",
  HPE_INVALID_CONSTANT: "does not speak HTTP there",
};

/** Of several addresses that were tried, the first one's. */
function factsOf(error: unknown): { code?: string; message: string } {
  if (error instanceof AggregateError && error.errors.length > 0) return factsOf(error.errors[0]);
  if (!(error instanceof Error)) return { message: String(error) };
  const code = "code" in error && typeof error.code === "string" ? { code: error.code } : {};
  if (!("code" in error) && error.cause !== undefined) return factsOf(error.cause);
  return { ...code, message: error.message };
}
