import { EngineError, type EngineErrorCode } from "../engine.ts";
import { meaningOf, type Situation } from "./words.ts";

const byStatus: Record<number, EngineErrorCode> = {
  401: "forbidden",
  403: "forbidden",
  404: "not-found",
  409: "conflict",
  507: "disk-full",
};

const byStatusInPull: Record<number, EngineErrorCode> = {
  400: "bad-reference",
  401: "image-denied",
  403: "image-denied",
  404: "image-not-found",
};

const bySystemCode: Record<string, EngineErrorCode> = {
  EACCES: "forbidden",
  EPERM: "forbidden",
};

/** An answer with an error status, in our words. `what` is the call: `create container x`. */
export function errorOfAnswer(
  answer: { status: number; message: string },
  what: string,
  situation: Situation,
): EngineError {
  const table = situation === "pull" ? byStatusInPull : byStatus;
  const code =
    meaningOf(answer.message, situation) ?? table[answer.status] ?? (situation === "pull" ? "registry" : "failed");
  return new EngineError(code, `${what}: the engine answered ${answer.status}: ${answer.message}`);
}

/** A call that got no whole answer. */
export function errorOfTransport(cause: unknown, what: string, address: string): EngineError {
  const systemCode = systemCodeOf(cause);
  const code = bySystemCode[systemCode] ?? "unreachable";
  return new EngineError(code, `${what}: ${transportMessage(systemCode, code, address, cause)}`, { cause });
}

function transportMessage(systemCode: string, code: EngineErrorCode, address: string, cause: unknown): string {
  if (code === "forbidden")
    return `this user may not use the engine at ${address}. Run as a member of the socket's group, or as root.`;
  if (systemCode === "ENOENT" || systemCode === "ECONNREFUSED")
    return `no engine listens at ${address}. Start Docker or Podman there, or set DOCKER_HOST.`;
  if (systemCode.startsWith("HPE_"))
    return `what listens at ${address} does not speak HTTP (${systemCode}). Check DOCKER_HOST.`;
  const words = cause instanceof Error ? cause.message : String(cause);
  return `the connection to the engine at ${address} broke: ${words}`;
}

function systemCodeOf(error: unknown): string {
  if (error instanceof Error && "code" in error && typeof error.code === "string") return error.code;
  return "";
}
