const byCode: Readonly<Record<string, string>> = {
  ENOTFOUND: "its name is not known here. Check CIRCLECI_RUNNER_API_URL, and the name server",
  EAI_AGAIN: "the name server does not answer",
  ECONNREFUSED: "nothing listens there",
  ECONNRESET: "the connection was cut",
  EHOSTUNREACH: "there is no way to it",
  ENETUNREACH: "there is no way to it",
  ETIMEDOUT: "it does not answer in time",
  UND_ERR_CONNECT_TIMEOUT: "it does not answer in time",
  UND_ERR_HEADERS_TIMEOUT: "it takes the call and does not answer in time",
  UND_ERR_BODY_TIMEOUT: "its answer stops in the middle",
  CERT_HAS_EXPIRED: "its certificate has expired",
  CERT_NOT_YET_VALID: "its certificate is not valid yet. Compare the clocks",
  ERR_TLS_CERT_ALTNAME_INVALID: "its certificate is for another name",
  DEPTH_ZERO_SELF_SIGNED_CERT: "its certificate is signed by itself. Trust it by COFFERDAM_CA_FILE",
  SELF_SIGNED_CERT_IN_CHAIN:
    "its certificate comes from an authority that is not known here. Name it by COFFERDAM_CA_FILE",
  UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    "its certificate comes from an authority that is not known here. Name it by COFFERDAM_CA_FILE",
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    "its certificate comes from an authority that is not known here. Name it by COFFERDAM_CA_FILE",
  ERR_SSL_WRONG_VERSION_NUMBER: "it does not speak TLS. Is it http:// in CIRCLECI_RUNNER_API_URL?",
  ERR_SSL_PACKET_LENGTH_TOO_LONG: "it does not speak TLS. Is it http:// in CIRCLECI_RUNNER_API_URL?",
};

/** Why there was no answer, for people. */
export function connectionInWords(cause: unknown): string {
  for (let error = cause; error instanceof Error; error = error.cause) {
    const code = "code" in error ? String(error.code) : "";
    const known = byCode[code];
    if (known !== undefined) return known;
    if (code.startsWith("HPE_"))
      return "what listens there does not speak HTTP. Is it https:// in CIRCLECI_RUNNER_API_URL?";
  }
  return cause instanceof Error ? cause.message : String(cause);
}
