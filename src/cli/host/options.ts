import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import type { Command } from "commander";
import type { RegistryOptions } from "../../orbs/index.ts";
import { reasonOf } from "../config/input.ts";
import { CommandError, exitCode, type Io } from "../io.ts";

/** The control plane that a command speaks to, named as CircleCI's command line does. */
export interface HostOptions {
  host?: string;
  token?: string;
  tokenFile?: string;
}

export function addHostOptions(command: Command): Command {
  return command
    .option("--host <URL>", "the control plane (CIRCLE_HOST)")
    .option(
      "--token <TOKEN>",
      "a user token of it; better given as CIRCLE_TOKEN (or CIRCLECI_CLI_TOKEN), which no process list shows",
    )
    .option("--token-file <FILE>", "a file that holds it");
}

/** Undefined where no host is named. Throws CommandError for an address that is none. */
export function hostRegistry(io: Io, options: HostOptions): RegistryOptions | undefined {
  const { host = io.env["CIRCLE_HOST"] } = options;
  if (host === undefined || host === "") return undefined;
  const url = checkedUrl(host, "the host");
  return { url, token: givenToken(io, options) ?? tokenFor(io, url, url) };
}

function givenToken({ cwd }: Io, { token, tokenFile }: HostOptions): string | undefined {
  if (token !== undefined || tokenFile === undefined) return token;
  try {
    return readFileSync(resolve(cwd, tokenFile), "utf8").trim();
  } catch (cause) {
    throw new CommandError(`cannot read the token in ${tokenFile}: ${reasonOf(cause)}`, {
      exitCode: exitCode.usage,
      cause,
    });
  }
}

/** Why a host did not do it, as an error that ends the command. */
export function hostError(
  what: string,
  refusal: { reason: "forbidden" | "unavailable"; detail: string },
): CommandError {
  return refusal.reason === "forbidden"
    ? new CommandError(`${what}: ${refusal.detail}. Give a user token of it as CIRCLE_TOKEN`, {
        exitCode: exitCode.usage,
      })
    : new CommandError(`${what}: ${refusal.detail}`, { exitCode: exitCode.infrastructure });
}

export function checkedUrl(url: string, what: string): string {
  if (/^https?:\/\/\S/.test(url) && URL.canParse(url)) return url;
  throw new CommandError(`${what} "${url}" is no URL: it begins with https:// or http://`, {
    exitCode: exitCode.usage,
  });
}

/** The token is one host's alone: CIRCLE_HOST's, and where that is not set, that of the first registry. Nobody else is sent it. */
export function tokenFor({ env }: Io, url: string, first: string): string | undefined {
  const host = env["CIRCLE_HOST"] || first;
  if (!URL.canParse(host) || new URL(host).origin !== new URL(url).origin) return undefined;
  return env["CIRCLE_TOKEN"] || env["CIRCLECI_CLI_TOKEN"] || env["CIRCLE_CLI_TOKEN"];
}
