import { readFileSync } from "node:fs";
import { hostname } from "node:os";
import { createDockerEngine, type EngineAddress, engineAddresses } from "../../engine/docker/index.ts";
import { type Engine, type EngineInfo, isEngineError } from "../../engine/engine.ts";
import { unprovenEngine } from "../../engine/fitness/unproven.ts";
import { systemClock } from "../../lib/clock.ts";
import { specialConnection } from "../api/connection.ts";
import type { ApiAddress } from "../api/http.ts";
import { AllowList } from "../images/allow-list.ts";
import type { ImageRules } from "../images/image-store.ts";
import { readDockerAuthConfig } from "../images/registry-auth.ts";
import { createLog } from "../logging/create-log.ts";
import type { Redactor } from "../logging/redactor.ts";
import type { Options } from "../options.ts";
import { label, type Role } from "../plan/labels.ts";
import { type Owner, ownerLabels } from "../plan/owner.ts";
import { exitCode } from "../settings/exit-codes.ts";
import { hostFiles } from "../settings/files.ts";
import { ownName } from "../settings/own-name.ts";
import type { Settings } from "../settings/settings.ts";
import { Fatal } from "./fatal.ts";

/** What the process is made of, by its settings. What cannot be had is Fatal. */

const helperLifeMs = 600_000;

export function openLog(options: Options, redactor: Redactor) {
  try {
    return createLog(options, redactor);
  } catch (cause) {
    const why = cause instanceof Error && "code" in cause ? String(cause.code) : String(cause);
    throw new Fatal(exitCode.settings, `CIRCLECI_RUNNER_LOGGING_FILE: cannot write it (${why})`, { cause });
  }
}

/** Helpers run for moments. One that is found later was left by a process that died. */
export function helperLabels(owner: Owner, session: string): Record<string, string> {
  return {
    ...ownerLabels(owner),
    [label.session]: session,
    [label.role]: "helper" satisfies Role,
    [label.deadline]: String(systemClock.now() + helperLifeMs),
  };
}

export function openEngine(options: Options, helperLabels: () => Record<string, string> = () => ({})): Engine {
  return createDockerEngine({ address: engineAddressOf(options), helperLabels });
}

export function engineAddressOf(options: Options): EngineAddress {
  try {
    const [address] = engineAddresses({ dockerHost: options.DOCKER_HOST });
    if (!address) throw new RangeError("DOCKER_HOST: is not set");
    return address;
  } catch (cause) {
    throw new Fatal(exitCode.settings, cause instanceof Error ? cause.message : String(cause), { cause });
  }
}

export async function askEngine(engine: Engine): Promise<EngineInfo> {
  try {
    return await engine.info(new AbortController().signal);
  } catch (cause) {
    if (!isEngineError(cause)) throw cause;
    throw new Fatal(exitCode.engine, cause.message, { cause });
  }
}

/** What whoever starts the agent has to know of its engine; empty where there is nothing. */
export function noticesOf(info: EngineInfo): string[] {
  const unproven = unprovenEngine(info);
  return unproven ? [`${unproven.what}. ${unproven.next}`] : [];
}

export async function addressOf(options: Options): Promise<ApiAddress> {
  const baseUrl = options.CIRCLECI_RUNNER_API_URL;
  const { COFFERDAM_CA_FILE: caFile, HTTPS_PROXY: https, HTTP_PROXY: http, NO_PROXY: not } = options;
  const ca = caFile === undefined ? {} : { ca: certificates(caFile) };
  return { baseUrl, connection: await specialConnection({ baseUrl, proxies: { https, http, not }, ...ca }) };
}

export function imageRulesOf(options: Options): ImageRules {
  const { COFFERDAM_POLICY_IMAGES: patterns, DOCKER_AUTH_CONFIG: text } = options;
  const read = text === undefined ? undefined : readDockerAuthConfig(text);
  if (read && "problem" in read) throw new Fatal(exitCode.settings, `DOCKER_AUTH_CONFIG: ${read.problem}`);
  const allowed = patterns ? { allowed: new AllowList("operator of this host", patterns) } : {};
  return { ...read, ...allowed, marks: true };
}

function certificates(file: string): string {
  try {
    const pem = hostFiles.read(file);
    if (!pem.includes("-----BEGIN CERTIFICATE-----")) throw new Error(`there is no certificate in ${file}`);
    return pem;
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new Fatal(exitCode.settings, `COFFERDAM_CA_FILE: ${why}`, { cause });
  }
}

export function firstToken({ classes: [first] }: Pick<Settings, "classes">) {
  if (!first) throw new Fatal(exitCode.settings, "no resource class");
  return first.token;
}

export function nameOf(options: Options): string {
  return options.CIRCLECI_RUNNER_NAME ?? ownName({ hostname: hostname(), mountInfo: mountInfo() });
}

function mountInfo(): string {
  try {
    return readFileSync("/proc/self/mountinfo", "utf8");
  } catch {
    return "";
  }
}
