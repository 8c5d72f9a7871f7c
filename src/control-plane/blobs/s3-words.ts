import { S3ServiceException } from "@aws-sdk/client-s3";
import { ControlPlaneError } from "../errors.ts";
import type { BucketSettings } from "./bucket-settings.ts";

const ofNetwork = /^E(CONNREFUSED|CONNRESET|PIPE|TIMEDOUT|HOSTUNREACH|NETUNREACH|AI_AGAIN|NOTFOUND)$/;
const ofKey = new Set(["AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "InvalidToken"]);
const ofCertificate = /CERT|TLS|SSL|UNABLE_TO_/;

export function isMissing(error: unknown): boolean {
  return error instanceof S3ServiceException && ["NoSuchKey", "NotFound"].includes(error.name);
}

/** What is over once the endpoint, and its name, are up. */
export function isPassing(error: unknown): boolean {
  return ofNetwork.test(codeOf(error)) || (error instanceof S3ServiceException && statusOf(error) === 503);
}

/** What a failure of S3 means to whoever asked; itself, where it is none of S3's. */
export function inWords(error: unknown, { name, endpoint, region }: BucketSettings): unknown {
  const where = endpoint ?? `Amazon's S3 in ${region}`;
  const unavailable = (message: string): ControlPlaneError =>
    new ControlPlaneError("unavailable", message, { cause: error });
  if (error instanceof S3ServiceException) {
    const refusal = refusalOf(error);
    if (refusal) return new ControlPlaneError(refusal.code, refusal.message, { cause: error });
    if (ofKey.has(error.name))
      return unavailable(`${where} refuses us bucket "${name}" (${error.name}); look at the key and what it may do`);
    switch (statusOf(error)) {
      case 404:
        // Some say so of a key that they do not know, too.
        return unavailable(
          error.name === "NoSuchBucket"
            ? `${where} has no bucket "${name}"; create it, or look at COFFERDAM_S3_BUCKET`
            : `${where} refuses us bucket "${name}" (${error.name}); look at the bucket's name, and at the key`,
        );
      case 301:
      case 400:
        return unavailable(
          `${where} does not take the request (${error.name}); look at COFFERDAM_S3_BUCKET, COFFERDAM_S3_REGION and COFFERDAM_S3_ENDPOINT`,
        );
      default:
        return unavailable(`${where} fails (${error.name}: ${error.message}); try again`);
    }
  }
  const code = codeOf(error);
  if (ofCertificate.test(code)) return unavailable(`no TLS with ${where}: ${code}; look at its certificate`);
  if (ofNetwork.test(code) || nameOf(error) === "TimeoutError")
    return unavailable(`${where} cannot be reached (${code || "timeout"}); try again`);
  if (nameOf(error) === "CredentialsProviderError")
    return unavailable("no credentials for S3 were found; set COFFERDAM_S3_ACCESS_KEY_ID and its secret");
  return error;
}

/** What is wrong with one key. */
function refusalOf(error: S3ServiceException): { code: "bad-request" | "conflict"; message: string } | undefined {
  if (error.name === "KeyTooLongError" || error.name === "KeyTooLong")
    return { code: "bad-request", message: "a path is longer than S3 permits for a key" };
  // Stores on a file system say so.
  if (error.name === "ObjectParentIsFile" || error.name === "ExistingObjectIsDirectory")
    return { code: "conflict", message: "a part of the path is a file already, or it is a directory" };
  return undefined;
}

function statusOf(error: S3ServiceException): number | undefined {
  return error.$metadata.httpStatusCode;
}

function nameOf(error: unknown): string {
  return error instanceof Error ? error.name : "";
}

function codeOf(error: unknown): string {
  if (error instanceof AggregateError) return codeOf(error.errors[0]);
  return error instanceof Error && "code" in error ? String(error.code) : "";
}
